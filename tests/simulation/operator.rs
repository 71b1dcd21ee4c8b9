//! What others do in spaces while a request is under way: an owner raises or lowers the sender's
//! role, or removes the sender, who may be invited again within the same pull.

use std::rc::Rc;

use datum_server::MemoryServer;
use datum_server::rules::store::Space;
use datum_sync::model::space::MEMBER;
use serde_json::{Value, json};

use super::ports::Shared;
use super::server_checks::roles;

/// An owner who changes somebody's membership.
struct Operator {
    server: MemoryServer,
    shared: Rc<Shared>,
    owner: String,
    space: &'static str,
    user: String,
}

/// Changes what a user may do in one of their spaces, if somebody else owns one.
pub fn meddle(server: &MemoryServer, shared: &Rc<Shared>, user: &str) {
    let members = roles(server).into_iter();
    let owned = members.filter_map(|(space, members)| {
        let mut owners = members
            .iter()
            .filter(|(name, role)| *role == "owner" && *name != user);
        let owner = owners.next().map(|(name, _)| name.clone())?;
        members.contains_key(user).then_some((space, owner))
    });
    let owned: Vec<_> = owned.collect();
    let dice = &shared.dice;
    if owned.is_empty() {
        return;
    }
    let (space, owner) = owned[dice.harm(owned.len() as u64) as usize].clone();
    let operator = Operator {
        server: server.clone(),
        shared: Rc::clone(shared),
        owner,
        space,
        user: user.to_owned(),
    };
    let role = ["reader", "writer", "owner"][dice.harm(3) as usize];
    match dice.harm(4) {
        0 | 1 => operator.set(Some(role)),
        2 => {
            operator.set(None);
            operator.set(Some(role));
        }
        _ => {
            operator.set(None);
            let ms = dice.harm(3_000);
            shared.tasks.spawn(0, async move {
                operator.shared.clock.sleep(ms).await;
                operator.set(Some(role));
            });
        }
    }
}

impl Operator {
    fn set(&self, role: Option<&str>) {
        let id = format!("{}/{}", self.space, self.user);
        let rows = self.server.rows_in(&Space::shared(self.space));
        let known = rows
            .iter()
            .find(|row| row.entity == MEMBER && row.id == id && row.data.is_some());
        let kind = match (role, known) {
            (None, _) => "delete",
            (Some(_), None) => "create",
            (Some(_), Some(_)) => "update",
        };
        let number = self.shared.dice.harm(u64::MAX);
        let op = json!({
            "opId": format!("operator-{number}"), "entity": MEMBER, "id": id, "space": self.space,
            "kind": kind, "baseVersion": known.map(|row| row.version),
            "data": role.map(|role| json!({ "role": role })),
        });
        let push = json!({
            "clientId": "operator", "userId": self.owner, "schema": 0, "operations": [op],
        });
        let (push, before) = (push.to_string().into_bytes(), roles(&self.server));
        let now = self.shared.clock.now();
        let (status, reply) =
            (self.server).handle(&self.owner, "POST", "/sync/v1/push", &push, now);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&reply));
        let verdict: Value = serde_json::from_slice(&reply).unwrap();
        self.shared.say(&format!(
            "{} makes {} a {role:?} of {}: {}",
            self.owner, self.user, self.space, verdict["results"][0]["status"]
        ));
        let checker = &self.shared.push_checker;
        let answers = &checker.answers;
        checker.check(answers.pushes(&self.server, &self.owner, before, &push, &reply));
    }
}
