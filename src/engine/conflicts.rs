//! What waits for the app: conflicts that were parked, and operations that the remote refused.

use std::rc::Rc;

use crate::conflict::{Conflict, Decision, Resolution};
use crate::engine::auto_sync::Signal;
use crate::engine::cycle::resolve::put_resolved;
use crate::engine::events::Topic;
use crate::engine::{Backing, Engine, User};
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::entity::check_entity_id;
use crate::model::error::{Code, Error, Result};
use crate::plan::decision::{DecisionPlanner, ParkedConflict, merged};
use crate::plan::retry::RetryPlanner;
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::replica::Replica;

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// The operations that the remote refused, as the text of a JSON array.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn dead_letters(&self, user_id: &str) -> Result<String> {
        let user = self.user(user_id).await?;
        let letters: Vec<String> = user.db.read(|replica| {
            replica
                .dead_letters()
                .values()
                .map(|letter| letter.to_json())
                .collect()
        });
        Ok(["[", &letters.join(","), "]"].concat())
    }

    /// Queues a refused operation once more, as a new one on top of what is there now; `edited`
    /// replaces its body. What was buried with it, since it depends on it, is queued again behind
    /// it. The dead letters go in the same commit; a dependent that cannot be written as things are
    /// now stays one.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such dead letter; what is wrong with the edited body;
    /// what the storage says.
    pub async fn retry_dead_letter(&self, id: &str, edited: Option<String>) -> Result<()> {
        let user = self.user_with(|replica| replica.dead_letters().contains(id))?;
        let mut planner = RetryPlanner {
            id,
            edited: edited.as_deref(),
            group: &|entity, write| self.group(entity, vec![write]),
            context: user.db.plan_context(),
        };
        let refused = user.db.commit(self.config.local, &mut planner).await?;
        self.after(&user);
        refused.map_or(Ok(()), Err)
    }

    /// Gives a refused operation up, for good.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such dead letter; what the storage says.
    pub async fn discard_dead_letter(&self, id: &str) -> Result<()> {
        let user = self.user_with(|replica| replica.dead_letters().contains(id))?;
        user.db
            .record(Durability::Strict, &|_| {
                vec![Event::Revive { id: id.to_owned() }]
            })
            .await?;
        self.after(&user);
        Ok(())
    }

    /// The conflicts that wait for a decision, as the text of a JSON array.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn conflicts(&self, user_id: &str) -> Result<String> {
        let user = self.user(user_id).await?;
        let ids: Vec<String> = user
            .db
            .read(|replica| replica.conflicts().keys().map(str::to_owned).collect());
        let mut text = String::from("[");
        for id in ids {
            // Nothing is written: the commit loop fetches the bodies that are not in memory.
            let mut planner = ParkedConflict { id: &id };
            let conflict = match user.db.commit(Durability::Relaxed, &mut planner).await {
                // Decided in another tab meanwhile.
                Err(error) if error.code() == Code::NotFound => continue,
                conflict => conflict?,
            };
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&conflict.to_json());
        }
        text.push(']');
        Ok(text)
    }

    /// Decides a conflict that waits. What stands of this side's is pushed by the next cycle.
    ///
    /// # Errors
    /// [`Code::NotFound`] where no such conflict waits; what is wrong with a merged entity; what
    /// the storage says.
    pub async fn resolve_conflict(&self, id: &str, resolution: Resolution) -> Result<()> {
        let user = self.user_with(|replica| replica.conflicts().contains(id))?;
        let moment = user.db.plan_context();
        let mut resolution = resolution;
        let about = user.db.read(|replica| {
            replica
                .conflicts()
                .get(id)
                .map(|parked| (parked.entity.clone(), parked.entity_id.clone()))
        });
        if let (Resolution::Merged(given), Some((entity, id))) = (&resolution, &about) {
            let now = moment
                .now
                .saturating_add_signed(user.db.read(|replica| replica.facts().clock_offset));
            resolution = merged((entity, id), given, now, &self.config.local_only(entity))?;
        }
        let mut decision = None;
        let mut decide = |conflict: &Conflict| {
            decision = Some(Decision::new(
                conflict,
                resolution.clone(),
                "resolveConflict",
                "The app decided so.",
                moment.now,
            ));
            decision.clone()
        };
        let mut planner = DecisionPlanner {
            id,
            decide: &mut decide,
            context: moment.clone(),
        };
        let conflict = user.db.commit(self.config.local, &mut planner).await?;
        self.after(&user);
        if let (Some(decision), Some(taken)) = (decision, resolution.taken()) {
            let fill = &mut |out: &mut String| put_resolved(out, &conflict, &decision, taken);
            self.events.tell(
                Topic::ConflictResolved,
                &user.id,
                Some(&conflict.entity),
                self.host.now_ms(),
                fill,
            );
        }
        Ok(())
    }

    /// How the latest conflicts of an entity were decided, the oldest first, as the text of a JSON
    /// array.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for an entity type or id that cannot be; what the storage says.
    pub async fn explain_merge(&self, user_id: &str, entity: &str, id: &str) -> Result<String> {
        self.check_entity(entity)?;
        check_entity_id(entity, id)?;
        let user = self.user(user_id).await?;
        Ok(user.db.read(|replica| replica.history().of(entity, id)))
    }

    /// The entity type of a conflict that waits.
    #[must_use]
    pub fn conflict_entity(&self, id: &str) -> Option<String> {
        let user = self
            .user_with(|replica| replica.conflicts().contains(id))
            .ok()?;
        user.db.read(|replica| {
            replica
                .conflicts()
                .get(id)
                .map(|parked| parked.entity.clone())
        })
    }

    fn after(&self, user: &User<B::Store, H>) {
        self.settle(user, NoteReason::Wrote);
        if user.pending_count() > 0 {
            self.signal(Signal::Wrote(&user.id));
        }
    }

    /// The user whose log holds what an id names: the current one before others that are open.
    fn user_with(&self, holds: impl Fn(&Replica) -> bool) -> Result<Rc<User<B::Store, H>>> {
        self.check_open()?;
        let current = self
            .current_user()
            .and_then(|user_id| self.opened(&user_id));
        let found = current.filter(|user| user.db.read(&holds)).or_else(|| {
            let users = self.users.borrow();
            users
                .values()
                .find(|user| user.db.read(&holds))
                .map(Rc::clone)
        });
        found.ok_or_else(|| {
            Error::new(
                Code::NotFound,
                "No open database holds this id; it may have been dealt with in another tab, or belong to a user who is not signed in.",
            )
        })
    }
}
