//! Entities with those that they lead to, as objects: each entity once, and the same object again
//! as long as nothing that it shows has changed.

use std::rc::Rc;

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

use crate::engine::queries::relations::graph::{GraphEntity, RelatedGraph};
use crate::js::instance::Instance;
use crate::js::middleware::decoded_many;
use crate::model::error::Result;
use crate::plan::row_planner::name;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::write::Items;

#[wasm_bindgen(module = "/src/js/live.js")]
extern "C" {
    /// Returns a frozen copy of an entity with more members.
    #[wasm_bindgen(js_name = withRelations)]
    fn with_relations(entity: &JsValue, names: &Array, values: &Array) -> JsValue;
}

/// An entity as it was shown last.
struct ShownEntity {
    text: String,
    /// Without relations.
    plain: JsValue,
    /// The objects of each relation.
    related: Vec<Vec<JsValue>>,
    whole: JsValue,
}

/// Makes objects of graphs.
#[derive(Default)]
pub(super) struct Assembler {
    /// By node, those that were read before all others; then by entity.
    shown: Vec<OrderedMap<ShownEntity>>,
}

/// A relation of the entities of one node.
struct ObjectLinks<'a> {
    name: &'a str,
    is_many: bool,
    links: &'a [Vec<usize>],
    objects: &'a [JsValue],
}

impl Assembler {
    /// Returns the entities that were read, given their type, with their relations.
    pub(super) fn assemble(
        &mut self,
        instance: &Rc<Instance>,
        entity: &str,
        graph: &RelatedGraph,
    ) -> Result<Vec<JsValue>> {
        let count = graph.nodes.len().saturating_add(1);
        self.shown.resize_with(count, OrderedMap::default);
        // What an entity leads to is made before it.
        let mut made: Vec<Vec<JsValue>> = vec![Vec::new(); count];
        for at in (0..count).rev() {
            let node = at.checked_sub(1);
            let (entity, entities) = match node.and_then(|node| graph.nodes.get(node)) {
                Some(node) => (node.entity.as_str(), &node.entities),
                None => (entity, &graph.entities),
            };
            let children = graph.nodes.iter().zip(made.iter().skip(1));
            let links: Vec<ObjectLinks<'_>> = children
                .filter(|(child, _)| child.parent == node)
                .map(|(child, objects)| ObjectLinks {
                    name: &child.relation,
                    is_many: child.is_many,
                    links: &child.links,
                    objects,
                })
                .collect();
            let old = self.shown.get_mut(at).map(std::mem::take);
            let old = old.unwrap_or_default();
            let now = shown(instance, entity, entities, &links, &old)?;
            let objects = now.iter().map(|(_, shown)| shown.whole.clone()).collect();
            if let (Some(slot), Some(kept)) = (made.get_mut(at), self.shown.get_mut(at)) {
                *slot = objects;
                for (key, shown) in now {
                    kept.insert(&key, shown);
                }
            }
        }
        Ok(made.into_iter().next().unwrap_or_default())
    }
}

/// Returns the entities of one node, in their order.
fn shown(
    instance: &Rc<Instance>,
    entity: &str,
    entities: &[GraphEntity],
    links: &[ObjectLinks<'_>],
    old: &OrderedMap<ShownEntity>,
) -> Result<Vec<(String, ShownEntity)>> {
    let before = |key: &str, text: &str| old.get(key).filter(|shown| shown.text == text);
    let keys = entities.iter();
    let keys: Vec<String> = keys
        .map(|entity| name(&entity.key.entity, &entity.key.id))
        .collect();
    let mut new = Items::new(0);
    for (key, entity) in keys.iter().zip(entities) {
        if before(key, &entity.text).is_none() {
            new.open().push_str(&entity.text);
        }
    }
    let middleware = instance.middleware_of(entity);
    let new: Array = decoded_many(&new.close(), middleware.as_ref())?.unchecked_into();
    let mut new = new.iter();
    let names: Array = links
        .iter()
        .map(|link| JsValue::from_str(link.name))
        .collect();
    let mut all = Vec::with_capacity(entities.len());
    for (at, (key, entity)) in keys.into_iter().zip(entities).enumerate() {
        let known = before(&key, &entity.text);
        let related: Vec<Vec<JsValue>> = links.iter().map(|link| link.of(at)).collect();
        let plain = match known {
            Some(known) => known.plain.clone(),
            None => new.next().unwrap_or_default(),
        };
        let whole = match known.filter(|known| known.related == related) {
            Some(known) => known.whole.clone(),
            None if links.is_empty() => plain.clone(),
            None => {
                let values = links.iter().zip(&related);
                let values: Array = values.map(|(link, objects)| link.value(objects)).collect();
                with_relations(&plain, &names, &values)
            }
        };
        let text = entity.text.clone();
        let shown = ShownEntity {
            text,
            plain,
            related,
            whole,
        };
        all.push((key, shown));
    }
    Ok(all)
}

impl ObjectLinks<'_> {
    /// Returns the objects that an entity leads to.
    fn of(&self, at: usize) -> Vec<JsValue> {
        let places = self.links.get(at).into_iter().flatten();
        places
            .filter_map(|place| self.objects.get(*place).cloned())
            .collect()
    }

    /// Returns the value of the member.
    fn value(&self, objects: &[JsValue]) -> JsValue {
        if self.is_many {
            let list: Array = objects.iter().collect();
            return Object::freeze(&list).into();
        }
        objects.first().cloned().unwrap_or(JsValue::NULL)
    }
}
