//! A database with the sorting rules of a language: what the kit compares and orders, it does by bytes.

use serde_json::{Value, json};

use super::project::{Project, make_roles, op};
use super::servers::Postgres;

/// Keys that languages order, fold and spell in other ways than bytes are.
const KEYS: [&str; 10] = [
    "Z",
    "a",
    "A",
    "\u{e5}",
    "a\u{30a}",
    "\u{df}",
    "ss",
    "-b",
    "b",
    "\u{1f984}",
];

const NOTES: &str = "
    create table public.due_items (id text primary key, user_id text not null, in_team int, title text);
    select datum.attach('public.due_items', owner => 'user_id', team => 'in_team');
    select datum.documents(true);";

/// A cluster with these arguments of initdb; none if this PostgreSQL has no such locale.
fn cluster(locale: &[&str]) -> Option<Postgres> {
    let cluster = Postgres::start_in(locale, "-c fsync=off")?;
    make_roles(&cluster);
    Some(cluster)
}

/// Writes rows with all the keys, one a push; returns the ids of pages of one row, and the digests.
fn written(project: &Project, entity: &str) -> (Vec<Value>, Value) {
    for key in KEYS {
        let create = op(
            &format!("{entity} {key}"),
            entity,
            key,
            "create",
            Value::Null,
            json!({ "title": key, "inTeam": null }),
        );
        let verdict = project.one("ann", create);
        assert_eq!(verdict["status"], "applied", "{key} {verdict}");
    }
    // Two equal in a language are two rows.
    let (changes, cursor) = project.pull_all("ann", Value::Null, 1);
    assert_eq!(project.pull_all("ann", cursor, 1).0, [] as [Value; 0]);
    let digests = project.pull("ann", json!({ "digests": true }))["digests"].clone();
    let ids = changes
        .iter()
        .filter(|change| change["entity"] == *entity)
        .map(|change| change["id"].clone());
    (ids.collect(), digests)
}

#[test]
fn a_language_changes_no_order_no_name_and_no_digest() {
    let Some(plain) = cluster(&["--locale=C"]) else {
        return;
    };
    let plain = Project::on(&plain, NOTES);
    let expected = [written(&plain, "dueItems"), written(&plain, "note")];
    assert_eq!(expected[0].0, KEYS.map(|key| json!(key)));
    let version = plain.value("select current_setting('server_version_num')::int");
    if version.as_u64() < Some(150_000) {
        // A database without languages of ICU.
        return;
    }
    for language in ["tr-TR", "sv-SE", "und-u-kn-ks-level1"] {
        let icu = format!("--icu-locale={language}");
        let Some(icu) = cluster(&["--locale=C.UTF-8", "--locale-provider=icu", &icu]) else {
            return;
        };
        let project = Project::on(&icu, NOTES);
        assert_eq!(
            [written(&project, "dueItems"), written(&project, "note")],
            expected,
            "{language}"
        );
        let wrong = project.rows("select * from datum.row r where not exists (select from datum.place p where p.txn = r.txn and p.space = r.space and p.pos is not null)");
        assert_eq!(wrong, json!([]), "{language}");
    }
}

#[test]
fn keys_that_a_column_takes_for_equal_are_one_row() {
    let Some(cluster) = cluster(&["--locale=C.UTF-8"]) else {
        return;
    };
    let project = Project::on(&cluster, "
        create collation public.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        create table public.tags (id text collate public.folded primary key, user_id text not null, title text);
        select datum.attach('public.tags')");
    let write = |op_id: &str, id: &str, kind: &str, base: Value, data: Value| {
        project.one("ann", op(op_id, "tags", id, kind, base, data))
    };
    let made = write("1", "Home", "create", Value::Null, json!({ "title": "t" }));
    assert_eq!(made["status"], "applied");
    assert_eq!(
        write("2", "home", "create", Value::Null, json!({ "title": "u" }))["code"],
        "idTaken"
    );
    let other = write(
        "3",
        "home",
        "patch",
        made["version"].clone(),
        json!({ "title": "u" }),
    );
    assert_eq!(other["status"], "conflict", "{other}");
    write("4", "home", "delete", made["version"].clone(), Value::Null);
    assert_eq!(
        project.rows("select id, title from public.tags"),
        json!([{ "id": "Home", "title": "t" }])
    );
    assert_eq!(
        write("5", "Home", "delete", made["version"].clone(), Value::Null)["status"],
        "applied"
    );
    assert_eq!(project.rows("select id from public.tags"), json!([]));
}
