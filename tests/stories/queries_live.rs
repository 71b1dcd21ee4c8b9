//! Live queries: after every commit of any tab and every pulled page the list is what the query
//! finds anew.

use crate::queries::{INDEXED, create_many, entities, numbered};
use crate::query_dice::Dice;
use crate::query_reference::{reference, reference_page};
use crate::support::spaces::{CLUB, TEAM};
use crate::support::world::{CountedStore, Tab, TestHost, World, id_of};
use datum_sync::engine::queries::watch::{EditKind, QueryWatch, ResultUpdate};
use futures_util::FutureExt;
use serde_json::Value;

pub type Watching = QueryWatch<CountedStore, TestHost>;

fn watch(tab: &Tab, query: &str) -> Watching {
    tab.run(tab.engine.queries().watch(&tab.user, "tasks", query, false))
        .unwrap()
}

/// As [`watch`], with the sync state in each entity.
pub fn watch_states(tab: &Tab, query: &str) -> Watching {
    tab.run(tab.engine.queries().watch(&tab.user, "tasks", query, true))
        .unwrap()
}

/// The list of an app.
#[derive(Default)]
pub struct List(pub Vec<Value>);

impl List {
    /// Makes an update's edits in the list.
    fn apply(&mut self, update: &ResultUpdate) {
        let items: Vec<Value> = serde_json::from_str(&update.items).unwrap();
        let mut items = items.into_iter();
        for edit in &update.edits {
            match edit.kind {
                EditKind::Insert => self.0.insert(edit.index, items.next().unwrap()),
                EditKind::Update => {
                    let new = items.next().unwrap();
                    assert_eq!(self.0[edit.index]["id"], new["id"]);
                    assert_ne!(self.0[edit.index], new, "nothing has changed");
                    self.0[edit.index] = new;
                }
                EditKind::Move => {
                    let old = self.0.remove(edit.from);
                    let new = items.next().unwrap();
                    assert_eq!(old["id"], new["id"]);
                    self.0.insert(edit.index, new);
                }
                EditKind::Remove => drop(self.0.remove(edit.index)),
            }
        }
        assert!(items.next().is_none());
    }

    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(id_of).collect()
    }
}

/// Makes what there is to know; false if there is nothing.
pub fn follow(tab: &Tab, watch: &Watching, list: &mut List) -> Option<Vec<EditKind>> {
    // Bodies may have to be fetched, so one look is not enough to say that nothing comes.
    let update = tab.run(async {
        let mut next = std::pin::pin!(watch.next().fuse());
        for _ in 0..50 {
            if let Some(update) = next.as_mut().now_or_never() {
                return Some(update.unwrap().expect("the watch has ended"));
            }
        }
        None
    })?;
    list.apply(&update);
    Some(update.edits.iter().map(|edit| edit.kind).collect())
}

#[test]
fn a_live_query_begins_with_its_result_and_tells_of_each_edit() {
    let world = World::new();
    let a = world.device("phone").with_config(INDEXED).open();
    create_many(&a, numbered(0, 6));
    let watching = watch(
        &a,
        r#"{"where":{"field":"group","lessThan":2},"orderBy":[{"field":"at"}],"limit":3}"#,
    );
    let mut list = List::default();
    assert_eq!(
        follow(&a, &watching, &mut list),
        Some(vec![EditKind::Insert; 3])
    );
    assert_eq!(list.ids(), ["t00000", "t00001", "t00004"]);
    assert_eq!(follow(&a, &watching, &mut list), None);

    a.patch("t00000", r#"{"title":"new"}"#);
    assert_eq!(
        follow(&a, &watching, &mut list),
        Some(vec![EditKind::Update])
    );
    a.patch("t00000", r#"{"at":2}"#);
    assert_eq!(follow(&a, &watching, &mut list), Some(vec![EditKind::Move]));
    assert_eq!(list.ids(), ["t00001", "t00000", "t00004"]);
    a.delete("t00001");
    assert_eq!(
        follow(&a, &watching, &mut list),
        Some(vec![EditKind::Remove, EditKind::Insert])
    );
    assert_eq!(list.ids(), ["t00000", "t00004", "t00005"]);
    a.patch("t00003", r#"{"title":"elsewhere"}"#);
    assert_eq!(
        follow(&a, &watching, &mut list),
        None,
        "it is not in the list"
    );
    watching.end();
    assert_eq!(a.run(watching.next()), Ok(None));
}

#[test]
fn an_empty_result_is_told_once() {
    let world = World::new();
    let a = world.device("phone").open();
    let watching = watch(&a, r#"{"where":{"field":"at","equals":1}}"#);
    let mut list = List::default();
    assert_eq!(follow(&a, &watching, &mut list), Some(Vec::new()));
    assert_eq!(follow(&a, &watching, &mut list), None);
    a.create(r#"{"at":1}"#);
    assert_eq!(
        follow(&a, &watching, &mut list),
        Some(vec![EditKind::Insert])
    );
}

#[test]
fn a_pulled_page_is_one_update_of_a_live_query() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    create_many(&a, numbered(0, 40));
    a.sync();
    let watching = watch(&b, r#"{"orderBy":[{"field":"at","descending":true}]}"#);
    let mut list = List::default();
    follow(&b, &watching, &mut list);
    b.sync();
    assert_eq!(
        follow(&b, &watching, &mut list).map(|edits| edits.len()),
        Some(40)
    );
    assert_eq!((list.0.len(), follow(&b, &watching, &mut list)), (40, None));
}

#[test]
fn a_count_is_told_when_it_is_another() {
    let world = World::new();
    let a = world.device("phone").open();
    create_many(&a, numbered(0, 10));
    let watching = a
        .run(a.engine.queries().watch_count(
            &a.user,
            "tasks",
            r#"{"where":{"field":"group","equals":1},"limit":1}"#,
        ))
        .unwrap();
    let now = |watching: &Watching| watching.next_count().now_or_never().map(Result::unwrap);
    assert_eq!(now(&watching), Some(Some(3)));
    a.patch("t00001", r#"{"title":"x"}"#);
    assert_eq!(now(&watching), None);
    a.delete("t00001");
    assert_eq!(now(&watching), Some(Some(2)));
    watching.end();
    assert_eq!(now(&watching), Some(None));
}

/// Random commits of two tabs and pulls of a third device's writes: the lists of several live
/// queries of one tab, read now and then.
fn random_commits(seed: u64, config: &str) {
    let mut dice = Dice(seed);
    let world = World::new();
    let other = world.device("phone").open();
    let device = world.device("laptop").with_config(config);
    let (one, two) = (device.open(), device.open());
    create_many(&other, (0..60).map(|_| dice.object(3)));
    other.sync();
    one.sync();
    let mut watches: Vec<(String, Watching, List)> = (0..5)
        .map(|_| {
            let text = dice.query();
            (text.clone(), watch(&one, &text), List::default())
        })
        .collect();
    let counted = dice.condition(2);
    let counted = format!("{{\"where\":{counted}}}");
    let counting = one
        .run(
            one.engine
                .queries()
                .watch_count(&one.user, "tasks", &counted),
        )
        .unwrap();
    for _ in 0..24 {
        for _ in 0..dice.roll(6) {
            let tab = [&one, &two, &other][dice.roll(3)];
            let all = entities(tab);
            let id = all.get(dice.roll(all.len().max(1)));
            let id = id.map_or_else(String::new, |entity| entity.id.clone());
            match dice.roll(4) {
                0 => drop(tab.create(&dice.object(3))),
                1 => create_many(tab, (0..dice.roll(12)).map(|_| dice.object(2))),
                _ if id.is_empty() => {}
                2 if tab.read(&id).is_some() => drop(tab.patch(&id, &dice.object(2))),
                _ => drop(tab.delete(&id)),
            }
        }
        if dice.roll(3) == 0 {
            other.sync();
            [&one, &two][dice.roll(2)].sync();
        }
        // What the other tab has written is announced.
        one.run(one.engine.on_head(&one.user, u64::MAX)).unwrap();
        for (text, watching, list) in &mut watches {
            if dice.roll(4) == 0 {
                // A slow reader gets the latest.
                continue;
            }
            follow(&one, watching, list);
            let all = entities(&one);
            assert_eq!(list.ids(), reference_page(text, &all), "{text}");
            for shown in &list.0 {
                let now = all.iter().find(|entity| shown["id"] == entity.id).unwrap();
                let now: Value = serde_json::from_str(&now.body).unwrap();
                assert_eq!(*shown, now, "{text}");
            }
        }
        if let Some(count) = counting.next_count().now_or_never() {
            let all = reference(&counted, &entities(&one));
            assert_eq!(count.unwrap(), Some(all.len()), "{counted}");
        }
    }
}

#[test]
fn after_random_commits_of_two_tabs_and_pulls_the_list_is_what_the_query_finds_anew() {
    const PLAIN: &str = r#"{"entities":{"tasks":{"deleteBehavior":"softDelete"}}}"#;
    const FULL: &str = r#"{"entities":{"tasks":{"indexes":["a","b",["version","a"]]}}}"#;
    const SMALL: &str = r#"{"entities":{"tasks":{"indexes":["a"]}},"memoryBudget":0}"#;
    for (seed, config) in [(1, PLAIN), (2, FULL), (3, SMALL)] {
        random_commits(seed, config);
    }
}

#[test]
fn a_live_query_that_has_missed_more_than_is_noted_is_loaded_again() {
    let world = World::new();
    let a = world.device("phone").with_config(INDEXED).open();
    create_many(&a, numbered(0, 10));
    let texts = [
        r#"{"orderBy":[{"field":"at","descending":true}],"limit":5}"#,
        r#"{"where":{"field":"group","equals":0}}"#,
    ];
    let mut watches: Vec<_> = texts
        .map(|text| (text, watch(&a, text), List::default()))
        .into();
    for (_, watching, list) in &mut watches {
        follow(&a, watching, list);
    }
    a.patch("t00009", r#"{"at":-1}"#);
    a.delete("t00004");
    for from in [0, 11_000, 22_000] {
        create_many(&a, numbered(100 + from, 11_100 + from));
    }
    for (text, watching, list) in &mut watches {
        let edits = follow(&a, watching, list).unwrap();
        assert_eq!(list.ids(), reference_page(text, &entities(&a)), "{text}");
        assert!(
            !edits.contains(&EditKind::Update),
            "what is unchanged is not told"
        );
    }
}

#[test]
fn an_entity_that_was_never_sent_leaves_the_list_of_its_space_when_it_moves() {
    let world = World::new();
    let tab = world.device("phone").open();
    tab.makes(TEAM);
    tab.makes(CLUB);
    tab.sync();
    let watches = ["tasks", "tasks\0"].map(|selection| {
        let watching = tab.engine.queries().watch(&tab.user, selection, "{}", true);
        (tab.run(watching).unwrap(), List::default())
    });
    let [(all, mut list), (own, mut personal)] = watches;
    tab.creates(None, "milk", "milk");
    for to in [Some(TEAM), None, Some(CLUB), None] {
        follow(&tab, &all, &mut list);
        follow(&tab, &own, &mut personal);
        tab.moves("milk", to);
        follow(&tab, &all, &mut list);
        follow(&tab, &own, &mut personal);
        let spaces = list.0.iter().map(|task| task["spaceId"].as_str());
        assert_eq!(spaces.collect::<Vec<_>>(), [to]);
        assert_eq!(personal.0.len(), usize::from(to.is_none()));
    }
}

#[test]
fn a_move_that_was_not_sent_leaves_the_space_that_it_led_to() {
    let world = World::new();
    let tab = world.device("phone").open();
    tab.makes(TEAM);
    tab.makes(CLUB);
    tab.creates(None, "milk", "milk");
    tab.sync();
    let (all, mut list) = (watch(&tab, "{}"), List::default());
    for to in [TEAM, CLUB] {
        tab.moves("milk", Some(to));
        follow(&tab, &all, &mut list);
        let spaces = list.0.iter().map(|task| task["spaceId"].as_str());
        assert_eq!(spaces.collect::<Vec<_>>(), [Some(to)]);
    }
}
