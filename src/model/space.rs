//! Shared spaces: sets of rows that several users read and write by their roles.

/// The entity type of a space itself: one row, in the space, with the space's id.
pub const SPACE: &str = "$space";

/// The entity type of a member, in the space: its id is the space's, a slash, and the user's.
pub const MEMBER: &str = "$member";

/// What to do where a remote lacks spaces.
pub const NO_SPACES: &str = "The remote has no shared spaces. One that has them, such as an adapter, returns `spaces` with each page from a null cursor: the user's list, which may be empty.";

/// Returns true for the entity types of spaces themselves and their members.
#[must_use]
pub fn is_reserved(entity: &str) -> bool {
    matches!(entity, SPACE | MEMBER)
}

/// What a member may do in a space. Each may do what those before may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    #[default]
    Reader,
    /// Writes rows.
    Writer,
    /// Writes the space and its members.
    Owner,
}

impl Role {
    /// Each role with its name in the protocol.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("reader", Self::Reader),
        ("writer", Self::Writer),
        ("owner", Self::Owner),
    ];

    /// Reads a name; a role that a later protocol adds may at least read.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map_or(Self::Reader, |(_, role)| *role)
    }

    /// Returns its name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Owner => "owner",
        }
    }
}

/// A shared space in the user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The space's id.
    pub space: String,
    /// The user's own role.
    pub role: Role,
}
