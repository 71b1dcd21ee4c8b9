//! Faults of shared spaces that random histories have found.

use crate::support::spaces::{TEAM, place, team};
use crate::support::world::World;
use datum_sync::model::space::Role;
use datum_sync::plan::write::Write;

const RED: &str = r#"{"scope":{"name":"red","query":{"where":{"colour":"red"}}}}"#;

#[test]
fn the_first_pull_of_a_filtered_scope_drops_nothing() {
    let world = World::new();
    team(&world);
    let a = world.device("phone").open();
    a.sync();
    a.create(r#"{"id":"m","title":"milk"}"#);
    a.creates(Some(TEAM), "y", "more");
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    let all = [
        place("milk", None),
        place("more", Some(TEAM)),
        place("plan", Some(TEAM)),
    ];
    assert_eq!(a.places(), all);
    a.sync_with(RED).unwrap();
    assert_eq!(a.places(), all);
    a.at_rest();
}

#[test]
fn a_delete_in_a_space_that_is_refused_goes_with_its_creation() {
    for member in [true, false] {
        let world = World::new();
        team(&world).removes(TEAM, "ann");
        let a = world.device("phone").open();
        a.makes(TEAM);
        if member {
            let spaces = || a.engine.spaces();
            a.run(spaces().set_role("ann", TEAM, "carol", Role::Writer))
                .unwrap();
            assert!(a.run(spaces().remove("ann", TEAM, "carol")).unwrap());
        } else {
            a.creates(Some(TEAM), "y", "more");
            let (id, soft) = ("y".to_owned(), false);
            a.write("tasks", Write::Delete { id, soft }).unwrap();
        }
        assert_eq!(a.pending(), 2);
        a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        let mut codes: Vec<_> = a.buried().into_iter().map(|(code, _)| code).collect();
        codes.sort();
        assert_eq!(codes, ["blocked", "notMember"], "{member}");
        a.sync();
        a.at_rest();
    }
}
