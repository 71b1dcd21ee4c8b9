//! Failures of IndexedDB, classified by the name of the DOMException.

use wasm_bindgen::JsValue;

use crate::model::error::{Code, Error};
use crate::web::interop::{member, thrown_text};

/// Why a request, a transaction or an open failed.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The browser's exception.
    Browser {
        /// `DOMException.name`, the only part to branch on.
        name: String,
        /// For people.
        message: String,
    },
    /// A coded error; trying again does not help.
    Ours(Error),
}

impl Fault {
    pub(super) fn named(name: &str, message: &str) -> Self {
        Self::Browser {
            name: name.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn thrown(thrown: &JsValue) -> Self {
        // A DOMException inherits from Error in every engine.
        // By its members and not by its class: a test runner's DOMException may be another realm's.
        let text = |key: &str| member(thrown, key).as_string();
        Self::Browser {
            name: text("name").unwrap_or_else(|| "UnknownError".to_owned()),
            message: text("message").unwrap_or_else(|| thrown_text(thrown)),
        }
    }

    /// Whether the connection or its backing process is gone, so that a fresh one may work: Safari
    /// after a time in the background, a forced close, a store that opens on the second try.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Browser { name, .. } => {
                matches!(
                    name.as_str(),
                    "InvalidStateError"
                        | "UnknownError"
                        | "AbortError"
                        | "TransactionInactiveError"
                )
            }
            Self::Ours(_) => false,
        }
    }

    /// Returns the coded error of a final fault.
    pub(super) fn into_error(self) -> Error {
        let (name, message) = match self {
            Self::Ours(error) => return error,
            Self::Browser { name, message } => (name, message),
        };
        let (code, advice) = match name.as_str() {
            "QuotaExceededError" => (
                Code::StorageFull,
                "The browser's storage quota is used up; free space, or clear data that is no longer needed.",
            ),
            "VersionError" => (
                Code::Migration,
                "The stored database was made by a newer version of this app; reload the page to get that version.",
            ),
            "NotReadableError" | "DataError" => {
                (Code::Corrupt, "A stored value cannot be read back.")
            }
            _ => (Code::StorageUnavailable, "IndexedDB failed here."),
        };
        Error::new(code, advice).caused_by(format_args!("{name}: {message}"))
    }
}

impl From<JsValue> for Fault {
    fn from(thrown: JsValue) -> Self {
        Self::thrown(&thrown)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}
