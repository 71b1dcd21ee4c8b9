//! Live queries: after every commit the list is what a fresh query gives, and the edits lead there.

use super::query_dice::Dice;
use super::query_reference::{Name, reference_names, window};
use super::query_support::{Entity, read};
use datum_sync::query::live::{EntityChange, ListEdit, LiveQuery};

const NO_LIMIT: usize = usize::MAX;

/// Makes the edits in the list of an app.
fn play(list: &mut Vec<Name>, edits: &[ListEdit]) {
    for edit in edits {
        match edit {
            ListEdit::Insert { index, key } => list.insert(*index, key.entity()),
            ListEdit::Update { index, key } => assert_eq!(list[*index], key.entity()),
            ListEdit::Move { from, index, key } => {
                assert_ne!(from, index);
                let moved = list.remove(*from);
                assert_eq!(moved, key.entity());
                list.insert(*index, moved);
            }
            ListEdit::Remove { index, key } => assert_eq!(list.remove(*index), key.entity()),
        }
    }
}

fn rows(live: &LiveQuery) -> Vec<Name> {
    live.rows().map(|key| key.entity()).collect()
}

/// Returns a live query of these entities.
fn live(query: &str, entities: &[Entity], budget: usize) -> LiveQuery {
    let mut live = LiveQuery::new(read(query).unwrap(), budget);
    load(&mut live, entities);
    live.start();
    live
}

fn load(live: &mut LiveQuery, entities: &[Entity]) {
    entities
        .iter()
        .for_each(|entity| live.load(&entity.as_ref()));
}

/// An entity as it is now, and true if it is there.
type Step = (Entity, bool);

/// Changes entities at random: new ones, other bodies, removals; some twice in one commit.
fn commit(dice: &mut Dice, entities: &mut Vec<Entity>, next: &mut usize) -> Vec<Step> {
    let mut changes = Vec::new();
    if dice.roll(12) == 0 {
        while entities.len() > 3 {
            let gone = entities.remove(dice.roll(entities.len()));
            changes.push((gone, false));
        }
    }
    for _ in 0..[1, 1, 1, 2, 5, 30][dice.roll(6)] {
        let kind = dice.roll(5);
        if kind < 2 || entities.is_empty() {
            *next += 1;
            let entity = dice.entity(*next);
            entities.push(entity.clone());
            changes.push((entity, true));
        } else if kind < 4 {
            let at = dice.roll(entities.len());
            let old = entities[at].clone();
            let mut new = dice.entity(0);
            (new.id, new.space) = (old.id, old.space);
            if dice.roll(4) == 0 {
                new.body = old.body;
            }
            entities[at] = new.clone();
            changes.push((new, true));
        } else {
            let gone = entities.remove(dice.roll(entities.len()));
            changes.push((gone, false));
        }
    }
    changes
}

fn changes(commit: &[Step]) -> Vec<EntityChange<'_>> {
    commit
        .iter()
        .map(|step| {
            if step.1 {
                EntityChange::Put(step.0.as_ref())
            } else {
                EntityChange::Gone {
                    id: &step.0.id,
                    space: step.0.space.as_deref(),
                }
            }
        })
        .collect()
}

/// Follows random commits. Returns how often the query had to be loaded again.
fn follow(seed: u64, budget: usize, rounds: usize) -> usize {
    let mut dice = Dice(seed);
    let mut loads = 0;
    for _ in 0..rounds {
        let mut next = 1_000;
        let mut entities: Vec<Entity> = (0..dice.roll(160)).map(|id| dice.entity(id)).collect();
        let query = dice.query();
        let mut live = live(&query, &entities, budget);
        let mut list = rows(&live);
        assert_eq!(list, window(&query, reference_names(&query, &entities)));
        for _ in 0..25 {
            let commit = commit(&mut dice, &mut entities, &mut next);
            let edits = live.apply(&changes(&commit)).unwrap_or_else(|| {
                loads += 1;
                live.clear();
                load(&mut live, &entities);
                live.refresh()
            });
            let all = reference_names(&query, &entities);
            let told = || format!("{query}\n{commit:#?}\n{edits:#?}");
            if let Some(count) = live.count() {
                assert_eq!(count, all.len(), "{}", told());
            }
            let fresh = window(&query, all);
            assert_eq!(rows(&live), fresh, "{}", told());
            play(&mut list, &edits);
            assert_eq!(list, fresh, "{}", told());
            // No more than each entity of the commit, and each place of the window, asks for.
            let limited = query.contains("limit");
            assert!(
                !limited || edits.len() <= 2 * fresh.len() + 12,
                "{}",
                told()
            );
        }
    }
    loads
}

#[test]
fn the_list_is_what_the_query_gives_anew_after_every_commit() {
    assert_eq!(follow(5, NO_LIMIT, 25), 0);
}

#[test]
fn a_live_query_with_a_small_budget_is_right_too_and_says_when_it_has_to_be_loaded() {
    assert!(follow(6, 0, 40) > 0);
}

fn tasks(count: usize) -> Vec<Entity> {
    (0..count)
        .map(|n| Entity::new(&format!("t{n:05}"), &format!("{{\"at\":{n}}}")))
        .collect()
}

const FIRST_TEN: &str = r#"{"orderBy":[{"field":"at"}],"limit":10,"offset":5}"#;

#[test]
fn a_window_refills_from_the_keys_that_it_keeps() {
    let entities = tasks(1_000);
    let mut live = live(FIRST_TEN, &entities, NO_LIMIT);
    for (n, entity) in entities.iter().take(900).enumerate() {
        let gone = EntityChange::Gone {
            id: &entity.id,
            space: None,
        };
        // The first of the window moves before it, and one comes in behind.
        let edits = live.apply(&[gone]).unwrap();
        assert_eq!(edits.len(), 2, "{edits:?}");
        assert_eq!(rows(&live)[0].0, format!("t{:05}", n + 6));
    }
}

#[test]
fn keys_beyond_the_budget_are_given_up_and_the_window_stays() {
    let entities = tasks(10_000);
    let mut live = live(FIRST_TEN, &entities, 20_000);
    assert!(live.memory() <= 20_000, "{}", live.memory());
    assert_eq!((live.count(), rows(&live).len()), (None, 10));
    let mut removed = 0;
    while live
        .apply(&[EntityChange::Gone {
            id: &entities[removed].id,
            space: None,
        }])
        .is_some()
    {
        assert_eq!(rows(&live)[9].0, format!("t{:05}", removed + 15));
        removed += 1;
    }
    assert!(removed > 64, "{removed}");
    live.clear();
    load(&mut live, &entities[removed + 1..]);
    assert_eq!(
        live.refresh().len(),
        11,
        "nine stay, one leaves and one comes"
    );
}

#[test]
fn a_change_says_what_the_list_needs_and_no_more() {
    let mut entities = tasks(100);
    let mut live = live(FIRST_TEN, &entities, NO_LIMIT);
    let mut edits = |n: usize, at: &str| {
        entities[n].body = format!("{{\"at\":{at}}}");
        let edits = live
            .apply(&[EntityChange::Put(entities[n].as_ref())])
            .unwrap();
        let told = edits.iter().map(|edit| match edit {
            ListEdit::Insert { index, key } => format!("+{index} {}", key.entity().0),
            ListEdit::Update { index, .. } => format!("={index}"),
            ListEdit::Move { from, index, .. } => format!("{from}>{index}"),
            ListEdit::Remove { index, .. } => format!("-{index}"),
        });
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(edits(8, "8"), "=3");
    assert_eq!(edits(8, "8.5"), "=3");
    assert_eq!(edits(8, "12.5"), "3>7");
    assert_eq!(edits(8, "5.5"), "7>1");
    assert_eq!(edits(8, "8"), "1>3");
    assert_eq!(edits(50, "51.5"), "", "behind the window");
    assert_eq!(edits(2, "1.5"), "", "before the window");
    assert_eq!(edits(50, "2.5"), "-9 +0 t00004");
    assert_eq!(edits(50, "50"), "-0 +9 t00014");
    assert_eq!(edits(50, "9.5"), "-9 +5 t00050");
}

#[test]
fn a_page_of_changes_is_one_small_update() {
    let entities = tasks(2_000);
    let mut live = live(FIRST_TEN, &entities[1_000..], NO_LIMIT);
    let changes: Vec<EntityChange<'_>> = entities[..1_000]
        .iter()
        .map(|entity| EntityChange::Put(entity.as_ref()))
        .collect();
    let edits = live.apply(&changes).unwrap();
    assert_eq!(edits.len(), 20, "ten leave and ten come");
    assert_eq!(live.count(), Some(2_000));
}
