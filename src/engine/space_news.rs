//! What is new about a user's shared spaces, for the events of every tab: each compares the list that
//! it knew with the one that a record has brought, whichever tab wrote that.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::User;
use crate::engine::events::{EventHub, Topic};
use crate::model::space::{Joined, SPACE};
use crate::model::table::{Table, tables};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::json::write::put_text;

/// Tells `events` from now on which spaces the user has joined or left, and which roles are others.
pub(super) fn tell_spaces<S: Store, H: Host + 'static>(
    user: &User<S, H>,
    events: &Rc<EventHub>,
    host: &Rc<H>,
) {
    let (events, host, user_id) = (Rc::clone(events), Rc::clone(host), user.id.clone());
    let (is_first, seen) = (Cell::new(true), Cell::new(None));
    let known = RefCell::new(KnownSpaces::default());
    user.db.on_spaces(Rc::new(move |replica| {
        let spaces = replica.spaces();
        let now = (replica.place().lost, spaces.changed_at());
        if seen.replace(Some(now)) == Some(now) {
            return None;
        }
        let mut latest = KnownSpaces::of(replica);
        // A log that was begun anew has no list until it has pulled one.
        if replica.cursors().is_empty() {
            latest.list.clone_from(&known.borrow().list);
        }
        let before = known.replace(latest);
        if is_first.replace(false) || replica.cursors().is_empty() {
            return None;
        }
        let news = news(replica, before);
        let (events, host, user_id) = (Rc::clone(&events), Rc::clone(&host), user_id.clone());
        let tell = move || {
            for (topic, joined) in news {
                events.tell(topic, &user_id, None, host.now_ms(), &mut |out| {
                    put_text(out, "spaceId", &joined.space);
                    put_text(out, "role", joined.role.name());
                });
            }
        };
        Some(Box::new(tell))
    }));
}

/// What was known at the last look.
#[derive(Default)]
struct KnownSpaces {
    list: Vec<Joined>,
    /// Spaces that this device makes or has made.
    own: Vec<String>,
}

impl KnownSpaces {
    fn of(replica: &Replica) -> Self {
        let spaces = replica.spaces();
        let pending =
            tables(replica.outbox().index(), SPACE).filter_map(|(table, _)| Table(table).space());
        Self {
            list: spaces.list().to_vec(),
            own: (spaces.made().keys().chain(pending))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Returns how the list differs from an earlier one. Who has made a space knows of it.
fn news(replica: &Replica, before: KnownSpaces) -> Vec<(Topic, Joined)> {
    let (list, made) = (replica.spaces().list(), replica.spaces().made());
    let of = |list: &[Joined], joined: &Joined| {
        let mut same = list.iter().filter(|one| one.space == joined.space);
        same.next().map(|one| one.role)
    };
    let mut news = Vec::new();
    for joined in list {
        let topic = match of(&before.list, joined) {
            None if !made.contains(&joined.space) && !before.own.contains(&joined.space) => {
                Topic::SpaceJoined
            }
            Some(role) if role != joined.role => Topic::RoleChanged,
            _ => continue,
        };
        news.push((topic, joined.clone()));
    }
    let left = (before.list.into_iter()).filter(|joined| of(list, joined).is_none());
    news.extend(left.map(|joined| (Topic::SpaceLeft, joined)));
    news
}
