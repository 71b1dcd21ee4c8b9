//! A page of changes and its JSON, written by hand so that rows are copied as stored, never parsed.

use std::collections::BTreeMap;

use datum_sync::model::protocol::WireDigest;
use datum_sync::util::json::write::push_string;

use super::store::Row;

/// One row of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRow {
    /// The current row.
    pub row: Row,
    /// Whether it is live but outside the requested scope: it is sent as a tombstone.
    pub left_scope: bool,
}

/// The answer to a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows, in order of their version.
    pub changes: Vec<PageRow>,
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
    /// Returns the JSON, with the server's time in milliseconds since 1970.
    #[must_use]
    pub fn to_json(&self, now_ms: u64) -> Vec<u8> {
        let bytes = self
            .changes
            .iter()
            .fold(512_usize, |n, change| n.saturating_add(change.row.bytes()));
        let mut out = String::with_capacity(bytes);
        out.push_str("{\"changes\":[");
        for (i, change) in self.changes.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            push_change(&mut out, change);
        }
        out.push_str("],\"cursor\":");
        push_string(&mut out, &self.cursor);
        out.push_str(if self.more {
            ",\"more\":true"
        } else {
            ",\"more\":false"
        });
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
    match &change.row.data {
        Some(_) if change.left_scope => out.push_str(",\"deleted\":true,\"reason\":\"scope\""),
        Some(data) => {
            out.push_str(",\"data\":");
            out.push_str(data);
        }
        None => out.push_str(",\"deleted\":true"),
    }
    out.push('}');
}
