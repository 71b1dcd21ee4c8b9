//! Many writers in two processes, and readers that page all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datum_server::Service;
use datum_server::postgres::PostgresStore;
use serde_json::{Value, json};

use crate::cluster::{cluster, database_in, open, options, pooler, run};
use crate::suite::World;
use crate::suite::shared::{A, B, create, fresh, member, moving, new_space, write};

type Processes = Arc<[World<PostgresStore>; 2]>;

/// Sends operations to one process, and again for as long as it says that others are in the way.
async fn push(to: &World<PostgresStore>, user: &str, operations: Value) -> Vec<Value> {
    let body = json!({ "clientId": "d", "operations": operations }).to_string();
    loop {
        let (status, reply) = to.call(user, "POST", "push", &body).await;
        if status == 200 {
            return reply["results"].as_array().unwrap().clone();
        }
        assert_eq!((status, &reply["code"]), (503, &json!("busy")), "{reply}");
        assert!(reply["retryAfterMs"].as_u64().unwrap() > 0);
    }
}

/// What a device holds: version and data by space, type and id; no data for a tombstone.
#[derive(Default)]
struct Replica {
    rows: BTreeMap<(String, String, String), (u64, Value)>,
    /// The last version of each space since it began.
    last: BTreeMap<String, u64>,
    cursor: Value,
    spaces: Vec<String>,
}

impl Replica {
    /// Takes one page. Returns whether there is more.
    fn take(&mut self, page: &Value) -> bool {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if let Some(spaces) = page["spaces"].as_array() {
            self.spaces = spaces.iter().map(|space| text(&space["id"])).collect();
        }
        for start in page["starts"].as_array().into_iter().flatten() {
            self.last.remove(&text(&start["space"]));
        }
        for change in page["changes"].as_array().unwrap() {
            let space = text(&change["space"]);
            let version = change["version"].as_u64().unwrap();
            let last = self.last.insert(space.clone(), version).unwrap_or_default();
            assert!(version > last, "{version} after {last} of {space:?}");
            let key = (space, text(&change["entity"]), text(&change["id"]));
            self.rows.insert(key, (version, change["data"].clone()));
        }
        self.cursor = page["cursor"].clone();
        page["more"] == true
    }

    /// Returns the live rows of the spaces that the user is in.
    fn live(&self) -> BTreeMap<&(String, String, String), &(u64, Value)> {
        let readable = |space: &String| space.is_empty() || self.spaces.contains(space);
        let all = self.rows.iter();
        all.filter(|((space, ..), (_, data))| readable(space) && !data.is_null())
            .collect()
    }
}

async fn read(processes: Processes, user: &'static str, over: Arc<AtomicBool>) -> Replica {
    let mut replica = Replica::default();
    for turn in 0.. {
        let last = over.load(Ordering::SeqCst);
        let request = json!({ "cursor": replica.cursor, "limit": 7 });
        let page = processes[turn % 2].pull(user, request).await;
        let more = replica.take(&page);
        if last && !more {
            break;
        }
    }
    replica
}

#[test]
fn readers_miss_nothing_that_two_processes_write_at_once() {
    const WRITERS: usize = 3;
    const WRITES: usize = 25;
    run(async {
        let name = database_in(cluster().unwrap()).await;
        let direct = cluster().unwrap().url("postgres", &name);
        let pooled = pooler().map_or(direct.clone(), |pooler| pooler.url(&name));
        let options = options();
        let (one, other) = tokio::join!(open(&direct, &options), open(&pooled, &options));
        let processes: Processes = Arc::new([World::new(one), World::new(other)]);
        processes[0]
            .space(A, &[("bob", "writer"), ("cat", "owner")])
            .await;
        let over = Arc::new(AtomicBool::new(false));
        let readers = ["ann", "bob", "cat"]
            .map(|user| tokio::spawn(read(processes.clone(), user, over.clone())));
        // Three users on two devices each, which edit the same rows.
        let writers = (0..WRITERS * 2).map(|writer| {
            let processes = processes.clone();
            tokio::spawn(async move {
                let user = ["ann", "bob", "cat"][writer % WRITERS];
                let mut acknowledged = Vec::new();
                let mut base = Value::Null;
                for n in 0..WRITES {
                    let to = &processes[(writer + n) % 2];
                    let (own, shared) = (format!("own{writer}-{n}"), format!("s{writer}-{n}"));
                    let mut edit =
                        write(Some(A), "hot", "update", None, json!({ "by": [writer, n] }));
                    edit["baseVersion"] = base.clone();
                    let batch = json!([create(None, &own), create(Some(A), &shared), edit]);
                    let verdicts = push(to, user, batch.clone()).await;
                    assert_eq!(
                        (&verdicts[0]["status"], &verdicts[1]["status"]),
                        (&json!("applied"), &json!("applied")),
                        "{verdicts:?}"
                    );
                    base = verdicts[2]["version"].clone();
                    // The same once more at the other process.
                    if n % 5 == 0 {
                        let again = push(&processes[(writer + n + 1) % 2], user, batch).await;
                        assert_eq!(again[1]["version"], verdicts[1]["version"]);
                    }
                    let mut version = verdicts[1]["version"].as_u64().unwrap();
                    let mut space = A;
                    if n % 4 == 0 {
                        let moved =
                            push(to, user, json!([moving(Some(A), &shared, version, None)]));
                        version = moved.await[0]["version"].as_u64().unwrap();
                        space = "";
                    }
                    acknowledged.push((space, shared, version));
                }
                (user, acknowledged)
            })
        });
        let writers: Vec<_> = writers.collect();
        // And one who invites them into spaces and ends those, which writes into the lists of all.
        let owner = tokio::spawn({
            let processes = processes.clone();
            async move {
                for n in 0..12 {
                    let space = format!("bbbbbbbb-0000-4000-8000-{n:012}");
                    let mut batch = vec![new_space(&space)];
                    let invited =
                        ["cat", "bob"].map(|user| member(&space, user, "create", None, "writer"));
                    batch.extend(invited);
                    let verdicts = push(&processes[n % 2], "ann", json!(batch)).await;
                    assert!(
                        verdicts
                            .iter()
                            .all(|verdict| verdict["status"] == "applied"),
                        "{verdicts:?}"
                    );
                    push(
                        &processes[(n + 1) % 2],
                        "bob",
                        json!([create(Some(&space), "x")]),
                    )
                    .await;
                    if n % 3 == 0 {
                        let mut end = new_space(&space);
                        (end["kind"], end["opId"]) = (json!("delete"), json!(fresh()));
                        (end["baseVersion"], end["data"]) =
                            (verdicts[0]["version"].clone(), Value::Null);
                        let ended = push(&processes[n % 2], "ann", json!([end])).await;
                        assert_eq!(ended[0]["status"], "applied", "{ended:?}");
                    }
                }
            }
        });
        owner.await.unwrap();
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.push(writer.await.unwrap());
        }
        over.store(true, Ordering::SeqCst);
        for (user, reader) in ["ann", "bob", "cat"].into_iter().zip(readers) {
            let replica = reader.await.unwrap();
            let mut fresh = Replica::default();
            while {
                let request = json!({ "cursor": fresh.cursor, "limit": 500 });
                fresh.take(&processes[0].pull(user, request).await)
            } {}
            assert_eq!(replica.live(), fresh.live(), "{user}");
            for (author, rows) in &acknowledged {
                for (space, id, version) in rows.iter().filter(|row| row.0 == A || user == *author)
                {
                    let key = ((*space).to_owned(), "task".to_owned(), id.clone());
                    assert_eq!(replica.rows[&key].0, *version, "{user} {key:?}");
                }
            }
        }
    });
}

#[test]
fn a_space_is_begun_once_though_many_begin_it() {
    run(async {
        let url = crate::cluster::database().await;
        let store = open(&url, &options()).await;
        let service = Service {
            store,
            config: datum_server::Config::default(),
        };
        let world = Arc::new(World { service, now: 1 });
        let begin = |n: usize| {
            let world = world.clone();
            tokio::spawn(async move {
                let user = format!("u{n}");
                // The first write of each, and of two devices of each.
                let batch = |device| json!([create(None, device), new_space(B)]);
                tokio::join!(
                    push(&world, &user, batch("r1")),
                    push(&world, &user, batch("r2"))
                )
            })
        };
        let begun: Vec<_> = (0..4).map(begin).collect();
        let mut owners = 0;
        for one in begun {
            let (one, other) = one.await.unwrap();
            let versions = [&one[0], &other[0]].map(|verdict| verdict["version"].as_u64().unwrap());
            assert_eq!(
                versions.iter().sum::<u64>(),
                3,
                "1 and 2: {one:?} {other:?}"
            );
            let made = [&one[1], &other[1]].map(|verdict| verdict["status"] == "applied");
            owners += usize::from(made[0] || made[1]);
        }
        assert_eq!(owners, 1);
    });
}
