//! Node.js and npm: installing a folder's packages, and running them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Failure, Result},
    process,
};

/// Vite and Playwright refuse older versions.
const LEAST: (u32, u32) = (20, 19);
/// A copy of the lock file, beside what was installed from it.
const STAMP: &str = ".installed-from";

/// Runs `npm ci` in `folder`, unless its packages were installed from the same lock file.
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
        .display();
    let reason = if stamp.exists() {
        "package-lock.json changed"
    } else {
        "nothing is installed there yet"
    };
    let label = format!("npm ci in {name}: {reason}");
    let mut command = npm(context, folder);
    command.args(["ci", "--no-audit", "--no-fund"]);
    process::run(&context.console, &label, &mut command, LIMIT)?;
    std::fs::write(&stamp, lock).because(format!("writing {}", stamp.display()))
}

/// Installs the packed package in `folder`, as an app does, but leaves the lock file alone: the
/// tarball's checksum in it would change with each build.
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
        "installing the package for the page",
        &mut command,
        LIMIT,
    )
    .map(|_| ())
}

/// A command that runs npm in `folder`.
pub fn npm(context: &Context, folder: &Path) -> Command {
    let mut command = context.command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(folder);
    command
}

/// A command of a program from the packages of `tests/e2e`, such as wasm-opt.
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

/// A command that runs Node with the variables by which the end-to-end tests and the benchmark find
/// the server, the tarball, Chromium, and the engines that they may drive.
pub fn script(
    context: &Context,
    server: &Path,
    tarball: &Path,
    engines: &[Engine],
) -> Result<Command> {
    script_by(context.command("node"), context, server, tarball, engines)
}

/// The same by a command that starts Node in another way.
pub fn script_by(
    mut node: Command,
    context: &Context,
    server: &Path,
    tarball: &Path,
    engines: &[Engine],
) -> Result<Command> {
    node.env("DATUM_SERVER", server)
        .env("DATUM_TARBALL", tarball);
    drive(context, &mut node, engines)?;
    Ok(node)
}

/// Sets the variables by which tests find Chromium, and the engines that they may drive.
pub fn drive(context: &Context, command: &mut Command, engines: &[Engine]) -> Result<()> {
    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    command
        .env("DATUM_ENGINES", names.join(","))
        .env("CHROMIUM", chromium(context)?);
    for engine in engines {
        let browser = engine
            .browser(context)
            .because(format!("no browser for {}", engine.name()))?;
        command.env(engine.variable(), browser);
    }
    Ok(())
}

/// The test files of a folder, one by one: Node 20 takes no patterns, and given the folder it would
/// also run the tests below node_modules.
pub fn test_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).because(format!("reading {}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    Ok(files)
}

/// Chromium's program.
pub fn chromium(context: &Context) -> Result<PathBuf> {
    Engine::Chromium
        .browser(context)
        .because("chromium is not on the path")
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
