//! Which relations are read along: paths such as `project.owner`, as a tree.

use crate::model::config::Config;
use crate::model::config::relations::Relation;
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;

/// The longest path, and the most relations of one read: a path may go in a circle.
const MOST_LEVELS: usize = 8;
const MOST_RELATIONS: usize = 50;

/// A relation to read along.
#[derive(Clone, Debug)]
pub(in crate::engine::queries) struct Branch {
    /// The branch whose entities have it; `None` for those that are read.
    pub(super) parent: Option<usize>,
    pub(super) relation: Relation,
}

/// The relations of one read, each behind the one that it begins at.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::queries) struct RelationTree(pub(super) Vec<Branch>);

impl RelationTree {
    /// Reads the paths of `with`, which begin at an entity type.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`], naming the path and what there is.
    pub(in crate::engine::queries) fn read(
        config: &Config,
        entity: &str,
        paths: &[String],
    ) -> Result<Self> {
        let mut tree = Self::default();
        for (index, path) in paths.iter().enumerate() {
            tree.add(config, entity, path)
                .map_err(|problem| refused(&format!("with[{index}]"), &problem, entity))?;
        }
        Ok(tree)
    }

    /// Reads the argument `relation`, the name of one relation of an entity type.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(super) fn one(config: &Config, entity: &str, name: &str) -> Result<Self> {
        let mut tree = Self::default();
        let added = match name.contains('.') {
            true => Err("it must be the name of one relation; read paths by `with`.".to_owned()),
            false => tree.add(config, entity, name),
        };
        added.map_err(|problem| refused("relation", &problem, entity))?;
        Ok(tree)
    }

    fn add(&mut self, config: &Config, entity: &str, path: &str) -> Result<(), String> {
        let mut parent = None;
        let mut entity = entity.to_owned();
        if path.split('.').count() > MOST_LEVELS {
            return Err(format!(
                "`{path}` has more than {MOST_LEVELS} levels; read the rest with `related`."
            ));
        }
        for name in path.split('.') {
            let relation = find(config, &entity, name)?;
            entity.clone_from(&relation.entity);
            let known = self.0.iter().position(|branch| {
                branch.parent == parent && branch.relation.name == relation.name
            });
            parent = Some(known.unwrap_or_else(|| {
                self.0.push(Branch { parent, relation });
                self.0.len().saturating_sub(1)
            }));
        }
        if self.0.len() > MOST_RELATIONS {
            return Err(format!(
                "more than {MOST_RELATIONS} relations are too many for one read."
            ));
        }
        Ok(())
    }

    /// Returns the types whose keys are looked up.
    pub(super) fn referring(&self) -> Vec<String> {
        let mut types: Vec<String> = Vec::new();
        for branch in &self.0 {
            if let Some((entity, _)) = branch.relation.referring()
                && !types.iter().any(|it| it == entity)
            {
                types.push(entity.to_owned());
            }
        }
        types
    }

    /// Returns the types of all that is read along.
    pub(super) fn types(&self) -> Vec<String> {
        let mut types = self.referring();
        for branch in &self.0 {
            if !types.contains(&branch.relation.entity) {
                types.push(branch.relation.entity.clone());
            }
        }
        types
    }
}

fn refused(what: &str, problem: &str, entity: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("`{what}`: {problem}")).on(entity, None)
}

/// Returns a relation that can be read along.
fn find(config: &Config, entity: &str, name: &str) -> Result<Relation, String> {
    let entity = Table(entity).entity();
    let relations = config.relations(entity);
    let Some(found) = relations.iter().find(|relation| relation.name == name) else {
        let known: Vec<&str> = relations.iter().map(|it| it.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "none".to_owned(),
            false => known.join(", "),
        };
        return Err(format!(
            "`{entity}` has no relation `{name}`; the config has {known}."
        ));
    };
    let keys = config.of(entity).map(|config| config.parents.clone());
    if keys
        .iter()
        .flat_map(|keys| keys.iter())
        .any(|key| key.foreign_key == name)
    {
        return Err(format!(
            "the relation `{name}` of `{entity}` has the name of a field with a key, so there is no place for it; give it another name in the config."
        ));
    }
    Ok(found.clone())
}
