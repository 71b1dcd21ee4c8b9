//! TypeScript: what the package's types accept and refuse, and the scripts of the browser suites.
//!
//! The scripts are checked against the same types and compiled to `tests/browser/built`, which
//! the suites include. So this comes before everything that compiles the suites.

use crate::{
    context::{Context, LIMIT},
    failure::Result,
    module, node, process,
    stamp::{Checksums, Stamp, State},
};

/// What the checks and the scripts depend on.
const INPUTS: [&str; 3] = ["src/js", "tests/types", "tests/browser"];
/// The compiled scripts.
const BUILT: &str = "tests/browser/built";

/// Checks the types and compiles the scripts, unless nothing changed since that succeeded. False if
/// there is a type error.
pub fn run(context: &Context) -> Result<bool> {
    let inputs = INPUTS
        .iter()
        .try_fold(Checksums::default(), |inputs, path| {
            inputs.files(&context.root, path)
        })?;
    let stamp = Stamp::new(context.target.join("types.stamp"), &context.root, &[BUILT]);
    let reason = match stamp.check(&inputs)? {
        State::Fresh(_) => {
            context
                .console
                .say("✓ types: passed before, nothing changed");
            return Ok(true);
        }
        State::Stale(reason) => reason,
    };
    let folder = context.root.join("tests").join("types");
    node::install(context, &folder)?;
    // A script that is gone must not be found compiled.
    module::clear(&context.root.join(BUILT))?;
    let mut command = node::npm(context, &folder);
    command.args(["run", "check", "--silent"]);
    let label = format!("types: {reason}");
    let finished = process::attempt_shown(&context.console, &label, &mut command, LIMIT)?;
    if finished.success {
        stamp.write(&inputs, "")?;
    }
    Ok(finished.success)
}
