//! The range of a cycle's progress that one phase covers.

/// The start and the end of a phase's range, each from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgressRange {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl ProgressRange {
    pub(crate) const fn new(from: f64, to: f64) -> Self {
        Self { from, to }
    }

    /// Returns the progress after `done` of `total`.
    pub(crate) fn at(self, done: u64, total: u64) -> f64 {
        self.from + (self.to - self.from) * (done as f64 / total.max(1) as f64)
    }
}
