//! Why one operation has not been sent.

use serde::Serialize;

use crate::engine::cycle::options::Settings;
use crate::engine::cycle::resolve::is_asked_again;
use crate::engine::cycle::server::unnamed_type;
use crate::engine::explain::Reason;
use crate::engine::{Backing, Explanations, User};
use crate::log::facts::DeadLetter;
use crate::log::known_server::{KnownServer, Meeting};
use crate::model::config::Config;
use crate::model::entity::Key;
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::Table;
use crate::plan::rejection::DISCARDED;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::util::time::format;

/// The largest offset of the clock that is no reason, in milliseconds.
const CLOCK_MS: u64 = 60_000;

/// `OperationExplanation` of the public surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationExplanation {
    pub op_id: String,
    pub user_id: String,
    pub entity: String,
    pub entity_id: String,
    pub state: WaitState,
    /// What keeps it; at least one.
    pub reasons: Vec<WaitReason>,
}

/// What becomes of a waiting operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitState {
    /// It was sent.
    InFlight,
    /// It goes by itself.
    Waiting,
    /// It goes once somebody acts.
    Stopped,
    /// The remote has rejected it.
    DeadLetter,
}

/// `WaitReason` of the public surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitReason {
    pub reason: Reason,
    /// The same for people.
    pub because: String,
    /// When it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
    /// It ends by itself.
    #[serde(skip)]
    passes: bool,
}

impl WaitReason {
    fn new(reason: Reason, because: impl Into<String>) -> Self {
        Self {
            reason,
            because: because.into(),
            until: None,
            blocked_by: None,
            error: None,
            passes: false,
        }
    }

    /// As [`Self::new`], for what ends by itself.
    fn passing(reason: Reason, because: impl Into<String>) -> Self {
        Self {
            passes: true,
            ..Self::new(reason, because)
        }
    }

    fn behind(mut self, id: &str) -> Self {
        self.blocked_by = Some(id.to_owned());
        self
    }

    /// Returns true if it keeps the operation until somebody acts, or something outside changes.
    fn stops(&self) -> bool {
        match self.reason {
            Reason::Blocked
            | Reason::Conflict
            | Reason::DeadLetter
            | Reason::UnnamedType
            | Reason::DeletesHeld
            | Reason::PullOnly
            | Reason::Space
            | Reason::OtherServer => !self.passes,
            reason => reason.stops(),
        }
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Explanations<'_, B, R, H> {
    /// Explains why an operation of the outbox has not been sent, or what has become of a dead letter.
    ///
    /// # Errors
    /// Fails with [`Code::NotFound`] if the operation has left the outbox.
    pub fn operation(self, user: &User<B::Store, H>, op_id: &str) -> Result<OperationExplanation> {
        let settings = Settings::by_default(&self.engine.config);
        let look = Look {
            config: &self.engine.config,
            settings: &settings,
            now: self.engine.host.now_ms(),
        };
        let found = user.db.read(|replica| look.find(replica, op_id));
        let Some((op, state, mut reasons)) = found else {
            return Err(Error::new(
                Code::NotFound,
                "No operation of this id is pending: it has been settled, merged into another one, or discarded.",
            )
            .for_user(&user.id));
        };
        if state == WaitState::Waiting {
            self.add_common(user, &settings, &mut reasons)?;
        }
        let state = match state {
            WaitState::Waiting if reasons.iter().any(WaitReason::stops) => WaitState::Stopped,
            state => state,
        };
        Ok(OperationExplanation {
            op_id: op.op_id,
            user_id: user.id.clone(),
            entity: Table(&op.entity).entity().to_owned(),
            entity_id: op.id,
            state,
            reasons,
        })
    }

    /// Adds what keeps all operations of the user.
    fn add_common(
        self,
        user: &User<B::Store, H>,
        settings: &Settings,
        reasons: &mut Vec<WaitReason>,
    ) -> Result<()> {
        if !settings.direction.pushes() {
            reasons.push(WaitReason::new(
                Reason::PullOnly,
                "`defaultSyncDirection` is \"pullOnly\". Call `synchronize` with another `direction`, or change it.",
            ));
        }
        let next = self.next_sync(&user.id)?;
        let code = next.error.as_ref().map(|error| error.code);
        let remote = &self.engine.remote;
        let (own, address) = (remote.server_id(), remote.address());
        let is_other = own.is_some()
            && user.db.peek(|replica| {
                replica.server().meets(own.as_deref(), address.as_deref()) == Meeting::Other
            });
        // After `acceptServer`, the next server that answers is the one.
        let is_open = user
            .db
            .peek(|replica| *replica.server() == KnownServer::default());
        if is_other || (code == Some(Code::OtherServer) && !is_open) {
            let mut reason = WaitReason::new(
                Reason::OtherServer,
                "Another server answers than the one that this data belongs to. Call `acceptServer` if the app has moved, or mend `remote`.",
            );
            reason.error.clone_from(&next.error);
            reasons.push(reason);
        }
        if user.db.peek(Replica::awaits_pull) {
            reasons.push(WaitReason::new(
                Reason::Restored,
                "The server was restored: the next cycle pulls everything, and sends this then.",
            ));
        }
        if let Some(Code::StorageFull | Code::StorageUnavailable) = code {
            let mut reason = WaitReason::new(
                Reason::Storage,
                "The storage refused what the last cycle had to record. Free space on this device, or ask for more with `requestPersistence`.",
            );
            reason.error.clone_from(&next.error);
            reasons.push(reason);
        }
        let offset = user.db.peek(|replica| replica.facts().clock_offset);
        if next.error.is_some() && offset.unsigned_abs() > CLOCK_MS {
            // To the nearest: it is measured over a request, so always a little off.
            let minutes = offset.unsigned_abs().saturating_add(30_000) / 60_000;
            let side = if offset > 0 { "behind" } else { "ahead of" };
            reasons.push(WaitReason::new(
                Reason::Clock,
                format!(
                    "This device's clock is {minutes} minutes {side} the server's, which may be why a token or a certificate is refused. Set the clock."
                ),
            ));
        }
        let waits_for_a_decision = reasons.iter().any(WaitReason::stops);
        if !waits_for_a_decision || next.reason.stops() {
            reasons.push(WaitReason {
                until: next.at,
                error: next.error,
                ..WaitReason::new(next.reason, next.because)
            });
        }
        Ok(())
    }
}

/// Looks at the operations of one user.
struct Look<'a> {
    config: &'a Config,
    settings: &'a Settings,
    now: u64,
}

impl Look<'_> {
    fn find(
        &self,
        replica: &Replica,
        op_id: &str,
    ) -> Option<(Operation, WaitState, Vec<WaitReason>)> {
        let outbox = replica.outbox();
        let Some(queued) = outbox.get(op_id).or_else(|| outbox.superseding(op_id)) else {
            let mut letters = replica.dead_letters().values();
            let letter = letters.find(|letter| letter.op.op_id == op_id)?;
            let reason = rejected(letter);
            return Some((letter.op.clone(), WaitState::DeadLetter, vec![reason]));
        };
        let reasons = self.reasons(replica, queued);
        let state = match queued.in_flight {
            true => WaitState::InFlight,
            false => WaitState::Waiting,
        };
        Some((queued.op.clone(), state, reasons))
    }

    /// Returns what keeps this operation and not all of them.
    fn reasons(&self, replica: &Replica, queued: &Queued) -> Vec<WaitReason> {
        let mut reasons = self.own(replica, queued);
        if queued.in_flight {
            return reasons;
        }
        let outbox = replica.outbox();
        let stops = |other: &Queued| {
            let own = self.own(replica, other);
            own.iter()
                .any(WaitReason::stops)
                .then(|| other.op.op_id.clone())
        };
        let waits =
            |other: &Queued| (!self.own(replica, other).is_empty()).then(|| other.op.op_id.clone());
        // What needs a decision is more important than what ends by itself.
        let first = outbox
            .blocked_reason(queued, &stops)
            .or_else(|| outbox.blocked_reason(queued, &waits));
        if let Some(other) = first.and_then(|op_id| outbox.get(&op_id)) {
            reasons.extend(self.behind(replica, other));
        }
        reasons
    }

    fn behind(&self, replica: &Replica, other: &Queued) -> Option<WaitReason> {
        let mut own = self.own(replica, other);
        let at = own.iter().position(WaitReason::stops).unwrap_or(0);
        let why = (at < own.len()).then(|| own.swap_remove(at))?;
        let because = format!(
            "It is sent after the {} of `{}`, which waits itself. {}",
            other.op.kind.as_str(),
            Table(&other.op.entity).entity(),
            why.because,
        );
        Some(WaitReason {
            passes: !why.stops(),
            until: why.until,
            error: why.error,
            ..WaitReason::new(Reason::Blocked, because)
                .behind(why.blocked_by.as_deref().unwrap_or(&other.op.op_id))
        })
    }

    /// Returns what keeps an operation by itself.
    fn own(&self, replica: &Replica, queued: &Queued) -> Vec<WaitReason> {
        let op = &queued.op;
        if queued.in_flight {
            return vec![WaitReason::new(
                Reason::InFlight,
                "It was sent, and the answer has not come.",
            )];
        }
        let mut reasons = Vec::new();
        if let Some(conflict) = &queued.blocked_by {
            let parked = replica.conflicts().get(conflict);
            let reason = if parked.is_some_and(is_asked_again) {
                WaitReason::passing(
                    Reason::Conflict,
                    "Both sides have changed its entity, and its resolver has failed. The next cycle asks it again; `resolveConflict` decides at once.",
                )
            } else {
                WaitReason::new(
                    Reason::Conflict,
                    "Both sides have changed its entity, and the app has to decide: see `conflicts` and `resolveConflict`.",
                )
            };
            reasons.push(reason.behind(conflict));
        }
        if let Some(letter) = replica.blocking_rejection(op) {
            let because = format!(
                "It depends on an operation that is a dead letter. {}",
                rejected(letter).because
            );
            reasons.push(WaitReason::new(Reason::DeadLetter, because).behind(&letter.op.op_id));
        }
        if self.config.of(&op.entity).is_none() {
            let error = unnamed_type(1).on(&op.entity, Some(&op.id));
            let because = "The config does not name its entity type. Name it in `entities`.";
            reasons.push(WaitReason {
                error: Some(error.to_json(format(self.now))),
                ..WaitReason::new(Reason::UnnamedType, because)
            });
        }
        if op.kind == OperationKind::Delete && !self.settings.include_deletes {
            reasons.push(WaitReason::new(
                Reason::DeletesHeld,
                "It is a delete, and `includeDeletes` of `defaultSyncOptions` is false. Call `synchronize` with `includeDeletes: true`.",
            ));
        }
        let spaces = replica.spaces();
        if op.is_shared() && spaces.support() == Some(false) {
            reasons.push(WaitReason::passing(
                Reason::Space,
                "It is in a shared space, and the remote has none: the next push makes a dead letter of it.",
            ));
        } else if op.is_shared() && spaces.support().is_none() && replica.is_new() {
            reasons.push(WaitReason::passing(
                Reason::Space,
                "It is in a shared space, and the remote has not said that it has spaces. It goes once a pull has shown that.",
            ));
        } else if spaces.limbo_of(&Key::new(&op.entity, &op.id)).is_some() {
            reasons.push(WaitReason::passing(
                Reason::Space,
                "Its entity has left its space, and where it went has not been pulled yet. The next cycles pull it.",
            ));
        }
        if let Some(until) = queued.rests_until(self.now) {
            let because = match queued.fails_alone {
                true => {
                    "The remote fails on it, and takes others. It is tried again by itself; `synchronize` tries at once."
                }
                false => "The remote has postponed it: a cycle before that time leaves it out.",
            };
            reasons.push(WaitReason {
                until: Some(format(until)),
                error: queued.last_error.as_deref().cloned(),
                ..WaitReason::new(Reason::Postponed, because)
            });
        }
        reasons
    }
}

fn rejected(letter: &DeadLetter) -> WaitReason {
    let (code, message) = (&letter.code, &letter.message);
    let because = match code == DISCARDED {
        true => format!(
            "{message} `retryDeadLetter` queues it again, `discardDeadLetter` removes it for good."
        ),
        false => format!(
            "The remote has rejected it with `{code}`: {message} Change it and queue it again with `retryDeadLetter`, or remove it with `discardDeadLetter`."
        ),
    };
    let reason = WaitReason::new(Reason::DeadLetter, because);
    match &letter.blocked_by {
        Some(blocked_by) => reason.behind(blocked_by),
        None => reason,
    }
}
