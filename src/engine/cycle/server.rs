//! Checks that the server that answers is the one that the database belongs to. To another one
//! nothing is pushed or offered, and none of its rows is applied.

use crate::engine::cycle::Cycle;
use crate::engine::cycle::call::Call;
use crate::engine::cycle::retry::worth_another_try;
use crate::log::commit::Event;
use crate::log::known_server::{KnownServer, Meeting, ServerNews};
use crate::log::spaces::SpaceEvent;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::model::metadata::read_reply;
use crate::model::protocol::{PullPage, PushReply};
use crate::model::table::Table;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::outbox::SentState;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;

/// What becomes of the operations where another server is found out before a push.
pub(crate) const NOTHING_SENT: &str = "Nothing was sent to it.";

/// Returns the first failure of two phases, or the second one if that is another server, which
/// explains the first.
pub(crate) fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match second {
        Err(error) if error.code() == Code::OtherServer => Err(error),
        second => first.and(second),
    }
}

/// Returns the error that tells of pending operations whose type the config does not name.
pub(crate) fn unnamed_type(count: u64) -> Error {
    Error::new(
        Code::InvalidConfig,
        format!(
            "{count} pending operations are of a type that the config does not name. They stay and are not sent; name the type in `entities`, or remove them with `clearUserData`."
        ),
    )
}

/// Makes sure that the cycle is about to talk to the known server, before anything is sent. A
/// server at another address is asked who it is.
pub(crate) async fn confirm_server<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
) -> Result<()> {
    let own = cycle.remote.server_id();
    let address = cycle.remote.address();
    let known = cycle.db.read(|replica| replica.server().clone());
    let moved = known.address.is_some() && address.is_some() && known.address != address;
    if own.is_some() || !moved {
        return own.map_or(Ok(()), |_| meet(cycle, None, NOTHING_SENT));
    }
    ask(cycle).await
}

/// Asks the server that answers now who it is.
async fn ask<S: Store, R: Remote, H: Host>(cycle: &Cycle<'_, S, R, H>) -> Result<()> {
    let user_id = cycle.db.read(|replica| replica.user_id().to_owned());
    let ask = || cycle.remote.metadata(&user_id);
    let call = Call::new("metadata");
    let id = match cycle.attempt(&call, &worth_another_try, ask).await? {
        Some(bytes) => read_reply(&bytes)?.server_id,
        None => None,
    };
    meet(cycle, id.as_deref(), NOTHING_SENT)
}

/// Makes sure that it was the known server that refused an operation for good with a status, which
/// names nobody.
pub(crate) async fn confirm_refusal<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
) -> Result<()> {
    let own = cycle.remote.server_id();
    if known_server(cycle).named(own.as_deref()).is_none() {
        return Ok(());
    }
    match ask(cycle).await {
        // It answers, but not this.
        Err(error) if matches!(error.code(), Code::ServerError | Code::Protocol) => Ok(()),
        asked => asked,
    }
}

/// What was known of the operations of a push before it was sent.
pub(crate) struct BeforePush {
    /// Those that this tab had not sent.
    unsent: Vec<(String, SentState)>,
    requests: u64,
}

impl BeforePush {
    /// # Errors
    /// As [`meet`], if the app's adapter names another server by now.
    pub(crate) fn of<S: Store, R: Remote, H: Host>(
        cycle: &Cycle<'_, S, R, H>,
        ids: &[String],
    ) -> Result<Self> {
        if cycle.remote.server_id().is_some() {
            meet(cycle, None, NOTHING_SENT)?;
        }
        let unsent = cycle.db.read(|replica| {
            let queued = ids.iter().filter_map(|op_id| replica.outbox().get(op_id));
            let unsent = queued.filter(|queued| queued.sent < SentState::Maybe);
            unsent
                .map(|queued| (queued.op.op_id.clone(), queued.sent))
                .collect()
        });
        Ok(Self {
            unsent,
            requests: cycle.requests.get(),
        })
    }
}

/// Compares the server that has answered a push with the known one. What another one has done nothing
/// with is as it was before.
///
/// # Errors
/// As [`meet`].
pub(crate) fn meet_pushed<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    reply: &PushReply<'_>,
    ids: &[String],
    mut before: BeforePush,
) -> Result<()> {
    let untaken = reply
        .results
        .iter()
        .all(|verdict| verdict.status == "retry" && verdict.code.as_deref() == Some("otherServer"));
    let fate = if untaken {
        "It did nothing with the operations that it got."
    } else {
        "It does not compare `serverId`, and may have applied the operations of the last push."
    };
    let met = meet(cycle, reply.server_id.as_deref(), fate);
    if met.is_err() && untaken {
        // An earlier try may have reached the known one.
        if cycle.requests.get() > before.requests.saturating_add(1) {
            before.unsent.clear();
        }
        cycle
            .db
            .update(|replica| replica.outbox_mut().mark_untaken(ids, &before.unsent));
    }
    met
}

/// Reports pending operations of types that the config does not name, once in a cycle. They
/// stay: another version of the app, or another app on this origin, made them.
pub(crate) fn tell_unnamed<S: Store, R: Remote, H: Host>(cycle: &Cycle<'_, S, R, H>) {
    let mut unnamed: VecMap<u64> = VecMap::default();
    cycle.db.read(|replica| {
        for queued in replica.outbox().iter() {
            if cycle.config.of(&queued.op.entity).is_none() {
                unnamed.count(Table(&queued.op.entity).entity());
            }
        }
    });
    let mut side_errors = cycle.side_errors.borrow_mut();
    for (entity, count) in unnamed.iter() {
        let error = unnamed_type(*count).on(entity, None);
        let error = error.to_json(crate::util::time::format(cycle.host.now_ms()));
        if !side_errors
            .iter()
            .any(|told| told.message == error.message && told.entity == error.entity)
        {
            side_errors.push(error);
        }
    }
}

/// Returns the server that the database belongs to, with what this cycle has learned of it.
pub(crate) fn known_server<S: Store, R, H: Host>(cycle: &Cycle<'_, S, R, H>) -> KnownServer {
    let learned = cycle.learned_server.borrow();
    cycle.db.read(|replica| {
        let recorded = replica.server();
        let news = learned.as_ref().filter(|news| news.holds(recorded));
        news.map_or(recorded, |news| &news.now).clone()
    })
}

/// Records the first epoch that is known, and whose it is, so that every push names both.
pub(crate) async fn note_first<S: Store, R, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    page: &PullPage<'_>,
) -> Result<()> {
    let news = cycle.learned_server.borrow().clone();
    let first = |replica: &Replica| {
        let known = replica.server();
        if news.as_ref().is_some_and(|news| !news.holds(known)) {
            return Vec::new();
        }
        let server = news.as_ref().and_then(|news| news.to_record(known));
        let server = server.cloned().map(|server| Event::Server { server });
        let support = page.support(None).filter(|_| replica.is_new());
        let support = support.map(|has| Event::Space {
            what: SpaceEvent::Support { has },
        });
        (replica.first_epoch(page.epoch.as_deref()).into_iter())
            .chain(server)
            .chain(support)
            .collect()
    };
    cycle.db.record(Durability::Relaxed, &first).await
}

/// Compares the server that has answered with the known one, and remembers what is new about it.
/// `fate` says what has become of the operations if it is another one.
///
/// # Errors
/// Fails with [`Code::OtherServer`], naming both.
pub(crate) fn meet<S: Store, R: Remote, H: Host>(
    cycle: &Cycle<'_, S, R, H>,
    told: Option<&str>,
    fate: &str,
) -> Result<()> {
    let (own, address) = (cycle.remote.server_id(), cycle.remote.address());
    // An adapter knows better than what it passes on.
    let id = own.as_deref().or(told);
    let known = known_server(cycle);
    match known.meets(id, address.as_deref()) {
        Meeting::Same => Ok(()),
        Meeting::Learned(now) => {
            let before = cycle.db.read(|replica| replica.server().clone());
            cycle
                .learned_server
                .replace(Some(ServerNews { before, now }));
            Ok(())
        }
        Meeting::Other => Err(Error::new(
            Code::OtherServer,
            format!(
                "This user's data belongs to the server `{}`, and `{}` answers. {fate} If the app has moved, call `acceptServer(userId, \"offer\")` to keep the data and offer it to the new server, or `acceptServer(userId, \"wipe\")`; otherwise mend `remote`.",
                known.name(),
                id.or(address.as_deref())
                    .unwrap_or("a server without a name"),
            ),
        )),
    }
}
