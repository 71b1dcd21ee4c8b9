//! Faults of shared spaces that random histories have found.

use crate::support::spaces::{TEAM, place, team};
use crate::support::world::World;

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
