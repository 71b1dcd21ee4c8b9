//! Programs of Python, which are installed from PyPI into the cache, each with what it needs.

use std::path::{Path, PathBuf};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    process, tools,
};

/// What was installed, in its folder.
const STAMP: &str = "installed-from.txt";

/// Installs Kinto, with the packages of `list`, unless it is there from the same list. Returns its program.
pub fn kinto(context: &Context, list: &Path) -> Result<PathBuf> {
    let home = tools::cache(context).join("kinto");
    let program = home.join("bin").join("kinto");
    let stamp = home.join(STAMP);
    let packages = std::fs::read(list).because(format!("reading {}", list.display()))?;
    if program.is_file() && std::fs::read(&stamp).is_ok_and(|installed| installed == packages) {
        return Ok(program);
    }
    let python = ["python3", "python"]
        .into_iter()
        .find(|name| context.which(name).is_some())
        .ok_or_else(|| Failure::new("Python 3 is not here".to_owned()))?;
    // Also what an earlier try has left half.
    let mut make = context.command(python);
    make.args(["-m", "venv", "--clear"]).arg(&home);
    process::run(
        &context.console,
        "making a folder for Kinto",
        &mut make,
        LIMIT,
    )?;
    let mut install = context.command(&home.join("bin").join("python").to_string_lossy());
    install
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
            "-r",
        ])
        .arg(list);
    process::run(
        &context.console,
        "installing Kinto from PyPI (once on this machine)",
        &mut install,
        LIMIT,
    )?;
    std::fs::write(&stamp, packages).because(format!("writing {}", stamp.display()))?;
    Ok(program)
}
