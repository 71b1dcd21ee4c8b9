//! In which order operations go out: as they were queued, but never before what they depend on.

use crate::state::outbox::{Outbox, Queued};
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;

/// Whether an operation may be sent now, apart from what others it waits for.
pub type Ready<'a> = &'a dyn Fn(&Queued) -> bool;

impl Outbox {
    /// The next operations to send, at most so many: of each entity the first, each behind all that
    /// it depends on. What depends on an operation that cannot go waits with it. Where operations
    /// depend on each other in a circle and nothing else can go, the first that was queued does.
    #[must_use]
    pub fn batch(&self, limit: usize, ready: Ready<'_>) -> Vec<&Queued> {
        let (mut batch, mut taken) = (Vec::new(), SeqMap::<()>::default());
        // Those that wait for one further back in the queue, by its place.
        let mut later = SeqMap::<Vec<u64>>::default();
        let mut circle = None;
        for place in self.queue.first..self.queue.end() {
            let mut again = vec![place];
            while let Some(place) = again.pop() {
                if batch.len() >= limit {
                    return batch;
                }
                let Some(queued) = self
                    .queue
                    .get(place)
                    .filter(|queued| self.is_first(queued, place) && ready(queued))
                else {
                    continue;
                };
                match self
                    .dependencies(queued)
                    .find(|(place, _)| taken.get(*place).is_none())
                {
                    Some((missing, _)) => {
                        circle = circle.or(Some(place));
                        match later.get_mut(missing) {
                            Some(waiting) => waiting.push(place),
                            None => later.insert(missing, vec![place]),
                        }
                    }
                    None => {
                        batch.push(queued);
                        taken.insert(place, ());
                        again.extend(later.remove(place).into_iter().flatten().rev());
                    }
                }
            }
        }
        if let (true, Some(_)) = (batch.is_empty(), circle) {
            let mut waiting: Vec<u64> = later.into_iter().flat_map(|(_, places)| places).collect();
            sort(&mut waiting);
            let first = waiting
                .into_iter()
                .filter_map(|place| self.queue.get(place));
            batch.extend(
                first
                    .filter(|queued| {
                        self.held(queued, &|other| (!ready(other)).then(String::new))
                            .is_none()
                    })
                    .take(1),
            );
        }
        batch
    }

    /// Why an operation cannot go: the first reason that `why` gives for anything that it depends
    /// on, near or far. None where all that can go before it.
    #[must_use]
    pub fn held(&self, queued: &Queued, why: &dyn Fn(&Queued) -> Option<String>) -> Option<String> {
        let mut seen = SeqMap::<()>::default();
        let mut open: Vec<(u64, &Queued)> = self.ahead(queued).collect();
        while let Some((place, other)) = open.pop() {
            if seen.get(place).is_some() || other.op.op_id == queued.op.op_id {
                continue;
            }
            seen.insert(place, ());
            if let Some(reason) = why(other) {
                return Some(reason);
            }
            open.extend(self.ahead(other));
        }
        None
    }

    /// The operations that one depends on.
    pub fn dependencies<'a>(
        &'a self,
        queued: &'a Queued,
    ) -> impl Iterator<Item = (u64, &'a Queued)> {
        let op = &queued.op;
        let named = op
            .links
            .iter()
            .flat_map(|link| self.by_entity.of(&link.key.entity, &link.key.id));
        let naming = self.linked.of(&op.entity, &op.id);
        let found = named
            .chain(naming)
            .filter_map(|place| Some((*place, self.queue.get(*place)?)));
        // What is made anew afterwards is not at its end: those that name it need not be gone by
        // then.
        let lives_on = self
            .chain_of(queued)
            .last()
            .is_some_and(|last| last.op.op_id != op.op_id);
        found.filter(move |(_, other)| {
            op.needs(&other.op) || (!lives_on && op.goes_after(&other.op))
        })
    }

    /// The operations that could not go on without one, each of another entity.
    pub fn dependents<'a>(&'a self, queued: &'a Queued) -> impl Iterator<Item = &'a Queued> {
        let linked = self
            .linked
            .of(&queued.op.entity, &queued.op.id)
            .iter()
            .filter_map(|place| self.queue.get(*place));
        linked.filter(|other| other.op.needs(&queued.op))
    }

    /// What must be settled before one: its dependencies, and the earlier ones of its entity.
    fn ahead<'a>(&'a self, queued: &'a Queued) -> impl Iterator<Item = (u64, &'a Queued)> {
        let earlier = self
            .by_entity
            .of(&queued.op.entity, &queued.op.id)
            .iter()
            .filter_map(|place| Some((*place, self.queue.get(*place)?)));
        earlier
            .take_while(|(_, other)| other.op.op_id != queued.op.op_id)
            .chain(self.dependencies(queued))
    }

    fn chain_of<'a>(&'a self, queued: &Queued) -> impl Iterator<Item = &'a Queued> {
        self.by_entity
            .of(&queued.op.entity, &queued.op.id)
            .iter()
            .filter_map(|place| self.queue.get(*place))
    }

    fn is_first(&self, queued: &Queued, place: u64) -> bool {
        self.by_entity.of(&queued.op.entity, &queued.op.id).first() == Some(&place)
    }
}
