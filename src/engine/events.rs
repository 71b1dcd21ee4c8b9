//! Events for the app: for listeners, observers and logs. An event is built only if a reader wants
//! it, and carries its content as the JSON text that the app receives.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use crate::model::table::Table;
use crate::util::cell::RefCell;
use crate::util::json::write::put_text;
use crate::util::queue::Queue;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A cycle has begun.
    SyncStarted,
    /// A cycle has made progress.
    SyncProgress,
    /// A cycle has ended: with success, in part, or because it was stopped.
    SyncCompleted,
    /// A cycle has failed.
    SyncFailed,
    /// Entities have changed.
    DataChanged,
    /// Both sides have changed an entity.
    ConflictDetected,
    /// A conflict was decided.
    ConflictResolved,
    /// The remote will never accept an operation.
    DeadLetter,
    /// Another user is the current one.
    UserSwitched,
    /// A user has signed out, here or in another tab.
    SignedOut,
    /// This tab has become the leader, or is no longer.
    LeaderChanged,
    /// The network has become available or unavailable.
    ConnectivityChanged,
    /// The storage was lost under an open instance.
    StorageLost,
    /// The server was restored from an older state, and everything has been pulled again.
    ServerRestored,
    /// Stored data is being brought to the app's schema version.
    MigrationProgress,
    /// The remote has sent rows of a type that the config does not name.
    RowsIgnored,
    /// The user may read one more shared space.
    SpaceJoined,
    /// The user may not read a shared space any more.
    SpaceLeft,
    /// The user's own role in a shared space is another.
    RoleChanged,
}

impl Topic {
    /// Every topic with its public name.
    pub const NAMES: [(&'static str, Self); 19] = [
        ("syncStarted", Self::SyncStarted),
        ("syncProgress", Self::SyncProgress),
        ("syncCompleted", Self::SyncCompleted),
        ("syncFailed", Self::SyncFailed),
        ("dataChanged", Self::DataChanged),
        ("conflictDetected", Self::ConflictDetected),
        ("conflictResolved", Self::ConflictResolved),
        ("deadLetter", Self::DeadLetter),
        ("userSwitched", Self::UserSwitched),
        ("signedOut", Self::SignedOut),
        ("leaderChanged", Self::LeaderChanged),
        ("connectivityChanged", Self::ConnectivityChanged),
        ("storageLost", Self::StorageLost),
        ("serverRestored", Self::ServerRestored),
        ("migrationProgress", Self::MigrationProgress),
        ("rowsIgnored", Self::RowsIgnored),
        ("spaceJoined", Self::SpaceJoined),
        ("spaceLeft", Self::SpaceLeft),
        ("roleChanged", Self::RoleChanged),
    ];

    fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, topic)| *topic == self)
            .map_or("", |(name, _)| name)
    }

    /// Returns true if only the latest event of this topic matters.
    fn is_transient(self) -> bool {
        matches!(self, Self::SyncProgress | Self::MigrationProgress)
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct AppEvent {
    /// The type.
    pub topic: Topic,
    /// The user; empty if the event is not about one.
    pub user_id: String,
    /// The entity type, if the event is about one.
    pub entity: Option<String>,
    /// The whole event: a `DatumEvent` of the public surface as JSON text.
    pub text: String,
}

/// Selects events; absent or empty fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only events of this user.
    pub user_id: Option<String>,
    /// Only events of this entity type.
    pub entity: Option<String>,
    /// Only these types of events.
    pub topics: Vec<Topic>,
    /// The reader is an observer, such as a log, and does not count as the app having seen the
    /// event.
    pub is_observer: bool,
}

impl Filter {
    fn takes(&self, topic: Topic) -> bool {
        self.topics.is_empty() || self.topics.contains(&topic)
    }

    fn wants(&self, topic: Topic, user_id: &str, entity: Option<&str>) -> bool {
        self.takes(topic)
            && self.user_id.as_deref().is_none_or(|only| only == user_id)
            && self
                .entity
                .as_deref()
                .is_none_or(|only| entity == Some(only))
    }
}

/// The most events that are queued for a reader.
const MAX_WAITING: usize = 256;

/// The events of one instance, and their readers.
#[derive(Debug, Default)]
pub struct EventHub {
    readers: RefCell<Vec<Weak<Reader>>>,
    /// Important events from before the app had a reader.
    kept: RefCell<Vec<Rc<AppEvent>>>,
    dropped: Rc<Cell<u64>>,
    closed: Cell<bool>,
}

/// One subscription.
#[derive(Debug)]
pub struct Reader {
    filter: Filter,
    queue: Queue<Rc<AppEvent>>,
    dropped: Rc<Cell<u64>>,
}

impl EventHub {
    /// Returns a new reader of the events that follow.
    #[must_use]
    pub fn subscribe(&self, filter: Filter) -> Rc<Reader> {
        let reader = Rc::new(Reader {
            filter,
            queue: Queue::default(),
            dropped: Rc::clone(&self.dropped),
        });
        self.kept.borrow_mut().retain(|event| {
            let wanted = reader
                .filter
                .wants(event.topic, &event.user_id, event.entity.as_deref());
            if wanted {
                reader.offer(event);
            }
            reader.filter.is_observer || !wanted
        });
        if self.closed.get() {
            reader.queue.end();
        }
        self.readers.borrow_mut().push(Rc::downgrade(&reader));
        reader
    }

    /// Returns true if any reader wants events of a topic.
    #[must_use]
    pub fn wants(&self, topic: Topic) -> bool {
        let readers = self.readers.borrow();
        readers
            .iter()
            .any(|reader| listening(reader).is_some_and(|reader| reader.filter.takes(topic)))
    }

    /// Sends an event to the readers that want it. `fill` writes the members besides `type`,
    /// `userId` and `at`.
    pub fn tell(
        &self,
        topic: Topic,
        user_id: &str,
        entity: Option<&str>,
        now: u64,
        fill: &mut dyn FnMut(&mut String),
    ) {
        let entity = entity.map(|entity| Table(entity).entity());
        let mut readers = self.readers.borrow_mut();
        readers.retain(|reader| listening(reader).is_some());
        let wanting: Vec<Rc<Reader>> = readers
            .iter()
            .filter_map(listening)
            .filter(|reader| reader.filter.wants(topic, user_id, entity))
            .collect();
        drop(readers);
        let keeps =
            topic == Topic::StorageLost && wanting.iter().all(|reader| reader.filter.is_observer);
        if wanting.is_empty() && !keeps {
            return;
        }
        let mut text = String::from("{");
        put_text(&mut text, "type", topic.name());
        put_text(&mut text, "userId", user_id);
        put_text(&mut text, "at", &crate::util::time::format(now));
        fill(&mut text);
        text.push('}');
        let event = Rc::new(AppEvent {
            topic,
            user_id: user_id.to_owned(),
            entity: entity.map(str::to_owned),
            text,
        });
        for reader in wanting {
            reader.offer(&event);
        }
        if keeps {
            self.kept.borrow_mut().push(event);
        }
    }

    /// Returns how many events were dropped because a reader was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Ends the feed for every reader, after the events that are still queued.
    pub fn close(&self) {
        self.closed.set(true);
        for reader in self.readers.borrow().iter().filter_map(Weak::upgrade) {
            reader.queue.end();
        }
    }
}

/// Returns a reader whose loop goes on.
fn listening(reader: &Weak<Reader>) -> Option<Rc<Reader>> {
    reader.upgrade().filter(|reader| !reader.queue.has_ended())
}

impl Reader {
    fn offer(&self, event: &Rc<AppEvent>) {
        self.queue.offer(|queue| {
            if event.topic.is_transient()
                && queue
                    .back()
                    .is_some_and(|last| last.topic == event.topic && last.user_id == event.user_id)
            {
                queue.pop_back();
            } else if queue.len() >= MAX_WAITING {
                // Progress is dropped first.
                let transient = queue
                    .iter()
                    .position(|waiting| waiting.topic.is_transient());
                queue.remove(transient.unwrap_or(0));
                self.dropped.set(self.dropped.get().saturating_add(1));
            }
            queue.push_back(Rc::clone(event));
        });
    }

    /// Returns the next event; `None` once the feed has ended.
    pub async fn next(&self) -> Option<Rc<AppEvent>> {
        self.queue.next().await
    }

    /// Ends this subscription: a pending `next` returns `None`.
    pub fn end(&self) {
        self.queue.cut();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn progress_is_dropped_before_terminal_events() {
        let events = EventHub::default();
        let reader = events.subscribe(Filter::default());
        for n in 0..200 {
            events.tell(Topic::SyncCompleted, "ann", None, n, &mut |_| {});
            events.tell(
                Topic::SyncProgress,
                if n % 2 == 0 { "ann" } else { "bob" },
                None,
                n,
                &mut |_| {},
            );
        }
        let mut ended = 0;
        while let Some(event) = reader.next().now_or_never().flatten() {
            ended += u32::from(event.topic == Topic::SyncCompleted);
        }
        assert_eq!((ended, events.dropped()), (200, 144));
    }

    #[test]
    fn a_loop_that_was_left_costs_nothing_before_it_is_collected() {
        let events = EventHub::default();
        let reader = events.subscribe(Filter::default());
        let built = Cell::new(0);
        let tell = || {
            events.tell(Topic::DataChanged, "ann", None, 0, &mut |_| {
                built.set(built.get() + 1);
            });
        };
        tell();
        reader.end();
        tell();
        assert!(!events.wants(Topic::DataChanged));
        assert!(matches!(reader.next().now_or_never(), Some(None)));
        assert_eq!((built.get(), events.readers.borrow().len()), (1, 0));
    }
}
