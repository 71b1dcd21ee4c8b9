//! Live entities with those that they lead to, as feeds.

use std::rc::Rc;

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

use crate::engine::queries::relations::SelectedEntities;
use crate::engine::queries::relations::watch::RelatedWatch;
use crate::js::feed::{Endable, Feed, LateWatch, LoopReader, Next};
use crate::js::instance::Instance;
use crate::js::related::Assembler;
use crate::model::error::Result;
use crate::model::table::Table;
use crate::plan::row_planner::name;
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::interop::set_member;
use crate::web::storage::web_store::WebStore;

/// What is watched.
#[derive(Clone)]
pub(super) enum RelatedTarget {
    Query {
        user_id: String,
        selection: Rc<str>,
        query: String,
        /// Entities have the member `$syncState`.
        states: bool,
    },
    Selected {
        user_id: String,
        selected: SelectedEntities,
        with: Vec<String>,
    },
}

/// What a loop gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RelatedShows {
    Items,
    /// The first entity, or null.
    One,
    Changes,
}

/// Returns the feed of entities, of one of them, or of edits.
pub(super) fn feed(
    instance: &Rc<Instance>,
    target: &Result<RelatedTarget>,
    shows: RelatedShows,
) -> Feed {
    let (instance, target) = (Rc::clone(instance), target.clone());
    Feed::new(move || {
        Rc::new(RelatedCursor {
            instance: Rc::clone(&instance),
            target: target.clone(),
            shows,
            watch: LateWatch::default(),
            state: RefCell::default(),
        })
    })
}

/// The state of one loop.
struct RelatedCursor {
    instance: Rc<Instance>,
    target: Result<RelatedTarget>,
    shows: RelatedShows,
    watch: LateWatch<RelatedWatch<WebStore, WebHost>>,
    state: RefCell<RelatedState>,
}

#[derive(Default)]
struct RelatedState {
    assembler: Assembler,
    /// The entities that are shown, with their keys.
    list: Vec<(String, JsValue)>,
}

impl Endable for RelatedWatch<WebStore, WebHost> {
    fn end(&self) {
        Self::end(self);
    }
}

impl RelatedCursor {
    async fn open(&self) -> Result<RelatedWatch<WebStore, WebHost>> {
        let relations = self.instance.engine.relations();
        match self.target.clone()? {
            RelatedTarget::Query {
                user_id,
                selection,
                query,
                states,
            } => {
                relations
                    .watch_query(&user_id, &selection, &query, states)
                    .await
            }
            RelatedTarget::Selected {
                user_id,
                selected,
                with,
            } => relations.watch(&user_id, selected, &with).await,
        }
    }

    async fn next(&self) -> Result<Option<JsValue>> {
        let Some(watch) = self.watch.get(self.open()).await? else {
            return Ok(None);
        };
        let Some(graph) = watch.next().await? else {
            return Ok(None);
        };
        let target = self.target.clone()?;
        let selection = match &target {
            RelatedTarget::Query { selection, .. } => selection,
            RelatedTarget::Selected { selected, .. } => selected.selection.as_str(),
        };
        // Middleware of the app runs now.
        let mut assembler = std::mem::take(&mut self.state.borrow_mut().assembler);
        let entity = Table(selection).entity();
        let objects = assembler.assemble(&self.instance, entity, &graph);
        self.state.borrow_mut().assembler = assembler;
        let keys = graph.entities.iter();
        let keys = keys.map(|entity| name(&entity.key.entity, &entity.key.id));
        let list: Vec<(String, JsValue)> = keys.zip(objects?).collect();
        let before = std::mem::replace(&mut self.state.borrow_mut().list, list.clone());
        Ok(Some(match self.shows {
            RelatedShows::Items => list.into_iter().map(|(_, it)| it).collect::<Array>().into(),
            RelatedShows::One => {
                let first = list.into_iter().next();
                first.map_or(JsValue::NULL, |(_, entity)| entity)
            }
            RelatedShows::Changes => edits(before, &list).into(),
        }))
    }
}

impl LoopReader for RelatedCursor {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move { Self::next(&self).await })
    }

    fn end(&self) {
        self.watch.end();
    }
}

/// Returns the edits that lead from one list to another.
fn edits(mut from: Vec<(String, JsValue)>, to: &[(String, JsValue)]) -> Array {
    let changes = Array::new();
    let push = |kind: &str, entity: &JsValue, index: usize, old: Option<usize>| {
        let change = Object::new();
        set_member(&change, "type", &JsValue::from_str(kind));
        set_member(&change, "entity", entity);
        set_member(&change, "index", &JsValue::from_f64(index as f64));
        if let Some(old) = old {
            set_member(&change, "from", &JsValue::from_f64(old as f64));
        }
        changes.push(&Object::freeze(&change));
    };
    let mut stays: Vec<&str> = to.iter().map(|(key, _)| key.as_str()).collect();
    stays.sort_unstable();
    for index in (0..from.len()).rev() {
        let is_gone = |(key, _): &(String, JsValue)| stays.binary_search(&key.as_str()).is_err();
        if from.get(index).is_some_and(is_gone) {
            let (_, entity) = from.remove(index);
            push("remove", &entity, index, None);
        }
    }
    for (index, (key, entity)) in to.iter().enumerate() {
        let behind = from.iter().skip(index);
        match behind.map(|(key, _)| key).position(|it| it == key) {
            Some(0) => {
                let old = from.get_mut(index);
                let is_other = old.is_some_and(|old| {
                    let is_other = old.1 != *entity;
                    old.1 = entity.clone();
                    is_other
                });
                if is_other {
                    push("update", entity, index, None);
                }
            }
            Some(distance) => {
                let old = index.saturating_add(distance);
                from.remove(old);
                from.insert(index, (key.clone(), entity.clone()));
                push("move", entity, index, Some(old));
            }
            None => {
                from.insert(index, (key.clone(), entity.clone()));
                push("insert", entity, index, None);
            }
        }
    }
    changes
}
