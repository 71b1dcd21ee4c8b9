//! A page that goes away: what waits is sent along, without waiting for an answer.

use crate::engine::cycle::batch::{bounded, ready};
use crate::engine::cycle::options::Settings;
use crate::engine::{Backing, Engine};
use crate::model::config::Options;
use crate::model::operation::OperationKind;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::outbox::Queued;

/// The largest request that is sent on the way out, in bytes.
const MOST_BYTES: usize = 60 << 10;

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// The body of a push of what waits, for a page that goes away and will not see the answer;
    /// none where nothing waits, or nothing may be sent now. Without an await, so that it may be
    /// called as the page is being hidden.
    ///
    /// The operations stay queued. They count as sent, so that nothing is coalesced into them:
    /// should the page live on, or be opened again, they are sent again and get their verdict then.
    pub fn leaving(&self, user_id: &str) -> Option<String> {
        if self.is_closed() {
            return None;
        }
        let user = self.opened(user_id)?;
        let settings = Settings::of(&Options::default().or(&self.config.defaults), &self.config);
        if !settings.direction.pushes() || self.reason_to_skip(&user, &settings).is_some() {
            return None;
        }
        let device_id = self.backing.device_id(user_id);
        let now = self.host.now_ms();
        // What is on its way already needs no second one.
        let waits = |queued: &Queued| {
            queued.in_flight
                || (queued.op.kind == OperationKind::Delete && !settings.include_deletes)
        };
        let (body, op_ids) = user.db.read(|replica| {
            let ready = ready(replica, now, settings.batch_size, &waits);
            bounded(
                &device_id,
                user_id,
                &self.config,
                replica,
                &ready,
                MOST_BYTES,
            )
        })?;
        user.db
            .update(|replica| replica.outbox_mut().mark_left(&op_ids));
        Some(body)
    }

    /// Whether operations of this user wait, as far as this instance knows.
    pub fn has_pending(&self, user_id: &str) -> bool {
        self.opened(user_id)
            .is_some_and(|user| user.pending_count() > 0)
    }
}
