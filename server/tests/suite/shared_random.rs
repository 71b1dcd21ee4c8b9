//! Histories by chance: three users with overlapping spaces who create, edit, delete and move rows,
//! invite, promote, remove and leave, while devices pull pages of few rows, some of which are lost, and
//! tombstones are forgotten. Whatever happened, a device that has pulled to the end has exactly what its
//! user may read, and a page never has anything else.

use std::collections::{BTreeMap, BTreeSet};

use datum_server::rules::store::{Range, Space, Store, Transaction};
use datum_sync::model::digest::Digest;
use serde_json::{Value, json};

use super::World;
use super::shared::{A, B, C, member, moving, new_space, typed, write};

const USERS: [&str; 3] = ["ann", "bob", "eve"];
const SPACES: [&str; 3] = [A, B, C];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    /// The user's own space now and then.
    fn space(&mut self) -> Option<&'static str> {
        SPACES.get(self.roll(4)).copied()
    }
}

/// Space, entity type and id.
type Place = (String, String, String);

/// A device that only reads.
#[derive(Default)]
struct Device {
    user: &'static str,
    cursor: Value,
    spaces: BTreeSet<String>,
    rows: BTreeMap<Place, (u64, String)>,
    /// The spaces that start, with what has come of them since.
    starting: BTreeMap<String, BTreeSet<Place>>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Device {
    /// Pulls a page. Returns whether there is more.
    async fn pull<S: Store>(&mut self, w: &World<S>, limit: usize, lost: bool) -> bool {
        let asked = json!({ "cursor": self.cursor, "limit": limit });
        let (status, page) = w.try_pull(self.user, asked).await;
        if status == 410 {
            self.cursor = Value::Null;
            return true;
        }
        assert_eq!(status, 200, "{page}");
        let more = page["more"] == true;
        assert!(!more || page["cursor"] != self.cursor);
        let rows = page["changes"].as_array().unwrap();
        assert!(rows.len() <= limit);
        assert!(more || page["remaining"] == 0, "{page}");
        if lost {
            return true;
        }
        self.cursor = page["cursor"].clone();
        if let Some(list) = page["spaces"].as_array() {
            self.spaces = list.iter().map(|space| text(&space["id"])).collect();
            self.spaces.insert(String::new());
        }
        for start in page["starts"].as_array().into_iter().flatten() {
            self.starting.insert(text(&start["space"]), BTreeSet::new());
        }
        let listed = &self.spaces;
        self.rows.retain(|(space, ..), _| listed.contains(space));
        self.starting.retain(|space, _| listed.contains(space));
        for change in rows {
            let place = (
                text(&change["space"]),
                text(&change["entity"]),
                text(&change["id"]),
            );
            assert!(
                listed.contains(&place.0),
                "a row of a space that is not listed: {change}"
            );
            if let Some(to) = change.get("movedTo") {
                assert!(listed.contains(&text(&to["space"])), "{change}");
            }
            if let Some(touched) = self.starting.get_mut(&place.0) {
                touched.insert(place.clone());
            }
            if change["deleted"] == true {
                self.rows.remove(&place);
            } else {
                let version = change["version"].as_u64().unwrap();
                let before = self
                    .rows
                    .insert(place, (version, change["data"].to_string()));
                assert!(before.is_none_or(|(before, _)| before <= version));
            }
        }
        if !more {
            let starting = std::mem::take(&mut self.starting);
            self.rows.retain(|place, _| {
                starting
                    .get(&place.0)
                    .is_none_or(|touched| touched.contains(place))
            });
            self.compare_digests(&page["digests"]);
        }
        more
    }

    fn compare_digests(&self, digests: &Value) {
        let mut own: BTreeMap<&str, Digest> = BTreeMap::new();
        for ((space, entity, id), (version, _)) in &self.rows {
            let space = Some(space.as_str()).filter(|space| !space.is_empty());
            own.entry(entity)
                .or_default()
                .add_in(space, entity, id, *version);
        }
        for (entity, digest) in digests.as_object().unwrap() {
            let own = own.remove(entity.as_str()).unwrap_or_default();
            assert_eq!(
                *digest,
                serde_json::to_value(own.wire()).unwrap(),
                "{entity}"
            );
        }
        assert!(own.is_empty(), "{own:?}");
    }
}

/// Returns all that a user may read.
async fn truth<S: Store>(w: &World<S>, user: &str) -> BTreeMap<Place, (u64, String)> {
    let mut tx = w.service.store.read().await.unwrap();
    let shared = tx.reader(user).await.unwrap().spaces;
    let shared = shared.into_iter().map(|joined| Space::Shared(joined.id));
    let mut all = BTreeMap::new();
    for space in std::iter::once(Space::personal(user)).chain(shared) {
        let range = Range {
            entities: None,
            after: 0,
            live_until: u64::MAX >> 1,
        };
        let name = space.id().map_or_else(String::new, |id| id.to_string());
        for row in tx.scan(&space, range, 10_000, 1 << 20).await.unwrap().rows {
            let data: Value = serde_json::from_str(&row.data.unwrap()).unwrap();
            let place = (name.clone(), row.entity, row.id);
            all.insert(place, (row.version, data.to_string()));
        }
    }
    all
}

/// Pushes something, which may be refused.
async fn push_something<S: Store>(w: &World<S>, dice: &mut Dice) {
    let user = dice.one(&USERS);
    let space = dice.space();
    let id = dice.one(&["x", "y", "z"]);
    let n = json!({ "n": dice.roll(1_000) });
    let other = dice.one(&USERS);
    let known = space.unwrap_or(A);
    let row = format!("{known}/{other}");
    let about = match dice.roll(12) {
        0 => Some((known, "$space", known)),
        1..=4 => Some((known, "$member", row.as_str())),
        _ => None,
    };
    let place = match space {
        Some(space) => Space::shared(space),
        None => Space::personal(user),
    };
    let mut tx = w.service.store.read().await.unwrap();
    let (of, key) = match about {
        Some((space, entity, id)) => (Space::shared(space), (entity, id)),
        None => (place, ("task", id)),
    };
    let stamp = tx.stamps(&of, &[key]).await.unwrap()[0].clone();
    drop(tx);
    let base = stamp.map(|stamp| stamp.version + u64::from(dice.roll(8) == 0));
    let role = dice.one(&["reader", "writer", "owner", "owner"]);
    let op = match about {
        Some((space, "$space", _)) if dice.roll(8) > 0 => new_space(space),
        Some((space, "$space", _)) => {
            typed(Some(space), "$space", space, "delete", base, Value::Null)
        }
        Some((space, ..)) => member(
            space,
            other,
            dice.one(&["create", "update", "delete"]),
            base,
            role,
        ),
        None => match dice.roll(8) {
            0..=1 => write(space, id, "create", None, n),
            2..=4 => write(space, id, dice.one(&["update", "patch"]), base, n),
            5 => write(space, id, "delete", base, Value::Null),
            _ => moving(space, id, base.unwrap_or(1), dice.space()),
        },
    };
    let readable: BTreeSet<String> = truth(w, user)
        .await
        .into_keys()
        .map(|place| place.0)
        .collect();
    let verdict = w.one(user, op.clone()).await;
    if verdict["status"] == "conflict" {
        let own = verdict["space"].is_null();
        assert!(
            own || readable.contains(&text(&verdict["space"])),
            "{op} {verdict}"
        );
    }
    if verdict["status"] == "applied" {
        assert!(verdict["replayed"].is_null());
    }
}

pub async fn a_device_ends_with_what_its_user_may_read<S: Store>(w: World<S>) {
    // On disk each history takes longer, and a store is not thrown away.
    for seed in 1..=10 {
        history(&w, seed).await;
        for user in USERS {
            // The next history goes on from here.
            assert!(truth(&w, user).await.len() < 100);
        }
    }
}

pub async fn history<S: Store>(w: &World<S>, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut devices: Vec<Device> = ["ann", "bob", "bob", "eve"]
        .map(|user| Device {
            user,
            ..Device::default()
        })
        .into();
    for _ in 0..120 {
        match dice.roll(40) {
            0 => w.purge_tombstones().await,
            1..=20 => push_something(w, &mut dice).await,
            _ => {
                let device = dice.roll(devices.len());
                let (limit, lost) = (1 + dice.roll(4), dice.roll(6) == 0);
                devices[device].pull(w, limit, lost).await;
            }
        }
    }
    for device in &mut devices {
        let limit = 1 + dice.roll(4);
        let mut pages = 0;
        while device.pull(w, limit, false).await {
            pages += 1;
            assert!(pages < 1_000, "a pull does not end");
        }
        assert_eq!(
            device.rows,
            truth(w, device.user).await,
            "{} {seed}",
            device.user
        );
    }
}
