//! `cargo xtask test` and `cargo xtask ci`: which steps run, and the summary of their results.
//!
//! A step that fails does not stop the others, so one run shows everything. The last line is for
//! machines.

use std::path::{Path, PathBuf};

use crate::{
    args::Plan,
    backends, bench,
    context::{Context, LIMIT},
    demo,
    engines::Engine,
    failure::Result,
    fuzz, imports, node,
    pack::{self, Kind},
    process, replay,
    report::{Report, StepResult},
    server::{self, Profile},
    suites,
    tally::{self, Tally},
    tools, types,
};

/// How long `ci` fuzzes each target, in seconds: enough to see that all of them still run.
const FUZZ_SECONDS: u64 = 3;

/// Tests that share a server, which takes a second to make: nextest would make one for each of them,
/// since it runs each in a process of its own.
const SHARING: [&str; 2] = ["postgres", "kit"];

/// How long one file of end-to-end tests may take, in milliseconds: to Node 20 a file is a test. Its
/// tests and hooks have limits of their own, in `lib/test.mjs`.
const FILE_LIMIT: &str = "--test-timeout=600000";

/// Runs the plan. False if anything failed.
pub fn run(context: &Context, plan: &Plan) -> Result<bool> {
    let mut report = Report::new(context);
    install(context, plan)?;
    steps(&mut report, plan);
    Ok(report.close())
}

/// Everything: all tests in three engines, the package's budget and the demo.
pub fn ci(context: &Context) -> Result<bool> {
    let plan = Plan {
        checks: true,
        native: true,
        engines: Engine::ALL.to_vec(),
        end_to_end: true,
        filter: None,
    };
    let mut report = Report::new(context);
    install(context, &plan)?;
    let tarball = steps(&mut report, &plan);
    report.step("fuzzing", || {
        let runs = fuzz::Runs {
            target: None,
            seconds: FUZZ_SECONDS,
            input: None,
        };
        fuzz::run(context, &runs).map(|good| (good, Tally::default()))
    });
    if let Some(tarball) = tarball {
        report.step("benchmark, quick", || {
            let server = server::build(context, Profile::Dev)?;
            bench::smoke(context, &server, &tarball).map(|good| (good, Tally::default()))
        });
        report.step("demo, driven by itself", || {
            demo::headless(context, Kind::Release, None).map(|good| (good, Tally::default()))
        });
    }
    Ok(report.close())
}

/// Installs all tools first: a machine that lacks one fails right away, and not after minutes of
/// work.
fn install(context: &Context, plan: &Plan) -> Result<()> {
    let browsers = !plan.engines.is_empty() || plan.end_to_end;
    if plan.checks || browsers {
        tools::wasm_target(context)?;
    }
    if browsers {
        let mut engines = plan.engines.clone();
        if plan.end_to_end && !engines.contains(&Engine::Chromium) {
            engines.push(Engine::Chromium);
        }
        tools::browsers(context, &engines)?;
        tools::browser_tests(context)?;
    }
    if plan.end_to_end {
        node::install(context, &context.e2e())?;
        backends::install(context)?;
    }
    Ok(())
}

/// Runs the plan's steps and returns the tarball, if it was made.
fn steps(report: &mut Report<'_>, plan: &Plan) -> Option<PathBuf> {
    let context = report.context;
    let filter = plan.filter.as_deref();
    if plan.checks || !plan.engines.is_empty() {
        // First: the wasm of the browser suites needs the scripts that this compiles.
        report.step("types", || {
            types::run(context).map(|good| (good, Tally::default()))
        });
    }
    if plan.checks {
        report.check("format", &["fmt", "--all", "--check"]);
        report.check(
            "format, fuzzing",
            &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"],
        );
        report.check(
            "lints, native",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        );
        let wasm = [
            "clippy",
            "--package",
            "datum-sync",
            "--package",
            "datum-server-node",
            "--all-targets",
            "--target",
            "wasm32-unknown-unknown",
            "--",
            "-D",
            "warnings",
        ];
        report.check("lints, wasm", &wasm);
    }
    if plan.native {
        native(report, filter);
    }
    if !plan.engines.is_empty() {
        browsers(report, &plan.engines, filter);
    }
    if plan.end_to_end {
        end_to_end(report, &plan.engines)
    } else {
        None
    }
}

fn native(report: &mut Report<'_>, filter: Option<&str>) {
    let sharing = SHARING.map(|name| ["--test", name]).concat();
    let but = SHARING.map(|name| format!("binary({name})")).join(" | ");
    let but = format!("not ({but})");
    let nextest = [
        "nextest",
        "run",
        "--workspace",
        "--no-fail-fast",
        "--no-tests",
        "pass",
        "--filterset",
        &but,
    ];
    let test = ["test", "--workspace", "--no-fail-fast"];
    if report.context.which("cargo-nextest").is_some() {
        report.tests("native tests", &nextest, filter, tally::nextest);
        let sharing = [&test[..], &sharing].concat();
        report.tests(
            "native tests of databases",
            &sharing,
            filter,
            tally::harness,
        );
        let doc = [&test[..], &["--doc"]].concat();
        report.tests(
            "examples in the documentation",
            &doc,
            filter,
            tally::harness,
        );
    } else {
        report.tests("native tests", &test, filter, tally::harness);
    }
}

fn browsers(report: &mut Report<'_>, engines: &[Engine], filter: Option<&str>) {
    let context = report.context;
    let mut compiled = Vec::new();
    report.step("browser suites compile", || {
        compiled = suites::compile(context, filter)?;
        Ok((true, Tally::default()))
    });
    for engine in engines {
        for suite in compiled.iter().filter(|suite| suite.expected > 0) {
            report.step(&format!("{} in {}", suite.name, engine.name()), || {
                let outcome = suites::run(context, suite, *engine, filter)?;
                Ok((outcome.good, outcome.tally))
            });
        }
    }
}

fn end_to_end(report: &mut Report<'_>, engines: &[Engine]) -> Option<PathBuf> {
    let context = report.context;
    // Tests about the platform run in every engine that the suites run in, the others in Chromium.
    let engines = if engines.is_empty() {
        &[Engine::Chromium]
    } else {
        engines
    };
    let mut packed = None;
    report.step("package", || {
        let built = pack::build(context, Kind::Release)?;
        packed = Some(built.tarball);
        let good = built.sizes.is_none_or(|sizes| {
            context.console.say(&sizes.table());
            sizes.within_budget()
        });
        Ok((good, Tally::default()))
    });
    let tarball = packed?;
    let traces = context.target.join("traces");
    let files = match node::test_files(&context.e2e()) {
        Ok(files) => files,
        Err(failure) => {
            report.step("end to end", || Err(failure));
            return Some(tarball);
        }
    };
    let (in_browsers, in_node): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| imports::starts_browser(file));
    let run = |name: &str, together: u8, files: &[PathBuf], traced: Option<&Path>| -> StepResult {
        let server = server::build(context, Profile::Dev)?;
        let engines = traced.map_or(engines, |_| &[Engine::Chromium]);
        let node = match traced {
            Some(_) => context.command_beside("node"),
            None => context.command("node"),
        };
        let mut command = node::script_by(node, context, &server, &tarball, engines)?;
        command
            .args(["--test", "--test-reporter=spec", FILE_LIMIT])
            .arg(format!("--test-concurrency={together}"))
            .args(files);
        command.envs(traced.map(|traces| ("DATUM_TRACES", traces)));
        let finished = process::attempt_shown(&context.console, name, &mut command, LIMIT)?;
        Ok((
            finished.success,
            tally::node(&finished.text).unwrap_or_default(),
        ))
    };
    let run = &run;
    let traced = || {
        replay::empty(&traces)?;
        run("end to end, traced", 1, &in_browsers, Some(&traces))
    };
    // What is second gets the processor time that the browsers leave.
    report.together(vec![
        vec![
            (
                "end to end",
                Box::new(|| run("end to end", 1, &in_browsers, None)),
            ),
            (
                "end to end in Node",
                Box::new(|| run("end to end in Node", 1, &in_node, None)),
            ),
        ],
        vec![
            (
                "backends",
                Box::new(|| backends::test(context, &tarball, None, engines)),
            ),
            ("end to end, traced", Box::new(traced)),
        ],
    ]);
    report.step("traces of the end-to-end tests replay", || {
        Ok((replay::all(context, &traces)?, Tally::default()))
    });
    Some(tarball)
}
