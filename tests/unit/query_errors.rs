//! Queries that are refused: with the path of the field and the fix.

use super::query_support::{Entity, read, select};
use datum_sync::model::error::Code;

fn refusal(query: &str) -> String {
    let error = read(query)
        .err()
        .unwrap_or_else(|| panic!("{query} is taken"));
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(!error.is_retryable());
    assert_eq!(error.entity(), Some("tasks"));
    error.message().to_owned()
}

/// Checks refusals of `where`.
#[track_caller]
fn refuses(cases: &[(&str, &str)]) {
    for (filter, expected) in cases {
        let message = refusal(&format!("{{\"where\":{filter}}}"));
        assert!(
            message.contains(expected),
            "{filter}\n{message}\n{expected}"
        );
    }
}

#[test]
fn a_name_that_is_not_known_is_refused_and_the_one_that_was_meant_is_named() {
    refuses(&[
        (
            r#"{"field":"a","eq":1}"#,
            "`where.eq` is not known; did you mean `equals`?",
        ),
        (
            r#"{"field":"a","$gte":1}"#,
            "`where.$gte` is not known; did you mean `greaterThanOrEqual`?",
        ),
        (
            r#"{"field":"a","startswith":"x"}"#,
            "did you mean `startsWith`?",
        ),
        (r#"{"field":"a","equlas":1}"#, "did you mean `equals`?"),
        (
            r#"{"and":[{"field":"a","in":[1]}]}"#,
            "`where.and[0].in` is not known; did you mean `isIn`?",
        ),
        (
            r#"{"field":"a","sounds":1}"#,
            "`where.sounds` is not known; Known are equals, notEquals",
        ),
        (
            r#"{"field":"a","__proto__":1}"#,
            "`where.__proto__` is not known",
        ),
        (
            r#"{"field":"a","withinDistance":{"lat":1}}"#,
            "`where.withinDistance.lat` is not known",
        ),
    ]);
    assert!(refusal(r#"{"filter":{}}"#).contains("`filter` is not known; did you mean `where`?"));
    assert!(refusal(r#"{"sort":[]}"#).contains("did you mean `orderBy`?"));
    assert!(
        refusal(r#"{"orderBy":[{"field":"a","desc":true}]}"#)
            .contains("`orderBy[0].desc` is not known")
    );
}

#[test]
fn a_condition_has_a_form() {
    refuses(&[
        ("[]", "`where` must be a condition, such as { field: "),
        ("{}", "`where` must be a condition"),
        (r#"{"done":true}"#, "`where` must be a condition"),
        (r#"{"field":"a"}"#, "`where` has no operator beside `field`"),
        (
            r#"{"field":"","equals":1}"#,
            "`where.field` has an empty part",
        ),
        (
            r#"{"field":"a..b","equals":1}"#,
            "`where.field` has an empty part",
        ),
        (
            r#"{"field":"a\\b","equals":1}"#,
            "`where.field` has a backslash",
        ),
        (
            r#"{"field":["a"],"equals":1}"#,
            "`where.field` must be the name of a field as a string",
        ),
        (
            r#"{"and":{}}"#,
            "`where.and` must be an array of conditions.",
        ),
        (
            r#"{"and":[],"or":[]}"#,
            "`where.and` stands beside other members",
        ),
        (
            r#"{"or":[{"not":{"field":"a","not":1}}]}"#,
            "`where.or[0].not.not` stands beside other members",
        ),
        (r#"{"not":5}"#, "`where.not` must be a condition"),
    ]);
    let deep = |levels: usize| {
        format!(
            "{}{}{}",
            r#"{"not":"#.repeat(levels),
            r#"{"field":"a","equals":1}"#,
            "}".repeat(levels)
        )
    };
    assert!(read(&format!("{{\"where\":{}}}", deep(31))).is_ok());
    let message = refusal(&format!("{{\"where\":{}}}", deep(32)));
    assert!(
        message.ends_with("is nested deeper than 32 levels."),
        "{message}"
    );
    refusal(&format!("{{\"where\":{}}}", deep(100_000)));
    let many = vec![r#"{"field":"a","equals":1}"#; 1_001].join(",");
    assert!(refusal(&format!("{{\"where\":{{\"or\":[{many}]}}}}")).contains("`isIn`"));
    let values = vec!["1"; 10_001].join(",");
    assert!(
        refusal(&format!(
            "{{\"where\":{{\"field\":\"a\",\"isIn\":[{values}]}}}}"
        ))
        .contains("at most 10,000")
    );
}

#[test]
fn an_operand_has_the_type_of_its_operator() {
    refuses(&[
        (
            r#"{"field":"a","greaterThan":null}"#,
            "`where.greaterThan` must not be null",
        ),
        (
            r#"{"field":"a","between":[1]}"#,
            "`where.between` must be an array of two values",
        ),
        (
            r#"{"field":"a","between":[1,2,3]}"#,
            "`where.between` must be an array of two values",
        ),
        (
            r#"{"field":"a","between":[1,"2"]}"#,
            "`where.between` must have two values of one type",
        ),
        (
            r#"{"field":"a","between":[null,2]}"#,
            "`where.between[0]` must not be null",
        ),
        (
            r#"{"field":"a","isIn":"x"}"#,
            "`where.isIn` must be an array of values.",
        ),
        (
            r#"{"field":"a","isNull":"no"}"#,
            "`where.isNull` must be true or false.",
        ),
        (
            r#"{"field":"a","contains":5}"#,
            "`where.contains` must be a string. For a value in an array, use `arrayContains`.",
        ),
        (
            r#"{"field":"a","startsWith":null}"#,
            "`where.startsWith` must be a string.",
        ),
        (
            r#"{"field":"a","matches":{}}"#,
            "`where.matches` must be a string, such as",
        ),
        (
            r#"{"field":"a","arrayContainsAny":1}"#,
            "`where.arrayContainsAny` must be an array of values.",
        ),
        (
            r#"{"field":"a","withinDistance":{"latitude":91,"longitude":0,"metres":1}}"#,
            "from -90 to 90",
        ),
        (
            r#"{"field":"a","withinDistance":{"latitude":1,"longitude":0,"metres":-1}}"#,
            "`where.withinDistance.metres` must be a number from 0.",
        ),
        (
            r#"{"field":"a","withinDistance":{"latitude":1,"longitude":0}}"#,
            "`where.withinDistance.metres`",
        ),
        (
            r#"{"field":"a","withinDistance":null}"#,
            "must be { latitude, longitude, metres }",
        ),
    ]);
}

#[test]
fn the_members_of_a_query_have_their_types() {
    for (query, expected) in [
        ("[]", "The query must be an object"),
        ("{", "The query must be an object"),
        (r#"{"limit":-1}"#, "`limit` must be a whole number from 0"),
        (r#"{"limit":1.5}"#, "`limit` must be a whole number from 0"),
        (r#"{"limit":"5"}"#, "`limit` must be a whole number from 0"),
        (
            r#"{"offset":1e99}"#,
            "`offset` must be a whole number from 0",
        ),
        (
            r#"{"includeDeleted":1}"#,
            "`includeDeleted` must be true or false.",
        ),
        (r#"{"orderBy":"a"}"#, "`orderBy` must be an array such as"),
        (
            r#"{"orderBy":["a"]}"#,
            "`orderBy[0]` must be an object such as",
        ),
        (
            r#"{"orderBy":[{}]}"#,
            "`orderBy[0].field` must be the name of a field",
        ),
        (
            r#"{"orderBy":[{"field":"a","descending":"yes"}]}"#,
            "`orderBy[0].descending` must be true or false.",
        ),
        (
            r#"{"orderBy":[{"field":"a","nulls":"low"}]}"#,
            "`orderBy[0].nulls` must be \"first\" or \"last\".",
        ),
        (r#"{"with":"project"}"#, "`with` must be an array of names"),
    ] {
        let message = refusal(query);
        assert!(message.contains(expected), "{query}: {message}");
    }
    let many = vec![r#"{"field":"a"}"#; 17].join(",");
    assert!(refusal(&format!("{{\"orderBy\":[{many}]}}")).contains("more than 16 keys"));
    for query in [
        "{}",
        r#"{"limit":0}"#,
        r#"{"limit":null,"where":null}"#,
        r#"{"limit":1e2,"offset":3.0}"#,
    ] {
        assert!(read(query).is_ok(), "{query}");
    }
    assert_eq!(
        read(r#"{"with":["project.owner"]}"#).unwrap().with(),
        ["project.owner"]
    );
}

#[test]
fn a_cursor_is_taken_by_its_own_query_only() {
    let entities: Vec<Entity> = (0..5)
        .map(|n| Entity::new(&n.to_string(), "{\"a\":1}"))
        .collect();
    let query = r#"{"orderBy":[{"field":"a"}],"limit":2"#;
    let after = select(&format!("{query}}}"), &entities).after.unwrap();
    let refused = |query: &str, after: &str| refusal(&format!("{query},\"after\":\"{after}\"}}"));
    for other in [
        r#"{"orderBy":[{"field":"b"}]"#,
        r#"{"orderBy":[{"field":"a","descending":true}]"#,
        r#"{"orderBy":[{"field":"a"}],"where":{"field":"a","equals":1}"#,
        r#"{"orderBy":[{"field":"a"}],"includeDeleted":true"#,
        "{\"limit\":2",
    ] {
        assert!(
            refused(other, &after).contains("`after` is the cursor of another query"),
            "{other}"
        );
    }
    for damaged in [
        "",
        "a",
        "zz",
        &after[..after.len() - 2],
        &after.replace('0', "1"),
        &format!("{after}00"),
    ] {
        assert!(
            refused(query, damaged)
                .contains("`after` must be the `after` that a page of this query returned"),
            "{damaged}"
        );
    }
    assert!(refused(query, &after.replacen('a', "b", 1)).contains("another version of datum-sync"));
    assert!(refusal(&format!("{query},\"after\":5}}")).contains("`after` must be"));
    // The size of a page is no part of the list that it is of, nor is how a value is written.
    let same = r#"{"orderBy":[{"field":"a","descending":false}],"limit":3,"with":["x"]"#;
    assert!(read(&format!("{same},\"after\":\"{after}\"}}")).is_ok());
}
