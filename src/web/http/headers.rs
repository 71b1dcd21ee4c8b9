//! The app's headers: a record, or a function that is called for each request, and again when
//! the remote refuses the token.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;

use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::util::local_sync::Mutex;
use crate::web::interop::{await_value, thrown_text};
use crate::web::thrown::coded_error;
use crate::web::timer::within;

#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readHeaders)]
    fn read_headers(value: &JsValue) -> Result<JsValue, JsValue>;
}

/// Valid names and values.
pub(crate) type List = Rc<[(String, String)]>;

/// `HeaderSource` of the public surface.
#[derive(Debug)]
pub(crate) enum HeaderSource {
    /// The same for every request.
    Fixed(List),
    /// Called for each request.
    Function(Box<Refreshing>),
}

/// A header function, and the one refresh that concurrent refusals share.
#[derive(Debug)]
pub(crate) struct Refreshing {
    function: Function,
    /// Counts refreshes: a request remembers the count when its headers were made.
    generation: Cell<u64>,
    /// The result of the last refresh, for the requests that waited for it.
    outcome: RefCell<Result<List>>,
    /// Held while the app's function makes fresh headers.
    turn: Mutex,
}

/// Headers to send, and the count of refreshes when they were made.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) list: List,
    generation: u64,
}

impl HeaderSource {
    /// Takes what `config.js` has read of `remote.headers`: a function, or names and values.
    pub(crate) fn new(value: JsValue) -> Self {
        match value.dyn_into::<Function>() {
            Ok(function) => Self::Function(Box::new(Refreshing {
                function,
                generation: Cell::new(0),
                outcome: RefCell::new(Ok(Rc::from([]))),
                turn: Mutex::default(),
            })),
            Err(pairs) => Self::Fixed(list_of(&pairs)),
        }
    }

    /// Returns the headers for a request.
    ///
    /// # Errors
    /// Fails with [`Code::Unauthorized`] if the function fails, or takes longer than `ms`
    /// milliseconds.
    pub(crate) async fn current(&self, ms: u32) -> Result<Sent> {
        match self {
            Self::Fixed(list) => Ok(Sent {
                list: list.clone(),
                generation: 0,
            }),
            Self::Function(source) => {
                // Before the call: a refresh that ends during it may be newer than its headers.
                let generation = source.generation.get();
                Ok(Sent {
                    list: source.ask("request", ms).await?,
                    generation,
                })
            }
        }
    }

    /// Returns the headers for a second try after the remote refused `sent`; `None` for fixed
    /// headers. Requests that were refused at the same time share one call of the function.
    ///
    /// # Errors
    /// As for [`Self::current`].
    pub(crate) async fn refreshed(&self, sent: &Sent, ms: u32) -> Result<Option<Sent>> {
        let Self::Function(source) = self else {
            return Ok(None);
        };
        // If the holder is dropped during the call, the next in the queue calls again.
        let _turn = source.turn.lock().await;
        if source.generation.get() == sent.generation {
            let outcome = source.ask("unauthorized", ms).await;
            source.generation.set(sent.generation.wrapping_add(1));
            *source.outcome.borrow_mut() = outcome;
        }
        let list = source.outcome.borrow().clone()?;
        Ok(Some(Sent {
            list,
            generation: source.generation.get(),
        }))
    }
}

impl Refreshing {
    async fn ask(&self, reason: &str, ms: u32) -> Result<List> {
        let wrong = |message: String| Error::new(Code::Unauthorized, message);
        let failed = |thrown: JsValue| {
            if let Some(error) = coded_error(&thrown) {
                return error;
            }
            wrong("The `remote.headers` function failed.".to_owned())
                .caused_by(thrown_text(&thrown))
        };
        let returned = self
            .function
            .call1(&JsValue::UNDEFINED, &JsValue::from_str(reason))
            .map_err(failed)?;
        let value = match within(ms, await_value(&returned)).await {
            Some(value) => value.map_err(failed)?,
            None => {
                return Err(wrong(format!(
                    "The `remote.headers` function did not answer within {ms} ms."
                )));
            }
        };
        let pairs = read_headers(&value).map_err(|what| {
            let what = what.as_string().unwrap_or_default();
            wrong(format!(
                "The `remote.headers` function returned headers that cannot be sent: {what}"
            ))
        })?;
        Ok(list_of(&pairs))
    }
}

/// Returns the headers of names and values in turns.
fn list_of(pairs: &JsValue) -> List {
    let pairs: Vec<String> = Array::from(pairs)
        .iter()
        .filter_map(|text| text.as_string())
        .collect();
    pairs
        .as_chunks()
        .0
        .iter()
        .map(|[name, value]| (name.clone(), value.clone()))
        .collect()
}
