//! The developer commands: `cargo xtask help` lists them.
//!
//! This file picks the command; each command is a module. The shipped package contains nothing of
//! it.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "sums of test counts, file sizes and seconds, which are small"
)]

mod args;
mod backends;
mod bench;
mod bindgen;
mod console;
mod context;
mod demo;
mod engines;
mod entries;
mod failure;
mod fuzz;
mod guard_receivers;
mod help;
mod imports;
mod lazy_glue;
mod module;
mod mutants;
mod node;
mod nudge;
mod pack;
mod parts;
mod process;
mod python;
mod replay;
mod report;
mod server;
mod server_module;
mod shorten_glue;
mod simulate;
mod sizes;
mod split;
mod stamp;
mod suites;
mod tally;
mod test;
mod tools;
mod types;

use std::process::ExitCode;

use args::{Args, Command};
use context::Context;
use failure::Result;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command. Returns its exit code: 1 means that it ran and that something failed in it.
fn run() -> Result<u8> {
    let args = Args::parse(std::env::args_os().skip(1))?;
    if let Command::Help(command) = args.command {
        println!(
            "{}",
            command.map_or_else(help::overview, |name| help::of(&name))
        );
        return Ok(0);
    }
    let context = Context::new(args.verbose)?;
    let good = match args.command {
        Command::Replay(words) => return replay::run(&context, &words),
        Command::Help(_) => Ok(true),
        Command::Setup { engines } => tools::setup(&context, &engines).map(|()| true),
        Command::Pack { kind, json } => pack::report(&context, kind, json.as_deref()),
        Command::Test(plan) => test::run(&context, &plan),
        Command::Ci => test::ci(&context),
        Command::Serve { page, server_args } => demo::serve(&context, page, &server_args),
        Command::Demo(page) => demo::demo(&context, page),
        Command::HeadlessDemo { kind, screenshot } => {
            demo::headless(&context, kind, screenshot.as_deref())
        }
        Command::Mutants(selection) => mutants::run(&context, &selection),
        Command::Simulate(histories) => simulate::run(&context, &histories),
        Command::Fuzz(runs) => fuzz::run(&context, &runs),
        Command::Bench(bench) => bench::run(&context, &bench),
        Command::Backends(command) => backends::run(&context, &command),
    };
    good.map(|good| u8::from(!good))
}
