//! Queries on bytes beside the evaluator on parsed values.

use super::query_dice::Dice;
use super::query_reference::{reference, reference_page};
use super::query_support::{Entity, ids, select};

/// Returns entities whose ids are all different.
fn entities(dice: &mut Dice, count: usize) -> Vec<Entity> {
    (0..count).map(|id| dice.entity(id)).collect()
}

#[test]
fn random_queries_find_what_they_find_on_parsed_values() {
    let mut dice = Dice(1);
    let (mut some, mut none) = (0, 0);
    for _ in 0..40 {
        let entities = entities(&mut dice, 25);
        for _ in 0..20 {
            let query = dice.query();
            let selected = select(&query, &entities);
            let all = reference(&query, &entities);
            let told = || format!("{query}\n{entities:#?}");
            assert_eq!(selected.matched, all.len(), "{}", told());
            let page = reference_page(&query, &entities);
            assert_eq!(ids(&selected), page, "{}", told());
            let end = serde_json::from_str::<serde_json::Value>(&query).unwrap()["offset"]
                .as_u64()
                .unwrap_or_default() as usize
                + page.len();
            assert_eq!(selected.more, end < all.len(), "{}", told());
            if all.is_empty() { none += 1 } else { some += 1 }
        }
    }
    assert!(
        some > 250 && none > 80,
        "{some} with, {none} without a result"
    );
}

#[test]
fn pages_follow_each_other_without_a_gap_whatever_the_order() {
    let mut dice = Dice(2);
    for _ in 0..80 {
        let entities = entities(&mut dice, 30);
        let base = format!(
            "{{\"orderBy\":{},\"where\":{}",
            dice.order(),
            dice.condition(2)
        );
        let all = reference(&format!("{base}}}"), &entities);
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let size = dice.roll(7) + 1;
            let page = select(&format!("{base},\"limit\":{size}{after}}}"), &entities);
            found.extend(ids(&page));
            if !page.more {
                break;
            }
            after = format!(",\"after\":\"{}\"", page.after.unwrap());
        }
        assert_eq!(found, all, "{base}\n{entities:#?}");
    }
}
