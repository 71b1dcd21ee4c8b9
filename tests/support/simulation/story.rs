//! One history: what users do and what befalls them, as the dice say, and the judgement at its end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_sync::config::{Config, Options};
use datum_sync::datum::Engine;
use datum_sync::error::Code;
use datum_sync::members::Members;
use datum_sync::replica::local::{Write, Written};
use datum_sync::status::State;
use datum_sync::sync::resolve::Resolvers;
use datum_sync::sync::{Cancel, Stop};
use serde_json::Value;

use super::Dice;
use super::model::Model;
use super::ports::{Shared, SimBacking, SimHost, SimRemote, Weather};
use super::tasks::{Owner, Tasks};
use crate::support::clock::Clock;

pub(super) type App = Engine<SimBacking, SimRemote, SimHost>;
type Busy = Rc<RefCell<BTreeMap<(usize, String, String), Owner>>>;

const CONFIG: &str =
    r#"{"entities":{"tasks":{}},"syncTimeout":60000,"retry":{"maxAttempts":3,"initial":200,"max":5000},"durability":{"pulled":"strict"}}"#;
/// Bodies above this are refused.
const MOST_BYTES: usize = 1_500;

pub(super) struct Tab {
    owner: Owner,
    engine: Rc<App>,
}

pub(super) struct Device {
    pub(super) user: &'static str,
    pub(super) shared: Rc<Shared>,
    /// A slot is a tab's place: its writer goes on when the tab is opened anew.
    pub(super) tabs: Vec<Option<Tab>>,
}

/// A history under way.
pub struct Story {
    pub trace: Rc<RefCell<Vec<String>>>,
    clock: Rc<Clock>,
    dice: Rc<Dice>,
    pub(super) tasks: Rc<Tasks>,
    pub(super) weather: Rc<Weather>,
    pub(super) server: MemoryServer,
    pub(super) model: Rc<Model>,
    pub(super) devices: Vec<Device>,
    /// Writers that wait for their last write: (device, entity, field).
    busy: Busy,
    loses: bool,
    next_owner: Cell<Owner>,
    counter: Cell<u64>,
    epochs: Cell<u32>,
    pub(super) broken: Rc<RefCell<Vec<String>>>,
}

impl Story {
    pub fn new(seed: u64) -> Self {
        let (clock, dice) = (Rc::<Clock>::default(), Rc::new(Dice::new(seed)));
        let trace = Rc::<RefCell<Vec<String>>>::default();
        let server = MemoryServer::new("epoch-0");
        server.configure(|config| config.max_entity_bytes = MOST_BYTES);
        let weather = Rc::<Weather>::default();
        weather.broken_lock.set(dice.chance(250));
        weather.silence.set(dice.chance(250));
        // Where a device has lost its storage, or the server its last writes, no base is left and only the clock
        // decides: a history has wrong clocks or losses, so that its promises stay checkable.
        let loses = dice.chance(500);
        let mut devices = Vec::new();
        for user in ["ann", "bob"] {
            for n in 0..=dice.below(3) {
                let shared = Rc::new(Shared {
                    clock: Rc::clone(&clock),
                    dice: Rc::clone(&dice),
                    weather: Rc::clone(&weather),
                    online: Cell::new(true),
                    skew: Cell::new(if !loses && dice.chance(300) { dice.below(172_800_000) as i64 - 86_400_000 } else { 0 }),
                    locks: RefCell::default(),
                    stores: RefCell::default(),
                    device_id: format!("{user}-{n}"),
                    trace: Rc::clone(&trace),
                    evicted: Rc::default(),
                    announced: RefCell::default(),
                });
                devices.push(Device { user, shared, tabs: (0..=dice.below(3)).map(|_| None).collect() });
            }
        }
        let tasks = Rc::new(Tasks::new(Rc::clone(&clock), Rc::clone(&dice)));
        Self {
            trace,
            clock,
            dice,
            tasks,
            weather,
            server,
            model: Rc::default(),
            devices,
            busy: Busy::default(),
            loses,
            next_owner: Cell::new(1),
            counter: Cell::new(0),
            epochs: Cell::new(0),
            broken: Rc::default(),
        }
    }

    pub(super) fn say(&self, words: String) {
        self.trace.borrow_mut().push(format!("{:>9} ms  {words}", self.clock.now.get()));
    }

    /// Lets the dice act so often, then heals everything and judges.
    pub fn run(&mut self, steps: u64) -> Result<(), String> {
        for device in 0..self.devices.len() {
            self.open(device, 0);
        }
        self.tasks.run_for(1_000);
        self.weather.network.set(true);
        self.weather.storage.set(true);
        for _ in 0..steps {
            self.act();
            self.hear();
            self.tasks.run_for(self.dice.below(if self.dice.chance(100) { 20_000 } else { 400 }));
            self.check()?;
        }
        self.heal();
        self.judge()
    }

    fn act(&mut self) {
        let device = self.dice.below(self.devices.len() as u64) as usize;
        let slot = self.dice.below(self.devices[device].tabs.len() as u64) as usize;
        match self.dice.below(1000) {
            0..=519 => self.write(device, slot),
            520..=739 => self.sync(device, slot),
            740..=799 => self.open(device, slot),
            800..=849 => self.crash(device, slot),
            850..=879 => self.freeze(device, slot),
            880..=919 => {
                let online = &self.devices[device].shared.online;
                online.set(!online.get());
                self.say(format!("{} is online: {}", self.devices[device].shared.device_id, online.get()));
            }
            920..=939 => self.close(device, slot),
            940..=954 => self.tidy(device, slot),
            955..=969 => {
                self.say("the server forgets its tombstones".to_owned());
                self.server.purge_tombstones().unwrap();
            }
            970..=979 if !self.loses => {
                let skew = self.dice.below(172_800_000) as i64 - 86_400_000;
                self.say(format!("{}'s clock is off by {skew} ms", self.devices[device].shared.device_id));
                self.devices[device].shared.skew.set(skew);
            }
            970..=987 => self.evict(device),
            988..=993 => self.restore(),
            _ => self.pause(device, slot),
        }
    }

    pub(super) fn tab(&self, device: usize, slot: usize) -> Option<(Owner, Rc<App>)> {
        self.devices[device].tabs[slot].as_ref().map(|tab| (tab.owner, Rc::clone(&tab.engine)))
    }

    pub(super) fn name(&self, device: usize, slot: usize) -> String {
        format!("{}/{slot}", self.devices[device].shared.device_id)
    }

    pub(super) fn open(&mut self, device: usize, slot: usize) {
        if self.devices[device].tabs[slot].is_some() {
            return;
        }
        let owner = self.next_owner.get();
        self.next_owner.set(owner + 1);
        self.say(format!("{} opens", self.name(device, slot)));
        let config: Value = serde_json::from_str(CONFIG).unwrap();
        let config = Config::read(Members::new(&config, Code::InvalidConfig, "The config").unwrap()).unwrap();
        let shared = Rc::clone(&self.devices[device].shared);
        let remote = SimRemote { server: self.server.clone(), token: self.devices[device].user.to_owned(), shared: Rc::clone(&shared) };
        let host = SimHost { shared: Rc::clone(&shared), owner };
        let engine = Rc::new(Engine::new(SimBacking(shared), remote, Rc::new(host), config, Resolvers::default()));
        let user = self.devices[device].user;
        let (opening, broken, name) = (Rc::clone(&engine), Rc::clone(&self.broken), self.name(device, slot));
        self.tasks.spawn(owner, async move {
            match opening.sign_in(user).await {
                Err(error) if error.code() == Code::Closed => return,
                Err(error) => return broken.borrow_mut().push(format!("{name} does not open: {error:?}")),
                Ok(()) => {}
            }
            // Whoever watches sees progress that never runs backwards, and a terminal status for each cycle.
            let feed = opening.status_hub(user).unwrap().subscribe();
            let (mut last, mut syncing) = (0.0, false);
            while let Some(status) = feed.next().await {
                let runs = status.status == State::Syncing;
                if syncing && runs && status.progress < last {
                    broken.borrow_mut().push(format!("{name}: progress went from {last} to {}", status.progress));
                }
                (last, syncing) = (if runs { status.progress } else { 0.0 }, runs);
            }
        });
        self.devices[device].tabs[slot] = Some(Tab { owner, engine });
    }

    fn crash(&mut self, device: usize, slot: usize) {
        let Some(tab) = self.devices[device].tabs[slot].take() else { return };
        self.say(format!("{} crashes", self.name(device, slot)));
        self.tasks.kill(tab.owner);
        self.busy.borrow_mut().retain(|_, owner| *owner != tab.owner);
    }

    pub(super) fn close(&mut self, device: usize, slot: usize) {
        let Some(tab) = self.devices[device].tabs[slot].take() else { return };
        self.say(format!("{} closes", self.name(device, slot)));
        self.tasks.spawn(tab.owner, async move { tab.engine.close().await });
    }

    fn freeze(&self, device: usize, slot: usize) {
        if let Some((owner, _)) = self.tab(device, slot) {
            let ms = self.dice.below(600_000);
            self.say(format!("{} freezes for {ms} ms", self.name(device, slot)));
            self.tasks.freeze(owner, ms);
        }
    }

    fn tidy(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else { return };
        self.say(format!("{} compacts", self.name(device, slot)));
        let user = self.devices[device].user;
        self.tasks.spawn(owner, async move {
            if let Some(user) = engine.opened(user) {
                let _ = user.db.checkpoint().await;
            }
        });
    }

    fn pause(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else { return };
        let user = self.devices[device].user;
        let pausing = self.dice.chance(500);
        self.say(format!("{} {}", self.name(device, slot), if pausing { "pauses" } else { "resumes" }));
        self.tasks.spawn(owner, async move {
            let _ = if pausing { engine.pause(Some(user)).await } else { engine.resume(Some(user)).await };
        });
    }

    fn evict(&self, device: usize) {
        let device = &self.devices[device];
        if !self.loses || !self.dice.chance(400) {
            return;
        }
        self.say(format!("{}'s storage is evicted", device.shared.device_id));
        let store = device.shared.stores.borrow().get(device.user).map(datum_sync::store::memory::MemoryStore::reopen);
        if let Some(store) = store {
            self.clock.run(datum_sync::store::Store::wipe(&store)).unwrap();
            device.shared.evicted.set(true);
            self.model.forgive(device.user);
        }
    }

    fn restore(&self) {
        if !self.loses || !self.dice.chance(300) {
            return;
        }
        // The backup is of now: what is lost is what comes until it is put back.
        let backup = self.server.backup();
        self.say("a backup is taken; it will be put back".to_owned());
        self.tasks.run_for(self.dice.below(30_000));
        self.server.restore(&backup);
        self.epochs.set(self.epochs.get() + 1);
        self.server.set_epoch(&format!("epoch-{}", self.epochs.get())).unwrap();
        self.say("the server is restored".to_owned());
        for user in ["ann", "bob"] {
            self.model.forgive(user);
        }
    }

    fn write(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else { return };
        let user = self.devices[device].user;
        let writer = format!("{}-{slot}", self.devices[device].shared.device_id);
        let value = self.counter.get() + 1;
        self.counter.set(value);
        let (id, field, deletes) = match self.dice.below(10) {
            0..=4 => (format!("shared-{}", self.dice.below(4)), writer.clone(), false),
            5..=7 => (format!("own-{writer}-{}", self.dice.below(3)), "n".to_owned(), self.dice.chance(300)),
            8 => (format!("hot-{}", self.dice.below(2)), String::new(), self.dice.chance(300)),
            _ => (format!("big-{writer}-{value}"), "big".to_owned(), false),
        };
        let place = (device, id.clone(), field.clone());
        if !field.is_empty() && self.busy.borrow().contains_key(&place) {
            return;
        }
        self.busy.borrow_mut().insert(place.clone(), owner);
        let big = field == "big";
        let watched = !field.is_empty() && !big;
        let ticket = watched.then(|| self.model.ask(user, &id, &field, (!deletes).then_some(value)));
        self.say(format!(
            "{} writes {id} {field} = {}",
            self.name(device, slot),
            if deletes { "gone".to_owned() } else { value.to_string() }
        ));
        let evicted = Rc::clone(&self.devices[device].shared.evicted);
        let (model, busy, broken, device_id) =
            (Rc::clone(&self.model), Rc::clone(&self.busy), Rc::clone(&self.broken), self.devices[device].shared.device_id.clone());
        self.tasks.spawn(owner, async move {
            let field_name = if watched { field.clone() } else { "x".to_owned() };
            let exists = engine.exists(user, "tasks", &id).await.unwrap_or(false);
            let text = if big { format!("\"{}\"", "b".repeat(MOST_BYTES)) } else { value.to_string() };
            let write = match (deletes, exists) {
                (true, _) => Write::Delete { id: id.clone(), soft: false },
                (false, true) => Write::Patch { id: id.clone(), changes: format!(r#"{{"{field_name}":{text}}}"#) },
                (false, false) => Write::Create { draft: format!(r#"{{"id":"{id}","owner":"{user}","{field_name}":{text}}}"#) },
            };
            match engine.write(user, "tasks", vec![write]).await {
                // A delete that finds nothing promises nothing.
                Ok(written) if written.contains(&Written::Absent) => {}
                Ok(_) => {
                    // Whoever makes a row anew that the storage has lost clashes with it, and only the clock decides.
                    let blind = evicted.get()
                        && engine
                            .opened(user)
                            .is_none_or(|user| user.db.with(|replica| !replica.cursor("").is_some_and(|state| state.reached_end)));
                    if let Some(ticket) = ticket.filter(|_| !blind) {
                        model.acknowledge(user, &id, &field, ticket);
                    }
                    if big {
                        model.refuse(&device_id, &id);
                    }
                }
                // Another tab was first, storage failed, or the tab was closing: nothing was promised.
                Err(error) => {
                    let expected = matches!(
                        error.code(),
                        Code::AlreadyExists
                            | Code::NotFound
                            | Code::StorageFull
                            | Code::StorageUnavailable
                            | Code::StorageBlocked
                            | Code::Closed
                    );
                    if !expected {
                        broken.borrow_mut().push(format!("a write of {id} failed: {error:?}"));
                    }
                }
            }
            busy.borrow_mut().retain(|at, who| *at != place || *who != owner);
        });
    }

    fn sync(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else { return };
        let user = self.devices[device].user;
        let options = match self.dice.below(12) {
            0 => r#"{"direction":"pullThenPush","forceFullSync":true}"#,
            1 => r#"{"direction":"pushOnly"}"#,
            2 => r#"{"direction":"pullOnly"}"#,
            3 => r#"{"overrideBatchSize":2}"#,
            4 => r#"{"includeDeletes":false}"#,
            5 => r#"{"timeout":300}"#,
            6 => r#"{"scope":{"entities":["tasks"],"name":"other"}}"#,
            7 => r#"{"direction":"pullThenPush"}"#,
            _ => "{}",
        };
        self.say(format!("{} syncs {options}", self.name(device, slot)));
        let value: Value = serde_json::from_str(options).unwrap();
        let options = Options::read(Members::new(&value, Code::InvalidArgument, "The sync options").unwrap()).unwrap();
        let cancel = Rc::new(Cancel::default());
        if self.dice.chance(80) {
            let (cancel, clock, ms) = (Rc::clone(&cancel), Rc::clone(&self.clock), self.dice.below(2_000));
            self.tasks.spawn(owner, async move {
                clock.sleep(ms).await;
                cancel.stop(Stop::Abort);
            });
        }
        let broken = Rc::clone(&self.broken);
        self.tasks.spawn(owner, async move {
            if let Err(error) = engine.synchronize(user, options, None, cancel).await
                && matches!(error.code(), Code::Corrupt | Code::InvalidArgument | Code::InvalidEntity | Code::UserMismatch)
            {
                broken.borrow_mut().push(format!("a cycle of {user} failed: {error:?}"));
            }
        });
    }

    /// Passes on what tabs have announced.
    pub(super) fn hear(&self) {
        for device in &self.devices {
            for (from, head) in device.shared.announced.take() {
                for tab in device.tabs.iter().flatten().filter(|tab| tab.owner != from) {
                    let (engine, user) = (Rc::clone(&tab.engine), device.user);
                    self.tasks.spawn(tab.owner, async move {
                        let _ = engine.heard(user, head).await;
                    });
                }
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let broken = self.broken.borrow();
        if let Some(first) = broken.first() { Err(first.clone()) } else { Ok(()) }
    }
}
