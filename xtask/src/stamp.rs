//! Whether something that was built is still up to date, and if not, why.
//!
//! A stamp is a file beside the build's results: a checksum of everything that went in, one of
//! everything that came out, and a note. It is written after a success, from the inputs as they
//! were before the build, so that a file saved during the build is seen by the next run.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::failure::{Because, Result};

/// Folders that tools make among the sources.
const MADE: [&str; 5] = ["node_modules", "dist", ".vite", "target", "built"];

/// Checksums by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(BTreeMap<String, String>);

impl Checksums {
    /// Adds a fact that is no file, such as the version of a tool.
    pub fn fact(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), checksum(value.as_bytes()));
        self
    }

    /// Adds a file, or all files in a folder, named relative to `root`. A missing one is left out.
    /// What npm, Vite or cargo made in a folder is left out too.
    pub fn files(mut self, root: &Path, path: &str) -> Result<Self> {
        self.add(root, &root.join(path))?;
        Ok(self)
    }

    fn add(&mut self, root: &Path, path: &Path) -> Result<()> {
        let doing = || format!("reading {}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(path).because(doing())? {
                let entry = entry.because(doing())?;
                let name = entry.file_name();
                if !MADE.iter().any(|made| name == *made) {
                    self.add(root, &entry.path())?;
                }
            }
        } else if path.is_file() {
            let name = path.strip_prefix(root).unwrap_or(path).display();
            let bytes = fs::read(path).because(doing())?;
            self.0.insert(name.to_string(), checksum(&bytes));
        }
        Ok(())
    }

    /// The first difference from `old`, in words.
    fn difference(&self, old: &Self) -> Option<String> {
        let changed = self
            .0
            .iter()
            .filter_map(|(name, sum)| match old.0.get(name) {
                None => Some(format!("{name} is new")),
                Some(was) if was != sum => Some(format!("{name} changed")),
                Some(_) => None,
            });
        let gone = old.0.keys().filter(|name| !self.0.contains_key(*name));
        let mut all = changed.chain(gone.map(|name| format!("{name} is gone")));
        let first = all.next()?;
        Some(match all.count() {
            0 => first,
            more => format!("{first}, and {more} more"),
        })
    }

    fn json(&self) -> Value {
        json!(self.0)
    }

    fn parse(value: Option<&Value>) -> Option<Self> {
        let sums = value?.as_object()?.iter();
        sums.map(|(name, sum)| Some((name.clone(), sum.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// Whether a build must run, and why.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// The results are there and nothing changed; the note that was left with them.
    Fresh(String),
    /// Why the results must be built.
    Stale(String),
}

/// The stamp of one build.
pub struct Stamp {
    file: PathBuf,
    root: PathBuf,
    outputs: Vec<String>,
}

impl Stamp {
    /// The stamp in `file`, for a build that makes the files and folders `outputs` in `root`.
    pub fn new(file: PathBuf, root: &Path, outputs: &[&str]) -> Self {
        Self {
            file,
            root: root.to_owned(),
            outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
        }
    }

    /// Compares the inputs and the results with those of the last success.
    pub fn check(&self, inputs: &Checksums) -> Result<State> {
        let Some((old_inputs, old_outputs, note)) = self.read() else {
            return Ok(State::Stale("no earlier result is known".to_owned()));
        };
        if let Some(difference) = inputs.difference(&old_inputs) {
            return Ok(State::Stale(difference));
        }
        Ok(match self.results()?.difference(&old_outputs) {
            Some(difference) => State::Stale(format!("the result {difference}")),
            None => State::Fresh(note),
        })
    }

    /// Records a success.
    pub fn write(&self, inputs: &Checksums, note: &str) -> Result<()> {
        let text = json!({
            "inputs": inputs.json(),
            "outputs": self.results()?.json(),
            "note": note,
        });
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).because(format!("making {}", folder.display()))?;
        }
        fs::write(&self.file, text.to_string()).because(format!("writing {}", self.file.display()))
    }

    fn results(&self) -> Result<Checksums> {
        self.outputs
            .iter()
            .try_fold(Checksums::default(), |sums, output| {
                sums.files(&self.root, output)
            })
    }

    /// A stamp that cannot be read counts as none.
    fn read(&self) -> Option<(Checksums, Checksums, String)> {
        let value: Value = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        Some((
            Checksums::parse(value.get("inputs"))?,
            Checksums::parse(value.get("outputs"))?,
            value.get("note")?.as_str()?.to_owned(),
        ))
    }
}

/// The standard library's hash may change with the toolchain: then everything is built again.
/// A checksum, as hexadecimal digits.
pub fn checksum(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}-{:x}", hasher.finish(), bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with `in/a`, from which `out/b` was built.
    struct Project(PathBuf);

    impl Project {
        fn built(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("stamp-{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("in/node_modules")).unwrap();
            fs::create_dir_all(root.join("out")).unwrap();
            let project = Self(root);
            project.write("in/a", "1");
            project.write("out/b", "one");
            let stamp = project.stamp();
            stamp.write(&project.inputs("1.0"), "a note").unwrap();
            project
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.join(file), text).unwrap();
        }

        fn stamp(&self) -> Stamp {
            Stamp::new(self.0.join("stamps/stamp"), &self.0, &["out"])
        }

        fn inputs(&self, version: &str) -> Checksums {
            let inputs = Checksums::default().fact("the tool", version);
            inputs.files(&self.0, "in").unwrap()
        }

        fn reason(&self, version: &str) -> String {
            match self.stamp().check(&self.inputs(version)).unwrap() {
                State::Stale(reason) => reason,
                State::Fresh(note) => panic!("fresh: {note}"),
            }
        }
    }

    impl Drop for Project {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn nothing_changed_is_fresh_and_keeps_its_note() {
        let project = Project::built("fresh");
        project.write("in/node_modules/x", "made by a tool");
        project.write("in/a", "1");
        let state = project.stamp().check(&project.inputs("1.0")).unwrap();
        assert_eq!(state, State::Fresh("a note".into()));
    }

    #[test]
    fn every_changed_input_is_named() {
        let project = Project::built("inputs");
        assert_eq!(project.reason("1.1"), "the tool changed");
        project.write("in/a", "2");
        assert_eq!(project.reason("1.0"), "in/a changed");
        project.write("in/b", "");
        assert_eq!(project.reason("1.0"), "in/a changed, and 1 more");
        fs::remove_file(project.0.join("in/a")).unwrap();
        assert_eq!(project.reason("1.0"), "in/b is new, and 1 more");
        fs::remove_file(project.0.join("in/b")).unwrap();
        assert_eq!(project.reason("1.0"), "in/a is gone");
    }

    #[test]
    fn a_damaged_result_is_built_again() {
        let project = Project::built("results");
        project.write("out/b", "onE");
        assert_eq!(project.reason("1.0"), "the result out/b changed");
        fs::remove_dir_all(project.0.join("out")).unwrap();
        assert_eq!(project.reason("1.0"), "the result out/b is gone");
    }

    #[test]
    fn a_missing_or_damaged_stamp_counts_as_none() {
        let project = Project::built("stamp");
        project.write("stamps/stamp", "{");
        assert_eq!(project.reason("1.0"), "no earlier result is known");
        fs::remove_file(project.0.join("stamps/stamp")).unwrap();
        assert_eq!(project.reason("1.0"), "no earlier result is known");
    }
}
