//! Export and import of a user's data, as streams of the platform.

use std::cell::OnceCell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::transfer::ImportOptions;
use crate::js::arguments::read_optional_user;
use crate::js::convert::{promise, read_options, to_js};
use crate::js::engine::WebExport;
use crate::js::feed::{AbortWatch, Feed, LoopReader, Next};
use crate::js::instance::Instance;
use crate::model::error::{Code, Error, Result};
use crate::plan::import::Existing;
use crate::transfer::file::UserFile;
use crate::transfer::read::FileReader;
use crate::util::local_sync::Mutex;
use crate::web::interop::{await_value, thrown_text};
use crate::web::thrown::coded_error;

#[wasm_bindgen(module = "/src/js/transfer.js")]
extern "C" {
    #[wasm_bindgen(js_name = streamOf)]
    fn stream_of(feed: Feed, on_progress: Option<Function>, signal: Option<AbortSignal>)
    -> JsValue;
    fn tell(on_progress: &Function, phase: &str, lines: f64, total: f64);
    #[wasm_bindgen(js_name = fileOf)]
    fn file_of(text: &str) -> JsValue;

    /// The chunks of a file.
    type Source;
    #[wasm_bindgen(constructor)]
    fn new(source: &JsValue, signal: Option<AbortSignal>) -> Source;
    #[wasm_bindgen(method)]
    fn next(this: &Source) -> Promise;
    #[wasm_bindgen(method)]
    fn end(this: &Source) -> Promise;
}

/// Returns a user's data as a stream of lines.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the wrong argument; [`Code::NoUser`].
pub(super) fn export(
    instance: &Rc<Instance>,
    user_id: &JsValue,
    options: &JsValue,
) -> Result<JsValue> {
    let given = read_options(options, "export")?;
    let user = instance
        .engine
        .user_or_current(read_optional_user(user_id)?)?;
    let local_only = given.data().flag("localOnly").unwrap_or(true);
    let instance = Rc::clone(instance);
    let feed = Feed::new(move || {
        Rc::new(ExportReader {
            instance: Rc::clone(&instance),
            user: user.clone(),
            local_only,
            turn: Mutex::default(),
            started: OnceCell::new(),
        })
    });
    let (on_progress, signal) = (given.live("onProgress"), given.live("signal"));
    Ok(stream_of(feed, on_progress, signal))
}

/// Returns the trace of a user's database as a file.
pub(super) fn trace(instance: &Rc<Instance>, user_id: &JsValue) -> Promise {
    let (instance, user) = (Rc::clone(instance), read_optional_user(user_id));
    promise(async move {
        let user = instance.engine.user_or_current(user?)?;
        let text = instance.engine.transfer().trace(&user).await?;
        Ok(file_of(&text))
    })
}

/// Imports a file.
pub(super) fn import(instance: &Rc<Instance>, source: &JsValue, options: &JsValue) -> Promise {
    let (instance, given) = (Rc::clone(instance), read_options(options, "import"));
    let source = source.clone();
    promise(async move {
        let given = given?;
        let (data, signal) = (given.data(), given.live::<AbortSignal>("signal"));
        let options = ImportOptions {
            user_id: data.text("userId"),
            existing: data
                .choice("existing", &Existing::NAMES)
                .unwrap_or_default(),
            as_new: data.flag("asNew").unwrap_or_default(),
            dry_run: data.flag("dryRun").unwrap_or_default(),
        };
        let source = Source::new(&source, signal.clone());
        let on_progress = given.live::<Function>("onProgress");
        let read = read_file(&instance, &source, &options, on_progress.as_ref()).await;
        if read.is_err() {
            let _ = await_value(&source.end()).await;
        }
        let cancel = Rc::new(Cancel::default());
        let _watch = signal.map(|signal| AbortWatch::new(signal, &cancel, Stop::Abort));
        let result = instance
            .engine
            .transfer()
            .import(&read?, &options, &cancel)
            .await?;
        if !result.dry_run {
            instance.compact_later(&result.user_id);
        }
        to_js(&result)
    })
}

/// Reads a file to its end. What its first line forbids ends the reading there.
async fn read_file(
    instance: &Rc<Instance>,
    source: &Source,
    options: &ImportOptions,
    on_progress: Option<&Function>,
) -> Result<UserFile> {
    let mut reader = FileReader::default();
    let mut is_checked = false;
    loop {
        let next = await_value(&source.next()).await;
        let chunk = next.map_err(|thrown| unreadable(&thrown))?;
        if chunk.is_undefined() {
            return reader.finish();
        }
        reader.push(&chunk.unchecked_into::<Uint8Array>().to_vec())?;
        if let Some(header) = reader.header() {
            if !is_checked {
                instance.engine.transfer().check(header, options)?;
                is_checked = true;
            }
            if let Some(on_progress) = on_progress {
                // The first and the last line count, too.
                let total = header.lines.saturating_add(2);
                tell(on_progress, "reading", reader.lines() as f64, total as f64);
            }
        }
    }
}

/// Returns the error for what a source has thrown.
fn unreadable(thrown: &JsValue) -> Error {
    coded_error(thrown).unwrap_or_else(|| {
        let problem = format!("`source` could not be read: {}", thrown_text(thrown));
        Error::new(Code::InvalidArgument, problem)
    })
}

/// An export, which starts with the first look at it.
struct ExportReader {
    instance: Rc<Instance>,
    user: String,
    local_only: bool,
    turn: Mutex,
    started: OnceCell<WebExport>,
}

impl LoopReader for ExportReader {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move {
            let turn = self.turn.lock().await;
            if self.started.get().is_none() {
                let transfer = self.instance.engine.transfer();
                let export = transfer.export(&self.user, self.local_only).await?;
                let _ = self.started.set(export);
            }
            let Some(export) = self.started.get() else {
                return Ok(None);
            };
            let lines = export.next().await?;
            drop(turn);
            Ok(lines.map(|lines| {
                let (written, total) = export.progress();
                let chunk = Array::new();
                chunk.push(&Uint8Array::from(lines.as_bytes()));
                chunk.push(&JsValue::from_f64(written as f64));
                chunk.push(&JsValue::from_f64(total as f64));
                chunk.into()
            }))
        })
    }

    fn end(&self) {}
}
