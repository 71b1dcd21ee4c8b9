//! Live queries as loops read them: the edits that lead from the list that was shown to the present
//! one, with the entities that are new in them.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::database::fetched_bodies::FetchedBodies;
use crate::engine::journal::Journal;
use crate::engine::queries::result::{Followed, QueryResult};
use crate::log::address::BodyId;
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::query::live::ListEdit;
use crate::query::sort_key::SortKey;
use crate::util::cell::RefCell;
use crate::util::hash::hash;
use crate::util::json::write::Items;
use crate::util::local_sync::Mutex;

/// What an edit does to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    Insert,
    Update,
    Move,
    Remove,
}

/// One edit of a list. Edits are made one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultEdit {
    pub kind: EditKind,
    pub index: usize,
    /// Where the entity was, of a move.
    pub from: usize,
}

/// What a reader has to know: the edits, and the entities of all that insert, update or move, as a
/// JSON array.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResultUpdate {
    pub edits: Vec<ResultEdit>,
    pub items: String,
}

/// An entity of the list that was shown: its place, and the hash of its text.
type Shown = (SortKey, u64);

/// A loop over a live query.
pub struct QueryWatch<S, H> {
    state: RefCell<QueryWatchState<S, H>>,
    /// Held while an update is made: a loop may ask for several at once.
    turn: Mutex,
    signals: Signals,
}

/// What ends a watch, and wakes it.
struct Signals {
    journal: Rc<Journal>,
    ended: Cell<bool>,
}

struct QueryWatchState<S, H> {
    /// Not here while an update is made.
    result: Option<Box<QueryResult<S, H>>>,
    /// `None` before the first update.
    shown: Option<Vec<Shown>>,
    count: Option<usize>,
}

impl<S: Store, H: Host> QueryWatch<S, H> {
    pub(super) fn new(result: QueryResult<S, H>) -> Self {
        Self {
            signals: Signals {
                journal: Rc::clone(&result.user.journal),
                ended: Cell::new(false),
            },
            state: RefCell::new(QueryWatchState {
                result: Some(Box::new(result)),
                shown: None,
                count: None,
            }),
            turn: Mutex::default(),
        }
    }

    /// Returns the edits that make an empty list into the result, then those since the last call;
    /// `None` once the watch has ended.
    ///
    /// # Errors
    /// Errors of the store; the next call goes on from the list that was shown.
    pub async fn next(&self) -> Result<Option<ResultUpdate>> {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.signals.journal.notify.notified();
            if self.has_ended() {
                return Ok(None);
            }
            let (result, shown) = {
                let mut state = self.state.borrow_mut();
                (state.result.take(), state.shown.take())
            };
            let Some(mut result) = result else {
                return Ok(None);
            };
            let is_first = shown.is_none();
            let mut shown = shown.unwrap_or_default();
            let update = update(&mut result, &mut shown).await;
            if update.is_err() {
                // What it has followed is not shown.
                result.forget();
            }
            {
                let mut state = self.state.borrow_mut();
                state.result = Some(result);
                state.shown = (!is_first || update.is_ok()).then_some(shown);
            }
            let update = update?;
            if is_first || !update.edits.is_empty() {
                return Ok(Some(update));
            }
            changed.await;
        }
    }

    /// Returns the number of entities, then each other number; `None` once the watch has ended.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn next_count(&self) -> Result<Option<usize>> {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.signals.journal.notify.notified();
            if self.has_ended() {
                return Ok(None);
            }
            let result = self.state.borrow_mut().result.take();
            let Some(mut result) = result else {
                return Ok(None);
            };
            let brought = result.bring_up().await;
            let count = result.live.count();
            let before = {
                let mut state = self.state.borrow_mut();
                state.result = Some(result);
                brought?;
                std::mem::replace(&mut state.count, count)
            };
            if count != before {
                return Ok(count);
            }
            changed.await;
        }
    }

    fn has_ended(&self) -> bool {
        self.signals.ended.get() || self.signals.journal.closed.get()
    }

    /// Ends the watch: a pending call returns `None`.
    pub fn end(&self) {
        self.signals.ended.set(true);
        self.signals.journal.notify.notify_waiters();
    }
}

/// Brings a result up to date, and returns the edits that lead there from the list that was shown.
async fn update<S: Store, H: Host>(
    result: &mut QueryResult<S, H>,
    shown: &mut Vec<Shown>,
) -> Result<ResultUpdate> {
    let mut bodies = FetchedBodies::default();
    let mut edits = Some(Vec::new());
    loop {
        match (result.bring_up().await?, &mut edits) {
            (Followed::Edited(more), Some(edits)) => edits.extend(more),
            _ => edits = None,
        }
        let from_shown = |result: &mut QueryResult<S, H>, shown: &[Shown]| {
            let keys = shown.iter().map(|(key, _)| key.clone()).collect();
            result.live.refresh_from(keys)
        };
        let all = match &edits {
            Some(edits) => edits.clone(),
            None => from_shown(result, shown),
        };
        let mut missing = match make(result, shown, &all, &bodies) {
            Made::Update(update) => return Ok(update),
            Made::Missing(missing) => missing,
            // The entity was removed by a later one of these changes.
            Made::Outdated => {
                edits = None;
                let all = from_shown(result, shown);
                match make(result, shown, &all, &bodies) {
                    Made::Update(update) => return Ok(update),
                    Made::Missing(missing) => missing,
                    Made::Outdated => Vec::new(),
                }
            }
        };
        missing.dedup();
        bodies.fetch(&result.user.db, &missing).await?;
    }
}

enum Made {
    Update(ResultUpdate),
    Missing(Vec<BodyId>),
    /// One of the edits is of an entity that is not there any more.
    Outdated,
}

fn key_of(edit: &ListEdit) -> Option<&SortKey> {
    match edit {
        ListEdit::Insert { key, .. }
        | ListEdit::Update { key, .. }
        | ListEdit::Move { key, .. } => Some(key),
        ListEdit::Remove { .. } => None,
    }
}

/// Makes the edits in the list that was shown. An update that changes nothing is left out.
fn make<S: Store, H: Host>(
    result: &QueryResult<S, H>,
    shown: &mut Vec<Shown>,
    edits: &[ListEdit],
    bodies: &FetchedBodies,
) -> Made {
    let mut texts: Vec<Option<String>> = Vec::new();
    let missing = result.texts(edits.iter().filter_map(key_of), bodies, &mut |text| {
        texts.push(text.map(str::to_owned));
    });
    if !missing.is_empty() {
        return Made::Missing(missing);
    }
    if texts.iter().any(Option::is_none) {
        return Made::Outdated;
    }
    let mut texts = texts.into_iter().flatten();
    let mut update = ResultUpdate::default();
    let mut items = Items::new(0);
    for edit in edits {
        let text = key_of(edit).and_then(|_| texts.next()).unwrap_or_default();
        let sum = hash(text.as_bytes());
        let (kind, index, from) = match edit {
            ListEdit::Insert { index, key } => {
                shown.insert(*index, (key.clone(), sum));
                (EditKind::Insert, *index, 0)
            }
            ListEdit::Update { index, key } => {
                let old = shown.get_mut(*index);
                let new = (key.clone(), sum);
                let is_same = old.is_some_and(|old| std::mem::replace(old, new).1 == sum);
                if is_same {
                    continue;
                }
                (EditKind::Update, *index, 0)
            }
            ListEdit::Move { from, index, key } => {
                shown.remove(*from);
                shown.insert(*index, (key.clone(), sum));
                (EditKind::Move, *index, *from)
            }
            ListEdit::Remove { index, .. } => {
                shown.remove(*index);
                (EditKind::Remove, *index, 0)
            }
        };
        if kind != EditKind::Remove {
            items.open().push_str(&text);
        }
        update.edits.push(ResultEdit { kind, index, from });
    }
    update.items = items.close();
    Made::Update(update)
}
