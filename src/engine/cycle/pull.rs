//! Pull: pages until the remote has no more. The next page is fetched while the last is read and
//! committed.

use std::cell::Cell;

use futures_util::future::LocalBoxFuture;

use crate::engine::cycle::call::Call;
use crate::engine::cycle::cancel::Stop;
use crate::engine::cycle::progress::ProgressRange;
use crate::engine::cycle::push::confirm::confirm;
use crate::engine::cycle::resolve::Resolving;
use crate::engine::cycle::retry::{may_be_too_much, worth_another_try};
use crate::engine::cycle::server::{NOTHING_SENT, meet, note_first};
use crate::engine::cycle::{Cycle, arrival};
use crate::engine::events::Topic;
use crate::log::address::Seq;
use crate::log::commit::Event;
use crate::model::config::Scope;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PullPage, PullRequest};
use crate::model::space::is_reserved;
use crate::plan::page::{PagePlanner, PageRules};
use crate::plan::restore::EpochPlanner;
use crate::plan::row_planner::{Decisions, Incoming};
use crate::ports::host::Host;
use crate::ports::remote::{Pulled, Remote};
use crate::ports::store::Store;
use crate::state::replica::LogPlace;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::put;

mod digests;
mod pages;

/// How often other tabs may overtake one cycle's pull.
const MAX_OVERTAKEN: u32 = 32;

/// How often one cycle may restart a pull: after a lost cursor, a new epoch or a drift.
const MAX_RESTARTS: u32 = 3;

/// After a page that took less than this, in milliseconds, and is smaller than [`SMALL_PAGE`], the
/// next one has twice as many rows: a long pull mostly waits for round trips.
const QUICK_MS: u64 = 1_000;

const SMALL_PAGE: usize = 1024 * 1024;

/// The most rows of a page unless the app sets the size. Planning a page does not yield.
const MAX_ROWS: usize = 4_000;

/// How a run over the pages ended.
enum RunEnd {
    /// The remote has no more changes.
    Reached,
    /// The cursor is no longer valid: restart from the beginning.
    StartAgain,
    /// Another tab has moved the cursor: continue from there. If it stands still, the page was
    /// older than what is known, and is asked for again.
    Overtaken(bool),
}

/// The bytes of a page.
struct PageBytes {
    bytes: Vec<u8>,
    /// The log's head and the scope's cursor when it was asked for.
    asked: Seq,
    cursor: Option<String>,
    /// How many rows were asked for.
    limit: usize,
    asked_at: u64,
    /// How long the request took, in milliseconds.
    took: u64,
}

fn no_cursor_holds() -> Error {
    Error::new(
        Code::Protocol,
        "The remote gives no cursor that holds: every pull has to start afresh.",
    )
}

/// One pull of one scope.
pub(crate) struct Pull<'c, S, R, H> {
    cycle: &'c Cycle<'c, S, R, H>,
    /// The name of the scope's cursor; empty for the main one.
    scope: String,
    entities: Vec<String>,
    progress: ProgressRange,
}

impl<'c, S: Store, R: Remote, H: Host> Pull<'c, S, R, H> {
    pub(crate) fn new(cycle: &'c Cycle<'c, S, R, H>, progress: ProgressRange) -> Self {
        let scope = cycle.settings.scope.as_ref();
        let chosen = scope.and_then(|scope| scope.entities.as_ref());
        // Sorted and without duplicates.
        let entities: VecMap<()> = match chosen {
            Some(chosen) => chosen.iter().map(|name| (name.as_str(), ())).collect(),
            None => cycle
                .config
                .entities
                .keys()
                .map(|name| (name, ()))
                .collect(),
        };
        Self {
            cycle,
            scope: scope.map(Scope::cursor_name).unwrap_or_default(),
            entities: entities.keys().map(str::to_owned).collect(),
            progress,
        }
    }

    /// Pulls all changes.
    pub(crate) async fn run(&self) -> Result<()> {
        let db = self.cycle.db;
        let mut from_start = self.cycle.settings.force_full_sync
            || (self.scope.is_empty() && db.read(|replica| replica.damage().needs_full_pull));
        let (mut restarts, mut overtaken) = (0_u32, 0_u32);
        loop {
            let cursor = if from_start {
                None
            } else {
                self.usable_cursor()
            };
            let again = restarts > 0 || overtaken > 0;
            match self.pages(cursor, again).await? {
                RunEnd::Reached => return Ok(()),
                RunEnd::StartAgain => {
                    restarts = restarts.saturating_add(1);
                    from_start = true;
                    let scope = &self.scope;
                    let reset = || Event::ResetCursor {
                        scope: scope.clone(),
                    };
                    db.record(Durability::Relaxed, &|_| vec![reset()]).await?;
                }
                // The other tab's pull makes progress. Without a lock, two can overtake each other.
                RunEnd::Overtaken(stands) => {
                    from_start &= stands;
                    overtaken = overtaken.saturating_add(1);
                }
            }
            if restarts > MAX_RESTARTS || overtaken > MAX_OVERTAKEN {
                return Err(no_cursor_holds());
            }
        }
    }

    /// Asks for the epoch alone: of the rows, it wants as few as can be, and leaves them.
    pub(crate) async fn ask_for_epoch(&self) -> Result<()> {
        let Some(answer) = self.fetch(None, 1).await? else {
            return Err(no_cursor_holds());
        };
        let page = self.read(&answer.bytes).await?;
        self.cycle.count_pulled_bytes(answer.bytes.len());
        meet(self.cycle, page.server_id.as_deref(), NOTHING_SENT)?;
        self.cycle
            .learn(page.server_time.as_deref(), answer.asked_at);
        note_first(self.cycle, &page).await
    }

    /// Returns the cursor if it was made for these entity types. Otherwise a type that the app has
    /// added since would never get its earlier rows.
    fn usable_cursor(&self) -> Option<String> {
        self.cycle.db.read(|replica| {
            replica
                .cursor(&self.scope)
                .filter(|state| state.entities.as_deref() == Some(&self.entities))
                .and_then(|state| state.cursor.clone())
        })
    }

    fn cursor_now(&self) -> Option<String> {
        self.cycle.db.read(|replica| {
            let state = replica.cursor(&self.scope);
            state.and_then(|state| state.cursor.clone())
        })
    }

    /// Requests a page. Returns `None` if the cursor is no longer valid.
    fn fetch(
        &self,
        cursor: Option<String>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Option<PageBytes>>> {
        Box::pin(async move {
            let cycle = self.cycle;
            let scope = cycle.settings.scope.as_ref();
            let (user_id, epoch) = cycle
                .db
                .read(|replica| (replica.user_id().to_owned(), replica.facts().epoch.clone()));
            let before = self.cursor_now();
            // A remote that has had none may have got spaces since.
            let (head, asks) = (cycle.db).read(|replica| {
                let spaces = replica.spaces();
                let asks = !spaces.made().is_empty() || spaces.support() == Some(false);
                (replica.head(), asks)
            });
            let request = |limit| PullRequest {
                client_id: cycle.device_id.to_owned(),
                user_id: Some(user_id.clone()),
                schema: cycle.config.schema,
                entities: Some(self.entities.clone()),
                scope: scope.and_then(|scope| scope.query.clone()),
                epoch: epoch.clone().filter(|_| cursor.is_none()),
                cursor: cursor.clone(),
                limit,
                wait_ms: None,
                spaces: asks,
            };
            let size = cycle.page_size;
            let (known, asked_at) = (size.known(), Cell::new((0, 0)));
            let rows = || size.limit(limit);
            let call = Call::of("pull", "limit", &rows);
            let ask = async || {
                let limit = size.limit(limit);
                asked_at.set((cycle.host.now_ms(), cycle.host.elapsed_ms()));
                let answer = cycle.remote.pull(&user_id, &request(limit)).await;
                match &answer {
                    Err(error) if may_be_too_much(error) && limit > 1 => size.page_failed(limit),
                    // Not even one row: the size is not the cause.
                    Err(_) => size.restore(known),
                    Ok(_) => {}
                }
                answer.map(|answer| (answer, limit))
            };
            let worth = |error: &Error| {
                worth_another_try(error) || (may_be_too_much(error) && size.known() != known)
            };
            let answer = cycle.attempt(&call, &worth, ask).await;
            if answer.is_err() && cycle.cancel.reason() == Some(Stop::Timeout) {
                size.too_slow(size.limit(limit));
            }
            let (answer, limit) = answer?;
            let (asked_at, began) = asked_at.get();
            match answer {
                Pulled::Page(bytes) => Ok(Some(PageBytes {
                    bytes: arrival::page(cycle, bytes)?,
                    asked: head,
                    cursor: before.clone(),
                    limit,
                    asked_at,
                    took: cycle.host.elapsed_ms().saturating_sub(began),
                })),
                Pulled::CursorGone => Ok(None),
            }
        })
    }

    /// Returns the rows of the next page: doubled after a quick one.
    fn next_limit(&self, limit: usize, answer: &PageBytes) -> usize {
        let may_grow = self.cycle.settings.grows && self.cycle.remote.takes_any_limit();
        if may_grow && answer.took < QUICK_MS && answer.bytes.len() < SMALL_PAGE {
            limit.saturating_mul(2).min(MAX_ROWS)
        } else {
            limit
        }
    }

    /// Enters the epoch of a restored server, unless another tab already has.
    async fn enter_epoch(&self, left: &str, epoch: &str, page: &PullPage<'_>) -> Result<()> {
        let now = self.cycle.host.now_ms();
        let mut planner = EpochPlanner {
            left,
            epoch,
            kept: page.kept,
            kept_in: (page.starts.iter())
                .filter_map(|start| Some((start.space.as_deref()?, start.kept?)))
                .collect(),
            now,
        };
        self.cycle.db.commit(Durability::Strict, &mut planner).await
    }

    /// Commits one page. Returns `None` if the cursor has moved since the page was pulled.
    async fn apply_page(
        &self,
        page: &PullPage<'_>,
        cursor: Option<&str>,
        since: LogPlace,
        answer: &PageBytes,
    ) -> Result<Option<Incoming>> {
        let cycle = self.cycle;
        if !page.changes.is_empty() && cycle.db.read(|replica| !replica.outbox().is_empty()) {
            // A row may meet a pending edit.
            cycle.cancel.run(cycle.host.load_all()).await?;
        }
        let scope = cycle.settings.scope.as_ref();
        let mut planner = PagePlanner {
            page,
            rules: PageRules {
                server: cycle.learned_server.borrow().clone(),
                from: cursor,
                before: answer.cursor.as_deref(),
                asked: answer.asked,
                since,
                scope: &self.scope,
                whole: scope.is_none_or(|scope| scope.query.is_none()),
                entities: Some(&self.entities),
                include_deletes: cycle.settings.include_deletes,
                known: &|entity| {
                    is_reserved(entity) || self.entities.iter().any(|name| name == entity)
                },
                soft: &|entity| cycle.config.is_soft(entity),
                policies: &|entity| cycle.config.policies(entity),
            },
            decisions: Decisions::default(),
            context: cycle.db.plan_context(),
        };
        Resolving(cycle)
            .commit_resolving(cycle.config.pulled, &mut planner, &|entities| {
                Box::pin(async {
                    note_first(cycle, page).await?;
                    confirm(cycle, entities).await
                })
            })
            .await
    }

    fn report(&self, incoming: Incoming) {
        self.cycle.count_buried(incoming.dead_letters);
        self.cycle.count_conflicts(&incoming.resolved);
        self.cycle.count_pulled(&incoming.pulled);
        if let Some(offered) = incoming.restored {
            self.cycle.tell(Topic::ServerRestored, None, &mut |out| {
                put(out, "offeredAgain", &offered)
            });
        }
    }
}
