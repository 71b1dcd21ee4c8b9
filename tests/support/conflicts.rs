//! Two devices in conflict, and resolvers that decide it.

use std::rc::Rc;

use crate::support::world::Tab;
use datum_sync::engine::cycle::resolvers::{Resolver, Resolvers};

pub fn resolvers(resolver: impl Resolver + 'static) -> Resolvers {
    Resolvers {
        fallback: Some(Rc::new(resolver)),
        ..Resolvers::default()
    }
}

/// Puts `t` in conflict: `a` has pushed an edit of it, and `b` has one pending.
pub fn clash(a: &Tab, b: &Tab) {
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"title":"theirs"}"#);
    a.sync();
    b.patch("t", r#"{"title":"mine","n":2}"#);
}
