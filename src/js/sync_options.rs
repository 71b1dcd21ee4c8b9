//! Reads `SyncOptions`.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::js::convert::read_options;
use crate::js::resolver::{self, AppResolver};
use crate::model::config::Options;
use crate::model::error::{Code, Result};

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
        let given = read_options(
            value,
            Code::InvalidArgument,
            "The sync options",
            &["conflictResolver", "signal"],
        )?;
        let mut options = Options::read(given.members()?)?;
        let resolver = match given.handles.get("conflictResolver") {
            Some(given) => match resolver::read(&given, Code::InvalidArgument, "conflictResolver")?
            {
                AppResolver::Builtin(builtin) => {
                    options.conflict_resolver = Some(builtin);
                    None
                }
                AppResolver::Custom(custom) => Some(custom),
            },
            None => None,
        };
        Ok(Self {
            options,
            resolver,
            signal: given.handles.signal("signal")?,
        })
    }
}
