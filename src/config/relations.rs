//! How entity types and writes hang together: `relations` of an entity type, `dependsOn` of a write.

use std::rc::Rc;

use serde_json::Value;

use crate::entity::{Key, OWN_FIELDS, OwnedKey, check_id, check_name};
use crate::error::Result;
use crate::members::Members;
use crate::operation::Parent;

/// Reads `relations` of an entity type. Only `belongsTo` says in which order operations go out, and no other
/// kind is known yet.
///
/// # Errors
/// The reader's code, naming the relation and the fix.
pub fn read_parents(entity: &mut Members<'_>) -> Result<Rc<[Parent]>> {
    let mut parents = Vec::new();
    let Some(mut relations) = entity.object("relations")? else { return Ok(Rc::default()) };
    for name in relations.names() {
        let Some(mut relation) = relations.object(name)? else { continue };
        let later = ["hasOne", "hasMany", "manyToMany"].into_iter().find(|kind| relation.value(kind).is_some());
        if let Some(kind) = later {
            return Err(
                relations.wrong(name, &format!("is a `{kind}` relation, which this version does not support; only `belongsTo` is."))
            );
        }
        let (Some(parent), Some(foreign_key)) = (relation.text("belongsTo")?, relation.text("foreignKey")?) else {
            return Err(relations.wrong(name, "must be like { belongsTo: \"projects\", foreignKey: \"projectId\" }."));
        };
        if foreign_key.is_empty() || OWN_FIELDS.contains(&foreign_key.as_str()) {
            return Err(relation.wrong("foreignKey", "must name a field of the app's own."));
        }
        relation.finish()?;
        parents.push(Parent { entity: parent, foreign_key });
    }
    relations.finish()?;
    Ok(Rc::from(parents))
}

/// Reads `dependsOn` of a write.
///
/// # Errors
/// The reader's code, naming the fix.
pub fn read_depends_on(options: &mut Members<'_>) -> Result<Rc<[OwnedKey]>> {
    let key = |value: &Value| {
        let text = |name| value.get(name).and_then(Value::as_str);
        let (entity, id) = (text("entity")?, text("id")?);
        (check_name(entity).is_ok() && check_id(id).is_ok()).then(|| Key::new(entity, id).to_owned())
    };
    let read: Option<Vec<OwnedKey>> = match options.value("dependsOn") {
        None => return Ok(Rc::default()),
        Some(Value::Array(items)) => items.iter().map(key).collect(),
        Some(_) => None,
    };
    read.map(Rc::from).ok_or_else(|| options.wrong("dependsOn", "must be a list of entities, such as [{ entity: \"projects\", id }]."))
}
