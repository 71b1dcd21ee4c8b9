//! Partial pulls: a scope has its own cursor and removes no row of the main pull.

use crate::support::world::World;

#[test]
fn a_partial_pull_takes_nothing_away_and_has_a_cursor_of_its_own() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"title":"milk","shop":"corner"}"#);
    a.create(r#"{"title":"nails","shop":"hardware"}"#);
    a.sync();
    let scope = r#"{"direction":"pullOnly","scope":{"query":{"where":{"shop":"corner"}}}}"#;

    assert_eq!(b.sync_with(scope).unwrap().pulled_count, 1);
    assert_eq!(b.titles(), ["milk"]);
    assert!(b.sync().is_success);
    assert_eq!(
        b.titles(),
        ["milk", "nails"],
        "the main cursor had not moved"
    );
    b.sync_with(&scope.replace(r#""scope""#, r#""forceFullSync":true,"scope""#))
        .unwrap();

    assert_eq!(
        b.titles(),
        ["milk", "nails"],
        "what the scope does not bring is not gone"
    );
}

#[test]
fn a_row_that_leaves_a_scope_is_not_deleted() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let corner = r#"{"direction":"pullOnly","scope":{"query":{"where":{"shop":"corner"}}}}"#;
    a.create(r#"{"id":"t","title":"milk","shop":"corner"}"#);
    a.sync();
    b.sync_with(corner).unwrap();
    b.sync();
    a.patch("t", r#"{"shop":"mall"}"#);
    a.sync();
    b.sync();

    b.sync_with(corner).unwrap();

    assert_eq!(b.read("t").unwrap()["shop"], "mall");
    laptop.requests();
    assert_eq!(b.sync().pulled_count, 0, "nothing has to come again");
    let requests = laptop.requests();
    let pulls = requests.iter().filter(|path| path.ends_with("/pull"));
    assert_eq!(pulls.count(), 1, "the main cursor still holds");
}
