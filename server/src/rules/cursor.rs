//! Cursors: where a pull stands, as text that the client only keeps.
//!
//! A cursor is bound to the epoch, the user and the scope that it was issued for by a check sum.
//! That is no secret: every query is keyed by the proved user, so a forged cursor shows a user
//! nothing but other places in that user's own history. The check sum tells a mistake from a place.

use datum_sync::model::digest::row_hash;
use datum_sync::model::limits::MAX_VERSION;

use super::ServerError;
use super::store::Head;

/// What a cursor says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Everything up to this version has been delivered.
    pub after: u64,
    /// The pull began as a snapshot at this version: tombstones up to it are not needed. 0 once
    /// past.
    pub live_until: u64,
    /// How many rows were left when the history stood at `counted_at`.
    pub left: u64,
    /// See `left`; 0 where nothing was counted.
    pub counted_at: u64,
}

/// What cursors are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The server's epoch.
    pub epoch: &'a str,
    /// The proved user.
    pub user: &'a str,
    /// The fingerprint of entity filter and scope.
    pub scope: u64,
}

const FORMAT: &str = "1";

impl Binding<'_> {
    fn epoch_mark(&self) -> u64 {
        row_hash("epoch", self.epoch, 0)
    }

    fn seal(&self, text: &str) -> u64 {
        row_hash(self.user, text, self.epoch_mark())
    }

    /// Writes a cursor.
    #[must_use]
    pub fn issue(&self, at: Position) -> String {
        let Position {
            after,
            live_until,
            left,
            counted_at,
        } = at;
        let text = format!(
            "{FORMAT}.{:x}.{:x}.{after:x}.{live_until:x}.{left:x}.{counted_at:x}",
            self.epoch_mark(),
            self.scope
        );
        format!("{text}.{:x}", self.seal(&text))
    }

    /// Reads a cursor back.
    ///
    /// # Errors
    /// 410 for whatever the client must pull afresh for: text that this server never wrote or wrote
    /// for someone else, another epoch, another scope, a place before the floor.
    pub fn accept(&self, cursor: &str, head: Head) -> Result<Position, ServerError> {
        let expired = |why| ServerError::cursor("cursorExpired", why);
        let unknown = || expired("The cursor is not one that this server issued to this user.");
        let (text, seal) = cursor.rsplit_once('.').ok_or_else(unknown)?;
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
        let at = Position {
            after: number()?,
            live_until: number()?,
            left: number()?,
            counted_at: number()?,
        };
        if parts.next().is_some() {
            return Err(unknown());
        }
        if epoch != self.epoch_mark() {
            return Err(ServerError::cursor(
                "epochChanged",
                "The server was restored since the cursor was issued.",
            ));
        }
        if u64::from_str_radix(seal, 16).ok() != Some(self.seal(text)) {
            return Err(unknown());
        }
        if scope != self.scope {
            return Err(ServerError::cursor(
                "scopeChanged",
                "The cursor was issued for other `entities` or another `scope`.",
            ));
        }
        // A place in a future that this history does not have: the store was put back without a new
        // epoch.
        if at.after > head.seq || at.live_until > head.seq || at.after > MAX_VERSION {
            return Err(ServerError::cursor(
                "epochChanged",
                "The cursor is ahead of the server, which must have been restored.",
            ));
        }
        if at.after.max(at.live_until) < head.floor {
            return Err(expired(
                "The cursor is older than the deletions that the server still knows.",
            ));
        }
        Ok(at)
    }
}
