//! Queries: a line with a query, and an entity behind it. A query is read or refused as
//! `invalidArgument`; one that is read means the same in every part that evaluates it.

use std::rc::Rc;

use datum_sync::model::error::Code;
use datum_sync::query::evaluator::Evaluator;
use datum_sync::query::fields::EntityRef;
use datum_sync::query::index::Indexes;
use datum_sync::query::live::{EntityChange, ListEdit, LiveQuery};
use datum_sync::query::read::Query;
use datum_sync::query::select::Select;
use datum_sync::util::json::members::Members;

/// Takes any bytes.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (text, body) = text.split_once('\n').unwrap_or((text, "{}"));
    let query = match Query::read(text, "tasks") {
        Ok(query) => Rc::new(query),
        Err(error) => {
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
            assert!(error.message().starts_with("The query"), "{error}");
            return;
        }
    };
    let body = Members::parse(body).map_or("{}", |_| body);
    let entity = EntityRef {
        id: "one",
        space: None,
        user: "ann",
        version: 1,
        deleted: false,
        sync_state: "synced",
        body,
    };
    let matches = Evaluator::new(Rc::clone(&query)).matches(&entity);
    opposite(text, &entity, matches);
    let mut select = Select::new(Rc::clone(&query), false);
    select.offer(&entity);
    let selected = select.finish();
    assert_eq!(selected.matched, usize::from(matches), "{text}\n{body}");
    if let Some(after) = &selected.after {
        next_page(text, after, &entity);
    }
    let mut indexes = Indexes::default();
    for fields in [&["a"][..], &["b", "a"], &["a.b"]] {
        indexes.declare(fields).unwrap_or_default();
    }
    indexes.put(&entity);
    let path = indexes.plan(&query);
    if path.index.is_some() && matches {
        assert_eq!(indexes.candidates(&path).count(), 1, "{text}\n{body}");
    }
    let mut live = LiveQuery::new(query, usize::MAX);
    live.load(&entity);
    live.start();
    let shown = live.rows().count();
    assert_eq!(shown, selected.keys.len(), "{text}\n{body}");
    let edits = live.apply(&[EntityChange::Put(entity)]).unwrap_or_default();
    let updates = |edit: &ListEdit| matches!(edit, ListEdit::Update { index: 0, .. });
    assert!(
        edits.len() == shown && edits.iter().all(updates),
        "{text}\n{body}\n{edits:?}"
    );
}

/// What a condition does not hold for, its opposite does.
fn opposite(text: &str, entity: &EntityRef<'_>, matches: bool) {
    let Ok(members) = Members::parse(text) else {
        return;
    };
    let Some(condition) = members.get("where").filter(|json| *json != "null") else {
        return;
    };
    let negated = ["{\"where\":{\"not\":", condition, "}}"].concat();
    // One level deeper may be one too many, and behind a cursor both find nothing.
    if let Ok(query) = Query::read(&negated, "tasks")
        && members.get("after").is_none()
    {
        let found = Evaluator::new(Rc::new(query)).matches(entity);
        assert_ne!(found, matches, "{text}\n{}", entity.body);
    }
}

/// The page behind an entity begins behind it.
fn next_page(text: &str, after: &str, entity: &EntityRef<'_>) {
    let Some(rest) = text.trim_end().strip_suffix('}') else {
        return;
    };
    let comma = if rest.trim_end().ends_with('{') {
        ""
    } else {
        ","
    };
    let next = [rest, comma, "\"after\":\"", after, "\"}"].concat();
    let query = Query::read(&next, "tasks").unwrap_or_else(|error| panic!("{next}: {error}"));
    assert!(!Evaluator::new(Rc::new(query)).matches(entity), "{next}");
}
