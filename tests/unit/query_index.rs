//! Indexes: the same result with them and without, and which one a query is read by.

use std::collections::BTreeMap;

use super::query_dice::Dice;
use super::query_reference::{Name, reference_names, window};
use super::query_support::{Entity, read};
use datum_sync::query::index::Indexes;
use datum_sync::query::select::Select;

type Rows = BTreeMap<Name, Entity>;

fn name(entity: &Entity) -> Name {
    (entity.id.clone(), entity.space.clone())
}

/// The result of a query by the path that the planner chooses, and how many entities it looked at.
fn select(query: &str, indexes: &Indexes, rows: &Rows) -> (Vec<Name>, bool, usize, Option<String>) {
    let query = read(query).unwrap();
    let path = indexes.plan(&query);
    let mut select = Select::new(query, path.in_order);
    let mut seen = 0;
    if path.index.is_some() {
        for key in indexes.candidates(&path) {
            seen += 1;
            if select.offer(&rows[&key.entity()].as_ref()) {
                break;
            }
        }
        assert!(path.rows.is_some_and(|rows| seen <= rows));
    } else {
        for entity in rows.values() {
            seen += 1;
            if select.offer(&entity.as_ref()) {
                break;
            }
        }
    }
    let selected = select.finish();
    let names = selected.keys.iter().map(|key| key.entity()).collect();
    (names, selected.more, seen, selected.after)
}

impl Dice {
    fn simple(&mut self) -> String {
        self.pick(&[
            "0",
            "1",
            "2",
            "3",
            "-1",
            "null",
            "true",
            "\"a\"",
            "\"ab\"",
            "\"abc\"",
            "\"\"",
            "[1]",
            "\"a\\u0000\"",
            "{\"x\":1}",
        ])
        .to_owned()
    }

    fn simple_entity(&mut self, id: usize) -> Entity {
        let mut entity = self.entity(id);
        let (a, b, c) = (self.simple(), self.simple(), self.simple());
        entity.body = match self.roll(6) {
            0 => format!("{{\"a\":{a}}}"),
            1 => format!("{{\"b\":{b},\"a\":{{\"x\":{a}}}}}"),
            _ => format!("{{\"a\":{a},\"b\":{b},\"c\":{c}}}"),
        };
        entity
    }

    fn simple_field(&mut self) -> &'static str {
        self.pick(&["a", "a", "b", "b", "c", "a.x", "id"])
    }

    /// A query of the kind that indexes are for.
    fn indexed_query(&mut self) -> String {
        let tests: Vec<String> = (0..self.roll(4))
            .map(|_| {
                let field = self.simple_field();
                let value = loop {
                    let value = self.simple();
                    if value != "null" {
                        break value;
                    }
                };
                let test = match self.roll(8) {
                    0 | 1 => format!("\"equals\":{}", self.simple()),
                    2 => format!("\"isIn\":[{},{},{}]", self.simple(), self.simple(), value),
                    3 => format!("\"greaterThan\":{value}"),
                    4 => format!("\"lessThanOrEqual\":{value}"),
                    5 => format!("\"isNull\":{}", self.roll(2) == 0),
                    6 => format!("\"startsWith\":{}", self.pick(&["\"a\"", "\"ab\"", "\"\""])),
                    _ => "\"greaterThanOrEqual\":\"a\",\"lessThan\":\"abc\"".to_owned(),
                };
                format!("{{\"field\":\"{field}\",{test}}}")
            })
            .collect();
        let filter = match self.roll(8) {
            0 => format!("{{\"or\":[{}]}}", tests.join(",")),
            1 => self.condition(2),
            _ => format!("{{\"and\":[{}]}}", tests.join(",")),
        };
        let direction = self.pick(&["", ",\"descending\":true"]);
        let keys: Vec<String> = (0..self.roll(3))
            .map(|_| {
                let nulls = self.pick(&["", "", "", ",\"nulls\":\"first\"", ",\"nulls\":\"last\""]);
                format!(
                    "{{\"field\":\"{}\"{direction}{nulls}}}",
                    self.simple_field()
                )
            })
            .collect();
        format!("{{\"where\":{filter},\"orderBy\":[{}]", keys.join(","))
    }
}

#[test]
fn with_indexes_and_without_the_result_is_the_same() {
    let mut dice = Dice(7);
    let (mut by_index, mut in_order, mut scans, mut pages) = (0, 0, 0, 0);
    for _ in 0..60 {
        let mut indexes = Indexes::default();
        for _ in 0..dice.roll(4) {
            let fields: Vec<&str> = (0..=dice.roll(3)).map(|_| dice.simple_field()).collect();
            indexes.declare(&fields).unwrap();
        }
        let mut rows = Rows::new();
        for id in 0..80 {
            let entity = dice.simple_entity(id);
            indexes.put(&entity.as_ref());
            rows.insert(name(&entity), entity);
        }
        for _ in 0..12 {
            for _ in 0..5 {
                let names: Vec<Name> = rows.keys().cloned().collect();
                let (id, space) = names[dice.roll(names.len())].clone();
                if dice.roll(4) == 0 {
                    indexes.remove(&id, space.as_deref());
                    rows.remove(&(id, space));
                } else {
                    let mut entity = dice.simple_entity(0);
                    (entity.id, entity.space) = (id, space);
                    indexes.put(&entity.as_ref());
                    rows.insert(name(&entity), entity);
                }
            }
            let base = dice.indexed_query();
            let query = format!(
                "{base},\"limit\":{},\"offset\":{}}}",
                dice.roll(9),
                dice.roll(3)
            );
            let entities: Vec<Entity> = rows.values().cloned().collect();
            let all = reference_names(&query, &entities);
            let path = indexes.plan(&read(&query).unwrap());
            let told = || format!("{query}\n{path:?}\n{entities:#?}");
            let (found, ..) = select(&query, &indexes, &rows);
            assert_eq!(found, window(&query, all.clone()), "{}", told());
            match path.index {
                Some(_) if path.in_order => in_order += 1,
                Some(_) => by_index += 1,
                None => scans += 1,
            }
            // Page by page, each from where the last one ended.
            let (mut list, mut after) = (Vec::new(), String::new());
            loop {
                let page = format!("{base},\"limit\":7{after}}}");
                let (found, more, _, next) = select(&page, &indexes, &rows);
                list.extend(found);
                pages += 1;
                if !more {
                    break;
                }
                after = format!(",\"after\":\"{}\"", next.unwrap());
            }
            assert_eq!(list, all, "{}", told());
        }
    }
    assert!(
        by_index > 100 && in_order > 40 && scans > 100 && pages > 800,
        "{by_index} by an index, {in_order} in its order, {scans} without, {pages} pages"
    );
}

/// A thousand tasks in ten projects, and the indexes of an app.
fn tasks() -> (Indexes, Rows) {
    let mut indexes = Indexes::default();
    indexes.declare(&["project", "at"]).unwrap();
    indexes.declare(&["at"]).unwrap();
    indexes.declare(&["owner.name"]).unwrap();
    let mut rows = Rows::new();
    for n in 0..1_000 {
        let body = format!(
            "{{\"project\":{},\"at\":{n},\"owner\":{{\"name\":\"p{}\"}},\"done\":{}}}",
            n % 10,
            n % 100,
            n % 2 == 0
        );
        let entity = Entity::new(&format!("t{n:04}"), &body);
        indexes.put(&entity.as_ref());
        rows.insert(name(&entity), entity);
    }
    (indexes, rows)
}

#[test]
fn the_planner_says_which_index_it_takes_and_why() {
    let (indexes, rows) = tasks();
    let recent = r#""orderBy":[{"field":"at","descending":true}]"#;
    for (query, index, in_order, most, reason) in [
        (format!("{{{recent},\"limit\":50}}"), Some(1), true, 51, "In the order that is asked for."),
        (
            format!("{{\"where\":{{\"field\":\"project\",\"equals\":3}},{recent},\"limit\":5}}"),
            Some(0),
            true,
            6,
            "Equal: project. In the order that is asked for.",
        ),
        (
            r#"{"where":{"and":[{"field":"project","equals":3},{"field":"at","between":[100,199]}]}}"#.to_owned(),
            Some(0),
            false,
            10,
            "Equal: project. Range: at. Sorted afterwards.",
        ),
        (
            r#"{"where":{"field":"owner.name","isIn":["p7","p8"]},"orderBy":[{"field":"done"}]}"#.to_owned(),
            Some(2),
            false,
            20,
            "Equal: owner.name. Sorted afterwards.",
        ),
        (
            r#"{"where":{"field":"owner.name","startsWith":"p9"}}"#.to_owned(),
            Some(2),
            false,
            110,
            "Range: owner.name. Sorted afterwards.",
        ),
        (
            r#"{"where":{"field":"at","greaterThan":10}}"#.to_owned(),
            None,
            true,
            1_000,
            "It costs less to look at every entity than to fetch the 989 that the best index finds.",
        ),
        (
            r#"{"where":{"or":[{"field":"at","equals":1},{"field":"at","equals":2}]}}"#.to_owned(),
            None,
            true,
            1_000,
            "No index begins with",
        ),
    ] {
        let path = indexes.plan(&read(&query).unwrap());
        assert_eq!((path.index, path.in_order), (index, in_order), "{query} {path:?}");
        assert!(path.reason.starts_with(reason), "{query}: {}", path.reason);
        let (_, _, seen, _) = select(&query, &indexes, &rows);
        assert_eq!(seen, most, "{query}");
    }
    let none = Indexes::default().plan(&read("{}").unwrap());
    assert_eq!(none.reason, "There is no index.");
}

#[test]
fn a_page_is_found_where_the_last_one_ended() {
    let (indexes, rows) = tasks();
    for order in ["", ",\"descending\":true"] {
        let base = format!("{{\"orderBy\":[{{\"field\":\"at\"{order}}}],\"limit\":100");
        let mut after = String::new();
        for page in 1..=10 {
            let (found, more, seen, next) = select(&format!("{base}{after}}}"), &indexes, &rows);
            assert_eq!((found.len(), more), (100, page < 10));
            assert!(seen <= 101, "page {page} looks at {seen} entities");
            after = format!(",\"after\":\"{}\"", next.unwrap());
        }
    }
}

#[test]
fn an_index_is_declared_on_fields() {
    let mut indexes = Indexes::default();
    for (fields, expected) in [
        (&[][..], "must name a field."),
        (&["a", "b..c"][..], "has an empty part."),
        (&["a\\b"][..], "has a backslash"),
    ] {
        assert!(indexes.declare(fields).unwrap_err().starts_with(expected));
    }
}
