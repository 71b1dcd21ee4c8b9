//! Live lists: an app watches a query, with sync states, through everything that happens. At the end
//! its list is what the query finds, and the watch of all entities has the same states.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use datum_sync::engine::database::read::Include;
use datum_sync::engine::queries::watch::{EditKind, ResultUpdate};
use datum_sync::model::error::Code;
use serde_json::Value;

use super::tasks::Owner;
use super::world::{App, World};

const QUERIES: [&str; 4] = [
    "{}",
    r#"{"where":{"field":"n","greaterThan":20},"orderBy":[{"field":"n","descending":true}],"limit":3}"#,
    r#"{"where":{"field":"$syncState","notEquals":"synced"},"orderBy":[{"field":"owner"}]}"#,
    r#"{"where":{"field":"owner","isNull":false},"orderBy":[{"field":"$syncState"},{"field":"modifiedAt"}],"limit":5,"offset":1}"#,
];

/// A list that an app shows.
pub struct LiveList {
    owner: Owner,
    name: String,
    user: &'static str,
    query: &'static str,
    /// A tab that has crashed answers nobody.
    engine: Weak<App>,
    /// `None` once it has ended.
    shown: Rc<RefCell<Option<Vec<Value>>>>,
}

/// Makes an update's edits in a list. Returns what is wrong with them.
fn apply(list: &mut Vec<Value>, update: &ResultUpdate) -> Result<(), String> {
    let items: Vec<Value> = serde_json::from_str(&update.items).unwrap();
    let mut items = items.into_iter();
    for edit in &update.edits {
        let len = list.len();
        let fits = match edit.kind {
            EditKind::Insert => edit.index <= len,
            EditKind::Move => edit.index < len && edit.from < len,
            EditKind::Update | EditKind::Remove => edit.index < len,
        };
        if !fits {
            return Err(format!("{edit:?} of a list of {len}"));
        }
        match edit.kind {
            EditKind::Insert => list.insert(edit.index, items.next().unwrap()),
            EditKind::Update => list[edit.index] = items.next().unwrap(),
            EditKind::Move => {
                list.remove(edit.from);
                list.insert(edit.index, items.next().unwrap());
            }
            EditKind::Remove => drop(list.remove(edit.index)),
        }
    }
    Ok(())
}

impl World {
    /// An app shows a list from now on.
    pub(super) fn show(&mut self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let user = self.devices[device].pick(&self.dice);
        let query = *self.dice.pick(&QUERIES);
        let name = self.name(device, slot);
        self.say(format!("{name} shows {query} for {user}"));
        let shown = Rc::new(RefCell::new(None));
        self.lists.push(LiveList {
            owner,
            name: name.clone(),
            user,
            query,
            engine: Rc::downgrade(&engine),
            shown: Rc::clone(&shown),
        });
        let broken = Rc::clone(&self.broken);
        self.tasks.spawn(owner, async move {
            let wrong = |words: String| {
                let text = format!("{name}: the list of {query} for {user} {words}");
                broken.borrow_mut().push(text);
            };
            let watch = match engine.queries().watch(user, "tasks", query, true).await {
                Ok(watch) => watch,
                Err(error) if error.code() == Code::InvalidArgument => {
                    return wrong(error.to_string());
                }
                Err(_) => return,
            };
            let mut list = Vec::new();
            // A reader tries again after a failure of the storage; here it gives up.
            while let Ok(Some(update)) = watch.next().await {
                if let Err(words) = apply(&mut list, &update) {
                    return wrong(words);
                }
                *shown.borrow_mut() = Some(list.clone());
            }
            *shown.borrow_mut() = None;
        });
    }

    /// Compares what is shown with what is found now.
    pub(super) fn judge_lists(&mut self) {
        let tabs = self.devices.iter().flat_map(|device| device.tabs.iter());
        let open: Vec<Owner> = tabs.flatten().map(|tab| tab.owner).collect();
        for list in std::mem::take(&mut self.lists) {
            let engine = list.engine.upgrade();
            let Some(engine) = engine.filter(|_| open.contains(&list.owner)) else {
                continue;
            };
            let broken = Rc::clone(&self.broken);
            self.tasks.spawn(list.owner, async move {
                let (queries, entities) = (engine.queries(), engine.entities());
                let found = queries.query(list.user, "tasks", list.query, true).await;
                let states = Include {
                    deleted: false,
                    states: true,
                };
                let all = entities.read_all(list.user, "tasks", states).await;
                let (Ok(found), Ok(all)) = (found, all) else {
                    return;
                };
                let read = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
                let (found, all) = (read(&found), read(&all));
                let name = format!("{}, for {}: {}", list.name, list.user, list.query);
                if let Some(shown) = &*list.shown.borrow()
                    && *shown != found
                {
                    let text = format!("{name} shows {shown:?}, and finds {found:?}");
                    broken.borrow_mut().push(text);
                }
                // Of an id that two spaces have, a read of all of them returns one entity.
                let is_odd = |row: &&Value| {
                    let read = all.iter().find(|other| other["id"] == row["id"]);
                    read.is_none_or(|read| read["spaceId"] == row["spaceId"] && read != *row)
                };
                if let Some(odd) = found.iter().find(is_odd) {
                    let text = format!("{name} finds {odd}, and all are {all:?}");
                    broken.borrow_mut().push(text);
                }
            });
        }
        self.tasks.run_for(1_000);
    }
}
