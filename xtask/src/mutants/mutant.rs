//! One mutant: a bug to put into the sources, and what must find it. Pure: text in, text out.
//!
//! A `.patch` file in `tests/mutants` is a header, an empty line and a unified diff for `git
//! apply`. The header says what is wrong (`# sentence`), which invariant of ARCHITECTURE.md that
//! breaks (`invariant 3`, repeated for more than one), and which test must fail (`suite BINARY
//! FILTER`). Without a `suite` line the simulation must find it.

use std::path::Path;

use crate::failure::{Because, Failure, Result};

/// A bug to put into the sources.
#[derive(Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The name of its file, without the ending.
    pub name: String,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// The numbers of the invariants that it breaks.
    pub invariants: Vec<u32>,
    /// The test that must fail; the simulation if there is none.
    pub test: Option<Test>,
    /// A unified diff of the sources.
    pub diff: String,
}

/// A native test, as `cargo test --test BINARY FILTER` finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The test binary: `tests/BINARY.rs`, or `server/tests/BINARY.rs`.
    pub binary: String,
    /// A part of the test's path in it.
    pub filter: String,
}

impl Test {
    /// Returns true for a test of the server in the sources at `root`.
    pub fn is_of_the_server(&self, root: &Path) -> bool {
        let name = format!("tests/{}.rs", self.binary);
        !root.join(&name).exists() && root.join("server").join(&name).exists()
    }
}

impl Mutant {
    /// Reads a `.patch` file.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let fail = |what: &str| Failure::new(format!("tests/mutants/{name}.patch: {what}"));
        let (header, diff) = text
            .split_once("\n\n")
            .ok_or_else(|| fail("no empty line between the header and the diff"))?;
        let mut mutant = Self {
            name: name.to_owned(),
            sentence: String::new(),
            invariants: Vec::new(),
            test: None,
            diff: diff.to_owned(),
        };
        for line in header.lines() {
            match line.split_once(' ') {
                Some(("#", words)) => {
                    if !mutant.sentence.is_empty() {
                        mutant.sentence.push(' ');
                    }
                    mutant.sentence.push_str(words.trim());
                }
                Some(("invariant", number)) => {
                    let number = number
                        .trim()
                        .parse()
                        .because(fail(&format!("`{line}` names no invariant")))?;
                    mutant.invariants.push(number);
                }
                Some(("suite", words)) if mutant.test.is_none() => {
                    let (binary, filter) = words
                        .split_once(' ')
                        .ok_or_else(|| fail("`suite` needs a test binary and a filter"))?;
                    mutant.test = Some(Test {
                        binary: binary.to_owned(),
                        filter: filter.trim().to_owned(),
                    });
                }
                _ => {
                    return Err(fail(&format!(
                        "the header has `{line}`: only `# sentence`, `invariant NUMBER` and one \
                         `suite BINARY FILTER` are known"
                    )));
                }
            }
        }
        if mutant.sentence.is_empty() {
            return Err(fail("no `# sentence` says what is wrong"));
        }
        if !mutant.diff.contains("\n+++ ") {
            return Err(fail("no unified diff after the header"));
        }
        Ok(mutant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/src/a.rs b/src/a.rs\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1 +1 @@\n-two();\n+one();\n";

    fn parse(header: &str) -> Result<Mutant> {
        Mutant::parse("second-lost", &format!("{header}\n{DIFF}"))
    }

    #[test]
    fn a_header_is_read_and_the_diff_is_kept_as_it_is() {
        let mutant = parse("# The second is lost,\n# silently.\n").unwrap();
        let expected = Mutant {
            name: "second-lost".into(),
            sentence: "The second is lost, silently.".into(),
            invariants: vec![],
            test: None,
            diff: DIFF.into(),
        };
        assert_eq!(mutant, expected);
    }

    #[test]
    fn a_header_names_its_invariants_and_its_test() {
        let mutant =
            parse("# Lost.\ninvariant 3\ninvariant 12\nsuite stories conflicts::late\n").unwrap();
        assert_eq!(mutant.invariants, [3, 12]);
        let test = Test {
            binary: "stories".into(),
            filter: "conflicts::late".into(),
        };
        assert_eq!(mutant.test, Some(test));
    }

    #[test]
    fn a_bad_header_is_refused_with_the_name_of_its_file() {
        for (header, said) in [
            ("suite stories late\n", "no `# sentence`"),
            ("# Lost.\nsuite stories\n", "needs a test binary"),
            ("# Lost.\ninvariant three\n", "names no invariant"),
            ("# Lost.\nsuit stories late\n", "`suit stories late`"),
            ("# Lost.\nsuite a b\nsuite c d\n", "`suite c d`"),
        ] {
            let failure = parse(header).unwrap_err().to_string();
            assert!(failure.contains(said), "{failure}");
            assert!(failure.contains("tests/mutants/second-lost.patch"));
        }
        assert!(Mutant::parse("x", "# Only words.\n").is_err());
        assert!(Mutant::parse("x", "# Words.\n\nand no diff\n").is_err());
    }
}
