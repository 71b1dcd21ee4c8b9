//! The JavaScript classes: a thin skin on the facade. Every method takes `&self`, clones an `Rc`,
//! reads its arguments at once, and returns a promise; no borrow is held across an await or a call
//! into JavaScript.

use std::rc::{Rc, Weak};

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::engine::auto_sync::Signal;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::{Engine, User};
use crate::js::convert::{error_to_js, promise, read_options, read_string, to_js};
use crate::js::feed::StatusFeed;
use crate::js::manager::Manager;
use crate::js::middleware::Middlewares;
use crate::model::config::Options;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Heard;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::{LeavingWatch, Listening, NetworkWatch, WebHost, spawn};
use crate::web::remote::WebRemote;
use crate::web::storage::{WebBacking, WebStore};

pub mod config;
pub mod conflicts;
pub mod convert;
pub mod feed;
pub mod manager;
pub mod middleware;
pub mod observe;
pub mod persist;
pub mod resolver;
pub mod schedule;
pub mod unload;
pub mod users;
pub mod watch;
pub mod write;

/// Smaller and faster than the default one.
#[cfg(not(target_feature = "atomics"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// So much memory the module asks for when an instance opens, in bytes: the allocator alone asks
/// for single pages, and each of them costs the browser as much as a hundred allocations. What is
/// never used stays an address.
const ROOM: usize = 4 << 20;

/// The engine on the browser's ports.
pub(crate) type WebEngine = Engine<WebBacking, WebRemote, WebHost>;

pub(crate) type WebUser = User<WebStore, WebHost>;

type Answer = Box<dyn FnOnce(&WebEngine, &WebUser) -> Result<JsValue>>;

/// What the handles of one instance share.
pub(crate) struct Inner {
    engine: WebEngine,
    middleware: Middlewares,
    audience: Rc<observe::Audience>,
    listening: RefCell<VecMap<Listening>>,
    network: RefCell<Option<NetworkWatch>>,
    leaving: RefCell<Option<LeavingWatch>>,
    /// The last push that was left behind.
    left: RefCell<String>,
    attendance: RefCell<Option<schedule::Attendance>>,
}

impl Inner {
    /// Hears of what other tabs append to this user's database.
    fn listen(self: &Rc<Self>, user_id: &str) {
        let database = format!("{}/{user_id}", self.engine.config().name);
        let (weak, user) = (Rc::downgrade(self), user_id.to_owned());
        let listening = self.engine.host().listen(&database, move |heard| {
            let (weak, user) = (weak.clone(), user.clone());
            spawn(async move {
                let Some(inner) = weak.upgrade() else { return };
                match heard {
                    // A tail that fails now is made up for by the next commit or cycle.
                    Heard::Head(head) => drop(inner.engine.on_head(&user, head).await),
                    Heard::Word(word) => inner.engine.tabs().on_message(&user, &word).await,
                }
            });
        });
        self.listening.borrow_mut().insert(user_id, listening);
    }

    /// Compacts after a write or a cycle has answered its caller.
    fn tidy_later(self: &Rc<Self>, user_id: &str) {
        let wanted = self
            .engine
            .opened(user_id)
            .is_some_and(|user| user.db.read(Replica::wants_checkpoint));
        if wanted {
            let (inner, user) = (Rc::clone(self), user_id.to_owned());
            spawn(async move {
                // An instance that cannot compact works on; the next write tries again.
                let _ = inner.engine.tidy(&user).await;
            });
        }
    }

    /// Answers with what is at hand once a user's database is open.
    fn ask(
        self: &Rc<Self>,
        user_id: Result<String>,
        answer: impl FnOnce(&WebEngine, &WebUser) -> Result<JsValue> + 'static,
    ) -> Promise {
        self.ask_boxed(user_id, Box::new(answer))
    }

    // One future for all questions, not one for each.
    fn ask_boxed(self: &Rc<Self>, user_id: Result<String>, answer: Answer) -> Promise {
        let inner = Rc::clone(self);
        promise(async move {
            let user = inner.engine.user(&user_id?).await?;
            answer(&inner.engine, &user)
        })
    }

    /// Runs a cycle.
    fn cycle(self: &Rc<Self>, user_id: &JsValue, options: &JsValue) -> Promise {
        let (inner, user, options) = (Rc::clone(self), user(user_id), GivenOptions::read(options));
        promise(async move { inner.synchronize(&user?, options).await })
    }

    /// The sync metadata of this device.
    fn local_metadata(self: &Rc<Self>, user_id: &JsValue) -> Promise {
        self.ask(user(user_id), |engine, user| {
            nullable(engine.metadata().local_of(user).as_ref())
        })
    }

    /// The sync metadata of every device, as the remote has it.
    fn remote_metadata(self: &Rc<Self>, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(self), user(user_id));
        promise(async move { nullable(inner.engine.metadata().remote(&user?).await?.as_ref()) })
    }

    /// Forgets sync metadata, here and there.
    fn clear_metadata(self: &Rc<Self>, user_id: &JsValue, sides: Result<(bool, bool)>) -> Promise {
        let (inner, user) = (Rc::clone(self), user(user_id));
        promise(async move {
            let (local, remote) = sides?;
            inner.engine.metadata().clear(&user?, local, remote).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Pauses sync, or lets it run again, for one user or for all.
    fn pause(self: &Rc<Self>, user_id: &JsValue, paused: bool) -> Promise {
        let (inner, user) = (Rc::clone(self), optional_user(user_id));
        promise(async move {
            let user = user?;
            if paused {
                inner.engine.pauses().pause(user.as_deref()).await?
            } else {
                inner.engine.pauses().resume(user.as_deref()).await?
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Runs a cycle with the options that the app gave.
    async fn synchronize(
        self: &Rc<Self>,
        user_id: &str,
        options: Result<GivenOptions>,
    ) -> Result<JsValue> {
        let GivenOptions {
            options,
            resolver,
            signal,
        } = options?;
        let cancel = Rc::new(Cancel::default());
        let resolver = resolver.map(|resolver| resolver::custom(resolver, &self.middleware));
        let _watch = signal.map(|signal| feed::AbortWatch::new(signal, &cancel, Stop::Abort));
        let result = self
            .engine
            .synchronize(user_id, options, resolver, cancel)
            .await;
        self.tidy_later(user_id);
        to_js(&result?)
    }
}

/// `SyncOptions`, read.
pub(crate) struct GivenOptions {
    options: Options,
    resolver: Option<js_sys::Function>,
    signal: Option<web_sys::AbortSignal>,
}

impl GivenOptions {
    fn read(value: &JsValue) -> Result<Self> {
        let given = read_options(
            value,
            Code::InvalidArgument,
            "The sync options",
            &["conflictResolver", "signal"],
        )?;
        let mut options = Options::read(given.members()?)?;
        let resolver = match given.handles.get("conflictResolver") {
            Some(given) => match resolver::read(&given, Code::InvalidArgument, "conflictResolver")?
            {
                resolver::Given::Builtin(builtin) => {
                    options.conflict_resolver = Some(builtin);
                    None
                }
                resolver::Given::Custom(custom) => Some(custom),
            },
            None => None,
        };
        Ok(Self {
            options,
            resolver,
            signal: given.handles.signal("signal")?,
        })
    }
}

/// One app on one device: the class `Datum` of the package.
#[wasm_bindgen]
pub struct Datum {
    inner: Rc<Inner>,
}

#[wasm_bindgen]
impl Datum {
    /// Opens the storage and signs the initial user in. `Datum.initialize` of the package calls it.
    #[wasm_bindgen(unchecked_return_type = "Promise<Datum>")]
    pub fn open(config: JsValue) -> Promise {
        convert::watch_panics();
        crate::web::fractions::install_browser_fractions();
        drop(std::hint::black_box(Vec::<u8>::with_capacity(ROOM)));
        promise(async move { Ok(JsValue::from(open(&config).await?)) })
    }

    /// The user whose database a manager works on; null where nobody is signed in.
    #[wasm_bindgen(getter, js_name = currentUserId)]
    pub fn current_user_id(&self) -> JsValue {
        self.inner
            .engine
            .current_user()
            .map_or(JsValue::NULL, JsValue::from)
    }

    /// The manager of one entity type.
    ///
    /// # Errors
    /// `invalidArgument` where the config names no such type.
    pub fn manager(&self, entity: &JsValue) -> Result<Manager, JsValue> {
        let entity =
            read_string(entity, "The name of the entity type").map_err(|e| error_to_js(&e))?;
        self.inner
            .engine
            .check_entity(&entity)
            .map_err(|e| error_to_js(&e))?;
        Ok(Manager::new(Rc::clone(&self.inner), entity))
    }

    /// Runs a cycle.
    pub fn synchronize(&self, user_id: &JsValue, options: &JsValue) -> Promise {
        self.inner.cycle(user_id, options)
    }

    /// The status feed of a user.
    ///
    /// # Errors
    /// `invalidArgument` for a bad id.
    #[wasm_bindgen(js_name = statusForUser)]
    pub fn status_for_user(&self, user_id: &JsValue) -> Result<StatusFeed, JsValue> {
        let hub = user(user_id)
            .and_then(|user| self.inner.engine.status_hub(&user))
            .map_err(|e| error_to_js(&e))?;
        Ok(StatusFeed::new(hub))
    }

    /// Pauses sync for one user, or for all.
    #[wasm_bindgen(js_name = pauseSync)]
    pub fn pause_sync(&self, user_id: &JsValue) -> Promise {
        self.inner.pause(user_id, true)
    }

    /// Lets sync run again.
    #[wasm_bindgen(js_name = resumeSync)]
    pub fn resume_sync(&self, user_id: &JsValue) -> Promise {
        self.inner.pause(user_id, false)
    }

    /// This device's sync metadata.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.local_metadata(user_id)
    }

    /// The sync metadata of every device, as the remote has it.
    #[wasm_bindgen(js_name = getRemoteSyncMetadata)]
    pub fn get_remote_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.remote_metadata(user_id)
    }

    /// How both stand to each other.
    #[wasm_bindgen(js_name = compareSyncMetadata)]
    pub fn compare_sync_metadata(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), user(user_id));
        promise(async move { to_js(&inner.engine.metadata().compare(&user?).await?) })
    }

    /// Forgets sync metadata: here, so that the next cycle pulls everything; there, for every
    /// device.
    #[wasm_bindgen(js_name = clearSyncMetadata)]
    pub fn clear_sync_metadata(&self, user_id: &JsValue, sides: &JsValue) -> Promise {
        self.inner.clear_metadata(user_id, read_sides(sides))
    }

    /// What the last cycle did.
    #[wasm_bindgen(js_name = getLastSyncResult)]
    pub fn get_last_sync_result(&self, user_id: &JsValue) -> Promise {
        self.inner.ask(user(user_id), |_, user| {
            let text = user.last_result();
            text.map_or(Ok(JsValue::NULL), |text| convert::decode(&text))
        })
    }

    /// The operations that wait.
    #[wasm_bindgen(js_name = pendingOperations)]
    pub fn pending_operations(&self, user_id: &JsValue) -> Promise {
        self.inner.ask(user(user_id), |engine, user| {
            to_js(&engine.pending().of(user))
        })
    }

    /// How many wait.
    #[wasm_bindgen(js_name = pendingCount)]
    pub fn pending_count(&self, user_id: &JsValue) -> Promise {
        self.inner.ask(user(user_id), |_, user| {
            Ok(JsValue::from_f64(user.pending_count() as f64))
        })
    }

    /// The bytes of a user's data, and what the browser allows.
    #[wasm_bindgen(js_name = storageSize)]
    pub fn storage_size(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), user(user_id));
        promise(async move { to_js(&inner.engine.health().storage_size(&user?).await?) })
    }

    /// Removes everything of a user from this device.
    #[wasm_bindgen(js_name = clearUserData)]
    pub fn clear_user_data(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), user(user_id));
        promise(async move {
            let user = user?;
            inner.engine.users().clear_data(&user).await?;
            inner.listening.borrow_mut().remove(&user);
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Stops every cycle, waits for commits in flight, and lets go of the storage.
    pub fn close(&self) -> Promise {
        let inner = Rc::clone(&self.inner);
        promise(async move {
            inner.engine.close().await;
            let listening = std::mem::take(&mut *inner.listening.borrow_mut());
            let network = inner.network.borrow_mut().take();
            let (leaving, attendance) = (
                inner.leaving.borrow_mut().take(),
                inner.attendance.borrow_mut().take(),
            );
            drop((listening, network, leaving, attendance));
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// The options of `clearSyncMetadata`. Only this device forgets unless told otherwise: the remote's
/// record is about all devices.
fn read_sides(value: &JsValue) -> Result<(bool, bool)> {
    let given = read_options(
        value,
        Code::InvalidArgument,
        "The options of `clearSyncMetadata`",
        &[],
    )?;
    let mut given = given.members()?;
    let sides = (
        given.flag("local").unwrap_or(true),
        given.flag("remote").unwrap_or(false),
    );
    given.finish()?;
    Ok(sides)
}

async fn open(given: &JsValue) -> Result<Datum> {
    let config::Given {
        config,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
    } = config::read(given)?;
    let backing = WebBacking::open(&config.name).await?;
    let engine = Engine::new(backing, remote, Rc::new(WebHost::new()), config, resolvers);
    let inner = Rc::new(Inner {
        engine,
        middleware,
        audience,
        listening: RefCell::default(),
        network: RefCell::default(),
        attendance: RefCell::default(),
        leaving: RefCell::default(),
        left: RefCell::default(),
    });
    inner.audience.follow(&inner.engine);
    unload::watch(&inner);
    persist::watch(&inner);
    let weak = Rc::downgrade(&inner);
    let upgrade = |weak: &Weak<Inner>| weak.upgrade();
    inner.engine.backing().on_open({
        let weak = weak.clone();
        move |user_id| {
            if let Some(inner) = upgrade(&weak) {
                inner.listen(user_id);
            }
        }
    });
    let watch = inner.engine.host().on_network(move |online| {
        if let Some(inner) = weak.upgrade() {
            inner.engine.network_changed(online);
            if online {
                inner.engine.auto_sync().signal(Signal::Online);
            } else {
                inner.ask_for_background_sync();
            }
        }
    });
    *inner.network.borrow_mut() = Some(watch);
    if let Some(user) = initial_user.resolve(inner.engine.host()).await? {
        inner.engine.sign_in(&user).await?;
    }
    schedule::attend(&inner);
    Ok(Datum { inner })
}

fn user(value: &JsValue) -> Result<String> {
    read_string(value, "`userId`")
}

fn optional_user(value: &JsValue) -> Result<Option<String>> {
    if value.is_undefined() || value.is_null() {
        Ok(None)
    } else {
        user(value).map(Some)
    }
}

fn nullable<T: serde::Serialize>(value: Option<&T>) -> Result<JsValue> {
    value.map_or(Ok(JsValue::NULL), to_js)
}

/// An error for a value that a later version will take.
fn not_yet(what: &'static str) -> Error {
    Error::new(Code::InvalidArgument, what)
}
