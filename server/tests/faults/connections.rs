//! Clients that hold connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::common::api::create;
use crate::common::running::Running;

/// A good client pushes and pulls, within a second.
fn a_good_client_is_served(running: &Running, token: &str, id: &str) {
    let since = Instant::now();
    let (status, reply) = running.push(token, json!([create(id, id)])).unwrap();
    assert_eq!(
        (status, &reply["results"][0]["status"]),
        (200, &json!("applied"))
    );
    let request = json!({ "clientId": "d", "cursor": null, "limit": 1 });
    assert_eq!(running.call("POST", "/sync/v1/pull", token, request).0, 200);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

fn open(running: &Running, beginning: &str) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(&running.address).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    socket.write_all(beginning.as_bytes()).ok()?;
    Some(socket)
}

/// Returns how long the server leaves a connection open that sends a byte each 300 ms.
fn dripped(mut socket: TcpStream, at_most: Duration) -> Duration {
    let since = Instant::now();
    socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut byte = [0];
    while since.elapsed() < at_most {
        let gone = match socket.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        };
        if gone || socket.write_all(b"x").is_err() {
            break;
        }
    }
    since.elapsed()
}

/// (300 connections that never finished their headers shut everybody out, without a token)
#[test]
fn connections_that_never_finish_their_headers_shut_nobody_out() {
    let folder = Folder::new();
    let running = Running::limited("ulimit -n 128;", &folder, Stdio::null());
    let token = running.token("ann");
    let mut held = Vec::new();
    for n in 0..400 {
        let beginning = [
            "",
            "POST /sync/v1/pull HTTP/1.1\r\nHost: x\r\nX: ",
            "POST /dev/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n{",
        ][n % 3];
        held.extend(open(&running, beginning));
        if n % 40 == 39 {
            // A body that has not gone on for 2 s is nobody's request any more.
            std::thread::sleep(Duration::from_millis(2_500));
            a_good_client_is_served(&running, &token, &n.to_string());
        }
    }
    assert!(held.len() > 300);
}

#[test]
fn a_dripped_header_and_an_idle_connection_end() {
    let folder = Folder::new();
    let running = Running::start(&folder);
    let head = "GET /sync/v1/health HTTP/1.1\r\nHost: x\r\nX: ";
    let took = dripped(open(&running, head).unwrap(), Duration::from_secs(40));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

/// A client that leaves a connection open between two requests finds it there.
#[test]
fn a_connection_is_kept_between_requests() {
    let folder = Folder::new();
    let running = Running::start(&folder);
    let request = "GET /sync/v1/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut socket = open(&running, request).unwrap();
    for pause in [100, 11_500] {
        let mut answer = [0; 2_048];
        let read = socket.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
        std::thread::sleep(Duration::from_millis(pause));
        socket.write_all(request.as_bytes()).unwrap();
    }
    let mut rest = [0; 15];
    socket.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"HTTP/1.1 200 OK");
}

/// One user's bodies that never end, and answers that are never read, are that user's own trouble.
#[test]
fn one_user_who_holds_requests_holds_up_no_other() {
    let folder = Folder::new();
    let running = Running::limited("ulimit -n 512;", &folder, Stdio::null());
    let (ann, eve) = (running.token("ann"), running.token("eve"));
    let big = json!([{ "opId": "o", "entity": "task", "id": "a", "kind": "create", "baseVersion": null,
        "data": { "text": "x".repeat(900_000) } }]);
    assert_eq!(running.push(&eve, big).unwrap().0, 200);
    let mut held = Vec::new();
    for n in 0..300 {
        let (length, body) = if n % 2 == 0 {
            (10_000_000, "{".to_owned())
        } else {
            let body = json!({ "clientId": "d", "cursor": null, "limit": 10 }).to_string();
            (body.len(), body)
        };
        let path = ["push", "pull"][n % 2];
        held.extend(open(
            &running,
            &format!("POST /sync/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {eve}\r\nContent-Length: {length}\r\n\r\n{body}"),
        ));
        if n % 50 == 49 {
            a_good_client_is_served(&running, &ann, &n.to_string());
        }
    }
    let (status, reply) = running.push(&eve, json!([])).unwrap();
    assert_eq!(
        (status, &reply["code"]),
        (429, &json!("rateLimited")),
        "{reply}"
    );
    drop(held);
    let since = Instant::now();
    while running.push(&eve, json!([])).unwrap().0 != 200 {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "the places are given back"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        running.call("GET", "/sync/v1/health", "", Value::Null).0,
        200
    );
}
