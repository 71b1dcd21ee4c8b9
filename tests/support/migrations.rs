//! An app's migrations: functions on entities as JSON, one for each step of the version.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use datum_sync::engine::migrations::Migrations;
use datum_sync::log::commit::{Commit, Entry, SegmentBody, SegmentWrite};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::ports::store::{Append, Store};
use datum_sync::state::replica::Replica;
use serde_json::{Map, Value};

use super::world::{Device, Tab};

pub type Fields = Map<String, Value>;

type AtCall = Box<dyn Fn(u64)>;

type Change = Box<dyn Fn(&mut Fields) -> std::result::Result<(), String>>;

/// Migrations of tasks from version 1 on.
#[derive(Default)]
pub struct Chain {
    steps: Vec<Change>,
    /// The ids of the entities that were migrated, in order.
    pub ids: Rc<RefCell<Vec<String>>>,
    /// The failures that the app has heard of.
    pub failures: Rc<RefCell<Vec<Error>>>,
    /// Called at each call of the migrations, with its number.
    pub at_call: RefCell<Option<AtCall>>,
    calls: Cell<u64>,
}

impl Chain {
    /// Adds the step from the last version to the next one.
    pub fn step(
        mut self,
        change: impl Fn(&mut Fields) -> std::result::Result<(), String> + 'static,
    ) -> Self {
        self.steps.push(Box::new(change));
        self
    }

    /// Calls `call` at each call of the migrations.
    pub fn at_call(self, call: impl Fn(u64) + 'static) -> Self {
        self.at_call.replace(Some(Box::new(call)));
        self
    }
}

impl Migrations for Chain {
    fn first(&self) -> u32 {
        1
    }

    fn check(&self, from: u32) -> Result<()> {
        if (1..=self.steps.len() as u32).contains(&from) {
            return Ok(());
        }
        Err(Error::new(
            Code::Migration,
            format!("No migration begins at {from}."),
        ))
    }

    fn changes(&self, entity: &str, _: u32) -> bool {
        entity == "tasks"
    }

    fn migrate(&self, entity: &str, from: u32, entities: &str) -> Result<Vec<String>> {
        self.calls.set(self.calls.get() + 1);
        if let Some(call) = &*self.at_call.borrow() {
            call(self.calls.get());
        }
        let all: Vec<Fields> = serde_json::from_str(entities).unwrap();
        let change = |mut fields: Fields| {
            let id = fields["id"].as_str().unwrap().to_owned();
            self.ids.borrow_mut().push(id.clone());
            for step in self.steps.iter().skip(from as usize - 1) {
                step(&mut fields)
                    .map_err(|why| Error::new(Code::Migration, why).on(entity, Some(&id)))?;
            }
            for own in ["id", "userId", "spaceId", "version", "isDeleted"] {
                fields.remove(own);
            }
            Ok(Value::Object(fields).to_string())
        };
        all.into_iter().map(change).collect()
    }

    fn failed(&self, error: &Error) {
        self.failures.borrow_mut().push(error.clone());
    }
}

/// Renames a field.
pub fn renamed(
    from: &'static str,
    to: &'static str,
) -> impl Fn(&mut Fields) -> std::result::Result<(), String> {
    move |fields| {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
        Ok(())
    }
}

/// A device whose app has this schema version.
pub fn at_version(device: Device, version: u32) -> Device {
    device.with_config(&format!(
        r#"{{"entities":{{"tasks":{{"localOnly":["secret","hidden"]}},"notes":{{}}}},"schemaVersion":{version}}}"#
    ))
}

/// A device after an update of its app: `text` of tasks is `title` now.
pub fn updated(device: Device) -> (Device, Rc<Chain>) {
    with_chain(device, Chain::default().step(renamed("text", "title")))
}

/// A device after an update of its app to the version that a chain leads to.
pub fn with_chain(device: Device, chain: Chain) -> (Device, Rc<Chain>) {
    let version = chain.steps.len() as u32 + 1;
    let chain = Rc::new(chain);
    let device = at_version(device, version);
    device
        .migrations
        .replace(Some(Rc::clone(&chain) as Rc<dyn Migrations>));
    (device, chain)
}

/// The schema version that a tab knows of its log.
pub fn version(tab: &Tab) -> u32 {
    tab.engine
        .opened(&tab.user)
        .unwrap()
        .db
        .peek(Replica::schema)
}

/// Puts many rows of one table into a log of one record, in segments out of order.
pub fn filled(tab: &Tab, device: &Device, count: usize) {
    for (page, first) in (0..count).step_by(500).enumerate() {
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        for number in first..(first + 500).min(count) {
            let number = number * 7919 % count;
            let text = format!(
                r#"{{"text":"task {number}","notes":"{}"}}"#,
                "n".repeat(250)
            );
            entries.push(Entry {
                id: format!("task-{number:06}"),
                version: number as u64 + 1,
                offset: bytes.len() as u32,
                len: text.len() as u32,
                ..Entry::default()
            });
            bytes.extend_from_slice(text.as_bytes());
        }
        let commit = Commit {
            segments: vec![SegmentWrite {
                entity: "tasks".to_owned(),
                entries,
                body: SegmentBody::New(Rc::from(bytes)),
            }],
            events: Vec::new(),
        };
        let seq = page as u64 + 2;
        let encoded = commit.encode(seq);
        let append = Append {
            seq,
            record: encoded.record,
            bodies: encoded.bodies,
            checkpoint: None,
        };
        tab.run(device.store().append(append, Durability::Strict))
            .unwrap();
    }
}
