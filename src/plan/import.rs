//! Takes a file's rows and operations into a log, in one commit: all of it, or nothing.
//!
//! | the entity is here | the file's history is this one | what is done |
//! |---|---|---|
//! | no, and nothing was pulled to its end | yes | its row and its operations come as they are |
//! | with the same version, nothing pending | yes | its operations come as they are |
//! | no, or deleted | yes; no, with `as_new` | it is created: a new operation |
//! | with another state | yes; no, with `as_new` | as [`Existing`] says |
//!
//! Operations that come as they are keep their ids, so that the server knows those that were sent
//! from where the file was made. Rows that come as they are are checked by a full pull: it removes
//! what the server no longer has. A history is a server and its epoch. The file of another one, or
//! of another user, says nothing that is true of the rows here: its entities are offered as new
//! writes, if the app wants that.

use crate::conflict::same_content;
use crate::log::commit::{Commit, Event};
use crate::log::known_server::KnownServer;
use crate::log::spaces::SpaceEvent;
use crate::model::entity::{Key, times};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind, join_links};
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::import::origin::check_origin;
use crate::plan::restore::written_at;
use crate::plan::trace::{Described, handed_over};
use crate::plan::{Plan, Planned, Planner};
use crate::state::kept_rejections::overlaid;
use crate::state::local_only;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::transfer::file::{FileRow, UserFile};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;
use crate::util::collections::vec_map::VecMap;

pub mod origin;

/// What becomes of an entity that is here in another state than in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// What is here stays.
    #[default]
    Keep,
    /// What is in the file becomes a pending write.
    Overwrite,
    /// The whole import fails.
    Fail,
}

impl Existing {
    /// Each with its public name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("keep", Self::Keep),
        ("overwrite", Self::Overwrite),
        ("fail", Self::Fail),
    ];
}

/// What an import has done, or would do. The first five count entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entities that were not here.
    pub added: u64,
    /// Entities whose state here was replaced.
    pub overwritten: u64,
    /// Entities that stay as they are here, though the file differs.
    pub kept: u64,
    /// Entities that were here already, as in the file.
    pub unchanged: u64,
    /// Entities that do not come along: those of shared spaces.
    pub skipped: u64,
    /// Operations that are pending now, and were not before.
    pub operations: u64,
    pub conflicts: u64,
    pub dead_letters: u64,
}

/// Plans the import of a file.
#[derive(Debug)]
pub struct ImportPlanner<'a> {
    pub file: &'a UserFile,
    pub existing: Existing,
    /// Everything comes as new writes.
    pub as_new: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for ImportPlanner<'_> {
    type Output = Imported;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Imported>>> {
        check_origin(&self.file.header, replica, self.as_new)?;
        let moves = self.file.operations.iter();
        let moves = moves.filter(|op| op.kind == OperationKind::Move);
        let mut import = Import {
            planner: self,
            replica,
            is_complete: replica.cursor("").is_some_and(|main| main.reached_end),
            moves: moves.collect(),
            missing: SeqMap::default(),
            commit: Commit::default(),
            rows: Vec::new(),
            as_is: VecMap::default(),
            new: Vec::new(),
            done: Imported::default(),
        };
        import.entities()?;
        if !import.missing.is_empty() {
            return Ok(Plan::Needs(import.missing.keys()));
        }
        let (commit, done) = import.finish();
        Ok(Plan::Ready(if self.dry_run {
            Planned::nothing(done)
        } else {
            Planned::new(commit, done)
        }))
    }

    fn describe(&self) -> Option<Described> {
        let mut names = Existing::NAMES.iter();
        let existing = names.find(|(_, it)| *it == self.existing)?.0;
        let how = (existing, self.as_new, self.dry_run);
        Some(handed_over::import(self.file, how, &self.context))
    }
}

/// An import under construction.
struct Import<'a> {
    planner: &'a ImportPlanner<'a>,
    replica: &'a Replica,
    /// What the server has is here; what is not here was deleted.
    is_complete: bool,
    /// The file's moves between spaces, in order.
    moves: Vec<&'a Operation>,
    /// Bodies that must be fetched first.
    missing: SeqMap<()>,
    commit: Commit,
    /// Rows that come as they are.
    rows: Vec<&'a FileRow>,
    /// Entities whose operations come as they are, by the table of the first one.
    as_is: VecMap<OrderedMap<()>>,
    /// Operations for what comes as new, with the time when their entity was created.
    new: Vec<(Option<String>, usize, Operation)>,
    done: Imported,
}

impl<'a> Import<'a> {
    fn entities(&mut self) -> Result<()> {
        let file = self.planner.file;
        let mut chains: VecMap<OrderedMap<Vec<&'a Operation>>> = VecMap::default();
        for op in &file.operations {
            let ids = chains.entry(origin(&self.moves, op));
            match ids.get_mut(&op.id) {
                Some(chain) => chain.push(op),
                None => drop(ids.insert(&op.id, vec![op])),
            }
        }
        for row in &file.rows {
            let chain = chains
                .get_mut(&row.entity)
                .and_then(|ids| ids.remove(&row.id));
            let key = Key::new(&row.entity, &row.id);
            self.entity(&key, Some(row), &chain.unwrap_or_default())?;
        }
        for (entity, ids) in chains.iter() {
            for (id, chain) in ids.iter() {
                self.entity(&Key::new(entity, id), None, chain)?;
            }
        }
        Ok(())
    }

    fn entity(
        &mut self,
        key: &Key<'_>,
        row: Option<&'a FileRow>,
        chain: &[&'a Operation],
    ) -> Result<()> {
        if !self.planner.as_new && self.takes_as_is(key, row, chain) {
            return Ok(());
        }
        let is_own = Table(key.entity).space().is_none() && !is_reserved(key.entity);
        if !is_own || chain.iter().any(|op| op.kind == OperationKind::Move) {
            self.done.skipped = self.done.skipped.saturating_add(1);
            return Ok(());
        }
        let body = match chain.last() {
            Some(op) => op.body.clone(),
            None => row
                .filter(|row| !row.deleted || row.held)
                .and_then(|row| row.body.clone()),
        };
        // What is deleted in the file deletes nothing here.
        let Some(body) = body else {
            return Ok(());
        };
        let is_here = self.replica.is_visible(key);
        if is_here && self.has_same(key, &body) {
            self.done.unchanged = self.done.unchanged.saturating_add(1);
            return Ok(());
        }
        let count = match (is_here, self.planner.existing) {
            (false, _) => &mut self.done.added,
            (true, Existing::Overwrite) => &mut self.done.overwritten,
            (true, Existing::Keep) => {
                self.done.kept = self.done.kept.saturating_add(1);
                return Ok(());
            }
            (true, Existing::Fail) => {
                return Err(Error::new(
                    Code::AlreadyExists,
                    "The file has an entity that is here in another state. Nothing was imported; give `existing: \"keep\"` or `\"overwrite\"`.",
                )
                .on(key.entity, Some(key.id)));
            }
        };
        *count = count.saturating_add(1);
        let offset = self.replica.facts().clock_offset;
        let now = self.planner.context.now;
        // What overwrites is written now; what is added has its age, so that what was written there
        // since wins.
        let at = written_at(&body, offset)
            .filter(|_| !is_here)
            .unwrap_or(now);
        let created = times(&body).created_at;
        let mut op = Operation::new(String::new(), *key, OperationKind::Create, Some(body), at);
        let live = self.replica.row(key).filter(|row| !row.deleted);
        if let Some(last) = self.replica.outbox().last(key) {
            (op.kind, op.base_version) = (OperationKind::Update, last.base_version);
        } else if let Some(live) = live {
            (op.kind, op.base_version) = (OperationKind::Update, Some(live.version));
        }
        for earlier in chain {
            join_links(&mut op.links, &earlier.links);
        }
        self.new.push((created, self.new.len(), op));
        Ok(())
    }

    /// Returns true if readers see this body, or if what they see must be fetched first.
    fn has_same(&mut self, key: &Key<'_>, body: &str) -> bool {
        let Some(view) = self.replica.view(key) else {
            return false;
        };
        match (view.body, view.over) {
            (Some(ViewBody::Text(here)), None) => same_content(here, body),
            (Some(ViewBody::Text(here)), Some(over)) => same_content(&overlaid(here, over), body),
            (Some(ViewBody::Absent { segment, .. }), _) => {
                self.missing.insert(segment, ());
                true
            }
            (None, _) => false,
        }
    }

    /// Takes an entity's row and operations as they are, if nothing here speaks against it.
    fn takes_as_is(
        &mut self,
        key: &Key<'_>,
        row: Option<&'a FileRow>,
        chain: &[&'a Operation],
    ) -> bool {
        let (replica, here) = (self.replica, self.replica.row(key));
        let is_known = |op: &&Operation| {
            replica.outbox().knows(&op.op_id) || replica.dead_letters().contains(&op.op_id)
        };
        let same_version = match (row, here) {
            (None, None) => true,
            (Some(row), Some(here)) => row.version == here.version && row.deleted == here.deleted,
            _ => false,
        };
        if same_version && (chain.is_empty() || chain.iter().all(is_known)) {
            self.done.unchanged = self.done.unchanged.saturating_add(1);
            return true;
        }
        let is_absent = here.is_none() && replica.view(key).is_none();
        let is_member = Table(key.entity).space().is_none_or(|space| {
            replica.spaces().list().is_empty() || replica.spaces().role(space).is_some()
        });
        let comes = match row {
            // A write of an entity that the server did not have.
            None => is_absent,
            Some(_) if same_version => replica.outbox().last(key).is_none(),
            Some(_) => is_absent && !self.is_complete,
        };
        if !comes || !is_member {
            return false;
        }
        if let Some(row) = row.filter(|_| !same_version) {
            self.rows.push(row);
        }
        let shows = match chain.last() {
            Some(op) => op.kind != OperationKind::Delete,
            None => row.is_some_and(|row| !row.deleted || row.held),
        };
        if is_absent && shows {
            self.done.added = self.done.added.saturating_add(1);
        }
        if !chain.is_empty() {
            self.as_is.entry(key.entity).insert(key.id, ());
        }
        true
    }

    fn finish(mut self) -> (Commit, Imported) {
        self.put_rows();
        self.put_local_only();
        self.put_operations();
        self.put_letters();
        (self.commit, self.done)
    }

    fn put_rows(&mut self) {
        handed_over::put_rows(&self.rows, None, &mut self.commit);
        if self.rows.is_empty() && self.as_is.is_empty() {
            return;
        }
        // Versions and bases mean nothing without their server.
        let (header, events) = (&self.planner.file.header, &mut self.commit.events);
        if *self.replica.server() == KnownServer::default()
            && header.server != *self.replica.server()
        {
            events.push(Event::Server {
                server: header.server.clone(),
            });
        }
        events.extend(self.replica.first_epoch(header.epoch.as_deref()));
        if self.replica.spaces().list().is_empty() && !header.spaces.is_empty() {
            events.push(Event::Space {
                what: SpaceEvent::List {
                    list: header.spaces.clone(),
                    asked: self.replica.head(),
                },
            });
        }
        events.push(Event::NeedFullPull);
    }

    /// Takes local-only fields where none are, or where the file's entity overwrites.
    fn put_local_only(&mut self) {
        let fields = &self.planner.file.local_only;
        for fields in fields.chunk_by(|a, b| a.entity == b.entity) {
            let entity = fields.first().map_or("", |row| &row.entity);
            let comes = |row: &&FileRow| {
                let key = Key::new(entity, &row.id);
                let is_shared = Table(entity).space().is_some();
                let overwrites = self.planner.existing == Existing::Overwrite;
                (overwrites || self.replica.local_only().get(&key).is_none())
                    && !(is_shared && self.planner.as_new)
            };
            let fields = fields.iter().filter(comes);
            let fields = fields.map(|row| (&*row.id, row.body.as_deref()));
            let segment = local_only::written(entity, fields);
            if !segment.entries.is_empty() {
                self.commit.segments.push(segment);
            }
        }
    }

    fn put_operations(&mut self) {
        let file = self.planner.file;
        for op in &file.operations {
            let ids = self.as_is.get(origin(&self.moves, op));
            if ids.is_some_and(|ids| ids.get(&op.id).is_some())
                && !self.replica.outbox().knows(&op.op_id)
                && !self.replica.dead_letters().contains(&op.op_id)
            {
                self.done.operations = self.done.operations.saturating_add(1);
                self.commit.queue(op.clone(), Vec::new());
            }
        }
        // In the order in which they were made, so that parents come before their children.
        let mut order: Vec<(Option<&str>, usize)> = (self.new.iter())
            .map(|(created, index, _)| (created.as_deref(), *index))
            .collect();
        sort(&mut order);
        for (place, (_, index)) in order.into_iter().enumerate() {
            if let Some((.., op)) = self.new.get(index) {
                let op_id = self.planner.context.op_id(place);
                let op = Operation {
                    op_id,
                    ..op.clone()
                };
                self.done.operations = self.done.operations.saturating_add(1);
                self.commit.queue(op, Vec::new());
            }
        }
    }

    fn put_letters(&mut self) {
        let file = self.planner.file;
        for conflict in &file.conflicts {
            let ids = self.as_is.get(&conflict.entity);
            if ids.is_some_and(|ids| ids.get(&conflict.entity_id).is_some()) {
                self.done.conflicts = self.done.conflicts.saturating_add(1);
                self.commit.events.push(Event::Park {
                    conflict: conflict.clone(),
                });
            }
        }
        let mut dead_letters = file.dead_letters.clone();
        dead_letters.retain(|letter| {
            let is_known = self.replica.dead_letters().contains(&letter.op.op_id)
                || self.replica.outbox().knows(&letter.op.op_id);
            let stays = self.planner.as_new && letter.op.is_shared();
            !is_known && !stays
        });
        if !dead_letters.is_empty() {
            self.done.dead_letters = dead_letters.len() as u64;
            self.commit.events.push(Event::DeadLetters { dead_letters });
        }
    }
}

/// Returns the table that an operation's entity comes from: of one that follows a move, the table
/// where the move begins.
fn origin<'a>(moves: &[&'a Operation], op: &'a Operation) -> &'a str {
    let mut table = &*op.entity;
    for moved in moves.iter().rev() {
        if moved.id == op.id && moved.to.as_deref() == Some(table) {
            table = &moved.entity;
        }
    }
    table
}
