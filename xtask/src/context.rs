//! The workspace: its folders, its browser suites, and commands that run in it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

use crate::{
    console::Console,
    failure::{Because, Result},
    process,
};

/// The time limit of a step; none takes this long on two cores.
pub const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What every command needs.
pub struct Context {
    /// Where steps show their progress.
    pub console: Console,
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Cargo's build folder.
    pub target: PathBuf,
    /// The version of the package, from Cargo.toml.
    pub version: String,
    /// The names of the browser suites: every `tests/browser_*.rs`.
    pub suites: Vec<String>,
    /// Folders of tools outside PATH, which come first on the path of every child.
    found: Mutex<Vec<PathBuf>>,
}

impl Context {
    /// Asks cargo for the workspace's folders and tests.
    pub fn new(verbose: bool) -> Result<Self> {
        let text = process::capture(Command::new(cargo()).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&text).because("reading the output of cargo metadata")?;
        let folder = |key: &str| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .map(PathBuf::from)
                .because(format!("cargo metadata names no {key}"))
        };
        let packages = metadata
            .get("packages")
            .and_then(Value::as_array)
            .because("cargo metadata names no packages")?;
        let module = packages
            .iter()
            .find(|package| package.get("name").is_some_and(|name| name == "datum-sync"))
            .because("no package datum-sync here")?;
        let version = module
            .get("version")
            .and_then(Value::as_str)
            .because("datum-sync has no version")?
            .to_owned();
        let targets = module
            .get("targets")
            .and_then(Value::as_array)
            .because("datum-sync has no targets")?;
        let mut suites: Vec<String> = targets
            .iter()
            .filter_map(|target| target.get("name")?.as_str())
            .filter(|name| name.starts_with("browser_"))
            .map(str::to_owned)
            .collect();
        suites.sort();
        Ok(Self {
            console: Console::new(verbose),
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            version,
            suites,
            found: Mutex::default(),
        })
    }

    /// Makes a command that runs in the workspace and finds the tools.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("PATH", self.path());
        command
    }

    /// Like [`Self::command`], for what runs beside a step that measures time: it gets what processor
    /// time that one leaves.
    pub fn command_beside(&self, program: &str) -> Command {
        if !cfg!(unix) {
            return self.command(program);
        }
        let mut command = self.command("nice");
        command.args(["-n", "10", program]);
        command
    }

    /// Makes a cargo command that runs in the workspace.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(&cargo());
        command.args(args);
        command
    }

    /// Adds a folder of tools to the path of every later child.
    pub fn add_to_path(&self, folder: &Path) {
        self.found().push(folder.to_owned());
    }

    /// Finds a program on the path of the children.
    pub fn which(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path())
            .map(|folder| folder.join(program))
            .find(|file| file.is_file())
    }

    /// The Node tools and end-to-end tests.
    pub fn e2e(&self) -> PathBuf {
        self.root.join("tests").join("e2e")
    }

    fn found(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> OsString {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = self
            .found()
            .iter()
            .cloned()
            .chain(std::env::split_paths(&inherited))
            .collect();
        std::env::join_paths(folders).unwrap_or(inherited)
    }
}

/// The cargo that started this process, so that children use the same toolchain.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
