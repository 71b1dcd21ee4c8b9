//! Retries requests, with the delays of the config, if the error is one that may go away.

use std::future::Future;

use futures_util::future::LocalBoxFuture;

use crate::engine::activity::{ActivityKind, Span};
use crate::engine::cycle::Cycle;
use crate::engine::cycle::call::{Answer, Call};
use crate::engine::cycle::cancel::stopped;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::json::write::put;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Sends a request, and sends it again while `may_help` accepts the error, until the attempts
    /// are used up or the cycle is stopped.
    pub(crate) async fn attempt<T: Answer, F: Future<Output = Result<T>>>(
        &self,
        call: &Call<'_>,
        may_help: &dyn Fn(&Error) -> bool,
        request: impl Fn() -> F,
    ) -> Result<T> {
        let answer = RefCell::new(None);
        let attempt = || -> LocalBoxFuture<'_, Result<()>> {
            Box::pin(async {
                let given = request().await?;
                call.answered(&given);
                answer.replace(Some(given));
                Ok(())
            })
        };
        self.attempts(call, may_help, &attempt).await?;
        answer.take().ok_or_else(stopped)
    }

    // The loop itself, compiled once for all kinds of requests.
    async fn attempts<'f>(
        &self,
        call: &Call<'_>,
        may_help: &dyn Fn(&Error) -> bool,
        request: &dyn Fn() -> LocalBoxFuture<'f, Result<()>>,
    ) -> Result<()> {
        let mut attempt = 1;
        loop {
            self.requests.set(self.requests.get().saturating_add(1));
            let span = self.begin_request(call, attempt);
            let error = match self.cancel.run(request()).await {
                Ok(()) => {
                    call.end(span, None, None);
                    return Ok(());
                }
                Err(error) => error,
            };
            self.cancel.check()?;
            // That there is no network is ordinary. What else a failure leads to may be in a part of the
            // engine that is to come.
            if error.code() != Code::Network || error.status().is_some() {
                self.cancel.run(self.host.load_all()).await?;
            }
            let wait = self.wait_after(&error, attempt, may_help);
            call.end(span, Some(&error), wait);
            let Some(wait) = wait else {
                return Err(error);
            };
            let sleep = async {
                self.host.sleep(wait).await;
                Ok(())
            };
            self.cancel.run(sleep).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Returns how long to wait before the next attempt; `None` if there is none.
    fn wait_after(
        &self,
        error: &Error,
        attempt: u32,
        may_help: &dyn Fn(&Error) -> bool,
    ) -> Option<u64> {
        if !may_help(error)
            || attempt >= self.config.retry.max_attempts
            || (error.code() == Code::Network && !self.host.is_online())
        {
            return None;
        }
        let mut roll = [0; 4];
        self.host.random(&mut roll);
        let retry = &self.config.retry;
        let wait = retry.delay(attempt, u32::from_le_bytes(roll), error.retry_after_ms());
        (wait <= self.settings.timeout).then_some(wait)
    }

    fn begin_request(&self, call: &Call<'_>, attempt: u32) -> Option<Span> {
        if !self.activity.is_watched() {
            return None;
        }
        let user_id = self.hub.current().user_id.clone();
        let fill = |out: &mut String| {
            put(out, "attempt", &attempt);
            call.put_size(out);
        };
        self.activity
            .begin(ActivityKind::Request, call.name, &user_id, &fill)
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
