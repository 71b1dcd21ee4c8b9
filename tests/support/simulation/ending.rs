//! How a history ends: everything heals, all is synced until it is quiet, and the model judges.

use std::collections::BTreeMap;
use std::rc::Rc;

use datum_sync::config::Options;
use serde_json::Value;

use super::story::Story;

impl Story {
    /// The weather clears, everybody wakes, and syncs until all is quiet.
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
        self.tasks.run_for(200_000);
        for device in 0..self.devices.len() {
            for slot in 0..self.devices[device].tabs.len() {
                if let Some((owner, engine)) = self.tab(device, slot) {
                    let user = self.devices[device].user;
                    self.tasks.spawn(owner, async move {
                        let _ = engine.resume(Some(user)).await;
                    });
                }
            }
        }
        self.tasks.run_for(200_000);
        for _ in 0..4 {
            for device in 0..self.devices.len() {
                for slot in 0..self.devices[device].tabs.len() {
                    if let Some((owner, engine)) = self.tab(device, slot) {
                        let (user, broken) = (self.devices[device].user, Rc::clone(&self.broken));
                        self.tasks.spawn(owner, async move {
                            if let Err(error) = engine.synchronize(user, Options::default(), None, Rc::default()).await {
                                broken.borrow_mut().push(format!("a cycle of {user} failed in good weather: {error:?}"));
                            }
                        });
                    }
                }
                self.tasks.run_for(150_000);
                self.hear();
                self.tasks.run_for(1_000);
            }
        }
    }

    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.check()?;
        for device in 0..self.devices.len() {
            let (user, device_id) = (self.devices[device].user, self.devices[device].shared.device_id.clone());
            let truth = self.server.digests(user).map_err(|error| format!("{error:?}"))?;
            let truth = truth.get("tasks").cloned().unwrap_or_else(|| datum_sync::digest::Digest::default().wire());
            for slot in 0..self.devices[device].tabs.len() {
                let Some((_, engine)) = self.tab(device, slot) else { continue };
                let name = self.name(device, slot);
                let opened = engine.opened(user).ok_or_else(|| format!("{name} is not open"))?;
                let (digest, pending, parked) = opened.db.with(|replica| {
                    (
                        replica.digest("tasks").wire(),
                        replica.outbox().iter().map(|queued| format!("{:?}", queued.op)).collect::<Vec<_>>(),
                        replica.conflicts().len(),
                    )
                });
                if !pending.is_empty() {
                    return Err(format!("{name}: {} operations wait for ever: {}", pending.len(), pending.join("; ")));
                }
                if digest != truth {
                    return Err(format!("{name}: digest {digest:?}, the server's is {truth:?}"));
                }
                if parked > 0 {
                    return Err(format!("{name}: {parked} conflicts are parked, though the resolver decides all"));
                }
                let letters =
                    opened.db.with(|replica| replica.dead_letters().values().map(|letter| letter.op.id.clone()).collect::<Vec<_>>());
                for id in self.model.refused_of(&device_id) {
                    if !letters.contains(&id) {
                        return Err(format!("{name}: the refused {id} is no dead letter"));
                    }
                }
                if let Some(odd) = letters.iter().find(|id| !id.starts_with("big-")) {
                    return Err(format!("{name}: {odd} is a dead letter"));
                }
            }
        }
        for user in ["ann", "bob"] {
            let mut rows = BTreeMap::new();
            for row in self.server.rows(user) {
                let Some(data) = row.data else { continue };
                let data: Value = serde_json::from_str(&data).map_err(|error| error.to_string())?;
                if data["owner"] != user {
                    return Err(format!("{user} has a row of {}", data["owner"]));
                }
                rows.insert(row.id.clone(), data);
            }
            self.model.judge(user, &rows)?;
        }
        // Nothing may be left that waits for ever.
        for device in 0..self.devices.len() {
            for slot in 0..self.devices[device].tabs.len() {
                self.close(device, slot);
            }
        }
        self.tasks.run_out("after everything was closed");
        self.check()
    }
}
