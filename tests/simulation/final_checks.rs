//! The end of a history: everything recovers, all devices sync until nothing changes, and the model
//! judges.

use std::collections::BTreeMap;
use std::rc::Rc;

use datum_sync::model::config::Options;
use datum_sync::model::digest::Digest;
use datum_sync::model::protocol::MetadataSyncStatus;
use datum_sync::model::status::SyncState;
use futures_util::FutureExt;
use serde_json::Value;

use super::spaces::is_roaming;
use super::tasks::Owner;
use super::updates::check_forms;
use super::world::{App, USERS, World};

impl World {
    /// Returns every open tab with its device's number, its name, and one of the device's users.
    pub(super) fn everybody(&self) -> Vec<(usize, String, &'static str, Owner, Rc<App>)> {
        let mut all = Vec::new();
        for device in 0..self.devices.len() {
            for slot in 0..self.devices[device].tabs.len() {
                let Some((owner, engine)) = self.tab(device, slot) else {
                    continue;
                };
                for user in &self.devices[device].users {
                    all.push((
                        device,
                        self.name(device, slot),
                        *user,
                        owner,
                        Rc::clone(&engine),
                    ));
                }
            }
        }
        all
    }

    /// Ends all faults, wakes every tab, and syncs until nothing changes.
    pub(super) fn heal(&mut self) {
        self.say("everything heals".to_owned());
        self.weather.network.set(false);
        self.weather.storage.set(false);
        self.weather.silence.set(false);
        self.tasks.thaw_all();
        for device in 0..self.devices.len() {
            self.devices[device].shared.online.set(true);
            self.open(device, 0);
        }
        self.reload_older();
        self.tasks.run_for(200_000);
        for (_, _, user, owner, engine) in self.everybody() {
            self.tasks.spawn(owner, async move {
                let _ = engine.pauses().resume(Some(user)).await;
            });
        }
        self.tasks.run_for(200_000);
        for _ in 0..4 {
            for device in 0..self.devices.len() {
                for (_, name, user, owner, engine) in self
                    .everybody()
                    .into_iter()
                    .filter(|(at, ..)| *at == device)
                {
                    let broken = Rc::clone(&self.broken);
                    self.tasks.spawn(owner, async move {
                        if let Err(error) = engine
                            .synchronize(user, Options::default(), None, Rc::default())
                            .await
                        {
                            broken.borrow_mut().push(format!(
                                "{name}: a cycle of {user} failed in good weather: {error:?}"
                            ));
                        }
                    });
                }
                self.tasks.run_for(150_000);
                self.hear();
                self.tasks.run_for(1_000);
            }
        }
    }

    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.judge_lists();
        self.check()?;
        let mut truths = BTreeMap::new();
        for user in USERS {
            self.judge_server(user)?;
            truths.insert(user, self.count_live(user));
        }
        for (device, name, user, owner, engine) in self.everybody() {
            let live = truths[user];
            self.judge_tab(device, user, owner, &engine, live)
                .map_err(|wrong| format!("{name}, for {user}: {wrong}"))?;
        }
        self.judge_traces(true)?;
        // Nothing may be left that waits for ever.
        for device in 0..self.devices.len() {
            for slot in 0..self.devices[device].tabs.len() {
                self.close(device, slot);
            }
        }
        self.tasks.run_out("after everything was closed");
        self.check()
    }

    /// Checks one tab: the server's rows and nothing else, every refusal as a dead letter, and a
    /// status and metadata that agree.
    fn judge_tab(
        &self,
        device: usize,
        user: &'static str,
        owner: Owner,
        engine: &Rc<App>,
        live: u64,
    ) -> Result<(), String> {
        let truth = self
            .server
            .digests(user)
            .map_err(|error| format!("{error:?}"))?;
        let truth = truth
            .get("tasks")
            .cloned()
            .unwrap_or_else(|| Digest::default().wire());
        let opened = engine.opened(user).ok_or("is not open")?;
        opened.db.read(check_forms)?;
        let (told, digest, pending, parked, letters) = opened.db.read(|replica| {
            (
                self.judge_letters(device, user, replica),
                replica.digest("tasks").wire(),
                replica
                    .outbox()
                    .iter()
                    .map(|queued| format!("{:?}", queued.op))
                    .collect::<Vec<_>>(),
                replica.conflicts().len(),
                replica
                    .dead_letters()
                    .values()
                    .map(|letter| letter.op.id.clone())
                    .collect::<Vec<_>>(),
            )
        });
        if !pending.is_empty() {
            return Err(format!(
                "{} operations wait for ever: {}",
                pending.len(),
                pending.join("; ")
            ));
        }
        if digest != truth {
            return Err(format!("digest {digest:?}, the server's is {truth:?}"));
        }
        if parked > 0 {
            return Err(format!(
                "{parked} conflicts are parked, though the resolver decides all"
            ));
        }
        if let Some(id) = self
            .model
            .refused_of(user, device)
            .iter()
            .find(|id| !letters.contains(id))
        {
            return Err(format!("the refused {id} is no dead letter"));
        }
        told?;
        self.judge_spaces(user, owner, engine)?;
        let status = engine
            .status_hub(user)
            .map_err(|error| format!("{error:?}"))?
            .current();
        if status.status != SyncState::Completed
            || status.pending_operations > 0
            || status.dead_letters != letters.len() as u64
        {
            return Err(format!("the status says {status:?}"));
        }
        let metadata = engine
            .metadata()
            .local_of(&opened)
            .now_or_never()
            .flatten()
            .ok_or("has no metadata")?;
        let counts = metadata
            .entity_counts
            .get("tasks")
            .map(|counts| (counts.count, counts.pending));
        if counts != Some((live, 0))
            || metadata.sync_status != MetadataSyncStatus::Synced
            || metadata.has_conflicts
            || metadata.retry_count > 0
        {
            return Err(format!(
                "there are {live} rows, but the metadata says {metadata:?}"
            ));
        }
        Ok(())
    }

    /// Checks the server: every promise kept, no row of another user, and true metadata of each
    /// device.
    fn judge_server(&self, user: &str) -> Result<(), String> {
        let mut rows = BTreeMap::new();
        for row in self.server.rows(user) {
            let Some(data) = row.data else { continue };
            if is_roaming(&row.id) {
                continue;
            }
            let data: Value = serde_json::from_str(&data).map_err(|error| error.to_string())?;
            if data["owner"] != user {
                return Err(format!("{user} has a row of {}", data["owner"]));
            }
            rows.insert(row.id.clone(), data);
        }
        self.model.judge(user, &rows)?;
        let (_, reply) = self.server.handle(
            user,
            "GET",
            &format!("/sync/v1/metadata?userId={user}"),
            &[],
            self.clock.now(),
        );
        let reply: Value = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        let live = self.count_live(user);
        for told in reply["devices"].as_array().into_iter().flatten() {
            let counts = &told["entityCounts"]["tasks"];
            if counts["count"] != live || counts["pending"] != 0 || told["conflictCount"] != 0 {
                return Err(format!(
                    "{user} has {live} rows, but the remote's metadata says {told}"
                ));
            }
        }
        Ok(())
    }
}
