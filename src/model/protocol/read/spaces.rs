//! Reads what a page tells of spaces.

use super::{Cause, ReplyObject, wrong};
use crate::model::error::Result;
use crate::model::protocol::{WirePlace, WireSpace, WireStart};
use crate::util::json::scan;

pub(super) fn list(json: &str) -> Result<Vec<WireSpace<'_>>, Cause> {
    let mut spaces = Vec::new();
    for space in scan::array(json).map_err(|_| wrong("spaces", "a list", json))? {
        let space = ReplyObject::read(space)?;
        spaces.push(WireSpace {
            id: space.needed("id")?,
            role: space.needed("role")?,
        });
    }
    Ok(spaces)
}

pub(super) fn starts(json: &str) -> Result<Vec<WireStart<'_>>, Cause> {
    let mut starts = Vec::new();
    for start in scan::array(json).map_err(|_| wrong("starts", "a list", json))? {
        let start = ReplyObject::read(start)?;
        starts.push(WireStart {
            space: start.text("space")?,
            at: start.number("at")?.ok_or(Cause::Missing("at"))?,
            kept: start.hint("kept"),
        });
    }
    Ok(starts)
}

pub(super) fn place(json: &str) -> Result<WirePlace<'_>, Cause> {
    let place = ReplyObject::read(json)?;
    Ok(WirePlace {
        space: place.text("space")?,
        version: place.number("version")?.ok_or(Cause::Missing("version"))?,
    })
}
