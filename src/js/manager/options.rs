//! Reads the options of a manager's calls.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::engine::entities::DEFAULT_PAGE;
use crate::js::arguments::read_string;
use crate::js::convert::read_options;
use crate::model::config::DeleteBehavior;
use crate::model::config::relations::read_depends_on;
use crate::model::entity::{OwnedKey, check_space_id};
use crate::model::error::Result;
use crate::plan::write::Write;

/// `ReadOptions`, or `QueryOptions`.
pub(super) struct ReadOptions {
    pub(super) user_id: Option<String>,
    pub(super) space: Option<String>,
    pub(super) include: Include,
}

/// `WriteOptions` and `DeleteOptions`.
pub(super) struct WriteOptions {
    pub(super) user_id: Option<String>,
    pub(super) space: Option<String>,
    pub(super) after: Rc<[OwnedKey]>,
    /// Only of a delete.
    pub(super) behavior: Option<DeleteBehavior>,
    /// Only of a delete: it follows the rules of relations.
    pub(super) cascade: bool,
    /// Only of a patch: the names of the fields that it removes.
    pub(super) removed: Vec<String>,
}

/// `PageRequest`.
pub(super) struct PageOptions {
    pub(super) size: usize,
    pub(super) after: Option<String>,
    /// The JSON text of a query.
    pub(super) query: Option<String>,
}

/// Reads `UserOption`: the user that it names.
pub(in crate::js) fn read_user_option(value: &JsValue) -> Result<Option<String>> {
    Ok(read_options(value, "user")?.data().text("userId"))
}

/// Reads `SpaceOption`: the user and the space that it names.
pub(super) fn read_space_option(value: &JsValue) -> Result<(Option<String>, Option<String>)> {
    let given = read_options(value, "space")?;
    let given = given.data();
    Ok((given.text("userId"), given.space("spaceId")))
}

/// Reads what a move says: the entity, and the space that it goes to.
pub(super) fn read_move(id: &JsValue, space: &JsValue) -> Result<Vec<Write>> {
    let id = read_string(id, "`id`")?;
    let to = match space.is_null() {
        true => None,
        false => Some(read_string(space, "`spaceId`")?),
    };
    if let Some(to) = &to {
        check_space_id(to)?;
    }
    Ok(vec![Write::Move { id, to }])
}

impl ReadOptions {
    /// Reads them; `kind` is `read` or `query`.
    pub(super) fn read(value: &JsValue, kind: &str) -> Result<Self> {
        let given = read_options(value, kind)?;
        let given = given.data();
        Ok(Self {
            user_id: given.text("userId"),
            space: given.space("spaceId"),
            include: Include {
                deleted: given.flag("includeDeleted").unwrap_or_default(),
                states: given.flag("withSyncState").unwrap_or_default(),
            },
        })
    }
}

/// Reads the options of a write; `kind` is `write`, `patch` or `delete`.
pub(super) fn read_write_options(value: &JsValue, kind: &str) -> Result<WriteOptions> {
    let given = read_options(value, kind)?;
    let given = given.data();
    Ok(WriteOptions {
        user_id: given.text("userId"),
        space: given.space("spaceId"),
        after: read_depends_on(given),
        behavior: given.choice("behavior", &DeleteBehavior::NAMES),
        cascade: given.flag("cascade").unwrap_or(true),
        removed: given.texts("remove").unwrap_or_default(),
    })
}

impl PageOptions {
    pub(super) fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(value, "page")?;
        let given = given.data();
        Ok(Self {
            size: given
                .whole("size")
                .map_or(DEFAULT_PAGE, |size| size as usize),
            after: given.text("after"),
            query: given.value("query").map(|query| query.to_string()),
        })
    }
}

/// Splits a user and what is selected; without a user, nothing is.
pub(super) fn split(place: Result<(String, Rc<str>)>) -> (Result<String>, Rc<str>) {
    match place {
        Ok((user, selection)) => (Ok(user), selection),
        Err(error) => (Err(error), Rc::from("")),
    }
}
