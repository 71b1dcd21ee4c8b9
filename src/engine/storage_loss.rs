//! A user's log that is gone: lost, which the app is told of, or wiped in another tab, which signs
//! the user out in this one.

use std::rc::Rc;

use crate::engine::database::Gone;
use crate::engine::events::{Events, Topic};
use crate::engine::status_feed::StatusHub;
use crate::engine::{Backing, Engine, User, UserOf};
use crate::model::error::{Code, Error, Result};
use crate::model::status::SyncStatus;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::json::write::put;

impl<S: Store, H: Host + 'static> User<S, H> {
    /// Has it told when the log is gone. `wiped` hears of users whose log was wiped.
    pub(super) fn mind(&self, events: &Rc<Events>, host: &Rc<H>, wiped: impl Fn(&str) + 'static) {
        let (events, host, whose) = (Rc::clone(events), Rc::clone(host), self.id.clone());
        let (hub, journal, news) = (
            Rc::clone(&self.hub),
            Rc::clone(&self.journal),
            Rc::clone(&self.news),
        );
        self.db.on_gone(Rc::new(move |gone| match gone {
            // What other tabs knew, nobody here can tell.
            Gone::Lost(saved) => {
                news.borrow_mut()
                    .push(tell_lost(&events, &hub, &whose, host.now_ms(), None, saved))
            }
            Gone::Wiped(error) => {
                journal.close();
                let error = error
                    .for_user(&whose)
                    .to_json(crate::util::time::format(host.now_ms()));
                hub.update(|status| {
                    status.clear();
                    status.errors = vec![error.clone()];
                });
                wiped(&whose);
            }
        }));
    }
}

/// Tells that a log was lost with so many operations, where that is known; answers what the next
/// cycle's end shows.
fn tell_lost(
    events: &Events,
    hub: &StatusHub,
    whose: &str,
    now: u64,
    lost: Option<u64>,
    saved: usize,
) -> crate::model::error::ErrorJson {
    events.tell(Topic::StorageLost, whose, None, now, &mut |out| {
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
        .for_user(whose)
        .to_json(crate::util::time::format(now));
    hub.update(|status| status.errors.push(error.clone()));
    error
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Lets go of users whose log was wiped in another tab: they are signed out here. Answers
    /// whether this one was among them.
    pub(super) fn sweep(&self, user_id: &str) -> bool {
        let wiped = self.wiped.take();
        for gone in &wiped {
            self.users.borrow_mut().remove(gone);
            if self.current.borrow().as_deref() == Some(gone) {
                self.current.take();
            }
            self.signed_out(gone);
        }
        wiped.iter().any(|gone| gone == user_id)
    }

    /// The same, where that is an error of the call.
    pub(super) fn check_swept(&self, user_id: &str) -> Result<()> {
        if self.sweep(user_id) {
            Err(crate::ports::store::wiped().for_user(user_id))
        } else {
            Ok(())
        }
    }

    /// Tells of records that could not be read when the user's database was opened: what they held
    /// is lost, and what else there is was kept.
    pub(super) async fn tell_damage(&self, user: &UserOf<B, H>) {
        let (unreadable, pending) = user
            .db
            .peek(|replica| (replica.unreadable(), replica.outbox().len()));
        if unreadable == 0 {
            return;
        }
        let now = self.host.now_ms();
        self.events
            .tell(Topic::StorageLost, &user.id, None, now, &mut |out| {
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
        user.news.borrow_mut().push(error);
        // Without them, so that it is told once. Where that fails, it is told again.
        let _ = user.db.checkpoint().await;
    }

    /// Tells of a loss that was found when the user's database was opened.
    pub(super) fn tell_loss(&self, user: &UserOf<B, H>, lost: Option<u64>) {
        let news = tell_lost(
            &self.events,
            &user.hub,
            &user.id,
            self.host.now_ms(),
            lost,
            0,
        );
        user.news.borrow_mut().push(news);
    }
}

impl SyncStatus {
    /// What is left to say of a user whose data is gone from this device.
    pub(super) fn clear(&mut self) {
        let before = std::mem::take(self);
        self.user_id = before.user_id;
        self.online = before.online;
        self.is_leader = before.is_leader;
        self.health.local = before.health.local;
        self.reckon_health();
    }
}
