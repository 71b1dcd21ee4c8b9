//! Separates local-only fields from a write.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::model::draft::Draft;
use crate::model::entity::{Fields, Key, is_time};
use crate::model::error::Result;
use crate::model::operation::OperationKind;
use crate::plan::write::{Attempt, Current};
use crate::state::local_only;
use crate::util::json::write::push_field;

/// What remains of a write without its local-only fields.
pub(super) enum SetAside {
    /// Nothing is sent, because no other field changed. Holds the entity as the app now sees it.
    Alone(String),
    /// The rest is sent; holds the local-only fields to store beside it.
    Beside(Option<Rc<str>>),
}

impl Attempt<'_, '_> {
    /// Moves the local-only fields out of a draft and records changes to them.
    pub(super) fn set_aside(
        &mut self,
        key: &Key,
        kind: &mut OperationKind,
        draft: &mut Draft,
        current: &Current,
    ) -> Result<SetAside> {
        let names = &self.group.local_only;
        let stays = |name: &str| names.iter().any(|only| only == name);
        let (mut body, beside) = local_only::split(&draft.body, names)?;
        let given = draft.fields.len();
        draft.fields.retain(|name| !stays(name));
        // A patch of local-only fields alone sends nothing.
        let mut alone = *kind == OperationKind::Patch && given > 0 && draft.fields.is_empty();
        if *kind == OperationKind::Patch {
            // Fields that were local-only before the config changed are sent from now on.
            let before = current
                .device
                .as_deref()
                .map_or_else(|| Ok(Fields::default()), Fields::parse)?;
            for (name, _) in before.0.iter().filter(|(name, _)| !stays(name)) {
                alone = false;
                if !draft.fields.iter().any(|field| *field == **name) {
                    draft.fields.push(name.to_string());
                }
            }
        }
        if let Some(had) = current
            .body
            .as_deref()
            .filter(|_| *kind != OperationKind::Create)
        {
            // The server has a value from before the field became local-only. It keeps that value,
            // and so does the body here, which mirrors the server. Only a patch leaves the value
            // alone, but a patch cannot remove fields.
            let had = Fields::parse(had)?;
            let complete = had.0.iter().all(|(name, _)| {
                stays(name) || is_time(name) || draft.fields.contains(&name.to_string())
            });
            if *kind == OperationKind::Patch || complete {
                for (name, value) in had.0.iter().filter(|(name, _)| stays(name)) {
                    *kind = OperationKind::Patch;
                    body.pop();
                    push_field(&mut body, name, value);
                    body.push('}');
                }
            }
        }
        let changed = !local_only::same(current.device.as_deref(), beside.as_deref());
        let fields: Option<Rc<str>> = beside.map(Rc::from);
        if changed {
            let overlay = self.overlays.entry(key.entity);
            overlay.device.set(key.id, fields.clone());
        }
        if let Some(had) = current
            .body
            .as_deref()
            .filter(|had| (changed || alone) && current.exists && same_content(had, &body))
        {
            return Ok(SetAside::Alone(self.seen(
                key,
                had,
                fields.as_deref(),
                current.version,
            )));
        }
        draft.body = body;
        Ok(SetAside::Beside(fields))
    }
}
