//! An entity as a reader sees it.

use crate::log::address::BodyId;

/// An entity as a reader sees it: its pending write if it has one, else the synced row.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// `None` for a deleted entity of which no body is kept.
    pub body: Option<ViewBody<'a>>,
    /// The server's version; 0 until it has one.
    pub version: u64,
    pub deleted: bool,
    /// Fields of a rejected patch that replace those of the body, as a JSON object.
    pub over: Option<&'a str>,
}

/// The location of a view's body.
#[derive(Debug, Clone)]
pub enum ViewBody<'a> {
    /// In memory.
    Text(&'a str),
    /// In a segment that must be fetched first.
    Absent {
        segment: BodyId,
        offset: u32,
        len: u32,
    },
}

impl<'a> View<'a> {
    /// A live entity without overlaid fields.
    #[must_use]
    pub const fn live(body: Option<ViewBody<'a>>, version: u64) -> Self {
        Self {
            body,
            version,
            deleted: false,
            over: None,
        }
    }

    /// A tombstone.
    #[must_use]
    pub const fn deleted(body: Option<ViewBody<'a>>, version: u64) -> Self {
        Self {
            body,
            version,
            deleted: true,
            over: None,
        }
    }
}
