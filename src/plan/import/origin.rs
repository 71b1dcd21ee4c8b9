//! Whether a file's versions and rows are those of a log.

use crate::log::known_server::Meeting;
use crate::model::error::{Code, Error, Result};
use crate::state::replica::Replica;
use crate::transfer::file::FileHeader;

/// Checks that a file's versions are those of this log, unless everything comes as new.
///
/// # Errors
/// Fails with [`Code::UserMismatch`] or [`Code::OtherServer`], naming the fix.
pub fn check_origin(header: &FileHeader, replica: &Replica, as_new: bool) -> Result<()> {
    if as_new {
        return Ok(());
    }
    let (theirs, ours) = (&*header.user_id, replica.user_id());
    if theirs != ours {
        let fix = format!(
            "The file is of the user `{theirs}`, and is imported for `{ours}`; to copy its entities to `{ours}` as new writes, give `asNew: true`."
        );
        return Err(Error::new(Code::UserMismatch, fix).for_user(ours));
    }
    let server = &header.server;
    let meeting = (replica.server()).meets(server.id.as_deref(), server.address.as_deref());
    if meeting == Meeting::Other {
        let fix = format!(
            "The file is of the server `{}`, and this user's data belongs to `{}`; to offer its entities to that server as new writes, give `asNew: true`.",
            server.name(),
            replica.server().name()
        );
        return Err(Error::new(Code::OtherServer, fix).for_user(ours));
    }
    if !replica.is_of(header.epoch.as_deref()) {
        let fix = "The server was restored from a backup since the file was made, so that its versions mean nothing now; to offer its entities as new writes, give `asNew: true`.";
        return Err(Error::new(Code::OtherServer, fix).for_user(ours));
    }
    Ok(())
}
