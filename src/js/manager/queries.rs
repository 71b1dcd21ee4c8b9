//! Queries of a manager.

use std::rc::Rc;

use js_sys::{Array, Object, Promise};
use wasm_bindgen::prelude::*;

use crate::engine::queries::change::Told;
use crate::engine::queries::relations::deletes::DeleteHow;
use crate::engine::queries::watch::{EditKind, QueryWatch, ResultUpdate};
use crate::js::convert::{decode, encode, promise};
use crate::js::feed::{Endable, Feed, LateWatch, LoopReader, Next};
use crate::js::instance::Instance;
use crate::js::manager::options::{PageOptions, WriteOptions, read_write_options};
use crate::js::manager::pages::page_object;
use crate::js::manager::relations::{list, objects};
use crate::js::manager::{Manager, patches};
use crate::js::middleware::decoded_many;
use crate::js::related_feed::{self, RelatedShows, RelatedTarget};
use crate::js::waiting;
use crate::js::write::{WriteOutput, many, patch_of, tell};
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::plan::write::{Write, Written};
use crate::query::read::asks_for_relations;
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::interop::{is_absent, set_member};
use crate::web::storage::web_store::WebStore;

/// Reads a query: its JSON text.
fn read_query(query: &JsValue) -> Result<String> {
    given(query, "The query")
}

/// Reads a value as JSON. What is not given reads as null, which the engine refuses by what it should
/// be.
fn given(value: &JsValue, name: &str) -> Result<String> {
    match is_absent(value) {
        true => Ok("null".to_owned()),
        false => encode(value, Code::InvalidArgument, name),
    }
}

#[wasm_bindgen]
impl Manager {
    /// Replaces some of the fields of entities, all or none.
    #[wasm_bindgen(js_name = patchMany)]
    pub fn patch_many(&self, patches: &JsValue, options: &JsValue) -> Promise {
        patches::patch_many(self, patches, options)
    }

    /// The entities that a query asks for.
    pub fn query(&self, query: &JsValue, options: &JsValue) -> Promise {
        let (instance, middleware) = (Rc::clone(&self.instance), self.middleware());
        let (query, place) = (read_query(query), self.query_place(options));
        promise(async move {
            let (query, (user, entity, states)) = (query?, place?);
            if asks_for_relations(&query) {
                let relations = instance.engine.relations();
                let graph = relations.query(&user, &entity, &query, states).await?;
                return Ok(list(objects(&instance, Table(&entity).entity(), &graph)?));
            }
            let queries = instance.engine.queries();
            let items = queries.query(&user, &entity, &query, states).await?;
            decoded_many(&items, middleware.as_ref())
        })
    }

    /// How many entities match a query. The package's entry calls this for `count` with a query.
    #[wasm_bindgen(js_name = countMatches)]
    pub fn count_matches(&self, query: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let (query, place) = (read_query(query), self.place(options));
        promise(async move {
            let (query, (user, entity)) = (query?, place?);
            let queries = instance.engine.queries();
            let count = queries.count(&user, &entity, &query).await?;
            Ok(JsValue::from_f64(count as f64))
        })
    }

    /// One page of a query. The package's entry calls this for `readPage` with a query.
    #[wasm_bindgen(js_name = readQueryPage)]
    pub fn read_query_page(&self, page: &JsValue, options: &JsValue) -> Promise {
        let given = PageOptions::read(page);
        if given.as_ref().is_ok_and(|page| page.query.is_none()) {
            return self.read_page(page, options);
        }
        let (instance, middleware) = (Rc::clone(&self.instance), self.middleware());
        let place = self.query_place(options);
        promise(async move {
            let (page, (user, entity, states)) = (given?, place?);
            let query = page.query.unwrap_or_default();
            let bounds = (page.size, page.after.as_deref());
            let (items, after) = if asks_for_relations(&query) {
                let relations = instance.engine.relations();
                let page = relations
                    .page(&user, &entity, &query, bounds, states)
                    .await?;
                let found = objects(&instance, Table(&entity).entity(), &page.graph)?;
                (list(found), page.after)
            } else {
                let queries = instance.engine.queries();
                let page = queries.page(&user, &entity, &query, bounds, states).await?;
                (decoded_many(&page.items, middleware.as_ref())?, page.after)
            };
            Ok(page_object(&items, after.as_deref(), None))
        })
    }

    /// How a query is read.
    pub fn explain(&self, query: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let (query, place) = (read_query(query), self.place(options));
        promise(async move {
            let (query, (user, entity)) = (query?, place?);
            let queries = instance.engine.queries();
            decode(&queries.explain(&user, &entity, &query).await?)
        })
    }

    /// Deletes each entity that satisfies a condition; returns the ids.
    #[wasm_bindgen(js_name = deleteWhere)]
    pub fn delete_where(&self, filter: &JsValue, options: &JsValue) -> Promise {
        let options = read_write_options(options, "delete");
        let soft = self.is_soft(options.as_ref().ok().and_then(|options| options.behavior));
        let change = move |id| Write::Delete { id, soft };
        self.change(filter, options, Ok(Box::new(change)), |written, _| {
            let deleted = written.into_iter().filter_map(|written| match written {
                Written::Deleted(id) => Some(JsValue::from_str(&id)),
                _ => None,
            });
            Ok(deleted.collect::<Array>().into())
        })
    }

    /// Replaces some fields of each entity that satisfies a condition.
    #[wasm_bindgen(js_name = patchWhere)]
    pub fn patch_where(&self, filter: &JsValue, changes: &JsValue, options: &JsValue) -> Promise {
        let options = read_write_options(options, "patch");
        let removed = options.as_ref().map(|options| options.removed.clone());
        let removed = removed.unwrap_or_default();
        let change = match self.middleware() {
            None => self.encoded(changes, "The changes"),
            Some(_) => Err(Error::new(
                Code::Unsupported,
                "`patchWhere` is not for a type with `validate`, `beforeSave`, `afterRead` or `middleware`, which get whole entities; call `query`, then `updateMany`.",
            )
            .on(&self.entity, None)),
        };
        let change = change.map(|changes| -> ChangeOf {
            Box::new(move |id| patch_of(id, changes.clone(), removed.clone()))
        });
        self.change(filter, options, change, many)
    }

    /// The feeds of a live query: its entities and its edits, or the number of its entities. The
    /// package's entry makes `watchQuery` and `watchCount` of it. It is a promise so that it can
    /// wait for the code that it needs.
    #[wasm_bindgen(js_name = watchResult)]
    pub fn watch_result(&self, query: &JsValue, options: &JsValue, counts: bool) -> Promise {
        let query = if counts && is_absent(query) {
            Ok("{}".to_owned())
        } else {
            read_query(query)
        };
        let target = query.and_then(|query| {
            let (user_id, entity, states) = if counts {
                let (user_id, entity) = self.place(options)?;
                (user_id, entity, false)
            } else {
                self.query_place(options)?
            };
            Ok(QueryTarget {
                user_id,
                entity,
                query,
                states,
            })
        });
        if let Ok(target) = &target
            && !counts
            && asks_for_relations(&target.query)
        {
            let target = Ok(RelatedTarget::Query {
                user_id: target.user_id.clone(),
                selection: Rc::clone(&target.entity),
                query: target.query.clone(),
                states: target.states,
            });
            let feed = |shows| JsValue::from(related_feed::feed(&self.instance, &target, shows));
            let (items, changes) = (feed(RelatedShows::Items), feed(RelatedShows::Changes));
            return Promise::resolve(&JsValue::from(Array::of2(&items, &changes)));
        }
        let all: &[Shows] = if counts {
            &[Shows::Count]
        } else {
            &[Shows::Items, Shows::Changes]
        };
        let feed = |shows: &Shows| feed(Rc::clone(&self.instance), target.clone(), *shows);
        let feeds: Array = all.iter().map(|shows| JsValue::from(feed(shows))).collect();
        Promise::resolve(&JsValue::from(feeds))
    }
}

/// Returns the write of an entity, given its id.
type ChangeOf = Box<dyn Fn(String) -> Write>;

impl Manager {
    /// Reads `QueryOptions`: whose entities, of which spaces, and whether with their sync state.
    fn query_place(&self, options: &JsValue) -> Result<(String, Rc<str>, bool)> {
        let (user, selection, include) = self.read_options(options, "query")?;
        Ok((user, selection, include.states))
    }

    /// Writes each entity that satisfies a condition.
    fn change(
        &self,
        filter: &JsValue,
        options: Result<WriteOptions>,
        write: Result<ChangeOf>,
        output: WriteOutput,
    ) -> Promise {
        let (instance, entity) = self.handles();
        let filter = given(filter, "The condition");
        let (target, middleware) = (self.written(options), self.middleware());
        promise(async move {
            let (filter, target, write) = (filter?, target?, write?);
            let selection = Table::name(&entity, target.space.as_deref());
            let (user, after) = (&target.user, target.after);
            let audience = instance.audience();
            let tells = audience.hears_writes();
            let tell = |writes: &[Write]| tell(&audience, &entity, writes);
            let tell: Told<'_> = if tells { Some(&tell) } else { None };
            let is_delete = matches!(write(String::new()), Write::Delete { .. });
            let config = instance.engine.config();
            let written = if is_delete && target.cascade && config.has_delete_rules(&entity) {
                let behavior = target.behavior;
                let how = DeleteHow { behavior, after };
                let relations = instance.engine.relations();
                let deleted = relations.delete_where(user, &selection, &filter, how, tell);
                deleted.await?.into_iter().map(Written::Deleted).collect()
            } else {
                let queries = instance.engine.queries();
                let change = queries.change(user, &selection, &filter, after, &*write, tell);
                change.await?
            };
            instance.compact_later(user);
            waiting::watch(&instance, user);
            output(written, middleware.as_ref())
        })
    }
}

/// A query of a user.
#[derive(Clone)]
struct QueryTarget {
    user_id: String,
    entity: Rc<str>,
    query: String,
    /// Entities have the member `$syncState`.
    states: bool,
}

/// What a loop over a live query gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Items,
    Changes,
    Count,
}

fn feed(instance: Rc<Instance>, target: Result<QueryTarget>, shows: Shows) -> Feed {
    Feed::new(move || {
        Rc::new(ResultCursor {
            instance: Rc::clone(&instance),
            target: target.clone(),
            shows,
            watch: LateWatch::default(),
            items: RefCell::default(),
        })
    })
}

/// The state of one loop.
struct ResultCursor {
    instance: Rc<Instance>,
    target: Result<QueryTarget>,
    shows: Shows,
    watch: LateWatch<QueryWatch<WebStore, WebHost>>,
    /// The entities that are shown. One that has not changed stays the same object.
    items: RefCell<Vec<JsValue>>,
}

impl Endable for QueryWatch<WebStore, WebHost> {
    fn end(&self) {
        Self::end(self);
    }
}

impl ResultCursor {
    async fn open(&self) -> Result<QueryWatch<WebStore, WebHost>> {
        let target = self.target.clone()?;
        let queries = self.instance.engine.queries();
        let (user, entity, query) = (&target.user_id, &target.entity, &target.query);
        match self.shows {
            Shows::Count => queries.watch_count(user, entity, query).await,
            _ => queries.watch(user, entity, query, target.states).await,
        }
    }

    async fn next(&self) -> Result<Option<JsValue>> {
        let Some(watch) = self.watch.get(self.open()).await? else {
            return Ok(None);
        };
        if self.shows == Shows::Count {
            let count = watch.next_count().await?;
            return Ok(count.map(|count| JsValue::from_f64(count as f64)));
        }
        match watch.next().await? {
            Some(update) => self.apply(&update).map(Some),
            None => Ok(None),
        }
    }

    /// Makes the edits in what is shown. Returns the entities, or the edits.
    fn apply(&self, update: &ResultUpdate) -> Result<JsValue> {
        let target = self.target.clone()?;
        let middleware = self.instance.middleware_of(&target.entity);
        let new: Array = decoded_many(&update.items, middleware.as_ref())?.unchecked_into();
        let mut new = new.iter();
        let changes = Array::new();
        let mut items = self.items.borrow_mut();
        for edit in &update.edits {
            let (kind, entity) = match edit.kind {
                EditKind::Insert => ("insert", new.next()),
                EditKind::Update => ("update", new.next()),
                EditKind::Move => ("move", new.next()),
                EditKind::Remove => ("remove", items.get(edit.index).cloned()),
            };
            let entity = entity.unwrap_or_default();
            match edit.kind {
                EditKind::Insert => items.insert(edit.index, entity.clone()),
                EditKind::Update => {
                    if let Some(item) = items.get_mut(edit.index) {
                        *item = entity.clone();
                    }
                }
                EditKind::Move => {
                    items.remove(edit.from);
                    items.insert(edit.index, entity.clone());
                }
                EditKind::Remove => drop(items.remove(edit.index)),
            }
            if self.shows == Shows::Changes {
                let change = Object::new();
                set_member(&change, "type", &JsValue::from_str(kind));
                set_member(&change, "entity", &entity);
                set_member(&change, "index", &JsValue::from_f64(edit.index as f64));
                if edit.kind == EditKind::Move {
                    set_member(&change, "from", &JsValue::from_f64(edit.from as f64));
                }
                changes.push(&Object::freeze(&change));
            }
        }
        Ok(match self.shows {
            Shows::Changes => changes.into(),
            _ => items.iter().collect::<Array>().into(),
        })
    }
}

impl LoopReader for ResultCursor {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move { Self::next(&self).await })
    }

    fn end(&self) {
        self.watch.end();
    }
}
