//! Brings a log to the app's schema version, before anything else is done with it: all rows and all
//! operations, in one checkpoint, or nothing.
//!
//! A lock lets one tab do the work while others wait for it, but nothing rests on it: whichever
//! checkpoint is appended first counts. A page that dies leaves the log as it was, and bodies that
//! nothing refers to, which the next checkpoint removes.

use futures_util::future::LocalBoxFuture;

use crate::engine::breaks::Breaks;
use crate::engine::database::{Database, INDEXED_ROWS, MAX_STALE, Source, load, overtaken, trace};
use crate::engine::migrations::Migrations;
use crate::log::commit::{Commit, Event};
use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::plan::migration::{
    self, MigrationBatch, MigrationDraft, MigrationRules, MigrationStep, count,
};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::json::write::Items;

/// How long a tab waits for another one that migrates, in milliseconds: one that was frozen must
/// not block it.
const PATIENCE_MS: u64 = 15_000;

/// How often it looks whether that one is done.
const POLL_MS: u64 = 50;

/// How many operations are written at once.
const STEP_OPERATIONS: usize = 5_000;

/// Returns true if the log has data of an earlier version of the app's schema.
pub(super) fn is_due<S: Store, H: Host>(db: &Database<S, H>) -> bool {
    db.peek(|replica| replica.head() > 0 && replica.schema() < db.schema.version())
}

/// Migrates a log that is being opened.
///
/// # Errors
/// As for [`boxed`]; then the database is closed.
pub(super) fn at_opening<'a, S: Store, H: Host>(
    db: &'a Database<S, H>,
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let turn = db.turn.lock().await;
        let migrated = migrate(db).await;
        drop(turn);
        if migrated.is_err() {
            db.abandon();
        }
        migrated
    })
}

/// Migrates the log, unless another tab does. The caller has the turn.
///
/// # Errors
/// Fails with [`crate::model::error::Code::Migration`] if a migration failed; then nothing has
/// changed. Errors of the store.
pub(super) fn boxed<'a, S: Store, H: Host>(
    db: &'a Database<S, H>,
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(migrate(db))
}

async fn migrate<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    let name = format!("datum-sync-migration:{}", db.name);
    let began = db.host.elapsed_ms();
    let guard = loop {
        match db.host.try_lock(&name).await {
            Ok(None) if db.host.elapsed_ms().saturating_sub(began) < PATIENCE_MS => {}
            // The browser may refuse locks.
            lock => break lock.ok().flatten(),
        }
        db.host.sleep(POLL_MS).await;
        db.catch_up_in_turn().await?;
        if !is_due(db) {
            return Ok(());
        }
    };
    db.catch_up_in_turn().await?;
    if trace::is_due(db) {
        trace::boxed(db).await;
    }
    let migrated = run(db).await;
    drop(guard);
    migrated
}

async fn run<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    let draft = MigrationDraft::new(db.schema.version());
    let mut draft = draft.traced(trace::is_kept(db));
    let mut from = db.peek(Replica::schema);
    for _ in 0..MAX_STALE {
        if !is_due(db) {
            return Ok(());
        }
        let schema = db.peek(Replica::schema);
        if schema != from {
            // A tab of a version between the two was first.
            from = schema;
            draft.start_over();
        }
        let Some(migrations) = &db.schema.migrations else {
            return state_version(db).await;
        };
        migrations.check(from)?;
        if pass(db, &mut draft, &**migrations, from).await?
            && write_ahead(db, &mut draft).await?
            && write(db, &mut draft).await?
        {
            return Ok(());
        }
        db.catch_up_in_turn().await?;
    }
    Err(overtaken())
}

/// States the app's version, where no migration changes anything.
async fn state_version<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    for _ in 0..MAX_STALE {
        if !is_due(db) {
            return Ok(());
        }
        let mut commit = Commit {
            events: vec![Event::Schema {
                version: db.schema.version(),
            }],
            ..Commit::default()
        };
        trace::plans(db, Some(migration::stated()).filter(|_| trace::is_kept(db)));
        if db
            .append(&mut commit, None, Durability::Strict, Source::Local)
            .await?
        {
            return Ok(());
        }
        db.catch_up_in_turn().await?;
    }
    Err(overtaken())
}

/// Migrates everything that was not migrated yet. Returns false if the log has grown meanwhile.
async fn pass<S: Store, H: Host>(
    db: &Database<S, H>,
    draft: &mut MigrationDraft,
    migrations: &dyn Migrations,
    from: u32,
) -> Result<bool> {
    let (schema, config) = (&db.schema, &db.schema.config);
    let changing = RefCell::new(Vec::new());
    let is_traced = trace::is_kept(db);
    let changes = |entity: &str, from: u32| {
        let changes = migrations.changes(entity, from);
        if is_traced && changes {
            changing.borrow_mut().push((entity.to_owned(), from));
        }
        changes
    };
    let rules = MigrationRules {
        from,
        to: schema.version(),
        field: config.schema_field.as_deref(),
        changes: &changes,
        local_only: &|entity| config.local_only(entity),
    };
    db.materialize().await;
    let (head, total, user_id) = db.read(|replica| {
        draft.begin(replica);
        (replica.head(), count(replica), replica.user_id().to_owned())
    });
    let progress =
        |done: u64| schema.tell(&user_id, db.host.now_ms(), (from, done.min(total), total));
    progress(0);
    let (mut done, mut breaks) = (0_u64, Breaks::new(&*db.host));
    loop {
        db.check_open()?;
        let step = db.read(|replica| draft.next(replica, &rules));
        for (entity, from) in changing.take() {
            if let Some(answers) = draft.answers() {
                answers.note_change(&entity, from);
            }
        }
        match step {
            MigrationStep::Fetch(bodies) => {
                db.update(|replica| replica.segments_mut().unpin());
                db.fetch_for_plan(&bodies).await?;
            }
            MigrationStep::Migrate(batch) => {
                done = done.saturating_add(batch.len() as u64);
                let made = if batch.is_empty() {
                    Vec::new()
                } else {
                    migrations.migrate(batch.entity(), batch.from(), &text_of(&batch))?
                };
                draft.put(batch, made, config.schema_field.as_deref())?;
            }
            MigrationStep::Done => break,
        }
        if breaks.is_due(&*db.host) {
            progress(done);
            breaks.take(&*db.host).await;
        }
    }
    progress(total);
    db.update(|replica| replica.segments_mut().unpin());
    draft.complete(head);
    // A damaged body was set aside, or another tab has written.
    Ok(db.peek(Replica::head) == head)
}

fn text_of(batch: &MigrationBatch) -> String {
    let mut items = Items::new(0);
    for entity in batch.entities() {
        items.open().push_str(entity);
    }
    items.close()
}

/// Writes long bodies ahead of the checkpoint. Returns false if another tab has written.
async fn write_ahead<S: Store, H: Host>(
    db: &Database<S, H>,
    draft: &mut MigrationDraft,
) -> Result<bool> {
    while let Some((places, mut commit)) = draft.ahead() {
        let seq = db.peek(Replica::head).saturating_add(1);
        if !db
            .append(&mut commit, None, Durability::Relaxed, Source::Local)
            .await?
        {
            return Ok(false);
        }
        draft.written(&places, seq);
        draft.complete(seq);
        db.host.breathe().await;
    }
    Ok(true)
}

/// Writes the checkpoint. Returns false if another tab has
/// written.
async fn write<S: Store, H: Host>(db: &Database<S, H>, draft: &mut MigrationDraft) -> Result<bool> {
    let planned = db.read(|replica| draft.checkpoint(replica));
    let Some((mut commit, superseded)) = planned else {
        draft.start_over();
        return Ok(false);
    };
    let mut next = Some(0);
    while let Some(from) = next {
        next =
            db.read(|replica| draft.write_operations(replica, &mut commit, from, STEP_OPERATIONS));
        db.host.breathe().await;
    }
    let answers = draft.answers();
    trace::plans(db, answers.map(|answers| answers.describe()));
    let appended = db.append(
        &mut commit,
        Some(superseded),
        Durability::Strict,
        Source::Local,
    );
    let is_written = appended.await?;
    if !is_written {
        draft.take_back(commit);
    }
    Ok(is_written)
}

/// Reads the log again, from the checkpoint that a migration has just written.
pub(super) async fn reload<S: Store, H: Host>(db: &Database<S, H>) -> Result<()> {
    let user_id = db.peek(|replica| replica.user_id().to_owned());
    let mut fresh = load(
        (&db.store, db.trace.as_deref()),
        &user_id,
        db.budget,
        db.schema.version(),
    )
    .await?;
    while fresh.materialize_some(INDEXED_ROWS) {
        db.host.breathe().await;
    }
    db.read(|replica| fresh.outbox_mut().inherit(replica.outbox()));
    db.memory.replace(fresh);
    Ok(())
}
