//! Reads `SyncOptions`.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::js::convert::read_options;
use crate::model::config::Options;
use crate::model::error::Result;

/// The options of one cycle: checked data, and the live objects beside it.
#[derive(Default)]
pub(crate) struct SyncOptions {
    pub(super) options: Options,
    pub(super) resolver: Option<Function>,
    pub(super) signal: Option<AbortSignal>,
}

impl SyncOptions {
    /// Reads the app's argument.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`], naming the field.
    pub(crate) fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(value, "sync")?;
        Ok(Self {
            options: Options::read(given.data()),
            resolver: given.live("conflictResolver"),
            signal: given.live("signal"),
        })
    }
}
