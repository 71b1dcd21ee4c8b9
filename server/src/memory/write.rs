//! What a transaction of the store in memory writes, as a value: it is applied, and recorded where there is a journal.

use std::sync::Arc;

use datum_sync::model::space::Role;
use serde::{Deserialize, Serialize};

use super::state::{Membership, Rows, State};
use crate::rules::store::{Batch, Row, Space, Swept};

/// One change of the state. A transaction is a list of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Write {
    ServerId(String),
    Epoch(String),
    Rows {
        user: String,
        space: Space,
        batch: Batch,
        at: u64,
    },
    Member {
        space: String,
        user: String,
        /// The role's name; none ends the membership.
        role: Option<String>,
    },
    EndSpace(String),
    Device {
        user: String,
        device: String,
        record: String,
        at: u64,
        keep: usize,
    },
    ClearDevices(String),
    Sweep {
        tombstones: u64,
        operations: u64,
        most: u64,
    },
}

impl Write {
    /// Changes the state. Returns what a sweep removed.
    pub(super) fn apply(self, state: &mut State) -> Swept {
        match self {
            Self::ServerId(id) => state.identity.server_id = id,
            Self::Epoch(epoch) => set_epoch(state, epoch),
            Self::Rows {
                user,
                space,
                batch,
                at,
            } => write(state, &user, &space, batch, at),
            Self::Member { space, user, role } => {
                set_member(state, &space, &user, role.as_deref().map(Role::read));
            }
            Self::EndSpace(id) => end_space(state, &id),
            Self::Device {
                user,
                device,
                record,
                at,
                keep,
            } => put_device(state, &user, &device, record, at, keep),
            Self::ClearDevices(user) => state.user_mut(&user).devices.clear(),
            Self::Sweep {
                tombstones,
                operations,
                most,
            } => return sweep(state, tombstones, operations, most),
        }
        Swept::default()
    }
}

fn set_epoch(state: &mut State, epoch: String) {
    let spaces = state.spaces.iter();
    let last_versions = spaces.map(|(space, rows)| (space.clone(), rows.head.seq));
    let last_versions = last_versions.collect();
    let old = std::mem::replace(&mut state.identity.epoch, epoch);
    state.epoch_history.entry(old).or_insert(last_versions);
}

fn write(state: &mut State, user: &str, space: &Space, batch: Batch, now_ms: u64) {
    let space = state.space_mut(space);
    space.head.seq = batch.seq;
    for row in batch.rows {
        let key = (row.entity.clone(), row.id.clone());
        if let Some(before) = space.versions.insert(key, row.version) {
            space.rows.remove(&before);
        }
        space.rows.insert(row.version, (Arc::new(row), now_ms));
    }
    space.digests.extend(batch.digests);
    let user = state.user_mut(user);
    for applied in batch.applied {
        let op_id = applied.op_id.clone();
        user.applied.insert(op_id, (applied, now_ms));
    }
}

fn set_member(state: &mut State, id: &str, user: &str, role: Option<Role>) {
    let members = &mut state.space_mut(&Space::shared(id)).members;
    match role {
        Some(role) => members.insert(user.to_owned(), role),
        None => members.remove(user),
    };
    let user = state.user_mut(user);
    user.revision = user.revision.saturating_add(1);
    let revision = user.revision;
    let next = super::size(user.memberships.len()).saturating_add(1);
    let membership = user.memberships.entry(id.to_owned()).or_insert(Membership {
        number: next,
        joined: revision,
        role: None,
    });
    if membership.role.is_none() {
        membership.joined = revision;
    }
    membership.role = role;
}

fn end_space(state: &mut State, id: &str) {
    let space = Space::shared(id);
    let members: Vec<String> = state.space_mut(&space).members.keys().cloned().collect();
    for member in members {
        set_member(state, id, &member, None);
    }
    let space = state.space_mut(&space);
    *space = Rows {
        head: space.head,
        ..Rows::default()
    };
}

fn put_device(
    state: &mut State,
    user: &str,
    device: &str,
    record: String,
    now_ms: u64,
    keep: usize,
) {
    let devices = &mut state.user_mut(user).devices;
    devices.insert(device.to_owned(), (record, now_ms));
    while devices.len() > keep {
        let others = devices.iter().filter(|(id, _)| *id != device);
        let Some(oldest) = others
            .min_by_key(|(id, (_, at))| (*at, *id))
            .map(|(id, _)| id.clone())
        else {
            break;
        };
        devices.remove(&oldest);
    }
}

fn sweep(state: &mut State, tombstones_before: u64, operations_before: u64, most: u64) -> Swept {
    let mut swept = Swept::default();
    for space in state.spaces.values_mut() {
        let space = Arc::make_mut(space);
        let expired = |row: &Row, at: u64| row.data.is_none() && at < tombstones_before;
        let tombstones: Vec<Arc<Row>> = space
            .rows
            .values()
            .filter(|(row, at)| expired(row, *at))
            .map(|(row, _)| row.clone())
            .collect();
        for row in tombstones {
            if swept.tombstones >= most {
                break;
            }
            space.rows.remove(&row.version);
            space.versions.remove(&(row.entity.clone(), row.id.clone()));
            space.head.floor = space.head.floor.max(row.version);
            swept.tombstones = swept.tombstones.saturating_add(1);
        }
    }
    for user in state.users.values_mut() {
        Arc::make_mut(user).applied.retain(|_, (_, at)| {
            let stays = *at >= operations_before || swept.operations >= most;
            swept.operations = swept.operations.saturating_add(u64::from(!stays));
            stays
        });
    }
    swept
}
