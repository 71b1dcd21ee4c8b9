//! Reads the options of a manager's calls.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::entities::DEFAULT_PAGE;
use crate::js::arguments::read_string;
use crate::js::convert::read_options;
use crate::model::config::DeleteBehavior;
use crate::model::config::relations::read_depends_on;
use crate::model::entity::{OWN_FIELDS, OwnedKey, check_space_id};
use crate::model::error::{Code, Result};
use crate::plan::write::Write;

/// `ReadOptions`.
pub(super) struct ReadOptions {
    pub(super) user_id: Option<String>,
    pub(super) space: Option<String>,
    pub(super) include_deleted: bool,
}

/// `WriteOptions` and `DeleteOptions`.
pub(super) struct WriteOptions {
    pub(super) user_id: Option<String>,
    pub(super) space: Option<String>,
    pub(super) after: Rc<[OwnedKey]>,
    /// Only of a delete.
    pub(super) behavior: Option<DeleteBehavior>,
    /// Only of a patch: the names of the fields that it removes.
    pub(super) removed: Vec<String>,
}

/// `PageRequest`.
pub(super) struct PageOptions {
    pub(super) size: usize,
    pub(super) after: Option<String>,
}

/// Reads `UserOption`: the user that it names.
pub(in crate::js) fn read_user_option(value: &JsValue) -> Result<Option<String>> {
    let given = read_options(value, Code::InvalidArgument, "The options", &[])?;
    let mut given = given.members()?;
    let user_id = given.text("userId");
    given.finish()?;
    Ok(user_id)
}

/// Reads `SpaceOption`: the user and the space that it names.
pub(super) fn read_space_option(value: &JsValue) -> Result<(Option<String>, Option<String>)> {
    let given = read_options(value, Code::InvalidArgument, "The options", &[])?;
    let mut given = given.members()?;
    let option = (given.text("userId"), given.space("spaceId"));
    given.finish()?;
    Ok(option)
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
    pub(super) fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(value, Code::InvalidArgument, "The options", &[])?;
        let mut given = given.members()?;
        let options = Self {
            user_id: given.text("userId"),
            space: given.space("spaceId"),
            include_deleted: given.flag("includeDeleted").unwrap_or_default(),
        };
        given.finish()?;
        Ok(options)
    }
}

/// The write whose options are read: some have an option of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionsOf {
    Write,
    Patch,
    Delete,
}

pub(super) fn read_write_options(value: &JsValue, of: OptionsOf) -> Result<WriteOptions> {
    let what = if of == OptionsOf::Delete {
        "The options of `delete`"
    } else {
        "The options"
    };
    let given = read_options(value, Code::InvalidArgument, what, &[])?;
    let mut given = given.members()?;
    let mut options = WriteOptions {
        user_id: given.text("userId"),
        space: given.space("spaceId"),
        after: read_depends_on(&mut given),
        behavior: None,
        removed: Vec::new(),
    };
    match of {
        OptionsOf::Write => {}
        OptionsOf::Patch => {
            options.removed = given.texts("remove").unwrap_or_default();
            if let Some(own) = options
                .removed
                .iter()
                .find(|name| OWN_FIELDS.contains(&name.as_str()))
            {
                let problem = format!("names `{own}`, which every entity has; leave it out.");
                given.reject::<()>("remove", &problem);
            }
        }
        OptionsOf::Delete => options.behavior = given.choice("behavior", &DeleteBehavior::NAMES),
    }
    given.finish()?;
    Ok(options)
}

impl PageOptions {
    pub(super) fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(value, Code::InvalidArgument, "The page", &[])?;
        let mut given = given.members()?;
        let options = Self {
            size: match given.number("size") {
                None => DEFAULT_PAGE,
                Some(size) if size.fract() == 0.0 && (1.0..=1e6).contains(&size) => size as usize,
                // The engine refuses 0 by name.
                Some(_) => 0,
            },
            after: given.text("after"),
        };
        given.finish()?;
        Ok(options)
    }
}

/// Splits a user and what is selected; without a user, nothing is.
pub(super) fn split(place: Result<(String, Rc<str>)>) -> (Result<String>, Rc<str>) {
    match place {
        Ok((user, selection)) => (Ok(user), selection),
        Err(error) => (Err(error), Rc::from("")),
    }
}
