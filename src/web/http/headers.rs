//! The app's headers: a record, or a function that is called for each request, and again when
//! the remote refuses the token.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Headers;

use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::util::local_sync::Mutex;
use crate::web::interop::{await_value, has_method, thrown_text};
use crate::web::timer::within;

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
    /// Reads `remote.headers`.
    pub(crate) fn from_js(value: &JsValue) -> Result<Self> {
        if value.is_undefined() || value.is_null() {
            return Ok(Self::Fixed(Rc::from([])));
        }
        if let Some(function) = value.dyn_ref::<Function>() {
            return Ok(Self::Function(Box::new(Refreshing {
                function: function.clone(),
                generation: Cell::new(0),
                outcome: RefCell::new(Ok(Rc::from([]))),
                turn: Mutex::default(),
            })));
        }
        let wrong =
            |what: String| Error::new(Code::InvalidConfig, format!("`remote.headers`: {what}"));
        Ok(Self::Fixed(read(value).map_err(wrong)?))
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
        read(&value).map_err(|what| {
            wrong(format!(
                "The `remote.headers` function returned headers that cannot be sent: {what}"
            ))
        })
    }
}

/// Reads a record of strings, or a `Headers` object.
fn read(value: &JsValue) -> Result<List, String> {
    let checked = Headers::new().map_err(|thrown| thrown_text(&thrown))?;
    let mut list = Vec::new();
    let mut push = |name: &JsValue, value: &JsValue| {
        // A symbol is no header name; an undefined value leaves the header out.
        let Some(name) = name.as_string() else {
            return Ok(());
        };
        if value.is_undefined() {
            return Ok(());
        }
        let Some(value) = value.as_string() else {
            return Err(format!("`{name}` must be a string."));
        };
        // Checked by the browser: characters of names, no line breaks, nothing beyond Latin-1.
        checked
            .set(&name, &value)
            .map_err(|_| format!("`{name}` has a name or a value that HTTP does not allow."))?;
        list.push((name, value));
        Ok(())
    };
    // By its method and not by its class: it may be another realm's, or a library's own.
    if has_method(value, "append") {
        for pair in js_sys::try_iter(value)
            .ok()
            .flatten()
            .into_iter()
            .flatten()
            .flatten()
        {
            let pair: Array = pair.unchecked_into();
            push(&pair.get(0), &pair.get(1))?;
        }
    } else if value.is_object() && !Array::is_array(value) {
        for name in Reflect::own_keys(value)
            .map_err(|thrown| thrown_text(&thrown))?
            .iter()
        {
            push(
                &name,
                &Reflect::get(value, &name).map_err(|thrown| thrown_text(&thrown))?,
            )?;
        }
    } else {
        return Err("they must be an object of strings, such as { Authorization: \"Bearer …\" }, or {} for none.".to_owned());
    }
    Ok(list.into())
}
