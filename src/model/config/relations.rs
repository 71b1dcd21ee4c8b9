//! Dependencies: `relations` of an entity type and `dependsOn` of a write.

use std::rc::Rc;

use serde_json::Value;

use crate::model::checked_object::CheckedObject;
use crate::model::entity::{Key, OwnedKey};
use crate::model::operation::Parent;

/// Reads `relations` of an entity type. Only `belongsTo` is supported, since only it orders
/// operations.
pub(super) fn read_parents(entity: CheckedObject<'_>) -> Rc<[Parent]> {
    let relations = entity
        .object("relations")
        .unwrap_or(CheckedObject(&Value::Null));
    let parent = |relation: CheckedObject<'_>| {
        Some(Parent {
            entity: relation.text("belongsTo")?,
            foreign_key: relation.text("foreignKey")?,
        })
    };
    relations
        .entries()
        .filter_map(|(_, relation)| parent(relation))
        .collect()
}

/// Reads `dependsOn` of a write.
#[must_use]
pub fn read_depends_on(options: CheckedObject<'_>) -> Rc<[OwnedKey]> {
    let given = options.value("dependsOn").and_then(Value::as_array);
    let key = |item: &Value| {
        let text = |name| item.get(name).and_then(Value::as_str);
        Some(Key::new(text("entity")?, text("id")?).to_owned())
    };
    given.into_iter().flatten().filter_map(key).collect()
}
