//! Relations of a manager's entities.

use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::engine::queries::relations::SelectedEntities;
use crate::engine::queries::relations::graph::RelatedGraph;
use crate::engine::queries::relations::selected::IdPage;
use crate::js::arguments::read_string;
use crate::js::convert::{decode, encode_entity, promise, read_options};
use crate::js::instance::Instance;
use crate::js::manager::Manager;
use crate::js::manager::options::PageOptions;
use crate::js::manager::pages::page_object;
use crate::js::related::Assembler;
use crate::js::related_feed::{RelatedShows, RelatedTarget, feed};
use crate::model::entity::Fields;
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::util::json::scan;

#[wasm_bindgen]
impl Manager {
    /// One entity or all of them, with relations. The package's entry calls this for `read` and
    /// `readAll`.
    #[wasm_bindgen(js_name = readRelated)]
    pub fn read_related(&self, one: bool, id: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let target = self.related_target("read", one.then_some(id), options);
        promise(async move {
            let (user, selected, with) = target?;
            let entity = Table(&selected.selection).entity().to_owned();
            let relations = instance.engine.relations();
            let graph = relations.read(&user, selected, &with).await?;
            let found = objects(&instance, &entity, &graph)?;
            Ok(match one {
                true => found.into_iter().next().unwrap_or(JsValue::NULL),
                false => list(found),
            })
        })
    }

    /// One page of entities, in order of id, with relations. The package's entry calls this for
    /// `readPage`.
    #[wasm_bindgen(js_name = readRelatedPage)]
    pub fn read_related_page(&self, page: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let (page, target) = (
            PageOptions::read(page),
            self.related_target("related", None, options),
        );
        promise(async move {
            let (page, (user, mut selected, with)) = (page?, target?);
            selected.page = Some(IdPage {
                size: page.size,
                after: page.after,
            });
            let entity = Table(&selected.selection).entity().to_owned();
            let relations = instance.engine.relations();
            let (page, total) = relations.selected_page(&user, selected, &with).await?;
            let items = list(objects(&instance, &entity, &page.graph)?);
            Ok(page_object(&items, page.after.as_deref(), Some(total)))
        })
    }

    /// The feed of one entity or of all of them, with relations, as the only item of an array.
    #[wasm_bindgen(js_name = watchRelated)]
    pub fn watch_related(&self, one: bool, id: &JsValue, options: &JsValue) -> Promise {
        let target = self.related_target("read", one.then_some(id), options);
        let target = target.map(|(user_id, selected, with)| RelatedTarget::Selected {
            user_id,
            selected,
            with,
        });
        let shows = match one {
            true => RelatedShows::One,
            false => RelatedShows::Items,
        };
        let feed = JsValue::from(feed(&self.instance, &target, shows));
        Promise::resolve(&JsValue::from(Array::of1(&feed)))
    }

    /// The entities that a relation of this one leads to, in order of id.
    pub fn related(&self, entity: &JsValue, relation: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let name = read_string(relation, "`relation`");
        let key = self.read_key(entity);
        let (of, place) = (Rc::clone(&self.entity), self.place(options));
        promise(async move {
            let ((user, selection), (id, space), name) = (place?, key?, name?);
            let selection = match Table(&selection).space() {
                None => Table::name(&of, space.as_deref()).into_owned(),
                Some(_) => selection.to_string(),
            };
            let selected = SelectedEntities {
                selection,
                only: Some(id),
                ..SelectedEntities::default()
            };
            let relations = instance.engine.relations();
            let mut graph = relations.related(&user, selected, &name).await?;
            let Some(node) = graph.nodes.pop() else {
                return Ok(list(Vec::new()));
            };
            let graph = RelatedGraph {
                entities: node.entities,
                nodes: Vec::new(),
            };
            Ok(list(objects(&instance, &node.entity, &graph)?))
        })
    }

    /// What the delete of an entity would do.
    #[wasm_bindgen(js_name = getDeletePlan)]
    pub fn get_delete_plan(&self, id: &JsValue, options: &JsValue) -> Promise {
        let instance = Rc::clone(&self.instance);
        let (id, place) = (read_string(id, "`id`"), self.place(options));
        promise(async move {
            let (id, (user, selection)) = (id?, place?);
            let relations = instance.engine.relations();
            decode(&relations.delete_plan(&user, &selection, &id).await?)
        })
    }
}

impl Manager {
    /// Reads what is read with relations: whose entities, which, and the relations. `kind` is that of
    /// the options.
    fn related_target(
        &self,
        kind: &str,
        id: Option<&JsValue>,
        options: &JsValue,
    ) -> Result<(String, SelectedEntities, Vec<String>)> {
        let id = id.map(|id| read_string(id, "`id`")).transpose()?;
        let given = read_options(options, kind)?;
        let given = given.data();
        let user = self.instance.engine.user_or_current(given.text("userId"))?;
        let space = given.space("spaceId");
        let selected = SelectedEntities {
            selection: Table::name(&self.entity, space.as_deref()).into_owned(),
            only: id,
            page: None,
            include: Include {
                deleted: given.flag("includeDeleted").unwrap_or_default(),
                states: given.flag("withSyncState").unwrap_or_default(),
            },
        };
        Ok((user, selected, given.texts("with").unwrap_or_default()))
    }

    /// Reads an entity, or its id: the id, and the space if it is in a shared one.
    fn read_key(&self, entity: &JsValue) -> Result<(String, Option<String>)> {
        if entity.is_string() {
            return Ok((read_string(entity, "`entity`")?, None));
        }
        let text = encode_entity(entity, "The entity").map_err(|e| e.on(&self.entity, None))?;
        let fields = Fields::parse(&text)?;
        let text = |name| fields.get(name).and_then(scan::text).map(Into::into);
        let id = text("id").ok_or_else(|| {
            let problem = "`entity` must be an entity that was read, or its id.";
            Error::new(Code::InvalidArgument, problem).on(&self.entity, None)
        })?;
        Ok((id, text("spaceId")))
    }
}

/// Returns the entities of a graph as objects with their relations.
pub(super) fn objects(
    instance: &Rc<Instance>,
    entity: &str,
    graph: &RelatedGraph,
) -> Result<Vec<JsValue>> {
    Assembler::default().assemble(instance, entity, graph)
}

/// Returns an array that belongs to the caller.
pub(super) fn list(objects: Vec<JsValue>) -> JsValue {
    objects.into_iter().collect::<Array>().into()
}
