//! Checks of pulls: a page is taken where it belongs, and when a pull ends, a device has what the
//! server had at that moment, without a repair.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use datum_sync::log::address::Seq;
use datum_sync::model::digest::Digest;
use datum_sync::model::space::{MEMBER, SPACE};
use datum_sync::state::replica::Replica;
use serde_json::Value;

/// The last page of a pull.
#[derive(Default)]
struct End {
    digests: Value,
    /// The devices that it was made for, each with the head of its log at that moment.
    heads: BTreeSet<(String, Seq)>,
}

/// The pages of all pulls without a scope.
#[derive(Default)]
pub struct PullChecker {
    /// The cursors that each page leads from and to; from an empty one if it is the first.
    steps: RefCell<BTreeSet<(String, String)>>,
    /// The last pages, by user and cursor.
    ends: RefCell<BTreeMap<(String, String), End>>,
}

impl PullChecker {
    /// Notes a page, as it is made for a device.
    pub fn note(&self, user: &str, device: &str, head: Seq, request: &[u8], page: &[u8]) {
        let request: Value = serde_json::from_slice(request).unwrap();
        let mut page: Value = serde_json::from_slice(page).unwrap();
        if !request["scope"].is_null() {
            return;
        }
        let from = request["cursor"].as_str().unwrap_or_default().to_owned();
        let cursor = page["cursor"].as_str().unwrap().to_owned();
        self.steps.borrow_mut().insert((from, cursor.clone()));
        if page["more"] == true || !page["digests"].is_object() {
            return;
        }
        let mut ends = self.ends.borrow_mut();
        let end = ends.entry((user.to_owned(), cursor)).or_default();
        end.digests = page["digests"].take();
        end.heads.insert((device.to_owned(), head));
    }

    /// A cursor moves by a page from where it is, or by one from the beginning.
    pub fn moves(&self, from: Option<&str>, replica: &Replica) -> Result<(), String> {
        let to = replica.cursor("").and_then(|state| state.cursor.clone());
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(());
        };
        let steps = self.steps.borrow();
        let leads = |from: &str| steps.contains(&(from.to_owned(), to.clone()));
        if from == to || leads(from) || leads("") {
            return Ok(());
        }
        Err(format!("the cursor goes from {from} to {to} by no page"))
    }

    /// Compares what a device has after the record `seq`, which moved its cursor here.
    pub fn compare(&self, device: &str, seq: Seq, replica: &Replica) -> Result<(), String> {
        let cursor = replica.cursor("").and_then(|state| state.cursor.clone());
        let ends = self.ends.borrow();
        let end = cursor.and_then(|cursor| ends.get(&(replica.user_id().to_owned(), cursor)));
        // Whatever was recorded after the page was made is not in it.
        let made = (device.to_owned(), seq.saturating_sub(1));
        let Some(end) = end.filter(|end| end.heads.contains(&made)) else {
            return Ok(());
        };
        for entity in ["tasks", SPACE, MEMBER] {
            let told = match &end.digests[entity] {
                Value::Null => serde_json::to_value(Digest::default().wire()).unwrap(),
                told => told.clone(),
            };
            let have = serde_json::to_value(replica.digest(entity).wire()).unwrap();
            if have != told {
                return Err(format!(
                    "the pull ends with the digest {have} of {entity}, the server's is {told}"
                ));
            }
        }
        Ok(())
    }
}
