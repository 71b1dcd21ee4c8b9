//! Reading entities: bodies that are not in memory are fetched, and the fields that never leave the
//! device are put beside those that the server has.

use std::rc::Rc;

use crate::database::Database;
use crate::entity::{Key, push_entity};
use crate::error::Result;
use crate::host::Host;
use crate::replica::device::joined;
use crate::replica::{ViewBody, segment};
use crate::small::ordered::Ordered;
use crate::store::{BodyId, Store};

impl<S: Store, H: Host> Database<S, H> {
    /// Writes the entities of these ids, one JSON text each, to `each`; absent ids are skipped.
    ///
    /// # Errors
    /// What the store says; a body that is damaged is set aside, and its rows count as absent until
    /// the next pull brings them again.
    pub async fn read(&self, entity: &str, ids: &[String], include_deleted: bool, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.check_open()?;
        let absent = self.with(|replica| {
            let mut absent = Ordered::default();
            for id in ids {
                let key = Key::new(entity, id);
                let body = replica.view(&key).and_then(|view| view.body);
                for part in [body, replica.device_fields(&key)] {
                    if let Some(ViewBody::Absent { segment, .. }) = part {
                        absent.insert(segment, ());
                    }
                }
            }
            absent.keys()
        });
        // The reader holds what it needs itself, so that a small memory budget cannot take it away
        // between fetching and reading.
        let (held, damaged) = self.fetch(&absent).await?;
        if !damaged.is_empty() {
            let turn = self.turn.lock().await;
            self.quarantine_in_turn(damaged).await?;
            drop(turn);
        }
        let mut text = String::new();
        let replica = self.replica.borrow();
        for id in ids {
            let key = Key::new(entity, id);
            let Some(view) = replica.view(&key).filter(|view| include_deleted || !view.deleted) else {
                continue;
            };
            text.clear();
            let mut put = |body: &str| push_entity(&mut text, body, id, replica.user_id(), view.version, view.deleted);
            match view.body.as_ref().map(|body| at_hand(body, &held)) {
                None => put("{}"),
                Some(None) => continue,
                Some(Some(body)) => match replica.device_fields(&key).as_ref().and_then(|fields| at_hand(fields, &held)) {
                    Some(fields) => put(&joined(body, fields)),
                    None => put(body),
                },
            }
            each(&text);
        }
        Ok(())
    }
}

/// The text of a body that is in memory, or among those that were fetched.
fn at_hand<'a>(body: &ViewBody<'a>, held: &'a [(BodyId, Rc<[u8]>)]) -> Option<&'a str> {
    match *body {
        ViewBody::Text(text) => Some(text),
        ViewBody::Absent { segment, offset, len } => {
            held.iter().find(|(id, _)| *id == segment).and_then(|(_, bytes)| segment::slice(bytes, offset, len))
        }
    }
}
