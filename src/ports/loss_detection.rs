//! Detects that a user's log was lost between two visits, by a note kept outside the log that
//! identifies the log and says whether operations were pending. Without the note, a lost log would
//! look like a first visit.
//!
//! A note is kept in two places that are lost independently: beside the logs, and in
//! `localStorage`, which survives an eviction in some browsers. It is written only when its content
//! changes, not for each write: the number of pending operations is noted when the outbox becomes
//! empty or is no longer empty, and at the end of a cycle; in between it is "some".

use crate::log::address::Seq;
use crate::ports::backing::NoteReason;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;

/// How many operations are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Exactly(u64),
    Some,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    /// How often the user had been wiped before this log began.
    wipes: u64,
    identity: String,
    head: Seq,
    pending: Pending,
    /// An earlier log of the user was lost, and the device has had a new id since.
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
    /// The stored note, as far as this instance knows.
    written: Option<Note>,
    /// The pending operations of the log that this one replaces.
    lost: Option<Pending>,
}

/// The notes of an app's users.
#[derive(Debug, Default)]
pub struct LossDetector {
    users: RefCell<VecMap<Known>>,
}

impl LossDetector {
    /// Begins to watch a log that was opened. `notes` are the stored ones, the more trustworthy
    /// first.
    pub fn opened(&self, user: &str, identity: &str, wipes: u64, notes: [Option<String>; 2]) {
        let parsed = notes.iter().flatten().filter_map(|text| Note::parse(text));
        // A note with fewer wipes is about a log that was wiped.
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

    /// Returns whether the opened log replaces a lost one, or has lost its end, and how many
    /// operations were lost, if known. Reports a loss once.
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
        // A power cut may lose the last pulled rows, which come again, but no local write.
        match before.pending {
            Pending::Exactly(count) if count > pending => Some(None),
            _ => None,
        }
    }

    /// Records the state of a log; returns the note to store, if it has changed.
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
            // The log was lost while it was open.
            (known.note.identity, known.note.renewed) = (identity.to_owned(), true);
        }
        let before = known
            .written
            .as_ref()
            .filter(|note| note.identity == identity)
            .map(|note| note.pending);
        if occasion == NoteReason::OtherInstance {
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
        // The head alone is no reason to write.
        if before == Some(known.note.pending) {
            return None;
        }
        known.written = Some(known.note.clone());
        Some(known.note.text())
    }

    /// Returns the device's id for this user: a new one after a log was lost.
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

    /// Forgets a user whose log was wiped.
    pub fn forget(&self, user: &str) {
        self.users.borrow_mut().remove(user);
    }
}
