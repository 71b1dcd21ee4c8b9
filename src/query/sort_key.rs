//! The place of an entity in the order of a query or an index.

use std::fmt;
use std::rc::Rc;

use crate::query::filter::Found;
use crate::query::order;
use crate::query::read::{OrderKey, Query};

/// How long the length at the end of a key is.
const LENGTH: usize = 2;

/// Is set in the length if the identity is inverted.
const INVERTED: u16 = 0x8000;

/// The values of the order and the identity of the entity, as bytes that compare as entities do. The
/// identity is id and space, each with a zero byte behind it, and its length behind both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey(Rc<[u8]>);

impl SortKey {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the identity as it stands in the key.
    pub(super) fn identity(&self) -> &[u8] {
        identity(&self.0)
    }

    /// Returns the entity's id and its space.
    #[must_use]
    pub fn entity(&self) -> (String, Option<String>) {
        let mut bytes = self.identity().to_vec();
        if is_inverted(&self.0) {
            order::invert(&mut bytes);
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        let (id, rest) = text.split_once('\0').unwrap_or((&text, ""));
        let space = rest.trim_end_matches('\0');
        let space = (!space.is_empty()).then(|| space.to_owned());
        (id.to_owned(), space)
    }

    /// Returns how much memory the key takes, about.
    pub(super) fn cost(&self) -> usize {
        const AROUND: usize = 64;
        self.0.len().saturating_add(AROUND)
    }
}

impl fmt::Debug for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SortKey({:?})", self.entity())
    }
}

/// Returns the id at which a result in order of id begins, if it does not begin at the first.
#[must_use]
pub fn first_id(query: &Query) -> Option<String> {
    let after = query.after.as_deref().filter(|_| query.order.is_empty())?;
    Some(SortKey::new(after).entity().0)
}

/// Writes the key of an entity.
pub(super) fn write(out: &mut Vec<u8>, keys: &[OrderKey], found: Found<'_>) {
    out.clear();
    for key in keys {
        order::push_part(out, found.cell(key.slot), key.descending, key.nulls_first);
    }
    let entity = found.entity;
    push_identity(out, entity.id, entity.space, is_descending(keys));
}

/// Returns true if entities that are otherwise equal are in descending order of id: they have the
/// direction of the last key, so that a list backwards is the list from its end.
pub(super) fn is_descending(keys: &[OrderKey]) -> bool {
    keys.last().is_some_and(|key| key.descending)
}

/// Appends the identity of an entity.
pub(super) fn push_identity(out: &mut Vec<u8>, id: &str, space: Option<&str>, inverted: bool) {
    let start = out.len();
    for part in [id, space.unwrap_or_default()] {
        out.extend_from_slice(part.as_bytes());
        out.push(0);
    }
    let identity = out.get_mut(start..).unwrap_or_default();
    let mut length = (identity.len() as u16) & !INVERTED;
    if inverted {
        order::invert(identity);
        length |= INVERTED;
    }
    out.extend(length.to_be_bytes());
}

/// Turns the direction of a whole key around.
pub(super) fn reverse(key: &mut [u8]) {
    let end = key.len().saturating_sub(LENGTH);
    if let Some((bytes, length)) = key.split_at_mut_checked(end) {
        order::invert(bytes);
        if let Some(first) = length.first_mut() {
            *first ^= 0x80;
        }
    }
}

fn is_inverted(key: &[u8]) -> bool {
    let length = key.last_chunk::<LENGTH>();
    length.is_some_and(|length| u16::from_be_bytes(*length) & INVERTED != 0)
}

/// Returns the part of a key that is the entity's identity.
pub(super) fn identity(key: &[u8]) -> &[u8] {
    let Some((rest, length)) = key.split_last_chunk::<LENGTH>() else {
        return &[];
    };
    let length = usize::from(u16::from_be_bytes(*length) & !INVERTED);
    let start = rest.len().saturating_sub(length);
    rest.get(start..).unwrap_or_default()
}
