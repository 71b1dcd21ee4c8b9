//! The reply as JSON. Rows are copied as stored, never parsed.

use datum_sync::util::json::write::{push_field, push_string};

use crate::rules::page::push_identity;

use super::{Decision, PushReply, RETRY_AFTER_MS, Verdict};

impl PushReply {
    /// Returns the JSON, with the server's time in milliseconds since 1970.
    #[must_use]
    pub fn to_json(&self, now_ms: u64) -> Vec<u8> {
        let mut out = String::from("{\"results\":[");
        for (i, verdict) in self.verdicts.iter().enumerate() {
            out.push_str(if i > 0 { ",{" } else { "{" });
            push_verdict(&mut out, verdict);
            out.push('}');
        }
        out.push_str("],\"serverTime\":");
        push_string(&mut out, &datum_sync::util::time::format(now_ms));
        push_identity(&mut out, &self.server_id, &self.epoch);
        out.push('}');
        out.into_bytes()
    }
}

fn push_verdict(out: &mut String, verdict: &Verdict) {
    push_field(out, "opId", &quoted(&verdict.op_id));
    match &verdict.decision {
        Decision::Applied {
            version,
            replayed,
            deleted,
            left,
        } => {
            push_field(out, "status", "\"applied\"");
            push_field(out, "version", &version.to_string());
            if *replayed {
                push_field(out, "replayed", "true");
            }
            if *deleted {
                push_field(out, "deleted", "true");
            }
            if let Some(left) = left {
                push_field(out, "leftVersion", &left.to_string());
            }
        }
        Decision::Conflict {
            version,
            row,
            moved,
        } => {
            push_field(out, "status", "\"conflict\"");
            push_field(out, "version", &version.to_string());
            push_field(out, "row", row.as_deref().unwrap_or("null"));
            if let Some((space, left)) = moved {
                let id = space
                    .id()
                    .map_or_else(|| "null".to_owned(), |id| quoted(id));
                push_field(out, "space", &id);
                push_field(out, "leftVersion", &left.to_string());
            }
        }
        Decision::Rejected(rejection) => {
            push_field(out, "status", "\"rejected\"");
            push_field(out, "code", &quoted(rejection.code));
            push_field(out, "message", &quoted(&rejection.message));
            if let Some(space) = &rejection.space {
                push_field(out, "space", &quoted(space));
            }
        }
        Decision::Blocked => {
            push_field(out, "status", "\"retry\"");
            push_field(out, "code", "\"blocked\"");
        }
        Decision::EpochChanged => push_untaken(out, "\"epochChanged\""),
        Decision::OtherServer => push_untaken(out, "\"otherServer\""),
        Decision::Retry { after_ms } => {
            push_field(out, "status", "\"retry\"");
            push_field(out, "retryAfterMs", &after_ms.to_string());
        }
    }
}

/// Answers an operation of a push with which nothing is done.
fn push_untaken(out: &mut String, code: &str) {
    push_field(out, "status", "\"retry\"");
    push_field(out, "code", code);
    push_field(out, "retryAfterMs", &RETRY_AFTER_MS.to_string());
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    push_string(&mut out, text);
    out
}
