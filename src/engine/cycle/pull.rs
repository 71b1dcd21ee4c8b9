//! Pull: pages until the remote has no more, the next one fetched while the last is committed.

use futures_util::future::{LocalBoxFuture, join};

use crate::engine::cycle::Cycle;
use crate::engine::cycle::retry::worth_another_try;
use crate::engine::events::Topic;
use crate::log::address::Seq;
use crate::log::commit::Event;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PageReader, PullPage, PullRequest};
use crate::model::status::Phase;
use crate::plan::page::{PagePlanner, PageRules};
use crate::plan::restore::EpochPlanner;
use crate::plan::row_planner::{Decisions, Incoming};
use crate::ports::host::Host;
use crate::ports::remote::{Pulled, Remote};
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::put;

/// A cycle starts a pull afresh this often at most: for a lost cursor, a new epoch, a drift.
const MAX_RESTARTS: u32 = 3;

/// How a run over the pages ended.
enum Ended {
    /// At the remote's end.
    Reached,
    /// The cursor leads nowhere any more: from the beginning.
    Afresh,
    /// Another tab has moved the cursor: from where it stands now.
    Overtaken,
}

/// So many rows are read at least before the browser gets its turn.
const ROWS_AT_ONCE: usize = 128;

/// The browser gets its turn when reading has gone on for so long, in milliseconds: half of the
/// time of one frame.
const AT_ONCE_MS: u64 = 8;

/// A page that came quicker, in milliseconds, and with fewer bytes than this is followed by one of
/// twice as many rows: what a long pull waits for is the way there and back.
const QUICK_MS: u64 = 1_000;

const SMALL_PAGE: usize = 1024 * 1024;

/// The most rows of a page that nobody has asked for. Planning one goes on without a break.
const MAX_ROWS: usize = 4_000;

struct Answer {
    bytes: Vec<u8>,
    asked_at: u64,
    /// How long it took, in milliseconds.
    took: u64,
}

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Pulls everything that is new; progress moves from `from` to `to`.
    pub(crate) async fn pull(&self, from: f64, to: f64) -> Result<()> {
        let scope = self
            .settings
            .scope
            .as_ref()
            .map(crate::model::config::Scope::cursor_name)
            .unwrap_or_default();
        let entities: VecMap<()> = match self
            .settings
            .scope
            .as_ref()
            .and_then(|scope| scope.entities.as_ref())
        {
            Some(entities) => entities.iter().map(|name| (name.as_str(), ())).collect(),
            None => self.config.entities.keys().map(|name| (name, ())).collect(),
        };
        let entities: Vec<String> = entities.keys().map(str::to_owned).collect();
        let mut fresh = self.settings.force_full_sync
            || (scope.is_empty() && self.db.read(|replica| replica.damage().needs_full_pull));
        let mut restarts = 0_u32;
        loop {
            let cursor = if fresh {
                None
            } else {
                self.usable_cursor(&scope, &entities)
            };
            match self
                .pages(&scope, &entities, cursor, (from, to), restarts > 0)
                .await?
            {
                Ended::Reached => return Ok(()),
                Ended::Afresh => {
                    fresh = true;
                    self.db
                        .record(Durability::Relaxed, &|_| {
                            vec![Event::ResetCursor {
                                scope: scope.clone(),
                            }]
                        })
                        .await?;
                }
                Ended::Overtaken => fresh = false,
            }
            restarts = restarts.saturating_add(1);
            if restarts > MAX_RESTARTS {
                return Err(Error::new(
                    Code::Protocol,
                    "The remote gives no cursor that holds: every pull has to start afresh.",
                ));
            }
        }
    }

    /// The cursor, where it was made for these entity types: a type that the app has added since
    /// would otherwise never get the rows that came before.
    fn usable_cursor(&self, scope: &str, entities: &[String]) -> Option<String> {
        self.db.read(|replica| {
            replica
                .cursor(scope)
                .filter(|state| state.entities.as_deref() == Some(entities))
                .and_then(|state| state.cursor.clone())
        })
    }

    fn fetch<'a>(
        &'a self,
        cursor: Option<String>,
        entities: &'a [String],
        limit: usize,
    ) -> LocalBoxFuture<'a, Result<Option<Answer>>> {
        Box::pin(async move {
            let user_id = self.db.read(|replica| replica.user_id().to_owned());
            let request = PullRequest {
                client_id: self.device_id.to_owned(),
                user_id: Some(user_id.clone()),
                schema: self.config.schema,
                entities: Some(entities.to_vec()),
                scope: self
                    .settings
                    .scope
                    .as_ref()
                    .and_then(|scope| scope.query.clone()),
                epoch: self
                    .db
                    .read(|replica| replica.facts().epoch.clone())
                    .filter(|_| cursor.is_none()),
                cursor,
                limit,
                wait_ms: None,
            };
            let (asked_at, began) = (self.host.now_ms(), self.host.elapsed_ms());
            match self
                .attempt(worth_another_try, || self.remote.pull(&user_id, &request))
                .await?
            {
                Pulled::Page(bytes) => Ok(Some(Answer {
                    bytes,
                    asked_at,
                    took: self.host.elapsed_ms().saturating_sub(began),
                })),
                Pulled::CursorGone => Ok(None),
            }
        })
    }

    async fn pages(
        &self,
        scope: &str,
        entities: &[String],
        mut cursor: Option<String>,
        (from, to): (f64, f64),
        again: bool,
    ) -> Result<Ended> {
        self.show(Phase::Pulling, from);
        let known = self.db.read(|replica| replica.facts().epoch.clone());
        let began_afresh = cursor.is_none();
        let since = self.db.read(Replica::head);
        let mut seen = VecMap::default();
        let mut pulled = 0_u64;
        let mut limit = self.settings.batch_size;
        let mut next = self.fetch(cursor.clone(), entities, limit).await?;
        loop {
            let Some(answer) = next else {
                return Ok(Ended::Afresh);
            };
            let page = self.read(&answer.bytes).await?;
            {
                let mut tally = self.tally.borrow_mut();
                tally.bytes_pulled = tally.bytes_pulled.saturating_add(answer.bytes.len() as u64);
            }
            self.learn(page.server_time.as_deref(), answer.asked_at);
            if let (Some(left), Some(epoch)) = (known.as_deref(), page.epoch.as_deref())
                && left != epoch
            {
                // The server was restored: versions and cursors of before mean nothing now.
                if cursor.is_some() {
                    return Ok(Ended::Afresh);
                }
                self.enter(left, epoch, page.kept).await?;
            }
            if page.more && seen.insert(&page.cursor, ()).is_some() {
                return Err(Error::new(
                    Code::Protocol,
                    "The remote says that there is more, but repeats a cursor; each page must move on.",
                ));
            }
            self.show(Phase::Applying, 0.0);
            if self.settings.grows
                && self.remote.takes_any_limit()
                && answer.took < QUICK_MS
                && answer.bytes.len() < SMALL_PAGE
            {
                limit = limit.saturating_mul(2).min(MAX_ROWS);
            }
            // Polled first: the request is on its way while the page is planned.
            let ahead = async {
                if page.more {
                    self.fetch(Some(page.cursor.to_string()), entities, limit)
                        .await
                } else {
                    Ok(None)
                }
            };
            let (fetched, applied) = join(
                ahead,
                self.apply_page(&page, scope, entities, cursor.as_deref(), since),
            )
            .await;
            let Some(incoming) = applied? else {
                return Ok(Ended::Overtaken);
            };
            pulled = pulled.saturating_add(page.changes.len() as u64);
            self.count_page(&incoming);
            if let Some(offered) = incoming.restored {
                self.tell(Topic::ServerRestored, None, &mut |out| {
                    put(out, "offeredAgain", &offered)
                });
            }
            let total = pulled.saturating_add(page.remaining.unwrap_or(0)).max(1);
            self.show(
                Phase::Pulling,
                from + (to - from) * (pulled as f64 / total as f64),
            );
            if !page.more {
                // Another tab may have pushed since the pages were asked for: a first full pull is
                // repeated once.
                return self.compare_digests(&page, scope, entities, began_afresh && again);
            }
            cursor = Some(page.cursor.to_string());
            next = fetched?;
        }
    }

    /// Reads a page, and lets the browser do its part in between: a large page, or one that cold
    /// code reads, takes longer than a page of the app's may stand still.
    async fn read<'p>(&self, bytes: &'p [u8]) -> Result<PullPage<'p>> {
        let mut reader = PageReader::new(bytes)?;
        let mut began = self.host.elapsed_ms();
        loop {
            let more = reader.read(ROWS_AT_ONCE)?;
            if self.host.elapsed_ms().saturating_sub(began) >= AT_ONCE_MS {
                self.host.breathe().await;
                began = self.host.elapsed_ms();
            }
            if !more {
                return reader.finish();
            }
        }
    }

    /// Begins the history of a restored server, unless another tab has.
    async fn enter(&self, left: &str, epoch: &str, kept: Option<u64>) -> Result<()> {
        let now = self.host.now_ms();
        let mut planner = EpochPlanner {
            left,
            epoch,
            kept,
            now,
        };
        self.db.commit(Durability::Strict, &mut planner).await
    }

    /// Commits one page. Returns none if the cursor is no longer where the page was pulled from.
    async fn apply_page(
        &self,
        page: &PullPage<'_>,
        scope: &str,
        entities: &[String],
        cursor: Option<&str>,
        since: Seq,
    ) -> Result<Option<Incoming>> {
        let mut planner = PagePlanner {
            page,
            rules: PageRules {
                from: cursor,
                since,
                scope,
                whole: self
                    .settings
                    .scope
                    .as_ref()
                    .is_none_or(|scope| scope.query.is_none()),
                entities: Some(entities),
                include_deletes: self.settings.include_deletes,
                known: &|entity| entities.iter().any(|name| name == entity),
                soft: &self.soft(),
                policies: &|entity| self.config.policies(entity),
            },
            decisions: Decisions::default(),
            context: self.db.plan_context(),
        };
        self.commit_resolving(self.config.pulled, &mut planner)
            .await
    }

    fn count_page(&self, incoming: &Incoming) {
        self.count_conflicts(&incoming.resolved);
        let mut tally = self.tally.borrow_mut();
        for (entity, rows) in incoming.pulled.iter() {
            tally.pulled_count = tally.pulled_count.saturating_add(*rows);
            let entity = tally.entities.entry(entity);
            entity.pulled = entity.pulled.saturating_add(*rows);
        }
    }

    /// At the remote's end both sides must hold the same. A drift is mended by one full pull; one
    /// that survives it is shown, for then the remote contradicts itself.
    fn compare_digests(
        &self,
        page: &PullPage<'_>,
        scope: &str,
        entities: &[String],
        full: bool,
    ) -> Result<Ended> {
        let (Some(digests), true) = (&page.digests, scope.is_empty()) else {
            return Ok(Ended::Reached);
        };
        let drifted = self.db.read(|replica| {
            entities.iter().find(|entity| {
                let ours = replica.digest(entity).wire();
                let theirs = digests
                    .get(entity)
                    .cloned()
                    .unwrap_or_else(|| crate::model::digest::Digest::default().wire());
                ours != theirs
            })
        });
        let Some(entity) = drifted else {
            return Ok(Ended::Reached);
        };
        if full {
            self.warn(
                &Error::new(
                    Code::Protocol,
                    "The remote's digest differs from the rows that it sent, even after a full pull; check how it counts and hashes.",
                )
                .on(entity, None),
            );
            return Ok(Ended::Reached);
        }
        Ok(Ended::Afresh)
    }
}
