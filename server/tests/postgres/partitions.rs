//! Which partitions the statements of pull and push read, by the plans that PostgreSQL logs.

use std::collections::{BTreeMap, BTreeSet};

use datum_server::postgres::PostgresOptions;
use serde_json::{Value, json};

use crate::cluster::{FAST, database_in, open, options};
use crate::servers::Postgres;
use crate::suite::World;
use crate::suite::shared::{A, B, create, fresh, moving, write};

/// A statement that ran, and the partitions that it read, by table.
struct Ran {
    text: String,
    parts: BTreeMap<String, BTreeSet<String>>,
    /// How many rows its busiest step had.
    rows: u64,
}

fn most_rows(node: &Value) -> u64 {
    let own = node["Actual Rows"].as_u64().unwrap() * node["Actual Loops"].as_u64().unwrap();
    let below = node["Plans"]
        .as_array()
        .into_iter()
        .flatten()
        .map(most_rows);
    below.fold(own, u64::max)
}

/// Adds the partitions that a node of a plan has read.
fn collect(node: &Value, parts: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(relation) = node["Relation Name"].as_str()
        && let Some((table, part)) = relation.rsplit_once("_p")
        && part.parse::<u32>().is_ok()
        && node["Actual Loops"].as_f64().unwrap() > 0.0
    {
        parts
            .entry(table.to_owned())
            .or_default()
            .insert(relation.to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, parts);
    }
}

/// Reads the statements that a log has.
fn ran(log: &str) -> Vec<Ran> {
    let mut all = Vec::new();
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        if !line.ends_with("plan:") {
            continue;
        }
        let mut json = String::new();
        for line in lines.by_ref() {
            json.push_str(line);
            if line == "\t}" {
                break;
            }
        }
        let plan: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
        let mut parts = BTreeMap::new();
        collect(&plan["Plan"], &mut parts);
        let text = plan["Query Text"].as_str().unwrap().to_owned();
        let rows = most_rows(&plan["Plan"]);
        all.push(Ran { text, parts, rows });
    }
    all
}

#[test]
fn every_statement_of_pull_and_push_stays_in_the_partition_of_its_space() {
    let explain = "-c shared_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
        -c auto_explain.log_analyze=on -c auto_explain.log_format=json";
    let Some(cluster) = Postgres::start(&format!("{FAST} -c autovacuum=off {explain}")) else {
        return;
    };
    crate::common::run(async {
        let name = database_in(&cluster).await;
        let options = PostgresOptions {
            partitions: 16,
            ..options()
        };
        let store = open(&cluster.url("postgres", &name), &options).await;
        let w = World::new(store);
        let user = |n: usize| format!("u{n}");
        for n in 0..20 {
            w.create(&user(n), "task", "a").await;
        }
        w.space(A, &[("u0", "writer")]).await;
        w.space(B, &[("u0", "writer"), ("u1", "reader")]).await;
        let before = cluster.log().len();
        // Everything that a device does with the rows of its user, and of shared spaces.
        for user in ["u0", "u1", "u2"] {
            let batch: Vec<Value> = (0..30).map(|n| create(None, &format!("n{n}"))).collect();
            w.push(user, json!(batch)).await;
            w.push(user, json!(batch)).await;
            let base = w.create(user, "note", "b").await;
            w.does(user, write(None, "c", "create", None, json!({})))
                .await;
            let patch = write(None, "a", "patch", Some(1), json!({ "n": 1 }));
            w.one(user, patch.clone()).await;
            w.one(user, patch).await;
            w.one(user, write(None, "n1", "delete", Some(3), Value::Null))
                .await;
            w.one(user, write(None, "n1", "create", None, json!({})))
                .await;
            let (_, cursor) = w.pull_all(user, json!({ "limit": 7 })).await;
            w.pull(user, json!({ "cursor": cursor })).await;
            w.pull_all(user, json!({ "entities": ["note", "task"], "limit": 5 }))
                .await;
            w.pull(user, json!({ "scope": { "where": { "n": 1 } } }))
                .await;
            w.pull(user, json!({ "epoch": "another" })).await;
            assert!(base > 0);
            let device = json!({ "deviceId": fresh() }).to_string();
            assert_eq!(w.call(user, "PUT", "metadata", &device).await.0, 200);
        }
        let made = w.does("u0", create(Some(A), "shared")).await;
        w.does("u0", moving(Some(A), "shared", made, Some(B))).await;
        w.one(
            "u0",
            write(Some(A), "shared", "update", Some(made), json!({})),
        )
        .await;
        w.pull_all("u1", json!({ "limit": 3 })).await;

        let log = cluster.log();
        let (mut ran_in_one, mut lists) = (0, 0);
        for Ran { text, parts, .. } in ran(&log[before..]) {
            // What is asked of all spaces of a user names them all: two, and the user's own.
            let most = if text.contains("space = ANY($1)") {
                lists += 1;
                3
            } else {
                ran_in_one += usize::from(!parts.is_empty());
                1
            };
            for (table, parts) in parts {
                assert!(parts.len() <= most, "{table}: {parts:?} of {text}");
            }
        }
        assert!(ran_in_one > 200 && lists > 20, "{ran_in_one} {lists}");

        // (a page of a large space without statistics read all of the space)
        let many: Vec<Value> = (0..9_000).map(|n| create(None, &format!("m{n}"))).collect();
        w.push("u4", json!(many)).await;
        let before = cluster.log().len();
        let page = w.pull("u4", json!({ "limit": 50 })).await;
        w.pull("u4", json!({ "cursor": page["cursor"], "limit": 50 }))
            .await;
        w.pull("u4", json!({ "entities": ["task"], "limit": 50 }))
            .await;
        for Ran { text, rows, .. } in ran(&cluster.log()[before..]) {
            assert!(rows <= 200, "{rows} rows: {text}");
        }

        // How many statements they are: `docs/scale.md` has these figures.
        let since = |before: usize| ran(&cluster.log()[before..]).len();
        let before = cluster.log().len();
        let page = w.pull("u3", json!({})).await;
        let first = since(before);
        let before = cluster.log().len();
        w.pull("u3", json!({ "cursor": page["cursor"] })).await;
        let idle = since(before);
        let batch: Vec<Value> = (0..500).map(|n| create(None, &format!("n{n}"))).collect();
        let before = cluster.log().len();
        w.push("u3", json!(batch)).await;
        assert_eq!((first, idle, since(before)), (4, 3, 9));
    });
}
