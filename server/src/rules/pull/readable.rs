//! The spaces that a user may read, and how far a pull is in each.

use datum_sync::model::limits::MAX_VERSION;

use crate::rules::ServerError;
use crate::rules::cursor::{Place, Position};
use crate::rules::store::{Head, Range, Reader, Space};

/// One space of a pull.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) space: Space,
    /// The number of the membership; 0 is the user's own space.
    pub(super) number: u64,
    pub(super) head: Head,
    pub(super) place: Place,
    /// Whether it comes from its beginning, from this page on.
    pub(super) starts: bool,
}

impl Reading {
    /// Returns the rows that were not delivered yet.
    pub(super) const fn range<'a>(&self, entities: Option<&'a [String]>) -> Range<'a> {
        Range {
            entities,
            after: self.place.after,
            live_until: self.place.live_until,
        }
    }

    pub(super) const fn is_drained(&self) -> bool {
        self.place.after >= self.head.seq
    }

    /// Notes that nothing is left.
    pub(super) const fn drain(&mut self) {
        self.place = Place {
            after: self.head.seq,
            live_until: 0,
        };
    }

    /// Notes that everything up to a version was delivered.
    pub(super) const fn advance(&mut self, version: u64) {
        self.place.after = version;
        if self.place.live_until <= version {
            self.place.live_until = 0;
        }
    }
}

/// All spaces of a pull.
#[derive(Debug)]
pub(super) struct Readable {
    /// By number.
    pub(super) all: Vec<Reading>,
}

impl Readable {
    /// Goes to where the cursor is in each space. One that the cursor does not have starts; what it
    /// has of others is nothing.
    ///
    /// # Errors
    /// 410 if the cursor is ahead of the history, or all that there is would start anew.
    pub(super) fn enter(
        user: &str,
        reader: &Reader,
        from: Option<&Position>,
    ) -> Result<Self, ServerError> {
        let alone = reader.spaces.is_empty();
        let own = (Space::personal(user), 0, reader.head);
        let shared = reader
            .spaces
            .iter()
            .map(|joined| (Space::Shared(joined.id.clone()), joined.number, joined.head));
        let mut all = Vec::with_capacity(reader.spaces.len().saturating_add(1));
        for (space, number, head) in std::iter::once(own).chain(shared) {
            let place = from.and_then(|from| from.places.get(&number)).copied();
            let place = accept(place, head, alone && number == 0)?;
            all.push(Reading {
                space,
                number,
                head,
                place: place.unwrap_or(Place {
                    after: 0,
                    live_until: head.seq,
                }),
                starts: place.is_none(),
            });
        }
        all.sort_unstable_by_key(|reading| reading.number);
        Ok(Self { all })
    }

    pub(super) fn names(&self) -> Vec<Space> {
        self.all
            .iter()
            .map(|reading| reading.space.clone())
            .collect()
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.all.iter().map(|reading| reading.number)
    }

    /// Returns the sum of the counters of all spaces.
    pub(super) fn counters(&self) -> u64 {
        let counters = self.all.iter().map(|reading| reading.head.seq);
        counters.fold(0, u64::saturating_add)
    }
}

/// Returns the place, or none if the space must start.
fn accept(place: Option<Place>, head: Head, alone: bool) -> Result<Option<Place>, ServerError> {
    let Some(place) = place else {
        return Ok(None);
    };
    let furthest = place.after.max(place.live_until);
    // The store was restored without a new epoch.
    if furthest > head.seq || furthest > MAX_VERSION {
        return Err(ServerError::cursor(
            "epochChanged",
            "The cursor is ahead of the server, which must have been restored.",
        ));
    }
    if furthest >= head.floor {
        return Ok(Some(place));
    }
    if alone {
        return Err(ServerError::cursor(
            "cursorExpired",
            "The cursor is older than the deletions that the server still knows.",
        ));
    }
    Ok(None)
}
