//! Relations of an entity type, and `dependsOn` of a write.

use std::rc::Rc;

use serde_json::Value;

use crate::model::checked_object::CheckedObject;
use crate::model::entity::{Key, OwnedKey};
use crate::model::operation::Parent;
use crate::util::collections::vec_map::VecMap;

/// What a delete does to the entities that refer to the deleted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// They keep a key that leads nowhere.
    #[default]
    Nothing,
    /// They are deleted, too.
    Cascade,
    /// The delete is refused.
    Restrict,
    /// Their key becomes null.
    SetNull,
}

impl OnDelete {
    /// Each value with its name in the config.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("none", Self::Nothing),
        ("cascade", Self::Cascade),
        ("restrict", Self::Restrict),
        ("setNull", Self::SetNull),
    ];
}

/// Where the ids of a relation are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationKeys {
    /// The entity has the id of the other one.
    Own { foreign_key: String },
    /// The others have the id of the entity.
    Theirs { foreign_key: String, many: bool },
    /// A third type has the ids of both.
    Joined {
        through: String,
        this_key: String,
        other_key: String,
    },
}

/// One relation of an entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub name: String,
    /// The other entity type.
    pub entity: String,
    pub keys: RelationKeys,
    pub on_delete: OnDelete,
}

impl Relation {
    /// Returns the type whose entities have the id of this one, and the field.
    #[must_use]
    pub fn referring(&self) -> Option<(&str, &str)> {
        match &self.keys {
            RelationKeys::Own { .. } => None,
            RelationKeys::Theirs { foreign_key, .. } => Some((&self.entity, foreign_key)),
            RelationKeys::Joined {
                through, this_key, ..
            } => Some((through, this_key)),
        }
    }

    /// Returns true if the delete of an entity concerns those that refer to it.
    #[must_use]
    pub fn has_rule(&self) -> bool {
        self.on_delete != OnDelete::Nothing
    }

    /// Returns true if it leads to any number of entities.
    #[must_use]
    pub const fn is_many(&self) -> bool {
        !matches!(
            self.keys,
            RelationKeys::Own { .. } | RelationKeys::Theirs { many: false, .. }
        )
    }

    fn read(name: &str, given: CheckedObject<'_>) -> Option<Self> {
        let foreign_key = given.text("foreignKey");
        let (entity, keys) = if let Some(entity) = given.text("belongsTo") {
            let foreign_key = foreign_key?;
            (entity, RelationKeys::Own { foreign_key })
        } else {
            Self::read_reverse(given, foreign_key)?
        };
        Some(Self {
            name: name.to_owned(),
            entity,
            keys,
            on_delete: given
                .choice("onDelete", &OnDelete::NAMES)
                .unwrap_or_default(),
        })
    }

    fn read_reverse(
        given: CheckedObject<'_>,
        foreign_key: Option<String>,
    ) -> Option<(String, RelationKeys)> {
        if let Some(entity) = given.text("manyToMany") {
            let keys = RelationKeys::Joined {
                through: given.text("through")?,
                this_key: given.text("thisKey")?,
                other_key: given.text("otherKey")?,
            };
            return Some((entity, keys));
        }
        let many = given.text("hasMany");
        let keys = RelationKeys::Theirs {
            foreign_key: foreign_key?,
            many: many.is_some(),
        };
        Some((many.or_else(|| given.text("hasOne"))?, keys))
    }
}

/// Reads the relations of an entity type. Only what follows them needs more than their names.
pub(super) fn read(given: &Value) -> Rc<[Relation]> {
    let given = CheckedObject(given).entries();
    given
        .filter_map(|(name, relation)| Relation::read(name, relation))
        .collect()
}

/// Returns true if the delete of an entity with these relations may concern others.
pub(super) fn has_rule(given: &Value) -> bool {
    let mut relations = CheckedObject(given).entries();
    relations.any(|(_, relation)| relation.value("onDelete").is_some())
}

/// Where relations say which type has ids of which, and in which field; the type that they are of
/// has no name.
const REFERENCES: [(&str, &str, &str); 5] = [
    ("", "belongsTo", "foreignKey"),
    ("hasOne", "", "foreignKey"),
    ("hasMany", "", "foreignKey"),
    ("through", "", "thisKey"),
    ("through", "manyToMany", "otherKey"),
];

/// Returns the parents of each type that has some: those that it names by `belongsTo`, and those
/// that name it.
pub(super) fn parents<'a>(
    types: impl Iterator<Item = (&'a str, &'a Value)>,
) -> VecMap<Vec<Parent>> {
    let mut found: VecMap<Vec<Parent>> = VecMap::default();
    for (of, relations) in types {
        for (_, relation) in CheckedObject(relations).entries() {
            for (child, entity, key) in REFERENCES {
                let named = |key: &str| match key {
                    "" => Some(of.to_owned()),
                    key => relation.text(key),
                };
                if let (Some(child), Some(entity), Some(foreign_key)) =
                    (named(child), named(entity), relation.text(key))
                {
                    let parent = Parent {
                        entity,
                        foreign_key,
                    };
                    let parents = found.entry(&child);
                    if !parents.contains(&parent) {
                        parents.push(parent);
                    }
                }
            }
        }
    }
    found
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
