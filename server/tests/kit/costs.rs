//! What a pull costs, in pages of the database that it reads: by what it delivers, and not by what there is.

use serde_json::{Value, json};

use super::app::{ANN, APP, RED};
use super::project::Project;
use super::sessions::Session;
use crate::project;

/// Inserts rows of a hundred strangers, and in the same transactions as many of the user and her team.
fn fill(project: &Project, rows: usize, own: usize) {
    for part in 0..4 {
        project.sql(&format!(
            "insert into public.tasks (user_id, team_id, title)
             select case when n <= {own} then '{ANN}' else ('00000000-0000-4000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid end,
               case when n <= {own} and n % 2 = 0 then '{RED}'::uuid end, 't{part} ' || n from generate_series(1, {rows} / 4) n"
        ));
    }
    project.sql("analyze public.tasks; analyze datum.row; analyze datum.place");
}

/// Returns what counts the pages that a pull of the user reads.
fn counting(project: &Project) -> impl FnMut(&Value, u64) -> u64 {
    let mut session = Session::at(&project.superuser);
    let claims = json!({ "sub": ANN, "role": "authenticated" });
    session
        .run(&format!(
            "select set_config('request.jwt.claims', '{claims}', false); set role authenticated"
        ))
        .unwrap();
    move |cursor: &Value, limit: u64| {
        let body = json!({ "clientId": "d", "cursor": cursor, "limit": limit }).to_string();
        let query = format!("select public.datum_pull('{body}')");
        // The first call also reads the catalog.
        session.run(&query).unwrap();
        session.pages(&query)
    }
}

/// The pages that each kind of pull reads: nothing new, one change, and a first page.
fn pages(project: &Project) -> [u64; 3] {
    let cursor = project.pull_all(ANN, Value::Null, 1_000).1;
    let mut pull = counting(project);
    let idle = pull(&cursor, 500);
    project.sql(&format!(
        "insert into public.tasks (user_id, title) values ('{ANN}', 'new')"
    ));
    [idle, pull(&cursor, 500), pull(&Value::Null, 10)]
}

#[test]
fn a_pull_reads_as_many_pages_whatever_the_size_of_the_table() {
    let project = project!(APP);
    fill(&project, 2_000, 40);
    let small = pages(&project);
    fill(&project, 30_000, 0);
    let large = pages(&project);
    for (what, small, large) in [
        ("idle", small[0], large[0]),
        ("one change", small[1], large[1]),
        ("ten rows", small[2], large[2]),
    ] {
        // An index of fifteen times as many rows may be a level higher.
        assert!(
            large <= small + small / 2 + 20,
            "{what}: {small} pages, then {large}"
        );
    }
}

/// Creates documents of the user. The kit puts off what it has no time for in one push.
fn documents(project: &Project, from: usize, to: usize) {
    let text = "x".repeat(200);
    let mut open: Vec<Value> = (from..to)
        .map(|id| {
            json!({ "opId": format!("o{id}"), "entity": "notes", "id": id.to_string(), "kind": "create",
                "baseVersion": null, "data": { "text": text } })
        })
        .collect();
    while !open.is_empty() {
        let now: Vec<Value> = open.drain(..open.len().min(500)).collect();
        let verdicts = project.push(ANN, json!(now));
        let late = now
            .into_iter()
            .zip(verdicts)
            .filter_map(|(operation, verdict)| {
                let applied = verdict["status"] == "applied";
                assert!(applied || verdict["status"] == "retry", "{verdict}");
                (!applied).then_some(operation)
            });
        open.extend(late);
    }
}

/// (a page of 250 of 5,000 documents took 156 ms, and five times as long as of 500)
#[test]
fn a_page_of_documents_reads_no_other_documents_without_statistics_either() {
    let project = project!(
        "select datum.documents(true); alter table datum.document set (autovacuum_enabled = off)"
    );
    documents(&project, 0, 300);
    let small = counting(&project)(&Value::Null, 10);
    documents(&project, 300, 3_000);
    let large = counting(&project)(&Value::Null, 10);
    // What is left is counted, by an index. A join of ten ids with all documents read 195, then 1,539.
    assert!(large <= 2 * small + 20, "{small} pages, then {large}");
}
