//! Errors: a code, a message and a cause.
//!
//! Programs branch on [`Code`], never on the message. The message is for people: it names what was
//! wrong and how to fix it. The same code string reaches JavaScript as `error.code`.

use std::borrow::Cow;
use std::fmt;

use crate::model::table::Table;
use serde::{Serialize, Serializer};

/// The stable name of a failure, as `DatumError.code` in TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// `Datum.initialize` has not finished.
    NotInitialized,
    /// No user is signed in, and the call named none.
    NoUser,
    /// The configuration has an unknown key or a wrong value.
    InvalidConfig,
    /// An argument of a call is wrong.
    InvalidArgument,
    /// An entity cannot be stored as it is.
    InvalidEntity,
    /// The entity does not exist here.
    NotFound,
    /// An entity with this id exists already.
    AlreadyExists,
    /// The browser reports that there is no network.
    Offline,
    /// The request did not reach the remote, or its answer was lost.
    Network,
    /// The work took longer than it was allowed to.
    Timeout,
    /// The caller, a pause or a close stopped the work.
    Cancelled,
    /// The remote does not accept the token, nor a fresh one.
    Unauthorized,
    /// The remote knows the user and refuses.
    Forbidden,
    /// The remote will never accept this.
    Rejected,
    /// The remote failed.
    ServerError,
    /// The remote asked for fewer requests.
    RateLimited,
    /// The remote's answer does not follow the protocol.
    Protocol,
    /// The remote needs a newer client.
    ClientOutdated,
    /// The data belongs to another user.
    UserMismatch,
    /// Another server answers than the one that the data belongs to.
    OtherServer,
    /// Unsynced operations stand in the way.
    UnsyncedData,
    /// Both sides changed, and nothing decided between them.
    Conflict,
    /// The browser gives no storage.
    StorageUnavailable,
    /// The storage quota is used up.
    StorageFull,
    /// The browser removed the stored data.
    StorageLost,
    /// Another tab holds the database at an older version.
    StorageBlocked,
    /// The user is no member of the shared space.
    NotMember,
    /// The user may only read in the shared space.
    ReadOnly,
    /// Only an owner of the shared space may do this.
    NotOwner,
    /// The remote cannot do this: it has no shared spaces.
    Unsupported,
    /// Other entities refer to the one to delete, and a relation keeps it for them.
    Restricted,
    /// Stored bytes do not match their checksum.
    Corrupt,
    /// A schema migration failed.
    Migration,
    /// This instance has been closed.
    Closed,
    /// The engine stopped on a fault of its own; reload the page.
    EngineDead,
}

impl Code {
    const ALL: [Self; 35] = [
        Self::NotInitialized,
        Self::NoUser,
        Self::InvalidConfig,
        Self::InvalidArgument,
        Self::InvalidEntity,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Offline,
        Self::Network,
        Self::Timeout,
        Self::Cancelled,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Rejected,
        Self::ServerError,
        Self::RateLimited,
        Self::Protocol,
        Self::ClientOutdated,
        Self::UserMismatch,
        Self::OtherServer,
        Self::UnsyncedData,
        Self::Conflict,
        Self::StorageUnavailable,
        Self::StorageFull,
        Self::StorageLost,
        Self::StorageBlocked,
        Self::NotMember,
        Self::ReadOnly,
        Self::NotOwner,
        Self::Unsupported,
        Self::Restricted,
        Self::Corrupt,
        Self::Migration,
        Self::Closed,
        Self::EngineDead,
    ];

    /// Returns the code with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Returns true if the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Offline
            | Self::Network
            | Self::Timeout
            | Self::Cancelled
            | Self::ServerError
            | Self::RateLimited
            | Self::StorageBlocked => true,
            Self::NotInitialized
            | Self::NoUser
            | Self::InvalidConfig
            | Self::InvalidArgument
            | Self::InvalidEntity
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Unauthorized
            | Self::Forbidden
            | Self::Rejected
            | Self::Protocol
            | Self::ClientOutdated
            | Self::UserMismatch
            | Self::OtherServer
            | Self::UnsyncedData
            | Self::Conflict
            | Self::StorageUnavailable
            | Self::StorageFull
            | Self::StorageLost
            | Self::NotMember
            | Self::ReadOnly
            | Self::NotOwner
            | Self::Unsupported
            | Self::Restricted
            | Self::Corrupt
            | Self::Migration
            | Self::Closed
            | Self::EngineDead => false,
        }
    }

    /// Returns the code as JavaScript sees it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInitialized => "notInitialized",
            Self::NoUser => "noUser",
            Self::InvalidConfig => "invalidConfig",
            Self::InvalidArgument => "invalidArgument",
            Self::InvalidEntity => "invalidEntity",
            Self::NotFound => "notFound",
            Self::AlreadyExists => "alreadyExists",
            Self::Offline => "offline",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Rejected => "rejected",
            Self::ServerError => "serverError",
            Self::RateLimited => "rateLimited",
            Self::Protocol => "protocol",
            Self::ClientOutdated => "clientOutdated",
            Self::UserMismatch => "userMismatch",
            Self::OtherServer => "otherServer",
            Self::UnsyncedData => "unsyncedData",
            Self::Conflict => "conflict",
            Self::StorageUnavailable => "storageUnavailable",
            Self::StorageFull => "storageFull",
            Self::StorageLost => "storageLost",
            Self::StorageBlocked => "storageBlocked",
            Self::NotMember => "notMember",
            Self::ReadOnly => "readOnly",
            Self::NotOwner => "notOwner",
            Self::Unsupported => "unsupported",
            Self::Restricted => "restricted",
            Self::Corrupt => "corrupt",
            Self::Migration => "migration",
            Self::Closed => "closed",
            Self::EngineDead => "engineDead",
        }
    }
}

// Fails to compile if a code is missing in `ALL`.
const _: () = assert!(Code::ALL.len() == Code::EngineDead as usize + 1);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The result of anything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: a stable [`Code`], a message for people, and what is known about the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    code: Code,
    message: Cow<'static, str>,
    entity: Option<String>,
    entity_id: Option<String>,
    user_id: Option<String>,
    status: Option<u16>,
    retry_after_ms: Option<u64>,
    cause: Option<String>,
}

impl Error {
    /// Makes an error. The message names what was wrong and how to fix it.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::bare(code, message.into())
    }

    // Not inlined: errors are made at hundreds of places, each of which would fill in all fields.
    #[inline(never)]
    fn bare(code: Code, message: Cow<'static, str>) -> Self {
        Self(Box::new(Detail {
            code,
            message,
            entity: None,
            entity_id: None,
            user_id: None,
            status: None,
            retry_after_ms: None,
            cause: None,
        }))
    }

    /// Adds the entity type and, if there is one, the id.
    #[must_use]
    pub fn on(mut self, entity: &str, id: Option<&str>) -> Self {
        self.0.entity = Some(Table(entity).entity().to_owned());
        self.0.entity_id = id.map(str::to_owned);
        self
    }

    /// Adds the user.
    #[must_use]
    pub fn for_user(mut self, user_id: &str) -> Self {
        self.0.user_id = Some(user_id.to_owned());
        self
    }

    /// Adds the HTTP status of the remote's reply.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds how long the remote asked to wait, in milliseconds.
    #[must_use]
    pub fn with_retry_after(mut self, ms: Option<u64>) -> Self {
        self.0.retry_after_ms = ms;
        self
    }

    /// Adds the cause, in the words of the browser, the server or the parser.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.0.code
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The entity type that this was about.
    #[must_use]
    pub fn entity(&self) -> Option<&str> {
        self.0.entity.as_deref()
    }

    /// The entity's id.
    #[must_use]
    pub fn entity_id(&self) -> Option<&str> {
        self.0.entity_id.as_deref()
    }

    /// The user that this was about.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }

    /// The HTTP status, if the remote answered.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The wait that the remote asked for, in milliseconds.
    #[must_use]
    pub const fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms
    }

    /// Returns the cause.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Returns true if the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.0.code.is_retryable()
    }

    /// Returns the error as data, for the status, the metadata and the last result.
    #[must_use]
    pub fn to_json(&self, at: String) -> ErrorJson {
        ErrorJson {
            code: self.0.code,
            message: self.0.message.to_string(),
            retryable: self.is_retryable(),
            at,
            entity: self.0.entity.clone(),
            entity_id: self.0.entity_id.clone(),
            status: self.0.status,
            retry_after_ms: self.0.retry_after_ms,
            cause: self.0.cause.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)?;
        match &self.0.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// `DatumErrorJson` of the public surface: a failure that was stored or put in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorJson {
    /// The stable code.
    pub code: Code,
    /// The message for people.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
    /// When it happened, ISO 8601 UTC.
    pub at: String,
    /// The entity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The entity's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The wait that the remote asked for, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What led to it, in the words of the browser, the server or the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_of_the_public_surface_is_known_by_its_name() {
        let types = include_str!("../js/types.d.ts");
        let union = types
            .split("export type DatumErrorCode =")
            .nth(1)
            .and_then(|rest| rest.split("\n\n").next())
            .unwrap_or_default();
        let names: Vec<&str> = union
            .lines()
            .filter_map(|line| line.trim().strip_prefix("| \"")?.split('"').next())
            .collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert_eq!(Code::named(name).map(Code::as_str), Some(name));
        }
        assert_eq!(Code::named("odd"), None);
    }
}
