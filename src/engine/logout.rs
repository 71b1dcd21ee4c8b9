//! Signing a user out, closing or wiping their database. A user's operations are durable in a
//! database of their own, so only a wipe loses anything, and it checks first.

use serde::Serialize;

use crate::engine::auto_sync::Signal;
use crate::engine::cycle::cancel::Stop;
use crate::engine::database::Source;
use crate::engine::events::Topic;
use crate::engine::user::Unsynced;
use crate::engine::{Backing, User, UserOf, Users, check_user_id};
use crate::log::address::Seq;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::PendingOperation;
use crate::model::status::SyncState;
use crate::plan::move_server::MovePlanner;
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::json::write::{put, put_text};

/// How long signing out tries to push the outbox, in milliseconds.
const FLUSH_MS: u64 = 5_000;

/// How often a wipe starts over because another tab has written meanwhile.
const MAX_ROUNDS: usize = 8;

/// How to sign out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoutOptions {
    /// How long to try to push the outbox, in milliseconds; 0 to leave it as it is.
    pub flush: u64,
    /// Removes everything of the user from this device.
    pub wipe: bool,
    /// Wipes unsynced data as well.
    pub force: bool,
}

impl Default for LogoutOptions {
    fn default() -> Self {
        Self {
            flush: FLUSH_MS,
            wipe: false,
            force: false,
        }
    }
}

/// `LogoutResult` of the public surface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogoutResult {
    /// Operations that were pushed on the way out.
    pub flushed: u64,
    /// Operations that were not pushed: they stay until the next sign-in, unless they were wiped.
    pub unsynced: Vec<PendingOperation>,
    /// Operations that the remote will never accept.
    pub dead_letters: u64,
    /// Nothing of the user is left on this device.
    pub wiped: bool,
}

/// How a database is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposal {
    Close,
    /// Wipes, but fails if anything is unsynced.
    Wipe,
    /// Wipes, including unsynced data.
    WipeByForce,
    /// As `WipeByForce`, but only if the log still has this head: everything up to it is elsewhere.
    WipeAt(Seq),
}

impl<B: Backing, R: Remote, H: Host + 'static> Users<'_, B, R, H> {
    /// Signs a user out: stops their sync, tries to push the outbox, and closes their database.
    ///
    /// # Errors
    /// Fails with [`Code::UnsyncedData`] if a wipe would lose data and `force` is false; the user
    /// then stays signed in. Also fails with [`Code::InvalidArgument`] for a bad id, and with
    /// errors of the storage.
    pub async fn logout(self, user_id: &str, options: LogoutOptions) -> Result<LogoutResult> {
        self.engine.check_open()?;
        check_user_id(user_id)?;
        self.drop_wiped(user_id);
        let turn = self.engine.open_users.switching.lock().await;
        self.engine.check_open()?;
        let mut result = LogoutResult {
            wiped: options.wipe,
            ..LogoutResult::default()
        };
        // Signing out does not create a database for a user who has none.
        if self.engine.opened(user_id).is_some()
            || self.ids().await?.iter().any(|known| known == user_id)
        {
            let user = self.engine.user(user_id).await?;
            user.cycle.leaving.set(true);
            let left = self.sign_out(&user, options, &mut result).await;
            // After a failure the user stays signed in and may sync again.
            user.cycle.leaving.set(false);
            left?;
        }
        self.engine.open_users.clear_current(user_id);
        self.signed_out(user_id);
        self.tell_signed_out(user_id, Source::Local, options.wipe);
        drop(turn);
        Ok(result)
    }

    async fn sign_out(
        self,
        user: &UserOf<B, H>,
        options: LogoutOptions,
        result: &mut LogoutResult,
    ) -> Result<()> {
        user.stop(Stop::Abort);
        if options.flush > 0 {
            let before = user.unsynced();
            // The result lists the operations that a failed push leaves behind.
            result.flushed = match self.engine.flush(user, options.flush).await {
                Ok(pushed) => pushed.pushed_count,
                Err(_) => {
                    let after = user.unsynced();
                    let rejected = after.dead_letters.saturating_sub(before.dead_letters);
                    before
                        .operations
                        .saturating_sub(after.operations)
                        .saturating_sub(rejected)
                }
            };
        }
        let turn = user.cycle.turn.lock().await;
        self.engine.check_open()?;
        let disposal = match (options.wipe, options.force) {
            (false, _) => Disposal::Close,
            (true, false) => Disposal::Wipe,
            (true, true) => Disposal::WipeByForce,
        };
        (result.unsynced, result.dead_letters) = self.shut_down(user, disposal).await?;
        drop(turn);
        Ok(())
    }

    /// Closes a user's database, and wipes it if asked to; returns what is unsynced. The caller
    /// holds the lock on the user's cycles.
    pub(super) async fn shut_down(
        self,
        user: &UserOf<B, H>,
        disposal: Disposal,
    ) -> Result<(Vec<PendingOperation>, u64)> {
        let mut rounds = 0_usize;
        let (operations, unsynced) = loop {
            match user.db.catch_up().await {
                // Only a wipe that must lose nothing needs the commits of other tabs.
                Err(error) if disposal == Disposal::Wipe => return Err(error.for_user(&user.id)),
                _ => {}
            }
            user.db.seal().await?;
            let head = user.db.peek(Replica::head);
            let operations = self.engine.pending().of(user);
            let unsynced = user.unsynced();
            let (grown, kept) = match disposal {
                Disposal::Close | Disposal::WipeByForce => break (operations, unsynced),
                Disposal::Wipe => (false, !unsynced.is_empty()),
                Disposal::WipeAt(at) => (at != head, false),
            };
            if !grown && !kept && user.db.end_log(head).await {
                break (operations, unsynced);
            }
            user.db.unseal();
            if kept {
                return Err(unsynced_data(
                    user,
                    unsynced,
                    "Sync first, or wipe with `force: true`, which loses them.",
                ));
            }
            rounds = rounds.saturating_add(1);
            if grown || rounds > MAX_ROUNDS {
                return Err(unsynced_data(
                    user,
                    unsynced,
                    "It was written to meanwhile; try again.",
                ));
            }
        };
        // Callers that open the database again wait until it is gone.
        let opening = self.engine.open_users.opening.lock().await;
        self.engine.tabs().leave(user);
        if disposal == Disposal::Close {
            self.engine.tabs().broadcast_sign_out(user);
            user.db.close().await;
        } else {
            self.engine.tabs().broadcast_wipe(user);
            let wiped = match user.db.wipe().await {
                Ok(()) => self.engine.backing.forget(&user.id).await,
                Err(error) => Err(error),
            };
            if let Err(error) = wiped {
                user.db.unseal();
                user.db.reopen_log().await;
                return Err(error.for_user(&user.id));
            }
        }
        self.engine.open_users.remove(&user.id);
        if disposal != Disposal::Close {
            self.engine.open_users.set_gone(&user.id, true);
        }
        drop(opening);
        user.journal.close();
        self.show_closed(user, (disposal == Disposal::Close).then_some(unsynced));
        Ok((operations, unsynced.dead_letters))
    }

    /// Shows in the status that nothing is running, and what is left in the database, if it still
    /// exists.
    pub(super) fn show_closed(self, user: &User<B::Store, H>, left: Option<Unsynced>) {
        // The feed tells every end, also of another tab's cycle that nobody follows any more.
        user.hub.update(|status| {
            if status.status == SyncState::Syncing {
                status.status = SyncState::Cancelled;
                status.phase = None;
            }
        });
        user.hub.update(|status| {
            let (last, conflicts) = (status.last_completed_at.take(), status.unresolved_conflicts);
            status.clear();
            if let Some(left) = left {
                status.last_completed_at.clone_from(&last);
                status.pending_operations = left.operations;
                status.dead_letters = left.dead_letters;
                status.unresolved_conflicts = conflicts;
            }
            status.reckon_health();
        });
        // Fails only for a bad id, and this user's id is valid.
        let _ = self.engine.pauses().show(&user.id);
    }

    /// Decides that a user's data belongs to the server that answers now: with `offer`, keeps it
    /// and offers it to that server, or else removes it from this device. Returns how many
    /// entities are offered besides what was pending.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn accept_server(self, user_id: &str, offer: bool) -> Result<u64> {
        let user = self.engine.user(user_id).await?;
        if !offer {
            let is_current = self.engine.current_user().as_deref() == Some(user_id);
            self.clear_data(user_id).await?;
            if is_current {
                self.engine.sign_in(user_id).await?;
            }
            return Ok(0);
        }
        user.stop(Stop::Abort);
        let turn = user.cycle.turn.lock().await;
        self.engine.check_open()?;
        user.db.catch_up().await?;
        // Builds the index of rows, which planning goes through.
        user.db.read(|replica| replica.head());
        let mut planner = MovePlanner {
            context: user.db.plan_context(),
        };
        let offered = user.db.commit(Durability::Strict, &mut planner).await?;
        drop(turn);
        self.engine.after_commit(&user, NoteReason::Wrote);
        self.engine.auto_sync().signal(Signal::Wrote(user_id));
        Ok(offered)
    }

    /// Tells the app that a user has signed out, in this tab or another.
    pub(super) fn tell_signed_out(self, user_id: &str, source: Source, wiped: bool) {
        let source = if source == Source::Local {
            "local"
        } else {
            "otherTab"
        };
        let now = self.engine.host.now_ms();
        let events = &self.engine.events;
        events.tell(Topic::SignedOut, user_id, None, now, &mut |out| {
            put_text(out, "source", source);
            put(out, "wiped", &wiped);
        });
    }

    /// Removes everything of a user from this device for good, pending operations included. The
    /// remote keeps its data.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn clear_data(self, user_id: &str) -> Result<()> {
        if self.engine.open_users.is_gone(user_id) && self.engine.opened(user_id).is_none() {
            return Ok(());
        }
        let user = self.engine.user(user_id).await?;
        self.engine.auto_sync().signed_out(user_id);
        user.stop(Stop::Abort);
        let turn = user.cycle.turn.lock().await;
        self.engine.check_open()?;
        self.shut_down(&user, Disposal::WipeByForce).await?;
        drop(turn);
        Ok(())
    }
}

/// Returns the error that names the unsynced data and the fix.
pub(super) fn unsynced_data<S: Store, H: Host>(
    user: &User<S, H>,
    unsynced: Unsynced,
    fix: &str,
) -> Error {
    let count = |n: u64, one: &str| {
        if n == 1 {
            format!("1 {one}")
        } else {
            format!("{n} {one}s")
        }
    };
    let problem = format!(
        "{} and {} of `{}` have not reached the server. {fix}",
        count(unsynced.operations, "pending operation"),
        count(unsynced.dead_letters, "dead letter"),
        user.id
    );
    Error::new(Code::UnsyncedData, problem).for_user(&user.id)
}
