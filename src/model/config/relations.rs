//! Dependencies: `relations` of an entity type and `dependsOn` of a write.

use std::rc::Rc;

use serde_json::Value;

use crate::model::entity::{Key, OWN_FIELDS, OwnedKey, check_id, check_name};
use crate::model::object_reader::ObjectReader;
use crate::model::operation::Parent;

/// Reads `relations` of an entity type. Only `belongsTo` is supported, since only it orders
/// operations.
pub fn read_parents(entity: &mut ObjectReader<'_>) -> Rc<[Parent]> {
    let mut parents = Vec::new();
    let Some(mut relations) = entity.object("relations") else {
        return Rc::default();
    };
    for name in relations.names() {
        let Some(mut relation) = relations.object(name) else {
            continue;
        };
        let later = ["hasOne", "hasMany", "manyToMany"]
            .into_iter()
            .find(|kind| relation.value(kind).is_some());
        if let Some(kind) = later {
            relations.reject::<()>(name, &format!("is a `{kind}` relation, which this version does not support; only `belongsTo` is."));
        }
        let (Some(parent), Some(foreign_key)) =
            (relation.text("belongsTo"), relation.text("foreignKey"))
        else {
            relations.reject::<()>(
                name,
                "must be like { belongsTo: \"projects\", foreignKey: \"projectId\" }.",
            );
            continue;
        };
        if foreign_key.is_empty() || OWN_FIELDS.contains(&foreign_key.as_str()) {
            relation.reject::<()>("foreignKey", "must name a field of the app's own.");
        }
        relation.reject_unknown();
        parents.push(Parent {
            entity: parent,
            foreign_key,
        });
    }
    relations.reject_unknown();
    Rc::from(parents)
}

/// Reads `dependsOn` of a write.
pub fn read_depends_on(options: &mut ObjectReader<'_>) -> Rc<[OwnedKey]> {
    let key = |value: &Value| {
        let text = |name| value.get(name).and_then(Value::as_str);
        let (entity, id) = (text("entity")?, text("id")?);
        (check_name(entity).is_ok() && check_id(id).is_ok())
            .then(|| Key::new(entity, id).to_owned())
    };
    let Some(given) = options.value("dependsOn") else {
        return Rc::default();
    };
    let mut keys = Vec::new();
    for item in given.as_array().unwrap_or(&vec![Value::Null]) {
        keys.extend(key(item).or_else(|| {
            options.reject(
                "dependsOn",
                "must be a list of entities, such as [{ entity: \"projects\", id }].",
            )
        }));
    }
    Rc::from(keys)
}
