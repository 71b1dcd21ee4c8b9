//! The browser's report that it is offline, which is a hint: some report it for good, with a network
//! that works (virtual machines, webviews, VPNs). So each such report is checked with one request.

use std::cell::Cell;

use crate::engine::activity;
use crate::engine::cycle::cancel::Cancel;
use crate::engine::cycle::options::Settings;
use crate::engine::{Backing, Network, User};
use crate::model::error::Code;
use crate::model::protocol::PullRequest;
use crate::model::status::SkipReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;

/// What is known about the report that the browser is offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Checked {
    /// No request was tried since the browser reported it.
    #[default]
    Never,
    /// A request failed.
    Offline,
    /// The remote answered: the report is wrong.
    Wrong,
}

/// The browser's last report, as far as it was checked.
#[derive(Debug, Default)]
pub(super) struct NetworkHint(Cell<Checked>);

impl NetworkHint {
    /// Records that the browser made another report.
    pub(super) fn changed(&self) {
        self.0.set(Checked::Never);
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Network<'_, B, R, H> {
    /// Returns false if the browser reports that it is offline, and no request has shown otherwise.
    pub(super) fn is_online(self) -> bool {
        self.engine.host.is_online() || self.engine.network_hint.0.get() == Checked::Wrong
    }

    /// Returns true if an automatic cycle may try the network: it is available, or nobody has tried
    /// since the browser reported that it is not.
    pub(super) fn may_be_tried(self) -> bool {
        self.is_online() || self.engine.network_hint.0.get() == Checked::Never
    }

    /// Returns the reason why no cycle can run for a user now, if so. Asks the remote if the browser
    /// reports that it is offline.
    pub(super) async fn reason_to_skip(
        self,
        user: &User<B::Store, H>,
        settings: &Settings,
        cancel: &Cancel,
    ) -> Option<SkipReason> {
        match self.engine.standing_reason(user, settings) {
            Some(SkipReason::Offline) if self.reaches_remote(user, cancel).await => {
                self.engine.standing_reason(user, settings)
            }
            reason => reason,
        }
    }

    /// Returns true if the remote answers, with whatever.
    async fn reaches_remote(self, user: &User<B::Store, H>, cancel: &Cancel) -> bool {
        // A pull, since an adapter need not have any other method.
        let request = PullRequest {
            wait_ms: None,
            ..self.engine.realtime().poll_request(user)
        };
        self.engine.counters.count_request();
        let span = self.engine.activity.lone("probe", &user.id);
        let answer = cancel
            .run(self.engine.remote.pull(&user.id, &request))
            .await;
        activity::end(span, answer.as_ref().err());
        let reached = cancel.reason().is_none()
            && answer.map_or_else(
                // What fails before a response, such as a function for headers, says nothing; what
                // is not the remote's response has the code `network`.
                |error| {
                    error.code() == Code::Protocol
                        || (error.status().is_some() && error.code() != Code::Network)
                },
                |_| true,
            );
        if !self.engine.host.is_online() && cancel.reason().is_none() {
            let checked = if reached {
                Checked::Wrong
            } else {
                Checked::Offline
            };
            self.engine.network_hint.0.set(checked);
        }
        reached
    }
}
