//! The developer commands: `cargo xtask test | pack | demo | serve | ci | simulate | planted | fuzz
//! | figures | bench | setup`.
//!
//! Reads the arguments and picks the command; each command is a module. Nothing here is part of
//! the shipped package, and nothing here may be needed at run time by an app.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "sums of test counts, file sizes and seconds: far from any limit, and no input is hostile"
)]

mod args;
mod bench;
mod console;
mod context;
mod demo;
mod engines;
mod failure;
mod fuzz;
mod names;
mod node;
mod pack;
mod plant;
mod planted;
mod process;
mod server;
mod simulate;
mod sizes;
mod suites;
mod tally;
mod test;
mod tools;

use std::process::ExitCode;

use args::{Args, Command};
use context::Context;
use failure::Result;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command that was asked for. `Ok(false)` means that it ran and something failed in it.
fn run() -> Result<bool> {
    let args = Args::parse(std::env::args().skip(1))?;
    if let Command::Help = args.command {
        println!("{}", args::HELP);
        return Ok(true);
    }
    let context = Context::new(args.verbose)?;
    match args.command {
        Command::Help => Ok(true),
        Command::Setup { engines } => tools::setup(&context, &engines).map(|()| true),
        Command::Pack { json } => pack::report(&context, json.as_deref()),
        Command::Test(plan) => test::run(&context, &plan),
        Command::Ci => test::ci(&context),
        Command::Serve { port, server_args } => demo::serve(&context, port, &server_args),
        Command::Demo {
            port,
            headless: false,
            ..
        } => demo::demo(&context, port),
        Command::Demo {
            headless: true,
            screenshot,
            ..
        } => demo::headless(
            &context,
            &pack::build(&context)?.tarball,
            screenshot.as_deref(),
        ),
        Command::Planted(bugs) => planted::run(&context, &bugs),
        Command::Simulate(histories) => simulate::run(&context, &histories),
        Command::Fuzz(runs) => fuzz::run(&context, &runs),
        Command::Figures { rounds } => demo::figures(&context, rounds),
        Command::Bench(bench) => bench::run(&context, &bench),
    }
}
