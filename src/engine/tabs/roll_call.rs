//! Which tabs have a user's data open: each is asked, and answers.

use serde::Serialize;
use serde_json::Value;

use crate::engine::tabs::answers::RollCallAnswer;
use crate::engine::{Backing, Tabs, User, UserOf};
use crate::model::error::Result;
use crate::model::status::read::{flag, whole};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::util::json::write::{push_field, put};
use crate::util::time::format;

/// How long the other tabs have to answer, in milliseconds.
const ANSWER_MS: u64 = 250;

/// `TabInfo` of the public surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TabInfo {
    pub id: String,
    pub is_this: bool,
    pub is_leader: bool,
    /// It runs a cycle of the user.
    pub is_syncing: bool,
    pub is_hidden: bool,
    pub opened_at: String,
}

impl TabInfo {
    fn of(answer: RollCallAnswer, this: u64) -> Self {
        Self {
            id: format!("{:08x}", answer.tab),
            is_this: answer.tab == this,
            is_leader: answer.leads,
            is_syncing: answer.syncs,
            is_hidden: answer.hidden,
            opened_at: format(answer.opened_at),
        }
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Tabs<'_, B, R, H> {
    /// Returns the tabs that have a user's data open, this one first. One that is frozen or too busy
    /// to answer within a quarter of a second is not among them.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn list(self, user_id: &str) -> Result<Vec<TabInfo>> {
        let user = self.engine.user_for_question(user_id).await?;
        if !self.engine.is_open(&user) {
            // Nobody's data is open.
            return Ok(Vec::new());
        }
        let asked_at = self.engine.host.elapsed_ms();
        user.broadcast(&self.engine.host, &mut |out| put(out, "who", &true));
        self.engine.host.sleep(ANSWER_MS).await;
        self.engine.check_open()?;
        let mut tabs = vec![self.present(&user)];
        tabs.extend(user.tab.roll_call.answers_since(asked_at));
        Ok(tabs
            .iter()
            .map(|tab| TabInfo::of(*tab, user.tab.id))
            .collect())
    }

    fn present(self, user: &User<B::Store, H>) -> RollCallAnswer {
        RollCallAnswer {
            tab: user.tab.id,
            at: self.engine.host.elapsed_ms(),
            leads: self.engine.schedules.leads(),
            syncs: user.cycle.is_running(),
            hidden: self.engine.schedules.is_hidden(),
            opened_at: user.tab.roll_call.opened_at.get(),
        }
    }

    /// Answers another tab, or notes its answer.
    pub(super) fn on_roll_call(self, user: &UserOf<B, H>, message: &Value) {
        let Some(here) = message.get("here") else {
            let own = self.present(user);
            return user.broadcast(&self.engine.host, &mut |out| {
                let mut here = String::from("{");
                put(&mut here, "leads", &own.leads);
                put(&mut here, "syncs", &own.syncs);
                put(&mut here, "hidden", &own.hidden);
                put(&mut here, "openedAt", &own.opened_at);
                here.push('}');
                push_field(out, "here", &here);
            });
        };
        user.tab.roll_call.note(RollCallAnswer {
            tab: whole(message, "tab"),
            at: self.engine.host.elapsed_ms(),
            leads: flag(here, "leads"),
            syncs: flag(here, "syncs"),
            hidden: flag(here, "hidden"),
            opened_at: whole(here, "openedAt"),
        });
    }
}
