//! Fields that never leave the device, while the rest of their entity is pulled, refused, deleted and
//! merged.

use std::rc::Rc;

use crate::support::local_only::{SHARES, at_server, keeper, kept, unsaid, update};
use crate::support::world::{Fault, FnResolver, Tab, World, id_of};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::plan::write::{Write, Written};

#[test]
fn no_pulled_row_removes_local_only_fields() {
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
    // The other tab is told.
    a.run(async { a.engine.user("ann").await.unwrap().db.catch_up().await })
        .unwrap();
    holds(&a, "theirs");
    unsaid(&phone, "hush");
}

#[test]
fn a_rejected_write_keeps_the_local_only_fields_of_its_entity() {
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
fn a_retried_dead_letter_has_its_local_only_fields() {
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

    // A discarded create takes its local-only fields with it.
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
fn local_only_fields_end_with_their_entity() {
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

    // Removed from the server without a tombstone.
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
fn a_delete_that_loses_brings_back_the_local_only_fields() {
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
fn a_resolver_cannot_send_local_only_fields() {
    let world = World::new();
    let (phone, laptop) = (keeper(&world, "phone"), world.device("laptop"));
    let joined = FnResolver(|conflict: &Conflict| {
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
fn lost_requests_and_replies_leave_local_only_fields_alone() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    for fault in [Fault::ReplyLost, Fault::Lost] {
        phone.fault("/push", fault);
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
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
