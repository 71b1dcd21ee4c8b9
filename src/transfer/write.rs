//! Writes a file, a line at a time.

use crate::log::facts::{DeadLetter, Parked};
use crate::model::operation::Operation;
use crate::model::table::Table;
use crate::transfer::file::{FORMAT, FileHeader, NAME};
use crate::transfer::operation::{push_data, put_conflict, put_letter, put_operation};
use crate::util::hash::LineDigest;
use crate::util::json::write::{push_field, put, put_text, put_texts};
use crate::util::time::format;

/// What a row's line says beside its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowLine<'a> {
    pub table: &'a str,
    pub id: &'a str,
    pub version: u64,
    pub deleted: bool,
    pub held: bool,
}

/// A file under construction: the lines that were not taken yet, and the digest of all.
#[derive(Debug, Default)]
pub struct FileWriter {
    text: String,
    line: String,
    lines: u64,
    digest: LineDigest,
}

impl FileWriter {
    /// Returns the length of the lines that were not taken.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.text.len()
    }

    /// Returns true if every line was taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many lines were written.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes the lines written so far.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Writes the first line.
    pub fn header(&mut self, header: &FileHeader) {
        let line = self.begin("header");
        put_text(line, "format", NAME);
        put(line, "formatVersion", &FORMAT);
        put_text(line, "userId", &header.user_id);
        put(line, "schemaVersion", &header.schema);
        put_text(line, "createdAt", &format(header.created_at));
        put(line, "serverId", &header.server.id);
        put(line, "serverAddress", &header.server.address);
        put(line, "epoch", &header.epoch);
        put_texts(
            line,
            "entities",
            &mut header.entities.iter().map(String::as_str),
        );
        let mut spaces = String::from("[");
        for joined in &header.spaces {
            spaces.push_str(if spaces.len() > 1 { ",{" } else { "{" });
            put_text(&mut spaces, "spaceId", &joined.space);
            put_text(&mut spaces, "role", joined.role.name());
            spaces.push('}');
        }
        spaces.push(']');
        push_field(line, "spaces", &spaces);
        put(line, "lines", &header.lines);
        self.end();
    }

    /// Writes a row.
    pub fn row(&mut self, row: RowLine<'_>, body: Option<&str>) {
        let line = self.begin("row");
        Table(row.table).put(line);
        put_text(line, "id", row.id);
        put(line, "version", &row.version);
        if row.deleted {
            put(line, "deleted", &true);
        }
        if row.held {
            put(line, "held", &true);
        }
        push_data(line, "data", body);
        self.end();
    }

    /// Writes the fields of an entity that never leave the device.
    pub fn local_only(&mut self, table: &str, id: &str, fields: &str) {
        let line = self.begin("localOnly");
        Table(table).put(line);
        put_text(line, "id", id);
        push_data(line, "data", Some(fields));
        self.end();
    }

    /// Writes a pending operation.
    pub fn operation(&mut self, op: &Operation) {
        put_operation(self.begin("operation"), op);
        self.end();
    }

    /// Writes a parked conflict.
    pub fn conflict(&mut self, conflict: &Parked) {
        put_conflict(self.begin("conflict"), conflict);
        self.end();
    }

    /// Writes a dead letter.
    pub fn dead_letter(&mut self, letter: &DeadLetter) {
        put_letter(self.begin("deadLetter"), letter);
        self.end();
    }

    /// Writes the last line.
    pub fn close(&mut self) {
        let (lines, digest) = (self.lines, self.digest.to_hex());
        let line = self.begin("end");
        put(line, "lines", &lines);
        put_text(line, "digest", &digest);
        self.end();
    }

    fn begin(&mut self, what: &str) -> &mut String {
        self.line.clear();
        self.line.push('{');
        put_text(&mut self.line, "line", what);
        &mut self.line
    }

    fn end(&mut self) {
        self.line.push('}');
        self.digest.add(self.line.as_bytes());
        self.lines = self.lines.saturating_add(1);
        self.text.push_str(&self.line);
        self.text.push('\n');
    }
}
