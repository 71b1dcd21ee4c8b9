//! A bug to plant: a sentence, and exact replacements in the sources. Pure: text in, text out.
//!
//! A `.plant` file begins with `# ` and the sentence. `suite NAME FILTER` names the story that must
//! find it, where the simulation cannot; without it, the simulation must. `in PATH` begins a
//! replacement: lines that begin with a space or a minus are what stands there, in one piece and
//! once only; those with a space or a plus are put in its place. Nothing depends on line numbers.

use crate::failure::{Because, Failure, Result};

/// A bug.
#[derive(Debug, PartialEq, Eq)]
pub struct Plant {
    /// Its name: that of its file.
    pub name: String,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// The native suite and the test in it that must find it; none for the simulation.
    pub suite: Option<(String, String)>,
    /// What is replaced.
    pub edits: Vec<Edit>,
}

/// One replacement.
#[derive(Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file, from the workspace's root.
    pub path: String,
    was: String,
    is: String,
}

impl Plant {
    /// Reads a `.plant` file.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut plant = Self {
            name: name.to_owned(),
            sentence: String::new(),
            suite: None,
            edits: Vec::new(),
        };
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("# ") {
                plant.sentence = [plant.sentence.as_str(), words].join(" ").trim().to_owned();
            } else if let Some(words) = line.strip_prefix("suite ") {
                let (suite, filter) = words
                    .split_once(' ')
                    .because(format!("{name}: `suite` needs a suite and a test"))?;
                plant.suite = Some((suite.to_owned(), filter.to_owned()));
            } else if let Some(path) = line.strip_prefix("in ") {
                plant.edits.push(Edit {
                    path: path.trim().to_owned(),
                    was: String::new(),
                    is: String::new(),
                });
            } else if let Some((kind, code)) = line.split_at_checked(1) {
                let edit = plant
                    .edits
                    .last_mut()
                    .because(format!("{name}: a line stands before any `in`"))?;
                let (was, is) = match kind {
                    " " => (true, true),
                    "-" => (true, false),
                    "+" => (false, true),
                    _ => {
                        return Err(Failure::new(format!(
                            "{name}: a line begins with neither space, minus nor plus: {line}"
                        )));
                    }
                };
                for (taken, side) in [(was, &mut edit.was), (is, &mut edit.is)] {
                    if taken {
                        side.push_str(code);
                        side.push('\n');
                    }
                }
            }
        }
        if plant.sentence.is_empty() || plant.edits.is_empty() {
            return Err(Failure::new(format!(
                "{name}: a sentence (`# …`) and a replacement (`in …`) are needed"
            )));
        }
        Ok(plant)
    }

    /// Plants it into the text of one of its files.
    pub fn apply(&self, edit: &Edit, text: &str) -> Result<String> {
        match text.matches(&edit.was).count() {
            1 => Ok(text.replacen(&edit.was, &edit.is, 1)),
            0 => Err(Failure::new(format!(
                "{} does not fit {} any more: what it replaces is not there",
                self.name, edit.path
            ))),
            times => Err(Failure::new(format!(
                "{} fits {} in {times} places: give it more context",
                self.name, edit.path
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "# The second is lost,\n# silently.\nin src/a.rs\n fn f() {\n-    two();\n+    one();\n }\n";

    #[test]
    fn a_bug_is_read_and_planted() {
        let plant = Plant::parse("second-lost", TEXT).unwrap();
        assert_eq!(
            (
                plant.sentence.as_str(),
                plant.suite.as_ref(),
                plant.edits.len()
            ),
            ("The second is lost, silently.", None, 1)
        );
        let planted = plant
            .apply(&plant.edits[0], "use x;\nfn f() {\n    two();\n}\n")
            .unwrap();
        assert_eq!(planted, "use x;\nfn f() {\n    one();\n}\n");
    }

    #[test]
    fn what_does_not_fit_exactly_once_is_refused() {
        let plant = Plant::parse("second-lost", TEXT).unwrap();
        assert!(
            plant
                .apply(&plant.edits[0], "fn f() {}\n")
                .unwrap_err()
                .to_string()
                .contains("any more")
        );
        let twice = "fn f() {\n    two();\n}\n".repeat(2);
        assert!(
            plant
                .apply(&plant.edits[0], &twice)
                .unwrap_err()
                .to_string()
                .contains("2 places")
        );
        assert!(Plant::parse("x", "# Only words.\n").is_err());
        assert!(Plant::parse("x", "# Words.\n-line\n").is_err());
    }

    #[test]
    fn every_planted_bug_still_fits_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut count = 0;
        for entry in std::fs::read_dir(root.join("tests/planted")).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let plant = Plant::parse(&name, &std::fs::read_to_string(&file).unwrap()).unwrap();
            for edit in &plant.edits {
                let text = std::fs::read_to_string(root.join(&edit.path)).unwrap();
                assert!(
                    plant.apply(edit, &text).unwrap() != text,
                    "{name} changes nothing in {}",
                    edit.path
                );
            }
            if let Some((suite, _)) = &plant.suite {
                assert!(
                    root.join("tests").join(format!("{suite}.rs")).is_file(),
                    "{name}: there is no tests/{suite}.rs"
                );
            }
            count += 1;
        }
        assert!(count >= 14, "{count} bugs are planted");
    }
}
