//! Fields that never leave the device, taken out of a write.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::model::entity::{Draft, Fields, Key, is_time};
use crate::model::error::Result;
use crate::model::operation::OperationKind;
use crate::plan::write::{Attempt, Current};
use crate::state::local_only;
use crate::util::json::write::push_field;

/// What is left of a write without the fields that never leave the device.
pub(super) enum Aside {
    /// Nothing to send: it changed no other field. The entity as the app sees it now.
    Alone(String),
    /// The rest is sent; these fields stay beside it.
    Beside(Option<Rc<str>>),
}

impl Attempt<'_, '_> {
    /// Takes the fields that never leave the device out of a draft, and notes what is new among
    /// them.
    pub(super) fn set_aside(
        &mut self,
        key: &Key,
        kind: &mut OperationKind,
        draft: &mut Draft,
        current: &Current,
    ) -> Result<Aside> {
        let names = &self.group.local_only;
        let stays = |name: &str| names.iter().any(|only| only == name);
        let (mut body, beside) = local_only::split(&draft.body, names)?;
        let given = draft.fields.len();
        draft.fields.retain(|name| !stays(name));
        // A patch of nothing but such fields leaves nothing to send.
        let mut alone = *kind == OperationKind::Patch && given > 0 && draft.fields.is_empty();
        if *kind == OperationKind::Patch {
            // What was kept here before the config changed travels from now on.
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
            // The server has a value from before the config changed: it keeps that, and so does the
            // body here, which says what the server has. Only a patch leaves it alone; but a patch
            // takes no field away.
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
            self.overlay.device.set(key.id, fields.clone());
        }
        if let Some(had) = current
            .body
            .as_deref()
            .filter(|had| (changed || alone) && current.exists && same_content(had, &body))
        {
            return Ok(Aside::Alone(self.seen(
                key,
                had,
                fields.as_deref(),
                current.version,
            )));
        }
        draft.body = body;
        Ok(Aside::Beside(fields))
    }
}
