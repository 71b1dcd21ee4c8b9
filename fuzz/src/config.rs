//! Configs and options, whose values JavaScript has checked: whatever they hold, reading them ends,
//! and what it gives keeps its promises.

use std::collections::BTreeMap;

use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::{Config, Options, Scope};
use datum_sync::model::entity::check_name;
use datum_sync::util::json::scan;
use serde_json::Value;

const DAY_MS: u64 = 86_400_000;

/// Takes the text of a config, of options, or of a list of options.
pub fn holds(bytes: &[u8]) {
    let Ok(Ok(tree)) = std::str::from_utf8(bytes).map(scan::tree) else {
        return;
    };
    check_config(&Config::read(CheckedObject(&tree)));
    let mut scopes = BTreeMap::new();
    for given in tree
        .as_array()
        .map_or(std::slice::from_ref(&tree), Vec::as_slice)
    {
        let options = Options::read(CheckedObject(given));
        check_merge_is_idempotent(&options, given);
        if let Some(scope) = options.scope {
            check_own_cursor(&mut scopes, scope);
        }
    }
}

fn check_config(config: &Config) {
    for attempt in [0, 1, 2, 10, 1_000, u32::MAX] {
        for roll in [0, 1, u32::MAX] {
            assert!(config.retry.delay(attempt, roll, None) <= config.retry.max);
            assert!(
                config.retry.delay(attempt, roll, Some(DAY_MS)) >= DAY_MS,
                "never less than the remote requested"
            );
        }
    }
}

fn check_merge_is_idempotent(options: &Options, given: &Value) {
    assert_eq!(&options.clone().or(options), options, "{given}");
    assert_eq!(&Options::default().or(options), options, "{given}");
    assert_eq!(&options.clone().or(&Options::default()), options, "{given}");
}

/// Different scopes must not share a cursor: one would skip rows that the other has not seen.
fn check_own_cursor(scopes: &mut BTreeMap<String, Scope>, scope: Scope) {
    let are_names = |names: &Vec<String>| {
        !names.is_empty() && names.iter().all(|name| check_name(name).is_ok())
    };
    if scope.name.is_some() || !scope.entities.as_ref().is_none_or(are_names) {
        return;
    }
    assert!(
        !scope.cursor_name().is_empty(),
        "the empty name is that of the main cursor"
    );
    if let Some(other) = scopes.insert(scope.cursor_name(), scope.clone()) {
        assert_eq!(other, scope, "{}", scope.cursor_name());
    }
}
