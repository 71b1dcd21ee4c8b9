//! Errors as an app receives them, and promises of an engine that has died.

use crate::support::browser::remote::js;
use crate::support::browser::values::holds;
use datum_sync::js::convert::{error_to_js, from_js, promise};
use datum_sync::model::error::{Code, Error};
use js_sys::{Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen]
extern "C" {
    /// `errors.ts`.
    type Ends;
    #[wasm_bindgen(method, js_name = endsWhenTheEngineDies)]
    fn ends_when_the_engine_dies(this: &Ends) -> Promise;
    #[wasm_bindgen(method, js_name = endsWhenTheEngineDiesWithoutWords)]
    fn ends_when_the_engine_dies_without_words(this: &Ends) -> Promise;
}

fn ends() -> Ends {
    crate::script!("errors.js").unchecked_into()
}

#[wasm_bindgen_test]
fn an_error_is_a_datum_error_with_all_that_is_known() {
    let error = Error::new(Code::RateLimited, "Too many.")
        .on("tasks", Some("t1"))
        .for_user("ada")
        .with_status(429)
        .with_retry_after(Some(1500))
        .caused_by("busy");
    let value = error_to_js(&error);
    holds(
        "(e) => e instanceof Error && e.name === 'DatumError' && String(e) === 'DatumError: Too many.'",
        &value,
    );
    holds(
        "(e) => e.code === 'rateLimited' && e.retryable && e.userId === 'ada' && e.entity === 'tasks' && e.entityId === 't1'",
        &value,
    );
    holds(
        "(e) => e.status === 429 && e.retryAfterMs === 1500 && e.cause === 'busy' && typeof e.stack === 'string'",
        &value,
    );
    holds(
        "(e) => { const j = JSON.parse(JSON.stringify(e)); return j.code === 'rateLimited' && j.message === 'Too many.' && j.retryable && !isNaN(Date.parse(j.at)) && j.entityId === 't1' && j.retryAfterMs === 1500 }",
        &value,
    );
    // There and back.
    assert_eq!(from_js(&value, Code::Network), error);
    let plain = error_to_js(&Error::new(Code::Closed, "Closed."));
    holds(
        "(e) => !('cause' in e) && !('entity' in e) && e.retryable === false",
        &plain,
    );
    // What is not ours.
    let other = from_js(&js("new RangeError('too far')"), Code::InvalidConfig);
    assert_eq!(
        (other.code(), other.message()),
        (Code::InvalidConfig, "RangeError: too far")
    );
    for thrown in [
        "undefined",
        "null",
        "Symbol()",
        "new Proxy({}, { get() { throw 1 } })",
        "{ code: 'ENOENT' }",
        "{ code: 7 }",
    ] {
        assert_eq!(
            from_js(&js(thrown), Code::Conflict).code(),
            Code::Conflict,
            "{thrown}"
        );
    }
}

#[wasm_bindgen_test]
fn both_languages_agree_on_what_may_be_tried_again() {
    for code in [
        Code::NotInitialized,
        Code::NoUser,
        Code::InvalidConfig,
        Code::InvalidArgument,
        Code::InvalidEntity,
        Code::NotFound,
        Code::AlreadyExists,
        Code::Offline,
        Code::Network,
        Code::Timeout,
        Code::Cancelled,
        Code::Unauthorized,
        Code::Forbidden,
        Code::Rejected,
        Code::ServerError,
        Code::RateLimited,
        Code::Protocol,
        Code::ClientOutdated,
        Code::UserMismatch,
        Code::UnsyncedData,
        Code::Conflict,
        Code::StorageUnavailable,
        Code::StorageFull,
        Code::StorageLost,
        Code::StorageBlocked,
        Code::Corrupt,
        Code::Migration,
        Code::Closed,
        Code::EngineDead,
    ] {
        let value = error_to_js(&Error::new(code, "x"));
        let get = |key: &str| Reflect::get(&value, &key.into()).unwrap();
        assert_eq!(
            get("retryable").as_bool(),
            Some(code.is_retryable()),
            "{code:?}"
        );
        assert_eq!(get("code").as_string().as_deref(), Some(code.as_str()));
        assert_eq!(from_js(&value, Code::Network).code(), code);
    }
}

#[wasm_bindgen_test]
async fn a_future_becomes_a_promise_that_rejects_with_a_datum_error() {
    let value = JsFuture::from(promise(async { Ok(JsValue::from(7)) })).await;
    assert_eq!(value.unwrap().as_f64(), Some(7.0));
    let thrown = JsFuture::from(promise(async {
        Err(Error::new(Code::NotFound, "Nothing."))
    }))
    .await
    .unwrap_err();
    holds(
        "(e) => e.name === 'DatumError' && e.code === 'notFound'",
        &thrown,
    );
}

/// A second copy of the support module, since an engine that died stays dead for its page.
#[wasm_bindgen_test]
async fn when_the_engine_dies_every_call_that_waits_rejects() {
    let told = JsFuture::from(ends().ends_when_the_engine_dies())
        .await
        .unwrap();
    let died = "DatumError engineDead panicked at replica.rs";
    assert_eq!(
        told.as_string().unwrap(),
        format!(r#"["{died}","before","{died}"]"#)
    );
}

#[wasm_bindgen_test]
async fn an_engine_that_dies_without_words_still_rejects_the_calls_that_wait() {
    let told = JsFuture::from(ends().ends_when_the_engine_dies_without_words())
        .await
        .unwrap();
    let dying = "engineDead allocator.rs";
    assert_eq!(
        told.as_string().unwrap(),
        format!(r#"["{dying}","{dying}"]"#)
    );
}
