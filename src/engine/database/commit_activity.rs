//! Tells of commits.

use crate::engine::activity::{ActivityKind, Span};
use crate::engine::database::{Database, Source};
use crate::ports::host::Host;
use crate::ports::store::{AppendError, Store};
use crate::schedule::Moment;
use crate::state::replica::Replica;
use crate::util::json::write::{put, put_text};

/// Returns the time, if anybody reads of commits.
pub(super) fn began<S: Store, H: Host>(db: &Database<S, H>) -> Option<Moment> {
    db.activity.get()?.now()
}

/// Tells of an attempt to append a record. It is cancelled if another tab was first.
pub(super) fn tell_append<S: Store, H: Host>(
    db: &Database<S, H>,
    began: Moment,
    source: Source,
    bytes: usize,
    appended: &Result<(), AppendError>,
) {
    let Some(mut span) = span(db, began, "append", source) else {
        return;
    };
    match appended {
        Ok(()) => {
            put(span.note(), "bytes", &bytes);
            span.end(None);
        }
        Err(AppendError::Failed(error)) => span.end(Some(error)),
        Err(AppendError::Stale) => {}
    }
}

/// Tells that records of another tab were read.
pub(super) fn tell_read<S: Store, H: Host>(db: &Database<S, H>, began: Moment) {
    if let Some(span) = span(db, began, "read", Source::OtherTab) {
        span.end(None);
    }
}

fn span<S: Store, H: Host>(
    db: &Database<S, H>,
    began: Moment,
    name: &str,
    source: Source,
) -> Option<Span> {
    let user_id = db.peek(|replica: &Replica| replica.user_id().to_owned());
    let kind = match source {
        Source::Remote => ActivityKind::Commit,
        Source::Local | Source::OtherTab => ActivityKind::LoneCommit,
    };
    let mut span = db.activity.get()?.span(began, kind, name, &user_id);
    put_text(span.note(), "source", source.name());
    Some(span)
}
