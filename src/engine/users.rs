//! Signing in, and switching to another user.

use std::rc::Rc;

use serde::Serialize;

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::cycle::options::Settings;
use crate::engine::database::Source;
use crate::engine::events::Topic;
use crate::engine::logout::{Disposal, unsynced_data};
pub use crate::engine::logout::{LogoutOptions, LogoutResult};
use crate::engine::{Backing, User, UserOf, Users, check_user_id};
use crate::model::config::{Direction, Options, UserSwitch};
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::status::{SkipReason, SyncResult};
use crate::plan::adoption::Adoption;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::util::collections::sort::sort;
use crate::util::json::write::put;

/// `UserSwitchResult` of the public surface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSwitchResult {
    /// The new user is the current one.
    pub success: bool,
    pub previous_user_id: Option<String>,
    pub new_user_id: String,
    /// Pending operations of the previous user, or of the new user if they prevent clearing.
    pub unsynced_operations: u64,
    /// Entities that the new user has adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
    /// The reason why the user was not switched, or why operations are still pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
}

/// What an adoption moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// Entities that the new user did not have.
    pub added: u64,
    /// Entities that the new user has as well, with other content: the resolvers decide.
    pub merged: u64,
}

/// The reason why a switch is refused, and how many operations prevent it.
struct Refusal {
    operations: u64,
    error: Error,
}

impl<B: Backing, R: Remote, H: Host + 'static> Users<'_, B, R, H> {
    /// Makes another user the current one. Until then, calls that name no user concern the previous
    /// one. `old` is checked against the current user; `strategy` defaults to the config's.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a bad id, or if `old` is not the current user; also
    /// with errors of the storage. Unsynced operations are not an error but a result without
    /// success.
    pub async fn switch(
        self,
        old: Option<&str>,
        new: &str,
        strategy: Option<UserSwitch>,
    ) -> Result<UserSwitchResult> {
        self.engine.check_open()?;
        check_user_id(new)?;
        self.drop_wiped(new);
        self.engine.open_users.set_gone(new, false);
        let strategy = strategy.unwrap_or(self.engine.config.user_switch);
        let turn = self.engine.open_users.switching.lock().await;
        let mut result = self.switch_in_turn(old, new, strategy).await?;
        drop(turn);
        if result.success
            && strategy == UserSwitch::ClearAndFetch
            && result.previous_user_id.as_deref() != Some(new)
        {
            let fetched = self
                .engine
                .synchronize(new, fetch_all(), None, Rc::default())
                .await;
            result.error = self.failure(fetched);
        }
        Ok(result)
    }

    async fn switch_in_turn(
        self,
        old: Option<&str>,
        new: &str,
        strategy: UserSwitch,
    ) -> Result<UserSwitchResult> {
        let current = self.engine.current_user();
        check_current(old, current.as_deref())?;
        let mut result = UserSwitchResult {
            previous_user_id: current.clone(),
            new_user_id: new.to_owned(),
            ..UserSwitchResult::default()
        };
        let next = self.engine.user(new).await?;
        if current.as_deref() == Some(new) {
            return Ok(UserSwitchResult {
                success: true,
                unsynced_operations: next.pending_count(),
                ..result
            });
        }
        let mut previous = match &current {
            Some(current) => Some(self.engine.user(current).await?),
            None => None,
        };
        let refused = match (strategy, &previous) {
            (UserSwitch::SyncThenSwitch, Some(previous)) => {
                result.error = self.push_first(previous).await;
                None
            }
            (UserSwitch::PromptIfUnsyncedData, Some(previous)) => {
                // Includes the writes of other tabs. If catching up fails, the operations known
                // here decide.
                let _ = previous.db.catch_up().await;
                refuse_unsynced(
                    previous,
                    "Let the user decide, then sync, or switch with `keepLocal`.",
                )
            }
            (UserSwitch::ClearAndFetch, _) => self.clear_for_fetch(&next).await?,
            (UserSwitch::Adopt, Some(from)) => {
                let Adoption { added, merged } = self.adopt(from, &next).await?;
                result.adopted = Some(Adopted { added, merged });
                previous = None;
                None
            }
            (
                UserSwitch::KeepLocal
                | UserSwitch::SyncThenSwitch
                | UserSwitch::PromptIfUnsyncedData
                | UserSwitch::Adopt,
                _,
            ) => None,
        };
        // An instance that has been closed in the meantime signs nobody in.
        self.engine.check_open()?;
        if let Some(Refusal { operations, error }) = refused {
            result.unsynced_operations = operations;
            result.error = Some(self.error_json(&error));
            return Ok(result);
        }
        self.engine.sign_in(new).await?;
        result.success = true;
        self.switched(current.as_deref(), previous, strategy, &mut result);
        Ok(result)
    }

    /// Reports a completed switch, in an event and in the result.
    fn switched(
        self,
        previous_id: Option<&str>,
        previous: Option<UserOf<B, H>>,
        strategy: UserSwitch,
        result: &mut UserSwitchResult,
    ) {
        let unsynced = previous
            .as_ref()
            .map(|previous| previous.unsynced())
            .unwrap_or_default();
        self.engine.counters.count_user_switch();
        self.engine.events.tell(
            Topic::UserSwitched,
            &result.new_user_id,
            None,
            self.engine.host.now_ms(),
            &mut |out| {
                put(out, "previousUserId", &previous_id);
                put(out, "hadUnsyncedData", &!unsynced.is_empty());
            },
        );
        let Some(previous) = previous else {
            if strategy == UserSwitch::Adopt
                && let Some(user) = self.engine.opened(&result.new_user_id)
            {
                result.unsynced_operations = user.pending_count();
            }
            return;
        };
        previous.stop(Stop::Abort);
        result.unsynced_operations = unsynced.operations;
        if unsynced.operations > 0
            && strategy == UserSwitch::SyncThenSwitch
            && result.error.is_none()
        {
            let error = unsynced_data(
                &previous,
                unsynced,
                "They stay on this device until that user syncs again.",
            );
            result.error = Some(self.error_json(&error));
        }
    }

    /// Wipes a user before their data is fetched again. Refuses if data would be lost, or if
    /// nothing can be fetched.
    async fn clear_for_fetch(self, user: &UserOf<B, H>) -> Result<Option<Refusal>> {
        let pushed = self.push_first(user).await;
        let why = pushed
            .map(|error| format!(" The push failed: {}", error.message))
            .unwrap_or_default();
        let fix = format!("They must be pushed before anything is cleared.{why}");
        if let Some(refused) = refuse_unsynced(user, &fix) {
            return Ok(Some(refused));
        }
        let config = &self.engine.config;
        let settings = Settings::of(&fetch_all().or(&config.defaults), config);
        let cancel = Cancel::default();
        if let Some(reason) = self
            .engine
            .network()
            .reason_to_skip(user, &settings, &cancel)
            .await
        {
            let code = if reason == SkipReason::Offline {
                Code::Offline
            } else {
                Code::Cancelled
            };
            let problem = format!(
                "Nothing was cleared, since nothing could be fetched now: {}.",
                words(reason)
            );
            return Ok(Some(Refusal {
                operations: 0,
                error: Error::new(code, problem).for_user(&user.id),
            }));
        }
        user.stop(Stop::Abort);
        let turn = user.cycle.turn.lock().await;
        self.engine.check_open()?;
        let shut = self.shut_down(user, Disposal::Wipe).await;
        drop(turn);
        match shut {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Code::UnsyncedData => Ok(Some(Refusal {
                operations: user.pending_count(),
                error,
            })),
            Err(error) => Err(error),
        }
    }

    /// Pushes the outbox. Returns the reason why operations may still be in it.
    async fn push_first(self, user: &UserOf<B, H>) -> Option<ErrorJson> {
        if let Err(error) = user.db.catch_up().await {
            return Some(self.error_json(&error));
        }
        if user.pending_count() == 0 {
            return None;
        }
        let pushed = self
            .engine
            .flush(user, self.engine.config.sync_timeout)
            .await;
        self.failure(pushed)
    }

    /// Returns the reason why a cycle did not complete its work, if so.
    fn failure(self, result: Result<SyncResult>) -> Option<ErrorJson> {
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
        Some(self.error_json(&error))
    }

    fn error_json(self, error: &Error) -> ErrorJson {
        error.to_json(crate::util::time::format(self.engine.host.now_ms()))
    }

    /// Starts the automatic cycles and the hints of a user who has become the current one. Those of
    /// the previous user are not restored.
    pub(super) fn signed_in(self, user_id: &str) {
        self.engine.auto_sync().signed_in(user_id);
        self.engine.hint_state.set_user(Some(user_id));
    }

    /// Ends the automatic cycles and the hints of a user who is no longer the current one or has
    /// signed out.
    pub(super) fn signed_out(self, user_id: &str) {
        self.engine.auto_sync().signed_out(user_id);
        if self.engine.open_users.current().is_none() {
            self.engine.hint_state.set_user(None);
        }
    }

    /// Signs out users whose log was wiped in another tab. Returns true if this user was among
    /// them.
    pub(super) fn drop_wiped(self, user_id: &str) -> bool {
        let wiped = self.engine.open_users.take_wiped();
        for gone in &wiped {
            self.engine.open_users.remove(gone);
            self.engine.open_users.clear_current(gone);
            self.engine.open_users.set_gone(gone, true);
            self.signed_out(gone);
            self.tell_signed_out(gone, Source::OtherTab, true);
        }
        wiped.iter().any(|gone| gone == user_id)
    }

    /// Signs out users whose log was wiped in another tab, and fails if this user was among them.
    pub(super) fn check_not_wiped(self, user_id: &str) -> Result<()> {
        if self.drop_wiped(user_id) {
            Err(crate::ports::store::wiped().for_user(user_id))
        } else {
            Ok(())
        }
    }

    /// Returns the users that have a database on this device, in order.
    ///
    /// # Errors
    /// Fails with [`Code::Closed`], or with errors of the storage.
    pub async fn ids(self) -> Result<Vec<String>> {
        self.engine.check_open()?;
        let mut users = self.engine.backing.users().await?;
        sort(&mut users);
        Ok(users)
    }
}

fn check_current(old: Option<&str>, current: Option<&str>) -> Result<()> {
    let Some(old) = old.filter(|old| current != Some(*old)) else {
        return Ok(());
    };
    let current = current.map_or_else(|| "nobody".to_owned(), |current| format!("`{current}`"));
    let problem = format!(
        "`oldUserId` is `{old}`, but the current user is {current}; give that one, or leave it out."
    );
    Err(Error::new(Code::InvalidArgument, problem))
}

fn refuse_unsynced<S, H>(user: &User<S, H>, fix: &str) -> Option<Refusal>
where
    S: crate::ports::store::Store,
    H: Host,
{
    let unsynced = user.unsynced();
    (!unsynced.is_empty()).then(|| Refusal {
        operations: unsynced.operations,
        error: unsynced_data(user, unsynced, fix),
    })
}

/// Returns the options of a full pull followed by a push, as for a sign-in without local data.
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
