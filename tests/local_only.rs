//! Fields that never leave the device: they are in no request, and nothing that comes from the
//! server takes them away.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use std::rc::Rc;

use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::cycle::resolve::Resolvers;
use datum_sync::plan::write::{Write, Written};
use support::world::{Asked, Device, Fault, Tab, World};

const KEEPS: &str = r#"{"entities":{"tasks":{"localOnly":["secret","draft"]},"notes":{"localOnly":["secret"],"deleteBehavior":"softDelete"}},"retry":{"maxAttempts":1}}"#;
const SHARES: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

/// A device that keeps `secret` and `draft` of its tasks to itself.
fn keeper(world: &World, name: &str) -> Device {
    world.device(name).with_config(KEEPS)
}

fn id_of(entity: &serde_json::Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

/// No request so far has said this.
#[track_caller]
fn unsaid(device: &Device, word: &str) {
    for request in device.wire.seen.borrow().iter() {
        let body = String::from_utf8_lossy(&request.body);
        assert!(
            !body.contains(word),
            "{} {} says {word}: {body}",
            request.method,
            request.path
        );
    }
}

fn update(tab: &Tab, entity: &str) -> serde_json::Value {
    match tab
        .write(
            "tasks",
            Write::Update {
                entity: entity.to_owned(),
            },
        )
        .unwrap()
    {
        Written::Entity(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What the server has of its only row.
fn at_server(world: &World) -> serde_json::Value {
    let rows = world.server.rows("ann");
    assert_eq!(rows.len(), 1);
    serde_json::from_str(rows[0].data.as_deref().unwrap()).unwrap()
}

/// The fields that a tab's database keeps beside this entity's row.
fn kept(tab: &Tab) -> usize {
    let user = tab.run(tab.engine.user("ann")).unwrap();
    user.db.read(|replica| {
        replica
            .device_segments()
            .iter()
            .map(|segment| segment.entries.len())
            .sum()
    })
}

#[test]
fn they_are_read_here_and_said_nowhere() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), keeper(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());

    let made = a.create(r#"{"title":"milk","secret":"hush-1","draft":{"deep":"hush-2"}}"#);
    let id = id_of(&made);
    assert_eq!(
        (&made["secret"], &made["draft"]["deep"], &made["title"]),
        (&"hush-1".into(), &"hush-2".into(), &"milk".into())
    );
    a.sync();
    a.patch(&id, r#"{"title":"oat milk","secret":"hush-3"}"#);
    update(
        &a,
        &format!(r#"{{"id":"{id}","title":"soy milk","secret":"hush-4","draft":"hush-5"}}"#),
    );
    a.sync();
    b.sync();

    unsaid(&phone, "hush");
    unsaid(&phone, "secret");
    assert_eq!(at_server(&world)["title"], "soy milk");
    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["title"], &seen["secret"], &seen["draft"]),
        (&"soy milk".into(), &"hush-4".into(), &"hush-5".into())
    );
    assert_eq!(seen["isDeleted"], false);
    assert!(seen["version"].as_u64().unwrap() > 0);
    assert_eq!(b.read(&id).unwrap().get("secret"), None);
    // A device that has such fields has the same digest as one that has none.
    assert_eq!(
        a.run(a.engine.metadata().local("ann"))
            .unwrap()
            .unwrap()
            .data_hash,
        b.run(b.engine.metadata().local("ann"))
            .unwrap()
            .unwrap()
            .data_hash
    );
    assert_eq!(a.run(a.engine.entities().count("ann", "tasks")).unwrap(), 1);
}

#[test]
fn a_write_of_nothing_else_is_one_commit_and_no_operation() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let made = a.create(r#"{"title":"milk","secret":"one"}"#);
    let id = id_of(&made);
    a.sync();
    a.sync();
    phone.requests();
    let modified = a.read(&id).unwrap()["modifiedAt"].clone();
    let before = phone.counts();

    let patched = a.patch(&id, r#"{"secret":"two"}"#);
    let after = phone.counts();
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.records - before.records
        ),
        (1, 1)
    );
    assert_eq!(
        (&patched["secret"], &patched["title"], a.pending()),
        (&"two".into(), &"milk".into(), 0)
    );

    let mut whole = a.read(&id).unwrap();
    whole["secret"] = "three".into();
    let updated = update(&a, &whole.to_string());
    assert_eq!(
        (&updated["secret"], &updated["title"], a.pending()),
        (&"three".into(), &"milk".into(), 0)
    );
    assert_eq!(
        updated["modifiedAt"], modified,
        "what the server has was not touched"
    );

    // The same again changes nothing and writes nothing.
    let before = phone.counts();
    a.patch(&id, r#"{"secret":"three"}"#);
    assert_eq!(phone.counts(), before);

    // One commit for both kinds of fields.
    a.patch(&id, r#"{"secret":"four","title":"tea"}"#);
    assert_eq!(
        (phone.counts().records - before.records, a.pending()),
        (1, 1)
    );
    a.sync();
    assert_eq!(
        (
            &a.read(&id).unwrap()["secret"],
            at_server(&world)["title"].as_str()
        ),
        (&"four".into(), Some("tea"))
    );

    // An update without the field takes it away.
    let mut whole = a.read(&id).unwrap();
    whole.as_object_mut().unwrap().remove("secret");
    update(&a, &whole.to_string());
    assert_eq!(
        (a.read(&id).unwrap().get("secret"), a.pending(), kept(&a)),
        (None, 0, 0)
    );
    unsaid(&phone, "three");
}

#[test]
fn a_call_that_fails_leaves_none_of_them() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"one"}"#));

    let writes = vec![
        Write::Patch {
            id: id.clone(),
            changes: r#"{"secret":"two"}"#.to_owned(),
        },
        Write::Create {
            draft: r#"{"id":"x","secret":"three"}"#.to_owned(),
        },
        Write::Patch {
            id: "nobody".to_owned(),
            changes: r#"{"secret":"four"}"#.to_owned(),
        },
    ];
    a.run(a.engine.entities().write("ann", "tasks", writes))
        .unwrap_err();

    assert_eq!(
        (&a.read(&id).unwrap()["secret"], a.read("x"), kept(&a)),
        (&"one".into(), None, 1)
    );
}

#[test]
fn nothing_that_comes_from_the_server_takes_them_away() {
    let world = World::new();
    let (phone, laptop) = (
        keeper(&world, "phone"),
        world.device("laptop").with_config(SHARES),
    );
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk","n":1,"secret":"hush"}"#));
    a.sync();
    b.sync();
    let holds = |tab: &Tab, title: &str| {
        let seen = tab.read(&id).unwrap();
        assert_eq!(
            (&seen["secret"], &seen["title"]),
            (&"hush".into(), &title.into())
        );
    };

    b.patch(&id, r#"{"title":"newer"}"#);
    b.sync();
    a.sync();
    holds(&a, "newer");

    // A merge, here and there.
    b.patch(&id, r#"{"title":"theirs"}"#);
    b.sync();
    a.patch(&id, r#"{"n":2}"#);
    assert_eq!(a.sync().conflicts_resolved, 1);
    holds(&a, "theirs");
    assert_eq!(at_server(&world)["n"], 2);

    // Another client writes a field of that name: one's own value is what one reads.
    b.patch(&id, r#"{"secret":"loud"}"#);
    b.sync();
    a.sync();
    holds(&a, "theirs");
    assert_eq!(
        at_server(&world)["secret"],
        "loud",
        "and the server keeps that client's"
    );

    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    holds(&a, "theirs");
    a.run(a.engine.metadata().clear("ann", true, true)).unwrap();
    a.sync();
    holds(&a, "theirs");

    for _ in 0..2 {
        let again = phone.open();
        holds(&again, "theirs");
        again
            .run(async {
                again
                    .engine
                    .user("ann")
                    .await
                    .unwrap()
                    .db
                    .checkpoint()
                    .await
            })
            .unwrap();
    }
    holds(&phone.open(), "theirs");
    // The other tab hears of it all.
    a.run(async { a.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    holds(&a, "theirs");
    unsaid(&phone, "hush");
}

#[test]
fn large_ones_are_fetched_again_when_they_are_needed() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(&KEEPS.replace(r#""retry""#, r#""memoryBudget":0,"retry""#));
    let a = phone.open();
    let long = "hush".repeat(3000);
    let ids: Vec<String> = (0..5)
        .map(|n| id_of(&a.create(&format!(r#"{{"title":"{n}","secret":"{n}{long}"}}"#))))
        .collect();
    a.sync();
    a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
        .unwrap();

    let again = phone.open();
    again.patch(&ids[1], r#"{"title":"changed"}"#);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(again.read(id).unwrap()["secret"], format!("{n}{long}"));
    }
    assert_eq!(again.read(&ids[1]).unwrap()["title"], "changed");
    again.sync();
    unsaid(&phone, "hush");
}

#[test]
fn a_rejected_write_leaves_them_with_what_is_left_of_the_entity() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    a.sync();
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.patch(
        &id,
        &format!(r#"{{"title":"{}","secret":"later"}}"#, "x".repeat(200)),
    );
    a.create(&format!(
        r#"{{"title":"{}","secret":"new"}}"#,
        "y".repeat(200)
    ));

    assert_eq!(a.sync().failed_count, 2);

    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["title"], &seen["secret"]),
        (&"milk".into(), &"later".into())
    );
    assert_eq!(
        kept(&a),
        2,
        "the dead letter's own are kept for its second life"
    );
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    for _ in 0..2 {
        a.run(async { a.engine.user("ann").await.unwrap().db.checkpoint().await })
            .unwrap();
    }
    assert_eq!(kept(&phone.open()), 2);
    unsaid(&phone, "later");
}

#[test]
fn a_refused_write_that_is_said_again_has_them_again() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    let long = "y".repeat(200);
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    let new = id_of(&a.create(&format!(r#"{{"title":"{long}","secret":"hush new"}}"#)));
    a.sync();
    update(
        &a,
        &format!(r#"{{"id":"{id}","title":"{long}","secret":"hush more"}}"#),
    );
    a.sync();
    assert_eq!(a.read(&new), None);
    let letters: Vec<String> = a
        .run(a.engine.user("ann"))
        .unwrap()
        .db
        .read(|replica| replica.dead_letters().keys().map(str::to_owned).collect());
    assert_eq!(letters.len(), 2);
    world
        .server
        .configure(|config| config.max_entity_bytes = 1 << 20);

    for letter in &letters {
        a.run(a.engine.dead_letters().retry(letter, None)).unwrap();
    }
    a.sync();

    assert_eq!(
        (
            &a.read(&id).unwrap()["secret"],
            &a.read(&new).unwrap()["secret"]
        ),
        (&"hush more".into(), &"hush new".into())
    );
    assert_eq!(a.read(&id).unwrap()["title"], long.as_str());
    a.create(&format!(r#"{{"title":"z","secret":"{long}"}}"#));
    unsaid(&phone, "hush");

    // Given up, a refused create takes its own along.
    world
        .server
        .configure(|config| config.max_entity_bytes = 120);
    a.create(&format!(r#"{{"title":"{long}","secret":"gone"}}"#));
    a.sync();
    assert_eq!(kept(&a), 4);
    let letter = a
        .run(a.engine.user("ann"))
        .unwrap()
        .db
        .read(|replica| replica.dead_letters().keys().map(str::to_owned).next())
        .unwrap();
    a.run(a.engine.dead_letters().discard(&letter)).unwrap();
    assert_eq!(kept(&a), 3);
}

#[test]
fn they_end_with_their_entity() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());

    // Deleted here before the server knew of it, also in the very same call.
    a.delete(&id_of(&a.create(r#"{"secret":"one"}"#)));
    let both = vec![
        Write::Create {
            draft: r#"{"id":"x","secret":"two"}"#.to_owned(),
        },
        Write::Delete {
            id: "x".to_owned(),
            soft: false,
        },
    ];
    a.run(a.engine.entities().write("ann", "tasks", both))
        .unwrap();
    assert_eq!(
        (kept(&a), a.pending()),
        (1, 1),
        "another tab may have sent the first; nobody has seen the second"
    );
    a.sync();
    assert_eq!((kept(&a), a.pending()), (0, 0));
    let ids: Vec<String> = (0..4)
        .map(|n| id_of(&a.create(&format!(r#"{{"title":"{n}","secret":"s{n}"}}"#))))
        .collect();
    a.sync();
    b.sync();

    // Deleted here: gone for the reader at once, and from the storage with the server's word.
    a.delete(&ids[0]);
    assert_eq!(
        (
            a.read(&ids[0]),
            a.read_in("tasks", &ids[0], true).unwrap().get("secret")
        ),
        (None, None)
    );
    assert_eq!(kept(&a), 4, "the server may still bring it back");
    a.sync();
    assert_eq!(kept(&a), 3);
    // Made again under the same id, it has none of what was there.
    a.create(&format!(r#"{{"id":"{}","title":"again"}}"#, ids[0]));
    assert_eq!(a.read(&ids[0]).unwrap().get("secret"), None);
    a.sync();

    // Made again while the delete waits.
    a.delete(&ids[1]);
    a.create(&format!(r#"{{"id":"{}","title":"again"}}"#, ids[1]));
    assert_eq!(
        (a.read(&ids[1]).unwrap().get("secret"), kept(&a)),
        (None, 2)
    );
    a.sync();

    // Deleted there.
    b.delete(&ids[2]);
    b.sync();
    a.sync();
    assert_eq!(kept(&a), 1);

    // Gone from the server without a word.
    b.delete(&ids[3]);
    b.sync();
    world.server.purge_tombstones().unwrap();
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    assert_eq!(
        (a.read(&ids[3]), kept(&a), kept(&phone.open())),
        (None, 0, 0)
    );

    // A soft delete keeps the body, and so these.
    let note = match a
        .write(
            "notes",
            Write::Create {
                draft: r#"{"secret":"soft"}"#.to_owned(),
            },
        )
        .unwrap()
    {
        Written::Entity(text) => id_of(&serde_json::from_str(&text).unwrap()),
        other => panic!("{other:?}"),
    };
    a.sync();
    a.write(
        "notes",
        Write::Delete {
            id: note.clone(),
            soft: true,
        },
    )
    .unwrap();
    a.sync();
    assert_eq!(a.read_in("notes", &note, false), None);
    assert_eq!(a.read_in("notes", &note, true).unwrap()["secret"], "soft");

    a.run(a.engine.users().clear_data("ann")).unwrap();
    let fresh = phone.open();
    assert_eq!(kept(&fresh), 0);
    fresh.sync();
    assert_eq!(fresh.read(&ids[0]).unwrap().get("secret"), None);
    unsaid(&phone, "soft");
}

#[test]
fn a_delete_that_the_server_outdid_brings_the_entity_back_with_them() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    a.sync();
    b.sync();
    b.patch(&id, r#"{"title":"edited"}"#);
    b.sync();
    a.delete(&id);

    assert_eq!(a.sync().conflicts_resolved, 1);

    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["title"], &seen["secret"]),
        (&"edited".into(), &"hush".into())
    );
}

#[test]
fn a_resolvers_answer_cannot_send_them() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), world.device("laptop"));
    let joined = Asked(|conflict: &Conflict| {
        assert!(!conflict.local.as_deref().unwrap().contains("hush"));
        Ok(Resolution::Merged(Rc::from(
            r#"{"title":"both","secret":"hush-merged","draft":"hush-new"}"#,
        )))
    });
    let a = phone.open_with(Resolvers {
        fallback: Some(Rc::new(joined)),
        ..Resolvers::default()
    });
    let b = laptop.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    a.sync();
    b.sync();
    b.patch(&id, r#"{"title":"theirs"}"#);
    b.sync();
    a.patch(&id, r#"{"title":"mine"}"#);

    let result = a.sync();

    assert_eq!(
        (
            result.conflicts_resolved,
            at_server(&world)["title"].as_str()
        ),
        (1, Some("both"))
    );
    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["secret"], seen.get("draft")),
        (&"hush".into(), None),
        "what is kept here is not part of the conflict"
    );
    unsaid(&phone, "hush");
}

#[test]
fn a_lost_reply_and_a_lost_request_change_nothing_about_them() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    for fault in [Fault::ReplyLost, Fault::Lost] {
        phone.fault("/push", fault);
        a.sync_with("{}").unwrap_err();
        a.patch(&id, r#"{"title":"oat milk","secret":"hush more"}"#);
    }
    assert!(a.sync().is_success);
    let seen = a.read(&id).unwrap();
    assert_eq!(
        (&seen["title"], &seen["secret"], a.pending()),
        (&"oat milk".into(), &"hush more".into(), 0)
    );
    unsaid(&phone, "hush");
}
