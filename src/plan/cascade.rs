//! What a delete does to other entities: the rules that relations have for it.
//!
//! The rules are followed from entity to entity, each once, so cycles end. A rule that restricts
//! counts if the other entity is not deleted by the same plan.

use std::rc::Rc;

use crate::model::config::relations::OnDelete;
use crate::model::config::{Config, DeleteBehavior};
use crate::model::entity::{Key, OwnedKey};
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::row_planner::name;
use crate::plan::trace::{Described, describe};
use crate::plan::write::all_or_none::AllOrNone;
use crate::plan::write::groups::{Group, Write};
use crate::plan::{Plan, Planned, Planner};
use crate::state::references::refers;
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::write::{Items, push_field, put, put_text, put_texts};

/// The id and the space of an entity.
pub type EntityPlace = (String, Option<String>);

/// Finds the entities of a type whose field has an id: of `(type, field, id)`.
pub type FindReferring<'a> = &'a dyn Fn(&str, &str, &str) -> Vec<EntityPlace>;

/// An entity that a rule keeps from being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    pub restricted: OwnedKey,
    /// The relation that has the rule.
    pub relation: String,
    /// The entity that refers to it.
    pub by: OwnedKey,
}

/// What one delete does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletePlan {
    /// Those that were named, then what goes with them.
    pub deleted: Vec<OwnedKey>,
    /// How many were named.
    pub named: usize,
    /// Entities whose keys become null, with the names of these.
    pub changed: Vec<(OwnedKey, Vec<String>)>,
    pub restrictions: Vec<Restriction>,
}

impl DeletePlan {
    /// Follows the rules from entities that are there.
    #[must_use]
    pub fn of(
        replica: &Replica,
        config: &Config,
        named: Vec<OwnedKey>,
        find: FindReferring<'_>,
    ) -> Self {
        let mut plan = Self::default();
        let mut gone: OrderedMap<()> = OrderedMap::default();
        let mut changed: OrderedMap<usize> = OrderedMap::default();
        for key in named {
            if gone.insert(&name(&key.entity, &key.id), ()).is_none() {
                plan.deleted.push(key);
            }
        }
        plan.named = plan.deleted.len();
        let (mut of, mut relations) = (String::new(), config.relations(""));
        let mut at = 0_usize;
        while let Some(key) = plan.deleted.get(at).cloned() {
            at = at.saturating_add(1);
            let entity = Table(&key.entity).entity();
            if of != entity {
                (of, relations) = (entity.to_owned(), config.relations(entity));
            }
            for relation in relations.iter() {
                let rule = relation.on_delete;
                let Some((entity, field)) = relation.referring().filter(|_| relation.has_rule())
                else {
                    continue;
                };
                for (id, space) in find(entity, field, &key.id) {
                    let table = Table::name(entity, space.as_deref());
                    let other = Key::new(&table, &id);
                    if !replica.is_visible(&other)
                        || !refers(replica, space.as_deref(), &key.as_key())
                    {
                        continue;
                    }
                    let named = name(&table, &id);
                    match rule {
                        OnDelete::Nothing => {}
                        OnDelete::Cascade => {
                            if gone.insert(&named, ()).is_none() {
                                plan.deleted.push(other.to_owned());
                            }
                        }
                        OnDelete::Restrict => plan.restrictions.push(Restriction {
                            restricted: key.clone(),
                            relation: relation.name.clone(),
                            by: other.to_owned(),
                        }),
                        OnDelete::SetNull => {
                            let place = match changed.get(&named) {
                                Some(place) => *place,
                                None => {
                                    changed.insert(&named, plan.changed.len());
                                    plan.changed.push((other.to_owned(), Vec::new()));
                                    plan.changed.len().saturating_sub(1)
                                }
                            };
                            let fields = plan.changed.get_mut(place);
                            if let Some((_, fields)) = fields
                                && !fields.iter().any(|it| it == field)
                            {
                                fields.push(field.to_owned());
                            }
                        }
                    }
                }
            }
        }
        let stays = |key: &OwnedKey| gone.get(&name(&key.entity, &key.id)).is_none();
        plan.changed.retain(|(key, _)| stays(key));
        plan.restrictions.retain(|it| stays(&it.by));
        plan
    }

    /// Returns the error of a delete that a rule refuses.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        let first = self.restrictions.first()?;
        let by = Table(&first.by.entity).entity();
        let more = match self.restrictions.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" ({more} more references restrict this delete)"),
        };
        let problem = format!(
            "`{by}` {} still refers to this entity, and the relation `{}` restricts its delete{more}. Delete or change what refers to it first; `getDeletePlan` lists it.",
            first.by.id, first.relation
        );
        let restricted = &first.restricted;
        Some(Error::new(Code::Restricted, problem).on(&restricted.entity, Some(&restricted.id)))
    }

    /// Returns the plan as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        put(&mut text, "canDelete", &self.restrictions.is_empty());
        put_list(&mut text, "deleted", &self.deleted, &mut |out, key| {
            put_key(out, key);
        });
        put_list(&mut text, "changed", &self.changed, &mut |out, changed| {
            put_key(out, &changed.0);
            put_texts(out, "fields", &mut changed.1.iter().map(String::as_str));
        });
        put_list(
            &mut text,
            "restrictedBy",
            &self.restrictions,
            &mut |out, it| {
                put_key(out, &it.by);
                put_text(out, "relation", &it.relation);
                let mut of = String::from("{");
                put_key(&mut of, &it.restricted);
                of.push('}');
                push_field(out, "of", &of);
            },
        );
        text.push('}');
        text
    }
}

/// Plans the writes of a delete and of what goes with it, all or none.
#[derive(Debug)]
pub struct CascadePlanner<'a> {
    /// Of the state that this is planned against.
    pub plan: DeletePlan,
    pub config: &'a Config,
    /// How those that were named are deleted; the others go as their types say.
    pub behavior: Option<DeleteBehavior>,
    /// Entities whose operations are sent first.
    pub after: Rc<[OwnedKey]>,
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for CascadePlanner<'_> {
    /// The ids of the entities that were named.
    type Output = Vec<String>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Vec<String>>>> {
        if let Some(refused) = self.plan.refusal() {
            return Err(refused);
        }
        let mut planner = AllOrNone {
            groups: &self.groups(),
            context: self.context.clone(),
        };
        let planned = planner.plan(replica)?;
        Ok(planned.map(|planned| {
            let ids = self.named().map(|key| key.id.clone());
            Planned::new(planned.commit, ids.collect())
        }))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("delete", |out| {
            describe::put_context(out, &self.context);
            describe::put_keys(out, "named", self.named());
            let mut names = DeleteBehavior::NAMES.iter();
            if let Some((name, _)) = names.find(|(_, it)| Some(*it) == self.behavior) {
                put_text(out, "behavior", name);
            }
            describe::put_keys(out, "after", self.after.iter());
        }))
    }
}

impl CascadePlanner<'_> {
    fn named(&self) -> impl Iterator<Item = &OwnedKey> {
        self.plan.deleted.iter().take(self.plan.named)
    }

    /// Returns the writes: what refers to an entity goes before it.
    fn groups(&self) -> Vec<Group> {
        let mut by_table: Vec<(String, Vec<Write>)> = Vec::new();
        let mut add = |table: &str, write: Write| match by_table.last_mut() {
            Some((last, writes)) if last == table => writes.push(write),
            _ => by_table.push((table.to_owned(), vec![write])),
        };
        for (key, fields) in &self.plan.changed {
            let mut changes = String::from("{");
            for field in fields {
                push_field(&mut changes, field, "null");
            }
            changes.push('}');
            let id = key.id.clone();
            add(&selected(&key.entity), Write::Patch { id, changes });
        }
        for (at, key) in self.plan.deleted.iter().enumerate().rev() {
            let behavior = self.behavior.filter(|_| at < self.plan.named);
            let soft = behavior.map_or_else(
                || self.config.is_soft(&key.entity),
                |behavior| behavior == DeleteBehavior::SoftDelete,
            );
            let id = key.id.clone();
            add(&selected(&key.entity), Write::Delete { id, soft });
        }
        let groups = by_table.into_iter();
        groups
            .map(|(table, writes)| Group {
                after: Rc::clone(&self.after),
                ..Group::of(self.config, &table, writes)
            })
            .collect()
    }
}

/// Returns the selection of one table alone.
fn selected(table: &str) -> String {
    let table = Table(table);
    Table::name(table.entity(), Some(table.space().unwrap_or_default())).into_owned()
}

fn put_key(out: &mut String, key: &OwnedKey) {
    Table(&key.entity).put(out);
    put_text(out, "id", &key.id);
}

fn put_list<T>(out: &mut String, name: &str, list: &[T], each: &mut dyn FnMut(&mut String, &T)) {
    let mut items = Items::new(list.len().saturating_mul(80));
    for item in list {
        let text = items.open();
        text.push('{');
        each(text, item);
        text.push('}');
    }
    push_field(out, name, &items.close());
}
