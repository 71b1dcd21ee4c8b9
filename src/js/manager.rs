//! The manager of one entity type: writes, reads, and sync from where the entities are used.

use std::rc::Rc;

use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::prelude::*;

use crate::engine::entities::DEFAULT_PAGE;
use crate::js::convert::{
    encode, encode_many, error_to_js, lines, promise, promise_as_is, read_options, read_string,
    read_strings,
};
use crate::js::middleware::{Middleware, decoded, decoded_many};
use crate::js::watch::{Target, WatchFeed};
use crate::js::write::{Answer, Call, Given, many, one, patch, write};
use crate::js::{GivenOptions, Inner, not_yet};
use crate::model::config::DeleteBehavior;
use crate::model::config::relations::read_depends_on;
use crate::model::entity::{Key, OwnedKey, check_entity_id};
use crate::model::error::{Code, Error, Result};
use crate::plan::write::{Write, Written};

/// The entities of one type: the class `Manager` of the package.
#[wasm_bindgen]
pub struct Manager {
    inner: Rc<Inner>,
    entity: Rc<str>,
    middleware: Option<Middleware>,
}

/// The options of every call on entities.
pub(super) struct UserOption {
    pub(super) user_id: Option<String>,
}

/// The options of every call that writes.
#[derive(Default)]
struct WriteOptions {
    user_id: Option<String>,
    after: Rc<[OwnedKey]>,
    behavior: Option<DeleteBehavior>,
}

struct PageOptions {
    size: Option<f64>,
    after: Option<String>,
}

impl Manager {
    pub(crate) fn new(inner: Rc<Inner>, entity: String) -> Self {
        let middleware = inner.middleware.get(&entity).cloned();
        Self {
            inner,
            entity: Rc::from(entity),
            middleware,
        }
    }

    fn handles(&self) -> (Rc<Inner>, Rc<str>) {
        (Rc::clone(&self.inner), Rc::clone(&self.entity))
    }

    /// Writes all of these or none, and answers what they came to.
    fn write(
        &self,
        options: Result<WriteOptions>,
        writes: Given<Vec<Write>>,
        answer: Answer,
    ) -> Promise {
        let writes = match writes {
            Ok(writes) => writes,
            Err(refused) => return Promise::reject(&refused),
        };
        let (inner, entity) = self.handles();
        let (target, middleware) = (self.written(options), self.middleware.clone());
        promise(async move {
            answer(
                write(&inner, &entity, target?, writes).await?,
                middleware.as_ref(),
            )
        })
    }

    /// Whose entities a write is about, as [`Self::user`], and behind what it goes.
    fn written(&self, options: Result<WriteOptions>) -> Result<Call> {
        let options = options?;
        Ok(Call {
            user: self.inner.engine.user_or_current(options.user_id)?,
            after: options.after,
        })
    }

    /// The user that a call is about: whoever is current at the call, even if another signs in
    /// before the promise is settled.
    fn user(&self, options: Result<UserOption>) -> Result<String> {
        self.inner.engine.user_or_current(options?.user_id)
    }

    /// The options of a read: whose entities, and whether deleted ones too.
    fn read_options(&self, value: &JsValue) -> Result<(String, bool)> {
        let given = read_options(value, Code::InvalidArgument, "The options", &[])?;
        let mut given = given.members()?;
        let options = (
            given.text("userId"),
            given.flag("includeDeleted").unwrap_or_default(),
        );
        given.finish()?;
        Ok((self.inner.engine.user_or_current(options.0)?, options.1))
    }

    fn target(
        &self,
        user_id: Option<String>,
        only: Option<String>,
        include_deleted: bool,
    ) -> Result<Target> {
        Ok(Target {
            user_id: self.inner.engine.user_or_current(user_id)?,
            entity: Rc::clone(&self.entity),
            only,
            include_deleted,
        })
    }

    fn texts(&self, values: &JsValue, what: &str) -> Given<Vec<String>> {
        let text = match &self.middleware {
            Some(middleware) => middleware.save_many(values, what)?,
            None => encode_many(values, Code::InvalidEntity, what).map_err(|e| error_to_js(&e))?,
        };
        Ok(lines(&text).map(str::to_owned).collect())
    }

    fn text(&self, value: &JsValue, what: &str) -> Given<String> {
        match &self.middleware {
            Some(middleware) => middleware.save(value, what),
            None => self.encoded(value, what).map_err(|e| error_to_js(&e)),
        }
    }

    fn is_soft(&self, behavior: Option<DeleteBehavior>) -> bool {
        behavior.map_or_else(
            || self.inner.engine.config().is_soft(&self.entity),
            |behavior| behavior == DeleteBehavior::SoftDelete,
        )
    }
}

#[wasm_bindgen]
impl Manager {
    /// The name of the entity type.
    #[wasm_bindgen(getter)]
    pub fn entity(&self) -> String {
        self.entity.to_string()
    }

    /// Stores a new entity.
    pub fn create(&self, draft: &JsValue, options: &JsValue) -> Promise {
        let writes = self
            .text(draft, "The draft")
            .map(|draft| vec![Write::Create { draft }]);
        self.write(write_options(options), writes, one)
    }

    /// Replaces an entity's fields.
    pub fn update(&self, entity: &JsValue, options: &JsValue) -> Promise {
        let writes = self
            .text(entity, "The entity")
            .map(|entity| vec![Write::Update { entity }]);
        self.write(write_options(options), writes, one)
    }

    /// Replaces some of an entity's fields.
    pub fn patch(&self, id: &JsValue, changes: &JsValue, options: &JsValue) -> Promise {
        let (id, options) = (read_string(id, "`id`"), write_options(options));
        let Some(middleware) = self.middleware.clone() else {
            let writes = id.and_then(|id| {
                Ok(vec![Write::Patch {
                    id,
                    changes: self.encoded(changes, "The changes")?,
                }])
            });
            return self.write(options, writes.map_err(|e| error_to_js(&e)), one);
        };
        let changes = match middleware.take(changes, "The changes") {
            Ok(changes) => changes,
            Err(refused) => return Promise::reject(&refused),
        };
        let ((inner, entity), target) = (self.handles(), self.written(options));
        promise_as_is(Box::pin(async move {
            patch(&inner, &entity, &middleware, target, id, changes).await
        }))
    }

    /// Deletes an entity; false where there is none.
    pub fn delete(&self, id: &JsValue, options: &JsValue) -> Promise {
        let options = delete_option(options);
        let writes = read_string(id, "`id`").map(|id| {
            let soft = self.is_soft(options.as_ref().ok().and_then(|options| options.behavior));
            vec![Write::Delete { id, soft }]
        });
        self.write(
            options,
            writes.map_err(|e| error_to_js(&e)),
            |written, _| {
                Ok(JsValue::from_bool(matches!(
                    written.first(),
                    Some(Written::Deleted(_))
                )))
            },
        )
    }

    /// Stores new entities, all or none.
    #[wasm_bindgen(js_name = createMany)]
    pub fn create_many(&self, drafts: &JsValue, options: &JsValue) -> Promise {
        let writes = self.texts(drafts, "The drafts").map(|drafts| {
            drafts
                .into_iter()
                .map(|draft| Write::Create { draft })
                .collect()
        });
        self.write(write_options(options), writes, many)
    }

    /// Replaces the fields of entities, all or none.
    #[wasm_bindgen(js_name = updateMany)]
    pub fn update_many(&self, entities: &JsValue, options: &JsValue) -> Promise {
        let writes = self.texts(entities, "The entities").map(|entities| {
            entities
                .into_iter()
                .map(|entity| Write::Update { entity })
                .collect()
        });
        self.write(write_options(options), writes, many)
    }

    /// Deletes entities; answers the ids of those that were there.
    #[wasm_bindgen(js_name = deleteMany)]
    pub fn delete_many(&self, ids: &JsValue, options: &JsValue) -> Promise {
        let options = delete_option(options);
        let soft = self.is_soft(options.as_ref().ok().and_then(|options| options.behavior));
        let writes = read_strings(ids, "The ids").map(|ids| {
            ids.into_iter()
                .map(|id| Write::Delete { id, soft })
                .collect()
        });
        self.write(
            options,
            writes.map_err(|e| error_to_js(&e)),
            |written, _| {
                let deleted = written.into_iter().filter_map(|written| match written {
                    Written::Deleted(id) => Some(JsValue::from_str(&id)),
                    _ => None,
                });
                Ok(deleted.collect::<Array>().into())
            },
        )
    }

    /// One entity, or null.
    pub fn read(&self, id: &JsValue, options: &JsValue) -> Promise {
        let ((inner, entity), middleware) = (self.handles(), self.middleware.clone());
        let (id, options) = (read_string(id, "`id`"), self.read_options(options));
        promise(async move {
            let (user, include_deleted) = options?;
            match inner
                .engine
                .entities()
                .read(&user, &entity, &id?, include_deleted)
                .await?
            {
                Some(text) => decoded(&text, middleware.as_ref()),
                None => Ok(JsValue::NULL),
            }
        })
    }

    /// Every entity, in order of id.
    #[wasm_bindgen(js_name = readAll)]
    pub fn read_all(&self, options: &JsValue) -> Promise {
        let ((inner, entity), middleware) = (self.handles(), self.middleware.clone());
        let options = self.read_options(options);
        promise(async move {
            let (user, include_deleted) = options?;
            decoded_many(
                &inner
                    .engine
                    .entities()
                    .read_all(&user, &entity, include_deleted)
                    .await?,
                middleware.as_ref(),
            )
        })
    }

    /// One page of entities, in order of id.
    #[wasm_bindgen(js_name = readPage)]
    pub fn read_page(&self, page: &JsValue, options: &JsValue) -> Promise {
        let ((inner, entity), middleware) = (self.handles(), self.middleware.clone());
        let page = page_option(page);
        let user = self.user(user_option(options));
        promise(async move {
            let page = page?;
            let size = match page.size {
                None => DEFAULT_PAGE,
                // Out of range in either way becomes 0, which the facade refuses by name.
                Some(size) if size.fract() == 0.0 && (1.0..=1e6).contains(&size) => size as usize,
                Some(_) => 0,
            };
            let page = inner
                .engine
                .entities()
                .read_page(&user?, &entity, size, page.after.as_deref())
                .await?;
            let object = js_sys::Object::new();
            let set = |key: &str, value: &JsValue| {
                // Setting a property of a fresh object cannot fail.
                let _ = Reflect::set(&object, &JsValue::from_str(key), value);
            };
            set("items", &decoded_many(&page.items, middleware.as_ref())?);
            if let Some(after) = &page.after {
                set("after", &JsValue::from_str(after));
            }
            set("hasMore", &JsValue::from_bool(page.has_more));
            set("total", &JsValue::from_f64(page.total as f64));
            Ok(js_sys::Object::freeze(&object).into())
        })
    }

    /// Every entity, now and after each change.
    #[wasm_bindgen(js_name = watchAll)]
    pub fn watch_all(&self, options: &JsValue) -> WatchFeed {
        let target = self
            .read_options(options)
            .and_then(|(user, include_deleted)| self.target(Some(user), None, include_deleted));
        WatchFeed::new(Rc::clone(&self.inner), target)
    }

    /// One entity, or null, now and after each change.
    #[wasm_bindgen(js_name = watchById)]
    pub fn watch_by_id(&self, id: &JsValue, options: &JsValue) -> WatchFeed {
        let target = read_string(id, "`id`")
            .and_then(|id| self.target(user_option(options)?.user_id, Some(id), false));
        WatchFeed::new(Rc::clone(&self.inner), target)
    }

    /// Whether an entity exists.
    pub fn exists(&self, id: &JsValue, options: &JsValue) -> Promise {
        let key = read_string(id, "`id`").and_then(|id| {
            check_entity_id(&self.entity, &id).map(|()| Key::new(&self.entity, &id).to_owned())
        });
        self.inner
            .ask(self.user(user_option(options)), move |_, user| {
                Ok(JsValue::from_bool(user.exists(&key?.as_key())))
            })
    }

    /// How many entities there are.
    pub fn count(&self, query: &JsValue, options: &JsValue) -> Promise {
        let entity = Rc::clone(&self.entity);
        let without_query = if query.is_undefined() || query.is_null() {
            Ok(())
        } else {
            Err(not_yet(
                "`count` takes no query yet; pass undefined and count what `readAll` gives.",
            ))
        };
        let user = without_query.and_then(|()| self.user(user_option(options)));
        self.inner.ask(user, move |_, user| {
            Ok(JsValue::from_f64(user.count(&entity) as f64))
        })
    }

    /// Runs a cycle.
    pub fn synchronize(&self, user_id: &JsValue, options: &JsValue) -> Promise {
        self.inner.cycle(user_id, options)
    }

    /// Stores a new entity, then runs a cycle: answers both.
    #[wasm_bindgen(js_name = pushAndSync)]
    pub fn push_and_sync(&self, draft: &JsValue, options: &JsValue) -> Promise {
        let ((inner, entity), middleware) = (self.handles(), self.middleware.clone());
        let target = self.written(write_options(options));
        let draft = match self.text(draft, "The draft") {
            Ok(draft) => draft,
            Err(refused) => return Promise::reject(&refused),
        };
        promise(async move {
            let target = target?;
            let user = target.user.clone();
            let written = write(&inner, &entity, target, vec![Write::Create { draft }]).await?;
            let result = inner
                .synchronize(&user, GivenOptions::read(&JsValue::UNDEFINED))
                .await?;
            let both = js_sys::Object::new();
            // Setting a property of a fresh object cannot fail.
            let _ = Reflect::set(
                &both,
                &JsValue::from_str("entity"),
                &one(written, middleware.as_ref())?,
            );
            let _ = Reflect::set(&both, &JsValue::from_str("result"), &result);
            Ok(both.into())
        })
    }

    /// How the writes of an entity end that wait now.
    #[wasm_bindgen(js_name = whenSynced)]
    pub fn when_synced(&self, id: &JsValue, options: &JsValue) -> Promise {
        let (inner, entity) = self.handles();
        let (id, user) = (read_string(id, "`id`"), self.user(user_option(options)));
        promise(async move {
            Ok(JsValue::from_str(
                inner
                    .engine
                    .entities()
                    .when_synced(&user?, &entity, &id?)
                    .await?
                    .name(),
            ))
        })
    }

    /// The sync metadata of every device, as the remote has it.
    #[wasm_bindgen(js_name = getRemoteSyncMetadata)]
    pub fn get_remote_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.remote_metadata(user_id)
    }

    /// The guide's way to the local metadata.
    #[wasm_bindgen(getter, js_name = localAdapter)]
    pub fn local_adapter(&self) -> LocalAdapter {
        LocalAdapter {
            inner: Rc::clone(&self.inner),
        }
    }

    /// The guide's way to the remote's.
    #[wasm_bindgen(getter, js_name = remoteAdapter)]
    pub fn remote_adapter(&self) -> RemoteAdapter {
        RemoteAdapter {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl Manager {
    fn encoded(&self, value: &JsValue, what: &str) -> Result<String> {
        let text =
            encode(value, Code::InvalidEntity, what).map_err(|e| e.on(&self.entity, None))?;
        // Said here, where the value still has a name. What JSON has written is whole.
        if text.starts_with('{') {
            return Ok(text);
        }
        Err(
            Error::new(Code::InvalidEntity, format!("{what} must be an object."))
                .on(&self.entity, None),
        )
    }
}

/// The local side of the guide's adapters.
#[wasm_bindgen]
pub struct LocalAdapter {
    inner: Rc<Inner>,
}

#[wasm_bindgen]
impl LocalAdapter {
    /// This device's sync metadata.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.local_metadata(user_id)
    }
}

/// The remote side of the guide's adapters.
#[wasm_bindgen]
pub struct RemoteAdapter {
    inner: Rc<Inner>,
}

#[wasm_bindgen]
impl RemoteAdapter {
    /// The sync metadata of every device.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.remote_metadata(user_id)
    }

    /// Forgets it, here as well, so that the next cycle brings fresh data.
    #[wasm_bindgen(js_name = clearSyncMetadata)]
    pub fn clear_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.inner.clear_metadata(user_id, Ok((true, true)))
    }
}

pub(super) fn user_option(value: &JsValue) -> Result<UserOption> {
    let given = read_options(value, Code::InvalidArgument, "The options", &[])?;
    let mut given = given.members()?;
    let options = UserOption {
        user_id: given.text("userId"),
    };
    given.finish()?;
    Ok(options)
}

fn write_options(value: &JsValue) -> Result<WriteOptions> {
    read_write_options(value, false)
}

fn delete_option(value: &JsValue) -> Result<WriteOptions> {
    read_write_options(value, true)
}

fn read_write_options(value: &JsValue, deletes: bool) -> Result<WriteOptions> {
    let given = read_options(
        value,
        Code::InvalidArgument,
        if deletes {
            "The options of `delete`"
        } else {
            "The options"
        },
        &[],
    )?;
    let mut given = given.members()?;
    let mut options = WriteOptions {
        user_id: given.text("userId"),
        after: read_depends_on(&mut given),
        behavior: None,
    };
    if deletes {
        options.behavior = given.choice("behavior", &DeleteBehavior::NAMES);
    }
    given.finish()?;
    Ok(options)
}

fn page_option(value: &JsValue) -> Result<PageOptions> {
    let given = read_options(value, Code::InvalidArgument, "The page", &[])?;
    let mut given = given.members()?;
    let options = PageOptions {
        size: given.number("size"),
        after: given.text("after"),
    };
    given.finish()?;
    Ok(options)
}
