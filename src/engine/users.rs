//! Who is signed in: switching to another user, and signing out. A user's operations are durable in
//! a database of their own, so nothing here is lost but by a wipe, which asks first.

use std::rc::Rc;

use serde::Serialize;

use crate::engine::cycle::cancel::Stop;
use crate::engine::cycle::options::Settings;
use crate::engine::{Backing, Engine, User, UserOf, check_user_id};
use crate::model::config::{Direction, Options, UserSwitch};
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::operation::PendingOperation;
use crate::model::status::{SkipReason, SyncResult};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::collections::sort::sort;

/// How long signing out tries to push what waits, in milliseconds.
const FLUSH_MS: u64 = 5_000;

/// `UserSwitchResult` of the public surface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSwitchResult {
    /// The new user is the current one.
    pub success: bool,
    /// Who was it before.
    pub previous_user_id: Option<String>,
    /// Who was asked for.
    pub new_user_id: String,
    /// Operations that still wait: of the previous user, or of the new one where those stand in the
    /// way of clearing.
    pub unsynced_operations: u64,
    /// Why nothing was switched, or why operations still wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
}

/// How to sign out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoutOptions {
    /// How long to try to push what waits, in milliseconds; 0 to leave it as it is.
    pub flush: u64,
    /// Removes everything of the user from this device.
    pub wipe: bool,
    /// Wipes what is unsynced as well.
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
    /// Those that were not: they wait for the next sign-in, unless they were wiped.
    pub unsynced: Vec<PendingOperation>,
    /// Operations that the remote will never accept.
    pub dead_letters: u64,
    /// Nothing of the user is left on this device.
    pub wiped: bool,
}

impl<S: Store, H: Host> User<S, H> {
    /// How many operations wait, and how many the remote will never accept.
    fn unsynced(&self) -> (u64, u64) {
        self.db.peek(|replica| {
            (
                replica.outbox().len() as u64,
                replica.dead_letters().len() as u64,
            )
        })
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Makes another user the current one. Until it has, calls that name no user are about the
    /// previous one. `old` is checked against the current user; without a strategy the config's is
    /// taken.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a bad id, or where `old` is not the current user; what the
    /// storage says. Unsynced operations in the way are no error but a result without success.
    pub async fn switch_user(
        &self,
        old: Option<&str>,
        new: &str,
        strategy: Option<UserSwitch>,
    ) -> Result<UserSwitchResult> {
        self.check_open()?;
        check_user_id(new)?;
        self.sweep(new);
        let strategy = strategy.unwrap_or(self.config.user_switch);
        let turn = self.switching.lock().await;
        let mut result = self.switch_in_turn(old, new, strategy).await?;
        drop(turn);
        if result.success
            && strategy == UserSwitch::ClearAndFetch
            && result.previous_user_id.as_deref() != Some(new)
        {
            let fetched = self
                .synchronize(new, fetch_all(), None, Rc::default())
                .await;
            result.error = self.trouble(fetched);
        }
        Ok(result)
    }

    async fn switch_in_turn(
        &self,
        old: Option<&str>,
        new: &str,
        strategy: UserSwitch,
    ) -> Result<UserSwitchResult> {
        let current = self.current_user();
        if let Some(old) = old.filter(|old| current.as_deref() != Some(*old)) {
            let current =
                current.map_or_else(|| "nobody".to_owned(), |current| format!("`{current}`"));
            let problem = format!(
                "`oldUserId` is `{old}`, but the current user is {current}; give that one, or leave it out."
            );
            return Err(Error::new(Code::InvalidArgument, problem));
        }
        let mut result = UserSwitchResult {
            previous_user_id: current.clone(),
            new_user_id: new.to_owned(),
            ..UserSwitchResult::default()
        };
        let next = self.user(new).await?;
        if current.as_deref() == Some(new) {
            return Ok(UserSwitchResult {
                success: true,
                unsynced_operations: next.pending_count(),
                ..result
            });
        }
        let previous = match &current {
            Some(current) => Some(self.user(current).await?),
            None => None,
        };
        let refused = match (strategy, &previous) {
            (UserSwitch::SyncThenSwitch, Some(previous)) => {
                result.error = self.push_first(previous).await;
                None
            }
            (UserSwitch::PromptIfUnsyncedData, Some(previous)) => {
                // What other tabs have written counts, as far as it can be known.
                let _ = previous.db.catch_up().await;
                let unsynced = previous.unsynced();
                (unsynced != (0, 0)).then(|| {
                    (
                        unsynced.0,
                        unsynced_data(
                            previous,
                            unsynced,
                            "Let the user decide, then sync, or switch with `keepLocal`.",
                        ),
                    )
                })
            }
            (UserSwitch::ClearAndFetch, _) => self.clear_for_fetch(&next).await?,
            (
                UserSwitch::KeepLocal
                | UserSwitch::SyncThenSwitch
                | UserSwitch::PromptIfUnsyncedData,
                _,
            ) => None,
        };
        // Whoever closes the instance meanwhile has signed nobody in.
        self.check_open()?;
        if let Some((operations, error)) = refused {
            (result.unsynced_operations, result.error) = (operations, Some(self.told(&error)));
            return Ok(result);
        }
        self.sign_in(new).await?;
        result.success = true;
        let (operations, dead) = previous
            .as_ref()
            .map(|previous| previous.unsynced())
            .unwrap_or_default();
        self.tell_switched(current.as_deref(), new, (operations, dead) != (0, 0));
        if let Some(previous) = previous {
            previous.stop(Stop::Abort);
            result.unsynced_operations = operations;
            if operations > 0 && strategy == UserSwitch::SyncThenSwitch {
                let why = || {
                    self.told(&unsynced_data(
                        &previous,
                        (operations, dead),
                        "They stay on this device until that user syncs again.",
                    ))
                };
                result.error = result.error.or_else(|| Some(why()));
            }
        }
        Ok(result)
    }

    /// Signs a user out: stops their sync, tries to push what waits, and closes their database.
    ///
    /// # Errors
    /// [`Code::UnsyncedData`] where a wipe would lose something and `force` was not given: then the
    /// user stays signed in, as before. [`Code::InvalidArgument`] for a bad id; what the storage
    /// says.
    pub async fn logout(&self, user_id: &str, options: LogoutOptions) -> Result<LogoutResult> {
        self.check_open()?;
        check_user_id(user_id)?;
        self.sweep(user_id);
        let turn = self.switching.lock().await;
        self.check_open()?;
        let mut result = LogoutResult {
            wiped: options.wipe,
            ..LogoutResult::default()
        };
        // For a user who has never been here no database is made.
        if self.opened(user_id).is_some()
            || self.user_ids().await?.iter().any(|known| known == user_id)
        {
            let user = self.user(user_id).await?;
            user.leaving.set(true);
            let left = self.leave(&user, options, &mut result).await;
            // Nothing else has begun meanwhile; whoever stays may sync again.
            user.leaving.set(false);
            left?;
        }
        if self.current.borrow().as_deref() == Some(user_id) {
            self.current.take();
        }
        self.signed_out(user_id);
        drop(turn);
        Ok(result)
    }

    async fn leave(
        &self,
        user: &UserOf<B, H>,
        options: LogoutOptions,
        result: &mut LogoutResult,
    ) -> Result<()> {
        user.stop(Stop::Abort);
        if options.flush > 0 {
            let (operations, dead) = user.unsynced();
            // That it failed shows in what is left.
            result.flushed = match self.flush(user, options.flush).await {
                Ok(pushed) => pushed.pushed_count,
                Err(_) => {
                    let after = user.unsynced();
                    operations
                        .saturating_sub(after.0)
                        .saturating_sub(after.1.saturating_sub(dead))
                }
            };
        }
        let turn = user.turn.lock().await;
        self.check_open()?;
        (result.unsynced, result.dead_letters) =
            self.shut(user, options.wipe, options.force).await?;
        drop(turn);
        Ok(())
    }

    /// The users that have a database on this device, in order.
    ///
    /// # Errors
    /// [`Code::Closed`]; what the storage says.
    pub async fn user_ids(&self) -> Result<Vec<String>> {
        self.check_open()?;
        let mut users = self.backing.users().await?;
        sort(&mut users);
        Ok(users)
    }

    /// Closes a user's database, and wipes it where that is asked and loses nothing. The caller has
    /// the user's turn. Answers what is unsynced.
    pub(super) async fn shut(
        &self,
        user: &UserOf<B, H>,
        wipe: bool,
        force: bool,
    ) -> Result<(Vec<PendingOperation>, u64)> {
        let asks = wipe && !force;
        match user.db.catch_up().await {
            // What another tab has written must be known before it is wiped, and need not be
            // otherwise.
            Err(error) if asks => return Err(error.for_user(&user.id)),
            _ => {}
        }
        user.db.seal().await?;
        let unsynced = self.pending_of(user);
        let (operations, dead) = user.unsynced();
        if asks && (operations, dead) != (0, 0) {
            user.db.unseal();
            return Err(unsynced_data(
                user,
                (operations, dead),
                "Sync first, or wipe with `force: true`, which loses them.",
            ));
        }
        // Whoever opens the database again waits until it is gone.
        let opening = self.opening.lock().await;
        self.leave_seat(user);
        if wipe {
            self.say_wiped(user);
            let wiped = match user.db.wipe().await {
                Ok(()) => self.backing.forget(&user.id).await,
                Err(error) => Err(error),
            };
            if let Err(error) = wiped {
                user.db.unseal();
                return Err(error.for_user(&user.id));
            }
        } else {
            user.db.close().await;
        }
        self.users.borrow_mut().remove(&user.id);
        drop(opening);
        user.journal.close();
        self.show_closed(user, (!wipe).then_some((operations, dead)));
        Ok((unsynced, dead))
    }

    /// Makes the status say that nothing runs any more, and what is left in the database, if there
    /// is one.
    pub(super) fn show_closed(&self, user: &User<B::Store, H>, left: Option<(u64, u64)>) {
        user.hub.update(|status| {
            let (last, conflicts) = (status.last_completed_at.take(), status.unresolved_conflicts);
            status.clear();
            if let Some((operations, dead)) = left {
                status.last_completed_at.clone_from(&last);
                (
                    status.pending_operations,
                    status.dead_letters,
                    status.unresolved_conflicts,
                ) = (operations, dead, conflicts);
            }
            status.reckon_health();
        });
        // The id is a user's: this cannot fail.
        let _ = self.show_pause(&user.id);
    }

    /// Removes what this device has of a user whose data is about to be fetched. Answers why not,
    /// and how many operations stand in the way, where something would be lost or nothing could be
    /// fetched.
    async fn clear_for_fetch(&self, user: &UserOf<B, H>) -> Result<Option<(u64, Error)>> {
        let pushed = self.push_first(user).await;
        let unsynced = user.unsynced();
        if unsynced != (0, 0) {
            let why = pushed
                .map(|error| format!(" The push failed: {}", error.message))
                .unwrap_or_default();
            let fix = format!("They must be pushed before anything is cleared.{why}");
            return Ok(Some((unsynced.0, unsynced_data(user, unsynced, &fix))));
        }
        let settings = Settings::of(&fetch_all().or(&self.config.defaults), &self.config);
        if let Some(reason) = self.reason_to_skip(user, &settings) {
            let code = if reason == SkipReason::Offline {
                Code::Offline
            } else {
                Code::Cancelled
            };
            let problem = format!(
                "Nothing was cleared, since nothing could be fetched now: {}.",
                words(reason)
            );
            return Ok(Some((0, Error::new(code, problem).for_user(&user.id))));
        }
        user.stop(Stop::Abort);
        let turn = user.turn.lock().await;
        self.check_open()?;
        let shut = self.shut(user, true, false).await;
        drop(turn);
        match shut {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Code::UnsyncedData => {
                Ok(Some((user.pending_count(), error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Pushes what waits; answers why not, where something is in the way.
    async fn push_first(&self, user: &UserOf<B, H>) -> Option<ErrorJson> {
        if let Err(error) = user.db.catch_up().await {
            return Some(self.told(&error));
        }
        if user.pending_count() == 0 {
            return None;
        }
        let pushed = self.flush(user, self.config.sync_timeout).await;
        self.trouble(pushed)
    }

    /// Why a cycle did not do all that it was for.
    fn trouble(&self, result: Result<SyncResult>) -> Option<ErrorJson> {
        let error = match result {
            Err(error) => error,
            Ok(result) => match result.skip_reason {
                Some(SkipReason::NothingToPush) => return None,
                Some(SkipReason::Offline) => {
                    Error::new(Code::Offline, "The browser says that there is no network.")
                }
                Some(reason) => {
                    Error::new(Code::Cancelled, format!("No cycle ran: {}.", words(reason)))
                }
                None if result.was_cancelled => {
                    Error::new(Code::Cancelled, "The sync was stopped.")
                }
                None => return result.error,
            },
        };
        Some(self.told(&error))
    }

    fn told(&self, error: &Error) -> ErrorJson {
        error.to_json(crate::util::time::format(self.host.now_ms()))
    }

    /// A user has become the current one. What runs by itself for a user begins here, and for this
    /// user alone: nothing of the previous one comes back.
    pub(super) fn signed_in(&self, user_id: &str) {
        self.auto_signed_in(user_id);
        self.realtime.set_user(Some(user_id));
    }

    /// A user is not the current one any more, or has signed out. What runs by itself for them ends
    /// here.
    pub(super) fn signed_out(&self, user_id: &str) {
        self.auto_signed_out(user_id);
        if self.current.borrow().is_none() {
            self.realtime.set_user(None);
        }
    }
}

/// Everything ignore_kept_rejection: what a sign-in without local data does.
fn fetch_all() -> Options {
    Options {
        direction: Some(Direction::PullThenPush),
        force_full_sync: Some(true),
        ..Options::default()
    }
}

const fn words(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Offline => "the browser says that there is no network",
        SkipReason::Paused => "sync is paused for this user; call `resumeSync`",
        SkipReason::InProgress => "another cycle of this user is running",
        SkipReason::ExcludedUser => "`excludedSyncUserIds` of the config names this user",
        SkipReason::NothingToPush => "nothing waits",
    }
}

fn unsynced_data<S: Store, H: Host>(
    user: &User<S, H>,
    (operations, dead): (u64, u64),
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
        count(operations, "pending operation"),
        count(dead, "dead letter"),
        user.id
    );
    Error::new(Code::UnsyncedData, problem).for_user(&user.id)
}
