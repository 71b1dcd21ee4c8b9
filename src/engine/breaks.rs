//! Pauses of work that would keep the page from everything else.

use crate::ports::host::Host;

/// After how many milliseconds long work yields.
const AT_ONCE_MS: u64 = 12;

/// Yields when work has kept the page for long.
#[derive(Debug)]
pub(super) struct Breaks(u64);

impl Breaks {
    /// Begins to work.
    pub(super) fn new<H: Host>(host: &H) -> Self {
        Self(host.elapsed_ms())
    }

    /// Returns true if the next [`Self::take`] yields.
    pub(super) fn is_due<H: Host>(&self, host: &H) -> bool {
        host.elapsed_ms().saturating_sub(self.0) >= AT_ONCE_MS
    }

    /// Yields if it is time to.
    pub(super) async fn take<H: Host>(&mut self, host: &H) {
        if self.is_due(host) {
            host.breathe().await;
            self.0 = host.elapsed_ms();
        }
    }
}
