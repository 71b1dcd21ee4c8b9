//! The shared state of the exported objects of one instance, and the calls that several of them
//! offer.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::events::Reader;
use crate::js::arguments::{read_optional_user, read_user};
use crate::js::convert::{nullable_to_js, promise, read_options, to_js};
use crate::js::engine::{WebEngine, WebUser};
use crate::js::feed::AbortWatch;
use crate::js::middleware::{Middleware, Middlewares};
use crate::js::observe::Audience;
use crate::js::page_bindings::PageBindings;
use crate::js::resolver;
use crate::js::sync_options::SyncOptions;
use crate::model::error::Result;
use crate::model::table::Table;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::web::interop::spawn;

/// Computes an answer from an open user database.
type Ask = Box<dyn FnOnce(&WebEngine, &WebUser) -> Result<JsValue>>;

/// An open instance, shared by the exported objects.
pub(crate) struct Instance {
    pub(super) engine: WebEngine,
    pub(super) live: RefCell<LiveParts>,
    pub(super) page: PageBindings,
    pub(super) waiting: WaitingNotice,
    /// The data of the config, by key.
    pub(super) config: JsValue,
}

/// The app's own objects, which the newest config of the same name replaces.
pub(super) struct LiveParts {
    pub(super) middleware: Middlewares,
    pub(super) audience: Rc<Audience>,
    /// Passes events to the audience until it ends.
    pub(super) told: Option<Rc<Reader>>,
}

/// Whether the app has been told of writes that wait although nothing is going to send them.
#[derive(Default)]
pub(super) struct WaitingNotice {
    pub(super) is_told: Cell<bool>,
    /// The users whose writes are being watched.
    pub(super) watched: RefCell<Vec<String>>,
}

/// Whether a call pauses or resumes sync.
#[derive(Clone, Copy)]
pub(super) enum PauseChange {
    Pause,
    Resume,
}

/// The sides on which `clearSyncMetadata` clears.
pub(super) struct MetadataSides {
    local: bool,
    remote: bool,
}

impl MetadataSides {
    pub(super) const BOTH: Self = Self {
        local: true,
        remote: true,
    };

    /// Reads the options of `clearSyncMetadata`. The default is this device alone: the remote's
    /// record describes all devices.
    pub(super) fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(value, "clear")?;
        Ok(Self {
            local: given.data().flag("local").unwrap_or(true),
            remote: given.data().flag("remote").unwrap_or(false),
        })
    }
}

impl Instance {
    pub(super) fn middlewares(&self) -> Middlewares {
        Rc::clone(&self.live.borrow().middleware)
    }

    pub(super) fn middleware_of(&self, entity: &str) -> Option<Middleware> {
        let entity = Table(entity).entity();
        self.live.borrow().middleware.get(entity).cloned()
    }

    pub(super) fn audience(&self) -> Rc<Audience> {
        Rc::clone(&self.live.borrow().audience)
    }

    /// Compacts the log if it has grown, after a write or a cycle has answered its caller.
    pub(super) fn compact_later(self: &Rc<Self>, user_id: &str) {
        let wanted = self
            .engine
            .opened(user_id)
            .is_some_and(|user| user.db.read(Replica::wants_checkpoint));
        if wanted {
            let (instance, user) = (Rc::clone(self), user_id.to_owned());
            spawn(async move {
                // A failure is harmless: the next write tries again.
                let _ = instance.engine.tidy(&user).await;
            });
        }
    }

    /// Answers a query about a user once that user's database is open.
    pub(super) fn query(
        self: &Rc<Self>,
        user_id: Result<String>,
        query: impl FnOnce(&WebEngine, &WebUser) -> Result<JsValue> + 'static,
    ) -> Promise {
        self.query_boxed(user_id, Box::new(query))
    }

    // Boxed: one future for all queries, not one for each.
    fn query_boxed(self: &Rc<Self>, user_id: Result<String>, query: Ask) -> Promise {
        let instance = Rc::clone(self);
        promise(async move {
            let user = instance.engine.user_for_question(&user_id?).await?;
            query(&instance.engine, &user)
        })
    }

    /// Runs a cycle for the app's `synchronize`.
    pub(super) fn cycle(self: &Rc<Self>, user_id: &JsValue, options: &JsValue) -> Promise {
        let (instance, user, options) = (
            Rc::clone(self),
            read_user(user_id),
            SyncOptions::read(options),
        );
        promise(async move { instance.synchronize(&user?, options?).await })
    }

    /// Runs a cycle.
    pub(super) async fn synchronize(
        self: &Rc<Self>,
        user_id: &str,
        options: SyncOptions,
    ) -> Result<JsValue> {
        let SyncOptions {
            options,
            resolver,
            signal,
        } = options;
        let cancel = Rc::new(Cancel::default());
        let resolver = resolver.map(|resolver| resolver::custom(resolver, &self.middlewares()));
        let _watch = signal.map(|signal| AbortWatch::new(signal, &cancel, Stop::Abort));
        let result = self
            .engine
            .synchronize(user_id, options, resolver, cancel)
            .await;
        self.compact_later(user_id);
        to_js(&result?)
    }

    /// Returns the sync metadata of this device.
    pub(super) fn local_metadata(self: &Rc<Self>, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(self), read_user(user_id));
        promise(
            async move { nullable_to_js(instance.engine.metadata().local(&user?).await?.as_ref()) },
        )
    }

    /// Returns the sync metadata of every device, as the remote has it.
    pub(super) fn remote_metadata(self: &Rc<Self>, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(self), read_user(user_id));
        promise(
            async move { nullable_to_js(instance.engine.metadata().remote(&user?).await?.as_ref()) },
        )
    }

    /// Clears sync metadata on the given sides.
    pub(super) fn clear_metadata(
        self: &Rc<Self>,
        user_id: &JsValue,
        sides: Result<MetadataSides>,
    ) -> Promise {
        let (instance, user) = (Rc::clone(self), read_user(user_id));
        promise(async move {
            let MetadataSides { local, remote } = sides?;
            instance
                .engine
                .metadata()
                .clear(&user?, local, remote)
                .await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Pauses or resumes sync, for one user or for all.
    pub(super) fn pause(self: &Rc<Self>, user_id: &JsValue, change: PauseChange) -> Promise {
        let (instance, user) = (Rc::clone(self), read_optional_user(user_id));
        promise(async move {
            let user = user?;
            match change {
                PauseChange::Pause => instance.engine.pauses().pause(user.as_deref()).await?,
                PauseChange::Resume => instance.engine.pauses().resume(user.as_deref()).await?,
            }
            Ok(JsValue::UNDEFINED)
        })
    }
}
