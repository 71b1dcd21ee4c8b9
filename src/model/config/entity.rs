//! `entities` of the config: the types and their own settings.

use std::rc::Rc;

use crate::model::config::is_name;
use crate::model::config::merge_fields::{self, Policies};
use crate::model::config::relations;
use crate::model::config::resolver::Builtin;
use crate::model::entity::OWN_FIELDS;
use crate::model::object_reader::ObjectReader;
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
    /// The types that its foreign keys refer to.
    pub parents: Rc<[Parent]>,
    /// Rejected writes stay visible here until the app has dealt with them.
    pub keeps_rejected: bool,
}

pub(super) fn read_entities(given: &mut ObjectReader<'_>) -> VecMap<EntityConfig> {
    let mut entities = VecMap::default();
    if let Some(mut types) = given.object("entities") {
        for name in types.names() {
            is_name(&types, name, "is no name for an entity type: ", name);
            if name.starts_with('$') {
                types.reject::<()>(name, "is no name for an entity type: it begins with `$`, as spaces and their members do, which need no entry.");
            }
            let mut config = EntityConfig::default();
            if let Some(mut entity) = types.object(name) {
                config.conflict_resolver = entity.choice("conflictResolver", &Builtin::NAMES);
                config.delete_behavior = entity.choice("deleteBehavior", &DeleteBehavior::NAMES);
                config.local_only = read_local_only(&mut entity);
                config.merge_fields = merge_fields::read(&mut entity, &config.local_only);
                config.parents = relations::read_parents(&mut entity);
                config.keeps_rejected = entity
                    .choice("onRejected", &[("revert", false), ("keepLocal", true)])
                    .unwrap_or_default();
                entity.reject_unknown();
            }
            entities.insert(name, config);
        }
    }
    if entities.is_empty() {
        given.reject::<()>(
            "entities",
            "must name at least one entity type, such as { tasks: {} }.",
        );
    }
    check_relations(given, &entities);
    entities
}

fn check_relations(given: &ObjectReader<'_>, entities: &VecMap<EntityConfig>) {
    for (name, config) in entities.iter() {
        if let Some(parent) = config
            .parents
            .iter()
            .find(|parent| !entities.contains(&parent.entity))
        {
            let problem = format!(
                "of `{name}` has a relation to `{}`, which is no entity type of this config.",
                parent.entity
            );
            given.reject::<()>("entities", &problem);
        }
    }
}

fn read_local_only(entity: &mut ObjectReader<'_>) -> Rc<[String]> {
    let names = entity.texts("localOnly").unwrap_or_default();
    for name in &names {
        if name.is_empty() {
            entity.reject::<()>(
                "localOnly",
                "has an empty name; give the names of top-level fields.",
            );
        }
        if OWN_FIELDS.contains(&name.as_str()) {
            entity.reject::<()>(
                "localOnly",
                &format!(
                    "names `{name}`, which the engine owns and the server needs; leave it out."
                ),
            );
        }
    }
    Rc::from(names)
}
