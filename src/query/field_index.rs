//! One index: the keys of all entities of a type in order of its fields.

use crate::query::fields::FieldPaths;
use crate::query::key_set::KeySet;
use crate::query::read::{OrderKey, field};

/// An index on one or more fields. It has every entity, also those without its fields and deleted
/// ones.
#[derive(Debug)]
pub(super) struct FieldIndex {
    pub(super) paths: FieldPaths,
    pub(super) order: Vec<OrderKey>,
    pub(super) keys: KeySet,
}

impl FieldIndex {
    /// Returns an index without entities.
    ///
    /// # Errors
    /// Fails with what is wrong with the fields, as the end of a sentence about them.
    pub(super) fn new(fields: &[&str]) -> Result<Self, &'static str> {
        if fields.is_empty() {
            return Err("must name a field.");
        }
        let mut paths = FieldPaths::default();
        let mut order = Vec::with_capacity(fields.len());
        for path in fields {
            order.push(OrderKey {
                slot: paths.slot(&field::parse(path.as_bytes())?),
                descending: false,
                nulls_first: None,
            });
        }
        if paths.name_sync_state() {
            return Err("cannot be on `$syncState`, which is no field that is stored.");
        }
        Ok(Self {
            keys: KeySet::new(false, false),
            paths,
            order,
        })
    }
}
