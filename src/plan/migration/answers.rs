//! What the app's migrations have answered, for a trace: it cannot call them again.

use crate::plan::trace::{Described, describe};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::{Items, push_field, put, put_text};

/// The answers of a migration so far.
#[derive(Debug, Default)]
pub struct Answers {
    /// Types that change, and the versions from which they do.
    changes: VecMap<SeqMap<()>>,
    /// The entities that were made, by their names.
    made: OrderedMap<Box<str>>,
}

impl Answers {
    /// Notes that entities of a type change on the way from a version.
    pub fn note_change(&mut self, entity: &str, from: u32) {
        self.changes.entry(entity).insert(u64::from(from), ());
    }

    /// Notes what was made of an entity.
    pub(super) fn note(&mut self, name: &str, text: &str) {
        self.made.insert(name, text.into());
    }

    /// Describes the migration: the answers are what it was given.
    #[must_use]
    pub fn describe(&self) -> Described {
        describe::described("migration", |out| {
            let mut changes = Items::new(0);
            for (entity, versions) in self.changes.iter() {
                for from in versions.keys() {
                    let item = changes.open();
                    item.push('{');
                    put_text(item, "entity", entity);
                    put(item, "from", &from);
                    item.push('}');
                }
            }
            push_field(out, "changes", &changes.close());
            let mut made = Items::new(0);
            for (name, text) in self.made.iter() {
                let item = made.open();
                item.push('{');
                put_text(item, "of", name);
                describe::put_body(item, "data", Some(text));
                item.push('}');
            }
            push_field(out, "made", &made.close());
        })
    }
}

/// Describes the commit that states the app's version where no migration changes anything.
#[must_use]
pub fn stated() -> Described {
    describe::described("schema", |_| {})
}
