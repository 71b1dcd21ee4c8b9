//! `entities` of the config: the types and their own settings.

use std::rc::Rc;

use serde_json::Value;

use crate::model::checked_object::CheckedObject;
use crate::model::config::merge_fields::{self, Policies};
use crate::model::config::relations;
use crate::model::config::resolver::Builtin;
use crate::model::operation::Parent;
use crate::util::collections::vec_map::VecMap;

/// What a delete leaves on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteBehavior {
    /// The tombstone and the body, which stays readable under `includeDeleted`.
    SoftDelete,
    /// Only the tombstone.
    #[default]
    HardDelete,
}

impl DeleteBehavior {
    /// Each value with its name in the config.
    pub const NAMES: [(&'static str, Self); 2] = [
        ("softDelete", Self::SoftDelete),
        ("hardDelete", Self::HardDelete),
    ];
}

/// The config of one entity type, without its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityConfig {
    /// The resolver, if it is a built-in one.
    pub conflict_resolver: Option<Builtin>,
    pub delete_behavior: Option<DeleteBehavior>,
    /// Top-level fields that never leave the device.
    pub local_only: Rc<[String]>,
    /// How fields that both sides changed are merged, by path.
    pub merge_fields: Rc<Policies>,
    /// The relations as they were given; null for none.
    pub relations: Rc<Value>,
    /// The types that its foreign keys refer to.
    pub parents: Rc<[Parent]>,
    /// The fields of each index.
    pub indexes: Rc<[Vec<String>]>,
    /// Rejected writes stay visible here until the app has dealt with them.
    pub keeps_rejected: bool,
}

pub(super) fn read_entities(given: CheckedObject<'_>) -> VecMap<EntityConfig> {
    let mut entities: VecMap<EntityConfig> = VecMap::default();
    let types = given.object("entities");
    for (name, entity) in types.into_iter().flat_map(CheckedObject::entries) {
        let config = EntityConfig {
            conflict_resolver: entity.choice("conflictResolver", &Builtin::NAMES),
            delete_behavior: entity.choice("deleteBehavior", &DeleteBehavior::NAMES),
            local_only: entity.texts("localOnly").unwrap_or_default().into(),
            merge_fields: merge_fields::read(entity),
            relations: Rc::new(entity.value("relations").cloned().unwrap_or_default()),
            parents: Rc::default(),
            indexes: entity.lists("indexes").into(),
            keeps_rejected: entity
                .choice("onRejected", &[("revert", false), ("keepLocal", true)])
                .unwrap_or_default(),
        };
        entities.insert(name, config);
    }
    let types = entities.iter();
    for (name, parents) in relations::parents(types.map(|(name, it)| (name, &*it.relations))) {
        if let Some(config) = entities.get_mut(&name) {
            config.parents = parents.into();
        }
    }
    entities
}
