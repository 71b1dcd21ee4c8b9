//! Seeded random histories of users, devices and tabs under faults. A model that knows every
//! promise checks them after each step and at the end. `SIM_SEEDS` is the number of histories,
//! `SIM_FROM` the first seed, `SIM_SEED` replays one, `SIM_STEPS` sets their length, `SIM_THREADS`
//! the threads; `SIM_SHRINK=0` reports a failure without shrinking it; `SIM_TRACE` shows all that
//! happens.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "simulation/actions.rs"]
mod actions;
#[path = "simulation/adapter.rs"]
mod adapter;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/final_checks.rs"]
mod final_checks;
#[path = "simulation/log_checks.rs"]
mod log_checks;
#[path = "simulation/meetings.rs"]
mod meetings;
#[path = "simulation/misbehaviour.rs"]
mod misbehaviour;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/operator.rs"]
mod operator;
#[path = "simulation/ports.rs"]
mod ports;
#[path = "simulation/pull_checks.rs"]
mod pull_checks;
#[path = "simulation/push_checks.rs"]
mod push_checks;
#[path = "simulation/queries.rs"]
mod queries;
#[path = "simulation/roaming.rs"]
mod roaming;
#[path = "simulation/server_checks.rs"]
mod server_checks;
#[path = "simulation/shrink.rs"]
mod shrink;
#[path = "simulation/space_checks.rs"]
mod space_checks;
#[path = "simulation/spaces.rs"]
mod spaces;
#[path = "simulation/storage.rs"]
mod storage;
mod support;
#[path = "simulation/tasks.rs"]
mod tasks;
#[path = "simulation/traces.rs"]
mod traces;
#[path = "simulation/updates.rs"]
mod updates;
#[path = "simulation/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use dice::Script;
use shrink::{Ended, reduce, smallest};
use world::World;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number"))
    })
}

/// Plays one history.
fn play(script: &Script) -> Ended {
    let mut world = World::new(script.clone());
    let wrong = match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(ended) => ended.err(),
        Err(panic) => {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panic: {}", words.unwrap_or_default()))
        }
    };
    let ended = Ended {
        trace: world.trace.take(),
        happened: world.dice.happened.take(),
        played: world.played,
        wrong,
    };
    if ended.wrong.is_some() {
        // A broken history is left as it stands: its tasks may hold each other.
        std::mem::forget(world);
    }
    ended
}

/// What a person needs to see of a failure: which history, what went wrong, and all that led there.
fn report(script: Script, first: &Ended) -> String {
    let (seed, whole) = (script.seed, script.steps.len());
    let found = format!("seed {seed} breaks a promise after {} steps", first.played);
    if setting("SIM_SHRINK") == Some(0) {
        return format!("{found}: {}", first.wrong.as_deref().unwrap_or_default());
    }
    let (script, ended) = smallest(script, &play);
    let (steps, faults) = (script.steps.len(), ended.happened.len());
    let wrong = ended.wrong.unwrap_or_default();
    format!(
        "{found}.\nThe smallest history that does: {steps} of {whole} steps, {faults} faults.\n\n{wrong}\n\n{}",
        ended.trace.join("\n")
    )
}

fn show_progress(done: u64, count: u64, steps: u64, began: Instant) {
    let tenths = (done * 20 / count.max(1)) as usize;
    let pace = done as f64 / began.elapsed().as_secs_f64().max(0.001);
    eprintln!(
        "[{}{}] {done} of {count} histories, {steps} steps, {pace:.0} a second",
        "#".repeat(tenths),
        "-".repeat(20 - tenths)
    );
}

#[test]
fn no_history_breaks_a_promise() {
    let steps = setting("SIM_STEPS").unwrap_or(60);
    let (from, count) = match setting("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            setting("SIM_FROM").unwrap_or(0),
            setting("SIM_SEEDS").unwrap_or(500),
        ),
    };
    let threads = setting("SIM_THREADS")
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |all| all.get() as u64));
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (next, done, played, over) = (
        AtomicU64::new(from),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicBool::new(false),
    );
    let (failed, began) = (Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= from + count {
                        return;
                    }
                    let traced = setting("SIM_TRACE").is_some();
                    let ended = play(&Script {
                        traced,
                        ..Script::whole(seed, steps)
                    });
                    if traced {
                        eprintln!("{}", ended.trace.join("\n"));
                    }
                    let all = played.fetch_add(ended.played, Ordering::SeqCst) + ended.played;
                    if ended.wrong.is_some() {
                        over.store(true, Ordering::SeqCst);
                        failed.lock().unwrap().push((seed, ended));
                        return;
                    }
                    let done = done.fetch_add(1, Ordering::SeqCst) + 1;
                    if setting("SIM_PROGRESS")
                        .is_some_and(|every| done % every.max(1) == 0 || done == count)
                    {
                        show_progress(done, count, all, began);
                    }
                }
            });
        }
    });
    let first = failed
        .into_inner()
        .unwrap()
        .into_iter()
        .min_by_key(|(seed, _)| *seed);
    let report = first.map(|(seed, ended)| report(Script::whole(seed, steps), &ended));
    std::panic::set_hook(quiet);
    if let Some(report) = report {
        panic!("{report}");
    }
    traces::check_counts();
}

#[test]
fn a_history_is_always_the_same() {
    for seed in [7, 1_000_004] {
        let script = Script {
            traced: true,
            ..Script::whole(seed, 40)
        };
        let (one, two) = (play(&script), play(&script));
        assert!(one.trace.len() > 40);
        assert_eq!(one.trace, two.trace);
        assert_eq!(one.happened, two.happened);
        assert!(!one.happened.is_empty(), "nothing goes wrong in {seed}");
    }
}

#[test]
fn leaving_out_a_step_or_a_fault_changes_nothing_before_it() {
    let whole = Script::whole(7, 40);
    let happened = play(&whole).happened;
    let left_out = *happened.last().unwrap();
    let without = Script {
        left_out: [left_out].into(),
        ..whole.clone()
    };
    assert!(!play(&without).happened.contains(&left_out));
    let shorter = Script {
        steps: whole.steps[..20].to_vec(),
        ..whole.clone()
    };
    let before = |faults: &[(u64, u64)]| {
        faults
            .iter()
            .filter(|(step, _)| *step < 20)
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(before(&play(&shorter).happened), before(&happened));
}

#[test]
fn shrinking_keeps_what_the_failure_needs_and_nothing_else() {
    let mut tries = 0;
    let left = reduce((0..100).collect(), &mut |items: &[u64]| {
        tries += 1;
        items.contains(&17) && items.contains(&80)
    });
    assert_eq!(left, [17, 80]);
    assert!(tries < 100, "{tries}");
}
