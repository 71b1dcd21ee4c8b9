//! Who asks the browser to keep what is stored.

use crate::error::Result;
use crate::members::Members;

/// Who asks the browser never to evict what is stored.
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
    pub(super) fn read(given: &mut Members<'_>) -> Result<Option<Self>> {
        match given.value("persist") {
            None => Ok(None),
            Some(serde_json::Value::Bool(true)) => Ok(Some(Self::Always)),
            Some(serde_json::Value::Bool(false)) => Ok(Some(Self::Never)),
            Some(serde_json::Value::String(ask)) if ask == "ask" => Ok(Some(Self::Ask)),
            Some(_) => Err(given.wrong("persist", "must be true, false or \"ask\".")),
        }
    }
}
