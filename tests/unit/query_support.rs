//! Entities, and the results of queries over them.

use std::rc::Rc;

use datum_sync::model::error::Error;
use datum_sync::query::fields::EntityRef;
use datum_sync::query::read::Query;
use datum_sync::query::select::{Select, Selected};
use serde_json::{Map, Value, json};

/// An entity that owns its parts.
#[derive(Clone, Debug)]
pub struct Entity {
    pub id: String,
    pub space: Option<String>,
    pub version: u64,
    pub deleted: bool,
    pub body: String,
}

impl Entity {
    pub fn new(id: &str, body: &str) -> Self {
        Self {
            id: id.to_owned(),
            space: None,
            version: 1,
            deleted: false,
            body: body.to_owned(),
        }
    }

    pub fn as_ref(&self) -> EntityRef<'_> {
        EntityRef {
            id: &self.id,
            space: self.space.as_deref(),
            user: "ann",
            version: self.version,
            deleted: self.deleted,
            sync_state: "synced",
            body: &self.body,
        }
    }

    /// The entity as the app sees it.
    pub fn parsed(&self) -> Map<String, Value> {
        let mut map: Map<String, Value> = serde_json::from_str(&self.body).unwrap();
        map.insert("id".to_owned(), json!(self.id));
        map.insert("userId".to_owned(), json!("ann"));
        map.insert("version".to_owned(), json!(self.version));
        map.insert("isDeleted".to_owned(), json!(self.deleted));
        map.remove("spaceId");
        if let Some(space) = &self.space {
            map.insert("spaceId".to_owned(), json!(space));
        }
        map
    }
}

pub fn read(query: &str) -> Result<Rc<Query>, Error> {
    Query::read(query, "tasks").map(Rc::new)
}

/// The result of a query over these entities, as the room makes it.
pub fn select(query: &str, entities: &[Entity]) -> Selected {
    let mut select = Select::new(read(query).unwrap(), false);
    for entity in entities {
        assert!(!select.offer(&entity.as_ref()), "nothing is in order here");
    }
    select.finish()
}

/// The ids of a result.
pub fn ids(selected: &Selected) -> Vec<String> {
    selected.keys.iter().map(|key| key.entity().0).collect()
}
