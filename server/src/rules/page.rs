//! A page of changes and its JSON, written by hand so that rows are copied as stored, never parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::protocol::WireDigest;
use datum_sync::model::space::Role;
use datum_sync::util::json::write::{push_field, push_string, put_text};

use super::store::Row;

/// One row of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRow {
    /// The current row.
    pub row: Row,
    /// Its space; `None` for the user's own.
    pub space: Option<Arc<str>>,
    /// Whether it is live but outside the requested scope: it is sent as a tombstone.
    pub left_scope: bool,
    /// Of a tombstone: the space where the row lives now, and its version there, if the user may
    /// read that.
    pub moved_to: Option<(Option<Arc<str>>, u64)>,
}

/// A space that comes from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The space; `None` for the user's own.
    pub space: Option<Arc<str>>,
    /// Its counter now.
    pub at: u64,
    /// The last version that its history shares with the client's epoch; `None` if unknown.
    pub kept: Option<u64>,
}

/// The answer to a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows, those of each space in order of their version.
    pub changes: Vec<PageRow>,
    /// The shared spaces that the user may read, in the order of joining; `None` if the cursor is of
    /// the same list.
    pub spaces: Option<Vec<(Arc<str>, Role)>>,
    /// The spaces that come from their beginning, from this page on.
    pub starts: Vec<Start>,
    /// Whether the page tells of spaces what the client may not know.
    pub news: bool,
    /// Where the next page starts.
    pub cursor: String,
    /// Whether rows are left.
    pub more: bool,
    /// How many; `None` with a scope, where it is unknown.
    pub remaining: Option<u64>,
    /// The server's id.
    pub server_id: String,
    /// The server's epoch.
    pub epoch: String,
    /// The last version that this history shares with the client's epoch; `None` if unknown.
    pub kept: Option<u64>,
    /// Digests as of `cursor`; only in the last page of a pull without a scope.
    pub digests: Option<BTreeMap<String, WireDigest>>,
}

impl Page {
    /// Returns whether there was nothing to tell.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.changes.is_empty() && !self.more && !self.news
    }

    /// Returns the JSON, with the server's time in milliseconds since 1970.
    #[must_use]
    pub fn to_json(&self, now_ms: u64) -> Vec<u8> {
        let bytes = self
            .changes
            .iter()
            .fold(512_usize, |n, change| n.saturating_add(change.row.bytes()));
        let mut out = String::with_capacity(bytes);
        // Where the next page starts comes first: a client asks for it before it reads the rows.
        out.push_str("{\"cursor\":");
        push_string(&mut out, &self.cursor);
        out.push_str(if self.more {
            ",\"more\":true"
        } else {
            ",\"more\":false"
        });
        out.push_str(",\"changes\":[");
        for (i, change) in self.changes.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            push_change(&mut out, change);
        }
        out.push(']');
        self.push_spaces(&mut out);
        if let Some(remaining) = self.remaining {
            out.push_str(",\"remaining\":");
            out.push_str(&remaining.to_string());
        }
        out.push_str(",\"serverTime\":");
        push_string(&mut out, &datum_sync::util::time::format(now_ms));
        push_identity(&mut out, &self.server_id, &self.epoch);
        if let Some(kept) = self.kept {
            out.push_str(",\"kept\":");
            out.push_str(&kept.to_string());
        }
        if let Some(digests) = &self.digests {
            out.push_str(",\"digests\":{");
            for (i, (entity, digest)) in digests.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push_string(&mut out, entity);
                out.push_str(":{\"count\":");
                out.push_str(&digest.count.to_string());
                out.push_str(",\"hash\":");
                push_string(&mut out, &digest.hash);
                out.push('}');
            }
            out.push('}');
        }
        out.push('}');
        out.into_bytes()
    }
}

impl Page {
    fn push_spaces(&self, out: &mut String) {
        if let Some(spaces) = &self.spaces {
            out.push_str(",\"spaces\":[");
            for (i, (id, role)) in spaces.iter().enumerate() {
                out.push_str(if i > 0 { ",{" } else { "{" });
                put_text(out, "id", id);
                put_text(out, "role", role.name());
                out.push('}');
            }
            out.push(']');
        }
        if self.starts.is_empty() {
            return;
        }
        out.push_str(",\"starts\":[");
        for (i, start) in self.starts.iter().enumerate() {
            out.push_str(if i > 0 { ",{" } else { "{" });
            if let Some(space) = &start.space {
                put_text(out, "space", space);
            }
            push_field(out, "at", &start.at.to_string());
            if let Some(kept) = start.kept {
                push_field(out, "kept", &kept.to_string());
            }
            out.push('}');
        }
        out.push(']');
    }
}

/// Appends the members that every reply has.
pub(super) fn push_identity(out: &mut String, server_id: &str, epoch: &str) {
    out.push_str(",\"serverId\":");
    push_string(out, server_id);
    out.push_str(",\"epoch\":");
    push_string(out, epoch);
}

fn push_change(out: &mut String, change: &PageRow) {
    out.push_str("{\"entity\":");
    push_string(out, &change.row.entity);
    out.push_str(",\"id\":");
    push_string(out, &change.row.id);
    out.push_str(",\"version\":");
    out.push_str(&change.row.version.to_string());
    if let Some(space) = &change.space {
        put_text(out, "space", space);
    }
    match &change.row.data {
        Some(_) if change.left_scope => out.push_str(",\"deleted\":true,\"reason\":\"scope\""),
        Some(data) => {
            out.push_str(",\"data\":");
            out.push_str(data);
        }
        None => out.push_str(",\"deleted\":true"),
    }
    if let Some((space, version)) = &change.moved_to {
        out.push_str(",\"movedTo\":{");
        match space {
            Some(space) => put_text(out, "space", space),
            None => push_field(out, "space", "null"),
        }
        push_field(out, "version", &version.to_string());
        out.push('}');
    }
    out.push('}');
}
