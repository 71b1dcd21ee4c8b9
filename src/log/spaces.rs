//! What a commit says about spaces. The personal space has the empty id here.

use crate::log::address::Seq;
use crate::log::codec::{Input, Output};
use crate::model::space::{Joined, Role};

/// Where a row went that has left its space here but has not come there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limbo {
    /// The table that it goes to.
    pub to: String,
    /// Its version there.
    pub version: u64,
}

/// One change of what is known of spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpaceEvent {
    /// The remote's whole list of shared spaces, in the order of joining.
    List {
        list: Vec<Joined>,
        /// The head when it was asked for: it decides about spaces that were made before.
        asked: Seq,
    },
    /// The remote has made a space for this device.
    Made { space: String },
    /// A space comes from its beginning, in this page of a scope and those that follow.
    Start {
        scope: String,
        space: String,
        /// The space's counter.
        at: u64,
    },
    /// The pull of a scope ended: rows of the spaces that began in it, not later than they began,
    /// and not confirmed since, are gone.
    EndStarts {
        scope: String,
        /// Only rows of these entity types; `None` for all.
        entities: Option<Vec<String>>,
    },
    /// The pages of a space have told everything up to a version.
    Passed { space: String, version: u64 },
    /// A row has left its space, and is shown until it comes to another; or it is no more on its
    /// way.
    Moving {
        table: String,
        id: String,
        limbo: Option<Limbo>,
    },
    /// The user has left a space: its rows go.
    Leave { space: String },
    /// The last version of a space that a restored server has kept; said before its epoch.
    Kept { space: String, version: u64 },
    /// Whether the remote has shared spaces.
    Support { has: bool },
}

pub(super) fn put(out: &mut Output, event: &SpaceEvent) {
    match event {
        SpaceEvent::List { list, asked } => {
            out.byte(0);
            out.number(list.len() as u64);
            for joined in list {
                out.text(&joined.space);
                out.text(joined.role.name());
            }
            out.number(*asked);
        }
        SpaceEvent::Made { space } => {
            out.byte(1);
            out.text(space);
        }
        SpaceEvent::Start { scope, space, at } => {
            out.byte(2);
            out.text(scope);
            out.text(space);
            out.number(*at);
        }
        SpaceEvent::EndStarts { scope, entities } => {
            out.byte(3);
            out.text(scope);
            out.maybe_texts(entities.as_deref());
        }
        SpaceEvent::Passed { space, version } => {
            out.byte(4);
            out.text(space);
            out.number(*version);
        }
        SpaceEvent::Moving { table, id, limbo } => {
            out.byte(5);
            out.text(table);
            out.text(id);
            out.maybe_text(limbo.as_ref().map(|limbo| &*limbo.to));
            out.number(limbo.as_ref().map_or(0, |limbo| limbo.version));
        }
        SpaceEvent::Leave { space } => {
            out.byte(6);
            out.text(space);
        }
        SpaceEvent::Kept { space, version } => {
            out.byte(7);
            out.text(space);
            out.number(*version);
        }
        SpaceEvent::Support { has } => out.byte(if *has { 9 } else { 8 }),
    }
}

pub(super) fn get(input: &mut Input<'_>) -> Option<SpaceEvent> {
    Some(match input.byte()? {
        0 => {
            let mut list = Vec::new();
            for _ in 0..input.number()? {
                list.push(Joined {
                    space: input.text()?,
                    role: Role::read(&input.text()?),
                });
            }
            SpaceEvent::List {
                list,
                asked: input.number()?,
            }
        }
        1 => SpaceEvent::Made {
            space: input.text()?,
        },
        2 => SpaceEvent::Start {
            scope: input.text()?,
            space: input.text()?,
            at: input.number()?,
        },
        3 => SpaceEvent::EndStarts {
            scope: input.text()?,
            entities: input.maybe_texts()?,
        },
        4 => SpaceEvent::Passed {
            space: input.text()?,
            version: input.number()?,
        },
        5 => SpaceEvent::Moving {
            table: input.text()?,
            id: input.text()?,
            limbo: {
                let (to, version) = (input.maybe_text()?, input.number()?);
                to.map(|to| Limbo { to, version })
            },
        },
        6 => SpaceEvent::Leave {
            space: input.text()?,
        },
        7 => SpaceEvent::Kept {
            space: input.text()?,
            version: input.number()?,
        },
        8 => SpaceEvent::Support { has: false },
        9 => SpaceEvent::Support { has: true },
        _ => return None,
    })
}
