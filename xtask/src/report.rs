//! The steps of a test run: each is timed and counted, and a failed one does not stop the others. The
//! last line is for machines.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::{
    console::time,
    context::{Context, LIMIT},
    failure::{Failure, Result},
    process,
    tally::Tally,
};

/// The result of one step.
struct Row {
    name: String,
    good: bool,
    tally: Tally,
    took: std::time::Duration,
    problem: Option<String>,
}

/// The steps that have ended.
pub struct Report<'a> {
    pub context: &'a Context,
    rows: Vec<Row>,
    started: Instant,
}

/// Whether the step succeeded, and the tests that it counted.
pub type StepResult = Result<(bool, Tally)>;

/// A step that is still to run.
pub type NamedStep<'w> = (&'w str, Box<dyn FnOnce() -> StepResult + Send + 'w>);

impl<'a> Report<'a> {
    /// Begins a report without steps.
    pub fn new(context: &'a Context) -> Self {
        Self {
            context,
            rows: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Runs a step and records its result.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> StepResult) {
        let row = row(self.context, name, work);
        self.rows.push(row);
    }

    /// Runs lists of steps at once, those of each list one after another, and records their results.
    pub fn together<'w>(&mut self, lists: Vec<Vec<NamedStep<'w>>>) {
        let context = self.context;
        let run = |(name, work): NamedStep<'w>| {
            let broken = || Err(Failure::new("it ended by a panic"));
            catch_unwind(AssertUnwindSafe(|| row(context, name, work)))
                .unwrap_or_else(|_| row(context, name, broken))
        };
        let rows: Vec<Row> = context.console.plainly(|| {
            std::thread::scope(|scope| {
                let mut running = Vec::new();
                for list in lists {
                    running
                        .push(scope.spawn(move || list.into_iter().map(run).collect::<Vec<_>>()));
                }
                let ended = running.into_iter().map(|list| list.join());
                ended.flat_map(|rows| rows.unwrap_or_default()).collect()
            })
        });
        self.rows.extend(rows);
    }

    /// Runs a cargo command that succeeds or fails and counts no tests.
    pub fn check(&mut self, name: &str, args: &[&str]) {
        let context = self.context;
        self.step(name, || {
            process::attempt_shown(&context.console, name, &mut context.cargo(args), LIMIT)
                .map(|finished| (finished.success, Tally::default()))
        });
    }

    /// Runs a cargo command that runs tests; `count` reads their number from its output.
    pub fn tests(
        &mut self,
        name: &str,
        args: &[&str],
        filter: Option<&str>,
        count: fn(&str) -> Option<Tally>,
    ) {
        let context = self.context;
        self.step(name, || {
            let mut command = context.cargo(args);
            command.args(filter);
            let finished = process::attempt_shown(&context.console, name, &mut command, LIMIT)?;
            Ok((finished.success, count(&finished.text).unwrap_or_default()))
        });
    }

    /// Prints the table and the line for machines. True if all steps succeeded and at least one
    /// test passed.
    pub fn close(&self) -> bool {
        let console = &self.context.console;
        console.say("");
        for row in &self.rows {
            let mark = if row.good { "✓" } else { "✗" };
            let count = match (row.tally.total(), &row.problem) {
                (0, Some(_)) => "did not run".to_owned(),
                (0, None) => String::new(),
                _ => row.tally.words(),
            };
            console.say(&format!(
                "{mark} {:<40}{:<28}{:>14}",
                row.name,
                count,
                time(row.took)
            ));
        }
        let (passed, failed) = totals(&self.rows);
        console.say(&format!(
            "  {:<68}{:>14}\n",
            "all",
            time(self.started.elapsed())
        ));
        console.say(&format!("{passed} passed, {failed} failed"));
        failed == 0 && passed > 0
    }
}

/// Runs a step.
fn row(context: &Context, name: &str, work: impl FnOnce() -> StepResult) -> Row {
    let started = Instant::now();
    let (good, tally, problem) = match work() {
        Ok((good, tally)) => (good, tally, None),
        Err(failure) => (false, Tally::default(), Some(failure.to_string())),
    };
    if let Some(problem) = &problem {
        context.console.say(&format!("✗ {name}: {problem}"));
    }
    Row {
        name: name.to_owned(),
        good,
        tally,
        took: started.elapsed(),
        problem,
    }
}

/// The number of tests that passed and that failed. A step that failed without naming a test counts
/// as one failure.
fn totals(rows: &[Row]) -> (u64, u64) {
    let sum = rows
        .iter()
        .fold(Tally::default(), |sum, row| sum.plus(row.tally));
    let silent: u64 = rows
        .iter()
        .filter(|row| !row.good && row.tally.failed == 0)
        .map(|_| 1)
        .sum();
    (sum.passed, sum.failed + silent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Because as _;

    fn ended(good: bool, passed: u64, failed: u64) -> Row {
        Row {
            name: String::new(),
            good,
            tally: Tally {
                passed,
                failed,
                ignored: 0,
            },
            took: std::time::Duration::ZERO,
            problem: None,
        }
    }

    #[test]
    fn lists_of_steps_run_at_once_and_a_panic_of_one_is_its_failure() {
        let context = Context::new(false).unwrap();
        let mut report = Report::new(&context);
        let (said, heard) = std::sync::mpsc::channel();
        let good = || Ok((true, Tally::default()));
        let hears = move || {
            let limit = std::time::Duration::from_secs(60);
            heard.recv_timeout(limit).because("hearing the other")?;
            good()
        };
        let says = move || {
            said.send(()).because("saying")?;
            good()
        };
        report.together(vec![
            vec![
                ("hears", Box::new(hears)),
                ("breaks", Box::new(|| panic!("a fault of ours"))),
                ("goes on", Box::new(good)),
            ],
            vec![("says", Box::new(says))],
        ]);
        let ended: Vec<_> = report
            .rows
            .iter()
            .map(|row| (&*row.name, row.good))
            .collect();
        assert_eq!(
            ended,
            [
                ("hears", true),
                ("breaks", false),
                ("goes on", true),
                ("says", true)
            ]
        );
    }

    #[test]
    fn a_step_that_fails_without_naming_a_test_counts_as_one() {
        assert_eq!(
            totals(&[
                ended(true, 5, 0),
                ended(false, 0, 0),
                ended(false, 3, 2),
                ended(false, 4, 0)
            ]),
            (12, 4)
        );
    }
}
