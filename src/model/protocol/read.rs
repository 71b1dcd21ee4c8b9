//! Reads and validates the replies of a remote. Members that a later protocol adds are ignored.

use std::borrow::Cow;
use std::fmt;

use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_VERSION;
use crate::model::protocol::foreign::foreign;
use crate::model::protocol::retry_after::LONGEST_WAIT_MS;
use crate::model::protocol::{ErrorBody, PullPage, WireDigest, WireRow};
use crate::util::collections::vec_map::VecMap;
use crate::util::json::number::{float, whole};
use crate::util::json::scan;
use crate::util::json::scan::{Scan, ScanError};

mod push;
mod spaces;

pub use push::{parse_push_reply, says_applied};

/// Returns a reply as the browser's own `json()` would read it: with bytes that are no text
/// replaced.
#[must_use]
pub fn readable(bytes: Vec<u8>) -> Vec<u8> {
    // First the check that reads words of ASCII at once: a page may be megabytes.
    if std::str::from_utf8(&bytes).is_ok() {
        return bytes;
    }
    String::from_utf8_lossy(&bytes).into_owned().into_bytes()
}

/// Returns a reply as text, without a byte order mark.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, ScanError> {
    scan::utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// How many characters of a wrong value a message quotes.
const FOUND: usize = 40;

/// Reads and validates a pull reply.
///
/// # Errors
/// Fails with [`Code::Protocol`], naming the place in the reply.
pub fn parse_page(bytes: &[u8]) -> Result<PullPage<'_>> {
    let mut reader = PageReader::new(bytes)?;
    while reader.read(usize::MAX)? {}
    reader.finish()
}

/// Reads a pull reply in one pass, a few rows at a time: reading a large reply at once would block
/// the page for too long.
#[derive(Debug)]
pub struct PageReader<'a> {
    bytes: &'a [u8],
    scan: Scan<'a>,
    at: At,
    members: ReplyObject<'a>,
    changes: Option<Vec<WireRow<'a>>>,
    /// The members of the current row; reused, so that it is allocated once.
    row: ReplyObject<'a>,
}

/// The position of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Member,
    Row,
    End,
}

impl<'a> PageReader<'a> {
    /// Starts to read a reply.
    ///
    /// # Errors
    /// Fails with [`Code::Protocol`] if it is not text.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let text = text_of(bytes).map_err(|wrong| unreadable(bytes, "pull", wrong.into()))?;
        Ok(Self {
            bytes,
            scan: Scan::new(text),
            at: At::Start,
            members: ReplyObject::default(),
            changes: None,
            row: ReplyObject::default(),
        })
    }

    /// Reads up to `rows` more rows; returns false at the end of the reply.
    ///
    /// # Errors
    /// Fails with [`Code::Protocol`], naming the place in the reply.
    pub fn read(&mut self, rows: usize) -> Result<bool> {
        match self.advance(rows) {
            Ok(()) => Ok(self.at != At::End),
            Err(cause) => Err(unreadable(self.bytes, "pull", cause)),
        }
    }

    /// Returns where the next page starts, if there is one and the members that were read say so.
    #[must_use]
    pub fn next_page(&self) -> Option<String> {
        let more = self.members.flag("more").ok()??;
        let cursor = self.members.text("cursor").ok()??;
        (more && !cursor.is_empty()).then(|| cursor.into_owned())
    }

    fn advance(&mut self, rows: usize) -> Result<(), Cause> {
        let mut left = rows;
        loop {
            let closed;
            match self.at {
                At::Start => closed = !self.scan.open(b'{', b'}')?,
                At::Member => {
                    let key = self.scan.key()?;
                    if key == "changes" && self.scan.peek() == Some(b'[') {
                        // If a member stands twice, the last one counts.
                        self.changes = Some(Vec::new());
                        self.members.0.retain(|(name, _)| name != "changes");
                        if self.scan.open(b'[', b']')? {
                            self.at = At::Row;
                            continue;
                        }
                    } else {
                        let is_changes = key == "changes";
                        let value = self.scan.value()?;
                        if is_changes {
                            // Some servers write an empty list so.
                            self.changes = (value == "null").then(Vec::new);
                        }
                        self.members.0.push((key, value));
                    }
                    closed = !self.scan.more(b'}')?;
                }
                At::Row => {
                    if left == 0 {
                        return Ok(());
                    }
                    left = left.saturating_sub(1);
                    self.row.0.clear();
                    self.scan.members(&mut self.row.0)?;
                    let change = self.row.change()?;
                    self.changes.get_or_insert_default().push(change);
                    if self.scan.more(b']')? {
                        continue;
                    }
                    closed = !self.scan.more(b'}')?;
                }
                At::End => return Ok(()),
            }
            self.at = if closed { At::End } else { At::Member };
            if closed {
                return Ok(self.scan.end()?);
            }
        }
    }

    /// Returns the page after the last row was read.
    ///
    /// # Errors
    /// Fails with [`Code::Protocol`], naming the place in the reply.
    pub fn finish(self) -> Result<PullPage<'a>> {
        let bytes = self.bytes;
        let page = self
            .page()
            .map_err(|cause| unreadable(bytes, "pull", cause))?;
        for change in &page.changes {
            check(change)?;
        }
        if page.cursor.is_empty() {
            return Err(Error::new(
                Code::Protocol,
                "The server sent an empty `cursor`; it must name the end of the page.",
            ));
        }
        Ok(page)
    }

    fn page(self) -> Result<PullPage<'a>, Cause> {
        let page = self.members;
        let changes = match self.changes {
            Some(changes) => changes,
            // It is missing, or not an array.
            None => {
                return Err(page
                    .items("changes")
                    .err()
                    .unwrap_or(Cause::Missing("changes")));
            }
        };
        // Digests that cannot be read compare nothing.
        let digests = page
            .value("digests")
            .and_then(|json| read_digests(json).ok());
        Ok(PullPage {
            changes,
            cursor: page.needed("cursor")?,
            more: page.flag("more")?.ok_or(Cause::Missing("more"))?,
            remaining: page.hint("remaining"),
            server_time: page.text("serverTime").unwrap_or_default(),
            epoch: page.text("epoch")?,
            server_id: page.text("serverId")?,
            kept: page.hint("kept"),
            digests,
            spaces: page.value("spaces").map(spaces::list).transpose()?,
            starts: page
                .value("starts")
                .map_or(Ok(Vec::new()), spaces::starts)?,
        })
    }
}

fn read_digests(json: &str) -> Result<VecMap<WireDigest>, Cause> {
    let mut digests = VecMap::default();
    for (entity, digest) in scan::object(json)? {
        let digest = ReplyObject::read(digest)?;
        let count = digest.number("count")?.ok_or(Cause::Missing("count"))?;
        let hash = digest.needed("hash")?.into_owned();
        digests.insert(&entity, WireDigest { count, hash });
    }
    Ok(digests)
}

fn check(change: &WireRow<'_>) -> Result<()> {
    let refuse = |what: &'static str| {
        Err(Error::new(Code::Protocol, what).on(&change.entity, Some(&change.id)))
    };
    if crate::model::entity::check_id(&change.id).is_err()
        || crate::model::entity::check_name(&change.entity).is_err()
    {
        return refuse(
            "The server sent a row whose `id` or `entity` is empty, too long or has control characters.",
        );
    }
    if change.version == 0 || change.version > MAX_VERSION {
        return refuse("The server sent a row whose `version` is not between 1 and 2^53-1.");
    }
    let space = change.space.iter();
    let moved = change.moved_to.iter();
    if !space
        .chain(moved.filter_map(|place| place.space.as_ref()))
        .all(|space| crate::model::entity::check_id(space).is_ok())
    {
        return refuse(
            "The server sent a row whose `space` is empty, too long or has control characters.",
        );
    }
    match change.data {
        Some(data) if !data.starts_with('{') => {
            refuse("The server sent a row whose `data` is not a JSON object.")
        }
        None if !change.deleted => {
            refuse("The server sent a row that is not deleted and has no `data`.")
        }
        _ => Ok(()),
    }
}

/// Reads the body of an HTTP error, if it is JSON. Members of the wrong type count as absent.
#[must_use]
pub fn parse_error(bytes: &[u8]) -> Option<ErrorBody> {
    let body = ReplyObject::read(text_of(bytes).ok()?).ok()?;
    let text = |name| Some(body.text(name).ok()??.into_owned());
    Some(ErrorBody {
        code: text("code").unwrap_or_default(),
        message: text("message").unwrap_or_default(),
        retry_after_ms: body.value("retryAfterMs").and_then(wait),
        request_id: text("requestId"),
    })
}

/// Makes the error of an unreadable reply: [`Code::Protocol`], or [`Code::Network`] if it ends too
/// early or is a web page.
pub(crate) fn unreadable(bytes: &[u8], what: &str, cause: Cause) -> Error {
    let start = bytes.iter().copied().find(|b| !b.is_ascii_whitespace());
    if start == Some(b'<') {
        return foreign(200, &format!("`{what}`"), bytes);
    }
    if let Cause::Json(wrong) = &cause
        && wrong.is_cut(text_of(bytes).map_or(bytes.len(), str::len))
    {
        let message = format!("The answer to `{what}` ends too early; the connection broke.");
        return Error::new(Code::Network, message).caused_by(cause);
    }
    let message = format!(
        "The answer to `{what}` is not what protocol 1 asks for: {cause}; check the remote's url and its version."
    );
    Error::new(Code::Protocol, message).caused_by(cause)
}

/// Reads milliseconds to wait, which are a hint: `None` if they are none.
fn wait(json: &str) -> Option<u64> {
    let ms = whole(json).map(|ms| ms as f64).or_else(|| float(json))?;
    (ms >= 0.0).then(|| ms.min(LONGEST_WAIT_MS as f64).ceil() as u64)
}

/// Why a reply is unreadable.
pub(crate) enum Cause {
    Json(ScanError),
    Missing(&'static str),
    /// The member, what it must be, and what it is.
    Type(&'static str, &'static str, String),
}

impl From<ScanError> for Cause {
    fn from(wrong: ScanError) -> Self {
        Self::Json(wrong)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(wrong) => wrong.fmt(f),
            Self::Missing(name) => write!(f, "`{name}` is missing"),
            Self::Type(name, wanted, found) => {
                write!(f, "`{name}` must be {wanted}, and is {found}")
            }
        }
    }
}

/// An object of a reply. Null counts as absent.
#[derive(Debug, Default)]
struct ReplyObject<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> ReplyObject<'a> {
    fn read(json: &'a str) -> Result<Self, Cause> {
        Ok(Self(scan::object(json)?))
    }

    fn change(&self) -> Result<WireRow<'a>, Cause> {
        Ok(WireRow {
            entity: self.needed("entity")?,
            id: self.needed("id")?,
            version: self.number("version")?.ok_or(Cause::Missing("version"))?,
            deleted: self.flag("deleted")?.unwrap_or_default(),
            data: self.value("data"),
            reason: self.text("reason")?,
            space: self.text("space")?,
            moved_to: self.value("movedTo").map(spaces::place).transpose()?,
        })
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
            .filter(|value| *value != "null")
    }

    fn text(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Cause> {
        self.value(name)
            .map(|value| scan::text(value).ok_or_else(|| wrong(name, "a string", value)))
            .transpose()
    }

    fn needed(&self, name: &'static str) -> Result<Cow<'a, str>, Cause> {
        self.text(name)?.ok_or(Cause::Missing(name))
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, Cause> {
        self.value(name)
            .map(|value| whole(value).ok_or_else(|| wrong(name, "a whole number from 0 on", value)))
            .transpose()
    }

    /// Reads a number that the reply is worth nothing less without.
    fn hint(&self, name: &'static str) -> Option<u64> {
        self.value(name).and_then(whole)
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, Cause> {
        match self.value(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(wrong(name, "true or false", value)),
        }
    }

    fn items(&self, name: &'static str) -> Result<Vec<&'a str>, Cause> {
        let value = self.value(name).ok_or(Cause::Missing(name))?;
        scan::array(value).map_err(|_| wrong(name, "a list", value))
    }
}

fn wrong(name: &'static str, wanted: &'static str, found: &str) -> Cause {
    Cause::Type(name, wanted, found.chars().take(FOUND).collect())
}
