//! `cargo xtask mutants`: puts classic sync bugs into a copy of the sources, one at a time, and
//! checks that the simulation or a named test finds each. A test suite that finds none of them
//! proves nothing.

mod mutant;
mod workshop;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    console,
    context::Context,
    failure::{Because, Failure, Result},
    mutants::{
        mutant::{Mutant, Test},
        workshop::{Expect, Workshop},
    },
    process::Finished,
    tally, tools,
};

/// Which mutants to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Selection {
    /// Only those of these names; all if empty.
    pub names: Vec<String>,
    /// The number of histories within which the simulation must find a mutant.
    pub seeds: u64,
}

/// Runs the selected mutants and prints a table of what found each. False if one was not found, or
/// if the unchanged sources fail.
pub fn run(context: &Context, selection: &Selection) -> Result<bool> {
    let mutants = select(read(&folder(&context.root))?, &selection.names)?;
    let of_the_server = |mutant: &Mutant| {
        let test = mutant.test.as_ref();
        test.is_some_and(|test| test.is_of_the_server(&context.root))
    };
    if mutants.iter().any(of_the_server) {
        // Without PostgreSQL those tests test nothing.
        tools::postgres(context)?;
    }
    let workshop = Workshop::new(context, selection.seeds);
    let mut good = true;
    // A failure of the unchanged sources would count as a find of every mutant.
    if selection.names.is_empty() {
        workshop.copy_sources()?;
        good = unchanged_sources_pass(&workshop, &mutants)?;
    }
    let mut rows = Vec::new();
    for mutant in &mutants {
        let started = Instant::now();
        workshop.copy_sources()?;
        workshop.apply(mutant)?;
        let finished = workshop.test(&mutant.name, mutant.test.as_ref(), Expect::Failure)?;
        let finding = finding(&finished, mutant);
        if finding.is_none() {
            context.console.say(&last_lines(&finished.text));
        }
        good &= finding.is_some();
        rows.push((mutant, finding, started.elapsed()));
    }
    let width = rows
        .iter()
        .map(|(mutant, ..)| mutant.name.len())
        .max()
        .unwrap_or(0);
    for (mutant, finding, took) in rows {
        let finding = finding.unwrap_or_else(|| format!("NOT FOUND: {}", mutant.sentence));
        let (name, took) = (&mutant.name, console::time(took));
        context
            .console
            .say(&format!("{name:width$}  {finding}  ({took})"));
    }
    for (invariant, names) in by_invariant(&mutants) {
        let names = names.join(", ");
        context
            .console
            .say(&format!("invariant {invariant:>2}: {names}"));
    }
    Ok(good)
}

/// Runs what will be run for the mutants, once each, on the unchanged sources.
fn unchanged_sources_pass(workshop: &Workshop<'_>, mutants: &[Mutant]) -> Result<bool> {
    let mut tests: Vec<Option<&Test>> = Vec::new();
    for mutant in mutants {
        let test = mutant.test.as_ref();
        if !tests.contains(&test) {
            tests.push(test);
        }
    }
    let mut good = true;
    for test in tests {
        let what = test.map_or("the simulation", |test| test.filter.as_str());
        let label = format!("unchanged sources, {what}");
        let finished = workshop.test(&label, test, Expect::Success)?;
        // A filter that matches no test passes too.
        let ran = tally::harness(&finished.text).is_some_and(|tally| tally.passed > 0);
        if !(finished.success && ran) {
            workshop.context.console.say(&last_lines(&finished.text));
        }
        good &= finished.success && ran;
    }
    Ok(good)
}

/// The names of the mutants that break each invariant.
fn by_invariant(mutants: &[Mutant]) -> BTreeMap<u32, Vec<&str>> {
    let mut table: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for mutant in mutants {
        for invariant in &mutant.invariants {
            table.entry(*invariant).or_default().push(&mutant.name);
        }
    }
    table
}

/// The mutants of these names; all of them if none is named.
fn select(mut mutants: Vec<Mutant>, names: &[String]) -> Result<Vec<Mutant>> {
    let known = |name: &String| mutants.iter().any(|mutant| mutant.name == *name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(Failure::new(format!(
            "there is no tests/mutants/{name}.patch"
        )));
    }
    if !names.is_empty() {
        mutants.retain(|mutant| names.contains(&mutant.name));
    }
    Ok(mutants)
}

/// What found the mutant: the seed and the broken promise, or the named test. A mutant that does
/// not compile is not found.
fn finding(finished: &Finished, mutant: &Mutant) -> Option<String> {
    if finished.success {
        return None;
    }
    if let Some(Test { binary, filter }) = &mutant.test {
        let failed = finished.text.contains("test result: FAILED");
        return failed.then(|| format!("{binary}::{filter}"));
    }
    let line = finished
        .text
        .lines()
        .find(|line| line.starts_with("seed ") && line.contains(" breaks a promise after "))?;
    let (seed, promise) = line.split_once(": ")?;
    let seed = seed.replace(" breaks a promise", "");
    let promise: String = promise.chars().take(110).collect();
    Some(format!("{seed}: {promise}"))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(25)..)
        .unwrap_or_default()
        .join("\n")
}

fn folder(root: &Path) -> PathBuf {
    root.join("tests").join("mutants")
}

/// Reads every `.patch` file of a folder, by name.
fn read(folder: &Path) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for entry in fs::read_dir(folder).because(format!("reading {}", folder.display()))? {
        let file = entry
            .because(format!("reading {}", folder.display()))?
            .path();
        if file.extension().is_none_or(|ending| ending != "patch") {
            continue;
        }
        let name = file
            .file_stem()
            .because("a file has no name")?
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).because(format!("reading {}", file.display()))?;
        mutants.push(Mutant::parse(&name, &text)?);
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(header: &str) -> Mutant {
        let diff = "--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n-two();\n+one();\n";
        Mutant::parse("x", &format!("# A bug.\n{header}\n{diff}")).unwrap()
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
            finding(&finished(false, text), &any("")).unwrap(),
            "seed 12 after 30 steps: ann-0: lost"
        );
        assert_eq!(finding(&finished(true, "test result: ok"), &any("")), None);
    }

    #[test]
    fn what_does_not_compile_is_not_found() {
        let named = any("suite stories clocks::wrong_by_a_day\n");
        let broken = finished(false, "error: could not compile");
        assert_eq!(finding(&broken, &any("")), None);
        assert_eq!(finding(&broken, &named), None);
        let failed = finished(false, "test result: FAILED. 0 passed; 1 failed");
        assert_eq!(
            finding(&failed, &named).unwrap(),
            "stories::clocks::wrong_by_a_day"
        );
    }

    #[test]
    fn several_mutants_may_break_one_invariant() {
        let mutants = [any("invariant 3\ninvariant 1\n"), any("invariant 3\n")];
        let table = by_invariant(&mutants);
        assert_eq!(table.get(&1).unwrap().len(), 1);
        assert_eq!(table.get(&3).unwrap().len(), 2);
    }

    #[test]
    fn an_unknown_name_is_refused_before_anything_runs() {
        let failure = select(vec![any("")], &["y".to_owned()]).unwrap_err();
        assert!(failure.to_string().contains("tests/mutants/y.patch"));
        assert_eq!(select(vec![any("")], &["x".to_owned()]).unwrap().len(), 1);
        assert_eq!(select(vec![any("")], &[]).unwrap().len(), 1);
    }

    #[test]
    fn every_mutant_applies_to_the_sources_and_names_a_test_that_exists() {
        let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        let mutants = read(&folder(&root)).unwrap();
        assert!(mutants.len() >= 14, "{} mutants", mutants.len());
        let mut files = Vec::new();
        for folder in ["tests", "server/tests"] {
            workshop::collect(&root, Path::new(folder), &mut files).unwrap();
        }
        let tests: String = files
            .iter()
            .filter(|file| file.extension().is_some_and(|ending| ending == "rs"))
            .map(|file| fs::read_to_string(root.join(file)).unwrap())
            .collect();
        let problems: Vec<String> = mutants
            .iter()
            .filter_map(|mutant| {
                if let Err(failure) = workshop::check(&root, mutant) {
                    return Some(failure.to_string());
                }
                let test = mutant.test.as_ref()?;
                let binary = root.join("tests").join(format!("{}.rs", test.binary));
                let is_there = binary.is_file() || test.is_of_the_server(&root);
                let function = test.filter.rsplit("::").next()?;
                let exists = is_there
                    && tests
                        .lines()
                        .filter_map(|line| line.split_once("fn "))
                        .any(|(_, rest)| rest.contains(function));
                let Test { binary, filter } = test;
                (!exists).then(|| format!("{}: no test {binary} {filter}", mutant.name))
            })
            .collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
