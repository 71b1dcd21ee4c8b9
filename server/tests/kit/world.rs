//! The kit and the rules side by side: sends both the same, and compares what they answer.

use std::collections::BTreeMap;

use datum_server::rules::store::{Store as _, Transaction as _};
use datum_server::{MemoryStore, Service};
use serde_json::{Value, json};

use super::project::{Project, op};

const USERS: [&str; 2] = ["ann", "bob"];
pub const RED: &str = "10000000-0000-4000-8000-000000000001";
pub const BLUE: &str = "20000000-0000-4000-8000-000000000002";

pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }
}

/// A value of the kit and the same of the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair(pub Value, pub Value);

pub struct World<'a> {
    pub project: &'a Project,
    pub rules: Service<MemoryStore>,
    pub seed: u64,
    pub dice: Dice,
    pub n: usize,
    /// The versions of the kit with those of the rules, by space.
    pub versions: BTreeMap<(String, u64), u64>,
    /// The pairs that were seen of a row, to write against.
    pub bases: BTreeMap<(String, String), Vec<Pair>>,
    pub sent: Vec<(usize, Pair)>,
    pub log: Vec<String>,
}

impl World<'_> {
    pub fn user(&self, user: usize) -> String {
        format!("{}{}", USERS[user], self.seed)
    }

    pub fn both(
        &self,
        user: usize,
        path: &str,
        kit: &Value,
        rules: &Value,
    ) -> ((u16, Value), (u16, Value)) {
        let user = self.user(user);
        let answer = pollster::block_on(self.rules.handle(
            &user,
            "POST",
            &format!("/sync/v1/{path}"),
            rules.to_string().as_bytes(),
            1_000_000,
        ));
        let theirs = match answer {
            Ok(reply) => (200, serde_json::from_slice(&reply.body).unwrap()),
            Err(error) => (
                error.status,
                serde_json::to_value(error.body(None)).unwrap(),
            ),
        };
        (self.project.call(&user, path, &kit.to_string()), theirs)
    }

    /// Checks that two versions of a space are the same write, and remembers them.
    fn same_version(&mut self, space: &str, kit: &Value, rules: &Value) {
        let (Some(kit), Some(rules)) = (kit.as_u64(), rules.as_u64()) else {
            assert_eq!(kit, rules, "{:#?}", self.log);
            return;
        };
        // A row without a trace, where nothing was forgotten yet.
        if rules == 1 {
            return;
        }
        let known = *self
            .versions
            .entry((space.to_owned(), kit))
            .or_insert(rules);
        assert_eq!(known, rules, "{space} {kit}: {:#?}", self.log);
    }

    fn space(&self, user: usize, space: &Value) -> String {
        space
            .as_str()
            .map_or_else(|| self.user(user), str::to_owned)
    }

    fn operation(&mut self, user: usize, shared: bool) -> Pair {
        self.n += 1;
        let entity = self.dice.one(&["task", "list"]);
        let id = self.dice.one(&["a", "b", "c\"d"]);
        let spaces = [Value::Null, RED.into(), BLUE.into()];
        let space = if shared {
            self.dice.one(&spaces)
        } else {
            Value::Null
        };
        let key = (self.space(user, &space), format!("{entity} {id}"));
        let known = self.bases.get(&key).cloned().unwrap_or_default();
        // Mostly what was seen last.
        let base = match self.dice.roll(6) {
            0 => Pair::default(),
            1 if !known.is_empty() => self.dice.one(&known),
            _ => known.last().cloned().unwrap_or_default(),
        };
        let kind = self.dice.one(&[
            "create", "update", "update", "patch", "patch", "delete", "move",
        ]);
        let kind = if kind == "move" && !shared {
            "patch"
        } else {
            kind
        };
        let data = match kind {
            "delete" | "move" => Value::Null,
            _ => {
                json!({ self.dice.one(&["n", "m"]): self.dice.roll(3), "list": self.dice.one(&["home", "work"]) })
            }
        };
        let make = |base: &Value| {
            let mut made = op(
                &format!("o{}", self.n),
                entity,
                id,
                kind,
                base.clone(),
                data.clone(),
            );
            made["space"] = space.clone();
            made
        };
        let mut pair = Pair(make(&base.0), make(&base.1));
        if kind == "move" {
            let to = self.dice.one(&spaces);
            pair.0["to"] = to.clone();
            pair.1["to"] = to;
        }
        if self.dice.roll(5) == 0 && self.n > 3 {
            let named = json!([format!("o{}", self.n - 1 - self.dice.roll(3))]);
            let field = self.dice.one(&["after", "supersedes"]);
            pair.0[field] = named.clone();
            pair.1[field] = named;
        }
        if self.dice.roll(20) == 0 {
            let (field, value) = self.dice.one(&[
                ("id", json!("")),
                ("data", json!([1])),
                ("baseVersion", json!(0)),
                ("kind", json!("upsert")),
                ("data", json!({ "userId": "eve" })),
                ("space", json!("no uuid")),
                ("baseVersion", json!(-1)),
                ("data", Value::Null),
            ]);
            pair.0[field] = value.clone();
            pair.1[field] = value;
        }
        pair
    }

    pub fn push(&mut self, user: usize, shared: bool) {
        let mut pairs = Vec::new();
        for _ in 0..=self.dice.roll(4) {
            let again: Vec<Pair> = self
                .sent
                .iter()
                .filter(|(by, _)| *by == user)
                .map(|(_, pair)| pair.clone())
                .collect();
            let pair = if self.dice.roll(6) == 0 && !again.is_empty() {
                self.dice.one(&again)
            } else {
                self.operation(user, shared)
            };
            self.sent.push((user, pair.clone()));
            pairs.push(pair);
        }
        let body = |operations: Vec<&Value>| json!({ "clientId": "d", "operations": operations });
        let kit = body(pairs.iter().map(|pair| &pair.0).collect());
        let rules = body(pairs.iter().map(|pair| &pair.1).collect());
        let (mine, theirs) = self.both(user, "push", &kit, &rules);
        self.log.push(format!(
            "{user} {kit}\n  kit {}\n  rules {}",
            mine.1, theirs.1
        ));
        assert_eq!((mine.0, theirs.0), (200, 200), "{:#?}", self.log);
        for (place, pair) in pairs.iter().enumerate() {
            let (one, two) = (
                mine.1["results"][place].clone(),
                theirs.1["results"][place].clone(),
            );
            let bare = |verdict: &Value| {
                let mut verdict = verdict.clone();
                for field in ["version", "leftVersion", "message"] {
                    verdict.as_object_mut().unwrap().remove(field);
                }
                verdict
                    .as_object_mut()
                    .unwrap()
                    .retain(|_, value| !value.is_null());
                verdict
            };
            assert_eq!(bare(&one), bare(&two), "{}: {:#?}", pair.0, self.log);
            let own = self.space(user, &pair.0["space"]);
            let moved = pair.0["kind"] == "move" && one["status"] == "applied";
            let at = if moved {
                self.space(user, &pair.0["to"])
            } else if one["leftVersion"].is_null() {
                own.clone()
            } else {
                self.space(user, &one["space"])
            };
            self.same_version(&at, &one["version"], &two["version"]);
            self.same_version(&own, &one["leftVersion"], &two["leftVersion"]);
            let key = |space: String| {
                (
                    space,
                    format!(
                        "{} {}",
                        pair.0["entity"].as_str().unwrap(),
                        pair.0["id"].as_str().unwrap_or("")
                    ),
                )
            };
            if !one["version"].is_null() {
                self.bases
                    .entry(key(at))
                    .or_default()
                    .push(Pair(one["version"].clone(), two["version"].clone()));
            }
            if !one["leftVersion"].is_null() {
                self.bases
                    .entry(key(own))
                    .or_default()
                    .push(Pair(one["leftVersion"].clone(), two["leftVersion"].clone()));
            }
        }
    }

    /// Pulls one page with both cursors. Returns whether there is more.
    pub fn pull(&mut self, device: &mut Device, shared: bool) -> bool {
        let limit = 1 + self.dice.roll(4);
        let ask = |cursor: &Value| {
            let mut asked = device.asked.clone();
            // With a scope, a page may end where no row of it is left.
            asked["limit"] = if shared || !asked["scope"].is_null() {
                1_000
            } else {
                limit
            }
            .into();
            asked["cursor"] = cursor.clone();
            asked
        };
        let (mine, theirs) = self.both(
            device.user,
            "pull",
            &ask(&device.cursor.0),
            &ask(&device.cursor.1),
        );
        self.log.push(format!(
            "{} {}\n  kit {}\n  rules {}",
            device.user,
            ask(&device.cursor.0),
            mine.1,
            theirs.1
        ));
        assert_eq!(mine.0, theirs.0, "{:#?}", self.log);
        if mine.0 != 200 {
            assert_eq!(mine.1["code"], theirs.1["code"], "{:#?}", self.log);
            device.cursor = Pair::default();
            return true;
        }
        let mut by_space = [BTreeMap::<String, Vec<Value>>::new(), BTreeMap::new()];
        for (side, page) in [&mine.1, &theirs.1].into_iter().enumerate() {
            for change in page["changes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|change| !change["entity"].as_str().unwrap().starts_with('$'))
            {
                by_space[side]
                    .entry(self.space(device.user, &change["space"]))
                    .or_default()
                    .push(change.clone());
            }
        }
        let spaces: Vec<String> = by_space[0]
            .keys()
            .chain(by_space[1].keys())
            .cloned()
            .collect();
        for space in spaces {
            let [one, two] =
                [0, 1].map(|side| by_space[side].get(&space).cloned().unwrap_or_default());
            assert_eq!(one.len(), two.len(), "{space}: {:#?}", self.log);
            for (mut one, mut two) in one.into_iter().zip(two) {
                self.same_version(&space, &one["version"], &two["version"]);
                if let (Some(a), Some(b)) =
                    (one.get("movedTo").cloned(), two.get("movedTo").cloned())
                {
                    assert_eq!(a["space"], b["space"]);
                    let to = self.space(device.user, &a["space"]);
                    self.same_version(&to, &a["version"], &b["version"]);
                    one["movedTo"] = Value::Null;
                    two["movedTo"] = Value::Null;
                }
                one["version"] = Value::Null;
                two["version"] = Value::Null;
                assert_eq!(one, two, "{:#?}", self.log);
            }
        }
        if !shared {
            assert_eq!(mine.1["more"], theirs.1["more"], "{:#?}", self.log);
            // After writes between two pages, the rules count what was written on top.
            assert!(
                mine.1["remaining"].as_u64() <= theirs.1["remaining"].as_u64(),
                "{:#?}",
                self.log
            );
        }
        for (entity, digest) in mine.1["digests"].as_object().into_iter().flatten() {
            let theirs = theirs.1["digests"][entity]["count"].as_u64().unwrap_or(0);
            assert_eq!(
                digest["count"].as_u64(),
                Some(theirs),
                "{entity} {:#?}",
                self.log
            );
        }
        device.cursor = Pair(mine.1["cursor"].clone(), theirs.1["cursor"].clone());
        mine.1["more"] == true
    }

    pub fn forget(&self) {
        self.project.sql("select datum.sweep(tombstones => '0 s')");
        pollster::block_on(async {
            let mut tx = self.rules.store.write().await.unwrap();
            tx.sweep(u64::MAX, 0, u64::MAX).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
}

/// A device that only pulls.
pub struct Device {
    pub user: usize,
    pub asked: Value,
    pub cursor: Pair,
}
