//! Deletes with what goes with them by the rules of relations. The entities that refer to others are
//! looked for among all: there are no indexes here.

use std::borrow::Cow;

use crate::model::config::{Config, DeleteBehavior};
use crate::model::entity::{Fields, Key};
use crate::model::error::Result;
use crate::model::table::Table;
use crate::plan::cascade::{CascadePlanner, DeletePlan, EntityPlace};
use crate::plan::trace::replan::{Replanned, context, keys, run};
use crate::state::local_only::joined;
use crate::state::replica::Replica;
use crate::state::tables;
use crate::state::view::ViewBody;
use crate::transfer::fields::LineFields;
use crate::util::cell::RefCell;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::sort::sort;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan;

/// The entities of a type that have an id in a field, by the id.
type Referring = OrderedMap<Vec<EntityPlace>>;

pub(super) fn delete(
    input: &LineFields<'_>,
    config: &Config,
    replica: &Replica,
) -> Result<Replanned> {
    let known: RefCell<VecMap<Referring>> = RefCell::default();
    let find = |entity: &str, field: &str, id: &str| -> Vec<EntityPlace> {
        let mut known = known.borrow_mut();
        let name = [entity, "\0", field].concat();
        if !known.contains(&name) {
            known.insert(&name, referring(replica, entity, field));
        }
        let found = known.get(&name).and_then(|all| all.get(id));
        found.cloned().unwrap_or_default()
    };
    let behavior = match input.raw("behavior") {
        Some(_) => Some(input.choice("behavior", &DeleteBehavior::NAMES)?),
        None => None,
    };
    let mut planner = CascadePlanner {
        plan: DeletePlan::of(replica, config, keys(input, "named")?, &find),
        config,
        behavior,
        after: keys(input, "after")?.into(),
        context: context(input)?,
    };
    Ok(run(&mut planner, replica))
}

/// Collects the entities of a type by the ids in a field, each in order of its own id.
fn referring(replica: &Replica, entity: &str, field: &str) -> Referring {
    let mut all = Referring::default();
    for table in tables::selected(replica, entity) {
        for id in replica.ids(table, None) {
            let key = Key::new(table, id);
            let Some(body) = shown(replica, &key) else {
                continue;
            };
            let fields = Fields::parse(&body).unwrap_or_default();
            let Some(to) = fields.get(field).and_then(scan::text) else {
                continue;
            };
            let place = (id.to_owned(), Table(table).space().map(str::to_owned));
            match all.get_mut(&to) {
                Some(places) => places.push(place),
                None => drop(all.insert(&to, vec![place])),
            }
        }
    }
    let named: Vec<String> = all.iter().map(|(to, _)| to.to_owned()).collect();
    for to in named {
        if let Some(places) = all.get_mut(&to) {
            sort(places);
        }
    }
    all
}

/// Returns an entity's body as the app sees it.
fn shown<'a>(replica: &'a Replica, key: &Key<'_>) -> Option<Cow<'a, str>> {
    let view = replica.view(key).filter(|view| !view.deleted)?;
    let ViewBody::Text(body) = view.body? else {
        return None;
    };
    let body = match view.over {
        Some(over) => Cow::Owned(joined(body, over)),
        None => Cow::Borrowed(body),
    };
    Some(match replica.local_only_fields(key) {
        Some(ViewBody::Text(fields)) => Cow::Owned(joined(&body, fields)),
        _ => body,
    })
}
