//! The network. Requests arrive even if the sender is gone. They are lost, delayed, doubled,
//! reordered and refused; replies are lost and cut; tokens expire.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use datum_server::MemoryServer;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::protocol::refusal::refused;
use datum_sync::model::protocol::retry_after::retry_after;
use datum_sync::model::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::ports::remote::{Hints, Pulled, Pushed, Remote};
use datum_sync::util::time;

use super::adapter::Adapter;
use super::dice::Dice;
use super::operator::meddle;
use super::ports::Shared;
use super::server_checks::roles;
use super::space_checks::may_send;
use super::tasks::Owner;

/// The remote of one tab. The token is that of the user whom the request names.
pub struct SimRemote {
    pub server: MemoryServer,
    pub shared: Rc<Shared>,
    pub owner: Owner,
    /// Users share spaces.
    pub shares: bool,
    /// The server cannot tell how much of an earlier epoch is left.
    pub forgets_epochs: bool,
    /// What the backend leaves out.
    pub adapter: Adapter,
}

/// A request in flight.
#[derive(Clone)]
pub struct Request {
    server: MemoryServer,
    shared: Rc<Shared>,
    /// The request goes to another server than the device's own.
    astray: bool,
    user: String,
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

type Reply = (u16, Vec<u8>);
type Mailbox = Rc<RefCell<(Option<Reply>, Option<Waker>)>>;

impl Request {
    pub fn new(
        server: &MemoryServer,
        shared: &Rc<Shared>,
        user: &str,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
    ) -> Self {
        let astray =
            shared.weather.network.get() && shared.clock.now.get() < shared.elsewhere_until.get();
        let answers = if astray { &shared.elsewhere } else { server };
        Self {
            server: answers.clone(),
            shared: Rc::clone(shared),
            astray,
            user: user.to_owned(),
            method,
            path: path.to_owned(),
            body,
        }
    }

    fn say(&self, words: &str) {
        self.shared
            .say(&format!("{} for {}: {words}", self.path, self.user));
    }

    /// Lets the server handle the request.
    fn arrive(&self) -> Reply {
        let path = format!("/sync/v1{}", self.path);
        let rows = || (self.astray && self.path == "/push").then(|| self.server.rows(&self.user));
        let before = rows();
        let members = (!self.astray && self.path == "/push").then(|| roles(&self.server));
        let (status, bytes) = self.server.handle(
            &self.user,
            self.method,
            &path,
            &self.body,
            self.shared.clock.now(),
        );
        if self.astray {
            self.say(&format!("gets {status} of another server"));
            if self.path == "/push" && status == 200 {
                let checker = &self.shared.push_checker;
                checker.hears_astray(&self.server, &self.user, before != rows(), &bytes);
            }
        } else if let Some(members) = members {
            if self.shared.traced {
                self.say(&format!(
                    "{} gets {status} {}",
                    short(&self.body),
                    short(&bytes)
                ));
            }
            let checker = &self.shared.push_checker;
            if status == 200 {
                let answers = &checker.answers;
                checker.check(answers.pushes(
                    &self.server,
                    &self.user,
                    members,
                    &self.body,
                    &bytes,
                ));
            }
            checker.hears(
                &self.server,
                &self.shared.device_id,
                &self.user,
                &self.body,
                status,
                &bytes,
            );
        } else {
            self.say(&format!("gets {status}"));
            if self.path == "/pull" {
                let checker = &self.shared.push_checker;
                if status == 200 {
                    let answers = &checker.answers;
                    checker.check(answers.pages(&self.server, &self.user, &self.body, &bytes));
                    let head = self.shared.head(&self.user);
                    let device = &self.shared.device_id;
                    (checker.pulls).note(&self.user, device, head, &self.body, &bytes);
                }
                checker.gives_page(&self.server, &self.user, &self.body, status, &bytes);
            }
        }
        (status, bytes)
    }

    /// Delivers the request after `ms` milliseconds, even if its sender is gone.
    pub fn arrive_after(&self, ms: u64, mailbox: Option<Mailbox>) {
        let letter = self.clone();
        self.shared.tasks.spawn(0, async move {
            letter.shared.clock.sleep(ms).await;
            let reply = letter.arrive();
            if let Some(mailbox) = mailbox {
                let mut mailbox = mailbox.borrow_mut();
                mailbox.0 = Some(reply);
                if let Some(waker) = mailbox.1.take() {
                    waker.wake();
                }
            }
        });
    }
}

enum Answer {
    Body(Vec<u8>),
    Gone,
    TooLarge,
}

impl SimRemote {
    fn has_fault(&self, per_mille: u64) -> bool {
        self.shared.weather.network.get() && self.shared.dice.has_fault(per_mille)
    }

    /// Nothing is sent of a space that the sender has heard that its user is not in.
    fn check_spaces(&self, user: &str, request: &PushRequest<'_>) {
        let hearers = self.shared.hearers.borrow();
        let mut mine = hearers.iter().filter(|(owner, _)| *owner == self.owner);
        let tab = mine.next().and_then(|(_, tab)| tab.upgrade());
        let Some(opened) = tab.and_then(|tab| tab.opened(user)) else {
            return;
        };
        let outside = opened.db.read(|replica| {
            let ops = request.operations.iter();
            let mut named = ops.flat_map(|op| op.space.iter().chain(&op.to));
            let outside = named.find(|space| !may_send(replica, space));
            outside.map(|space| space.clone().into_owned())
        });
        if let Some(space) = outside {
            self.shared.push_checker.object(format!(
                "{user} is not in {space} any more, but pushes for it"
            ));
        }
    }

    async fn journey(&self) {
        let ms = if self.has_fault(80) {
            self.shared.dice.harm(40_000)
        } else {
            self.shared.dice.below(60)
        };
        self.shared.clock.sleep(ms).await;
    }

    async fn ask(
        &self,
        user: &str,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let (dice, clock) = (&self.shared.dice, &self.shared.clock);
        let letter = Request::new(&self.server, &self.shared, user, method, path, body);
        self.shared.meetings.asks(self.owner, user, path);
        let lost = || Err(Error::new(Code::Network, "Nothing came back."));
        if !self.shared.online.get() {
            return lost();
        }
        if self.has_fault(50) {
            self.journey().await;
            if dice.harm(2) == 0 {
                letter.say("is lost");
            } else {
                letter.say("is given up, and arrives much later");
                letter.arrive_after(dice.harm(90_000), None);
            }
            return lost();
        }
        if self.shared.token_until.get() <= clock.now.get() && self.shared.weather.network.get() {
            self.journey().await;
            if self.has_fault(300) {
                letter.say("the token has expired, and there is no new one");
                return classify(401, None, br#"{"code":"tokenExpired"}"#.to_vec());
            }
            self.shared
                .token_until
                .set(clock.now.get() + 1_000 + dice.below(120_000));
        }
        if self.has_fault(50) {
            self.journey().await;
            let status =
                [401, 403, 408, 410, 413, 425, 426, 429, 500, 502, 503][dice.harm(11) as usize];
            let after = (dice.harm(2) == 0)
                .then(|| retry_after(&asks_to_wait(dice, clock.now()), Some(clock.now())))
                .flatten();
            letter.say(&format!(
                "is refused with {status}, to be tried after {after:?} ms"
            ));
            // The server's own word, or something else's.
            let own = dice.harm(3) > 0;
            let body = if own {
                r#"{"code":"said"}"#
            } else {
                "<html>Blocked"
            };
            return classify(status, after, body.as_bytes().to_vec());
        }
        if let Some(fault) = self.shared.weather.misbehaviour.get()
            && self.shared.weather.network.get()
        {
            let checked = fault.check(&letter.path, &letter.body, clock.now.get());
            if let Err(error) = checked {
                letter.say("is not taken by the server");
                self.journey().await;
                return Err(error);
            }
        }
        let mailbox = Mailbox::default();
        let ms = if self.has_fault(80) {
            dice.harm(40_000)
        } else {
            dice.below(60)
        };
        letter.arrive_after(ms, Some(Rc::clone(&mailbox)));
        if self.has_fault(40) {
            letter.say("arrives twice");
            letter.arrive_after(ms + [0, 5, 60_000][dice.harm(3) as usize], None);
        }
        if self.shares && ["/pull", "/push"].contains(&path) && self.has_fault(40) {
            meddle(&self.server, &self.shared, user);
        }
        let (status, mut bytes) = poll_fn(|context| {
            let mut mailbox = mailbox.borrow_mut();
            match mailbox.0.take() {
                Some(reply) => Poll::Ready(reply),
                None => {
                    mailbox.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        self.journey().await;
        if self.has_fault(50) {
            letter.say("the answer is lost");
            return lost();
        }
        if self.has_fault(30) && !bytes.is_empty() {
            letter.say("the answer is cut");
            bytes.truncate(dice.harm(bytes.len() as u64) as usize);
        } else if letter.astray && status == 200 {
            self.shared.meetings.meets(self.owner, user, path);
        }
        classify(status, None, bytes)
    }
}

/// A `Retry-After` in one of its forms. Dates are by the server's clock.
fn asks_to_wait(dice: &Dice, now: u64) -> String {
    let ms = dice.harm(5_000);
    let at = match dice.harm(5) {
        0 => return (ms / 1_000).to_string(),
        1 => return format!("{}.{:03}", ms / 1_000, ms % 1_000),
        2 => now - 3_600_000,
        3 => now + ms,
        _ => now + 400 * 86_400_000,
    };
    let text = time::format(at);
    let part = |from: usize, to: usize| text.get(from..to).unwrap();
    let month = part(5, 7).parse::<usize>().unwrap() * 3;
    format!(
        "Mon, {} {} {} {} GMT",
        part(8, 10),
        "JanFebMarAprMayJunJulAugSepOctNovDec"
            .get(month - 3..month)
            .unwrap(),
        part(0, 4),
        part(11, 19)
    )
}

/// Formats bytes for people: long runs of one letter are shortened.
fn short(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut last, mut run) = (' ', 0);
    for letter in String::from_utf8_lossy(bytes).chars() {
        run = if letter == last { run + 1 } else { 0 };
        last = letter;
        if run < 6 {
            text.push(letter);
        }
    }
    text.chars().take(1_500).collect()
}

fn classify(status: u16, after: Option<u64>, body: Vec<u8>) -> Result<Answer> {
    match status {
        200..=299 => Ok(Answer::Body(body)),
        410 => Ok(Answer::Gone),
        413 => Ok(Answer::TooLarge),
        _ => Err(refused(status, "the server", &body, after)),
    }
}

impl Remote for SimRemote {
    fn takes_any_limit(&self) -> bool {
        true
    }

    async fn pull(&self, user: &str, request: &PullRequest) -> Result<Pulled> {
        let epoch = request.epoch.clone().filter(|_| !self.forgets_epochs);
        let request = PullRequest {
            epoch,
            ..request.clone()
        };
        match self
            .ask(user, "POST", "/pull", serde_json::to_vec(&request).unwrap())
            .await?
        {
            Answer::Body(bytes) => Ok(Pulled::Page(self.adapter.answer(bytes))),
            Answer::Gone => Ok(Pulled::CursorGone),
            Answer::TooLarge => Err(Error::new(Code::ServerError, "413 to a pull.")),
        }
    }

    async fn push(&self, user: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        if self.shares {
            self.check_spaces(user, request);
        }
        let body = request.to_json().into_bytes();
        let (sent, several) = (body.len() as u64, request.operations.len() > 1);
        match self.ask(user, "POST", "/push", body).await? {
            Answer::Body(bytes) => Ok(Pushed::Reply { bytes, sent }),
            Answer::TooLarge if several => Ok(Pushed::TooLarge),
            Answer::TooLarge | Answer::Gone => Err(Error::new(
                Code::ServerError,
                "An answer to nothing that was asked.",
            )),
        }
    }

    async fn metadata(&self, user: &str) -> Result<Option<Vec<u8>>> {
        match self.ask(user, "GET", "/metadata", Vec::new()).await? {
            Answer::Body(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    async fn put_metadata(&self, user: &str, metadata: &DeviceMetadata) -> Result<()> {
        self.ask(
            user,
            "PUT",
            "/metadata",
            serde_json::to_vec(metadata).unwrap(),
        )
        .await
        .map(|_| ())
    }

    async fn clear_metadata(&self, user: &str) -> Result<()> {
        self.ask(user, "DELETE", "/metadata", Vec::new())
            .await
            .map(|_| ())
    }

    async fn hints(&self, _: &str, _: &mut dyn FnMut()) -> Result<Hints> {
        Ok(Hints::Never)
    }

    async fn health(&self) -> Result<bool> {
        Ok(true)
    }
}
