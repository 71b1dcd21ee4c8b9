//! Reads the reply to a push.

use super::{Cause, ReplyObject, text_of, unreadable, wait};
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PushReply, PushVerdict};

/// Reads a push reply and checks that its verdicts match the operations that were sent.
///
/// # Errors
/// Fails with [`Code::Protocol`] if a verdict is missing, unknown, or of another operation.
pub fn parse_push_reply<'a>(bytes: &'a [u8], sent: &[&str]) -> Result<PushReply<'a>> {
    let reply = read_push_reply(bytes).map_err(|cause| unreadable(bytes, "push", cause))?;
    if reply.results.len() != sent.len() {
        return Err(Error::new(
            Code::Protocol,
            format!(
                "The server answered {} verdicts for {} operations; each needs exactly one.",
                reply.results.len(),
                sent.len()
            ),
        ));
    }
    for (verdict, op_id) in reply.results.iter().zip(sent) {
        if verdict.op_id != *op_id {
            return Err(Error::new(
                Code::Protocol,
                "The server answered an operation that was not sent, or in another order; verdicts follow the order of the operations.",
            ));
        }
        verdict.verdict()?;
        if verdict.row.is_some_and(|row| !row.starts_with('{')) {
            return Err(Error::new(
                Code::Protocol,
                "The server sent a verdict whose `row` is not a JSON object or null.",
            ));
        }
    }
    Ok(reply)
}

/// Returns true if a push reply says of every operation that it was applied, which is the ordinary case. What else it
/// says is not read, so that nothing rare runs.
#[must_use]
pub fn says_applied(bytes: &[u8]) -> bool {
    let read = || -> Result<bool, Cause> {
        for verdict in ReplyObject::read(text_of(bytes)?)?.items("results")? {
            if ReplyObject::read(verdict)?.value("status") != Some("\"applied\"") {
                return Ok(false);
            }
        }
        Ok(true)
    };
    read().unwrap_or(false)
}

fn read_push_reply(bytes: &[u8]) -> Result<PushReply<'_>, Cause> {
    let reply = ReplyObject::read(text_of(bytes)?)?;
    let mut results = Vec::new();
    for verdict in reply.items("results")? {
        let verdict = ReplyObject::read(verdict)?;
        results.push(PushVerdict {
            op_id: verdict.needed("opId")?,
            status: verdict.needed("status")?,
            version: verdict.number("version")?,
            replayed: verdict.value("replayed") == Some("true"),
            deleted: verdict.value("deleted") == Some("true"),
            row: verdict.value("row"),
            code: verdict.text("code").unwrap_or_default(),
            message: verdict.text("message").unwrap_or_default(),
            retry_after_ms: verdict.value("retryAfterMs").and_then(wait),
            space: verdict.text("space")?,
            left_version: verdict.number("leftVersion")?,
        });
    }
    Ok(PushReply {
        results,
        server_time: reply.text("serverTime").unwrap_or_default(),
        epoch: reply.text("epoch")?,
        server_id: reply.text("serverId")?,
    })
}
