//! Histories by chance, through the kit and through the rules of this crate at once: every verdict and every
//! page is the same, but for the numbers of versions, which are compared as pairs.

use std::collections::BTreeMap;

use datum_server::{Config, MemoryStore, Service};
use serde_json::{Value, json};

use super::project::{Project, op};
use super::world::{BLUE, Device, Dice, Pair, RED, World};
use crate::project;

fn history(project: &Project, seed: u64, shared: bool) {
    let mut world = World {
        project,
        rules: Service {
            store: MemoryStore::new("e1"),
            config: Config::default(),
        },
        seed,
        dice: Dice(seed * 2_654_435_761 + 1),
        n: 0,
        versions: BTreeMap::new(),
        bases: BTreeMap::new(),
        sent: Vec::new(),
        log: Vec::new(),
    };
    if shared {
        for (n, (space, bob)) in [(RED, "writer"), (BLUE, "reader")].into_iter().enumerate() {
            let members = json!({ "clientId": "d", "operations": [
                { "opId": format!("s{n}"), "entity": "$space", "id": space, "space": space, "kind": "create", "baseVersion": null, "data": { "name": "x" } },
                { "opId": format!("m{n}"), "entity": "$member", "id": format!("{space}/{}", world.user(1)), "space": space, "kind": "create", "baseVersion": null, "data": { "role": bob } },
            ] });
            let ann = world.user(0);
            pollster::block_on(world.rules.handle(
                &ann,
                "POST",
                "/sync/v1/push",
                members.to_string().as_bytes(),
                1_000,
            ))
            .unwrap();
            project.sql(&format!("delete from public.members where team_id = '{space}'; insert into public.members values ('{space}', '{ann}', 'owner'), ('{space}', '{}', '{bob}'); delete from datum.document where space = '{space}'; select datum.sweep('0 s'); delete from datum.floor where space = '{space}'", world.user(1)));
        }
    }
    // Version 1 is also that of a row without a trace; here no row has it.
    for user in 0..2 {
        let first = json!({ "clientId": "d", "operations": [op("first", "task", "first", "create", Value::Null, json!({}))] });
        world.both(user, "push", &first, &first);
    }
    let all = [
        json!({ "clientId": "d", "digests": true }),
        json!({ "clientId": "d", "entities": ["task"] }),
        json!({ "clientId": "d", "scope": { "where": { "list": "home" } } }),
    ];
    let mut devices: Vec<Device> = (0..if shared { 2 } else { 6 })
        .map(|n| Device {
            user: n % 2,
            asked: all[n / 2].clone(),
            cursor: Pair::default(),
        })
        .collect();
    for _ in 0..25 {
        match world.dice.roll(12) {
            0..6 => {
                let user = world.dice.roll(2);
                world.push(user, shared);
            }
            6..11 => {
                let place = world.dice.roll(devices.len());
                world.pull(&mut devices[place], shared);
            }
            _ => world.forget(),
        }
    }
    for device in &mut devices {
        while world.pull(device, shared) {}
    }
}

/// How many histories: `KIT_SEEDS`, for a longer look.
fn seeds() -> u64 {
    std::env::var("KIT_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(25)
}

#[test]
fn every_verdict_and_page_is_that_of_the_rules() {
    let project = project!("select datum.documents(true)");
    for seed in 1..=seeds() {
        history(&project, seed, false);
    }
}

#[test]
fn every_verdict_and_change_in_shared_spaces_is_that_of_the_rules() {
    let project = project!(
        "create table public.members (team_id uuid, user_id text, role text);
         select datum.documents(true);
         select datum.membership('select team_id, role from public.members where user_id = datum.me()')"
    );
    for seed in 1..=seeds() {
        history(&project, seed, true);
    }
}
