//! The browser suites: every `tests/browser_*.rs`, run in each engine.
//!
//! A suite without `run_in_browser`, or one whose page crashes, would pass silently. So the tests
//! in the compiled module are counted first, and a run of another number fails.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Failure, Result},
    nudge::Nudge,
    process::{self, Finished},
    tally::{self, Tally},
};

/// The result of one suite in one engine.
pub struct Outcome {
    /// Whether all its tests ran and passed.
    pub good: bool,
    /// The tests that ran.
    pub tally: Tally,
    /// Why it failed.
    pub problem: Option<String>,
}

/// A compiled suite and the number of tests in it.
pub struct Suite {
    /// The name of its file, without the ending.
    pub name: String,
    /// The tests that match the filter.
    pub expected: u64,
}

/// Compiles the suites and counts their tests.
pub fn compile(context: &Context, filter: Option<&str>) -> Result<Vec<Suite>> {
    if context.suites.is_empty() {
        return Err(Failure::new(
            "there is no tests/browser_*.rs: no browser test would run",
        ));
    }
    let mut command = context.cargo(&[
        "test",
        "--package",
        "datum-sync",
        "--target",
        "wasm32-unknown-unknown",
        "--no-run",
    ]);
    command.args(["--message-format", "json-render-diagnostics"]);
    context.suites.iter().for_each(|suite| {
        command.args(["--test", suite]);
    });
    let finished = process::run(
        &context.console,
        "compiling the browser suites",
        &mut command,
        LIMIT,
    )?;
    context
        .suites
        .iter()
        .map(|name| count(context, name, &finished.text, filter))
        .collect()
}

fn count(context: &Context, name: &str, messages: &str, filter: Option<&str>) -> Result<Suite> {
    let module = messages
        .lines()
        .find_map(|line| module(line, name))
        .because(format!("cargo built no module for {name}"))?;
    let mut command = context.command("wasm-bindgen-test-runner");
    command.arg(module).arg("--list");
    let all = tally::listed(&process::capture(&mut command)?);
    if all == 0 {
        return Err(Failure::new(format!(
            "tests/{name}.rs has no #[wasm_bindgen_test]: delete it, or give it a test"
        )));
    }
    let expected = match filter {
        None => all,
        Some(filter) => tally::listed(&process::capture(command.arg(filter))?),
    };
    Ok(Suite {
        name: name.to_owned(),
        expected,
    })
}

/// The path of the suite's module, if this line of cargo's JSON names it.
fn module(line: &str, suite: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    let file = message.get("executable")?.as_str()?;
    (name == suite).then(|| PathBuf::from(file))
}

/// Runs one suite in one engine. A driver that does not start is tried again, and a module whose
/// memory the engine has damaged; a failed test is not.
pub fn run(
    context: &Context,
    suite: &Suite,
    engine: Engine,
    filter: Option<&str>,
) -> Result<Outcome> {
    let once = |label: String| {
        let nudge = Nudge::begin()?;
        let mut command = engine.command(context)?;
        command.env("WASM_BINDGEN_TEST_ADDRESS", nudge.address().to_string());
        command.args(["--test", &suite.name]);
        if let Some(filter) = filter {
            command.args(["--", filter]);
        }
        process::attempt(&context.console, &label, &mut command, LIMIT, |finished| {
            let outcome = judge(suite, finished);
            (outcome.good, outcome.tally.words())
        })
    };
    let label = format!("{} in {}", suite.name, engine.name());
    let mut finished = once(label.clone())?;
    if driver_failed(&finished) {
        finished = once(format!(
            "{label}, again, since the driver did not start the browser"
        ))?;
    }
    if engine == Engine::Webkit && memory_was_damaged(&finished) {
        finished = once(format!(
            "{label}, again, since JavaScriptCore has damaged the module's memory (see docs/limits.md)"
        ))?;
    }
    let outcome = judge(suite, &finished);
    if let Some(problem) = &outcome.problem {
        context
            .console
            .say(&format!("{}\n{label}: {problem}", finished.text));
    }
    Ok(outcome)
}

/// Returns true if the runner started a driver and no page was loaded.
fn driver_failed(finished: &Finished) -> bool {
    let text = &finished.text;
    !finished.success
        && text.contains("Running headless tests in")
        && !text.contains("running ")
        && !text.contains("Failed to detect test")
        || text.contains("driver failed to")
}

/// Returns true if the allocator found its own tables broken: JavaScriptCore can damage the memory
/// of a module that grows, whichever allocator it has, and every later call then fails.
fn memory_was_damaged(finished: &Finished) -> bool {
    !finished.success
        && finished.text.contains("(evaluating 'malloc(")
        && finished.text.contains("talc::cell::TalcCell")
}

fn judge(suite: &Suite, finished: &Finished) -> Outcome {
    let tally = tally::harness(&finished.text).unwrap_or_default();
    let problem = if tally.total() != suite.expected {
        let hint = if tally.total() == 0 {
            " Does the file say wasm_bindgen_test_configure!(run_in_browser)?"
        } else {
            ""
        };
        Some(format!(
            "{} of {} tests ran.{hint}",
            tally.total(),
            suite.expected
        ))
    } else if !finished.success || tally.failed > 0 {
        Some(tally.words())
    } else {
        None
    };
    Outcome {
        good: problem.is_none(),
        tally,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(expected: u64, success: bool, text: &str) -> Outcome {
        judge(
            &Suite {
                name: "browser_store".into(),
                expected,
            },
            &Finished {
                success,
                text: text.into(),
            },
        )
    }

    #[test]
    fn only_a_broken_allocator_is_damaged_memory() {
        let damaged = |success, text: &str| {
            memory_was_damaged(&Finished {
                success,
                text: text.into(),
            })
        };
        let text = "RuntimeError: Unreachable code (evaluating 'malloc(len, 1)')\n talc::cell::TalcCell<S,B>::borrow";
        assert!(damaged(false, text));
        assert!(!damaged(true, text));
        assert!(!damaged(false, "assertion `left == right` failed"));
    }

    #[test]
    fn a_silently_skipped_suite_fails() {
        let outcome = judged(
            4,
            true,
            "This test suite is only configured to run in node.js, but we're only running\nbrowser tests so skipping.",
        );
        assert!(!outcome.good);
        assert!(outcome.problem.unwrap().contains("run_in_browser"));
    }

    #[test]
    fn a_suite_that_ran_fewer_tests_than_it_has_fails() {
        assert!(
            !judged(
                4,
                true,
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 filtered out"
            )
            .good
        );
        assert!(
            judged(
                4,
                true,
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 filtered out"
            )
            .good
        );
    }

    #[test]
    fn only_a_driver_that_does_not_start_is_tried_again() {
        let finished = |text: &str| Finished {
            success: false,
            text: text.into(),
        };
        assert!(driver_failed(&finished(
            "Running headless tests in Chrome on `http://127.0.0.1:1`\nError: session not created"
        )));
        assert!(driver_failed(&finished(
            "Error: driver failed to bind port during startup"
        )));
        assert!(!driver_failed(&finished(
            "Running headless tests in Chrome on `x`\nrunning 3 tests\ntest a ... FAIL"
        )));
        assert!(!driver_failed(&finished(
            "Running headless tests in Chrome\nFailed to detect test as having been run. It might have timed out."
        )));
        assert!(!driver_failed(&finished("error: could not compile")));
    }

    #[test]
    fn the_module_of_a_suite_is_found_among_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"browser_store"},"executable":"/t/browser_store-1.wasm"}"#;
        assert_eq!(
            module(line, "browser_store"),
            Some(PathBuf::from("/t/browser_store-1.wasm"))
        );
        assert_eq!(module(line, "browser_api"), None);
        assert_eq!(
            module(
                r#"{"reason":"compiler-artifact","target":{"name":"browser_store"},"executable":null}"#,
                "browser_store"
            ),
            None
        );
        assert_eq!(module("   Compiling x", "browser_store"), None);
    }
}
