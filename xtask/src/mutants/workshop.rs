//! The copy of the sources that mutants are applied to, and running tests in it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    backends,
    context::Context,
    failure::{Because, Failure, Result},
    mutants::mutant::{Mutant, Test},
    process::{self, Finished},
};

/// A build from nothing and thousands of histories take less.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The parts of the workspace that are copied.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "src",
    "tests",
    "fuzz/src",
    "server",
    "xtask",
];
/// Folders that are not copied: no native test reads them.
const LEFT_OUT: [&str; 4] = ["tests/e2e", "tests/mutants", "tests/types", "node_modules"];

/// The expected result of a test run, for the mark on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It passes.
    Success,
    /// It fails.
    Failure,
}

/// The copy of the sources that mutants are applied to, and its build.
pub struct Workshop<'a> {
    /// Where steps report.
    pub context: &'a Context,
    copy: PathBuf,
    target: PathBuf,
    seeds: u64,
}

impl<'a> Workshop<'a> {
    /// A workshop in the build folder. The simulation runs `seeds` histories in it.
    pub fn new(context: &'a Context, seeds: u64) -> Self {
        Self {
            context,
            copy: context.target.join("mutants/sources"),
            target: context.target.join("mutants/target"),
            seeds,
        }
    }

    /// Applies the mutant's diff to the copy.
    pub fn apply(&self, mutant: &Mutant) -> Result<()> {
        git_apply(&self.copy, mutant, &[])
    }

    /// Makes the copy equal to the sources. An unchanged file is not written, so that cargo builds
    /// only what a mutant changed.
    pub fn copy_sources(&self) -> Result<()> {
        let mut wanted = Vec::new();
        for source in SOURCES {
            collect(&self.context.root, Path::new(source), &mut wanted)?;
        }
        for path in &wanted {
            let from = self.context.root.join(path);
            let bytes = fs::read(&from).because(format!("reading {}", from.display()))?;
            let to = self.copy.join(path);
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                fs::create_dir_all(to.parent().because("a folder")?)
                    .because(format!("making the folder of {}", to.display()))?;
                fs::write(&to, bytes).because(format!("writing {}", to.display()))?;
            }
        }
        let mut there = Vec::new();
        for source in SOURCES {
            if self.copy.join(source).exists() {
                collect(&self.copy, Path::new(source), &mut there)?;
            }
        }
        for path in there.iter().filter(|path| !wanted.contains(path)) {
            fs::remove_file(self.copy.join(path))
                .because(format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    /// Runs a named test in the copy, or the simulation.
    pub fn test(&self, label: &str, test: Option<&Test>, expect: Expect) -> Result<Finished> {
        let package = match test {
            Some(test) if test.is_of_the_server(&self.copy) => "datum-server",
            _ => "datum-sync",
        };
        let mut cargo = self.context.cargo(&[
            "test",
            "--package",
            package,
            "--profile",
            "mutants",
            "--target-dir",
        ]);
        cargo
            .arg(&self.target)
            .current_dir(&self.copy)
            .env_remove("CARGO_TARGET_DIR")
            .env("SIM_SEEDS", self.seeds.to_string())
            .env("SIM_SHRINK", "0");
        // The copy has no packages of npm; what is installed here serves it.
        let postgrest = backends::postgrest(self.context);
        if postgrest.exists() {
            cargo.env("POSTGREST", postgrest);
        }
        match test {
            Some(test) => cargo.args(["--test", &test.binary, &test.filter]),
            None => cargo.args(["--test", "simulation", "no_history_breaks_a_promise"]),
        };
        cargo.args(["--", "--nocapture"]);
        let console = &self.context.console;
        process::attempt(console, label, &mut cargo, LIMIT, |finished| {
            let note = if finished.success { "passes" } else { "fails" };
            let expected = finished.success == (expect == Expect::Success);
            (expected, note.to_owned())
        })
    }
}

/// Fails if the mutant's diff does not apply to the sources in `folder`; changes nothing.
#[cfg(test)]
pub fn check(folder: &Path, mutant: &Mutant) -> Result<()> {
    git_apply(folder, mutant, &["--check"])
}

/// Runs `git apply` in `folder`. Git must not see a repository around it: inside one, it silently
/// skips files outside the folder that it was started in.
fn git_apply(folder: &Path, mutant: &Mutant, options: &[&str]) -> Result<()> {
    let mut git = Command::new("git");
    git.arg("apply")
        .args(options)
        .arg("-")
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(above) = folder.parent() {
        git.env("GIT_CEILING_DIRECTORIES", above);
    }
    let mut child = git.spawn().because("starting git")?;
    let written = child
        .stdin
        .take()
        .because("git takes no input")
        .and_then(|mut input| {
            input
                .write_all(mutant.diff.as_bytes())
                .because("writing to git")
        });
    let output = child.wait_with_output().because("waiting for git")?;
    if output.status.success() {
        return written;
    }
    Err(Failure::new(format!(
        "tests/mutants/{}.patch no longer applies; make its diff anew:\n{}",
        mutant.name,
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Adds the files under `path`, relative to `root`.
pub fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let whole = root.join(path);
    if whole.is_dir() {
        for entry in fs::read_dir(&whole).because(format!("reading {}", whole.display()))? {
            let name = entry
                .because(format!("reading {}", whole.display()))?
                .file_name();
            let path = path.join(name);
            if !LEFT_OUT.iter().any(|left_out| path.ends_with(left_out)) {
                collect(root, &path, files)?;
            }
        }
    } else if whole.is_file() {
        files.push(path.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_applied_wherever_its_lines_stand_and_refused_where_they_are_gone() {
        let mutant = "# A bug.\n\ndiff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -7,3 +7,3 @@\n fn f() {\n-    two();\n+    one();\n }\n";
        let mutant = Mutant::parse("x", mutant).unwrap();
        // Inside the workspace's repository, where git would skip a folder that it ignores.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target")
            .join(format!("mutants-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.rs");
        fs::write(&file, "use x;\nfn f() {\n    two();\n}\n").unwrap();
        git_apply(&folder, &mutant, &[]).unwrap();
        let changed = fs::read_to_string(&file).unwrap();
        let again = git_apply(&folder, &mutant, &[]).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(changed, "use x;\nfn f() {\n    one();\n}\n");
        assert!(
            again.contains("tests/mutants/x.patch no longer applies"),
            "{again}"
        );
    }
}
