//! The exported classes, their JavaScript and their types; this file is the class `Datum`.
//!
//! Every method takes `&self`, reads its arguments immediately, and returns a promise: no borrow is
//! held across an await or a call into JavaScript.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::arguments::{read_optional_user, read_string, read_user};
use crate::js::convert::{decode, error_to_js, promise, to_js};
use crate::js::feed::Feed;
use crate::js::instance::{Instance, MetadataSides, PauseChange};
use crate::js::manager::Manager;
use crate::js::manager::options::read_user_option;
use crate::js::spaces::SpaceManager;
use crate::model::error::Result;
use crate::util::time::format;
use crate::web::interop::set_member;

pub mod adopt;
pub mod arguments;
pub mod config;
pub mod conflicts;
pub mod convert;
pub mod dead_letters;
pub mod engine;
pub mod events;
pub mod feed;
pub mod instance;
pub mod manager;
pub mod middleware;
mod migrations;
pub mod observe;
pub mod open;
pub mod page;
pub mod page_bindings;
pub mod persist;
mod related;
mod related_feed;
pub mod resolver;
pub mod schedule;
pub mod spaces;
pub mod sync_options;
pub mod transfer;
pub mod users;
pub mod waiting;
pub mod watch;
pub mod write;

/// Smaller and faster than the default allocator.
#[cfg(not(target_feature = "atomics"))]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// One app on one device: the class `Datum` of the package.
#[wasm_bindgen]
pub struct Datum {
    instance: Rc<Instance>,
}

#[wasm_bindgen]
impl Datum {
    /// Opens the storage and signs the initial user in. Called by `Datum.initialize` of the
    /// package.
    #[wasm_bindgen(unchecked_return_type = "Promise<Datum>")]
    pub fn open(config: JsValue) -> Promise {
        open::prepare();
        promise(async move {
            let instance = open::open(&config).await?;
            Ok(JsValue::from(Self { instance }))
        })
    }

    /// Takes the live parts of a newer config. Called by `Datum.initialize` of the package, and not
    /// exported by it.
    pub fn adopt(&self, config: JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        promise(async move { adopt::adopt(&instance, &config).await })
    }

    /// The user whose database a manager works on; null if nobody is signed in.
    #[wasm_bindgen(getter, js_name = currentUserId)]
    pub fn current_user_id(&self) -> JsValue {
        self.instance
            .engine
            .current_user()
            .map_or(JsValue::NULL, JsValue::from)
    }

    /// The manager of one entity type.
    ///
    /// # Errors
    /// Fails with `invalidArgument` if the config names no such type.
    pub fn manager(&self, entity: &JsValue) -> Result<Manager, JsValue> {
        let entity =
            read_string(entity, "The name of the entity type").map_err(|e| error_to_js(&e))?;
        self.instance
            .engine
            .check_entity(&entity)
            .map_err(|e| error_to_js(&e))?;
        Ok(Manager::new(Rc::clone(&self.instance), entity))
    }

    /// Runs a cycle.
    pub fn synchronize(&self, user_id: &JsValue, options: &JsValue) -> Promise {
        self.instance.cycle(user_id, options)
    }

    /// The status feed of a user.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad id.
    #[wasm_bindgen(js_name = statusForUser)]
    pub fn status_for_user(&self, user_id: &JsValue) -> Result<Feed, JsValue> {
        let hub = read_user(user_id)
            .and_then(|user| self.instance.engine.status_hub(&user))
            .map_err(|e| error_to_js(&e))?;
        Ok(Feed::of_status(hub))
    }

    /// Pauses sync for one user, or for all.
    #[wasm_bindgen(js_name = pauseSync)]
    pub fn pause_sync(&self, user_id: &JsValue) -> Promise {
        self.instance.pause(user_id, PauseChange::Pause)
    }

    /// Resumes sync for one user, or for all.
    #[wasm_bindgen(js_name = resumeSync)]
    pub fn resume_sync(&self, user_id: &JsValue) -> Promise {
        self.instance.pause(user_id, PauseChange::Resume)
    }

    /// Returns this device's sync metadata.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance.local_metadata(user_id)
    }

    /// Returns the sync metadata of every device, as the remote has it.
    #[wasm_bindgen(js_name = getRemoteSyncMetadata)]
    pub fn get_remote_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance.remote_metadata(user_id)
    }

    /// Compares the sync metadata of this device with the remote's.
    #[wasm_bindgen(js_name = compareSyncMetadata)]
    pub fn compare_sync_metadata(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move { to_js(&instance.engine.metadata().compare(&user?).await?) })
    }

    /// As [`Self::compare_sync_metadata`], with the reason in words.
    #[wasm_bindgen(js_name = explainSyncMetadata)]
    pub fn explain_sync_metadata(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move {
            let (result, because) = instance.engine.metadata().comparison(&user?).await?;
            let both = js_sys::Object::new();
            set_member(&both, "result", &to_js(&result)?);
            set_member(&both, "because", &JsValue::from_str(because));
            Ok(both.into())
        })
    }

    /// Clears sync metadata: on this device, so that the next cycle pulls everything; on the
    /// remote, for every device.
    #[wasm_bindgen(js_name = clearSyncMetadata)]
    pub fn clear_sync_metadata(&self, user_id: &JsValue, sides: &JsValue) -> Promise {
        self.instance
            .clear_metadata(user_id, MetadataSides::read(sides))
    }

    /// Returns the result of the last cycle.
    #[wasm_bindgen(js_name = getLastSyncResult)]
    pub fn get_last_sync_result(&self, user_id: &JsValue) -> Promise {
        self.instance.query(read_user(user_id), |_, user| {
            let text = user.last_result();
            text.map_or(Ok(JsValue::NULL), |text| decode(&text))
        })
    }

    /// Returns the pending operations.
    #[wasm_bindgen(js_name = pendingOperations)]
    pub fn pending_operations(&self, user_id: &JsValue) -> Promise {
        self.instance.query(read_user(user_id), |engine, user| {
            to_js(&engine.pending().of(user))
        })
    }

    /// Returns the number of pending operations.
    #[wasm_bindgen(js_name = pendingCount)]
    pub fn pending_count(&self, user_id: &JsValue) -> Promise {
        self.instance.query(read_user(user_id), |_, user| {
            Ok(JsValue::from_f64(user.pending_count() as f64))
        })
    }

    /// Returns the size of a user's data, and the browser's quota.
    #[wasm_bindgen(js_name = storageSize)]
    pub fn storage_size(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move { to_js(&instance.engine.health().storage_size(&user?).await?) })
    }

    /// Returns the tabs that have a user's data open.
    pub fn tabs(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move { to_js(&instance.engine.tabs().list(&user?).await?) })
    }

    /// Removes everything of a user from this device.
    #[wasm_bindgen(js_name = clearUserData)]
    pub fn clear_user_data(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move {
            let user = user?;
            instance.engine.users().clear_data(&user).await?;
            instance.page.stop_listening(&user);
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Returns a user's data as a stream of lines.
    ///
    /// # Errors
    /// Fails with `invalidArgument`, naming the wrong argument; `noUser`.
    #[wasm_bindgen(js_name = exportUser)]
    pub fn export_user(&self, user_id: &JsValue, options: &JsValue) -> Result<JsValue, JsValue> {
        transfer::export(&self.instance, user_id, options).map_err(|e| error_to_js(&e))
    }

    /// Returns the trace of a user's database as a file.
    #[wasm_bindgen(js_name = exportTrace)]
    pub fn export_trace(&self, user_id: &JsValue) -> Promise {
        transfer::trace(&self.instance, user_id)
    }

    /// Imports a file of `exportUser`.
    #[wasm_bindgen(js_name = importUser)]
    pub fn import_user(&self, source: &JsValue, options: &JsValue) -> Promise {
        transfer::import(&self.instance, source, options)
    }

    /// Stops every cycle, waits for commits in flight, and closes the storage.
    pub fn close(&self) -> Promise {
        let instance = Rc::clone(&self.instance);
        promise(async move {
            instance.engine.close().await;
            instance.page.release();
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Starts a user's automatic cycles.
    ///
    /// # Errors
    /// Fails with `invalidArgument`, naming the wrong argument; `closed`.
    #[wasm_bindgen(js_name = startAutoSync)]
    pub fn start_auto_sync(&self, user_id: &JsValue, options: &JsValue) -> Result<(), JsValue> {
        schedule::start(&self.instance, user_id, options).map_err(|e| error_to_js(&e))
    }

    /// Stops a user's automatic cycles, or all users'.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad id; `closed`.
    #[wasm_bindgen(js_name = stopAutoSync)]
    pub fn stop_auto_sync(&self, user_id: &JsValue) -> Result<(), JsValue> {
        read_optional_user(user_id)
            .and_then(|user| self.instance.engine.auto_sync().stop(user.as_deref()))
            .map_err(|e| error_to_js(&e))
    }

    /// Returns when the next automatic cycle begins.
    ///
    /// # Errors
    /// Fails with `invalidArgument` for a bad id.
    #[wasm_bindgen(js_name = nextSyncTime)]
    pub fn next_sync_time(&self, user_id: &JsValue) -> Result<JsValue, JsValue> {
        let at = read_user(user_id)
            .map(|user| self.instance.engine.auto_sync().next_sync_time(&user))
            .map_err(|e| error_to_js(&e))?;
        Ok(at.map_or(JsValue::NULL, |at| JsValue::from_str(&format(at))))
    }

    /// Explains when the next automatic cycle begins, or why none does.
    #[wasm_bindgen(js_name = explainNextSync)]
    pub fn explain_next_sync(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move { to_js(&instance.engine.explanations().next_sync(&user?)?) })
    }

    /// Explains why an operation has not been sent.
    #[wasm_bindgen(js_name = explainOperation)]
    pub fn explain_operation(&self, op_id: &JsValue, options: &JsValue) -> Promise {
        let op_id = read_string(op_id, "`opId`");
        let engine = &self.instance.engine;
        let user = read_user_option(options).and_then(|user| engine.user_or_current(user));
        self.instance.query(user, |engine, user| {
            to_js(&engine.explanations().operation(user, &op_id?)?)
        })
    }

    /// Asks the browser never to evict the stored data.
    #[wasm_bindgen(js_name = requestPersistence)]
    pub fn request_persistence(&self) -> Promise {
        let instance = Rc::clone(&self.instance);
        promise(async move { Ok(JsValue::from_bool(persist::request(&instance).await)) })
    }
    /// The events of this instance.
    ///
    /// # Errors
    /// Fails with `invalidArgument`, naming the field of the filter.
    pub fn events(&self, filter: &JsValue) -> Result<Feed, JsValue> {
        let filter = events::read_filter(filter).map_err(|e| error_to_js(&e))?;
        let instance = Rc::clone(&self.instance);
        Ok(Feed::new(move || instance.engine.events(filter.clone())))
    }

    /// What this instance does.
    ///
    /// # Errors
    /// Fails with `invalidArgument`, naming the field of the filter.
    #[wasm_bindgen(js_name = watchActivity)]
    pub fn watch_activity(&self, filter: &JsValue) -> Result<Feed, JsValue> {
        let user = read_user_option(filter).map_err(|e| error_to_js(&e))?;
        let instance = Rc::clone(&self.instance);
        Ok(Feed::new(move || {
            instance.engine.watch_activity(user.clone())
        }))
    }

    /// Counters since the instance was opened.
    ///
    /// # Errors
    /// None: metrics always have a JavaScript form.
    #[wasm_bindgen(getter)]
    pub fn metrics(&self) -> Result<JsValue, JsValue> {
        to_js(&self.instance.engine.metrics()).map_err(|e| error_to_js(&e))
    }

    /// The last entries of the log, from which the package's entry makes a report.
    pub fn report(&self) -> JsValue {
        self.instance.audience().recent()
    }

    /// Asks the remote for its health, and returns the health of everything.
    #[wasm_bindgen(js_name = checkHealth)]
    pub fn check_health(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_optional_user(user_id));
        promise(async move { to_js(&instance.engine.health().check(user?).await?) })
    }

    /// The spaces that the user shares with others.
    pub fn spaces(&self) -> SpaceManager {
        SpaceManager::new(Rc::clone(&self.instance))
    }

    /// Returns the operations that the remote has rejected for good.
    #[wasm_bindgen(js_name = deadLetters)]
    pub fn dead_letters(&self, user_id: &JsValue) -> Promise {
        dead_letters::list(&self.instance, user_id)
    }

    /// Queues a dead letter again.
    #[wasm_bindgen(js_name = retryDeadLetter)]
    pub fn retry_dead_letter(&self, id: &JsValue, edited: &JsValue) -> Promise {
        dead_letters::retry(&self.instance, id, edited)
    }

    /// Takes an operation out of the outbox: it becomes a dead letter.
    #[wasm_bindgen(js_name = discardOperation)]
    pub fn discard_operation(&self, op_id: &JsValue, options: &JsValue) -> Promise {
        dead_letters::discard_operation(&self.instance, op_id, options)
    }

    /// Removes a dead letter for good.
    #[wasm_bindgen(js_name = discardDeadLetter)]
    pub fn discard_dead_letter(&self, id: &JsValue) -> Promise {
        dead_letters::discard(&self.instance, id)
    }
}
