//! What an instance knows of deliveries, to write it down and to restore it elsewhere.

use crate::state::outbox::{Outbox, Queued, SentState};

/// What an instance knows about the delivery of an operation: it is in no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryNote {
    pub op_id: String,
    pub in_flight: bool,
    pub sent: SentState,
    pub attempts: u32,
}

impl SentState {
    /// Each state with its name in a trace.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("never", Self::Never),
        ("elsewhere", Self::Elsewhere),
        ("maybe", Self::Maybe),
    ];

    /// Returns its name in a trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names
            .find(|(_, state)| *state == self)
            .map_or("", |(name, _)| name)
    }
}

impl Queued {
    /// Returns what is known about its delivery.
    #[must_use]
    pub fn delivery(&self) -> DeliveryNote {
        DeliveryNote {
            op_id: self.op.op_id.clone(),
            in_flight: self.in_flight,
            sent: self.sent,
            attempts: self.op.attempts,
        }
    }
}

impl Outbox {
    /// Restores what an instance knew.
    pub fn restore(&mut self, alone: bool, deliveries: &[DeliveryNote]) {
        self.alone = alone;
        for delivery in deliveries {
            self.with(&delivery.op_id, |queued| {
                queued.in_flight = delivery.in_flight;
                queued.sent = delivery.sent;
                queued.op.attempts = delivery.attempts;
            });
        }
    }
}
