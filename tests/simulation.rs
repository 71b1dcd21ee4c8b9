//! Many seeded histories of users, devices and tabs with everything going wrong, judged by a model that
//! knows every promise that was made. `SIM_SEEDS` sets how many, `SIM_SEED` replays one, `SIM_STEPS` how long.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects, missing_docs)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::simulation::story::Story;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// What went wrong in a history, and all that happened in it.
fn run(seed: u64, steps: u64) -> Option<(String, Vec<String>)> {
    let mut story = Story::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| story.run(steps)));
    let wrong = match ended {
        Ok(Ok(())) => return None,
        Ok(Err(wrong)) => wrong,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("panic: {}", words.unwrap_or_default())
        }
    };
    let trace = story.trace.take();
    // A broken history is dropped as it stands: its tasks may hold each other.
    std::mem::forget(story);
    Some((wrong, trace))
}

/// The shortest prefix of the history that goes wrong.
fn shortest(seed: u64, steps: u64) -> (u64, String, Vec<String>) {
    let (mut good, mut bad) = (0, steps);
    let mut found = run(seed, steps).expect("it has just failed");
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match run(seed, middle) {
            Some(wrong) => (bad, found) = (middle, wrong),
            None => good = middle,
        }
    }
    (bad, found.0, found.1)
}

#[test]
fn no_history_breaks_a_promise() {
    let steps = setting("SIM_STEPS").unwrap_or(60);
    let (from, count) = match setting("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (setting("SIM_FROM").unwrap_or(0), setting("SIM_SEEDS").unwrap_or(300)),
    };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let began = std::time::Instant::now();
    let failed = (from..from + count).find(|seed| {
        let done = seed - from;
        if setting("SIM_PROGRESS").is_some() && done % 100 == 0 {
            let tenths = (done * 20 / count) as usize;
            let pace = done as f64 / began.elapsed().as_secs_f64().max(0.001);
            eprintln!("[{}{}] {done} of {count}, {pace:.0} a second", "#".repeat(tenths), "-".repeat(20 - tenths));
        }
        run(*seed, steps).is_some()
    });
    let report = failed.map(|seed| (seed, shortest(seed, steps)));
    std::panic::set_hook(quiet);
    if let Some((seed, (steps, wrong, trace))) = report {
        panic!("seed {seed}, {steps} steps: {wrong}\n{}", trace.join("\n"));
    }
}
