//! Reads a query from the JSON text that crosses the border, and checks all of it.

use crate::model::error::Result;
use crate::query::cell::Cell;
use crate::query::cursor;
use crate::query::fields::FieldPaths;
use crate::query::filter::Node;
use crate::query::read::fault::{fault, item, member, unknown};
use crate::query::read::filter::FilterReader;
use crate::util::hash::hash;
use crate::util::json::equal::canonical;
use crate::util::json::members::Members;
use crate::util::json::number::whole;
use crate::util::json::scan;

mod fault;
pub(super) mod field;
mod filter;

const MEMBERS: [&str; 7] = [
    "where",
    "orderBy",
    "limit",
    "offset",
    "after",
    "with",
    "includeDeleted",
];

const MAX_ORDER: usize = 16;

/// One key of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderKey {
    pub(super) slot: usize,
    pub(super) descending: bool,
    /// Where null is, whatever the direction; `None` leaves it below all other values.
    pub(super) nulls_first: Option<bool>,
}

/// A query that has been checked. Read once, used for every entity.
#[derive(Debug)]
pub struct Query {
    pub(super) paths: FieldPaths,
    pub(super) filter: Node,
    pub(super) order: Vec<OrderKey>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    /// The sort key after which the result begins.
    pub(super) after: Option<Box<[u8]>>,
    pub(super) include_deleted: bool,
    /// What the conditions and the order are, for cursors.
    pub(super) fingerprint: u32,
    with: Vec<String>,
}

impl Query {
    /// Reads a query about an entity type.
    ///
    /// # Errors
    /// Fails with `invalidArgument`; the message has the path of the field and the fix.
    pub fn read(json: &str, entity: &str) -> Result<Self> {
        Self::read_parts(json, entity).map_err(|error| error.on(entity, None))
    }

    fn read_parts(json: &str, entity: &str) -> Result<Self> {
        let Ok(members) = Members::parse(json) else {
            return Err(fault(
                "",
                "must be an object, such as { where: { field: \"done\", equals: false }, limit: 50 }.",
            ));
        };
        if let Some((name, _)) = members.iter().find(|(name, _)| !MEMBERS.contains(name)) {
            return Err(unknown("", name, &MEMBERS));
        }
        let get = |name: &str| members.get(name).filter(|value| *value != "null");
        let mut paths = FieldPaths::default();
        let filter = match get("where") {
            Some(json) => FilterReader::new(&mut paths).node(json, "where")?,
            None => Node::All(Vec::new()),
        };
        let order =
            get("orderBy").map_or_else(|| Ok(Vec::new()), |json| order(json, &mut paths))?;
        let include_deleted =
            get("includeDeleted").map_or(Ok(false), |json| flag(json, "includeDeleted"))?;
        let mut query = Self {
            fingerprint: 0,
            filter,
            limit: get("limit").map(|json| count(json, "limit")).transpose()?,
            offset: get("offset").map_or(Ok(0), |json| count(json, "offset"))?,
            after: None,
            include_deleted,
            with: get("with").map_or_else(|| Ok(Vec::new()), texts)?,
            order,
            paths,
        };
        query.fingerprint = query.print(entity, get("where").unwrap_or_default());
        if let Some(json) = get("after") {
            let mut room = Vec::new();
            let text = Cell::read(json.as_bytes()).text(&mut room);
            let key = cursor::read(text.unwrap_or_default(), query.fingerprint);
            query.after = Some(key.map_err(|problem| fault("after", problem))?);
        }
        Ok(query)
    }

    /// Returns the relations to read with each entity.
    #[must_use]
    pub fn with(&self) -> &[String] {
        &self.with
    }

    /// Returns true if conditions or order name `$syncState`.
    #[must_use]
    pub fn names_sync_state(&self) -> bool {
        self.paths.name_sync_state()
    }

    /// Returns how many entities from the first one on a list needs; `None` for all.
    #[must_use]
    pub fn window(&self) -> Option<usize> {
        self.limit.map(|limit| self.offset.saturating_add(limit))
    }

    /// Makes this the query of one page.
    ///
    /// # Errors
    /// Fails with `invalidArgument` if it has bounds of its own, and for a cursor that is not one
    /// of its pages.
    pub fn page(mut self, size: usize, after: Option<&str>) -> Result<Self> {
        for (name, is_there) in [
            ("limit", self.limit.is_some()),
            ("offset", self.offset > 0),
            ("after", self.after.is_some()),
        ] {
            if is_there {
                return Err(fault(
                    name,
                    "has no meaning in the query of a page; the page has `size` and `after`.",
                ));
            }
        }
        self.limit = Some(size);
        if let Some(after) = after {
            let key = cursor::read(after.as_bytes(), self.fingerprint);
            self.after = Some(key.map_err(|problem| fault("after", problem))?);
        }
        Ok(self)
    }

    /// Makes this a query for the number of its entities alone: order and bounds have no say.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.order.clear();
        (self.limit, self.offset, self.after) = (None, 0, None);
        self
    }

    /// Returns the hash of everything that a position in the result depends on.
    fn print(&self, entity: &str, filter: &str) -> u32 {
        let mut bytes = [entity, "\0", &canonical(filter), "\0"]
            .concat()
            .into_bytes();
        bytes.push(u8::from(self.include_deleted));
        for key in &self.order {
            for part in self.paths.path(key.slot) {
                bytes.extend_from_slice(part);
                bytes.push(0);
            }
            bytes.push(u8::from(key.descending));
            bytes.push(key.nulls_first.map_or(2, u8::from));
        }
        hash(&bytes) as u32
    }
}

fn order(json: &str, paths: &mut FieldPaths) -> Result<Vec<OrderKey>> {
    const FORM: &str = "must be an array such as [{ field: \"createdAt\", descending: true }].";
    let items = scan::array(json).map_err(|_| fault("orderBy", FORM))?;
    if items.len() > MAX_ORDER {
        return Err(fault("orderBy", "must not have more than 16 keys."));
    }
    let mut keys = Vec::with_capacity(items.len());
    for (index, json) in items.into_iter().enumerate() {
        let at = &item("orderBy", index);
        let members = Members::parse(json).map_err(|_| {
            fault(
                at,
                "must be an object such as { field: \"createdAt\", descending: true }.",
            )
        })?;
        let mut field = "null";
        let mut key = OrderKey {
            slot: 0,
            descending: false,
            nulls_first: None,
        };
        for (name, value) in members.iter() {
            let at_member = &member(at, name);
            match name {
                "field" => field = value,
                "descending" => key.descending = flag(value, at_member)?,
                "nulls" => {
                    key.nulls_first = Some(match value {
                        "\"first\"" => true,
                        "\"last\"" => false,
                        _ => return Err(fault(at_member, "must be \"first\" or \"last\".")),
                    });
                }
                _ => return Err(unknown(at, name, &["field", "descending", "nulls"])),
            }
        }
        if key.nulls_first == Some(!key.descending) {
            // Where it is anyway.
            key.nulls_first = None;
        }
        key.slot = paths.slot(&field::read(field, &member(at, "field"))?);
        keys.push(key);
    }
    Ok(keys)
}

fn flag(json: &str, at: &str) -> Result<bool> {
    match json {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(fault(at, "must be true or false.")),
    }
}

fn count(json: &str, at: &str) -> Result<usize> {
    whole(json)
        .filter(|count| *count <= crate::model::limits::MAX_VERSION)
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
        .ok_or_else(|| fault(at, "must be a whole number from 0; leave it out for none."))
}

/// Returns true if the text of a query asks for relations.
#[must_use]
pub fn asks_for_relations(json: &str) -> bool {
    let members = Members::parse(json);
    let with = members.iter().find_map(|members| members.get("with"));
    with.is_some_and(|with| !matches!(with, "null" | "[]"))
}

fn texts(json: &str) -> Result<Vec<String>> {
    const FORM: &str = "must be an array of names, such as [\"project.owner\"].";
    let items = scan::array(json).map_err(|_| fault("with", FORM))?;
    let names = items.iter().map(|json| scan::text(json).map(Into::into));
    names
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| fault("with", FORM))
}
