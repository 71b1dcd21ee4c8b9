//! Configs and options: values are in range, or the input is refused with a code and a message that
//! names the field.

use std::collections::BTreeMap;

use datum_sync::model::config::{Config, Options, Scope};
use datum_sync::model::entity::{OWN_FIELDS, check_name};
use datum_sync::model::error::{Code, Error};
use datum_sync::model::limits::MAX_BATCH;
use datum_sync::model::object_reader::ObjectReader;
use datum_sync::util::json::scan;
use serde_json::Value;

const DAY_MS: u64 = 86_400_000;

/// Takes the text of a config, of options, or of a list of options.
pub fn holds(bytes: &[u8]) {
    let Ok(Ok(tree)) = std::str::from_utf8(bytes).map(scan::tree) else {
        return;
    };
    match ObjectReader::new(&tree, Code::InvalidConfig, "The config").and_then(Config::read) {
        Ok(config) => check_config(&config),
        Err(error) => check_names_the_field(&error, Code::InvalidConfig, "The config"),
    }
    let mut scopes = BTreeMap::new();
    for given in tree
        .as_array()
        .map_or(std::slice::from_ref(&tree), Vec::as_slice)
    {
        match ObjectReader::new(given, Code::InvalidArgument, "The options").and_then(Options::read)
        {
            Ok(options) => {
                check_options(&options);
                check_merge_is_idempotent(&options, given);
                if let Some(scope) = options.scope {
                    check_own_cursor(&mut scopes, scope);
                }
            }
            Err(error) => check_names_the_field(&error, Code::InvalidArgument, "The options"),
        }
    }
}

fn check_names_the_field(error: &Error, code: Code, what: &str) {
    assert_eq!(error.code(), code);
    assert!(
        error.message().starts_with(what) && error.message().ends_with('.'),
        "{error}"
    );
}

fn check_config(config: &Config) {
    assert!(check_name(&config.name).is_ok() && !config.name.contains('/'));
    assert!(!config.entities.is_empty());
    for (name, entity) in config.entities.iter() {
        assert!(check_name(name).is_ok());
        assert!(
            entity
                .local_only
                .iter()
                .all(|field| !field.is_empty() && !OWN_FIELDS.contains(&field.as_str()))
        );
    }
    assert!((1..=DAY_MS).contains(&config.sync_timeout));
    assert!((1_000..=DAY_MS).contains(&config.timing.interval));
    assert!(config.timing.after_write.is_none_or(|ms| ms <= 3_600_000));
    check_options(&config.defaults);
    for attempt in [0, 1, 2, 10, 1_000, u32::MAX] {
        for roll in [0, 1, u32::MAX] {
            assert!(config.retry.delay(attempt, roll, None) <= config.retry.max);
            assert_eq!(
                config.retry.delay(attempt, roll, Some(DAY_MS)),
                DAY_MS,
                "never less than the remote requested"
            );
        }
    }
}

fn check_options(options: &Options) {
    assert!(
        options
            .batch_size
            .is_none_or(|size| (1..=MAX_BATCH).contains(&size))
    );
    assert!(options.timeout.is_none_or(|ms| ms > 0));
    if let Some(scope) = &options.scope {
        assert!(
            scope
                .entities
                .iter()
                .flatten()
                .all(|entity| check_name(entity).is_ok())
        );
        assert!(
            !scope.cursor_name().is_empty(),
            "the empty name is that of the main cursor"
        );
    }
}

fn check_merge_is_idempotent(options: &Options, given: &Value) {
    assert_eq!(&options.clone().or(options), options, "{given}");
    assert_eq!(&Options::default().or(options), options, "{given}");
    assert_eq!(&options.clone().or(&Options::default()), options, "{given}");
}

/// Different scopes must not share a cursor: one would skip rows that the other has not seen.
fn check_own_cursor(scopes: &mut BTreeMap<String, Scope>, scope: Scope) {
    if scope.name.is_some() {
        return;
    }
    if let Some(other) = scopes.insert(scope.cursor_name(), scope.clone()) {
        assert_eq!(other, scope, "{}", scope.cursor_name());
    }
}
