//! Conflicts that are parked until the app decides them, and the history of decisions.

use std::rc::Rc;

use crate::conflict::{Conflict, Decision, Resolution};
use crate::engine::auto_sync::Signal;
use crate::engine::cycle::resolve::put_resolved;
use crate::engine::events::Topic;
use crate::engine::{Backing, Conflicts, User};
use crate::model::config::storage::Durability;
use crate::model::entity::check_entity_id;
use crate::model::error::{Code, Error, Result};
use crate::plan::decision::{DecisionPlanner, ParkedConflict, merged};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::replica::Replica;

impl<B: Backing, R: Remote, H: Host + 'static> Conflicts<'_, B, R, H> {
    /// Returns the parked conflicts as the text of a JSON array.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<String> {
        let user = self.engine.user_for_question(user_id).await?;
        let ids: Vec<String> = user
            .db
            .read(|replica| replica.conflicts().keys().map(str::to_owned).collect());
        let mut text = String::from("[");
        for id in ids {
            // Writes nothing: uses the commit loop because that fetches missing bodies.
            let mut planner = ParkedConflict { id: &id };
            let conflict = match user.db.commit(Durability::Relaxed, &mut planner).await {
                // Another tab has decided it in the meantime.
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

    /// Decides a parked conflict. The next cycle pushes the result if it differs from the remote's
    /// row.
    ///
    /// # Errors
    /// Fails with [`Code::NotFound`] if no such conflict is parked; also for an invalid merged
    /// entity, and with errors of the storage.
    pub async fn resolve(self, id: &str, resolution: Resolution) -> Result<()> {
        let user = self.user_holding(|replica| replica.conflicts().contains(id))?;
        let context = user.db.plan_context();
        let mut resolution = resolution;
        if let Resolution::Merged(given) = &resolution {
            let mut planner = ParkedConflict { id };
            let conflict = user.db.commit(Durability::Relaxed, &mut planner).await?;
            let now = context
                .now
                .saturating_add_signed(user.db.read(|replica| replica.facts().clock_offset));
            let local_only = self.engine.config.local_only(&conflict.entity);
            resolution = merged(&conflict, given, now, &local_only)?;
        }
        let mut decision = None;
        let mut decide = |conflict: &Conflict| {
            decision = Some(Decision::new(
                conflict,
                resolution.clone(),
                "resolveConflict",
                "The app decided so.",
                context.now,
            ));
            decision.clone()
        };
        let mut planner = DecisionPlanner {
            id,
            decide: &mut decide,
            context: context.clone(),
            made: None,
        };
        let local = self.engine.config.local;
        let conflict = user.db.commit(local, &mut planner).await?;
        self.after_decision(&user);
        if let (Some(decision), Some(taken)) = (decision, resolution.taken()) {
            let fill = &mut |out: &mut String| put_resolved(out, &conflict, &decision, taken);
            self.engine.events.tell(
                Topic::ConflictResolved,
                &user.id,
                Some(&conflict.entity),
                self.engine.host.now_ms(),
                fill,
            );
        }
        Ok(())
    }

    /// Returns how the latest conflicts of an entity were decided, the oldest first, as the text of
    /// a JSON array.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for an invalid entity type or id; also with errors of
    /// the storage.
    pub async fn explain(self, user_id: &str, entity: &str, id: &str) -> Result<String> {
        self.engine.check_entity(entity)?;
        check_entity_id(entity, id)?;
        let user = self.engine.user_for_question(user_id).await?;
        Ok(user.db.read(|replica| replica.history().of(entity, id)))
    }

    /// Returns the entity type of a parked conflict.
    #[must_use]
    pub fn entity_of(self, id: &str) -> Option<String> {
        let user = self
            .user_holding(|replica| replica.conflicts().contains(id))
            .ok()?;
        user.db.read(|replica| {
            replica
                .conflicts()
                .get(id)
                .map(|parked| parked.entity.clone())
        })
    }

    /// Updates the status after a decision, and wakes the schedule if there is something to push.
    pub(super) fn after_decision(self, user: &User<B::Store, H>) {
        self.engine.after_commit(user, NoteReason::Wrote);
        if user.pending_count() > 0 {
            self.engine.auto_sync().signal(Signal::Wrote(&user.id));
        }
    }

    /// Finds the user whose log holds an id: the current one first, then others that are open.
    pub(super) fn user_holding(
        self,
        holds: impl Fn(&Replica) -> bool,
    ) -> Result<Rc<User<B::Store, H>>> {
        self.engine.check_open()?;
        let current = self
            .engine
            .current_user()
            .and_then(|user_id| self.engine.opened(&user_id));
        let found = current.filter(|user| user.db.read(&holds)).or_else(|| {
            let mut users = self.engine.open_users.all().into_iter();
            users.find(|user| user.db.read(&holds))
        });
        found.ok_or_else(|| {
            Error::new(
                Code::NotFound,
                "No open database holds this id; it may have been dealt with in another tab, or belong to a user who is not signed in.",
            )
        })
    }
}
