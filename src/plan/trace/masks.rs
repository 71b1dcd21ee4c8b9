//! Replaces personal values by marks: the same value has the same mark in the whole file, of the same
//! length in bytes, and two values never have one mark. So what compares values decides the same, and
//! what merges text by lines and words finds the same lines and words. The marks are random, so two
//! files cannot be linked by them, and a mark says nothing of its value but its length and its kinds of
//! characters.

use crate::conflict::field_hashes;
use crate::log::address::BodyId;
use crate::model::config::Config;
use crate::model::config::merge_fields::Policy;
use crate::model::space::MEMBER;
use crate::model::table::Table;
use crate::plan::trace::masks::walk::MaskWalk;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;
use crate::util::collections::vec_map::VecMap;
use crate::util::hash::hash;

mod walk;

/// How many marks are tried before two words may share one: there are only so many of one letter.
const TRIES: u32 = 200;

/// The engine's own fields, which stay.
const OWN: [&str; 7] = [
    "id",
    "spaceId",
    "version",
    "isDeleted",
    "createdAt",
    "modifiedAt",
    "$syncState",
];

/// The marks of one file.
#[derive(Debug)]
pub struct Masks {
    key: [u8; 16],
    drawn: u64,
    /// Paths of fields that stay as they are.
    kept: VecMap<()>,
    words: OrderedMap<Box<str>>,
    used: OrderedMap<()>,
    /// Hashes of field values, and those of their marks.
    hashes: Vec<(u64, u64)>,
    /// Every body was seen, and `hashes` are in order.
    is_closed: bool,
    /// What is masked is about a member of a space, whose id has that of a user.
    pub(super) of_member: bool,
    /// Checksums of masked bodies.
    pub(super) sums: SeqMap<u64>,
    /// The places of rows in bodies that were written ahead of them.
    pub(super) ahead: SeqMap<Vec<(u32, u32, bool)>>,
}

impl Masks {
    /// Starts without marks. `key` is random.
    #[must_use]
    pub fn new(config: &Config, key: [u8; 16]) -> Self {
        let mut kept: VecMap<()> = VecMap::default();
        for entity in config.entities.values() {
            for (path, policy) in entity.merge_fields.iter() {
                // Their results depend on the values, not only on which are equal.
                if matches!(policy, Policy::Min | Policy::Max | Policy::Sum) {
                    kept.insert(path, ());
                }
            }
            for parent in entity.parents.iter() {
                kept.insert(&parent.foreign_key, ());
            }
        }
        for own in OWN {
            kept.insert(own, ());
        }
        if let Some(field) = &config.schema_field {
            kept.insert(&field.name, ());
        }
        Self {
            key,
            drawn: 0,
            kept,
            words: OrderedMap::default(),
            used: OrderedMap::default(),
            hashes: Vec::new(),
            is_closed: false,
            of_member: false,
            sums: SeqMap::default(),
            ahead: SeqMap::default(),
        }
    }

    pub(super) fn is_kept(&self, path: &str) -> bool {
        self.kept.contains(path)
    }

    /// Masks the words of a text; spaces and punctuation stay.
    pub fn text(&mut self, text: &str) -> String {
        let (mut out, mut word) = (String::with_capacity(text.len()), String::new());
        for c in text.chars() {
            if c.is_alphanumeric() {
                word.push(c);
                continue;
            }
            self.end_word(&mut word, &mut out);
            out.push(c);
        }
        self.end_word(&mut word, &mut out);
        out
    }

    fn end_word(&mut self, word: &mut String, out: &mut String) {
        if !word.is_empty() {
            out.push_str(&self.mark(word));
            word.clear();
        }
    }

    /// Masks a message of the remote: what the engine itself says stays.
    pub fn message(&mut self, message: &str) -> String {
        const BECAUSE: &str = "It depends on ";
        const REFUSED: &str = ", which the remote refused (";
        const DISCARDED: &str = ", which the app discarded.";
        if let Some(names) = message.strip_prefix(BECAUSE) {
            if let Some(names) = names.strip_suffix(DISCARDED) {
                return [BECAUSE, &self.names(names), DISCARDED].concat();
            }
            if let Some((names, after)) = names.split_once(REFUSED)
                && let Some((code, said)) = after.split_once("): ")
            {
                let (names, said) = (self.names(names), self.message(said));
                return [BECAUSE, &names, REFUSED, code, "): ", &said].concat();
            }
        }
        if OUR_MESSAGES.contains(&message) {
            return message.to_owned();
        }
        self.text(message)
    }

    /// Masks an entity's type and id with a space between them.
    fn names(&mut self, names: &str) -> String {
        match names.split_once(' ') {
            Some((table, id)) => [table, " ", &self.id(table, id)].concat(),
            None => names.to_owned(),
        }
    }

    /// Masks the id of an entity, if it has that of a user.
    pub fn id(&mut self, table: &str, id: &str) -> String {
        match id.split_once('/') {
            Some((space, user)) if Table(table).entity() == MEMBER => {
                [space, "/", &self.text(user)].concat()
            }
            _ => id.to_owned(),
        }
    }

    /// Masks a body, to the same length in bytes. What is no JSON becomes blank.
    pub fn body(&mut self, body: &str) -> String {
        let masked = self.json(body);
        if !self.is_closed {
            let hashes = field_hashes(body, &[]).into_iter();
            self.hashes.extend(hashes.zip(field_hashes(&masked, &[])));
        }
        masked
    }

    /// Masks JSON of any kind.
    pub fn json(&mut self, text: &str) -> String {
        MaskWalk::new(text, self)
            .masked()
            .unwrap_or_else(|| " ".repeat(text.len()))
    }

    /// Puts the hashes in order, once every body was seen.
    pub fn close(&mut self) {
        sort(&mut self.hashes);
        self.hashes.dedup();
        self.is_closed = true;
    }

    /// Returns the hash of a value's mark. One whose value is nowhere in the trace gets another
    /// random one.
    #[must_use]
    pub fn hash(&self, of: u64) -> u64 {
        let at = self.hashes.partition_point(|(value, _)| *value < of);
        match self.hashes.get(at) {
            Some((value, mark)) if *value == of => *mark,
            _ => self.keyed(&of.to_le_bytes()),
        }
    }

    pub(super) fn hashes(&self, of: &[u64]) -> Vec<u64> {
        of.iter().map(|one| self.hash(*one)).collect()
    }

    /// Notes the checksum of a masked body.
    pub(super) fn note_sum(&mut self, id: BodyId, sum: u64) {
        self.sums.insert(id, sum);
    }

    fn keyed(&self, bytes: &[u8]) -> u64 {
        hash(&[&self.key, bytes].concat())
    }

    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.keyed(&[&self.drawn.to_le_bytes(), b"draw" as &[u8]].concat())
    }

    /// Returns the mark of a word.
    pub(super) fn mark(&mut self, word: &str) -> String {
        self.mark_as(word, word.chars())
    }

    /// Returns the mark of a number's digits, among which there may be a point.
    pub(super) fn number(&mut self, digits: &str) -> String {
        let named = ["#", digits].concat();
        let mark = self.mark_as(&named, named.chars());
        mark.trim_start_matches('#').to_owned()
    }

    fn mark_as(&mut self, word: &str, chars: std::str::Chars<'_>) -> String {
        if let Some(mark) = self.words.get(word) {
            return mark.to_string();
        }
        let mut mark = String::new();
        for _ in 0..TRIES {
            mark = self.random(chars.clone());
            if self.used.get(&mark).is_none() {
                break;
            }
        }
        self.used.insert(&mark, ());
        self.words.insert(word, mark.as_str().into());
        mark
    }

    fn random(&mut self, chars: std::str::Chars<'_>) -> String {
        let mut mark = String::new();
        let rest = chars.as_str();
        let is_whole = rest.starts_with('#')
            && rest
                .chars()
                .skip(1)
                .take(2)
                .filter(char::is_ascii_digit)
                .count()
                > 1;
        let is_fraction = rest.starts_with('#') && rest.contains('.');
        let last = rest.chars().count().saturating_sub(1);
        for (at, c) in chars.enumerate() {
            let (from, count) = alphabet(c);
            // A number of more digits does not begin with 0, and a fraction does not end with it.
            let skip = (is_whole && at == 1) || (is_fraction && at == last && c.is_ascii_digit());
            let skip = u32::from(skip);
            let count = u64::from(count.saturating_sub(skip));
            let draw = self.draw().checked_rem(count).unwrap_or_default();
            let code = from.saturating_add(skip).saturating_add(draw as u32);
            mark.push(char::from_u32(code).unwrap_or(c));
        }
        mark
    }
}

/// What the engine says itself in a dead letter.
const OUR_MESSAGES: [&str; 5] = [
    crate::plan::rejection::IS_DISCARDED,
    crate::plan::membership::IS_LEFT,
    crate::plan::membership::IS_FORGOTTEN,
    crate::model::space::NO_SPACES,
    crate::model::protocol::NO_MESSAGE,
];

/// Returns the first of the characters that may stand for one, and their number: of its kind, and as
/// long in UTF-8 and UTF-16. What is no letter and no digit stands for itself.
const fn alphabet(c: char) -> (u32, u32) {
    match c {
        '0'..='9' => ('0' as u32, 10),
        'a'..='z' => ('a' as u32, 26),
        'A'..='Z' => ('A' as u32, 26),
        '\u{80}'..='\u{7ff}' => (0x100, 0x150),
        '\u{800}'..='\u{ffff}' => (0x4e00, 0x51a5),
        '\u{10000}'.. => (0x2_0000, 0xa6d6),
        _ => (c as u32, 1),
    }
}
