//! Group commit: whoever asks first to write leads, and takes along all that ask until its commit
//! begins.

use crate::engine::database::closed;
use crate::model::error::Result;
use crate::plan::write::{Group, Written};
use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;

/// The writes that wait for a commit that has not begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Somebody is about to take them along.
    pub(super) led: bool,
    /// Without the leader's own.
    pub(super) groups: Vec<Waiter>,
}

type Waiter = (Group, oneshot::Sender<Told>);

/// What who waits is told.
#[derive(Debug)]
pub(super) enum Told {
    /// The write was taken along.
    Outcome(Result<Vec<Written>>),
    /// Whoever led has given up: the write back, to lead with it.
    Lead(Group),
}

/// The place of one that waits.
#[derive(Debug)]
pub(super) struct Place<'a> {
    waiting: &'a RefCell<Waiting>,
    told: oneshot::Receiver<Told>,
}

impl<'a> Place<'a> {
    pub(super) fn behind(waiting: &'a RefCell<Waiting>, group: Group) -> Self {
        let (sender, told) = oneshot::channel();
        waiting.borrow_mut().groups.push((group, sender));
        Self { waiting, told }
    }

    pub(super) async fn told(mut self) -> Result<Told> {
        (&mut self.told).await.map_err(|oneshot::Missing| closed())
    }
}

impl Drop for Place<'_> {
    /// Who gives up just as the lead has come to it hands it on.
    fn drop(&mut self) {
        if let Ok(Told::Lead(_)) = self.told.try_recv() {
            drop(Lead::new(self.waiting));
        }
    }
}

/// Who leads, until it takes the others along.
#[derive(Debug)]
pub(super) struct Lead<'a>(Option<&'a RefCell<Waiting>>);

impl<'a> Lead<'a> {
    pub(super) fn new(waiting: &'a RefCell<Waiting>) -> Self {
        waiting.borrow_mut().led = true;
        Self(Some(waiting))
    }

    /// Those to take along. Who asks from now on is led by another.
    pub(super) fn take(mut self) -> Vec<Waiter> {
        self.0.take().map(RefCell::take).unwrap_or_default().groups
    }
}

impl Drop for Lead<'_> {
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
            // A caller that does not wait any more has never been told that it is written.
            if sender.send(Told::Lead(group)).is_ok() {
                return;
            }
        }
    }
}
