//! A journal that a function of JavaScript keeps.

use datum_server::ServerError;
use datum_server::memory::Journal;
use datum_server::rules::store::Result;
use js_sys::Function;
use wasm_bindgen::JsValue;

use crate::thrown::{Kept, keep, message};

thread_local! {
    static FUNCTIONS: Kept<Function> = const { Kept::new(Vec::new()) };
}

/// The function's number.
#[derive(Debug)]
pub struct JsJournal(usize);

impl JsJournal {
    /// Takes the function, which throws where it cannot keep a line.
    pub fn new(append: Function) -> Self {
        Self(keep(&FUNCTIONS, append))
    }
}

impl Journal for JsJournal {
    fn append(&self, line: &str) -> Result<()> {
        // Cloned, so that nothing is borrowed while JavaScript runs.
        let append = FUNCTIONS.with_borrow(|all| all.get(self.0).cloned());
        let append = append.ok_or_else(|| ServerError::internal("the journal is gone"))?;
        match append.call1(&JsValue::NULL, &line.into()) {
            Ok(_) => Ok(()),
            Err(thrown) => Err(ServerError::storage_failed(message(&thrown))),
        }
    }
}
