//! Sends the outbox from a page that is being closed, without waiting for the response.

use crate::engine::cycle::batch::{bounded, ready};
use crate::engine::cycle::options::Settings;
use crate::engine::{Backing, PendingOperations};
use crate::log::known_server::Meeting;
use crate::model::operation::OperationKind;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::state::outbox::{Queued, SentState};

/// The largest request that is sent as the page closes, in bytes.
const MOST_BYTES: usize = 60 << 10;

impl<B: Backing, R: Remote, H: Host + 'static> PendingOperations<'_, B, R, H> {
    /// Returns the body of a push of the outbox, for a page that will not see the response; `None`
    /// if the outbox is empty or nothing may be sent now. Not async, so that it can be called while
    /// the page is being hidden.
    ///
    /// The operations stay queued and count as sent, so that nothing is coalesced into them. If the
    /// page lives on or is opened again, they are sent again and get their verdict then.
    pub fn unload_request(self, user_id: &str) -> Option<String> {
        if self.engine.is_closed() {
            return None;
        }
        let user = self.engine.opened(user_id)?;
        let settings = Settings::by_default(&self.engine.config);
        if !settings.direction.pushes() || self.engine.standing_reason(&user, &settings).is_some() {
            return None;
        }
        // Who answers at another address, and with which epoch, is only known once it has answered.
        let remote = &self.engine.remote;
        let (own, address) = (remote.server_id(), remote.address());
        let unknown = user.db.read(|replica| {
            let meeting = replica.server().meets(own.as_deref(), address.as_deref());
            replica.is_new() || meeting == Meeting::Other
        });
        if unknown {
            return None;
        }
        let device_id = self.engine.backing.device_id(user_id);
        let now = self.engine.host.now_ms();
        // Another tab that has written an operation takes it for unsent, unless it hears of pushes
        // here.
        let alone = user.db.read(|replica| replica.outbox().is_alone());
        // Operations in flight do not need a second request.
        let waits = |queued: &Queued| {
            queued.in_flight
                || (queued.sent == SentState::Maybe && !alone)
                || self.engine.config.of(&queued.op.entity).is_none()
                || queued.fails_alone
                || (queued.op.kind == OperationKind::Delete && !settings.include_deletes)
        };
        let (body, op_ids) = user.db.read(|replica| {
            let ready = ready(replica, now, settings.batch_size, &waits);
            bounded(
                &device_id,
                user_id,
                &self.engine.config,
                replica,
                replica.server().named(own.as_deref()),
                &ready,
                MOST_BYTES,
            )
        })?;
        user.db
            .update(|replica| replica.outbox_mut().mark_left(&op_ids));
        Some(body)
    }
}
