//! Reported: what a caller did not touch comes back changed, or stands in the way.
//! The table "Reports" in `tests/README.md` lists every report with its test.

use std::rc::Rc;

use crate::support::conflicts::resolvers;
use crate::support::world::{Device, Fault, FnResolver, Tab, World};
use datum_sync::conflict::Resolution;
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use serde_json::Value;

/// 2^53 + 1, and what `JSON.parse` makes of it.
const EXACT: &str = "9007199254740993";
const ROUNDED: &str = "9007199254740992";

/// Has the server take a row as another client wrote it.
fn put(world: &World, id: &str, base: Option<u64>, data: &str) {
    let base = base.map_or(String::new(), |base| format!(r#""baseVersion":{base},"#));
    let kind = if base.is_empty() { "create" } else { "update" };
    let body = format!(
        r#"{{"clientId":"other","operations":[{{"opId":"other-{id}-{}","entity":"tasks","id":"{id}","kind":"{kind}",{base}"data":{data}}}]}}"#,
        base.len()
    );
    let (status, reply) = world
        .server
        .handle("ann", "POST", "/sync/v1/push", body.as_bytes(), 1);
    let reply = String::from_utf8(reply).unwrap();
    assert!(status == 200 && reply.contains("applied"), "{reply}");
}

/// Has a device pull one row of a backend that is not ours.
fn pull(device: &Device, tab: &Tab, id: &str, data: &str) {
    pull_at(device, tab, id, 3, data);
}

fn pull_at(device: &Device, tab: &Tab, id: &str, version: u64, data: &str) {
    device.remote.faults.borrow_mut().push_back((
        "/pull",
        Fault::Answered(format!(
            r#"{{"changes":[{{"entity":"tasks","id":"{id}","version":{version},"data":{data}}}],"cursor":"c","more":false}}"#
        )),
    ));
    assert!(
        tab.sync_with(r#"{"direction":"pullOnly"}"#)
            .unwrap()
            .is_success
    );
}

fn text(tab: &Tab, id: &str) -> String {
    tab.run(tab.engine.entities().read("ann", "tasks", id, false))
        .unwrap()
        .unwrap()
}

fn update(tab: &Tab, entity: &str) -> Result<(), Code> {
    let entity = entity.to_owned();
    tab.write("tasks", Write::Update { entity })
        .map(drop)
        .map_err(|error| error.code())
}

fn stored(world: &World, id: &str) -> String {
    let rows = world.server.rows("ann");
    let row = rows.iter().find(|row| row.id == id).unwrap();
    row.data.as_deref().unwrap().to_owned()
}

/// Users of supabase-js reported: integers beyond 2^53 come back rounded. supabase/supabase-js#722,
/// supabase/supabase#4803
#[test]
fn a_number_that_no_float_holds_outlives_an_update_of_another_field() {
    let world = World::new();
    let a = world.device("phone").open();
    put(
        &world,
        "t",
        None,
        &format!(
            r#"{{"tweetId":{EXACT},"title":"a","in":{{"n":{EXACT},"x":1}},"list":[{{"id":"i","n":{EXACT},"x":1}},{EXACT},1.0]}}"#
        ),
    );
    a.sync();

    let seen = text(&a, "t")
        .replace(EXACT, ROUNDED)
        .replace("1.0", "1")
        .replace(r#""title":"a""#, r#""title":"b""#)
        .replace(r#""x":1"#, r#""x":2"#)
        .replace(r#""list":["#, r#""list":[0,"#);
    update(&a, &seen).unwrap();
    a.sync();

    let now = stored(&world, "t");
    assert!(now.contains(&format!(r#""tweetId":{EXACT}"#)), "{now}");
    assert!(
        now.contains(&format!(r#""in":{{"n":{EXACT},"x":2}}"#)),
        "{now}"
    );
    assert!(
        now.contains(&format!(
            r#""list":[0,{{"id":"i","n":{EXACT},"x":2}},{EXACT},1.0]"#
        )),
        "{now}"
    );
    assert!(
        now.contains(r#""title":"b""#) && !now.contains(ROUNDED),
        "{now}"
    );
}

/// The same over a merge of other fields, and where the app's own resolver merges.
#[test]
fn a_merge_takes_the_text_of_its_sides() {
    let own = FnResolver(|conflict: &datum_sync::conflict::Conflict| {
        let body = conflict.remote.as_deref().unwrap();
        let merged = body.replace(EXACT, ROUNDED).replace("theirs", "both");
        Ok(Resolution::Merged(Rc::from(merged)))
    });
    for resolvers in [Resolvers::default(), resolvers(own)] {
        let own = resolvers.fallback.is_some();
        let world = World::new();
        let a = world.device("phone").open_with(resolvers);
        let row = |title: &str| {
            format!(r#"{{"tweetId":{EXACT},"title":"{title}","n":1,"in":{{"deep":[{EXACT}]}}}}"#)
        };
        put(&world, "t", None, &row("a"));
        a.sync();
        let mine = if own {
            r#"{"title":"mine"}"#
        } else {
            r#"{"n":2}"#
        };
        a.patch("t", mine);
        put(&world, "t", Some(1), &row("theirs"));

        assert!(a.sync().is_success);
        a.sync();

        let now = stored(&world, "t");
        assert_eq!(now.matches(EXACT).count(), 2, "{now}");
        assert!(!now.contains(ROUNDED), "{now}");
        assert!(now.contains(if own { "both" } else { "theirs" }), "{now}");
        assert_eq!(a.pending(), 0);
    }
}

/// Users of Joplin reported: a note whose time is in no expected form cannot be edited any more.
/// laurent22/joplin#15282
#[test]
fn a_row_whose_times_have_any_form_can_be_edited() {
    for time in [
        r#""2022-01-05T06:00:47.378""#,
        "null",
        "1704067200000",
        r#""1965-03-01T00:00:00.000Z""#,
        r#""""#,
        r#""yesterday""#,
        r#""2022-01-05""#,
        r#""2022-01-05 06:00:47+00""#,
        r#""2022-01-05T06:00:47.378+02:00""#,
        "{}",
        "[1]",
        "true",
        "1704067200.5",
        "-1",
    ] {
        let world = World::new();
        let device = world.device("phone");
        let a = device.open();
        let data = format!(r#"{{"title":"a","createdAt":{time},"modifiedAt":{time}}}"#);
        pull(&device, &a, "t", &data);

        let seen = text(&a, "t").replace(r#""title":"a""#, r#""title":"b""#);
        assert_eq!(update(&a, &seen), Ok(()), "{time}");
        a.patch("t", r#"{"n":1}"#);

        let now = text(&a, "t");
        assert!(now.contains(&format!(r#""createdAt":{time}"#)), "{now}");
        let changed = now.replace(
            &format!(r#""createdAt":{time}"#),
            r#""createdAt":"tomorrow""#,
        );
        assert_eq!(
            update(&a, &changed),
            Err(Code::InvalidEntity),
            "what the caller changes is checked"
        );
    }
    // A row without times stays without what nobody knows.
    let world = World::new();
    let device = world.device("phone");
    let a = device.open();
    pull(&device, &a, "t", r#"{"title":"a"}"#);
    a.patch("t", r#"{"title":"b"}"#);
    assert_eq!(a.read("t").unwrap().get("createdAt"), None);
}

/// A backend's row may have its own `id`, `version`, `userId` and `isDeleted`.
#[test]
fn a_row_that_carries_the_engines_names_can_be_edited_and_keeps_them() {
    let world = World::new();
    let device = world.device("phone");
    let a = device.open();
    pull(
        &device,
        &a,
        "t",
        r#"{"id":42,"version":"3","userId":7,"isDeleted":0,"title":"a"}"#,
    );

    a.patch("t", r#"{"title":"b"}"#);
    let seen = a.read("t").unwrap().to_string();
    assert_eq!(update(&a, &seen.replace('b', "c")), Ok(()));

    let now = text(&a, "t");
    for own in [
        r#""id":42"#,
        r#""version":"3""#,
        r#""userId":7"#,
        r#""isDeleted":0"#,
        r#""title":"c""#,
    ] {
        assert!(now.contains(own), "{own} of {now}");
    }
    let seen: Value = serde_json::from_str(&now).unwrap();
    assert_eq!(
        (&seen["id"], &seen["version"], &seen["userId"]),
        (&"t".into(), &3.into(), &"ann".into())
    );
}

/// Users of the Dart SDK reported: half of a surrogate pair is lost on the way through JSON.
/// dart-lang/sdk#34105
#[test]
fn half_of_a_surrogate_pair_that_is_there_stays_and_stands_in_no_ones_way() {
    let world = World::new();
    let device = world.device("phone");
    let a = device.open();
    let row = r#"{"title":"a","cut":"x\ud83d","\udc00k":{"\ud800":1},"n":1}"#;
    pull(&device, &a, "t", row);

    let seen = text(&a, "t").replace(r#""title":"a""#, r#""title":"b""#);
    update(&a, &seen).unwrap();
    let (id, changes) = ("t".to_owned(), r#"{"n":2}"#.to_owned());
    a.write("tasks", Write::Patch { id, changes }).unwrap();
    pull_at(
        &device,
        &a,
        "t",
        4,
        &row.replace(r#""title":"a""#, r#""title":"a","more":"\ud801""#),
    );

    let now = text(&a, "t");
    for part in [
        r#""cut":"x\ud83d""#,
        r#""\udc00k":{"\ud800":1}"#,
        r#""n":2"#,
        r#""title":"b""#,
        r#""more":"\ud801""#,
    ] {
        assert!(now.contains(part), "{part} of {now}");
    }
    let conflicts = a.run(a.engine.conflicts().list("ann")).unwrap();
    assert_eq!(conflicts, "[]", "nothing is parked");
    for (changes, name) in [
        (r#"{"new":"\ud83d"}"#, "new"),
        (r#"{"title":["\udc00"]}"#, "title"),
        (r#"{"\ud800":1}"#, ""),
    ] {
        let (id, changes) = ("t".to_owned(), changes.to_owned());
        let error = a.write("tasks", Write::Patch { id, changes }).unwrap_err();
        assert_eq!(error.code(), Code::InvalidEntity);
        assert!(
            error.message().contains(name) && error.message().contains("surrogate"),
            "{error}"
        );
    }
}

/// Of equal names in a row the last one counts, also to a patch.
#[test]
fn a_patch_of_a_name_that_stands_twice_is_seen() {
    let world = World::new();
    let device = world.device("phone");
    let a = device.open();
    pull(&device, &a, "t", r#"{"title":"a","title":"b"}"#);
    assert_eq!(a.patch("t", r#"{"title":"c"}"#)["title"], "c");
}

/// `10` here and `10.0` there are one value; 2^53 and 2^53 + 1 are two.
#[test]
fn numbers_clash_by_value() {
    for (theirs, clashes) in [("10.0", false), ("1e1", false), ("11", true)] {
        let world = World::new();
        let device = world
            .device("phone")
            .with_config(r#"{"entities":{"tasks":{}},"defaultConflictResolver":"ask"}"#);
        let a = device.open();
        put(&world, "t", None, r#"{"n":1,"big":1}"#);
        a.sync();
        a.patch("t", r#"{"n":10}"#);
        put(
            &world,
            "t",
            Some(1),
            &format!(r#"{{"n":{theirs},"big":1}}"#),
        );
        a.sync();
        let conflicts = a.run(a.engine.conflicts().list("ann")).unwrap();
        assert_eq!(conflicts != "[]", clashes, "{theirs}");
    }
    let world = World::new();
    let device = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"defaultConflictResolver":"ask"}"#);
    let a = device.open();
    put(&world, "t", None, r#"{"n":1}"#);
    a.sync();
    a.patch("t", &format!(r#"{{"n":{ROUNDED}}}"#));
    put(&world, "t", Some(1), &format!(r#"{{"n":{EXACT}}}"#));
    a.sync();
    let conflicts = a.run(a.engine.conflicts().list("ann")).unwrap();
    assert_ne!(conflicts, "[]");
}

/// An entity that is over the limit already can be edited as long as it does not grow.
#[test]
fn a_row_that_is_too_large_already_can_be_made_smaller() {
    let world = World::new();
    let device = world.device("phone");
    let a = device.open();
    let long = "x".repeat(1 << 20);
    pull(&device, &a, "t", &format!(r#"{{"title":"{long}","n":1}}"#));
    a.patch("t", r#"{"n":2}"#);
    a.patch("t", r#"{"title":"short"}"#);
    let (id, changes) = ("t".to_owned(), format!(r#"{{"title":"{long}"}}"#));
    let error = a.write("tasks", Write::Patch { id, changes }).unwrap_err();
    assert_eq!(error.code(), Code::InvalidEntity);
}
