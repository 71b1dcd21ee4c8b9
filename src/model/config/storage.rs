//! How durably data is stored.

use crate::model::object_reader::ObjectReader;

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
    pub(super) fn read(given: &mut ObjectReader<'_>) -> Option<Self> {
        match given.value("persist")? {
            serde_json::Value::Bool(true) => Some(Self::Always),
            serde_json::Value::Bool(false) => Some(Self::Never),
            serde_json::Value::String(ask) if ask == "ask" => Some(Self::Ask),
            _ => given.reject("persist", "must be true, false or \"ask\"."),
        }
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
