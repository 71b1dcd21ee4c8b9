//! What a page tells of spaces.

use std::borrow::Cow;

use crate::model::protocol::PullPage;

impl PullPage<'_> {
    /// Returns whether the remote has shared spaces, as far as this page tells, which was pulled
    /// `from` a cursor.
    #[must_use]
    pub fn support(&self, from: Option<&str>) -> Option<bool> {
        match self.spaces {
            Some(_) => Some(true),
            None => from.is_none().then_some(false),
        }
    }
}

/// A shared space in a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireSpace<'a> {
    pub id: Cow<'a, str>,
    /// `reader`, `writer` or `owner`.
    pub role: Cow<'a, str>,
}

/// A space that comes from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireStart<'a> {
    /// The space; `None` for the user's own.
    pub space: Option<Cow<'a, str>>,
    /// The space's counter at that moment.
    pub at: u64,
    /// Like [`PullPage::kept`], of this space.
    pub kept: Option<u64>,
}

/// The place of a row that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WirePlace<'a> {
    /// The space; `None` for the user's own.
    pub space: Option<Cow<'a, str>>,
    /// The row's version there.
    pub version: u64,
}
