//! What a trace may hold: it is bounded, and where none can be kept, the refusal says why.

use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::error::Code;
use serde_json::json;

use super::traces::replays;
use crate::support::world::World;

#[test]
fn the_trace_is_bounded_and_goes_on_from_the_log() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"trace":{"maxBytes":80000}}"#;
    let phone = world.device("phone").with_config(config);
    let a = phone.open();
    let id = a.create(r#"{"title":"one"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut most = 0;
    for n in 0..200 {
        a.patch(&id, &json!({ "title": format!("title {n}") }).to_string());
        if n % 20 == 0 {
            a.run(a.engine.opened(&a.user).unwrap().db.checkpoint())
                .unwrap();
        }
        if n % 9 == 0 {
            most = most.max(replays(&a).steps.len());
        }
    }
    let file = replays(&a);
    assert!(file.steps.len() < 200, "{} steps", file.steps.len());
    assert!(most > 10, "{most} steps at the most");
}

#[test]
fn data_that_is_larger_than_the_trace_may_be_is_said() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"trace":{"maxBytes":2000}}"#;
    let phone = world.device("phone").with_config(config);
    let a = phone.open();
    a.create(&json!({ "title": "x".repeat(9_000) }).to_string());
    let error = a.run(a.engine.transfer().trace(&a.user)).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("maxBytes"), "{error}");
    let off = world.device("laptop").open();
    let error = off.run(off.engine.transfer().trace(&off.user)).unwrap_err();
    assert!(error.message().contains("trace: true"), "{error}");
}

#[test]
fn a_user_whose_trace_cannot_be_kept_is_opened_without_one() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"trace":true}"#;
    let phone = world.device("phone").with_config(config);
    let a = phone.unopened(Resolvers::default());
    a.engine.host().lacks_part.set(true);
    a.run(a.engine.sign_in(&a.user)).unwrap();
    a.engine.host().lacks_part.set(false);
    a.create(r#"{"title":"Milk"}"#);
    let refused = a.run(a.engine.transfer().trace(&a.user)).unwrap_err();
    assert_eq!(refused.code(), Code::Unsupported);
    assert!(refused.message().contains("last file"), "{refused}");
    let b = phone.open();
    b.create(r#"{"title":"Bread"}"#);
    replays(&b);
}
