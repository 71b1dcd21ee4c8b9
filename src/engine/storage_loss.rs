//! Handles the removal of a user's log: reports a loss to the app, and signs the user out if
//! another tab has wiped the log.

use std::rc::Rc;

use crate::engine::database::LogEnd;
use crate::engine::events::{EventHub, Topic};
use crate::engine::status_feed::StatusHub;
use crate::engine::user::User;
use crate::model::error::{Code, Error, ErrorJson};
use crate::model::status::SyncStatus;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::util::json::write::put;

impl<S: Store, H: Host + 'static> User<S, H> {
    /// Reports a loss of the log, and calls `wiped` if another tab has wiped it.
    pub(super) fn watch_for_loss(
        &self,
        events: &Rc<EventHub>,
        host: &Rc<H>,
        wiped: impl Fn(&str) + 'static,
    ) {
        let (events, host, user_id) = (Rc::clone(events), Rc::clone(host), self.id.clone());
        let (hub, journal, notices) = (
            Rc::clone(&self.hub),
            Rc::clone(&self.journal),
            Rc::clone(&self.pending_notices),
        );
        self.db.on_log_end(Rc::new(move |gone| match gone {
            // Operations of other tabs are unknown here.
            LogEnd::Lost(saved) => notices.borrow_mut().push(notice_of_loss(
                &events,
                &hub,
                &user_id,
                host.now_ms(),
                None,
                saved,
            )),
            // Nothing was lost.
            LogEnd::TookOver => {}
            LogEnd::Wiped(error) => {
                journal.close();
                let error = error
                    .for_user(&user_id)
                    .to_json(crate::util::time::format(host.now_ms()));
                hub.update(|status| {
                    status.clear();
                    status.errors = vec![error.clone()];
                });
                wiped(&user_id);
            }
        }));
    }
}

/// Notifies the app that a log was lost, with the number of lost operations if known. Returns the
/// error to show at the end of the next cycle.
fn notice_of_loss(
    events: &EventHub,
    hub: &StatusHub,
    user_id: &str,
    now: u64,
    lost: Option<u64>,
    saved: usize,
) -> ErrorJson {
    events.tell(Topic::StorageLost, user_id, None, now, &mut |out| {
        match lost {
            Some(count) => put(out, "lostOperations", &count),
            None => put(out, "lostOperations", "unknown"),
        }
        put(out, "savedOperations", &saved);
    });
    let problem = match lost {
        Some(0) => "The browser removed this user's stored data; nothing waited to be pushed. The next sync fetches it again.".to_owned(),
        Some(count) => format!(
            "The browser removed this user's stored data, and with it {count} of the operations that had not been pushed. The next sync fetches what the server has; tell the user."
        ),
        None => "The browser removed this user's stored data; operations that had not been pushed may be gone. The next sync fetches what the server has; tell the user."
            .to_owned(),
    };
    let error = Error::new(Code::StorageLost, problem)
        .for_user(user_id)
        .to_json(crate::util::time::format(now));
    hub.update(|status| status.errors.push(error.clone()));
    error
}

/// Reports records that could not be read when the user's database was opened: their content is
/// lost, and the rest was kept.
pub(super) async fn report_damage<S: Store, H: Host>(
    user: &User<S, H>,
    events: &EventHub,
    now: u64,
) {
    let (unreadable, pending) = user
        .db
        .peek(|replica| (replica.unreadable(), replica.outbox().len()));
    if unreadable == 0 {
        return;
    }
    events.tell(Topic::StorageLost, &user.id, None, now, &mut |out| {
        put(out, "lostOperations", "unknown");
        put(out, "savedOperations", &pending);
    });
    let problem = format!(
        "{unreadable} of this user's stored records cannot be read; what was in them is lost, operations that had not been pushed too. The rest was kept, and the next sync fetches what the server has."
    );
    let error = Error::new(Code::Corrupt, problem)
        .for_user(&user.id)
        .to_json(crate::util::time::format(now));
    user.hub.update(|status| status.errors.push(error.clone()));
    user.pending_notices.borrow_mut().push(error);
    // A checkpoint leaves the unreadable records behind, so that they are reported once. If it
    // fails, they are reported again.
    let _ = user.db.checkpoint().await;
}

/// Reports a loss that was found when the user's database was opened.
pub(super) fn report_loss<S: Store, H: Host>(
    user: &User<S, H>,
    events: &EventHub,
    now: u64,
    lost: Option<u64>,
) {
    let notice = notice_of_loss(events, &user.hub, &user.id, now, lost, 0);
    user.pending_notices.borrow_mut().push(notice);
}

impl SyncStatus {
    /// Drops the pending notices of a user whose data has been removed from this device.
    pub(super) fn clear(&mut self) {
        let before = std::mem::take(self);
        self.user_id = before.user_id;
        self.online = before.online;
        self.is_leader = before.is_leader;
        self.health.local = before.health.local;
        self.reckon_health();
    }
}
