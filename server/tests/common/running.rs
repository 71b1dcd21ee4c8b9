//! The server as a process of its own.
#![allow(dead_code)] // Not every test file needs all of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::Folder;

pub fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datum-server"));
    command
        .args(arguments)
        .env_remove("DATUM_JWT_SECRET")
        .env_remove("DATUM_DATABASE_URL")
        .stdin(Stdio::null());
    command
}

/// A server process; killed on drop.
pub struct Running {
    pub child: Child,
    pub address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(folder: &Folder) -> Self {
        Self::logging(folder, Stdio::null())
    }

    pub fn logging(folder: &Folder, log: Stdio) -> Self {
        Self::limited("", folder, log)
    }

    /// Starts it under the limits that a shell sets first.
    pub fn limited(limits: &str, folder: &Folder, log: Stdio) -> Self {
        let database = folder.database();
        Self::begin(limits, &["--database", database.to_str().unwrap()], log)
    }

    /// Starts it with these arguments.
    pub fn on(arguments: &[&str], log: Stdio) -> Self {
        Self::begin("", arguments, log)
    }

    fn begin(limits: &str, arguments: &[&str], log: Stdio) -> Self {
        let mut command = Command::new("sh");
        // A file that may not grow is an error and not a signal then.
        let script = format!("trap '' XFSZ; {limits} exec \"$0\" \"$@\"");
        let mut child = command
            .args(["-c", &script, env!("CARGO_BIN_EXE_datum-server")])
            .args(["--dev", "--rate", "0", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("DATUM_JWT_SECRET")
            .env_remove("DATUM_DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        assert!(!address.ends_with(":0"));
        Self { child, address }
    }

    pub fn connect(&self, method: &str, path: &str, token: &str, body: &str) -> TcpStream {
        self.try_connect(method, path, token, body).unwrap()
    }

    fn try_connect(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> std::io::Result<TcpStream> {
        let mut socket = TcpStream::connect(&self.address)?;
        // Far longer than any answer takes.
        socket.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
        let (address, length) = (&self.address, body.len());
        let authorization = if token.is_empty() {
            String::new()
        } else {
            format!("Authorization: Bearer {token}\r\n")
        };
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        Ok(socket)
    }

    pub fn call(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        self.try_call(method, path, token, &body).unwrap()
    }

    /// Fails if the connection ends without an answer.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> std::io::Result<(u16, Value)> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut answer = String::new();
        self.try_connect(method, path, token, &body)?
            .read_to_string(&mut answer)?;
        let read = || {
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let status = head.split(' ').nth(1)?.parse().ok()?;
            Some((status, serde_json::from_str(body).ok()?))
        };
        read().ok_or_else(|| std::io::Error::other(format!("no answer: {answer:?}")))
    }

    pub fn push(&self, token: &str, operations: Value) -> std::io::Result<(u16, Value)> {
        let body = json!({ "clientId": "d", "operations": operations });
        self.try_call("POST", "/sync/v1/push", token, &body)
    }

    pub fn token(&self, user: &str) -> String {
        let (status, reply) = self.call("POST", "/dev/token", "", json!({ "userId": user }));
        assert_eq!(status, 200, "{reply}");
        reply["token"].as_str().unwrap().to_owned()
    }

    pub fn pull(&self) -> Value {
        self.call(
            "POST",
            "/sync/v1/pull",
            &self.token("ann"),
            json!({ "clientId": "d", "cursor": null, "limit": 10 }),
        )
        .1
    }
}
