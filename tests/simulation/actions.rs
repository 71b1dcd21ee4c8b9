//! What users do: write, sync, pause, sign in and out.

use std::rc::Rc;

use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::{Options, UserSwitch};
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::status::SyncState;
use datum_sync::plan::write::{Write, Written};
use serde_json::Value;

use super::ports::Shared;
use super::world::{App, MOST_BYTES, World};

/// What a write does to an entity.
struct Deed {
    id: String,
    field: String,
    value: u64,
    deletes: bool,
    big: bool,
    pad: usize,
}

impl Deed {
    fn watched(&self) -> bool {
        !self.field.is_empty() && !self.big
    }

    fn write(&self, user: &str, exists: bool) -> Write {
        let (id, name) = (
            &self.id,
            if self.watched() {
                self.field.as_str()
            } else {
                "x"
            },
        );
        let text = if self.big {
            format!("\"{}\"", "b".repeat(MOST_BYTES))
        } else {
            self.value.to_string()
        };
        match (self.deletes, exists) {
            (true, _) => Write::Delete {
                id: id.clone(),
                soft: false,
            },
            (false, true) => Write::Patch {
                id: id.clone(),
                changes: format!(r#"{{"{name}":{text}}}"#),
            },
            (false, false) => {
                let pad = "p".repeat(self.pad);
                Write::Create {
                    draft: format!(
                        r#"{{"id":"{id}","owner":"{user}","pad":"{pad}","{name}":{text}}}"#
                    ),
                }
            }
        }
    }
}

/// Writes an entity; one that exists by a condition now and then.
async fn carry_out(engine: &App, user: &str, deed: &Deed, exists: bool) -> Result<Vec<Written>> {
    let write = deed.write(user, exists);
    if !exists || !deed.value.is_multiple_of(3) {
        return engine.entities().write(user, "tasks", vec![write]).await;
    }
    let filter = match deed.value % 2 {
        0 => format!(r#"{{"field":"id","equals":"{}"}}"#, deed.id),
        _ => format!(
            r#"{{"and":[{{"field":"id","equals":"{}"}},{{"field":"$syncState","isNull":false}}]}}"#,
            deed.id
        ),
    };
    let again = |_| write.clone();
    let changes = engine.queries();
    let written = changes.change(user, "tasks", &filter, Rc::default(), &again, None);
    let written = written.await?;
    // It may have been deleted meanwhile.
    Ok(match written.is_empty() {
        true => vec![Written::Absent],
        false => written,
    })
}

/// Whether a write was made without a base, so that only clocks decide its conflicts.
fn is_blind(engine: &App, user: &str, shared: &Shared) -> bool {
    let lost = shared.evicted.get();
    let Some(open) = engine.opened(user) else {
        return lost;
    };
    open.db.read(|replica| {
        replica.damage().needs_full_pull
            || (lost && !replica.cursor("").is_some_and(|state| state.reached_end))
    })
}

pub(super) fn is_expected(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::AlreadyExists
            | Code::NotFound
            | Code::StorageFull
            | Code::StorageUnavailable
            | Code::StorageBlocked
            | Code::Closed
            | Code::ClientOutdated
    )
}

impl World {
    fn plan_deed(&self, writer: &str) -> Deed {
        let value = self.counter.get() + 1;
        self.counter.set(value);
        let dice = &self.dice;
        let (id, field, deletes) = match dice.below(10) {
            0..=4 => (
                format!("shared-{}", dice.below(4)),
                writer.to_owned(),
                false,
            ),
            5..=7 => (
                format!("own-{writer}-{}", dice.below(3)),
                "n".to_owned(),
                dice.chance(300),
            ),
            8 => (
                format!("hot-{}", dice.below(2)),
                String::new(),
                dice.chance(300),
            ),
            _ => (format!("big-{writer}-{value}"), "big".to_owned(), false),
        };
        let (big, pad) = (
            field == "big",
            if dice.chance(300) {
                dice.below(900) as usize
            } else {
                0
            },
        );
        Deed {
            id,
            field,
            value,
            deletes,
            big,
            pad,
        }
    }

    pub(super) fn write(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let user = self.devices[device].pick(&self.dice);
        let deed = self.plan_deed(&format!("{}-{slot}", self.devices[device].shared.device_id));
        let place = (device, user.to_owned(), deed.id.clone(), deed.field.clone());
        if !deed.field.is_empty() && self.busy.borrow().contains_key(&place) {
            return;
        }
        self.busy.borrow_mut().insert(place.clone(), owner);
        let ticket = deed.watched().then(|| {
            self.model.ask(
                device,
                user,
                &deed.id,
                &deed.field,
                (!deed.deletes).then_some(deed.value),
            )
        });
        let losses = self.model.losses(user);
        let what = if deed.deletes {
            "gone".to_owned()
        } else {
            deed.value.to_string()
        };
        self.say(format!(
            "{} writes {} {} = {what} for {user}",
            self.name(device, slot),
            deed.id,
            deed.field
        ));
        let shared = Rc::clone(&self.devices[device].shared);
        let (model, busy, broken) = (
            Rc::clone(&self.model),
            Rc::clone(&self.busy),
            Rc::clone(&self.broken),
        );
        self.tasks.spawn(owner, async move {
            let exists = engine
                .entities()
                .exists(user, "tasks", &deed.id)
                .await
                .unwrap_or(false);
            let blind = is_blind(&engine, user, &shared);
            match carry_out(&engine, user, &deed, exists).await {
                // A delete of a missing entity promises nothing.
                Ok(written) if written.contains(&Written::Absent) => {}
                Ok(_) => {
                    let blind = blind || is_blind(&engine, user, &shared);
                    if let Some(ticket) = ticket.filter(|_| !blind) {
                        model.acknowledge(user, &deed.id, &deed.field, ticket);
                    }
                    if deed.big {
                        model.refuse(user, device, &deed.id, losses);
                    }
                }
                // Another tab was first, storage failed, or the tab was closing: no promise.
                Err(error) if is_expected(&error) => {}
                Err(error) => broken
                    .borrow_mut()
                    .push(format!("a write of {} failed: {error:?}", deed.id)),
            }
            busy.borrow_mut()
                .retain(|at, who| *at != place || *who != owner);
        });
    }

    pub(super) fn sync(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let user = self.devices[device].pick(&self.dice);
        let options = match self.dice.below(14) {
            0 => r#"{"direction":"pullThenPush","forceFullSync":true}"#,
            1 => r#"{"direction":"pushOnly"}"#,
            2 => r#"{"direction":"pullOnly"}"#,
            3 => r#"{"overrideBatchSize":2}"#,
            4 => r#"{"includeDeletes":false}"#,
            5 => r#"{"timeout":300}"#,
            6 => r#"{"scope":{"name":"red","query":{"where":{"colour":"red"}}}}"#,
            7 => r#"{"direction":"pullThenPush"}"#,
            8 => r#"{"forceFullSync":true,"overrideBatchSize":1}"#,
            _ => "{}",
        };
        self.say(format!(
            "{} syncs {user} {options}",
            self.name(device, slot)
        ));
        let cancel = Rc::new(Cancel::default());
        if self.dice.chance(80) {
            let (cancel, clock, ms) = (
                Rc::clone(&cancel),
                Rc::clone(&self.clock),
                self.dice.below(2_000),
            );
            self.tasks.spawn(owner, async move {
                clock.sleep(ms).await;
                cancel.stop(Stop::Abort);
            });
        }
        let (broken, name) = (Rc::clone(&self.broken), self.name(device, slot));
        let shared = Rc::clone(&self.devices[device].shared);
        self.tasks.spawn(owner, async move {
            let ended = engine
                .synchronize(user, read_options(options), None, cancel)
                .await;
            let object = |words: String| {
                broken
                    .borrow_mut()
                    .push(format!("{name}: a cycle of {user} {words}"))
            };
            let state = engine.status_hub(user).unwrap().current().status;
            // A call that is stopped while it waits for its turn leaves a cycle running.
            match &ended {
                Err(error) if matches!(error.code(), Code::Closed | Code::Cancelled) => return,
                Err(error) => {
                    if matches!(
                        error.code(),
                        Code::Corrupt
                            | Code::InvalidArgument
                            | Code::InvalidEntity
                            | Code::UserMismatch
                    ) {
                        object(format!("failed: {error:?}"));
                    }
                }
                Ok(result) if result.was_skipped || result.was_cancelled => return,
                // The status may show a cycle of another tab by now.
                _ if shared.has_others(owner) => return,
                Ok(result)
                    if result.is_success
                        && !matches!(state, SyncState::Completed | SyncState::Paused) =>
                {
                    object(format!("succeeded, but its status is {state:?}"));
                }
                Ok(_) => {}
            }
            if state == SyncState::Syncing && !shared.has_others(owner) {
                object("has ended, but its status is still syncing".to_owned());
            }
        });
    }

    pub(super) fn pause(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let user = self.devices[device].pick(&self.dice);
        let pausing = self.dice.chance(500);
        self.say(format!(
            "{} {} {user}",
            self.name(device, slot),
            if pausing { "pauses" } else { "resumes" }
        ));
        self.tasks.spawn(owner, async move {
            let _ = if pausing {
                engine.pauses().pause(Some(user)).await
            } else {
                engine.pauses().resume(Some(user)).await
            };
        });
    }

    /// Another user signs in, or this one out.
    pub(super) fn switch(&self, device: usize, slot: usize) {
        let Some((owner, engine)) = self.tab(device, slot) else {
            return;
        };
        let (user, leaves, flush) = (
            self.devices[device].pick(&self.dice),
            self.dice.chance(300) && !self.two_servers,
            self.dice.below(2) * 3_000,
        );
        let strategy = *self.dice.pick(&[
            UserSwitch::SyncThenSwitch,
            UserSwitch::PromptIfUnsyncedData,
            UserSwitch::KeepLocal,
        ]);
        let what = if leaves { "signs out" } else { "switches to" };
        self.say(format!(
            "{} {what} {user} {strategy:?}",
            self.name(device, slot)
        ));
        self.tasks.spawn(owner, async move {
            if leaves {
                let _ = engine
                    .users()
                    .logout(
                        user,
                        LogoutOptions {
                            flush,
                            ..LogoutOptions::default()
                        },
                    )
                    .await;
            } else {
                let _ = engine.users().switch(None, user, Some(strategy)).await;
            }
        });
    }
}

pub(super) fn read_options(json: &str) -> Options {
    let value: Value = serde_json::from_str(json).unwrap();
    Options::read(CheckedObject(&value))
}
