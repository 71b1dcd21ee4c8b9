//! Watching entities: the current ones immediately, then the changes of each commit, whether made
//! here, in another tab or by a pull. Watches share one bounded journal, so a watch that is never
//! read costs nothing; one that has fallen behind the journal gets all entities again.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::database::read::Include;
use crate::engine::database::{Listener, Source};
use crate::engine::events::{EventHub, Topic};
use crate::engine::journal::Noting;
use crate::engine::{Backing, Entities, User};
use crate::model::entity::{Key, check_entity_id};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::tables;
use crate::state::touched::{Changed, RowChange};
use crate::util::json::write::{Items, put_text, put_texts};

/// An update for a reader.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// `items` are all entities; otherwise only those that changed.
    pub whole: bool,
    /// A JSON array, in order of id.
    pub items: String,
    /// Ids of entities that were deleted.
    pub gone: Vec<String>,
}

/// A watch of one entity type, or of one entity.
#[derive(Debug)]
pub struct Watch<S, H> {
    user: Rc<User<S, H>>,
    entity: String,
    only: Option<String>,
    include: Include,
    seen: Cell<Option<u64>>,
    ended: Cell<bool>,
    _noting: Noting,
}

impl<S: Store, H: Host> Watch<S, H> {
    /// Returns all entities, then the changes since the last call; `None` once the watch has ended.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn next(&self) -> Result<Option<Delta>> {
        let journal = &self.user.journal;
        loop {
            let changed = journal.notify.notified();
            if self.ended.get() || journal.closed.get() {
                return Ok(None);
            }
            let now = journal.next.get();
            let seen = self.seen.replace(Some(now));
            let ids = seen.and_then(|seen| {
                let only = self.only.as_deref();
                journal.since(seen, &self.entity, only, self.include.states)
            });
            if ids.as_ref().is_none_or(|ids| !ids.is_empty()) {
                let delta = self.read(ids).await;
                if delta.is_err() {
                    // The next call reads it again.
                    self.seen.set(seen);
                }
                return delta.map(Some);
            }
            changed.await;
        }
    }

    async fn read(&self, changed: Option<Vec<String>>) -> Result<Delta> {
        let db = &self.user.db;
        let whole = changed.is_none();
        let ids = match (changed, &self.only) {
            (Some(ids), _) => ids,
            (None, Some(id)) => vec![id.clone()],
            (None, None) => db.read(|replica| match tables::only(replica, &self.entity) {
                Some(table) => replica.ids(table, None).map(str::to_owned).collect(),
                None => {
                    let all = tables::ids(replica, &self.entity, None);
                    all.iter().map(|(id, _)| id.to_owned()).collect()
                }
            }),
        };
        let mut items = Items::new(ids.len().saturating_mul(400));
        db.read_selected(&self.entity, Some(&ids), self.include, &mut |text| {
            items.open().push_str(text)
        })
        .await?;
        let is_gone = |id: &String| {
            let view = db.read(|replica| {
                let table = tables::find(replica, &self.entity, id)?;
                replica.view(&Key::new(table, id)).map(|view| view.deleted)
            });
            view.is_none_or(|deleted| deleted && !self.include.deleted)
        };
        let gone = if whole {
            Vec::new()
        } else {
            ids.into_iter().filter(is_gone).collect()
        };
        Ok(Delta {
            whole,
            items: items.close(),
            gone,
        })
    }

    /// Ends the watch: a pending `next` returns `None`.
    pub fn end(&self) {
        self.ended.set(true);
        self.user.journal.notify.notify_waiters();
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Entities<'_, B, R, H> {
    /// Watches the entities of a type, or one of them.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn watch(
        self,
        user_id: &str,
        entity: &str,
        only: Option<String>,
        include: impl Into<Include>,
    ) -> Result<Watch<B::Store, H>> {
        let include = include.into();
        self.engine.check_entity(entity)?;
        if let Some(id) = &only {
            check_entity_id(entity, id)?;
        }
        let user = self.engine.user(user_id).await?;
        listen(&user, &self.engine.events, &self.engine.host);
        Ok(Watch {
            _noting: Noting::new(&user.journal),
            user,
            entity: entity.to_owned(),
            only,
            include,
            seen: Cell::new(None),
            ended: Cell::new(false),
        })
    }
}

/// Forwards a user's changes to the journal and to the events, for as long as anybody reads them.
pub(super) fn listen<S: Store, H: Host + 'static>(
    user: &User<S, H>,
    events: &Rc<EventHub>,
    host: &Rc<H>,
) {
    if user.db.is_listening() {
        return;
    }
    let (events, journal) = (Rc::clone(events), Rc::clone(&user.journal));
    let (host, user_id) = (Rc::clone(host), user.id.clone());
    user.db
        .listen(Some(Listener(Rc::new(move |source, changes| {
            let watched = journal.watching.get() > 0;
            if watched {
                journal.note(&changes);
            }
            let wanted = events.wants(Topic::DataChanged);
            if wanted {
                for changed in &changes {
                    tell_change(&events, source, &user_id, host.now_ms(), changed);
                }
            }
            watched || wanted
        }))));
}

fn tell_change(events: &EventHub, source: Source, user_id: &str, now: u64, changed: &Changed) {
    if changed
        .ids
        .iter()
        .all(|(_, change)| matches!(change, RowChange::Unseen | RowChange::SyncState))
    {
        return;
    }
    events.tell(
        Topic::DataChanged,
        user_id,
        Some(&changed.entity),
        now,
        &mut |out| {
            Table(&changed.entity).put(out);
            put_text(out, "source", source.name());
            for (key, wanted) in [
                ("created", RowChange::Created),
                ("updated", RowChange::Updated),
                ("deleted", RowChange::Deleted),
            ] {
                let mut ids = changed
                    .ids
                    .iter()
                    .filter(|(_, change)| *change == wanted)
                    .map(|(id, _)| id.as_str());
                put_texts(out, key, &mut ids);
            }
        },
    );
}
