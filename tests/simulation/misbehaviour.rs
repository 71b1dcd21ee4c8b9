//! Servers that fail in one way of their own, as long as a history lasts: by content, by size, by
//! count, or by time. Everything else must flow.

use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::protocol::refusal::refused;
use datum_sync::model::protocol::retry_after::retry_after;
use datum_sync::util::time;

/// What a server does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// A push that has something to do with this entity.
    Content,
    /// A push of more bytes.
    Bytes(usize),
    /// A push of more operations, or a page of more rows.
    Count(usize),
    /// Anything, in every second stretch of so many milliseconds.
    Time(u64),
}

/// One server's fault.
#[derive(Debug, Clone, Copy)]
pub struct Misbehaviour {
    limit: Limit,
    way: u64,
}

impl Misbehaviour {
    /// Returns the fault of a history's server, if it has one. By the seed and not by the dice, so
    /// that a history is the same without it up to the first request that fails.
    pub fn of(seed: u64) -> Option<Self> {
        let limit = match seed % 8 {
            0 => Limit::Content,
            2 => Limit::Bytes(600),
            4 => Limit::Count(2),
            6 => Limit::Time(20_000),
            _ => return None,
        };
        let way = seed / 8 % 7;
        Some(Self { limit, way })
    }

    fn hits(self, path: &str, body: &[u8], now: u64) -> bool {
        let text = String::from_utf8_lossy(body);
        match self.limit {
            Limit::Content => path == "/push" && text.contains("\"hot-1\""),
            Limit::Bytes(most) => {
                path == "/push" && body.len() > most && text.matches("\"opId\"").count() > 1
            }
            Limit::Count(most) => {
                text.matches("\"opId\"").count() > most
                    || (path == "/pull" && limit_of(&text) > most * 100)
            }
            Limit::Time(ms) => now / ms % 2 == 1,
        }
    }

    /// Fails as the server does, if it does not take this request.
    pub fn check(self, path: &str, body: &[u8], now: u64) -> Result<()> {
        if !self.hits(path, body, now) {
            return Ok(());
        }
        let says = |status, body: &str, wait: Option<u64>| {
            // A date by the server's clock, whatever this device's says.
            let header = wait.map(|ms| time::format(now + ms));
            let wait = header.and_then(|header| retry_after(&header, Some(now)));
            Err(refused(status, "the server", body.as_bytes(), wait))
        };
        match self.way {
            0 => says(500, "", None),
            1 => says(400, r#"{"code":"badRequest"}"#, None),
            2 => says(403, "<html>Blocked", None),
            3 => says(200, "<html>Sign in", None),
            4 => says(503, "", Some(5_000)),
            5 => Err(Error::new(Code::Timeout, "Nothing came.")),
            _ => Err(Error::new(Code::Network, "It closed the connection.")),
        }
    }
}

fn limit_of(text: &str) -> usize {
    let after = text.split("\"limit\":").nth(1).unwrap_or_default();
    let digits = after.split(|letter: char| !letter.is_ascii_digit()).next();
    digits.unwrap_or_default().parse().unwrap_or_default()
}
