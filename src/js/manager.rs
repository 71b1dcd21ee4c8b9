//! The manager of one entity type: writes, reads and sync.

use std::rc::Rc;

use js_sys::{Array, Object, Promise};
use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::js::arguments::{read_distinct_strings, read_string};
use crate::js::convert::{
    encode_entities, encode_entity, error_to_js, lines, promise, promise_as_is,
};
use crate::js::feed::Feed;
use crate::js::instance::Instance;
use crate::js::manager::adapters::{LocalAdapter, RemoteAdapter};
use crate::js::manager::options::{
    PageOptions, ReadOptions, WriteOptions, read_move, read_space_option, read_write_options, split,
};
use crate::js::manager::pages::page_object;
use crate::js::middleware::{Middleware, decoded, decoded_many};
use crate::js::sync_options::SyncOptions;
use crate::js::watch::{WatchTarget, watch};
use crate::js::write::{JsResult, WriteOutput, WriteTarget, many, one, patch, patch_of, write};
use crate::model::config::DeleteBehavior;
use crate::model::entity::{Key, check_entity_id};
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::plan::write::{Write, Written};
use crate::web::interop::set_member;

pub mod adapters;
pub mod options;
mod pages;
mod patches;
mod queries;
mod relations;

/// The entities of one type: the class `Manager` of the package.
#[wasm_bindgen]
pub struct Manager {
    instance: Rc<Instance>,
    entity: Rc<str>,
}

impl Manager {
    pub(crate) fn new(instance: Rc<Instance>, entity: String) -> Self {
        Self {
            instance,
            entity: Rc::from(entity),
        }
    }

    /// The middleware of the type now: a newer config may have replaced it.
    fn middleware(&self) -> Option<Middleware> {
        self.instance.middleware_of(&self.entity)
    }

    fn handles(&self) -> (Rc<Instance>, Rc<str>) {
        (Rc::clone(&self.instance), Rc::clone(&self.entity))
    }

    /// Writes all of these or none.
    fn write(
        &self,
        options: Result<WriteOptions>,
        writes: JsResult<Vec<Write>>,
        output: WriteOutput,
    ) -> Promise {
        let writes = match writes {
            Ok(writes) => writes,
            Err(refused) => return Promise::reject(&refused),
        };
        let (instance, entity) = self.handles();
        let (target, middleware) = (self.written(options), self.middleware());
        promise(async move {
            output(
                write(&instance, &entity, target?, writes).await?,
                middleware.as_ref(),
            )
        })
    }

    /// Resolves the user of a write: by default the one who is current at the call, even if another
    /// signs in before the promise settles.
    fn written(&self, options: Result<WriteOptions>) -> Result<WriteTarget> {
        let options = options?;
        Ok(WriteTarget {
            user: self.instance.engine.user_or_current(options.user_id)?,
            space: options.space,
            after: options.after,
            removed: options.removed,
            behavior: options.behavior,
            cascade: options.cascade,
        })
    }

    /// Reads the options of a read: whose entities (by default of the user who is current at the
    /// call), of which spaces, and what else. `kind` is `read` or `query`.
    fn read_options(&self, value: &JsValue, kind: &str) -> Result<(String, Rc<str>, Include)> {
        let options = ReadOptions::read(value, kind)?;
        let user = self.instance.engine.user_or_current(options.user_id)?;
        let selection = Table::name(&self.entity, options.space.as_deref());
        Ok((user, Rc::from(selection), options.include))
    }

    /// Reads the options of a read that has no others: whose entities, of which spaces.
    fn place(&self, value: &JsValue) -> Result<(String, Rc<str>)> {
        let (user, space) = read_space_option(value)?;
        let selection = Table::name(&self.entity, space.as_deref());
        let user = self.instance.engine.user_or_current(user)?;
        Ok((user, Rc::from(selection)))
    }

    fn texts(&self, values: &JsValue, what: &str) -> JsResult<Vec<String>> {
        let text = match self.middleware() {
            Some(middleware) => middleware.save_many(values, what)?,
            None => encode_entities(values, what).map_err(|e| error_to_js(&e))?,
        };
        Ok(lines(&text).map(str::to_owned).collect())
    }

    fn text(&self, value: &JsValue, what: &str) -> JsResult<String> {
        match self.middleware() {
            Some(middleware) => middleware.save(value, what),
            None => self.encoded(value, what).map_err(|e| error_to_js(&e)),
        }
    }

    fn encoded(&self, value: &JsValue, what: &str) -> Result<String> {
        let text = encode_entity(value, what).map_err(|e| e.on(&self.entity, None))?;
        // Checked here because the value's name is still known. `JSON.stringify` writes whole
        // values, so the first character decides.
        if text.starts_with('{') {
            return Ok(text);
        }
        Err(
            Error::new(Code::InvalidEntity, format!("{what} must be an object."))
                .on(&self.entity, None),
        )
    }

    fn is_soft(&self, behavior: Option<DeleteBehavior>) -> bool {
        behavior.map_or_else(
            || self.instance.engine.config().is_soft(&self.entity),
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
        self.write(read_write_options(options, "write"), writes, one)
    }

    /// Replaces an entity's fields.
    pub fn update(&self, entity: &JsValue, options: &JsValue) -> Promise {
        let writes = self
            .text(entity, "The entity")
            .map(|entity| vec![Write::Update { entity }]);
        self.write(read_write_options(options, "write"), writes, one)
    }

    /// Replaces some of an entity's fields.
    pub fn patch(&self, id: &JsValue, changes: &JsValue, options: &JsValue) -> Promise {
        let (id, options) = (
            read_string(id, "`id`"),
            read_write_options(options, "patch"),
        );
        let Some(middleware) = self.middleware() else {
            let writes = id.and_then(|id| {
                let changes = self.encoded(changes, "The changes")?;
                let removed = options.as_ref().map(|options| options.removed.clone());
                Ok(vec![patch_of(id, changes, removed.unwrap_or_default())])
            });
            return self.write(options, writes.map_err(|e| error_to_js(&e)), one);
        };
        let changes = match middleware.take(changes, "The changes") {
            Ok(changes) => changes,
            Err(refused) => return Promise::reject(&refused),
        };
        let ((instance, entity), target) = (self.handles(), self.written(options));
        promise_as_is(Box::pin(async move {
            patch(&instance, &entity, &middleware, target, id, changes).await
        }))
    }

    /// Deletes an entity; false if there is none.
    pub fn delete(&self, id: &JsValue, options: &JsValue) -> Promise {
        let options = read_write_options(options, "delete");
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

    /// Takes an entity to another space; null is the user's own.
    #[wasm_bindgen(js_name = "move")]
    pub fn move_to(&self, id: &JsValue, space_id: &JsValue, options: &JsValue) -> Promise {
        let writes = read_move(id, space_id).map_err(|e| error_to_js(&e));
        self.write(read_write_options(options, "write"), writes, one)
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
        self.write(read_write_options(options, "write"), writes, many)
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
        self.write(read_write_options(options, "write"), writes, many)
    }

    /// Deletes entities, each once; returns the ids of those that existed.
    #[wasm_bindgen(js_name = deleteMany)]
    pub fn delete_many(&self, ids: &JsValue, options: &JsValue) -> Promise {
        let options = read_write_options(options, "delete");
        let soft = self.is_soft(options.as_ref().ok().and_then(|options| options.behavior));
        let writes = read_distinct_strings(ids, "The ids").map(|ids| {
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
        let (instance, middleware) = (Rc::clone(&self.instance), self.middleware());
        let (id, options) = (read_string(id, "`id`"), self.read_options(options, "read"));
        promise(async move {
            let (user, entity, include) = options?;
            match instance
                .engine
                .entities()
                .read(&user, &entity, &id?, include)
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
        let (instance, middleware) = (Rc::clone(&self.instance), self.middleware());
        let options = self.read_options(options, "read");
        promise(async move {
            let (user, entity, include) = options?;
            decoded_many(
                &instance
                    .engine
                    .entities()
                    .read_all(&user, &entity, include)
                    .await?,
                middleware.as_ref(),
            )
        })
    }

    /// One page of entities, in order of id.
    #[wasm_bindgen(js_name = readPage)]
    pub fn read_page(&self, page: &JsValue, options: &JsValue) -> Promise {
        let (instance, middleware) = (Rc::clone(&self.instance), self.middleware());
        let (page, options) = (PageOptions::read(page), self.read_options(options, "query"));
        promise(async move {
            let (page, (user, entity, include)) = (page?, options?);
            let page = instance
                .engine
                .entities()
                .read_page(
                    &user,
                    &entity,
                    page.size,
                    page.after.as_deref(),
                    include.states,
                )
                .await?;
            let items = decoded_many(&page.items, middleware.as_ref())?;
            Ok(page_object(&items, page.after.as_deref(), Some(page.total)))
        })
    }

    /// Every entity, now and after each change.
    #[wasm_bindgen(js_name = watchAll)]
    pub fn watch_all(&self, options: &JsValue) -> Feed {
        let target = self
            .read_options(options, "read")
            .map(|(user_id, entity, include)| WatchTarget {
                user_id,
                entity,
                only: None,
                include,
            });
        watch(Rc::clone(&self.instance), target)
    }

    /// One entity, or null, now and after each change.
    #[wasm_bindgen(js_name = watchById)]
    pub fn watch_by_id(&self, id: &JsValue, options: &JsValue) -> Feed {
        let target = read_string(id, "`id`")
            .and_then(|id| Ok((id, self.read_options(options, "query")?)))
            .map(|(id, (user_id, entity, include))| WatchTarget {
                user_id,
                entity,
                only: Some(id),
                include,
            });
        watch(Rc::clone(&self.instance), target)
    }

    /// Whether an entity exists.
    pub fn exists(&self, id: &JsValue, options: &JsValue) -> Promise {
        let id =
            read_string(id, "`id`").and_then(|id| check_entity_id(&self.entity, &id).map(|()| id));
        let (user, entity) = split(self.place(options));
        self.instance.query(user, move |_, user| {
            Ok(JsValue::from_bool(user.exists(&Key::new(&entity, &id?))))
        })
    }

    /// How many entities there are. The package's entry asks `countMatches` instead if there is a
    /// query.
    pub fn count(&self, _query: &JsValue, options: &JsValue) -> Promise {
        let (user, entity) = split(self.place(options));
        self.instance.query(user, move |_, user| {
            Ok(JsValue::from_f64(user.count(&entity) as f64))
        })
    }

    /// Runs a cycle, for all entity types.
    pub fn synchronize(&self, user_id: &JsValue, options: &JsValue) -> Promise {
        self.instance.cycle(user_id, options)
    }

    /// Stores a new entity, then runs a cycle; returns both results.
    #[wasm_bindgen(js_name = pushAndSync)]
    pub fn push_and_sync(&self, draft: &JsValue, options: &JsValue) -> Promise {
        let ((instance, entity), middleware) = (self.handles(), self.middleware());
        let target = self.written(read_write_options(options, "write"));
        let draft = match self.text(draft, "The draft") {
            Ok(draft) => draft,
            Err(refused) => return Promise::reject(&refused),
        };
        promise(async move {
            let target = target?;
            let user = target.user.clone();
            let written = write(&instance, &entity, target, vec![Write::Create { draft }]).await?;
            let result = instance.synchronize(&user, SyncOptions::default()).await?;
            let both = Object::new();
            set_member(&both, "entity", &one(written, middleware.as_ref())?);
            set_member(&both, "result", &result);
            Ok(both.into())
        })
    }

    /// Waits for the outcome of an entity's pending writes.
    #[wasm_bindgen(js_name = whenSynced)]
    pub fn when_synced(&self, id: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let (id, place) = (read_string(id, "`id`"), self.place(options));
        promise(async move {
            let (user, entity) = place?;
            Ok(JsValue::from_str(
                instance
                    .engine
                    .entities()
                    .when_synced(&user, &entity, &id?)
                    .await?
                    .name(),
            ))
        })
    }

    /// The sync metadata of every device, as the remote has it.
    #[wasm_bindgen(js_name = getRemoteSyncMetadata)]
    pub fn get_remote_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance.remote_metadata(user_id)
    }

    /// The sync metadata of this device.
    #[wasm_bindgen(getter, js_name = localAdapter)]
    pub fn local_adapter(&self) -> LocalAdapter {
        LocalAdapter {
            instance: Rc::clone(&self.instance),
        }
    }

    /// The sync metadata of the remote.
    #[wasm_bindgen(getter, js_name = remoteAdapter)]
    pub fn remote_adapter(&self) -> RemoteAdapter {
        RemoteAdapter {
            instance: Rc::clone(&self.instance),
        }
    }
}
