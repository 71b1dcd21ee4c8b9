//! Node.js and npm: what is installed in a folder, and running what is.

use std::{path::Path, process::Command};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    process,
};

/// Vite and Playwright refuse older ones.
const LEAST: (u32, u32) = (20, 19);
/// A copy of the lock file, beside what was installed from it.
const STAMP: &str = ".installed-from";

/// `npm ci` in `folder`, unless what is there was installed from the same lock file.
pub fn install(context: &Context, folder: &Path) -> Result<()> {
    check(context)?;
    let lock_file = folder.join("package-lock.json");
    let lock = std::fs::read(&lock_file).because(format!("reading {}", lock_file.display()))?;
    let stamp = folder.join("node_modules").join(STAMP);
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let name = folder
        .strip_prefix(&context.root)
        .unwrap_or(folder)
        .display()
        .to_string();
    let mut command = npm(context, folder);
    command.args(["ci", "--no-audit", "--no-fund"]);
    process::run(
        &context.console,
        &format!("npm ci in {name}"),
        &mut command,
        LIMIT,
    )?;
    std::fs::write(&stamp, lock).because(format!("writing {}", stamp.display()))
}

/// Puts the packed package into `folder`'s node_modules, as an app does, but leaves its lock file
/// alone: the tarball differs with each build, and so would the checksum there.
pub fn add_tarball(context: &Context, folder: &Path, tarball: &Path) -> Result<()> {
    let mut command = npm(context, folder);
    command
        .args([
            "install",
            "--no-save",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
        ])
        .arg(tarball);
    process::run(
        &context.console,
        "installing the tarball",
        &mut command,
        LIMIT,
    )
    .map(|_| ())
}

/// npm, to be run in `folder`.
pub fn npm(context: &Context, folder: &Path) -> Command {
    let mut command = context.command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder);
    command
}

/// A program that the end-to-end folder's packages bring, such as wasm-opt.
pub fn tool(context: &Context, name: &str) -> Command {
    context.command(
        &context
            .e2e()
            .join("node_modules")
            .join(".bin")
            .join(name)
            .to_string_lossy(),
    )
}

fn check(context: &Context) -> Result<()> {
    let (major, minor) = LEAST;
    let advice = format!(
        "Node.js {major}.{minor} or later with npm is needed: https://nodejs.org, or your system's package manager"
    );
    let text = process::capture(context.command("node").arg("--version"))
        .map_err(|_| Failure::new(format!("node is not on the path. {advice}")))?;
    match version(&text) {
        Some(found) if found >= LEAST => Ok(()),
        _ => Err(Failure::new(format!(
            "this is Node.js {}. {advice}",
            text.trim()
        ))),
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_compared_as_numbers() {
        assert_eq!(version("v20.20.2\n"), Some((20, 20)));
        assert!(version("v9.11.0").unwrap() < LEAST);
        assert!(version("v22.0.0").unwrap() > LEAST);
        assert_eq!(version("deno"), None);
    }
}
