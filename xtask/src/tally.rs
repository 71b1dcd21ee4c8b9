//! Counts tests in the output of the test runners. Pure: text in, numbers out.

/// The number of tests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that did not run because they are marked as ignored.
    pub ignored: u64,
}

impl Tally {
    /// Adds two tallies.
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }

    /// The number of tests, whatever their result.
    pub fn total(self) -> u64 {
        self.passed + self.failed + self.ignored
    }

    /// A text for a step's last line.
    pub fn words(self) -> String {
        let mut words = format!("{} passed", self.passed);
        for (count, what) in [(self.failed, "failed"), (self.ignored, "ignored")] {
            if count > 0 {
                words.push_str(&format!(", {count} {what}"));
            }
        }
        words
    }
}

/// Sums the closing lines of cargo's and wasm-bindgen's test harness:
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 filtered out; finished in 0.01s`.
pub fn harness(text: &str) -> Option<Tally> {
    sum(text.lines().filter_map(|line| {
        let counts = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?
            .1;
        Some(Tally {
            passed: before(counts, "passed")?,
            failed: before(counts, "failed")?,
            ignored: before(counts, "ignored").unwrap_or(0),
        })
    }))
}

/// Reads the closing line of cargo-nextest:
/// `     Summary [   0.5s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`.
pub fn nextest(text: &str) -> Option<Tally> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let counts = line.split_once("run:")?.1;
    let failed = before(counts, "failed").unwrap_or(0) + before(counts, "timed").unwrap_or(0);
    Some(Tally {
        passed: before(counts, "passed").unwrap_or(0),
        failed,
        ignored: before(counts, "skipped").unwrap_or(0),
    })
}

/// Reads the closing lines of node's test runner, in either of its formats: `ℹ pass 5`, `# fail 1`.
pub fn node(text: &str) -> Option<Tally> {
    let count = |what: &str| {
        text.lines().rev().find_map(|line| {
            let rest = line
                .trim()
                .strip_prefix(['ℹ', '#'])?
                .trim()
                .strip_prefix(what)?;
            rest.trim().parse::<u64>().ok()
        })
    };
    let failed = count("fail ")? + count("cancelled ").unwrap_or(0);
    let ignored = count("skipped ").unwrap_or(0) + count("todo ").unwrap_or(0);
    Some(Tally {
        passed: count("pass ")?,
        failed,
        ignored,
    })
}

/// Counts the tests that a harness lists, one `name: test` on each line.
pub fn listed(text: &str) -> u64 {
    text.lines()
        .filter(|line| line.ends_with(": test"))
        .map(|_| 1)
        .sum()
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Option<Tally> {
    tallies.reduce(Tally::plus)
}

/// The number before `word`.
fn before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [number, next] if next.trim_end_matches([',', ';']) == word => number.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_binaries_of_one_run_are_summed() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\nnoise\n    test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 filtered out; finished in 1.2s\n";
        assert_eq!(
            harness(text),
            Some(Tally {
                passed: 5,
                failed: 4,
                ignored: 1
            })
        );
    }

    #[test]
    fn a_run_without_a_closing_line_has_no_count() {
        assert_eq!(harness("error: could not compile"), None);
        assert_eq!(nextest("error: could not compile"), None);
        assert_eq!(node("SyntaxError"), None);
    }

    #[test]
    fn nextest_has_one_closing_line() {
        let text = "     Summary [   0.512s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n        FAIL x";
        assert_eq!(
            nextest(text),
            Some(Tally {
                passed: 9,
                failed: 3,
                ignored: 3
            })
        );
        assert_eq!(
            nextest("Summary [ 0.1s] 1 test run: 1 passed, 0 skipped"),
            Some(Tally {
                passed: 1,
                failed: 0,
                ignored: 0
            })
        );
    }

    #[test]
    fn node_has_two_formats() {
        assert_eq!(
            node("ℹ tests 6\nℹ pass 5\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0\n"),
            Some(Tally {
                passed: 5,
                failed: 1,
                ignored: 0
            })
        );
        assert_eq!(
            node("# tests 2\n# pass 2\n# fail 0\n# cancelled 0\n"),
            Some(Tally {
                passed: 2,
                failed: 0,
                ignored: 0
            })
        );
    }

    #[test]
    fn listed_tests_are_counted() {
        assert_eq!(
            listed("fence::races: test\nsuite::opens: test\nx: benchmark\n"),
            2
        );
    }
}
