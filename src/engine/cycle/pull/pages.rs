//! The run over the pages. The next one is asked for as soon as a page says where it starts: its
//! request is under way while this one is read, planned and stored.

use std::future::{Future, poll_fn};
use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, MaybeDone, maybe_done};

use crate::engine::cycle::pull::{PageBytes, Pull, RunEnd};
use crate::engine::cycle::retry::worth_another_try;
use crate::engine::cycle::server::{NOTHING_SENT, meet};
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PageReader, PullPage};
use crate::model::status::Phase;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::yield_now;

/// The least number of rows that are read before yielding to the browser.
const ROWS_AT_ONCE: usize = 128;

/// How long reading continues before yielding to the browser, in milliseconds: half of a frame.
const AT_ONCE_MS: u64 = 8;

/// How many rows may be asked for in vain, page after page: a scope may match nothing in a long stretch.
const MOST_IN_VAIN: usize = 4_000_000;

/// How many turns of other work a request may take until a browser has it: its headers are asked for, and
/// promises follow each other.
const TURNS: u32 = 32;

type Fetch<'f> = LocalBoxFuture<'f, Result<Option<PageBytes>>>;

/// The request for the page that starts at `cursor`. It is aborted when it is dropped.
struct Ahead<'f> {
    cursor: String,
    request: MaybeDone<Fetch<'f>>,
}

impl<'f> Ahead<'f> {
    fn new(cursor: String, request: Fetch<'f>) -> Self {
        Self {
            cursor,
            request: maybe_done(request),
        }
    }

    /// Does `work` while the request is under way.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            // First, so that the browser has the request before the work keeps it busy.
            let _ = self.request.poll_unpin(context);
            work.as_mut().poll(context)
        })
        .await
    }

    async fn answer(mut self) -> Result<Option<PageBytes>> {
        (&mut self.request).await;
        match self.request {
            MaybeDone::Done(answer) => answer,
            _ => Ok(None),
        }
    }
}

async fn beside<T>(ahead: Option<&mut Ahead<'_>>, work: impl Future<Output = T>) -> T {
    match ahead {
        Some(ahead) => ahead.beside(work).await,
        None => work.await,
    }
}

impl<S: Store, R: Remote, H: Host> Pull<'_, S, R, H> {
    /// Pulls page after page. `again` means that an earlier run of this cycle had to restart.
    pub(super) async fn pages(&self, mut cursor: Option<String>, again: bool) -> Result<RunEnd> {
        let cycle = self.cycle;
        cycle.show(Phase::Pulling, self.progress.from);
        let mut known = cycle.db.read(|replica| replica.facts().epoch.clone());
        let began_at_start = cursor.is_none();
        let since = cycle.db.read(Replica::place);
        let mut seen = VecMap::default();
        let mut pulled = 0_u64;
        let mut limit = cycle.settings.batch_size;
        let mut next = self.fetch(cursor.clone(), limit).await?;
        let (mut cut, mut in_vain, size) = (0_u32, 0_usize, cycle.page_size.known());
        loop {
            let Some(answer) = next else {
                return Ok(RunEnd::StartAgain);
            };
            let following = self.next_limit(limit, &answer);
            let begun = begin(&answer.bytes);
            let mut ahead = None;
            // What breaks off is asked for alone, in ever smaller pages.
            if cut == 0
                && let Ok((_, Some(start))) = &begun
            {
                cycle.page_size.page_came(answer.limit, answer.took, true);
                let request = self.fetch(Some(start.clone()), following);
                ahead = Some(Ahead::new(start.clone(), request));
            }
            let asks = ahead.is_some();
            let read = async {
                if asks {
                    // Not by a timer, which tests of apps fake.
                    for _ in 0..TURNS {
                        yield_now().await;
                    }
                }
                self.read_on(begun?.0).await
            };
            let page = match beside(ahead.as_mut(), read).await {
                // It ends too early: as if the connection had broken.
                Err(error) if worth_another_try(&error) => {
                    drop(ahead);
                    cut = cut.saturating_add(1);
                    cycle.page_size.page_failed(answer.limit);
                    if cut >= cycle.config.retry.max_attempts {
                        cycle.page_size.restore(size);
                        return Err(error);
                    }
                    next = self.fetch(cursor.clone(), limit).await?;
                    continue;
                }
                page => page?,
            };
            cut = 0;
            // A member that stands twice counts as it stands last.
            let mut ahead = ahead.filter(|ahead| page.more && ahead.cursor == page.cursor);
            if ahead.is_none() {
                let full = page.more || page.changes.len() >= answer.limit;
                cycle.page_size.page_came(answer.limit, answer.took, full);
            }
            cycle.count_pulled_bytes(answer.bytes.len());
            meet(cycle, page.server_id.as_deref(), NOTHING_SENT)?;
            cycle.learn(page.server_time.as_deref(), answer.asked_at);
            if let (Some(left), Some(epoch)) = (known.as_deref(), page.epoch.as_deref())
                && left != epoch
            {
                // The server was restored: its previous versions and cursors are meaningless now.
                if cursor.is_some() {
                    return Ok(RunEnd::StartAgain);
                }
                self.enter_epoch(left, epoch, &page).await?;
                known = Some(epoch.to_owned());
            }
            in_vain = match page.changes.is_empty() {
                true => in_vain.saturating_add(answer.limit),
                false => 0,
            };
            let repeats = page.more && seen.insert(&page.cursor, ()).is_some();
            if repeats || in_vain > MOST_IN_VAIN {
                return Err(Error::new(
                    Code::Protocol,
                    "The remote says that there is more, but repeats a cursor or sends no rows for ever; each page must move on.",
                ));
            }
            cycle.show(Phase::Applying, 0.0);
            limit = following;
            if page.more && ahead.is_none() {
                let request = self.fetch(Some(page.cursor.to_string()), limit);
                ahead = Some(Ahead::new(page.cursor.to_string(), request));
            }
            let apply = self.apply_page(&page, cursor.as_deref(), since, &answer);
            let applied = beside(ahead.as_mut(), apply).await;
            let Some(incoming) = applied? else {
                // Where the cursor stands still, the page's list of spaces was too old.
                let stands = self.cursor_now() == cursor.or(answer.cursor);
                return Ok(RunEnd::Overtaken(stands));
            };
            pulled = pulled.saturating_add(page.changes.len() as u64);
            self.report(incoming);
            cycle.report_ignored(&page);
            let total = pulled.saturating_add(page.remaining.unwrap_or(0));
            cycle.show(Phase::Pulling, self.progress.at(pulled, total));
            let Some(ahead) = ahead else {
                // Another tab may have pushed since the pages were requested, so a difference after
                // a first full pull does not prove a drift.
                let again = began_at_start && again;
                return self.compare_digests(&page, again).await;
            };
            cursor = Some(ahead.cursor.clone());
            next = ahead.answer().await?;
        }
    }

    /// Reads a page.
    pub(super) async fn read<'p>(&self, bytes: &'p [u8]) -> Result<PullPage<'p>> {
        self.read_on(PageReader::new(bytes)?).await
    }

    /// Reads a page in slices and yields to the browser between them: a large page, or one that is
    /// read by cold code, would block the app for longer than a frame.
    async fn read_on<'p>(&self, mut reader: PageReader<'p>) -> Result<PullPage<'p>> {
        let host = self.cycle.host;
        let mut began = host.elapsed_ms();
        loop {
            let more = reader.read(ROWS_AT_ONCE)?;
            if host.elapsed_ms().saturating_sub(began) >= AT_ONCE_MS {
                host.breathe().await;
                began = host.elapsed_ms();
            }
            if !more {
                return reader.finish();
            }
        }
    }
}

/// Starts to read a page: returns where the next one starts, if this one says so before its rows.
fn begin(bytes: &[u8]) -> Result<(PageReader<'_>, Option<String>)> {
    let mut reader = PageReader::new(bytes)?;
    reader.read(0)?;
    let start = reader.next_page();
    Ok((reader, start))
}
