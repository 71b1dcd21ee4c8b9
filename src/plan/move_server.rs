//! Plans the move of a database to another server: everything that is here is offered to it.
//!
//! It knows none of the shared spaces, as after a restore from before them: those of an owner are
//! made again, with all that is here of them. In those of others, this user's own writes become dead
//! letters, unless an owner has brought the space before.

use std::rc::Rc;

use crate::log::commit::{Commit, Event};
use crate::log::known_server::KnownServer;
use crate::log::receipt::{Receipt, Restored};
use crate::model::entity::Key;
use crate::model::error::Result;
use crate::model::operation::{Operation, OperationKind};
use crate::model::space::Role;
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::restore::written_at;
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::receipts::KEEP_MS;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;

/// Queues every entity for a server that knows none of the versions here, forgets the server and
/// its cursors, and has the next cycle pull before it pushes.
#[derive(Debug)]
pub struct MovePlanner {
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for MovePlanner {
    /// How many entities without a pending operation are offered.
    type Output = u64;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<u64>>> {
        let (mut commit, mut missing, mut offered) = (Commit::default(), Vec::new(), 0_usize);
        for (entity, rows) in replica.entities().iter() {
            let space = Table(entity).space();
            let role = space.and_then(|space| replica.spaces().role(space));
            for (id, row) in rows.iter().filter(|(_, row)| !row.deleted) {
                let key = Key::new(entity, id);
                if space.is_some() {
                    if role == Some(Role::Owner) {
                        let counts = replica.outbox().last(&key).is_none();
                        offered = offered.saturating_add(usize::from(counts));
                        commit.events.push(self.as_own(replica, &key, row.version));
                    }
                    continue;
                }
                if replica.outbox().last(&key).is_some() {
                    continue;
                }
                match replica.body_of(row) {
                    Some(ViewBody::Text(text)) => {
                        offered = offered.saturating_add(1);
                        // It has the entity's age, so that what was written there since wins.
                        let offset = replica.facts().clock_offset;
                        let age = written_at(text, offset).unwrap_or(self.context.now);
                        let op = Operation::new(
                            self.context.op_id(offered),
                            key,
                            OperationKind::Create,
                            Some(Rc::from(text)),
                            age,
                        );
                        commit.queue(op, Vec::new());
                    }
                    Some(ViewBody::Absent { segment, .. }) => missing.push(segment),
                    None => {}
                }
            }
        }
        if !missing.is_empty() {
            return Ok(Plan::Needs(missing));
        }
        for (scope, _) in replica.cursors().iter() {
            commit.events.push(Event::ResetCursor {
                scope: scope.to_owned(),
            });
        }
        commit.events.push(Event::Epoch {
            // No server has it.
            epoch: ["moved-", &self.context.op_id(0)].concat(),
            restored: Some(Restored {
                kept: None,
                since: self.context.now.saturating_sub(KEEP_MS),
            }),
        });
        commit.events.push(Event::Server {
            server: KnownServer::default(),
        });
        Ok(Plan::Ready(Planned::new(commit, offered as u64)))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("moveServer", |out| {
            describe::put_context(out, &self.context);
        }))
    }
}

impl MovePlanner {
    /// Notes a row as one of this device, which offers it when the server lacks it.
    fn as_own(&self, replica: &Replica, key: &Key<'_>, version: u64) -> Event {
        Event::Receipt {
            entity: key.entity.to_owned(),
            id: key.id.to_owned(),
            receipt: Receipt {
                at: self.context.now,
                version,
                deleted: false,
                whole: true,
                ..replica.receipts().get(key).cloned().unwrap_or_default()
            },
        }
    }
}
