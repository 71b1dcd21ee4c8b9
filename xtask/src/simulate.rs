//! `cargo xtask simulate`: runs the seeded histories of `tests/simulation.rs`. A failure prints the
//! shortest history that fails.

use std::time::Duration;

use crate::{context::Context, failure::Result, process};

/// A hundred thousand histories take about half an hour on two cores.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Which histories to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Histories {
    /// Their number.
    pub seeds: u64,
    /// The first seed.
    pub from: u64,
    /// The number of random steps in each.
    pub steps: Option<u64>,
}

/// Runs them. False if one breaks an invariant.
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
