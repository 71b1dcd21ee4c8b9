//! Export and import of one user's data: for backups, for support, and to move to another server or
//! device.
//!
//! An export is of one state of the log, and holds a segment in memory at a time. An import reads
//! the whole file first, since only its end says that it is whole; then it is one commit. So what
//! fails half-way has written nothing, and a tab sees all of it at once.

use std::rc::Rc;

use serde::Serialize;

use crate::engine::auto_sync::Signal;
use crate::engine::cycle::cancel::Cancel;
use crate::engine::database::trace;
use crate::engine::{Backing, Transfer, User};
use crate::log::address::BodyId;
use crate::model::error::{Code, Error, Result};
use crate::plan::export::{BodyGone, Snapshot, WriteStep};
use crate::plan::import::origin::check_origin;
use crate::plan::import::{Existing, ImportPlanner, Imported};
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::transfer::file::{FileHeader, UserFile};
use crate::transfer::write::FileWriter;
use crate::util::cell::RefCell;

/// The size of an export's chunks, but for one long line.
const CHUNK_BYTES: usize = 64 * 1024;

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Who gets the data; by default the current user, or else the file's.
    pub user_id: Option<String>,
    pub existing: Existing,
    /// The file's entities become new writes, also for another user, server or history.
    pub as_new: bool,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// `ImportResult` of the public surface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportResult {
    pub user_id: String,
    pub dry_run: bool,
    pub added: u64,
    pub overwritten: u64,
    pub kept: u64,
    pub unchanged: u64,
    pub skipped: u64,
    /// Operations that are pending now, and were not before.
    pub pending_operations: u64,
    pub conflicts: u64,
    pub dead_letters: u64,
}

impl<B: Backing, R: Remote, H: Host + 'static> Transfer<'_, B, R, H> {
    /// Starts the export of a user's data, as it is now; with the fields that never leave the
    /// device if `local_only` says so.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn export(self, user_id: &str, local_only: bool) -> Result<UserExport<B::Store, H>> {
        let user = self.engine.user_for_question(user_id).await?;
        user.db.catch_up().await?;
        let (schema, now) = (self.engine.config.schema, self.engine.host.now_ms());
        let snapshot = user
            .db
            .read(|replica| Snapshot::take(replica, schema, now, local_only));
        Ok(UserExport {
            lines: snapshot.lines(),
            lost: user.db.peek(|replica| replica.place().lost),
            user,
            snapshot: RefCell::new(snapshot),
            writer: RefCell::default(),
            held: RefCell::default(),
        })
    }

    /// Returns the trace of a user's database as the text of a file.
    ///
    /// # Errors
    /// Fails with [`Code::Unsupported`] without a trace; errors of the storage.
    pub async fn trace(self, user_id: &str) -> Result<String> {
        let user = self.engine.user_for_question(user_id).await?;
        let mut key = [0; 16];
        self.engine.host.random(&mut key);
        trace::export(&user.db, key).await
    }

    /// Checks the first line of a file. Returns the user who gets its data.
    ///
    /// # Errors
    /// Fails with [`Code::ClientOutdated`] for a newer schema, [`Code::Migration`] for an older one
    /// that the app's migrations change, [`Code::InvalidArgument`] for entity
    /// types that the config lacks, [`Code::UserMismatch`] and [`Code::OtherServer`] for data of
    /// another user or server.
    pub fn check(self, header: &FileHeader, options: &ImportOptions) -> Result<String> {
        let target = options.user_id.clone();
        let target = target.or_else(|| self.engine.current_user());
        let target = target.unwrap_or_else(|| header.user_id.clone());
        let ours = self.engine.config.schema;
        if header.schema > ours {
            let fix = format!(
                "The file has `schemaVersion` {}, and this app has {ours}; update the app, then import it again.",
                header.schema
            );
            return Err(Error::new(Code::ClientOutdated, fix).for_user(&target));
        }
        let migrations = self.engine.migrations.borrow().clone();
        let changes = |entity: &String| {
            let chain = migrations.as_ref();
            chain.is_some_and(|chain| chain.changes(entity, header.schema))
        };
        if header.schema < ours && header.entities.iter().any(changes) {
            let fix = format!(
                "The file has `schemaVersion` {}, and the app's migrations to {ours} change its entities, which an import does not do; import it with an app of version {}, which migrates when it is updated.",
                header.schema, header.schema
            );
            return Err(Error::new(Code::Migration, fix).for_user(&target));
        }
        for entity in &header.entities {
            self.engine.check_entity(entity).map_err(|error| {
                let text = [
                    "The file has an entity type that is unknown here. ",
                    error.message(),
                ];
                Error::new(error.code(), text.concat())
            })?;
        }
        match self.engine.opened(&target) {
            Some(user) => user
                .db
                .peek(|replica| check_origin(header, replica, options.as_new))?,
            None if target != header.user_id && !options.as_new => {
                let replica = crate::state::replica::Replica::new(&target, 0);
                check_origin(header, &replica, false)?;
            }
            None => {}
        }
        Ok(target)
    }

    /// Imports a file in one commit: all of it, or nothing. `cancel` stops it until then, also
    /// while it waits for a cycle.
    ///
    /// # Errors
    /// As for [`Self::check`]; [`Code::AlreadyExists`] if the options say so,
    /// [`Code::Cancelled`]; also with errors of the storage.
    pub async fn import(
        self,
        file: &UserFile,
        options: &ImportOptions,
        cancel: &Cancel,
    ) -> Result<ImportResult> {
        let target = self.check(&file.header, options)?;
        let types = file.rows.iter().chain(&file.local_only);
        let types = types.map(|row| &row.entity).chain(
            (file.operations.iter())
                .chain(file.dead_letters.iter().map(|letter| &letter.op))
                .map(|op| &op.entity),
        );
        self.check_types(types)?;
        let user = if options.dry_run {
            self.engine.user_for_question(&target).await?
        } else {
            // An import for a user whose data was removed starts a new database.
            self.engine.open_users.set_gone(&target, false);
            self.engine.user(&target).await?
        };
        // A cycle plans its pages against what was here when it asked for them.
        let turn = cancel.run(async { Ok(user.cycle.turn.lock().await) });
        let turn = turn.await.map_err(|_| stopped())?;
        user.db.catch_up().await?;
        cancel.check().map_err(|_| stopped())?;
        let mut planner = ImportPlanner {
            file,
            existing: options.existing,
            as_new: options.as_new,
            dry_run: options.dry_run,
            context: user.db.plan_context(),
        };
        let done = user
            .db
            .commit(self.engine.config.local, &mut planner)
            .await?;
        drop(turn);
        if !options.dry_run {
            self.engine.after_commit(&user, NoteReason::Wrote);
            if done.operations > 0 {
                self.engine.auto_sync().signal(Signal::Wrote(&target));
            }
        }
        Ok(result_of(target, options.dry_run, &done))
    }

    /// Checks the types of all lines: the first line may not name them.
    fn check_types<'a>(self, tables: impl Iterator<Item = &'a String>) -> Result<()> {
        let mut last = "";
        for table in tables {
            let entity = crate::model::table::Table(table).entity();
            if entity != last && !crate::model::space::is_reserved(entity) {
                self.engine.check_entity(entity)?;
            }
            last = entity;
        }
        Ok(())
    }
}

fn stopped() -> Error {
    Error::new(
        Code::Cancelled,
        "The import was stopped by its signal; nothing was imported.",
    )
}

fn gone_error(gone: BodyGone) -> Error {
    match gone {
        BodyGone::Changed => Error::new(
            Code::StorageBlocked,
            "The data has changed and was compacted while it was exported; export it again.",
        ),
        BodyGone::Lost => Error::new(
            Code::StorageBlocked,
            "The browser has removed the stored data while it was exported; export what was saved of it again.",
        ),
        BodyGone::Damaged => Error::new(
            Code::Corrupt,
            "A stored row cannot be read; read all entities of the type and sync, which mends it, then export again.",
        ),
    }
}

const fn result_of(user_id: String, dry_run: bool, done: &Imported) -> ImportResult {
    ImportResult {
        user_id,
        dry_run,
        added: done.added,
        overwritten: done.overwritten,
        kept: done.kept,
        unchanged: done.unchanged,
        skipped: done.skipped,
        pending_operations: done.operations,
        conflicts: done.conflicts,
        dead_letters: done.dead_letters,
    }
}

/// An export that is being read.
#[derive(Debug)]
pub struct UserExport<S, H> {
    user: Rc<User<S, H>>,
    snapshot: RefCell<Snapshot>,
    writer: RefCell<FileWriter>,
    /// The segment whose rows are being written.
    held: RefCell<Option<(BodyId, Rc<[u8]>)>>,
    lines: u64,
    /// How many logs were lost before the one that is exported.
    lost: u64,
}

impl<S: Store, H: Host> UserExport<S, H> {
    /// Returns the next lines; `None` at the end.
    ///
    /// # Errors
    /// Fails with [`Code::StorageBlocked`] if the log was compacted meanwhile and a row has changed
    /// since the export began, or if the log was lost; [`Code::Corrupt`] if a row cannot be read; also with errors of the
    /// storage, and with [`Code::Closed`].
    pub async fn next(&self) -> Result<Option<String>> {
        loop {
            self.user.db.check_open()?;
            if self.user.db.peek(|replica| replica.place().lost) != self.lost {
                return Err(gone_error(BodyGone::Lost).for_user(&self.user.id));
            }
            let needed = match self.write() {
                WriteStep::Done => return Ok(None),
                WriteStep::Wrote => return Ok(Some(self.writer.borrow_mut().take())),
                WriteStep::Needs(segment) => segment,
            };
            if let Some(bytes) = self.user.db.body(needed).await? {
                self.held.replace(Some((needed, bytes)));
                continue;
            }
            self.user.db.catch_up().await?;
            let found = self
                .user
                .db
                .read(|replica| self.snapshot.borrow_mut().relocate(replica, needed));
            found.map_err(|gone| gone_error(gone).for_user(&self.user.id))?;
        }
    }

    /// Returns how many of how many lines were written.
    pub fn progress(&self) -> (u64, u64) {
        (self.writer.borrow().lines(), self.lines.saturating_add(2))
    }

    fn write(&self) -> WriteStep {
        let held = self.held.borrow();
        let (mut snapshot, mut writer) = (self.snapshot.borrow_mut(), self.writer.borrow_mut());
        self.user.db.peek(|replica| {
            let bodies = |id| match &*held {
                Some((segment, bytes)) if *segment == id => Some(&**bytes),
                _ => replica.segments().resident(id).map(|bytes| &**bytes),
            };
            snapshot.write(&mut writer, CHUNK_BYTES, &bodies)
        })
    }
}
