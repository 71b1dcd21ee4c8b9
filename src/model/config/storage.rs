//! How durably data is stored.

use crate::model::checked_object::CheckedObject;

/// Who asks the browser never to evict the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persist {
    /// The app, when its user will understand the question.
    #[default]
    Ask,
    /// The engine, as soon as there is something to lose.
    Always,
    /// Nobody.
    Never,
}

impl Persist {
    pub(super) fn read(given: CheckedObject<'_>) -> Option<Self> {
        Some(match given.value("persist")?.as_bool() {
            Some(true) => Self::Always,
            Some(false) => Self::Never,
            None => Self::Ask,
        })
    }
}

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The data is flushed to the disk.
    #[default]
    Strict,
    /// The data is handed to the operating system: it survives the process, but not a power cut.
    Relaxed,
}
