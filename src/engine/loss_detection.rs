//! What is noted of each user's log outside it, so that a log that was lost between two visits is
//! told from a first visit: which log it was, and whether operations waited in it.
//!
//! A note is kept in two places that are lost differently: beside the logs, and in a place of its
//! own that outlives an eviction in some browsers. It is written where what it says has become
//! another thing, and never for each write: the number of operations that wait is noted as they
//! begin to wait, as they end to, and at the end of a cycle; in between it is "some".

use crate::log::address::Seq;
use crate::ports::backing::NoteReason;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;

/// How many operations wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Exactly(u64),
    Some,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    /// How often the user had been wiped before this log began.
    wipes: u64,
    /// Which log it is.
    identity: String,
    head: Seq,
    pending: Pending,
    /// Another log of the user was lost before this one: the device counts as another one since.
    renewed: bool,
}

impl Note {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let note = Self {
            wipes: parts.next()?.parse().ok()?,
            identity: parts.next()?.to_owned(),
            head: parts.next()?.parse().ok()?,
            pending: match parts.next()? {
                "+" => Pending::Some,
                count => Pending::Exactly(count.parse().ok()?),
            },
            renewed: parts.next()? == "1",
        };
        parts.next().is_none().then_some(note)
    }

    fn text(&self) -> String {
        let pending = match self.pending {
            Pending::Exactly(count) => count.to_string(),
            Pending::Some => "+".to_owned(),
        };
        let (wipes, head, renewed) = (
            self.wipes.to_string(),
            self.head.to_string(),
            if self.renewed { "1" } else { "0" },
        );
        [wipes.as_str(), &self.identity, &head, &pending, renewed].join(" ")
    }
}

#[derive(Debug)]
struct Known {
    note: Note,
    /// What the note in both places says, as far as this instance knows.
    written: Option<Note>,
    /// What was noted of the log that this one replaces.
    lost: Option<Pending>,
}

/// The notes of one app's users.
#[derive(Debug, Default)]
pub struct Canary {
    users: RefCell<VecMap<Known>>,
}

impl Canary {
    /// A user's log was opened. `notes` are those found of it, the more trustworthy first.
    pub fn opened(&self, user: &str, identity: &str, wipes: u64, notes: [Option<String>; 2]) {
        let parsed = notes.iter().flatten().filter_map(|text| Note::parse(text));
        // An older one is of a log that was wiped.
        let found = parsed.into_iter().find(|note| note.wipes >= wipes);
        let lost = found
            .as_ref()
            .filter(|note| note.identity != identity)
            .map(|note| note.pending);
        let renewed = lost.is_some() || found.as_ref().is_some_and(|note| note.renewed);
        let note = Note {
            wipes,
            identity: identity.to_owned(),
            head: 0,
            pending: Pending::Exactly(0),
            renewed,
        };
        self.users.borrow_mut().insert(
            user,
            Known {
                note,
                written: found,
                lost,
            },
        );
    }

    /// Whether the log that was opened replaces one that was lost, or has lost its end, and how
    /// many operations were lost with it, as far as is known. Answers once.
    pub fn loss(&self, user: &str, head: Seq, pending: u64) -> Option<Option<u64>> {
        let mut users = self.users.borrow_mut();
        let known = users.get_mut(user)?;
        if let Some(lost) = known.lost.take() {
            return Some(match lost {
                Pending::Exactly(count) => Some(count),
                Pending::Some => None,
            });
        }
        let before = known
            .written
            .as_ref()
            .filter(|note| note.identity == known.note.identity && note.head > head)?;
        // A power cut takes what was pulled last, which comes again. It must not take what was
        // written here.
        match before.pending {
            Pending::Exactly(count) if count > pending => Some(None),
            _ => None,
        }
    }

    /// Shows the state of a log: answers the note to write, where one is due.
    pub fn seen(
        &self,
        user: &str,
        identity: &str,
        head: Seq,
        pending: u64,
        occasion: NoteReason,
    ) -> Option<String> {
        let mut users = self.users.borrow_mut();
        let known = users.get_mut(user)?;
        if known.note.identity != identity {
            // It was lost while it was open.
            (known.note.identity, known.note.renewed) = (identity.to_owned(), true);
        }
        let before = known
            .written
            .as_ref()
            .filter(|note| note.identity == identity)
            .map(|note| note.pending);
        if occasion == NoteReason::Heard {
            if before != Some(Pending::Exactly(pending)) {
                known.written = None;
            }
            return None;
        }
        known.note.head = head;
        known.note.pending = match before {
            Some(Pending::Exactly(count))
                if count > 0
                    && count != pending
                    && pending > 0
                    && occasion == NoteReason::Wrote =>
            {
                Pending::Some
            }
            Some(Pending::Some) if pending > 0 && occasion == NoteReason::Wrote => Pending::Some,
            _ => Pending::Exactly(pending),
        };
        // Where the head alone has moved, nothing that waits has.
        if before == Some(known.note.pending) {
            return None;
        }
        known.written = Some(known.note.clone());
        Some(known.note.text())
    }

    /// The device's id as far as this user is concerned: another one since a log was lost.
    pub fn device_id(&self, user: &str, device_id: &str) -> String {
        match self.users.borrow().get(user) {
            Some(known) if known.note.renewed => {
                let digits: String = known
                    .note
                    .identity
                    .chars()
                    .filter(char::is_ascii_digit)
                    .collect();
                [device_id, "-", &digits].concat()
            }
            _ => device_id.to_owned(),
        }
    }

    /// A user's log was wiped.
    pub fn forget(&self, user: &str) {
        self.users.borrow_mut().remove(user);
    }
}
