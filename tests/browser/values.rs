//! Values that cross from JavaScript to Rust and back.

use crate::support::browser::remote::js;
use crate::support::browser::values::holds;
use datum_sync::js::arguments::{read_distinct_strings, read_string};
use datum_sync::js::convert::{
    decode, decode_many, encode, encode_many, lines, read_options, to_js,
};
use datum_sync::model::error::Code;
use datum_sync::model::metadata::SyncMetadata;
use js_sys::Function;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::AbortSignal;

#[wasm_bindgen_test]
fn what_json_would_lose_is_refused_and_its_place_named() {
    for (value, place) in [
        ("{ a: 1n }", "`a` is a BigInt"),
        ("{ a: () => 1 }", "`a` is a function"),
        ("{ a: Symbol() }", "`a` is a symbol"),
        (
            "{ list: [1, { b: undefined }, [undefined]] }",
            "`list[2][0]` is undefined",
        ),
        ("{ list: [, 1] }", "`list[0]` is undefined"),
        ("{ a: { b: [NaN] } }", "`a.b[0]` is NaN"),
        ("{ a: -Infinity }", "`a` is -Infinity"),
        ("{ a: new Map([[1, 2]]) }", "`a` is of type Map"),
        ("{ a: new Set() }", "`a` is of type Set"),
        ("{ a: new Uint8Array(2) }", "`a` is of type Uint8Array"),
        ("{ a: new ArrayBuffer(2) }", "`a` is of type ArrayBuffer"),
        ("{ a: /x/ }", "`a` is of type RegExp"),
        ("{ a: new Error('x') }", "`a` is of type Error"),
        ("{ a: new Blob([]) }", "`a` is of type Blob"),
        ("{ a: Promise.resolve() }", "`a` is of type Promise"),
        ("{ a: new String('x') }", "`a` is of type String"),
        ("{ a: new Date(NaN) }", "`a` is an invalid date"),
        (
            "{ a: new (class Secret { #x = 1 })() }",
            "`a` is an instance of Secret without fields",
        ),
        (
            "new (class Box { id = 1; get size() { return 1 } set size(v) {} })()",
            "field `size`",
        ),
        (
            "(() => { const a = { list: [] }; a.list.push(a); return a })()",
            "`list[0].list[0]",
        ),
        ("{ a: 'x\\ud83dy' }", "`a` has a lone surrogate"),
        (
            "{ deep: [{ '\\udc00': 1 }] }",
            "`deep[0]` has a key with a lone surrogate",
        ),
        ("{ a: { toJSON() { return 1n } } }", "`a` is a BigInt"),
        (
            "{ get a() { throw new Error('hostile getter') } }",
            "hostile getter",
        ),
        (
            "{ a: new Proxy({}, { ownKeys() { throw 'hostile proxy' } }) }",
            "hostile proxy",
        ),
        (
            "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()",
            "revoked",
        ),
        ("undefined", "The entity is undefined"),
        ("() => 1", "The entity is a function"),
    ] {
        let error = encode(&js(value), Code::InvalidEntity, "The entity").unwrap_err();
        assert_eq!(error.code(), Code::InvalidEntity, "{value}: {error}");
        assert!(error.message().contains(place), "{value}: {error}");
    }
    let error = encode_many(
        &js("[{ a: 1 }, { a: 1n }]"),
        Code::InvalidEntity,
        "`drafts`",
    )
    .unwrap_err();
    assert!(error.message().contains("`[1].a`"), "{error}");
    assert!(
        encode_many(&js("{ length: 1 }"), Code::InvalidEntity, "`drafts`")
            .unwrap_err()
            .message()
            .contains("must be an array")
    );
}

#[wasm_bindgen_test]
fn what_json_can_hold_is_taken_as_json_writes_it() {
    for (value, json) in [
        (
            "{ a: undefined, b: null, c: [true, -0, 1.5e300] }",
            r#"{"b":null,"c":[true,0,1.5e+300]}"#,
        ),
        (
            "{ at: new Date(0) }",
            r#"{"at":"1970-01-01T00:00:00.000Z"}"#,
        ),
        ("Object.assign(Object.create(null), { a: 1 })", r#"{"a":1}"#),
        (
            "new Proxy({ a: new Proxy([{ b: 1 }], {}) }, {})",
            r#"{"a":[{"b":1}]}"#,
        ),
        (
            "new (class Task { id = 1; get label() { return 'derived' } })()",
            r#"{"id":1}"#,
        ),
        (
            "{ a: { toJSON: () => ({ amount: '1.10' }) } }",
            r#"{"a":{"amount":"1.10"}}"#,
        ),
        // A backslash before `ud83d` is text, and a pair is a character.
        (
            "{ a: '\\\\ud83d', b: '\\ud83d\\ude00', c: '\\ufffd' }",
            "{\"a\":\"\\\\ud83d\",\"b\":\"😀\",\"c\":\"\u{fffd}\"}",
        ),
        (
            "(() => { const f = document.body.appendChild(document.createElement('iframe')); return f.contentWindow.JSON.parse('{\"a\":{}}') })()",
            r#"{"a":{}}"#,
        ),
    ] {
        assert_eq!(
            encode(&js(value), Code::InvalidEntity, "x").unwrap(),
            json,
            "{value}"
        );
    }
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(encode(&js(&deep(100)), Code::InvalidEntity, "x").is_ok());
    assert!(
        encode(&js(&deep(101)), Code::InvalidEntity, "x")
            .unwrap_err()
            .message()
            .contains("deeper than 100")
    );
    let text = encode_many(
        &js("[{ a: 1 }, { b: [2, '],['] }]"),
        Code::InvalidEntity,
        "x",
    )
    .unwrap();
    assert_eq!(
        lines(&text).collect::<Vec<_>>(),
        [r#"{"a":1}"#, r#"{"b":[2,"],["]}"#]
    );
    // A line break of the app's own is none of the text.
    let text = encode_many(&js("[{ a: '1\\n2' }]"), Code::InvalidEntity, "x").unwrap();
    assert_eq!(lines(&text).collect::<Vec<_>>(), [r#"{"a":"1\n2"}"#]);
    assert_eq!(
        lines(&encode_many(&js("[]"), Code::InvalidEntity, "x").unwrap()).count(),
        0
    );
    let error = encode_many(
        &js("[{ a: 1 }, { a: ['\\ud800'] }]"),
        Code::InvalidEntity,
        "x",
    )
    .unwrap_err();
    assert!(
        error.message().contains("`[1].a[0]` has a lone surrogate"),
        "{error}"
    );
}

#[wasm_bindgen_test]
fn what_an_app_receives_is_frozen_to_its_depth() {
    let entity = decode(r#"{"a":{"b":[{"c":1}]},"__proto__":{"x":1}}"#).unwrap();
    holds(
        "(e) => [e, e.a, e.a.b, e.a.b[0], Object.values(e)[1]].every(Object.isFrozen) && e.a.b[0].c === 1",
        &entity,
    );
    let many = decode_many(r#"[{"tags":["x"]},{"tags":[]}]"#).unwrap();
    holds(
        "(m) => m.every((e) => Object.isFrozen(e) && Object.isFrozen(e.tags)) && m.sort() && !Object.isFrozen(m)",
        &many,
    );
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    holds(
        "(d) => { while (d.length) { if (!Object.isFrozen(d)) return false; d = d[0] } return true }",
        &decode(&deep).unwrap(),
    );
    assert_eq!(decode("{").unwrap_err().code(), Code::Corrupt);
    let metadata = to_js(&SyncMetadata {
        user_id: "ada".into(),
        ..SyncMetadata::default()
    })
    .unwrap();
    holds(
        "(m) => Object.isFrozen(m) && Object.isFrozen(m.devices) && m.userId === 'ada' && !('dataHash' in m)",
        &metadata,
    );
    holds(
        "(m) => Object.getPrototypeOf(m.devices) === Object.prototype",
        &metadata,
    );
}

#[wasm_bindgen_test]
fn a_string_argument_is_a_whole_string() {
    assert_eq!(
        read_string(&js("'zażółć 😀 \\ufffd'"), "`id`").unwrap(),
        "zażółć 😀 \u{fffd}"
    );
    for wrong in [
        "undefined",
        "null",
        "7",
        "{}",
        "['a']",
        "new String('a')",
        "Symbol()",
        "'a\\ud800'",
        "'\\udc00\\ufffd'",
    ] {
        let error = read_string(&js(wrong), "`id`").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong}: {error}");
        assert!(error.message().starts_with("`id` "), "{error}");
    }
    let given = js("['a', '', 'a', 'b', '']");
    let strings = read_distinct_strings(&given, "`ids`").unwrap();
    assert_eq!(strings, ["a", "", "b"]);
    for (wrong, words) in [
        ("7", "must be an array"),
        ("['a', 7]", "`[1]`"),
        ("['a', '\\ud800']", "`[1]`"),
        ("[['a']]", "`[0]`"),
        ("[undefined]", "`[0]`"),
    ] {
        let error = read_distinct_strings(&js(wrong), "`ids`").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong}");
        assert!(error.message().contains(words), "{wrong}: {error}");
    }
}

#[wasm_bindgen_test]
fn options_are_read_and_a_mistake_is_named() {
    for absent in [
        "undefined",
        "null",
        "{}",
        "{ force: undefined }",
        "{ force: null, signal: undefined }",
    ] {
        let given = read_options(&js(absent), "sync").unwrap();
        let (size, force) = (
            given.data().whole("overrideBatchSize"),
            given.data().flag("force"),
        );
        assert_eq!((size, force), (None, None), "{absent}");
        assert!(given.live::<AbortSignal>("signal").is_none());
    }
    let given = read_options(&js(
        "{ overrideBatchSize: 7, force: true, scope: { entities: ['a'] }, signal: new AbortController().signal, conflictResolver: () => 1 }",
    ), "sync")
    .unwrap();
    let data = given.data();
    let scope = data
        .object("scope")
        .and_then(|scope| scope.texts("entities"));
    assert_eq!(
        (data.whole("overrideBatchSize"), data.flag("force"), scope),
        (Some(7), Some(true), Some(vec!["a".to_owned()]))
    );
    let signal = given.live::<AbortSignal>("signal");
    assert!(signal.is_some_and(|signal| !signal.aborted()));
    assert!(given.live::<Function>("conflictResolver").is_some());
    for (wrong, words) in [
        ("7", "must be an object"),
        ("[]", "must be an object"),
        ("() => 1", "must be an object"),
        (
            "{ froce: true }",
            "The sync options: `froce` is not known; known are timeout, direction,",
        ),
        ("{ ['__proto__']: true }", "`__proto__` is not known"),
        ("{ force: 1 }", "`force`"),
        ("{ force: true, timeout: 'x' }", "`timeout`"),
        (
            "{ overrideBatchSize: -1, force: true }",
            "`overrideBatchSize`",
        ),
        ("{ overrideBatchSize: 1.5 }", "`overrideBatchSize`"),
        ("{ overrideBatchSize: NaN }", "`overrideBatchSize`"),
        ("{ overrideBatchSize: 1n }", "`overrideBatchSize`"),
        ("{ scope: { entities: ['a', 1] } }", "`scope.entities[1]`"),
        (
            "{ scope: { entity: 'a' } }",
            "`scope.entity` is not known; known are entities, query, name.",
        ),
        ("{ scope: 'x' }", "`scope`"),
        ("{ get force() { throw new Error('hostile') } }", "hostile"),
        ("{ signal: {} }", "`signal`"),
        (
            "{ signal: { get aborted() { throw new Error('hostile') } } }",
            "hostile",
        ),
        ("{ conflictResolver: 'mine' }", "`conflictResolver`"),
    ] {
        let error = read_options(&js(wrong), "sync").unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{wrong}: {error}");
        assert!(error.message().contains(words), "{wrong}: {error}");
    }
}
