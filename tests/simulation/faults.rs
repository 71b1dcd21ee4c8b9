//! Faults beyond the network: tabs that crash, freeze and close, storage and servers that lose
//! data.

use std::rc::Rc;

use datum_sync::ports::memory_store::MemoryStore;

use super::network::Request;
use super::world::{Device, USERS, World};

const DAY: u64 = 86_400_000;

impl World {
    pub(super) fn crash(&mut self, device: usize, slot: usize) {
        let Some(tab) = self.devices[device].tabs[slot].take() else {
            return;
        };
        self.say(format!("{} crashes", self.name(device, slot)));
        self.tasks.kill(tab.owner);
        self.busy
            .borrow_mut()
            .retain(|_, owner| *owner != tab.owner);
    }

    pub(super) fn close(&mut self, device: usize, slot: usize) {
        let Some(tab) = self.devices[device].tabs[slot].take() else {
            return;
        };
        self.say(format!("{} closes", self.name(device, slot)));
        let user = self.devices[device].pick(&self.dice);
        if self.weather.network.get()
            && self.dice.chance(300)
            && let Some(body) = tab.engine.pending().unload_request(user)
        {
            self.say(format!(
                "{} leaves a push of {user} behind",
                self.name(device, slot)
            ));
            let letter = Request::new(
                &self.server,
                &self.devices[device].shared,
                user,
                "POST",
                "/push",
                body.into_bytes(),
            );
            letter.arrive_after(self.dice.below(5_000), None);
        }
        self.tasks
            .spawn(tab.owner, async move { tab.engine.close().await });
    }

    pub(super) fn freeze(&self, device: usize, slot: usize) {
        if let Some((owner, _)) = self.tab(device, slot) {
            let ms = self.dice.below(600_000);
            self.say(format!("{} freezes for {ms} ms", self.name(device, slot)));
            self.tasks.freeze(owner, ms);
        }
    }

    pub(super) fn tidy(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        self.say(format!("{} compacts", self.name(device, slot)));
        let user = self.devices[device].pick(&self.dice);
        self.tasks.spawn(owner, async move {
            if let Some(user) = engine.opened(user) {
                let _ = user.db.checkpoint().await;
            }
        });
    }

    /// Another server answers a device for a while, as when an app is pointed at staging. A device
    /// that knows no server yet would take it for its own.
    fn lead_astray(&self, device: usize) {
        let Device {
            shared,
            users,
            tabs,
            ..
        } = &self.devices[device];
        let knows = |user: &&'static str| {
            tabs.iter().flatten().any(|tab| {
                let opened = tab.engine.opened(user);
                opened.is_some_and(|user| user.db.read(|replica| replica.server().id.is_some()))
            })
        };
        if users.iter().all(knows) {
            let ms = self.dice.below(120_000);
            self.say(format!(
                "another server answers {} for {ms} ms",
                shared.device_id
            ));
            shared.elsewhere_until.set(self.clock.now.get() + ms);
        }
    }

    pub(super) fn network(&self, device: usize) {
        let shared = &self.devices[device].shared;
        if self.two_servers && self.dice.chance(700) {
            return self.lead_astray(device);
        }
        if self.dice.chance(200) {
            self.say(format!("{}'s token expires", shared.device_id));
            shared.token_until.set(self.clock.now.get());
            return;
        }
        shared.online.set(!shared.online.get());
        self.say(format!(
            "{} is online: {}",
            shared.device_id,
            shared.online.get()
        ));
    }

    pub(super) fn misset_clock(&self, device: usize) {
        let skew = self.dice.below(2 * DAY) as i64 - DAY as i64;
        if !self.loses {
            self.say(format!(
                "{}'s clock is off by {skew} ms",
                self.devices[device].shared.device_id
            ));
            self.devices[device].shared.skew.set(skew);
        }
    }

    pub(super) fn fill(&self, device: usize) {
        let (shared, ms) = (&self.devices[device].shared, self.dice.below(60_000));
        self.say(format!(
            "{}'s storage is full for {ms} ms",
            shared.device_id
        ));
        shared.full_until.set(self.clock.now.get() + ms);
    }

    pub(super) fn evict(&self, device: usize) {
        let device = &self.devices[device];
        let user = device.pick(&self.dice);
        if !self.loses || !self.dice.chance(400) {
            return;
        }
        self.say(format!(
            "{}'s storage of {user} is evicted",
            device.shared.device_id
        ));
        let store = device
            .shared
            .stores
            .borrow()
            .get(user)
            .map(MemoryStore::reopen);
        if let Some(store) = store {
            store.evict();
            device.shared.evicted.set(true);
            self.push_checker.lost_storage();
            self.push_checker.roaming.forgive(user);
            self.model.forgive(user);
        }
    }

    pub(super) fn purge(&self) {
        self.say("the server forgets its tombstones".to_owned());
        self.server.purge_tombstones().unwrap();
    }

    /// Takes a backup of the server, or restores the last one.
    pub(super) fn restore(&mut self) {
        if !self.loses {
            return;
        }
        let Some(backup) = self.backup.clone() else {
            self.say("a backup of the server is taken".to_owned());
            self.backup = Some(self.server.backup());
            self.push_checker.answers.back_up();
            return;
        };
        if self.dice.chance(500) {
            self.backup = None;
        }
        self.server.restore(&backup);
        self.epochs.set(self.epochs.get() + 1);
        self.server.set_epoch(&self.epoch()).unwrap();
        self.say("the server is restored".to_owned());
        self.push_checker.restored();
        for user in USERS {
            self.push_checker.roaming.forgive(user);
        }
        // Devices offer their acknowledged writes again, unless their bytes were damaged meanwhile.
        for user in USERS.iter().filter(|_| self.damages) {
            self.model.forgive(user);
        }
    }

    /// Delivers the heads that tabs have announced.
    pub(super) fn hear(&self) {
        for device in &self.devices {
            for (from, name, head) in device.shared.announced.take() {
                let user = device
                    .users
                    .iter()
                    .find(|user| name.ends_with(&format!("/{user}")));
                for (tab, user) in device
                    .tabs
                    .iter()
                    .flatten()
                    .filter(|tab| tab.owner != from)
                    .filter_map(|tab| Some((tab, *user?)))
                {
                    let engine = Rc::clone(&tab.engine);
                    self.tasks.spawn(tab.owner, async move {
                        let _ = engine.on_head(user, head).await;
                    });
                }
            }
        }
    }
}
