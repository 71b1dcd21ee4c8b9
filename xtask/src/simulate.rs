//! Many seeded histories: how many, from which seed, and how they go on. The histories themselves
//! are `tests/simulation.rs`; a failure prints the shortest one that goes wrong.

use std::time::Duration;

use crate::{context::Context, failure::Result, process};

/// A hundred thousand take about half an hour on two cores.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Which histories to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Histories {
    /// How many.
    pub seeds: u64,
    /// The first seed.
    pub from: u64,
    /// How often the dice act in each.
    pub steps: Option<u64>,
}

/// Runs them. False where one breaks a promise.
pub fn run(context: &Context, histories: &Histories) -> Result<bool> {
    let mut cargo = context.cargo(&[
        "test",
        "--package",
        "datum-sync",
        "--profile",
        "simulation",
        "--test",
        "simulation",
        "--",
        "--nocapture",
    ]);
    cargo
        .env("SIM_PROGRESS", "100")
        .env("SIM_SEEDS", histories.seeds.to_string())
        .env("SIM_FROM", histories.from.to_string());
    if let Some(steps) = histories.steps {
        cargo.env("SIM_STEPS", steps.to_string());
    }
    let label = match histories.seeds {
        1 => format!("the history of seed {}", histories.from),
        seeds => format!("{seeds} histories from seed {}", histories.from),
    };
    process::attempt_shown(&context.console, &label, &mut cargo, LIMIT)
        .map(|finished| finished.success)
}
