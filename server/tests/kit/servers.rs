//! PostgreSQL as a process. It ends with the test, however that ends: a shell holds it and waits for the end of
//! its input.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, Row as _};

const MISSING: &str = "PostgreSQL's programs are not here, so the SQL kit was not tested. Install the server, version 14 or later \
    (Debian: apt-get install postgresql), or set PG_BIN to the folder of initdb and postgres.";

/// Returns the folder of PostgreSQL's programs; none if it is not installed.
pub fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PG_BIN")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<PathBuf> = versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    let found = folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
    if found.is_none() {
        // Not by a macro, whose words the harness keeps to itself.
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| writeln!(std::io::stderr(), "{MISSING}").unwrap());
    }
    found
}

/// Returns a number that this process has not had yet.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns a free port below those that the system gives to clients. No other test gets it, of this
/// process or another one, until this process ends: it holds a lock on a file of that name.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    // One folder for each account: another one may not open the files.
    let account = std::env::var("USER").unwrap_or_default();
    let locks = std::env::temp_dir().join(format!("datum-test-ports-{account}"));
    std::fs::create_dir_all(&locks).unwrap();
    let start = std::process::id() % 12_000;
    loop {
        let port = 16_000 + (start + unique() * 7) % 16_000;
        let port = u16::try_from(port).unwrap();
        let lock = File::create(locks.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
            taken.push(lock);
            return port;
        }
    }
}

/// A process that ends when this is dropped or the test's process ends.
pub struct Server {
    shell: Child,
    pub pid: u32,
}

impl Server {
    pub fn start(folder: &Path, command: &str, signal: &str) -> Self {
        let pid_file = folder.join(format!("pid-{}", unique()));
        // The shell stays root and may end what runs as another user.
        let run = match account() {
            Some(user) => format!("setpriv --reuid={user} --regid={user} --clear-groups {command}"),
            None => command.to_owned(),
        };
        let script = format!(
            "cd {folder}; exec 3<&0; {run} </dev/null >>{folder}/log 2>&1 3<&- & echo $! >{pid}.new; mv {pid}.new {pid}; \
             child=$!; (read line <&3; kill -{signal} $child 2>/dev/null; \
             while kill -0 $child 2>/dev/null; do sleep 0.1; done; sleep 1; kill -0 {test} 2>/dev/null || rm -rf {folder}) & wait $child",
            folder = folder.display(),
            pid = pid_file.display(),
            test = std::process::id(),
        );
        let shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let pid = loop {
            if let Some(pid) = std::fs::read_to_string(&pid_file)
                .ok()
                .and_then(|text| text.trim().parse().ok())
            {
                break pid;
            }
            assert!(Instant::now() < end, "no process of {command}");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { shell, pid }
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        kill(self.pid);
        let _ = self.shell.wait();
    }
}

/// Ends one process at once.
pub fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The account that servers run as: PostgreSQL refuses root.
fn account() -> Option<&'static str> {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    root.then_some("postgres")
}

/// Runs a program in a folder to its end, as the account that servers run as.
pub fn as_account(folder: &Folder, program: &Path, arguments: &[&str]) {
    let mut command = match account() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command
                .args([&format!("--reuid={user}"), &format!("--regid={user}")])
                .arg("--clear-groups")
                .arg(program);
            command
        }
        None => Command::new(program),
    };
    let done = command.args(arguments).current_dir(&folder.0).output();
    let done = done.unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A folder that another account may write, deleted on drop.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("datum-kit-{}-{}", std::process::id(), unique()));
        std::fs::create_dir_all(&path).unwrap();
        if let Some(user) = account() {
            assert!(
                Command::new("chown")
                    .arg(user)
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A cluster.
pub struct Postgres {
    server: Option<Server>,
    pub port: u16,
    bin: PathBuf,
    settings: String,
    folder: Folder,
}

impl Postgres {
    /// Makes a cluster and starts it; none if PostgreSQL is not installed.
    pub fn start(settings: &str) -> Option<Self> {
        Self::start_in(&["--locale=C.UTF-8"], settings)
    }

    /// Makes one with the locale that these arguments of initdb say.
    pub fn start_in(locale: &[&str], settings: &str) -> Option<Self> {
        let bin = programs()?;
        let folder = Folder::new();
        let mut arguments = vec![
            "-A",
            "trust",
            "-U",
            "postgres",
            "--encoding=UTF8",
            "--no-sync",
        ];
        arguments.extend(locale);
        arguments.extend(["-D", "data"]);
        as_account(&folder, &bin.join("initdb"), &arguments);
        Some(Self::launched(bin, settings, folder))
    }

    /// Makes a replica of a cluster and starts it; none if PostgreSQL's client programs are not installed.
    pub fn replica(primary: &Self) -> Option<Self> {
        let program = primary.bin.join("pg_basebackup");
        if !program.exists() {
            return None;
        }
        let folder = Folder::new();
        let port = primary.port.to_string();
        let arguments = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-D",
            "data",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ];
        as_account(&folder, &program, &arguments);
        Some(Self::launched(
            primary.bin.clone(),
            &primary.settings,
            folder,
        ))
    }

    fn launched(bin: PathBuf, settings: &str, folder: Folder) -> Self {
        let mut cluster = Self {
            server: None,
            port: free_port(),
            bin,
            settings: settings.to_owned(),
            folder,
        };
        cluster.launch();
        cluster
    }

    /// Starts it, again if it was killed.
    pub fn launch(&mut self) {
        let command = format!(
            "{}/postgres -D data -p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=100 -c timezone=UTC {}",
            self.bin.display(),
            self.port,
            self.folder.0.display(),
            self.settings
        );
        let end = Instant::now() + Duration::from_secs(60);
        let mut server = Server::start(&self.folder.0, &command, "QUIT");
        while !self.answers() {
            let log = || std::fs::read_to_string(self.folder.0.join("log"));
            assert!(
                Instant::now() < end,
                "PostgreSQL does not answer: {:?}",
                log()
            );
            std::thread::sleep(Duration::from_millis(50));
            // Backends of one that was killed keep its memory for a moment.
            if !Path::new(&format!("/proc/{}", server.pid)).exists() {
                server = Server::start(&self.folder.0, &command, "QUIT");
            }
        }
        self.server = Some(server);
    }

    /// Returns whether it is this cluster that answers on the port.
    fn answers(&self) -> bool {
        let url = self.url("postgres", "postgres");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = runtime.block_on(async {
            let mut sql = PgConnection::connect(&url).await?;
            let query = "SELECT current_setting('data_directory')";
            let row = sqlx::query(query).fetch_one(&mut sql).await?;
            row.try_get::<String, _>(0)
        });
        folder.is_ok_and(|folder| Path::new(&folder).starts_with(&self.folder.0))
    }

    /// Ends the postmaster at once. Its backends notice, and end too.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns what the server has logged.
    #[allow(dead_code)] // Not every test file needs it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap()
    }
}
