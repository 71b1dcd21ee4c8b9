//! Migrations. What the app's functions have made is taken from the trace.

use std::rc::Rc;

use crate::log::commit::{Commit, Event};
use crate::model::config::Config;
use crate::model::error::Result;
use crate::plan::migration::{MigrationDraft, MigrationRules, MigrationStep};
use crate::plan::trace::replan::Replanned;
use crate::state::replica::Replica;
use crate::transfer::fields::LineFields;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// Returns the commit that states the app's version.
pub(super) fn stated(config: &Config) -> Commit {
    Commit {
        events: vec![Event::Schema {
            version: config.schema,
        }],
        ..Commit::default()
    }
}

pub(super) fn migration(
    input: &LineFields<'_>,
    config: &Config,
    replica: &Replica,
) -> Result<Replanned> {
    let mut changing: VecMap<Vec<u32>> = VecMap::default();
    for change in input.objects("changes")? {
        let entity = change.needed("entity")?;
        changing.entry(&entity).push(change.small("from")?);
    }
    let mut made: OrderedMap<Rc<str>> = OrderedMap::default();
    for one in input.objects("made")? {
        let body = one.body("data")?;
        let body = body.ok_or_else(|| one.wrong("data", "is missing."))?;
        made.insert(&one.needed("of")?, body);
    }
    let rules = MigrationRules {
        from: replica.schema(),
        to: config.schema,
        changes: &|entity, from| {
            let versions = changing.get(entity);
            versions.is_some_and(|all| all.contains(&from))
        },
        field: config.schema_field.as_deref(),
        local_only: &|entity| config.local_only(entity),
    };
    let mut draft = MigrationDraft::new(config.schema);
    draft.begin(replica);
    loop {
        match draft.next(replica, &rules) {
            MigrationStep::Fetch(bodies) => return Ok(Replanned::Lacks(bodies)),
            MigrationStep::Done => break,
            MigrationStep::Migrate(batch) => {
                let names: Vec<String> = batch.names().collect();
                let texts = names.iter().map_while(|name| made.get(name));
                let texts = texts.map(|text| text.to_string()).collect();
                if let Err(error) = draft.put(batch, texts, rules.field) {
                    return Ok(Replanned::Failed(error));
                }
            }
        }
    }
    Ok(match draft.checkpoint(replica) {
        Some((mut commit, _)) => {
            draft.write_operations(replica, &mut commit, 0, usize::MAX);
            Replanned::Commit(commit)
        }
        None => Replanned::Lacks(Vec::new()),
    })
}
