//! Retries requests, with the delays of the config, if the error is one that may go away.

use std::future::Future;

use futures_util::future::LocalBoxFuture;

use crate::engine::cycle::Cycle;
use crate::engine::cycle::cancel::stopped;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Sends a request, and sends it again while `may_help` accepts the error, until the attempts
    /// are used up or the cycle is stopped.
    pub(crate) async fn attempt<T, F: Future<Output = Result<T>>>(
        &self,
        may_help: &dyn Fn(&Error) -> bool,
        request: impl Fn() -> F,
    ) -> Result<T> {
        let answer = RefCell::new(None);
        let attempt = || -> LocalBoxFuture<'_, Result<()>> {
            Box::pin(async {
                let given = request().await?;
                answer.replace(Some(given));
                Ok(())
            })
        };
        self.attempts(may_help, &attempt).await?;
        answer.take().ok_or_else(stopped)
    }

    // The loop itself, compiled once for all kinds of requests.
    async fn attempts<'f>(
        &self,
        may_help: &dyn Fn(&Error) -> bool,
        request: &dyn Fn() -> LocalBoxFuture<'f, Result<()>>,
    ) -> Result<()> {
        let mut attempt = 1;
        loop {
            self.requests.set(self.requests.get().saturating_add(1));
            let error = match self.cancel.run(request()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.cancel.check()?;
            // That there is no network is ordinary. What else a failure leads to may be in a part of the
            // engine that is to come.
            if error.code() != Code::Network || error.status().is_some() {
                self.host.load_all().await?;
            }
            if !may_help(&error)
                || attempt >= self.config.retry.max_attempts
                || (error.code() == Code::Network && !self.host.is_online())
            {
                return Err(error);
            }
            let mut roll = [0; 4];
            self.host.random(&mut roll);
            let wait =
                self.config
                    .retry
                    .delay(attempt, u32::from_le_bytes(roll), error.retry_after_ms());
            if wait > self.settings.timeout {
                return Err(error);
            }
            let sleep = async {
                self.host.sleep(wait).await;
                Ok(())
            };
            self.cancel.run(sleep).await?;
            attempt = attempt.saturating_add(1);
        }
    }
}

/// Returns true if the same request may succeed later.
pub(crate) fn worth_another_try(error: &Error) -> bool {
    match error.code() {
        // Something answered in the remote's place, and will do so again.
        Code::Network => error.status().is_none(),
        Code::ServerError | Code::RateLimited | Code::Timeout => true,
        _ => false,
    }
}

/// Returns true if a request for fewer rows may succeed.
pub(crate) fn may_be_too_much(error: &Error) -> bool {
    match error.code() {
        Code::Network => error.status().is_none(),
        Code::ServerError | Code::Timeout => true,
        Code::Protocol => matches!(error.status(), Some(400 | 413 | 422)),
        _ => false,
    }
}

/// Returns true if a smaller request might have been answered in time. Gateways report this as 504.
pub(crate) fn is_slow(error: &Error) -> bool {
    error.code() == Code::Timeout || error.status() == Some(504)
}
