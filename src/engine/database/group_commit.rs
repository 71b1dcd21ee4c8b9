//! Group commit: the first writer becomes the leader and includes every write queued before its
//! commit starts.

use crate::engine::database::closed;
use crate::model::error::Result;
use crate::plan::write::{Group, Written};
use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;

/// Writes queued for a commit that has not started.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    /// A leader has been chosen and will include them.
    pub(super) led: bool,
    /// The queued writes, without the leader's own.
    pub(super) groups: Vec<Waiter>,
}

type Waiter = (Group, oneshot::Sender<WriteAnswer>);

/// The message that a queued writer receives.
#[derive(Debug)]
pub(super) enum WriteAnswer {
    /// The leader's commit included the write.
    Outcome(Result<Vec<Written>>),
    /// The leader gave up: the writer gets its write back and leads.
    Lead(Group),
}

/// A queued write.
#[derive(Debug)]
pub(super) struct QueuedWrite<'a> {
    waiting: &'a RefCell<WriteQueue>,
    answer: oneshot::Receiver<WriteAnswer>,
}

impl<'a> QueuedWrite<'a> {
    pub(super) fn behind(waiting: &'a RefCell<WriteQueue>, group: Group) -> Self {
        let (sender, answer) = oneshot::channel();
        waiting.borrow_mut().groups.push((group, sender));
        Self { waiting, answer }
    }

    pub(super) async fn answer(mut self) -> Result<WriteAnswer> {
        (&mut self.answer)
            .await
            .map_err(|oneshot::Missing| closed())
    }
}

impl Drop for QueuedWrite<'_> {
    /// A writer that gives up just after becoming the leader passes the lead on.
    fn drop(&mut self) {
        if let Ok(WriteAnswer::Lead(_)) = self.answer.try_recv() {
            drop(Leader::new(self.waiting));
        }
    }
}

/// The lead, held until the leader takes the queued writes.
#[derive(Debug)]
pub(super) struct Leader<'a>(Option<&'a RefCell<WriteQueue>>);

impl<'a> Leader<'a> {
    pub(super) fn new(waiting: &'a RefCell<WriteQueue>) -> Self {
        waiting.borrow_mut().led = true;
        Self(Some(waiting))
    }

    /// Returns the queued writes. Later writes get another leader.
    pub(super) fn take(mut self) -> Vec<Waiter> {
        self.0.take().map(RefCell::take).unwrap_or_default().groups
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let Some(waiting) = self.0.take() else { return };
        loop {
            let mut all = waiting.borrow_mut();
            all.led = !all.groups.is_empty();
            if !all.led {
                return;
            }
            let (group, sender) = all.groups.remove(0);
            drop(all);
            // A caller that no longer waits was never told that its write is durable.
            if sender.send(WriteAnswer::Lead(group)).is_ok() {
                return;
            }
        }
    }
}
