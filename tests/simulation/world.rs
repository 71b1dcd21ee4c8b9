//! The world of one history: random actions and faults, checked after every step and at the end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_sync::engine::Engine;
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::Config;
use datum_sync::model::error::Code;
use serde_json::{Value, json};

use super::adapter::Adapter;
use super::dice::{Dice, RECOVERY, Script};
use super::log_checks::LogReaders;
use super::meetings::Meetings;
use super::misbehaviour::Misbehaviour;
use super::model::Model;
use super::network::SimRemote;
use super::ports::{Shared, SimBacking, SimHost, Weather};
use super::push_checks::PushChecker;
use super::queries::LiveList;
use super::tasks::{Owner, Tasks};
use super::{traces, updates};
use crate::support::clock::Clock;
use crate::support::cycle_ends::CycleEnds;

pub(super) type App = Engine<SimBacking, SimRemote, SimHost>;
/// Writers that wait for their write: (device, user, entity, field).
type Busy = Rc<RefCell<BTreeMap<(usize, String, String, String), Owner>>>;

const CONFIG: &str = r#"{"entities":{"tasks":{}},"syncTimeout":60000,"retry":{"maxAttempts":3,"initial":200,"max":5000},"memoryBudget":6000}"#;
/// Bodies above this are refused.
pub(super) const MOST_BYTES: usize = 1_800;
pub(super) const USERS: [&str; 2] = ["ann", "bob"];

pub(super) struct Tab {
    pub(super) owner: Owner,
    pub(super) engine: Rc<App>,
    /// Of the app.
    pub(super) version: u32,
}

pub(super) struct Device {
    /// Its users.
    pub(super) users: Vec<&'static str>,
    pub(super) shared: Rc<Shared>,
    /// The version of the app that tabs are opened with.
    pub(super) version: Cell<u32>,
    /// A slot per tab; its writer continues when the tab is opened again.
    pub(super) tabs: Vec<Option<Tab>>,
}

impl Device {
    /// Returns one of its users.
    pub(super) fn pick(&self, dice: &Dice) -> &'static str {
        dice.pick::<&'static str>(&self.users)
    }
}

/// A running history.
pub struct World {
    pub trace: Rc<RefCell<Vec<String>>>,
    pub dice: Rc<Dice>,
    /// Steps that were played.
    pub played: u64,
    pub(super) script: Script,
    pub(super) clock: Rc<Clock>,
    pub(super) tasks: Rc<Tasks>,
    pub(super) weather: Rc<Weather>,
    pub(super) push_checker: Rc<PushChecker>,
    pub(super) server: MemoryServer,
    pub(super) backup: Option<datum_server::MemoryStore>,
    pub(super) model: Rc<Model>,
    pub(super) devices: Vec<Device>,
    pub(super) log_readers: LogReaders,
    pub(super) busy: Busy,
    /// Storage and servers may lose data.
    pub(super) loses: bool,
    /// Stored bodies may come back damaged.
    pub(super) damages: bool,
    /// Devices meet another server now and then.
    pub(super) two_servers: bool,
    pub(super) elsewhere: MemoryServer,
    /// Users share spaces. By the seed, so that the other histories do not change.
    pub(super) shares: bool,
    /// Newer versions of the app come, now and then. By the seed, too.
    pub(super) updates: bool,
    /// The server cannot tell how much of an earlier epoch is left.
    forgets_epochs: bool,
    next_owner: Cell<Owner>,
    pub(super) counter: Cell<u64>,
    pub(super) epochs: Cell<u32>,
    pub(super) broken: Rc<RefCell<Vec<String>>>,
    /// What apps show, as long as their tabs are there.
    pub(super) lists: Vec<LiveList>,
}

impl World {
    pub fn new(script: Script) -> Self {
        let (clock, dice) = (Rc::<Clock>::default(), Rc::new(Dice::new(&script)));
        let tasks = Rc::new(Tasks::new(Rc::clone(&clock), Rc::clone(&dice)));
        let server = MemoryServer::new("epoch-0");
        server.configure(|config| config.max_entity_bytes = MOST_BYTES);
        let weather = Rc::<Weather>::default();
        weather.misbehaviour.set(Misbehaviour::of(script.seed));
        weather.broken_lock.set(dice.chance(250));
        weather.silence.set(dice.chance(250));
        let loses = dice.chance(500);
        let shares = (script.seed / 2).is_multiple_of(2);
        let mut world = Self {
            shares,
            updates: !shares && (script.seed / 4).is_multiple_of(3),
            trace: Rc::default(),
            played: 0,
            script,
            clock,
            tasks,
            weather,
            push_checker: Rc::default(),
            server,
            backup: None,
            model: Rc::default(),
            devices: Vec::new(),
            log_readers: LogReaders::default(),
            busy: Busy::default(),
            // After a loss of storage or server data no base is left, and clocks decide. So a
            // history has either wrong clocks or losses, which keeps its promises checkable.
            loses,
            damages: loses && dice.chance(300),
            // A device that has lost its storage would take any server for its own.
            two_servers: !loses && dice.chance(400),
            elsewhere: another_server(),
            forgets_epochs: dice.chance(300),
            dice,
            next_owner: Cell::new(1),
            counter: Cell::new(0),
            epochs: Cell::new(0),
            broken: Rc::default(),
            lists: Vec::new(),
        };
        for user in USERS {
            for n in 0..=world.dice.below(3) {
                world.add_device(format!("{user}-{n}"), vec![user]);
            }
        }
        if world.dice.chance(400) {
            world.add_device("both-0".to_owned(), USERS.to_vec());
        }
        world
    }

    fn add_device(&mut self, device_id: String, users: Vec<&'static str>) {
        let dice = &self.dice;
        let wrong_clock = !self.loses && dice.chance(300);
        let shared = Rc::new(Shared {
            clock: Rc::clone(&self.clock),
            dice: Rc::clone(dice),
            tasks: Rc::clone(&self.tasks),
            weather: Rc::clone(&self.weather),
            push_checker: Rc::clone(&self.push_checker),
            online: Cell::new(true),
            elsewhere: self.elsewhere.clone(),
            elsewhere_until: Cell::default(),
            skew: Cell::new(if wrong_clock {
                dice.below(172_800_000) as i64 - 86_400_000
            } else {
                0
            }),
            locks: RefCell::default(),
            stores: RefCell::default(),
            device_id,
            evicted: Cell::default(),
            damages: Cell::new(self.damages),
            full_until: Cell::default(),
            token_until: Cell::new(dice.below(120_000)),
            traced: self.script.traced,
            trace: Rc::clone(&self.trace),
            announced: RefCell::default(),
            hearers: RefCell::default(),
            begun: RefCell::default(),
            meetings: Meetings::default(),
        });
        self.devices.push(Device {
            users,
            shared,
            version: Cell::new(1),
            tabs: (0..=dice.below(3)).map(|_| None).collect(),
        });
    }

    pub(super) fn say(&self, words: String) {
        if !self.script.traced {
            return;
        }
        self.trace
            .borrow_mut()
            .push(format!("{:>9} ms  {words}", self.clock.now.get()));
    }

    pub(super) fn epoch(&self) -> String {
        format!("epoch-{}", self.epochs.get())
    }

    /// Plays the script, ends all faults and judges.
    pub fn run(&mut self) -> Result<(), String> {
        for device in 0..self.devices.len() {
            self.open(device, 0);
        }
        if self.shares {
            self.found_spaces();
        }
        self.tasks.run_for(1_000);
        self.weather.network.set(true);
        self.weather.storage.set(true);
        for step in self.script.steps.clone() {
            self.dice.begin(step);
            let pause = self
                .dice
                .below(if self.dice.chance(100) { 20_000 } else { 400 });
            // Now and then, the next thing happens within the same moment.
            let polls = self.dice.chance(150).then(|| self.dice.below(40));
            self.act();
            self.hear();
            match polls {
                Some(polls) => self.tasks.run_partly(polls),
                None => self.tasks.run_for(pause),
            }
            self.played += 1;
            self.check()?;
        }
        self.judge_traces(false)?;
        self.dice.begin(RECOVERY);
        self.heal();
        self.judge()
    }

    fn act(&mut self) {
        let what = self.dice.below(1000);
        let device = self.dice.below(self.devices.len() as u64) as usize;
        let slot = self.dice.below(self.devices[device].tabs.len() as u64) as usize;
        match what {
            0..=499 if self.shares && what < 400 => self.act_in_space(device, slot),
            480..=499 if self.updates => self.update(device),
            0..=499 => self.write(device, slot),
            500..=704 => self.sync(device, slot),
            705..=719 => self.show(device, slot),
            720..=779 => self.open(device, slot),
            780..=829 => self.crash(device, slot),
            830..=859 => self.freeze(device, slot),
            860..=899 => self.network(device),
            900..=919 => self.close(device, slot),
            920..=934 => self.tidy(device, slot),
            935..=949 => self.purge(),
            950..=959 => self.misset_clock(device),
            960..=973 => self.evict(device),
            974..=983 => self.restore(),
            984..=988 => self.fill(device),
            989..=993 => self.switch(device, slot),
            _ => self.pause(device, slot),
        }
    }

    pub(super) fn tab(&self, device: usize, slot: usize) -> Option<(Owner, Rc<App>)> {
        self.devices[device].tabs[slot]
            .as_ref()
            .map(|tab| (tab.owner, Rc::clone(&tab.engine)))
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
        let version = self.devices[device].version.get();
        let config = match self.updates {
            true => updates::config(CONFIG, version),
            false => CONFIG.to_owned(),
        };
        let mut config: Value = serde_json::from_str(&config).unwrap();
        match traces::bytes(self.script.seed) {
            0 => {}
            bytes => config["trace"] = json!({ "maxBytes": bytes }),
        }
        let config = Config::read(CheckedObject(&config));
        let shared = Rc::clone(&self.devices[device].shared);
        let remote = SimRemote {
            server: self.server.clone(),
            shared: Rc::clone(&shared),
            owner,
            shares: self.shares,
            forgets_epochs: self.forgets_epochs,
            adapter: Adapter::of(self.script.seed, self.shares),
        };
        let host = SimHost {
            shared: Rc::clone(&shared),
            owner,
        };
        let engine = Rc::new(Engine::new(
            SimBacking(Rc::clone(&shared)),
            remote,
            Rc::new(host),
            config,
            Resolvers::default(),
        ));
        if self.updates {
            engine.replace_migrations(updates::migrations(version));
        }
        shared
            .hearers
            .borrow_mut()
            .push((owner, Rc::downgrade(&engine)));
        let user = self.devices[device].users[0];
        self.tasks.spawn(
            owner,
            sign_in(
                Rc::clone(&engine),
                user,
                Rc::clone(&self.clock),
                self.name(device, slot),
                Rc::clone(&self.broken),
            ),
        );
        for user in &self.devices[device].users {
            self.tasks.spawn(
                owner,
                watch(
                    Rc::clone(&engine),
                    user,
                    self.name(device, slot),
                    Rc::clone(&shared),
                    Rc::clone(&self.broken),
                ),
            );
        }
        self.devices[device].tabs[slot] = Some(Tab {
            owner,
            engine,
            version,
        });
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        if let Some(first) = self.broken.borrow().first() {
            return Err(first.clone());
        }
        if let Some(wrong) = self.push_checker.broken() {
            return Err(wrong);
        }
        let meetings = self.devices.iter().map(|device| &device.shared.meetings);
        if let Some(wrong) = meetings.filter_map(Meetings::broken).next() {
            return Err(wrong);
        }
        self.check_logs()
    }
}

/// Signs in, again if storage fails.
async fn sign_in(
    engine: Rc<App>,
    user: &'static str,
    clock: Rc<Clock>,
    name: String,
    broken: Rc<RefCell<Vec<String>>>,
) {
    loop {
        match engine.sign_in(user).await {
            Ok(()) => return,
            // A tab of a newer version of the app was faster.
            Err(error) if matches!(error.code(), Code::Closed | Code::ClientOutdated) => return,
            Err(error)
                if matches!(
                    error.code(),
                    Code::StorageFull | Code::StorageUnavailable | Code::StorageBlocked
                ) =>
            {
                clock.sleep(500).await;
            }
            Err(error) => {
                return broken
                    .borrow_mut()
                    .push(format!("{name} does not open: {error:?}"));
            }
        }
    }
}

/// Another server with rows of its own, in an epoch of the same name.
fn another_server() -> MemoryServer {
    let server = MemoryServer::new("epoch-0");
    server
        .set_server_id("c0ffee00-0000-7000-8000-000000000000")
        .unwrap();
    for user in USERS {
        let operations: Vec<Value> = (0..3)
            .map(|n| {
                json!({
                    "opId": format!("0190f0f0-0000-7000-8000-{n:012}"),
                    "entity": "tasks", "id": format!("shared-{n}"), "kind": "create",
                    "baseVersion": null, "data": {"owner": user, "astray": true}
                })
            })
            .collect();
        let push = json!({"clientId": "x", "userId": user, "schema": 0, "operations": operations});
        let (status, _) = server.handle(
            user,
            "POST",
            "/sync/v1/push",
            push.to_string().as_bytes(),
            0,
        );
        assert_eq!((status, server.rows(user).len()), (200, 3));
    }
    server
}

/// Checks that each cycle that the feed shows ends once, before the next, and that progress never
/// runs backwards.
async fn watch(
    engine: Rc<App>,
    user: &'static str,
    name: String,
    shared: Rc<Shared>,
    broken: Rc<RefCell<Vec<String>>>,
) {
    let feed = engine.status_hub(user).unwrap().subscribe();
    let mut ends = CycleEnds::default();
    ends.same_moment = shared.weather.broken_lock.get();
    while let Some(status) = feed.next().await {
        if let Some(started) = &status.last_started_at {
            let begun = shared.begun.borrow();
            let tabs = begun.get(&(user.to_owned(), started.clone()));
            ends.tabs = tabs.map_or(1, BTreeSet::len);
        }
        if let Err(wrong) = ends.see(&status) {
            broken.borrow_mut().push(format!("{name}: {wrong}"));
        }
    }
}
