//! The comparison of digests that ends a pull.

use crate::engine::cycle::pull::{Pull, RunEnd};
use crate::engine::database::steps;
use crate::model::digest::Digest;
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::PullPage;
use crate::model::space::{MEMBER, SPACE};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;

impl<S: Store, R: Remote, H: Host> Pull<'_, S, R, H> {
    /// Compares the digests of both sides once the remote has no more changes. Repairs a drift by
    /// one full pull. Reports a drift that remains after it, because the remote then contradicts
    /// itself.
    pub(super) async fn compare_digests(
        &self,
        page: &PullPage<'_>,
        after_full_pull: bool,
    ) -> Result<RunEnd> {
        let (Some(digests), true) = (&page.digests, self.scope.is_empty()) else {
            return Ok(RunEnd::Reached);
        };
        steps::hash(self.cycle.db).await;
        let none = || Digest::default().wire();
        let drifted = self.cycle.db.read(|replica| {
            let reserved = [SPACE, MEMBER];
            let mut all = self.entities.iter().map(|entity| &**entity).chain(reserved);
            all.find(|entity| {
                let theirs = digests.get(entity).cloned().unwrap_or_else(none);
                replica.digest(entity).wire() != theirs
            })
            .map(str::to_owned)
        });
        let Some(entity) = drifted else {
            return Ok(RunEnd::Reached);
        };
        if !after_full_pull {
            return Ok(RunEnd::StartAgain);
        }
        self.cycle.warn(
            &Error::new(
                Code::Protocol,
                "The remote's digest differs from the rows that it sent, even after a full pull; check how it counts and hashes.",
            )
            .on(&entity, None),
        );
        Ok(RunEnd::Reached)
    }
}
