//! Whether the store can write, for those who ask after its health.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::rules::ServerError;
use crate::rules::store::Result;

/// How long the outcome of the last write stands for the next one.
const FRESH: Duration = Duration::from_secs(5);
/// How long a failed write of a request counts, whatever smaller ones say meanwhile.
const FAILURE_STANDS: Duration = Duration::from_secs(10);
/// How long a probe waits for its turn behind other writes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The outcome of the last write. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writing {
    last: Arc<Mutex<Outcomes>>,
    /// One probe at a time; the others take its outcome.
    probe: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Outcomes {
    /// When a transaction was committed, or a probe.
    succeeded: Option<Instant>,
    /// The failure since the last commit.
    failed: Option<(Instant, ServerError)>,
}

impl Writing {
    /// Notes the outcome of a write.
    pub(crate) fn note<R>(&self, result: Result<R>) -> Result<R> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => {
                *last = Outcomes {
                    succeeded: Some(Instant::now()),
                    failed: None,
                }
            }
            // Others were writing.
            Err(error) if error.code == "busy" => {}
            Err(error) => last.failed = Some((Instant::now(), error.clone())),
        }
        result
    }

    /// Fails if the store cannot write: the last write of a request failed a short while ago, or
    /// what `probe` writes now does.
    pub(crate) async fn check(&self, probe: impl Future<Output = Result<()>>) -> Result<()> {
        if let Some(known) = self.known() {
            return known;
        }
        let Ok(_turn) = tokio::time::timeout(PATIENCE, self.probe.lock()).await else {
            return Err(ServerError::busy("a probe of the storage is still running"));
        };
        if let Some(known) = self.known() {
            return known;
        }
        match tokio::time::timeout(PATIENCE, probe).await {
            Ok(result) => self.note(result),
            Err(late) => Err(ServerError::busy(late)),
        }
    }

    fn known(&self) -> Option<Result<()>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (&last.failed, last.succeeded) {
            (Some((at, error)), _) if at.elapsed() < FAILURE_STANDS => Some(Err(error.clone())),
            (None, Some(at)) if at.elapsed() < FRESH => Some(Ok(())),
            _ => None,
        }
    }
}
