//! Rate limits: one token bucket per user, so that one busy user does not slow the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::rules::ServerError;

/// How many buckets are kept before full ones are removed.
const MAX_BUCKETS: usize = 10_000;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests per second on average; 0 for no limit.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 50.0,
            burst: 200.0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of all users.
#[derive(Clone, Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: Arc<Mutex<HashMap<String, Bucket>>>,
}

impl Limiter {
    /// Creates a limiter; every bucket starts full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Arc::default(),
        }
    }

    /// Takes one token from a user's bucket.
    ///
    /// # Errors
    /// 429 with the time until the next token.
    pub fn take(&self, user: &str, now: Instant) -> Result<(), ServerError> {
        let Rate { per_second, burst } = self.rate;
        if per_second <= 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled = |bucket: &Bucket| {
            per_second
                .mul_add(
                    now.saturating_duration_since(bucket.at).as_secs_f64(),
                    bucket.tokens,
                )
                .min(burst)
        };
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, bucket| refilled(bucket) < burst);
        }
        let bucket = buckets.entry(user.to_owned()).or_insert(Bucket {
            tokens: burst,
            at: now,
        });
        let tokens = refilled(bucket);
        bucket.at = now;
        if tokens < 1.0 {
            bucket.tokens = tokens;
            let wait_ms = ((1.0 - tokens) / per_second * 1_000.0).ceil();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            // Positive, and the cast saturates.
            let wait_ms = (wait_ms as u64).max(1);
            return Err(ServerError::new(
                429,
                "rateLimited",
                "Too many requests; wait as long as `retryAfterMs` says.",
            )
            .after(wait_ms));
        }
        bucket.tokens = tokens - 1.0;
        Ok(())
    }
}
