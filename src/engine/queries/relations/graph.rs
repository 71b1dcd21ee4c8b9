//! Entities with those that they lead to, as of one state: one pass for each relation of the tree,
//! and each entity once for each.

use crate::engine::queries::bodies::{Looker, RowLook};
use crate::engine::queries::relations::foreign_keys::ForeignKeys;
use crate::engine::queries::relations::tree::RelationTree;
use crate::model::config::relations::{Relation, RelationKeys};
use crate::model::entity::{Key, OwnedKey, Owner, SYNC_STATE, push_entity};
use crate::model::table::Table;
use crate::plan::row_planner::name;
use crate::query::sort_key::SortKey;
use crate::state::references::{refers, target};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;
use crate::util::hash::hash;
use crate::util::json::members::Members;
use crate::util::json::scan;
use crate::util::json::write::put_text;

/// An entity as an app sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphEntity {
    pub key: OwnedKey,
    /// A JSON object.
    pub text: String,
}

/// The entities that one relation leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphNode {
    /// The node whose entities have the relation; `None` for those that were read.
    pub parent: Option<usize>,
    pub relation: String,
    /// The type of these entities.
    pub entity: String,
    pub is_many: bool,
    /// Each entity once.
    pub entities: Vec<GraphEntity>,
    /// For each entity of the parent, the places of those that it leads to.
    pub links: Vec<Vec<usize>>,
}

/// What was read, and what it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelatedGraph {
    pub entities: Vec<GraphEntity>,
    pub nodes: Vec<GraphNode>,
}

impl RelatedGraph {
    /// Returns a number that is the same for what an app cannot tell apart.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let mut bytes = Vec::new();
        let mut add = |entities: &[GraphEntity]| {
            for entity in entities {
                bytes.extend(hash(entity.key.entity.as_bytes()).to_be_bytes());
                bytes.extend(hash(entity.text.as_bytes()).to_be_bytes());
            }
            bytes.push(0);
        };
        add(&self.entities);
        for node in &self.nodes {
            add(&node.entities);
        }
        for links in self.nodes.iter().flat_map(|node| &node.links) {
            for link in links {
                bytes.extend((*link as u64).to_be_bytes());
            }
            bytes.push(1);
        }
        hash(&bytes)
    }
}

/// Makes a graph; without all that it needs, as much of it as can be.
pub(super) struct GraphMaker<'a> {
    looker: &'a Looker<'a>,
    keys: &'a ForeignKeys,
    /// Those that were read have the member `$syncState`.
    shows_states: bool,
    /// Segments that have to be fetched first.
    pub(super) missing: SeqMap<()>,
    owner: (Option<String>, Owner),
}

impl<'a> GraphMaker<'a> {
    pub(super) fn new(looker: &'a Looker<'a>, keys: &'a ForeignKeys, shows_states: bool) -> Self {
        Self {
            looker,
            keys,
            shows_states,
            missing: SeqMap::default(),
            owner: (None, Owner::new(looker.replica.user_id())),
        }
    }

    /// Makes the graph of entities that were read.
    pub(super) fn make(&mut self, roots: &[OwnedKey], tree: &RelationTree) -> RelatedGraph {
        let mut graph = RelatedGraph::default();
        for key in roots {
            if let Some(mut root) = self.entity(&key.as_key()) {
                if self.shows_states {
                    self.show_state(&mut root);
                }
                graph.entities.push(root);
            }
        }
        for branch in &tree.0 {
            let parents = match branch.parent {
                None => Some(&graph.entities),
                Some(parent) => graph.nodes.get(parent).map(|node| &node.entities),
            };
            let mut node = GraphNode {
                parent: branch.parent,
                relation: branch.relation.name.clone(),
                entity: branch.relation.entity.clone(),
                is_many: branch.relation.is_many(),
                entities: Vec::new(),
                links: Vec::new(),
            };
            let mut places: OrderedMap<Option<usize>> = OrderedMap::default();
            for parent in parents.into_iter().flatten() {
                let mut links = Vec::new();
                for key in self.targets(parent, &branch.relation) {
                    let named = name(&key.entity, &key.id);
                    let place = match places.get(&named) {
                        Some(place) => *place,
                        None => {
                            let found = self.entity(&key.as_key());
                            let place = found.map(|entity| {
                                node.entities.push(entity);
                                node.entities.len().saturating_sub(1)
                            });
                            places.insert(&named, place);
                            place
                        }
                    };
                    links.extend(place);
                    if !node.is_many && !links.is_empty() {
                        break;
                    }
                }
                node.links.push(links);
            }
            graph.nodes.push(node);
        }
        graph
    }

    /// Returns the entities that a relation of this one leads to, in order of id.
    fn targets(&mut self, from: &GraphEntity, relation: &Relation) -> Vec<OwnedKey> {
        let replica = self.looker.replica;
        let space = Table(&from.key.entity).space();
        match &relation.keys {
            RelationKeys::Own { foreign_key } => {
                let id = text_of(&from.text, foreign_key);
                let table = id
                    .as_deref()
                    .and_then(|id| target(replica, &relation.entity, id, space));
                let key = table.map(|table| Key::new(&table, &id.unwrap_or_default()).to_owned());
                key.into_iter().collect()
            }
            RelationKeys::Theirs { foreign_key, .. } => {
                self.referring(&relation.entity, foreign_key, &from.key)
            }
            RelationKeys::Joined {
                through,
                this_key,
                other_key,
            } => {
                let mut found: Vec<(String, String)> = Vec::new();
                for join in self.referring(through, this_key, &from.key) {
                    let Some(row) = self.entity(&join.as_key()) else {
                        continue;
                    };
                    let beside = Table(&join.entity).space();
                    if let Some(id) = text_of(&row.text, other_key)
                        && let Some(table) = target(replica, &relation.entity, &id, beside)
                    {
                        found.push((id, table.into_owned()));
                    }
                }
                sort(&mut found);
                found.dedup();
                let keys = found.iter();
                keys.map(|(id, table)| Key::new(table, id).to_owned())
                    .collect()
            }
        }
    }

    /// Returns the entities whose field refers to this one.
    fn referring(&self, entity: &str, field: &str, to: &OwnedKey) -> Vec<OwnedKey> {
        let replica = self.looker.replica;
        let mut found = Vec::new();
        for (id, space) in self.keys.referring(entity, field, &to.id) {
            let table = Table::name(entity, space.as_deref());
            let key = Key::new(&table, &id);
            if replica.is_visible(&key) && refers(replica, space.as_deref(), &to.as_key()) {
                found.push(key.to_owned());
            }
        }
        found
    }

    /// Returns an entity as an app sees it; `None` if it is not there, or not in memory yet.
    fn entity(&mut self, key: &Key<'_>) -> Option<GraphEntity> {
        let stored = match self.looker.look(key) {
            RowLook::Nothing => return None,
            RowLook::Missing(segment) => {
                self.missing.insert(segment, ());
                return None;
            }
            RowLook::Entity(stored) => stored,
        };
        let space = Table(key.entity).space();
        if self.owner.0.as_deref() != space {
            let owner = Owner::of(self.looker.replica.user_id(), space);
            self.owner = (space.map(str::to_owned), owner);
        }
        let mut text = String::with_capacity(stored.body.len().saturating_add(160));
        let owner = &self.owner.1;
        push_entity(
            &mut text,
            &stored.body,
            key.id,
            owner,
            stored.version,
            stored.deleted,
        );
        Some(GraphEntity {
            key: (*key).to_owned(),
            text,
        })
    }

    fn show_state(&self, entity: &mut GraphEntity) {
        entity.text.pop();
        let state = self.looker.sync_state(&entity.key.as_key());
        put_text(&mut entity.text, SYNC_STATE, state);
        entity.text.push('}');
    }
}

/// Returns the keys of entities that a query has found.
pub(super) fn keys_of<'a>(entity: &str, rows: impl Iterator<Item = &'a SortKey>) -> Vec<OwnedKey> {
    rows.map(|key| {
        let (id, space) = key.entity();
        Key::new(&Table::name(entity, space.as_deref()), &id).to_owned()
    })
    .collect()
}

/// Returns the field of an entity if it is a string.
fn text_of(text: &str, field: &str) -> Option<String> {
    let members = Members::parse(text).ok()?;
    members.get(field).and_then(scan::text).map(Into::into)
}
