//! The remote of a device: the server's own rules, behind a network that fails on request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::protocol::refusal::{is_cursor_gone, refused};
use datum_sync::model::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::ports::remote::{Hints, Pulled, Pushed, Remote};

use super::clock::Clock;

/// What the network does to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request never arrives.
    Lost,
    /// The server applies the request, and its reply is lost.
    ReplyLost,
    /// The server replies with this status and does nothing.
    Status(u16, Option<u64>),
    /// The server applies the request, and these bytes arrive in place of its reply.
    Garbled(Vec<u8>),
    /// The server does nothing, and these bytes arrive as its reply.
    Answered(String),
    /// The same, after this many milliseconds.
    AnsweredLate(String, u64),
    /// The request fails with this error, as an adapter's does.
    Fails(Error),
    /// Something else answers with this status and a web page.
    Page(u16),
    /// The server applies the request, and this much of its reply arrives.
    Cut(usize),
    /// The request arrives nowhere, and is given up after this many milliseconds.
    Silent(u64),
    /// The request arrives after this many milliseconds.
    Slow(u64),
    /// The request arrives at once, and its reply after this many milliseconds.
    Late(u64),
}

/// A request as the server received it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Vec<u8>,
}

/// Called when a request arrives.
pub type Hook = Box<dyn Fn(&Request)>;

/// One connection of the stream: it sends a hint after each of these delays in milliseconds, and
/// then ends with this result.
pub type Script = (Vec<u64>, Result<Hints>);

/// The stream of a device, and pulls that the server holds back.
#[derive(Default)]
pub struct Streams {
    /// One for each connection. With none left, the server has no stream.
    pub scripts: RefCell<VecDeque<Script>>,
    /// The connections opened so far, and those open now.
    pub opened: Cell<u64>,
    pub open: Cell<u64>,
    /// Whether the server holds back an empty page when asked to wait.
    pub waits: Cell<bool>,
}

/// The remote of a device.
#[derive(Clone)]
pub struct TestRemote {
    pub streams: Rc<Streams>,
    pub server: MemoryServer,
    /// Another server that answers in its place, at the same address.
    pub elsewhere: Rc<RefCell<Option<MemoryServer>>>,
    pub clock: Rc<Clock>,
    pub faults: Rc<RefCell<VecDeque<(&'static str, Fault)>>>,
    pub seen: Rc<RefCell<Vec<Request>>>,
    /// Called when a request arrives, before the server does anything.
    pub on_request: Rc<RefCell<Option<Hook>>>,
    /// The user whose token the requests carry, if not the user that they name.
    pub token_of: Rc<RefCell<Option<String>>>,
    /// Whether a restored server cannot tell what it has kept.
    pub vague: Rc<Cell<bool>>,
    /// Whether it is an app's adapter that has never heard of spaces, and gives no epoch.
    pub careless: Rc<Cell<bool>>,
    /// The address of the server.
    pub address: Option<String>,
    /// The `serverId` of an app's adapter.
    pub server_id: Option<String>,
    /// Whether pages may grow. Not so with an app's adapter.
    pub takes_any_limit: Rc<Cell<bool>>,
    /// Whether the browser reports that it has a network.
    pub online: Rc<Cell<bool>>,
    /// Whether the network works all the same.
    pub works_offline: Rc<Cell<bool>>,
}

enum Answer {
    Body(Vec<u8>),
    Gone,
    TooLarge,
}

impl TestRemote {
    async fn ask(
        &self,
        user: &str,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let request = Request {
            method,
            path: path.to_owned(),
            body,
        };
        if !self.online.get() && !self.works_offline.get() {
            return Err(Error::new(Code::Offline, "There is no network."));
        }
        self.seen.borrow_mut().push(request.clone());
        if let Some(hook) = &*self.on_request.borrow() {
            hook(&request);
        }
        let fault = {
            let mut faults = self.faults.borrow_mut();
            let at = faults.iter().position(|(only, _)| path.ends_with(only));
            at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
        };
        let proved = self
            .token_of
            .borrow()
            .clone()
            .unwrap_or_else(|| user.to_owned());
        // Escapes the users of these tests as a browser would.
        let query = if request.body.is_empty() {
            format!("?userId={}", user.replace(' ', "%20"))
        } else {
            String::new()
        };
        let serve = || {
            let elsewhere = self.elsewhere.borrow().clone();
            elsewhere.as_ref().unwrap_or(&self.server).handle(
                &proved,
                method,
                &format!("/sync/v1{path}{query}"),
                &request.body,
                self.clock.now(),
            )
        };
        let (status, body) = match fault {
            None => serve(),
            Some(Fault::Lost) => return Err(Error::new(Code::Network, "The request was lost.")),
            Some(Fault::ReplyLost) => {
                let _ = serve();
                return Err(Error::new(Code::Network, "The answer was lost."));
            }
            Some(Fault::Status(status, after)) => {
                // The remote's own word.
                let code = if status == 409 {
                    "userMismatch"
                } else {
                    "said"
                };
                let body = format!(r#"{{"code":"{code}"}}"#).into_bytes();
                return self.classify(status, after, body);
            }
            Some(Fault::Garbled(bytes)) => {
                let _ = serve();
                (200, bytes)
            }
            Some(Fault::Answered(text)) => (200, text.into_bytes()),
            Some(Fault::AnsweredLate(text, ms)) => {
                self.clock.sleep(ms).await;
                (200, text.into_bytes())
            }
            Some(Fault::Fails(error)) => return Err(error),
            Some(Fault::Page(status)) => (status, b"<!doctype html><h1>Blocked".to_vec()),
            Some(Fault::Cut(bytes)) => {
                let (status, mut reply) = serve();
                reply.truncate(bytes);
                (status, reply)
            }
            Some(Fault::Silent(ms)) => {
                self.clock.sleep(ms).await;
                return Err(Error::new(Code::Timeout, "Nothing came."));
            }
            Some(Fault::Slow(ms)) => {
                self.clock.sleep(ms).await;
                serve()
            }
            Some(Fault::Late(ms)) => {
                let answer = serve();
                self.clock.sleep(ms).await;
                answer
            }
        };
        self.classify(status, None, body)
    }

    fn classify(&self, status: u16, after: Option<u64>, body: Vec<u8>) -> Result<Answer> {
        match status {
            200..=299 => Ok(Answer::Body(body)),
            410 if is_cursor_gone(&body) => Ok(Answer::Gone),
            413 => Ok(Answer::TooLarge),
            _ => Err(refused(status, "the server", &body, after)),
        }
    }
}

impl Remote for TestRemote {
    fn takes_any_limit(&self) -> bool {
        self.takes_any_limit.get()
    }

    fn address(&self) -> Option<String> {
        self.address.clone()
    }

    fn server_id(&self) -> Option<String> {
        self.server_id.clone()
    }

    async fn pull(&self, user: &str, request: &PullRequest) -> Result<Pulled> {
        let until = self.clock.now()
            + request
                .wait_ms
                .filter(|_| self.streams.waits.get())
                .unwrap_or(0);
        let asked = serde_json::to_vec(&PullRequest {
            wait_ms: None,
            ..request.clone()
        })
        .unwrap();
        while self.clock.now() < until {
            let (_, page) =
                self.server
                    .handle(user, "POST", "/sync/v1/pull", &asked, self.clock.now());
            let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
            if page["changes"] != serde_json::json!([]) {
                break;
            }
            self.clock.sleep(500).await;
        }
        let epoch = request.epoch.clone().filter(|_| !self.vague.get());
        match self
            .ask(
                user,
                "POST",
                "/pull",
                serde_json::to_vec(&PullRequest {
                    epoch,
                    ..request.clone()
                })
                .unwrap(),
            )
            .await?
        {
            Answer::Body(bytes) if self.careless.get() => Ok(Pulled::Page(without_spaces(&bytes))),
            Answer::Body(bytes) => Ok(Pulled::Page(bytes)),
            Answer::Gone => Ok(Pulled::CursorGone),
            Answer::TooLarge => unreachable!(),
        }
    }

    async fn push(&self, user: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let body = request.to_json().into_bytes();
        let sent = body.len() as u64;
        match self.ask(user, "POST", "/push", body).await? {
            Answer::Body(bytes) => Ok(Pushed::Reply { bytes, sent }),
            Answer::TooLarge => Ok(Pushed::TooLarge),
            Answer::Gone => unreachable!(),
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

    async fn health(&self) -> Result<bool> {
        Ok(true)
    }

    async fn hints(&self, _: &str, hint: &mut dyn FnMut()) -> Result<Hints> {
        struct Open<'a>(&'a Cell<u64>);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        self.streams.opened.set(self.streams.opened.get() + 1);
        self.streams.open.set(self.streams.open.get() + 1);
        let _open = Open(&self.streams.open);
        let Some((words, end)) = self.streams.scripts.borrow_mut().pop_front() else {
            return Ok(Hints::NoStream);
        };
        for wait in words {
            self.clock.sleep(wait).await;
            hint();
        }
        end
    }
}

/// Returns a page as an adapter gives it that knows neither spaces nor epochs.
fn without_spaces(page: &[u8]) -> Vec<u8> {
    let mut page: serde_json::Value = serde_json::from_slice(page).unwrap();
    for name in ["spaces", "starts", "epoch", "serverId"] {
        page.as_object_mut().unwrap().remove(name);
    }
    for change in page["changes"].as_array_mut().unwrap() {
        change.as_object_mut().unwrap().remove("space");
    }
    serde_json::to_vec(&page).unwrap()
}
