//! What an app writes in one call, and what comes of it.

use std::rc::Rc;

use serde_json::Value;

use crate::model::config::Config;
use crate::model::entity::OwnedKey;
use crate::model::error::Result;
use crate::model::operation::Parent;
use crate::model::schema_field::SchemaField;

/// One write of the app. Bodies are the app's JSON text.
#[derive(Debug, Clone)]
pub enum Write {
    /// Creates an entity.
    Create { draft: String },
    /// Replaces an entity.
    Update {
        /// The entity, with its id.
        entity: String,
    },
    /// Changes some fields.
    Patch {
        id: String,
        /// The changed fields.
        changes: String,
    },
    /// Changes some fields and removes others. On the wire it is an update, since a patch there
    /// removes nothing.
    PatchAndRemove {
        id: String,
        /// The changed fields.
        changes: String,
        /// The names of the removed fields.
        removed: Vec<String>,
    },
    /// Takes an entity to another space.
    Move {
        id: String,
        /// The space; `None` for the personal one.
        to: Option<String>,
    },
    /// Deletes an entity.
    Delete {
        id: String,
        /// The body stays readable under `includeDeleted`.
        soft: bool,
    },
}

/// The writes of one call: all of them succeed, or none.
#[derive(Debug, Clone)]
pub struct Group {
    /// The entity type, or one of its tables: see [`crate::state::tables`].
    pub entity: String,
    /// The writes, in order.
    pub writes: Vec<Write>,
    /// The fields of this type that never leave the device.
    pub local_only: Rc<[String]>,
    /// A field of this type is summed: nothing is coalesced into an operation that any tab may have
    /// sent.
    pub sums: bool,
    /// The field in which entities name their version of the app's schema.
    pub schema: Option<Rc<SchemaField>>,
    /// The relations of this type, as the config has them.
    pub relations: Rc<Value>,
    /// The parent types that its foreign keys refer to.
    pub parents: Rc<[Parent]>,
    /// Entities whose operations are sent first.
    pub after: Rc<[OwnedKey]>,
    /// The write replaces a kept rejection instead of building on it.
    pub ignore_kept_rejection: bool,
}

/// The result of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The entity as the app now sees it.
    Entity(String),
    /// The id of the deleted entity.
    Deleted(String),
    /// There was no entity to delete.
    Absent,
}

/// One outcome for each group, in order. The commit contains the successful ones.
pub type Outcomes = Vec<Result<Vec<Written>>>;

impl Group {
    /// Returns the group for writes of a type, with the config's rules for that type.
    #[must_use]
    pub fn of(config: &Config, entity: &str, writes: Vec<Write>) -> Self {
        let rules = config.of(entity).cloned().unwrap_or_default();
        Self {
            entity: entity.to_owned(),
            writes,
            local_only: rules.local_only,
            sums: config.sums(entity),
            schema: config.schema_field.clone(),
            relations: rules.relations,
            parents: rules.parents,
            after: Rc::default(),
            ignore_kept_rejection: false,
        }
    }
}
