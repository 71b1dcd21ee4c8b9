//! The app's own adapter as a remote, in a real browser.

use crate::support::browser::remote::{PAGE, adapter, begin_and_drop, holds, js, page, pull, push};
use datum_sync::model::error::Code;
use datum_sync::model::metadata::{SyncMetadata, merge_devices, read_reply};
use datum_sync::model::protocol::{DeviceMetadata, parse_page};
use datum_sync::ports::remote::{Pulled, Pushed, Remote};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn an_adapter_gets_plain_objects_and_a_signal() {
    let remote = adapter(&format!(
        "name: 'mine', async pull(request, signal) {{ seen.push([this.name, request, signal]); return {PAGE} }}, push(request, signal) {{ seen.push([this.name, request, signal]); return {{ results: [], at: new Date(0) }} }}"
    ));
    let bytes = page(pull(&remote).await);
    assert_eq!(parse_page(&bytes).unwrap().cursor, "c1");
    holds(
        "seen[0][0] === 'mine' && seen[0][1].userId === 'ada' && seen[0][1].clientId === 'device' && seen[0][1].cursor === null",
    );
    holds("seen[0][2] instanceof AbortSignal && !seen[0][2].aborted");
    let Ok(Pushed::Reply { bytes, .. }) = push(&remote, r#"{"title":"x"}"#).await else {
        panic!("not a reply")
    };
    assert_eq!(bytes, br#"{"results":[],"at":"1970-01-01T00:00:00.000Z"}"#);
    holds(
        "seen[1][1].userId === 'ada' && seen[1][1].operations[0].data.title === 'x' && seen[1][1].operations[0].baseVersion === null",
    );
}

#[wasm_bindgen_test]
async fn what_an_adapter_throws_keeps_its_code_or_goes_by_its_status() {
    for (thrown, code, retry_after) in [
        ("new Error('socket hang up')", Code::Network, None),
        ("'bare'", Code::Network, None),
        ("undefined", Code::Network, None),
        ("new Proxy({}, { get() { throw 1 } })", Code::Network, None),
        (
            "Object.assign(new Error('x'), { name: 'DatumError', code: 'rateLimited', retryAfterMs: 9 })",
            Code::RateLimited,
            Some(9),
        ),
        // Many errors have a code, and some of ours.
        (
            "Object.assign(new Error('x'), { code: 'cancelled', retryAfterMs: 9.5 })",
            Code::Network,
            Some(10),
        ),
        ("{ code: 'unauthorized' }", Code::Network, None),
        (
            "{ code: 'userMismatch', status: 409 }",
            Code::UserMismatch,
            None,
        ),
        ("{ code: '23505', status: 409 }", Code::Rejected, None),
        (
            "Object.assign(new Error('x'), { code: 'PGRST301', status: 401 })",
            Code::Unauthorized,
            None,
        ),
        ("{ status: 403 }", Code::Forbidden, None),
        (
            "{ status: 429, retryAfterMs: 1500 }",
            Code::RateLimited,
            Some(1500),
        ),
        ("{ statusCode: 503 }", Code::ServerError, None),
        ("{ status: 409 }", Code::Rejected, None),
        ("{ status: 426 }", Code::ClientOutdated, None),
        ("{ status: 1e9, retryAfterMs: -5 }", Code::Network, None),
        ("new DOMException('x', 'AbortError')", Code::Network, None),
        ("new DOMException('x', 'TimeoutError')", Code::Timeout, None),
    ] {
        // As a rejection, and at once.
        for method in [
            format!("async pull() {{ throw {thrown} }}"),
            format!("pull() {{ throw {thrown} }}"),
        ] {
            let error = pull(&adapter(&method)).await.unwrap_err();
            assert_eq!(
                (error.code(), error.retry_after_ms()),
                (code, retry_after),
                "{method}: {error}"
            );
        }
    }
    assert!(matches!(
        pull(&adapter("pull() { throw { status: 410 } }")).await,
        Ok(Pulled::CursorGone)
    ));
    assert!(matches!(
        push(&adapter("push() { throw { status: 413 } }"), "{}").await,
        Ok(Pushed::TooLarge)
    ));
    let error = push(&adapter("push() { throw { status: 403 } }"), "{}")
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.status()), (Code::Rejected, Some(403)));
    let error = pull(&adapter("pull() { throw new Error('socket hang up') }"))
        .await
        .unwrap_err();
    assert!(
        error.is_retryable() && error.cause() == Some("Error: socket hang up"),
        "{error}"
    );
}

#[wasm_bindgen_test]
async fn a_bug_of_an_adapter_is_told_from_a_request_that_failed() {
    for bug in ["undefined.rows", "nothing.to.be.found", "new Array(-1)"] {
        let remote = adapter(&format!("async pull() {{ return {bug} }}"));
        let error = pull(&remote).await.unwrap_err();
        let cause = error.cause().unwrap_or_default();
        assert_eq!(error.code(), Code::Protocol, "{bug}: {error}");
        assert!(
            error.message().contains("`remote.pull` threw") && error.message().contains(cause),
            "{bug}: {error}"
        );
    }
    let remote = adapter("pull() { return fetch('http://127.0.0.1:9/') }");
    let error = pull(&remote).await.unwrap_err();
    assert_eq!(error.code(), Code::Network, "{error}");
}

#[wasm_bindgen_test]
async fn a_reply_under_a_replaced_to_json_names_it() {
    for owner in ["Array", "Object"] {
        let remote = adapter(&format!("pull() {{ return {PAGE} }}"));
        js(&format!(
            "Object.defineProperty({owner}.prototype, 'toJSON', {{ value: () => 'changed', configurable: true }})"
        ));
        let pulled = pull(&remote).await;
        js(&format!("delete {owner}.prototype.toJSON"));
        let error = pulled.unwrap_err();
        let cause = error.cause().unwrap_or_default();
        assert_eq!(error.code(), Code::Protocol);
        assert!(
            cause.contains(&format!("`{owner}.prototype.toJSON`")),
            "{cause}"
        );
    }
}

#[wasm_bindgen_test]
async fn a_promise_whose_own_members_throw_rejects() {
    for (name, settled) in [
        ("constructor", "Promise.resolve(1)"),
        ("then", "Promise.resolve(1)"),
        ("then", "{}"),
        ("then", "Object.create(Promise.prototype)"),
    ] {
        let remote = adapter(&format!(
            "pull() {{ return Object.defineProperty({settled}, '{name}', {{ get() {{ throw new Error('bitten') }} }}) }}"
        ));
        let error = pull(&remote).await.unwrap_err();
        assert_eq!(error.cause(), Some("Error: bitten"), "{name} of {settled}");
    }
}

#[wasm_bindgen_test]
async fn an_adapter_may_know_the_digests_of_its_rows() {
    let remote = adapter(
        "getSyncMetadata: () => ({ deviceId: 'd', lastSyncTime: '2026-01-01T00:00:00.000Z', digests: { tasks: { count: 1, hash: '0d' } } })",
    );
    let bytes = remote.metadata("ada").await.unwrap().unwrap();
    let digests = read_reply(&bytes).unwrap().digests.unwrap();
    assert_eq!(digests.get("tasks").unwrap().hash, "0d");
}

#[wasm_bindgen_test]
async fn an_adapter_is_told_what_its_metadata_is_for() {
    let remote = adapter(
        "getSyncMetadata: async (user, purpose) => void seen.push(purpose), putSyncMetadata: async () => {}",
    );
    remote.metadata("ada").await.unwrap();
    remote.compared_metadata("ada").await.unwrap();
    let device = DeviceMetadata {
        device_id: "phone".into(),
        ..DeviceMetadata::default()
    };
    remote.put_metadata("ada", &device).await.unwrap();
    holds("seen.join() === 'read,compare,put'");
}

#[wasm_bindgen_test]
async fn what_an_adapter_returns_is_checked_as_a_servers_reply_is() {
    for value in [
        "undefined",
        "null",
        "7",
        "'{}'",
        "{ a: 1n }",
        "(() => { const a = {}; a.a = a; return a })()",
        "{ toJSON() { throw 1 } }",
        "{ toJSON() {} }",
    ] {
        let error = pull(&adapter(&format!("pull() {{ return {value} }}")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{value}: {error}");
        assert!(error.message().contains("`remote.pull`"), "{error}");
    }
    for value in [
        "{}",
        "[]",
        "{ changes: [], more: false }",
        "{ changes: [{ entity: 'tasks', id: 'a', version: 0 }], cursor: '1', more: false }",
    ] {
        let bytes = page(pull(&adapter(&format!("pull() {{ return {value} }}"))).await);
        assert_eq!(
            parse_page(&bytes).unwrap_err().code(),
            Code::Protocol,
            "{value}"
        );
    }
}

#[wasm_bindgen_test]
async fn dropping_an_adapters_future_aborts_its_signal() {
    let remote =
        adapter("pull(request, signal) { seen.push(signal); return new Promise(() => {}) }");
    begin_and_drop(pull(&remote)).await;
    holds("seen.length === 1 && seen[0].aborted");
}

#[wasm_bindgen_test]
async fn an_adapter_without_the_optional_methods_keeps_no_metadata_and_is_well() {
    let remote = adapter("");
    assert_eq!(remote.metadata("ada").await.unwrap(), None);
    remote
        .put_metadata("ada", &DeviceMetadata::default())
        .await
        .unwrap();
    remote.clear_metadata("ada").await.unwrap();
    assert!(remote.health().await.unwrap());
    assert!(!adapter("health: async () => false").health().await.unwrap());
    assert_eq!(
        adapter("health() { throw { status: 503 } }")
            .health()
            .await
            .unwrap_err()
            .code(),
        Code::ServerError
    );
}

#[wasm_bindgen_test]
async fn an_adapters_one_record_of_metadata_tells_of_every_device() {
    js("globalThis.record = null");
    let remote = adapter(
        "getSyncMetadata: async () => record, putSyncMetadata: async (m) => { record = m }, clearSyncMetadata: async (user) => { seen.push(user); record = undefined }",
    );
    assert_eq!(remote.metadata("ada").await.unwrap(), None);
    let device = |id: &str, time: &str, conflicts: u64| DeviceMetadata {
        device_id: id.into(),
        last_sync_time: Some(time.into()),
        last_successful_sync_time: Some(time.into()),
        conflict_count: conflicts,
        ..DeviceMetadata::default()
    };
    let merged = async || -> SyncMetadata {
        let bytes = remote.metadata("ada").await.unwrap().unwrap();
        merge_devices("ada", &read_reply(&bytes).unwrap()).unwrap()
    };
    // The two devices take turns: nothing may be counted twice, whoever writes last.
    for round in 1..=3 {
        remote
            .put_metadata(
                "ada",
                &device("phone", &format!("2026-01-0{round}T00:00:00.000Z"), 2),
            )
            .await
            .unwrap();
        remote
            .put_metadata(
                "ada",
                &device("laptop", &format!("2026-01-0{round}T12:00:00.000Z"), 1),
            )
            .await
            .unwrap();
    }
    let seen = merged().await;
    assert_eq!(
        (
            seen.device_count,
            seen.conflict_count,
            seen.device_id.as_deref()
        ),
        (2, 1, Some("laptop"))
    );
    assert_eq!(
        seen.devices.get("phone").map(String::as_str),
        Some("2026-01-03T00:00:00.000Z")
    );
    assert_eq!(
        seen.last_successful_sync_time.as_deref(),
        Some("2026-01-03T12:00:00.000Z")
    );
    holds(
        "record.userId === 'ada' && record.deviceCount === 2 && record.conflictCount === 1 && record.isNeverSynced === false",
    );
    remote.clear_metadata("ada").await.unwrap();
    holds("seen.join() === 'ada'");
    assert_eq!(remote.metadata("ada").await.unwrap(), None);
    for wrong in ["7", "{ devices: 3 }", "{ conflictCount: -1 }"] {
        let error = adapter(&format!("getSyncMetadata: () => ({wrong})"))
            .metadata("ada")
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{wrong}: {error}");
    }
}
