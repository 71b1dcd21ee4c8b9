//! A user in a thousand teams: the cursor is short, and a team that comes or goes costs little.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::app::ANN;
use crate::project;

const TEAMS: &str = "
    create table public.members (team_id uuid, user_id uuid, primary key (user_id, team_id));
    create table public.tasks (id uuid primary key default gen_random_uuid(), user_id uuid, team_id uuid, title text);
    select datum.attach('public.tasks', owner => 'user_id', team => 'team_id', entity => 'task');
    select datum.membership('select team_id from public.members where user_id = auth.uid()');
    insert into public.members select gen_random_uuid(), '00000000-0000-4000-8000-0000000000aa' from generate_series(1, 1000);
    insert into public.tasks (team_id, title) select team_id, 'before' from public.members;
    select setval('datum.pos', 100000000);
    insert into public.tasks (team_id, title) select team_id, 'after' from public.members;
    insert into public.tasks (user_id, title) values ('00000000-0000-4000-8000-0000000000aa', 'own');";

#[test]
fn a_cursor_of_a_thousand_teams_is_short_and_outlasts_a_change_of_teams() {
    let project = project!(TEAMS);
    let length = |page: &Value| page["cursor"].as_str().unwrap().len();
    let mut seen = BTreeSet::new();
    let mut page = project.pull(ANN, json!({ "limit": 100 }));
    loop {
        assert!(length(&page) <= 7_000, "{} bytes", length(&page));
        for change in page["changes"].as_array().unwrap() {
            assert!(
                seen.insert(change["id"].as_str().unwrap().to_owned()),
                "{change} twice"
            );
        }
        if page["more"] == false {
            break;
        }
        page = project.pull(ANN, json!({ "limit": 100, "cursor": page["cursor"] }));
        assert_eq!(page["starts"], Value::Null);
    }
    assert_eq!(seen.len(), 2_001);
    let idle = project.pull(ANN, json!({ "cursor": page["cursor"] }));
    assert_eq!(
        (&idle["changes"], &idle["cursor"]),
        (&json!([]), &page["cursor"])
    );
    // One team is left and one joined. Of the others, a few start anew and nothing is missed.
    project.sql("delete from public.members where ctid = (select ctid from public.members limit 1);
        insert into public.members values ('10000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000aa');
        insert into public.tasks (team_id, title) select team_id, 'later' from public.members");
    let page = project.pull(ANN, json!({ "cursor": idle["cursor"], "limit": 10_000 }));
    let starts = page["starts"].as_array().unwrap().len();
    assert!((1..60).contains(&starts), "{starts} start anew");
    let later = page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["data"]["title"] == "later");
    assert_eq!(later.count(), 1_000);
    assert_eq!(
        page["changes"].as_array().unwrap().len(),
        1_000 + 2 * (starts - 1)
    );
}

#[test]
fn a_cursor_that_a_user_makes_up_leads_nowhere() {
    let project = project!(TEAMS);
    let strange = "20000000-0000-4000-8000-000000000002";
    project.sql(&format!(
        "insert into public.tasks (team_id, title) values ('{strange}', 't')"
    ));
    let cursor = project.pull(ANN, json!({ "limit": 1 }))["cursor"].clone();
    let parts: Vec<&str> = cursor.as_str().unwrap().split('.').collect();
    assert_eq!(project.try_pull(ANN, json!({ "cursor": cursor })).0, 200);
    // The checksum is no secret: every reader of the kit can compute it.
    let forged = |changes: &[(usize, &'static str)]| {
        let mut parts = parts[..11].to_vec();
        for (place, value) in changes {
            parts[*place] = value;
        }
        let text = parts.join(".");
        let sum = project.value(&format!("select left(md5('{ANN} {text}'), 8)"));
        json!(format!("{text}.{}", sum.as_str().unwrap()))
    };
    for changes in [
        &[(7, "ffffffffffffffff")][..],
        &[(8, "ffffffffffffffff")][..],
        &[(8, "0")][..],
        &[(8, "7fffffff")][..],
        &[(9, "AAAA")][..],
        &[(9, "////////////////")][..],
        &[(10, "no")][..],
        &[(10, "000000000000:ffffffffffffffff:ffffffffffffffff")][..],
        // A group that leads back to before the beginning.
        &[(8, "ffffffffffffffff"), (9, "//8AAAAAAAA=")],
    ] {
        let (status, reply) =
            project.try_pull(ANN, json!({ "cursor": forged(changes), "limit": 1 }));
        assert!(
            [200, 400, 410].contains(&status),
            "{changes:?}: {status} {reply}"
        );
        for change in reply["changes"].as_array().into_iter().flatten() {
            assert_ne!(change["space"], json!(strange));
        }
    }
}
