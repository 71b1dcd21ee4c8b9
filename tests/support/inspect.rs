//! Pending operations, conflicts and dead letters, as the public API returns them.

use std::rc::Rc;

use datum_sync::model::entity::{Key, OwnedKey};
use datum_sync::model::error::Result;
use datum_sync::plan::write::{Write, Written};

use super::world::{Device, Request, Tab};

impl Tab {
    /// Writes an entity that depends on the operations of others.
    pub fn write_after(
        &self,
        entity: &str,
        write: Write,
        after: &[(&str, &str)],
    ) -> Result<Written> {
        self.clock.advance(10);
        let after: Rc<[OwnedKey]> = after
            .iter()
            .map(|(entity, id)| Key::new(entity, id).to_owned())
            .collect();
        self.run(
            self.engine
                .entities()
                .write_after(&self.user, entity, vec![write], after),
        )
        .map(|mut written| written.remove(0))
    }

    /// Creates an entity of any type.
    pub fn create_in(&self, entity: &str, json: &str) {
        self.write(
            entity,
            Write::Create {
                draft: json.to_owned(),
            },
        )
        .unwrap();
    }

    /// Returns the pending operations.
    pub fn pending_operations(&self) -> Vec<serde_json::Value> {
        let pending = self.run(self.engine.pending().list(&self.user)).unwrap();
        pending
            .iter()
            .map(|op| serde_json::to_value(op).unwrap())
            .collect()
    }

    /// Returns the parked conflicts.
    pub fn conflicts(&self) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.run(self.engine.conflicts().list(&self.user)).unwrap()).unwrap()
    }

    /// Returns the explanations of an entity's merges.
    pub fn explained(&self, id: &str) -> Vec<serde_json::Value> {
        serde_json::from_str(
            &self
                .run(self.engine.conflicts().explain(&self.user, "tasks", id))
                .unwrap(),
        )
        .unwrap()
    }

    /// Returns the dead letters.
    pub fn dead_letters(&self) -> Vec<serde_json::Value> {
        serde_json::from_str(
            &self
                .run(self.engine.dead_letters().list(&self.user))
                .unwrap(),
        )
        .unwrap()
    }
}

impl Device {
    /// Returns the entity ids of each push since the last call.
    pub fn pushed(&self) -> Vec<Vec<String>> {
        let requests = self.remote.seen.take();
        let pushes = requests
            .iter()
            .filter(|request| request.path.ends_with("/push"));
        let ids = |request: &Request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            body["operations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|op| op["id"].as_str().unwrap().to_owned())
                .collect()
        };
        pushes.map(ids).collect()
    }
}
