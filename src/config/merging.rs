//! `mergeFields` of an entity type: which field goes by which policy.

use std::rc::Rc;

use crate::conflict::policy::{Policies, Policy};
use crate::entity::OWN_FIELDS;
use crate::members::Members;

/// Reads the policies of a type.
pub(super) fn read(entity: &mut Members<'_>, local_only: &[String]) -> Rc<Policies> {
    let mut policies = Policies::default();
    let Some(mut fields) = entity.object("mergeFields") else {
        return Rc::default();
    };
    for path in fields.names() {
        let top = path.split('.').next().unwrap_or_default();
        if path.split('.').any(str::is_empty) {
            fields.note::<()>(path, "is no field; give a field's name, or names with dots between them, such as `address.city`.");
        }
        if OWN_FIELDS.contains(&top) {
            fields.note::<()>(
                path,
                "is a field that the engine owns and merges itself; leave it out.",
            );
        }
        if local_only.iter().any(|name| name == top) {
            fields.note::<()>(path, "never leaves the device, by `localOnly`, so that there is nothing to merge; leave it out of one.");
        }
        if let Some(policy) = fields.choice(path, &Policy::NAMES) {
            policies.insert(path, policy);
        }
    }
    Rc::new(policies)
}
