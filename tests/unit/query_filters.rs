//! What conditions and orders mean, one rule at a time.

use super::query_reference::reference;
use super::query_support::{Entity, ids, read, select};
use datum_sync::query::evaluator::Evaluator;

/// Returns true if an entity with this body satisfies a condition.
fn holds(body: &str, condition: &str) -> bool {
    let query =
        read(&format!("{{\"where\":{condition}}}")).unwrap_or_else(|error| panic!("{error}"));
    Evaluator::new(query).matches(&Entity::new("one", body).as_ref())
}

#[track_caller]
fn finds(condition: &str, bodies: &[&str]) {
    for body in bodies {
        assert!(holds(body, condition), "{condition} {body}");
    }
}

#[track_caller]
fn passes(condition: &str, bodies: &[&str]) {
    for body in bodies {
        assert!(!holds(body, condition), "{condition} {body}");
    }
}

#[test]
fn a_missing_field_reads_as_null() {
    let without = [
        "{}",
        r#"{"a":null}"#,
        r#"{"a":5}"#,
        r#"{"a":[]}"#,
        r#"{"a":"x"}"#,
    ];
    finds(r#"{"field":"a.b","isNull":true}"#, &without);
    finds(r#"{"field":"a.b","equals":null}"#, &without);
    finds(r#"{"field":"a.b","isIn":[1,null]}"#, &without);
    finds(r#"{"field":"a.b","notEquals":1}"#, &without);
    passes(r#"{"field":"a.b","isNull":false}"#, &without);
    passes(r#"{"field":"a.b","notEquals":null}"#, &without);
}

#[test]
fn a_range_is_of_one_type() {
    let others = [
        "{}",
        r#"{"a":null}"#,
        r#"{"a":"4"}"#,
        r#"{"a":true}"#,
        r#"{"a":[1]}"#,
        r#"{"a":{}}"#,
    ];
    passes(r#"{"field":"a","lessThan":5}"#, &others);
    passes(r#"{"field":"a","greaterThanOrEqual":-5}"#, &others);
    finds(r#"{"not":{"field":"a","lessThan":5}}"#, &others);
    finds(r#"{"field":"a","lessThan":true}"#, &[r#"{"a":false}"#]);
    finds(
        r#"{"field":"a","greaterThan":[1,2]}"#,
        &[r#"{"a":[1,3]}"#, r#"{"a":[1,2,0]}"#],
    );
    passes(
        r#"{"field":"a","between":["b","d"]}"#,
        &[r#"{"a":"a"}"#, r#"{"a":"da"}"#, r#"{"a":3}"#],
    );
    finds(
        r#"{"field":"a","between":["b","d"]}"#,
        &[r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"d"}"#],
    );
    passes(r#"{"field":"a","between":[5,1]}"#, &[r#"{"a":3}"#]);
}

#[test]
fn numbers_are_floats_however_they_are_written() {
    let tens = [
        r#"{"a":10}"#,
        r#"{"a":10.0}"#,
        r#"{"a":1e1}"#,
        r#"{"a":100e-1}"#,
        r#"{ "a" : 10 }"#,
    ];
    finds(r#"{"field":"a","equals":1.0E+1}"#, &tens);
    finds(
        r#"{"field":"a","equals":0}"#,
        &[r#"{"a":-0}"#, r#"{"a":-0.0}"#, r#"{"a":0e9}"#],
    );
    // As `JSON.parse` reads them, these two are one number.
    finds(
        r#"{"field":"a","equals":9007199254740993}"#,
        &[r#"{"a":9007199254740992}"#],
    );
    passes(
        r#"{"field":"a","equals":9007199254740993}"#,
        &[r#"{"a":9007199254740994}"#],
    );
    finds(r#"{"field":"a","greaterThan":1e308}"#, &[r#"{"a":1e999}"#]);
    finds(r#"{"field":"a","lessThan":-1e308}"#, &[r#"{"a":-1e999}"#]);
    finds(
        r#"{"field":"a","equals":0.1}"#,
        &[r#"{"a":0.10000000000000000555}"#, r#"{"a":1e-1}"#],
    );
    finds(r#"{"field":"a","equals":5e-324}"#, &[r#"{"a":4.9E-324}"#]);
    finds(r#"{"field":"a","isIn":[3,10]}"#, &tens);
}

#[test]
fn strings_are_characters_however_they_are_written() {
    finds(
        r#"{"field":"a","equals":"é/\""}"#,
        &[r#"{"a":"\u00e9\/\u0022"}"#, r#"{"\u0061":"é/\""}"#],
    );
    finds(
        r#"{"field":"a","equals":"\ud83e\udd80"}"#,
        &[r#"{"a":"🦀"}"#],
    );
    finds(
        r#"{"field":"a","startsWith":"🦀"}"#,
        &[r#"{"a":"\ud83e\udd80!"}"#],
    );
    finds(r#"{"field":"a","endsWith":"\n"}"#, &[r#"{"a":"x\u000a"}"#]);
    passes(r#"{"field":"a","contains":"u00"}"#, &[r#"{"a":"\u00e9"}"#]);
    // Half a surrogate pair is equal to itself alone, and has its place among code points.
    finds(r#"{"field":"a","equals":"\ud83e"}"#, &[r#"{"a":"\uD83E"}"#]);
    passes(
        r#"{"field":"a","equals":"\ud83e"}"#,
        &[r#"{"a":"\ud83f"}"#, r#"{"a":"\ud83e\udd80"}"#],
    );
    finds(
        r#"{"field":"a","greaterThan":"\ud83e"}"#,
        &[r#"{"a":"\uffff"}"#, r#"{"a":"🦀"}"#],
    );
    // By code point, which UTF-16 does not go by.
    finds(
        r#"{"field":"a","greaterThan":"\uffff"}"#,
        &[r#"{"a":"🦀"}"#],
    );
    finds(
        r#"{"field":"a","greaterThan":"a\u0000"}"#,
        &[r#"{"a":"a\u0000\u0000"}"#, r#"{"a":"a\u0001"}"#],
    );
    finds(
        r#"{"field":"a","contains":""}"#,
        &[r#"{"a":""}"#, r#"{"a":"x"}"#],
    );
    passes(
        r#"{"field":"a","contains":""}"#,
        &["{}", r#"{"a":5}"#, r#"{"a":["x"]}"#],
    );
}

#[test]
fn both_cases_are_one_in_every_alphabet_that_has_two() {
    for (text, part) in [
        ("Ångström", "ÅNGSTRÖM"),
        ("ПРИВЕТ", "привет"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Đường", "ĐƯỜNG"),
        ("İstanbul", "istanbul"),
        ("STRAẞE", "straße"),
        ("Łódź", "łÓDŹ"),
        ("Երևան", "երևան"),
    ] {
        for (text, part) in [(text, part), (part, text)] {
            let body = format!("{{\"a\":\"- {text} -\"}}");
            finds(
                &format!("{{\"field\":\"a\",\"containsIgnoreCase\":\"{part}\"}}"),
                &[&body],
            );
        }
    }
    let one = |c: char| {
        let mut lower = c.to_lowercase();
        lower.next().filter(|_| lower.next().is_none())
    };
    let blocks = [
        0..=0x17f_u32,
        0x386..=0x3ce,
        0x400..=0x52f,
        0x531..=0x586,
        0x1e00..=0x1eff,
    ];
    for code in blocks.into_iter().flatten() {
        let Some(upper) = char::from_u32(code).filter(|c| c.is_uppercase()) else {
            continue;
        };
        let Some(lower) = one(upper) else { continue };
        let body = format!("{{\"a\":\"{upper}\"}}");
        finds(
            &format!("{{\"field\":\"a\",\"containsIgnoreCase\":\"{lower}\"}}"),
            &[&body],
        );
    }
}

#[test]
fn paths_lead_into_objects_and_arrays() {
    let body = r#"{"a":{"b":[{"c":1},{"c":2}],"x.y":3,"__proto__":{"constructor":4},"\\":5},"a":{"b":[{"c":1},{"c":2}],"x.y":3,"__proto__":{"constructor":4},"\\":5}}"#;
    for (field, value) in [
        ("a.b.1.c", "2"),
        (r"a.x\\.y", "3"),
        ("a.__proto__.constructor", "4"),
        (r"a.\\\\", "5"),
        ("a.b.2.c", "null"),
        ("a.b.01.c", "null"),
        ("a.b.c", "null"),
        ("a.b.length", "null"),
        ("constructor", "null"),
        ("a.b", r#"[{"c":1.0},{"c":2}]"#),
    ] {
        finds(
            &format!("{{\"field\":\"{field}\",\"equals\":{value}}}"),
            &[body],
        );
    }
    // The last of two members counts, and with it the parts that it has.
    passes(
        r#"{"field":"a.b","equals":1}"#,
        &[r#"{"a":{"b":1},"a":{}}"#, r#"{"a":{"b":1},"\u0061":2}"#],
    );
    finds(
        r#"{"field":"a","equals":{"x":1,"y":[2]}}"#,
        &[r#"{"a":{"y":[2],"x":0,"x":1}}"#],
    );
}

#[test]
fn what_the_engine_owns_is_what_it_says_and_not_what_the_body_says() {
    let mut entity = Entity::new(
        "one",
        r#"{"id":"two","version":9,"isDeleted":"x","userId":1,"spaceId":5}"#,
    );
    for condition in [
        r#"{"field":"id","equals":"one"}"#,
        r#"{"field":"version","equals":1}"#,
        r#"{"field":"isDeleted","equals":false}"#,
        r#"{"field":"userId","equals":"ann"}"#,
        r#"{"field":"spaceId","isNull":true}"#,
        r#"{"field":"id.length","isNull":true}"#,
    ] {
        finds(condition, &[&entity.body]);
    }
    entity.deleted = true;
    let found = |query: &str| ids(&select(query, &[entity.clone()])).len();
    assert_eq!(found("{}"), 0);
    assert_eq!(found(r#"{"includeDeleted":true}"#), 1);
    assert_eq!(found(r#"{"where":{"field":"isDeleted","equals":true}}"#), 0);
}

#[test]
fn arrays_are_asked_for_values_that_they_have() {
    let body = r#"{"tags":["work", 1.0, null, ["x"], {"a":1,"b":2}]}"#;
    for value in [r#""work""#, "1", "null", r#"["x"]"#, r#"{"b":2,"a":1}"#] {
        finds(
            &format!("{{\"field\":\"tags\",\"arrayContains\":{value}}}"),
            &[body],
        );
        finds(
            &format!("{{\"field\":\"tags\",\"arrayContainsAny\":[7,{value}]}}"),
            &[body],
        );
    }
    passes(
        r#"{"field":"tags","arrayContains":"x"}"#,
        &[body, r#"{"tags":"x"}"#, "{}"],
    );
    passes(r#"{"field":"tags","arrayContainsAny":[]}"#, &[body]);
    passes(r#"{"field":"tags","isIn":[]}"#, &[body]);
    finds(r#"{"field":"tags","isNotIn":[]}"#, &[body, "{}"]);
}

#[test]
fn and_of_nothing_holds_and_or_of_nothing_does_not() {
    finds(r#"{"and":[]}"#, &["{}"]);
    passes(r#"{"or":[]}"#, &["{}"]);
    finds(r#"{"not":{"or":[]}}"#, &["{}"]);
    finds(
        r#"{"field":"a","greaterThan":1,"lessThan":3}"#,
        &[r#"{"a":2}"#],
    );
    passes(
        r#"{"field":"a","greaterThan":1,"lessThan":3}"#,
        &[r#"{"a":3}"#],
    );
}

#[test]
fn distances_are_those_on_the_globe() {
    let near = |latitude: f64, longitude: f64, metres: f64| {
        format!(
            "{{\"field\":\"at\",\"withinDistance\":{{\"latitude\":{latitude},\"longitude\":{longitude},\"metres\":{metres}}}}}"
        )
    };
    let at = |latitude: f64, longitude: f64| {
        format!("{{\"at\":{{\"latitude\":{latitude},\"longitude\":{longitude}}}}}")
    };
    // Berlin to Paris, about 878 km; over the date line; around the pole.
    for (from, to, metres) in [
        ((52.52, 13.405), (48.8566, 2.3522), 877_464.0),
        ((-17.7, 179.9), (-17.7, -179.9), 21_187.0),
        ((89.9, 0.0), (89.9, 180.0), 22_239.0),
        ((0.0, 0.0), (0.0, 180.0), 20_015_115.0),
        ((10.0, 10.0), (10.00001, 10.0), 1.112),
    ] {
        let body = at(to.0, to.1);
        finds(&near(from.0, from.1, metres * 1.001), &[&body]);
        passes(&near(from.0, from.1, metres * 0.999), &[&body]);
    }
    finds(&near(5.0, 6.0, 0.0), &[&at(5.0, 6.0)]);
    finds(&near(5.0, 6.0, 1e9), &[&at(-90.0, 6.0)]);
    passes(
        &near(5.0, 6.0, 1e9),
        &[
            &at(91.0, 6.0),
            "{}",
            r#"{"at":{"latitude":5}}"#,
            r#"{"at":[5,6]}"#,
            r#"{"at":{"latitude":"5","longitude":6}}"#,
        ],
    );
}

#[test]
fn an_order_is_total_and_says_where_null_is() {
    let bodies = [
        r#"{"a":"x"}"#,
        r#"{"a":2}"#,
        "{}",
        r#"{"a":2}"#,
        r#"{"a":[0]}"#,
        r#"{"a":false}"#,
        r#"{"a":{}}"#,
        r#"{"a":null}"#,
    ];
    let entities: Vec<Entity> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| Entity::new(&format!("{at}"), body))
        .collect();
    for (order, expected) in [
        (r#"{"field":"a"}"#, "27513046"),
        (r#"{"field":"a","descending":true}"#, "64031572"),
        (r#"{"field":"a","nulls":"last"}"#, "51304627"),
        (
            r#"{"field":"a","descending":true,"nulls":"first"}"#,
            "72640315",
        ),
    ] {
        let query = format!("{{\"orderBy\":[{order}]}}");
        assert_eq!(
            ids(&select(&query, &entities)).concat(),
            expected,
            "{query}"
        );
        assert_eq!(reference(&query, &entities).concat(), expected, "{query}");
    }
}

#[test]
fn deep_values_are_compared_without_overflowing_the_stack() {
    let deep = |middle: &str| format!("{}{middle}{}", "[".repeat(20_000), "]".repeat(20_000));
    let body = format!("{{\"a\":{}}}", deep("1"));
    finds(
        &format!("{{\"field\":\"a\",\"equals\":{}}}", deep("1")),
        &[&body],
    );
    passes(
        &format!("{{\"field\":\"a\",\"equals\":{}}}", deep("2")),
        &[&body],
    );
}

#[test]
fn text_that_is_not_json_panics_nothing() {
    let entity = r#"{"a":{"b":[1,"x\u00e9",{"c":null}]},"d":-1.5e3}"#;
    let query = read(r#"{"where":{"or":[{"field":"a.b.2.c","isNull":false},{"field":"a.b.1","contains":"y"},{"field":"d","equals":1}]},"orderBy":[{"field":"a"},{"field":"d","descending":true}]}"#).unwrap();
    let mut evaluator = Evaluator::new(query);
    for cut in 0..entity.len() {
        for byte in b"{}[]\",:\\u0" {
            let mut damaged = entity.as_bytes().to_vec();
            damaged[cut] = *byte;
            let text = String::from_utf8(damaged).unwrap();
            evaluator.matches(&Entity::new("one", &text).as_ref());
        }
        evaluator.matches(&Entity::new("one", &entity[..cut]).as_ref());
    }
}
