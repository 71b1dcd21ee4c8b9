//! Planted bugs: what every sync engine got wrong once, put into a copy of the sources one at a
//! time, and found by the simulation within a number of seeds. A simulation that finds none of them
//! proves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    console,
    context::Context,
    failure::{Because, Failure, Result},
    plant::Plant,
    process::{self, Finished},
};

/// A build from nothing, and as many histories as there are, take no longer.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What of the workspace is copied.
const SOURCES: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "src",
    "tests",
    "server",
    "xtask",
];

/// Which bugs to plant.
#[derive(Debug, PartialEq, Eq)]
pub struct Bugs {
    /// Only that of this name.
    pub only: Option<String>,
    /// A bug must be found within so many histories.
    pub seeds: u64,
}

/// One line of the table.
struct Line {
    name: String,
    found: Option<String>,
    time: Duration,
}

/// Plants each and looks for it. False where one is not found, or where something is found in the
/// sources as they are.
pub fn run(context: &Context, bugs: &Bugs) -> Result<bool> {
    let garden = Garden {
        copy: context.target.join("planted/sources"),
        target: context.target.join("planted/target"),
        context,
        seeds: bugs.seeds,
    };
    let mut plants = read(&context.root.join("tests/planted"))?;
    if let Some(only) = &bugs.only {
        plants.retain(|plant| plant.name == *only);
        if plants.is_empty() {
            return Err(Failure::new(format!(
                "there is no tests/planted/{only}.plant"
            )));
        }
    }
    let mut lines = Vec::new();
    let mut good = true;
    if bugs.only.is_none() {
        garden.sync(None)?;
        let finished = garden.simulate("nothing planted")?;
        good = finished.success;
        if !good {
            context.console.say(&finished.text);
        }
    }
    for plant in &plants {
        let began = Instant::now();
        garden.sync(Some(plant))?;
        let finished = match &plant.suite {
            None => garden.simulate(&plant.name)?,
            Some((suite, filter)) => garden.stories(&plant.name, suite, filter)?,
        };
        let found = finding(&finished, plant);
        if found.is_none() {
            context.console.say(&last_lines(&finished.text));
        }
        lines.push(Line {
            name: plant.name.clone(),
            found,
            time: began.elapsed(),
        });
    }
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for line in &lines {
        good &= line.found.is_some();
        let found = line.found.as_deref().unwrap_or("NOT FOUND");
        context.console.say(&format!(
            "{:width$}  {found}  ({})",
            line.name,
            console::time(line.time)
        ));
    }
    Ok(good)
}

/// The copy of the sources that bugs are planted into, and its build.
struct Garden<'a> {
    copy: PathBuf,
    target: PathBuf,
    context: &'a Context,
    seeds: u64,
}

impl Garden<'_> {
    /// Makes the copy what the sources are, and plants the bug. A file that stays what it was is
    /// not written, so that only what changed is built.
    fn sync(&self, plant: Option<&Plant>) -> Result<()> {
        let mut wanted = Vec::new();
        for source in SOURCES {
            collect(&self.context.root, Path::new(source), &mut wanted)?;
        }
        for path in &wanted {
            let from = self.context.root.join(path);
            let mut bytes = fs::read(&from).because(format!("reading {}", from.display()))?;
            for edit in plant
                .iter()
                .flat_map(|plant| &plant.edits)
                .filter(|edit| Path::new(&edit.path) == path)
            {
                let text =
                    String::from_utf8(bytes).because(format!("reading {}", from.display()))?;
                bytes = plant.because("a bug")?.apply(edit, &text)?.into_bytes();
            }
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

    fn simulate(&self, label: &str) -> Result<Finished> {
        self.test(
            label,
            &[
                "--test",
                "simulation",
                "no_history_breaks_a_promise",
                "--",
                "--nocapture",
            ],
        )
    }

    fn stories(&self, label: &str, suite: &str, filter: &str) -> Result<Finished> {
        self.test(label, &["--test", suite, filter])
    }

    fn test(&self, label: &str, args: &[&str]) -> Result<Finished> {
        let mut cargo = self.context.cargo(&[
            "test",
            "--package",
            "datum-sync",
            "--profile",
            "planted",
            "--target-dir",
        ]);
        cargo
            .arg(&self.target)
            .args(args)
            .current_dir(&self.copy)
            .env_remove("CARGO_TARGET_DIR");
        cargo
            .env("SIM_SEEDS", self.seeds.to_string())
            .env("SIM_SHRINK", "0");
        process::attempt(
            &self.context.console,
            label,
            &mut cargo,
            LIMIT,
            |finished| {
                let words = if finished.success {
                    "finds nothing"
                } else {
                    "finds something"
                };
                (
                    finished.success == (label == "nothing planted"),
                    words.to_owned(),
                )
            },
        )
    }
}

/// Where and how a bug was found: by which seed after how many steps, and what was said of it.
fn finding(finished: &Finished, plant: &Plant) -> Option<String> {
    if finished.success {
        return None;
    }
    if let Some((suite, filter)) = &plant.suite {
        let failed = finished.text.contains("test result: FAILED");
        return failed.then(|| format!("story {suite}::{filter}"));
    }
    let line = finished
        .text
        .lines()
        .find(|line| line.starts_with("seed ") && line.contains(" breaks a promise after "))?;
    let (found, wrong) = line.split_once(": ")?;
    let found = found.replace(" breaks a promise", "");
    Some(format!(
        "{found}: {}",
        wrong.chars().take(110).collect::<String>()
    ))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(25)..)
        .unwrap_or_default()
        .join("\n")
}

/// Every bug that is there, by name.
fn read(folder: &Path) -> Result<Vec<Plant>> {
    let mut plants = Vec::new();
    for entry in fs::read_dir(folder).because(format!("reading {}", folder.display()))? {
        let file = entry
            .because(format!("reading {}", folder.display()))?
            .path();
        let name = file
            .file_stem()
            .because("a file has no name")?
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).because(format!("reading {}", file.display()))?;
        plants.push(Plant::parse(&name, &text)?);
    }
    plants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plants)
}

/// The files under `path`, from `root`, without tools and what they leave behind.
fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let whole = root.join(path);
    if whole.is_dir() {
        for entry in fs::read_dir(&whole).because(format!("reading {}", whole.display()))? {
            let name = entry
                .because(format!("reading {}", whole.display()))?
                .file_name();
            if !matches!(
                name.to_str(),
                Some("node_modules" | "e2e" | "planted" | "types")
            ) {
                collect(root, &path.join(name), files)?;
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

    fn plant(text: &str) -> Plant {
        Plant::parse("x", &format!("# A bug.\n{text}in a\n-b\n+c\n")).unwrap()
    }

    fn finished(success: bool, text: &str) -> Finished {
        Finished {
            success,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_finding_names_its_seed_and_steps() {
        let text = "running 1 test\nseed 12 breaks a promise after 30 steps: ann-0: lost\n";
        assert_eq!(
            finding(&finished(false, text), &plant("")).unwrap(),
            "seed 12 after 30 steps: ann-0: lost"
        );
        assert_eq!(
            finding(&finished(true, "test result: ok"), &plant("")),
            None
        );
    }

    #[test]
    fn what_does_not_compile_is_not_found() {
        assert_eq!(
            finding(&finished(false, "error: could not compile"), &plant("")),
            None
        );
        assert_eq!(
            finding(
                &finished(false, "error: could not compile"),
                &plant("suite bad_days a_clock\n")
            ),
            None
        );
        let failed = finished(false, "test result: FAILED. 0 passed; 1 failed");
        assert_eq!(
            finding(&failed, &plant("suite bad_days a_clock\n")).unwrap(),
            "story bad_days::a_clock"
        );
    }
}
