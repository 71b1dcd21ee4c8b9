//! Cursors: the position of a pull, as opaque text that the client stores.
//!
//! A checksum binds a cursor to the epoch, user and scope that it was issued for. It detects
//! mistakes and is no secret: every query is keyed by the authenticated user, so a forged cursor
//! only moves a user within their own history.

use datum_sync::model::digest::row_hash;
use datum_sync::model::limits::MAX_VERSION;

use super::ServerError;
use super::store::Head;

/// The position that a cursor holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// All versions up to this one have been delivered.
    pub after: u64,
    /// The version at which the pull began as a snapshot: tombstones up to it are not needed. 0
    /// once the pull is past it.
    pub live_until: u64,
    /// How many rows were left when the head was at `counted_at`.
    pub left: u64,
    /// See `left`; 0 if nothing was counted.
    pub counted_at: u64,
}

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The server's epoch.
    pub epoch: &'a str,
    /// The authenticated user.
    pub user: &'a str,
    /// The fingerprint of entity filter and scope.
    pub scope: u64,
}

const FORMAT: &str = "1";

impl Binding<'_> {
    fn epoch_hash(&self) -> u64 {
        row_hash("epoch", self.epoch, 0)
    }

    fn checksum(&self, text: &str) -> u64 {
        row_hash(self.user, text, self.epoch_hash())
    }

    /// Encodes a cursor.
    #[must_use]
    pub fn issue(&self, position: Position) -> String {
        let Position {
            after,
            live_until,
            left,
            counted_at,
        } = position;
        let text = format!(
            "{FORMAT}.{:x}.{:x}.{after:x}.{live_until:x}.{left:x}.{counted_at:x}",
            self.epoch_hash(),
            self.scope
        );
        format!("{text}.{:x}", self.checksum(&text))
    }

    /// Decodes and checks a cursor.
    ///
    /// # Errors
    /// 410 if the client must pull again from the start: the text is not a cursor of this server
    /// and user, or belongs to another epoch or scope, or lies before the floor.
    pub fn accept(&self, cursor: &str, head: Head) -> Result<Position, ServerError> {
        let expired = |reason| ServerError::cursor("cursorExpired", reason);
        let unknown = || expired("The cursor is not one that this server issued to this user.");
        let (text, checksum) = cursor.rsplit_once('.').ok_or_else(unknown)?;
        let mut parts = text.split('.');
        if parts.next() != Some(FORMAT) {
            return Err(unknown());
        }
        let mut number = || {
            parts
                .next()
                .and_then(|part| u64::from_str_radix(part, 16).ok())
                .ok_or_else(unknown)
        };
        let (epoch, scope) = (number()?, number()?);
        let position = Position {
            after: number()?,
            live_until: number()?,
            left: number()?,
            counted_at: number()?,
        };
        if parts.next().is_some() {
            return Err(unknown());
        }
        if epoch != self.epoch_hash() {
            return Err(ServerError::cursor(
                "epochChanged",
                "The server was restored since the cursor was issued.",
            ));
        }
        if u64::from_str_radix(checksum, 16).ok() != Some(self.checksum(text)) {
            return Err(unknown());
        }
        if scope != self.scope {
            return Err(ServerError::cursor(
                "scopeChanged",
                "The cursor was issued for other `entities` or another `scope`.",
            ));
        }
        // The position lies beyond the head: the store was restored without a new epoch.
        if position.after > head.seq
            || position.live_until > head.seq
            || position.after > MAX_VERSION
        {
            return Err(ServerError::cursor(
                "epochChanged",
                "The cursor is ahead of the server, which must have been restored.",
            ));
        }
        if position.after.max(position.live_until) < head.floor {
            return Err(expired(
                "The cursor is older than the deletions that the server still knows.",
            ));
        }
        Ok(position)
    }
}
