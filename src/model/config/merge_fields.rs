//! `mergeFields` of an entity type: the merge policy of each field.

use std::rc::Rc;

use crate::model::checked_object::CheckedObject;
use crate::util::collections::vec_map::VecMap;

/// Reads the policies of a type.
pub(super) fn read(entity: CheckedObject<'_>) -> Rc<Policies> {
    let Some(fields) = entity.object("mergeFields") else {
        return Rc::default();
    };
    let mut policies = Policies::default();
    for (path, _) in fields.entries() {
        if let Some(policy) = fields.choice(path, &Policy::NAMES) {
            policies.insert(path, policy);
        }
    }
    Rc::new(policies)
}

/// How a field is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Takes the local value.
    Local,
    /// Takes the remote value.
    Remote,
    /// Takes the later write.
    LastWrite,
    /// The smaller number, the earlier time or the first string.
    Min,
    /// The larger number, the later time or the last string.
    Max,
    /// Adds both sides' changes to the base.
    Sum,
    /// Arrays as sets: keeps what either side added and drops what either side removed.
    Union,
    /// Merges text three-way, by lines and words.
    Text,
}

impl Policy {
    /// Each value with its name in the config.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("local", Self::Local),
        ("remote", Self::Remote),
        ("lastWrite", Self::LastWrite),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("union", Self::Union),
        ("text", Self::Text),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, policy)| *policy == self)
            .map_or("", |(name, _)| name)
    }
}

/// Policies by the field's path, such as `address.city`.
pub type Policies = VecMap<Policy>;

/// Returns true if any field is summed.
#[must_use]
pub fn sums(policies: &Policies) -> bool {
    policies.values().any(|policy| *policy == Policy::Sum)
}
