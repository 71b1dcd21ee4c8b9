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
use crate::util::collections::sort::{sort, sort_by_text};
use crate::util::json::write::Items;

#[wasm_bindgen(module = "/src/js/live.js")]
extern "C" {
    /// Returns a frozen copy of an entity with more members.
    #[wasm_bindgen(js_name = withRelations)]
    fn with_relations(entity: &JsValue, names: &Array, values: &Array) -> JsValue;
}

/// An entity as it is shown.
#[derive(Clone)]
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
    /// By the shape of objects, then by entity.
    shown: Vec<OrderedMap<ShownEntity>>,
}

/// What objects of an entity type have: their relations, with the shapes of what those lead to. An
/// entity has one object of each shape, whichever relations lead to it.
#[derive(PartialEq, Eq)]
struct Shape {
    entity: String,
    relations: Vec<(String, usize)>,
}

/// The objects of one node.
#[derive(Clone, Default)]
struct NodeObjects {
    /// The place of their shape.
    shape: usize,
    objects: Vec<JsValue>,
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
        let old = std::mem::take(&mut self.shown);
        let mut shapes: Vec<Shape> = Vec::new();
        // What an entity leads to is made before it.
        let mut made = vec![NodeObjects::default(); count];
        for at in (0..count).rev() {
            let node = at.checked_sub(1);
            let (entity, entities) = match node.and_then(|node| graph.nodes.get(node)) {
                Some(node) => (node.entity.as_str(), &node.entities),
                None => (entity, &graph.entities),
            };
            let children = graph.nodes.iter().zip(made.iter().skip(1));
            let children = children.filter(|(child, _)| child.parent == node);
            let mut relations = Vec::new();
            let mut links = Vec::new();
            for (child, made) in children {
                relations.push((child.relation.clone(), made.shape));
                links.push(ObjectLinks {
                    name: &child.relation,
                    is_many: child.is_many,
                    links: &child.links,
                    objects: &made.objects,
                });
            }
            // In order of name, as the shape of another node may have them in another order.
            sort_by_text(&mut links, |link| link.name);
            sort(&mut relations);
            let shape = place_of(
                &mut shapes,
                Shape {
                    entity: entity.to_owned(),
                    relations,
                },
            );
            if self.shown.len() <= shape {
                self.shown.push(OrderedMap::default());
            }
            if let Some(now) = self.shown.get_mut(shape) {
                let objects = shown(instance, entity, entities, &links, (old.get(shape), now))?;
                if let Some(slot) = made.get_mut(at) {
                    *slot = NodeObjects { shape, objects };
                }
            }
        }
        let roots = made.into_iter().next();
        Ok(roots.map(|roots| roots.objects).unwrap_or_default())
    }
}

/// Returns the place of a shape, which is added if it is new.
fn place_of(shapes: &mut Vec<Shape>, shape: Shape) -> usize {
    let known = shapes.iter().position(|known| *known == shape);
    known.unwrap_or_else(|| {
        shapes.push(shape);
        shapes.len().saturating_sub(1)
    })
}

/// Returns the objects of one node, in the order of its entities. Those of its shape are known as
/// they were shown before, and as they are shown now.
fn shown(
    instance: &Rc<Instance>,
    entity: &str,
    entities: &[GraphEntity],
    links: &[ObjectLinks<'_>],
    (old, now): (
        Option<&OrderedMap<ShownEntity>>,
        &mut OrderedMap<ShownEntity>,
    ),
) -> Result<Vec<JsValue>> {
    let keys = entities.iter();
    let keys: Vec<String> = keys
        .map(|entity| name(&entity.key.entity, &entity.key.id))
        .collect();
    let mut new = Items::new(0);
    for (key, entity) in keys.iter().zip(entities) {
        if known(old, now, key, &entity.text).is_none() {
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
        let known = known(old, now, &key, &entity.text).cloned();
        let related: Vec<Vec<JsValue>> = links.iter().map(|link| link.of(at)).collect();
        let plain = match &known {
            Some(known) => known.plain.clone(),
            None => new.next().unwrap_or_default(),
        };
        let whole = match known.filter(|known| known.related == related) {
            Some(known) => known.whole,
            None if links.is_empty() => plain.clone(),
            None => {
                let values = links.iter().zip(&related);
                let values: Array = values.map(|(link, objects)| link.value(objects)).collect();
                with_relations(&plain, &names, &values)
            }
        };
        all.push(whole.clone());
        let text = entity.text.clone();
        now.insert(
            &key,
            ShownEntity {
                text,
                plain,
                related,
                whole,
            },
        );
    }
    Ok(all)
}

/// Returns an entity as it is shown, now or before, if its text is the same.
fn known<'a>(
    old: Option<&'a OrderedMap<ShownEntity>>,
    now: &'a OrderedMap<ShownEntity>,
    key: &str,
    text: &str,
) -> Option<&'a ShownEntity> {
    let is_same = |shown: &&ShownEntity| shown.text == text;
    let now = now.get(key).filter(is_same);
    now.or_else(|| old.and_then(|old| old.get(key)).filter(is_same))
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
