//! A field that becomes local only or is shared from now on, and logs that are lost.

use crate::support::local_only::{KEEPS, SHARES, at_server, keeper, kept, unsaid, update};
use crate::support::world::{World, id_of};

#[test]
fn a_field_made_local_only_stays_on_the_server_as_it_was() {
    let world = World::new();
    let mut phone = world.device("phone").with_config(SHARES);
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"old"}"#));
    a.sync();
    // One operation from before the change is still pending.
    a.patch(&id, r#"{"secret":"waiting"}"#);
    let other = id_of(&a.create(r#"{"title":"tea","secret":"waiting too"}"#));
    phone = phone.with_config(KEEPS);
    phone.requests();

    let a = phone.open();
    a.sync();
    unsaid(&phone, "waiting");
    for (id, word) in [(&id, "waiting"), (&other, "waiting too")] {
        assert_eq!(a.read(id).unwrap()["secret"], word);
    }
    a.sync_with(r#"{"forceFullSync":true}"#).unwrap();
    for (id, word) in [(&id, "waiting"), (&other, "waiting too")] {
        assert_eq!(
            a.read(id).unwrap()["secret"],
            word,
            "what was never sent is not lost"
        );
    }
    a.delete(&other);
    a.sync();
    world.server.purge_tombstones().unwrap();
    assert_eq!(at_server(&world)["secret"], "old");

    a.patch(&id, r#"{"title":"oat milk"}"#);
    a.sync();
    let mut whole = a.read(&id).unwrap();
    (whole["title"], whole["secret"]) = ("soy milk".into(), "new".into());
    update(&a, &whole.to_string());
    a.sync();

    let server = at_server(&world);
    assert_eq!(
        (&server["title"], &server["secret"]),
        (&"soy milk".into(), &"old".into())
    );
    assert_eq!(a.read(&id).unwrap()["secret"], "new");
    unsaid(&phone, "new");
    let idle = a.sync();
    assert!(idle.is_success && idle.pulled_count == 0, "{idle:?}");
}

#[test]
fn a_field_no_longer_local_only_is_sent_with_the_next_write() {
    let world = World::new();
    let mut phone = keeper(&world, "phone");
    let a = phone.open();
    let (one, two) = (
        id_of(&a.create(r#"{"title":"milk","secret":"s1"}"#)),
        id_of(&a.create(r#"{"title":"tea","secret":"s2"}"#)),
    );
    a.sync();
    phone = phone.with_config(SHARES);

    let a = phone.open();
    a.sync();
    unsaid(&phone, "s1");
    assert_eq!(
        a.read(&one).unwrap()["secret"],
        "s1",
        "it is still there to read"
    );
    a.patch(&one, r#"{"title":"oat milk"}"#);
    let mut whole = a.read(&two).unwrap();
    whole["title"] = "green tea".into();
    update(&a, &whole.to_string());
    a.sync();

    let rows: Vec<String> = world
        .server
        .rows("ann")
        .iter()
        .map(|row| row.data.as_deref().unwrap().to_owned())
        .collect();
    assert!(
        rows.iter().any(|row| row.contains("s1")) && rows.iter().any(|row| row.contains("s2")),
        "{rows:?}"
    );
    assert_eq!(
        (
            &a.read(&one).unwrap()["secret"],
            &a.read(&two).unwrap()["secret"],
            kept(&a)
        ),
        (&"s1".into(), &"s2".into(), 0)
    );
}

#[test]
fn a_log_lost_under_an_open_tab_keeps_local_only_fields() {
    let world = World::new();
    let phone = keeper(&world, "phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk","secret":"hush"}"#));
    a.sync();
    phone.evict();

    assert!(a.sync().is_success);

    assert_eq!(a.read(&id).unwrap()["secret"], "hush");
    assert_eq!(phone.open().read(&id).unwrap()["secret"], "hush");
}
