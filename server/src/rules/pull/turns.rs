//! The rows of one page. Spaces take turns: a turn ends with what its space had when it began, and
//! the cursor says whose turn is next. So a space in which much is written holds up no other.

use crate::rules::cursor::Position;
use crate::rules::page::PageRow;
use crate::rules::scope::Scope;
use crate::rules::spaces::is_reserved;
use crate::rules::store::{Row, Transaction};
use crate::rules::{Config, ServerError};

use super::readable::{Readable, Reading};

/// How many rows are read for one page with a scope before the page is sent as it is.
const MAX_EXAMINED: usize = 20_000;

/// The rows of one page.
pub(super) struct Step {
    pub(super) changes: Vec<PageRow>,
    /// If rows are left: whose turn is next, and the version with which it ends, if it has begun.
    pub(super) next: Option<(u64, u64)>,
}

/// A page that is being filled.
struct Filling<'a> {
    config: &'a Config,
    limit: usize,
    scope: &'a Scope,
    changes: Vec<PageRow>,
    bytes: usize,
    examined: usize,
}

/// How a turn ended.
#[derive(PartialEq, Eq)]
enum Turn {
    /// Nothing is left in the space.
    Drained,
    /// What is left was written after the turn began.
    Over,
    /// The page is full.
    Full,
}

pub(super) async fn read<T: Transaction>(
    tx: &mut T,
    config: &Config,
    limit: usize,
    scope: &Scope,
    spaces: &mut Readable,
    from: &Position,
) -> Result<Step, ServerError> {
    let mut page = Filling {
        config,
        limit,
        scope,
        changes: Vec::new(),
        bytes: 0,
        examined: 0,
    };
    let all = &mut spaces.all;
    let alone = all.len() == 1;
    let first = all.iter().position(|reading| reading.number >= from.turn);
    let first = first.unwrap_or_default();
    // The last turn is the rest of the space whose turn began on an earlier page.
    for turn in 0..=all.len() {
        let place = first.saturating_add(turn).checked_rem(all.len());
        let Some(reading) = place.and_then(|place| all.get_mut(place)) else {
            continue;
        };
        let number = reading.number;
        let began = turn == 0 && number == from.turn && from.until > 0 && !alone;
        let until = if began { from.until } else { reading.head.seq };
        if page.read(tx, reading, until).await? == Turn::Full {
            return Ok(Step {
                changes: page.changes,
                next: Some((number, until)),
            });
        }
    }
    Ok(Step {
        changes: page.changes,
        next: None,
    })
}

impl Filling<'_> {
    /// Reads one space, up to a version.
    async fn read<T: Transaction>(
        &mut self,
        tx: &mut T,
        reading: &mut Reading,
        until: u64,
    ) -> Result<Turn, ServerError> {
        let snapshot_until = reading.place.live_until;
        while !reading.is_drained() {
            let room = self.limit.saturating_sub(self.changes.len());
            let bytes = self.config.max_page_bytes.saturating_sub(self.bytes);
            let range = reading.range(self.scope.entities.as_deref());
            // A full page looks whether there is any more.
            let found = tx.scan(&reading.space, range, room.max(1), bytes).await?;
            let fits = |row: &Row| self.changes.is_empty() || room > 0 && row.bytes() <= bytes;
            if !found.rows.first().is_none_or(fits) {
                return Ok(Turn::Full);
            }
            for row in found.rows {
                if row.version > until {
                    return Ok(Turn::Over);
                }
                self.examined = self.examined.saturating_add(1);
                reading.advance(row.version);
                self.take(reading, row, snapshot_until);
            }
            if !found.more {
                reading.drain();
                return Ok(Turn::Drained);
            }
            let goes_on = self.scope.fields.is_some() && self.changes.is_empty();
            if !goes_on || self.examined >= MAX_EXAMINED {
                return Ok(Turn::Full);
            }
        }
        Ok(Turn::Drained)
    }

    fn take(&mut self, reading: &Reading, row: Row, snapshot_until: u64) {
        let data = row.data.as_ref();
        let inside = is_reserved(&row.entity) || data.is_none_or(|data| self.scope.matches(data));
        // During a snapshot the client holds no row yet that could have left the scope.
        if !inside && row.version <= snapshot_until {
            return;
        }
        self.bytes = self.bytes.saturating_add(row.bytes());
        self.changes.push(PageRow {
            space: reading.space.id().cloned(),
            left_scope: !inside,
            moved_to: None,
            row,
        });
    }
}
