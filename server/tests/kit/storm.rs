//! Eight writers of an app, three pushers and a device that polls, all at once, with commits in any order,
//! rollbacks, moves, batches sent twice at the same moment, and processes that are killed. At the end the
//! device has what the tables have. Beside it another one pages by time stamp: it must lose rows, or the
//! storm is none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::app::{ANN, APP, BLUE, RED, assert_in_step};
use super::postgrest::call;
use super::project::{Project, block, make_roles, op, rows_at, token, try_rows_at};
use super::servers::{Postgres, kill};

/// A row as a device knows it: space, version and title.
type Held = BTreeMap<String, (Value, u64, Value)>;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Storm {
    over: AtomicBool,
    commits: AtomicUsize,
    applied: AtomicUsize,
    deadlocks: AtomicUsize,
}

/// An app that writes by SQL and waits before its commit.
fn writer(url: &str, seed: u64, storm: &Storm) {
    let mut dice = Dice(seed * 7_919 + 1);
    while !storm.over.load(Ordering::Relaxed) {
        block(async {
            let Ok(mut sql) = PgConnection::connect(url).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                return;
            };
            while !storm.over.load(Ordering::Relaxed) {
                let space = ["null".to_owned(), format!("'{RED}'"), format!("'{BLUE}'")]
                    [dice.roll(3) as usize]
                    .clone();
                let statement = match dice.roll(6) {
                    0..3 => format!("insert into public.tasks (user_id, team_id, title) values ('{ANN}', {space}, 'w{}')", dice.roll(1_000)),
                    3 => "update public.tasks set title = title || '.' where id = (select id from public.tasks offset floor(random() * 50) limit 1)".to_owned(),
                    4 => format!("update public.tasks set team_id = {space} where id = (select id from public.tasks offset floor(random() * 50) limit 1)"),
                    _ => "delete from public.tasks where id = (select id from public.tasks offset floor(random() * 50) limit 1)".to_owned(),
                };
                let end = if dice.roll(10) == 0 {
                    "rollback"
                } else {
                    "commit"
                };
                let wait = dice.roll(20) as f64 / 1_000.0;
                let text = format!("begin; {statement}; select pg_sleep({wait}); {end}");
                match sqlx::raw_sql(sqlx::AssertSqlSafe(text))
                    .execute(&mut sql)
                    .await
                {
                    Ok(_) => {
                        storm.commits.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("40P01") => {
                        storm.deadlocks.fetch_add(1, Ordering::Relaxed);
                        if sqlx::raw_sql("rollback").execute(&mut sql).await.is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
    }
}

/// A device that pushes, now and then twice at the same moment. Remembers what was acknowledged.
fn pusher(port: u16, seed: u64, storm: &Storm) -> Vec<String> {
    let mut dice = Dice(seed * 104_729 + 1);
    let token = token(ANN, "authenticated", 3_600);
    let mut acknowledged = Vec::new();
    let mut n = 0;
    while !storm.over.load(Ordering::Relaxed) {
        n += 1;
        let operations: Vec<Value> = (0..1 + dice.roll(3))
            .map(|k| {
                let mut operation = op(
                    &format!("{seed}-{n}-{k}"),
                    "task",
                    &format!("{seed:08x}-0000-4000-8000-{n:08x}{k:04x}"),
                    "create",
                    Value::Null,
                    json!({ "title": format!("p{n}") }),
                );
                operation["space"] =
                    [Value::Null, RED.into(), BLUE.into()][dice.roll(3) as usize].clone();
                operation
            })
            .collect();
        let body = json!({ "clientId": "d", "operations": operations }).to_string();
        let send = || -> Vec<Value> {
            // PostgREST waits longer and longer between its attempts to reach a database that is gone.
            let end = Instant::now() + Duration::from_secs(90);
            loop {
                let answer = call(port, "POST", "/rpc/datum_push", &token, &body);
                let reply = answer
                    .as_ref()
                    .ok()
                    .and_then(|(_, text)| text.split_once("\r\n\r\n"));
                let reply: Option<Value> =
                    reply.and_then(|(_, body)| serde_json::from_str(body).ok());
                let results = reply.and_then(|reply| reply["results"].as_array().cloned());
                if let Some(results) = results
                    && results.iter().all(|verdict| verdict["status"] != "retry")
                {
                    return results;
                }
                assert!(Instant::now() < end, "a push is not answered: {answer:?}");
                std::thread::sleep(Duration::from_millis(30));
            }
        };
        let twice = dice.roll(3) == 0;
        let (first, second) = std::thread::scope(|scope| {
            let other = twice.then(|| scope.spawn(send));
            (send(), other.map(|other| other.join().unwrap()))
        });
        if let Some(second) = second {
            for (one, two) in first.iter().zip(&second) {
                assert_eq!(
                    (&one["status"], &one["version"]),
                    (&two["status"], &two["version"]),
                    "{one} {two}"
                );
            }
        }
        for (operation, verdict) in operations.iter().zip(&first) {
            assert_eq!(verdict["status"], "applied", "{verdict}");
            storm.applied.fetch_add(1, Ordering::Relaxed);
            acknowledged.push(operation["id"].as_str().unwrap().to_owned());
        }
    }
    acknowledged
}

/// A device that only pulls.
struct Poller {
    held: Held,
    cursor: Value,
    token: String,
    port: u16,
}

impl Poller {
    fn new(port: u16) -> Self {
        Self {
            held: Held::new(),
            cursor: Value::Null,
            token: token(ANN, "authenticated", 3_600),
            port,
        }
    }

    /// Pulls a page. Returns whether it was the last.
    fn pull(&mut self) -> bool {
        let body = json!({ "clientId": "p", "cursor": self.cursor, "limit": 40 }).to_string();
        let Ok((200, answer)) = call(self.port, "POST", "/rpc/datum_pull", &self.token, &body)
        else {
            std::thread::sleep(Duration::from_millis(30));
            return false;
        };
        let Some(page) = answer
            .split_once("\r\n\r\n")
            .and_then(|(_, body)| serde_json::from_str::<Value>(body).ok())
        else {
            return false;
        };
        for change in page["changes"].as_array().unwrap() {
            let id = change["id"].as_str().unwrap();
            let version = change["version"].as_u64().unwrap();
            let known = self.held.get(id);
            if known.is_some_and(|(space, known, _)| {
                *known >= version || change["deleted"] == true && *space != change["space"]
            }) {
                continue;
            }
            if change["deleted"] == true {
                self.held.remove(id);
            } else {
                self.held.insert(
                    id.to_owned(),
                    (
                        change["space"].clone(),
                        version,
                        change["data"]["title"].clone(),
                    ),
                );
            }
        }
        self.cursor = page["cursor"].clone();
        page["more"] == false
    }
}

/// Pages by time stamp, as one would write it. Returns which ids it has seen with which title.
fn naive(url: &str, storm: &Storm) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut after = "2000-01-01".to_owned();
    while !storm.over.load(Ordering::Relaxed) {
        let query = format!(
            "select id, title, modified_at::text as at from public.tasks where modified_at > '{after}' order by modified_at limit 40"
        );
        let rows = try_rows_at(url, &query).unwrap_or_default();
        for row in rows.as_array().into_iter().flatten() {
            after = row["at"].as_str().unwrap().to_owned();
            seen.insert(
                row["id"].as_str().unwrap().to_owned(),
                row["title"].as_str().unwrap().to_owned(),
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    seen
}

/// Ends the storm, however the test ends.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Kills what the test names, at a moment of the storm.
type Havoc = fn(&mut Postgres, &mut Project);

fn storm(seconds: u64, settings: &str, havoc: Havoc) {
    let Some(mut cluster) = Postgres::start(settings) else {
        return;
    };
    make_roles(&cluster);
    let mut project = Project::on(&cluster, APP);
    project.sql("create function public.touched() returns trigger language plpgsql as $$ begin new.modified_at := now(); return new; end $$; create trigger touched before update on public.tasks for each row execute function public.touched()");
    let storm = Storm {
        over: AtomicBool::new(false),
        commits: AtomicUsize::new(0),
        applied: AtomicUsize::new(0),
        deadlocks: AtomicUsize::new(0),
    };
    let (owner, superuser, port) = (
        project.owner.clone(),
        project.superuser.clone(),
        project.api.port,
    );
    let mut poller = Poller::new(port);
    let (acknowledged, naively) = std::thread::scope(|scope| {
        let storm = &storm;
        let ending = Ending(&storm.over);
        for seed in 1..=8 {
            let owner = &owner;
            scope.spawn(move || writer(owner, seed, storm));
        }
        let pushers: Vec<_> = (1..=3)
            .map(|seed| scope.spawn(move || pusher(port, seed, storm)))
            .collect();
        let naive = scope.spawn(|| naive(&superuser, storm));
        let poll = &mut poller;
        scope.spawn(move || {
            while !storm.over.load(Ordering::Relaxed) {
                poll.pull();
            }
        });
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(seconds * 1_000 / 3));
            havoc(&mut cluster, &mut project);
        }
        drop(ending);
        let acknowledged: Vec<String> = pushers
            .into_iter()
            .flat_map(|pusher| pusher.join().unwrap())
            .collect();
        (acknowledged, naive.join().unwrap())
    });
    while !poller.pull() {}
    let at = format!(
        "{} commits, {} operations, {} deadlocks",
        storm.commits.load(Ordering::Relaxed),
        storm.applied.load(Ordering::Relaxed),
        storm.deadlocks.load(Ordering::Relaxed)
    );
    let mut table = Held::new();
    for row in rows_at(&superuser, "select t.id, t.team_id, t.title, r.version from public.tasks t join datum.row r on r.id = t.id::text and not r.deleted").as_array().unwrap() {
        table.insert(row["id"].as_str().unwrap().to_owned(), (row["team_id"].clone(), row["version"].as_u64().unwrap(), row["title"].clone()));
    }
    assert_in_step(&project, &at);
    let missing: Vec<_> = table
        .iter()
        .filter(|(id, row)| poller.held.get(*id) != Some(row))
        .take(5)
        .collect();
    assert!(missing.is_empty(), "{at}: missing or stale: {missing:?}");
    assert_eq!(poller.held.len(), table.len(), "{at}: more than there is");
    // What was acknowledged was stored: its row is there, or a tombstone says that it was.
    let stored = rows_at(&superuser, "select distinct id from datum.row");
    let stored: std::collections::BTreeSet<&str> = stored
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !stored.contains(id.as_str()))
        .take(5)
        .collect();
    assert!(lost.is_empty(), "{at}: acknowledged and lost: {lost:?}");
    let naive_lost = table
        .iter()
        .filter(|(id, (_, _, title))| naively.get(*id).map(String::as_str) != title.as_str())
        .count();
    eprintln!(
        "storm: {at}; {} rows, of which paging by time lost {naive_lost}",
        table.len()
    );
    assert!(
        naive_lost > 0,
        "{at}: the storm was none: paging by time lost nothing"
    );
}

#[test]
fn nothing_is_lost_while_eight_writers_commit_in_any_order() {
    storm(6, "-c fsync=off -c deadlock_timeout=100ms", |_, _| {});
}

#[test]
fn nothing_acknowledged_is_lost_when_a_backend_or_postgrest_is_killed() {
    storm(
        9,
        "-c deadlock_timeout=100ms -c synchronous_commit=off",
        |cluster, project| {
            // A backend that crashes takes all others along, and PostgreSQL recovers.
            let pids = try_rows_at(
                &cluster.url("postgres", "postgres"),
                "select pid from pg_stat_activity where query like 'begin; %' and state = 'active' limit 1",
            ).unwrap_or_default();
            if let Some(pid) = pids[0]["pid"].as_u64() {
                kill(u32::try_from(pid).unwrap());
            }
            std::thread::sleep(Duration::from_millis(300));
            project.api.kill();
            project.api.launch();
        },
    );
}

#[test]
fn nothing_acknowledged_is_lost_when_the_postmaster_is_killed() {
    storm(9, "-c deadlock_timeout=100ms", |cluster, _| {
        cluster.kill();
        cluster.launch();
    });
}
