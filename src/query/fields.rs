//! The fields that a query names, and their values in one pass over an entity's text.

use crate::query::cell::Cell;
use crate::query::walk::{Walk, decode};

/// An entity as the app sees it, in its parts. `id`, `userId`, `spaceId`, `version`, `isDeleted` and
/// `$syncState` are those given here, whatever the body says.
#[derive(Clone, Copy, Debug)]
pub struct EntityRef<'a> {
    pub id: &'a str,
    /// The shared space; `None` for the user's own.
    pub space: Option<&'a str>,
    pub user: &'a str,
    pub version: u64,
    pub deleted: bool,
    /// How far its writes have come; any text in a query that does not name it.
    pub sync_state: &'a str,
    /// A JSON object that has been validated.
    pub body: &'a str,
}

/// Where the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldOrigin {
    Body,
    Id,
    User,
    Space,
    Version,
    Deleted,
    SyncState,
    /// A part of a value that has no parts.
    Nowhere,
}

fn origin(name: &[u8], is_part: bool) -> FieldOrigin {
    let own = match name {
        b"id" => FieldOrigin::Id,
        b"userId" => FieldOrigin::User,
        b"spaceId" => FieldOrigin::Space,
        b"version" => FieldOrigin::Version,
        b"isDeleted" => FieldOrigin::Deleted,
        b"$syncState" => FieldOrigin::SyncState,
        _ => return FieldOrigin::Body,
    };
    if is_part { FieldOrigin::Nowhere } else { own }
}

/// A part of a path, and what the paths that share it go on with.
#[derive(Debug, Default)]
struct Step {
    name: Vec<u8>,
    /// The index that the name is in an array.
    index: Option<usize>,
    slot: Option<usize>,
    inner: Vec<Step>,
}

impl Step {
    fn child<'a>(steps: &'a mut Vec<Self>, name: &[u8]) -> Option<&'a mut Self> {
        let at = steps.iter().position(|step| step.name == name);
        let at = at.unwrap_or_else(|| {
            steps.push(Self {
                name: name.to_vec(),
                index: index(name),
                ..Self::default()
            });
            steps.len().saturating_sub(1)
        });
        steps.get_mut(at)
    }
}

/// Reads an index as JavaScript writes it: without leading zeros.
fn index(name: &[u8]) -> Option<usize> {
    let plain = name.len() < 10 && name.iter().all(u8::is_ascii_digit);
    let canonical = plain && (name.len() == 1 || !name.starts_with(b"0"));
    std::str::from_utf8(name)
        .ok()
        .filter(|_| canonical)?
        .parse()
        .ok()
}

/// The fields that a query or an index names. Each has a slot.
#[derive(Debug, Default)]
pub(super) struct FieldPaths {
    /// The path of each slot, as bytes that are the same for the same field.
    paths: Vec<Vec<Vec<u8>>>,
    origins: Vec<FieldOrigin>,
    steps: Vec<Step>,
}

impl FieldPaths {
    /// Returns the slot of a field, given the parts of its path.
    pub(super) fn slot(&mut self, path: &[Vec<u8>]) -> usize {
        if let Some(slot) = self.paths.iter().position(|have| have == path) {
            return slot;
        }
        let slot = self.paths.len();
        let first = path.first().map(Vec::as_slice).unwrap_or_default();
        let origin = origin(first, path.len() > 1);
        self.paths.push(path.to_vec());
        self.origins.push(origin);
        if origin == FieldOrigin::Body {
            let mut steps = &mut self.steps;
            let mut parts = path.iter().peekable();
            while let Some(part) = parts.next() {
                let Some(step) = Step::child(steps, part) else {
                    break;
                };
                if parts.peek().is_none() {
                    step.slot = Some(slot);
                    break;
                }
                steps = &mut step.inner;
            }
        }
        slot
    }

    /// Returns true if a field is how far the entity's writes have come.
    pub(super) fn name_sync_state(&self) -> bool {
        self.origins.contains(&FieldOrigin::SyncState)
    }

    /// Returns the path of a slot for people.
    pub(super) fn text(&self, slot: usize) -> String {
        let mut text = String::new();
        for part in self.path(slot) {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(std::str::from_utf8(part).unwrap_or_default());
        }
        text
    }

    /// Returns the path of a slot.
    pub(super) fn path(&self, slot: usize) -> &[Vec<u8>] {
        self.paths.get(slot).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Where the values of an entity's fields are in its text. Used again for the next entity.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Start and end in the body; an empty range for a field that is not there.
    ranges: Vec<(usize, usize)>,
    /// Room to decode a name into.
    name: Vec<u8>,
}

impl Slots {
    /// Finds the fields of an entity.
    pub(super) fn fill(&mut self, paths: &FieldPaths, entity: &EntityRef<'_>) {
        self.ranges.clear();
        self.ranges.resize(paths.paths.len(), (0, 0));
        if !paths.steps.is_empty() {
            self.object(&paths.steps, entity.body.as_bytes(), 0);
        }
    }

    /// Returns the value of a field of the entity that was read last.
    pub(super) fn cell<'a>(
        &self,
        paths: &FieldPaths,
        slot: usize,
        entity: &EntityRef<'a>,
    ) -> Cell<'a> {
        match paths.origins.get(slot) {
            Some(FieldOrigin::Body) => {
                let (start, end) = self.ranges.get(slot).copied().unwrap_or_default();
                let body = entity.body.as_bytes();
                Cell::read(body.get(start..end).unwrap_or_default())
            }
            Some(FieldOrigin::Id) => Cell::Text(entity.id.as_bytes()),
            Some(FieldOrigin::User) => Cell::Text(entity.user.as_bytes()),
            Some(FieldOrigin::Space) => entity
                .space
                .map_or(Cell::Null, |space| Cell::Text(space.as_bytes())),
            Some(FieldOrigin::Version) => Cell::Number(entity.version as f64),
            Some(FieldOrigin::Deleted) => Cell::Bool(entity.deleted),
            Some(FieldOrigin::SyncState) => Cell::Text(entity.sync_state.as_bytes()),
            Some(FieldOrigin::Nowhere) | None => Cell::Null,
        }
    }

    /// Reads the members of an object that begins at `base`. It reads on behind the last field: a
    /// name may stand twice, and the last one counts, as in `JSON.parse`.
    fn object(&mut self, steps: &[Step], json: &[u8], base: usize) {
        let mut walk = Walk::new(json);
        let mut more = walk.peek() == b'{' && walk.enter();
        while more {
            let name = walk.name();
            let step = if name.contains(&b'\\') {
                self.name.clear();
                decode(name, &mut self.name);
                steps.iter().find(|step| step.name == self.name)
            } else {
                steps.iter().find(|step| step.name == name)
            };
            let value = walk.value();
            if let Some(step) = step {
                self.forget(step);
                let end = base.saturating_add(walk.offset());
                self.value(step, value, end.saturating_sub(value.len()));
            }
            more = walk.more();
        }
    }

    fn array(&mut self, steps: &[Step], json: &[u8], base: usize) {
        let mut walk = Walk::new(json);
        let mut more = walk.enter();
        let mut at = 0_usize;
        while more {
            let value = walk.value();
            let end = base.saturating_add(walk.offset());
            for step in steps.iter().filter(|step| step.index == Some(at)) {
                self.value(step, value, end.saturating_sub(value.len()));
            }
            at = at.saturating_add(1);
            more = walk.more();
        }
    }

    fn value(&mut self, step: &Step, value: &[u8], start: usize) {
        if let Some(range) = step.slot.and_then(|slot| self.ranges.get_mut(slot)) {
            *range = (start, start.saturating_add(value.len()));
        }
        if !step.inner.is_empty() {
            match value.first() {
                Some(b'{') => self.object(&step.inner, value, start),
                Some(b'[') => self.array(&step.inner, value, start),
                _ => {}
            }
        }
    }

    /// Forgets what an earlier member of the same name has.
    fn forget(&mut self, step: &Step) {
        if let Some(range) = step.slot.and_then(|slot| self.ranges.get_mut(slot)) {
            *range = (0, 0);
        }
        step.inner.iter().for_each(|inner| self.forget(inner));
    }
}
