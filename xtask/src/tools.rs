//! Finds the tools that the commands need, and installs the missing ones.
//!
//! No registry has wasm-bindgen-cli, wasm-pack or geckodriver as a prebuilt package that holds the
//! binary, so cargo builds them, into a cache folder with a folder for each version: nothing that
//! the developer installed is replaced, and a fresh clone finds them again. Debian packages are
//! installed where apt-get may be used; elsewhere the message names what to install.

use std::path::{Path, PathBuf};

use crate::{
    backends,
    context::{Context, LIMIT},
    engines::Engine,
    failure::{Because, Failure, Result},
    node, process,
};

/// The target that browsers run.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
const WASM_PACK: &str = "0.15.1";
const GECKODRIVER: &str = "0.37.1";

/// Installs everything that these engines need.
pub fn setup(context: &Context, engines: &[Engine]) -> Result<()> {
    wasm_target(context)?;
    browser_tests(context)?;
    browsers(context, engines)?;
    node::install(context, &context.e2e())?;
    backends::install(context)?;
    context.console.say("all tools are installed");
    Ok(())
}

/// The tools that run a browser suite.
pub fn browser_tests(context: &Context) -> Result<()> {
    cargo_tool(context, &wasm_bindgen_cli(context)?)?;
    cargo_tool(
        context,
        &Tool {
            name: "wasm-pack",
            program: "wasm-pack",
            version: WASM_PACK.to_owned(),
            locked: true,
            minutes: 2,
        },
    )
}

/// wasm-bindgen's command-line tool, which has the runner of the browser suites.
///
/// The lock file of wasm-bindgen-cli 0.2.130 names a package that was removed from the registry,
/// so it is installed without it.
pub fn wasm_bindgen_cli(context: &Context) -> Result<Tool> {
    Ok(Tool {
        name: "wasm-bindgen-cli",
        program: "wasm-bindgen",
        version: locked(context, "wasm-bindgen")?,
        locked: false,
        minutes: 2,
    })
}

/// Adds the WebAssembly target to the toolchain if it is missing.
pub fn wasm_target(context: &Context) -> Result<()> {
    let libraries = process::capture(context.command("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        WASM_TARGET,
    ]))?;
    if PathBuf::from(libraries.trim()).is_dir() {
        return Ok(());
    }
    if context.which("rustup").is_none() {
        return Err(Failure::new(format!(
            "this toolchain cannot build for {WASM_TARGET}, and rustup is not here to add it: install your distribution's Rust standard library for {WASM_TARGET}, or rustup"
        )));
    }
    process::run(
        &context.console,
        &format!("adding the Rust target {WASM_TARGET}"),
        context
            .command("rustup")
            .args(["target", "add", WASM_TARGET]),
        LIMIT,
    )
    .map(|_| ())
}

/// Installs the engines' browsers and drivers.
pub fn browsers(context: &Context, engines: &[Engine]) -> Result<()> {
    let mut packages: Vec<&str> = Vec::new();
    let mut programs: Vec<&str> = Vec::new();
    for engine in engines {
        for program in engine.programs() {
            if !program
                .names
                .iter()
                .any(|name| context.which(name).is_some())
            {
                programs.extend(program.names.first());
                packages.extend(
                    program
                        .debian
                        .iter()
                        .filter(|package| !packages.contains(package))
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    if !packages.is_empty() {
        debian(context, &packages, &programs, OTHER_BROWSERS)?;
    }
    if engines.contains(&Engine::Firefox) {
        cargo_tool(
            context,
            &Tool {
                name: "geckodriver",
                program: "geckodriver",
                version: GECKODRIVER.to_owned(),
                locked: true,
                minutes: 4,
            },
        )?;
    }
    match engines
        .iter()
        .find(|engine| engine.browser(context).is_none())
    {
        None => Ok(()),
        Some(engine) => Err(Failure::new(format!(
            "the driver of {} is installed, but not its browser{}",
            engine.name(),
            if *engine == Engine::Webkit {
                ": MiniBrowser of the Debian package libwebkit2gtk-4.1-0"
            } else {
                ""
            }
        ))),
    }
}

/// Installs a C++ compiler, which builds libFuzzer.
pub fn cpp_compiler(context: &Context) -> Result<()> {
    if std::env::var_os("CXX").is_some()
        || ["c++", "g++", "clang++"]
            .iter()
            .any(|name| context.which(name).is_some())
    {
        return Ok(());
    }
    debian(context, &["g++"], &["a C++ compiler"], OTHER_COMPILERS)
}

/// Where systems put the versions of PostgreSQL, as `tests/backends/lib/postgres.mjs` looks for
/// them.
const POSTGRES: [&str; 4] = [
    "/usr/lib/postgresql",
    "/opt/homebrew/opt",
    "/usr/local/opt",
    "/usr/pgsql",
];
/// What else to install where there is no apt-get.
const OTHER_POSTGRES: &str = "Fedora:            sudo dnf install postgresql-server pgbouncer
macOS:             brew install postgresql
Version 14 or later will do. If it is here, set PG_BIN to the folder of initdb and postgres.";
const OTHER_BROWSERS: &str = "Fedora:            sudo dnf install chromium chromedriver firefox webkit2gtk4.1 xorg-x11-server-Xvfb xorg-x11-xauth
macOS:             brew install --cask chromium chromedriver firefox (WebKit is tested on Linux only)";
const OTHER_COMPILERS: &str = "Fedora:            sudo dnf install gcc-c++
macOS:             xcode-select --install";

/// Installs PostgreSQL's server and its pooler, which the tests of backends start.
pub fn postgres(context: &Context) -> Result<()> {
    postgres_server(context)?;
    let pooler = context.which("pgbouncer").is_some() || Path::new("/usr/sbin/pgbouncer").is_file();
    if pooler || !cfg!(target_os = "linux") {
        return Ok(());
    }
    debian(context, &["pgbouncer"], &["PgBouncer"], OTHER_POSTGRES)
}

fn postgres_server(context: &Context) -> Result<()> {
    let has_server =
        |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    if let Some(folder) = std::env::var_os("PG_BIN").map(PathBuf::from)
        && !has_server(&folder)
    {
        return Err(Failure::new(format!(
            "PG_BIN is {}, where initdb and postgres are not: it must name the folder that has both, such as /usr/lib/postgresql/15/bin",
            folder.display()
        )));
    }
    let versions = POSTGRES
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")));
    let found = std::env::var_os("PG_BIN").is_some()
        || context.which("initdb").is_some()
        || versions.into_iter().any(|folder| has_server(&folder));
    if found {
        return Ok(());
    }
    debian(
        context,
        &["postgresql"],
        &["PostgreSQL's server"],
        OTHER_POSTGRES,
    )
}

/// A program that cargo builds from the registry.
pub struct Tool {
    name: &'static str,
    program: &'static str,
    /// The version that is needed.
    pub version: String,
    locked: bool,
    minutes: u32,
}

/// The tool on the path if it has the right version, else the one in the cache, if it is there.
pub fn installed(context: &Context, tool: &Tool) -> Option<PathBuf> {
    let has_version = |program: &Path| {
        let mut command = context.command(&program.to_string_lossy());
        process::capture(command.arg("--version"))
            .is_ok_and(|text| has_version_word(&text, &tool.version))
    };
    context
        .which(tool.program)
        .into_iter()
        .chain([tool_home(context, tool).join("bin").join(tool.program)])
        .find(|program| has_version(program))
}

fn tool_home(context: &Context, tool: &Tool) -> PathBuf {
    cache(context).join(format!("{}-{}", tool.name, tool.version))
}

/// Finds the tool, or builds it into the cache, and puts it on the path of later children.
fn cargo_tool(context: &Context, tool: &Tool) -> Result<()> {
    let program = match installed(context, tool) {
        Some(program) => program,
        None => {
            let home = tool_home(context, tool);
            let label = format!(
                "building {} {} (once on this machine, about {} minutes)",
                tool.name, tool.version, tool.minutes
            );
            let mut install = context.cargo(&["install", tool.name, "--version", &tool.version]);
            install.args(["--force", "--root"]).arg(&home);
            // They run for seconds, so optimising them fully would not pay. They have crates in
            // common, so they share a build folder.
            install
                .env("CARGO_TARGET_DIR", context.target.join("tools"))
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            if tool.locked {
                install.arg("--locked");
            }
            process::run(&context.console, &label, &mut install, LIMIT)?;
            home.join("bin").join(tool.program)
        }
    };
    if context.which(tool.program).as_ref() != Some(&program)
        && let Some(folder) = program.parent()
    {
        context.add_to_path(folder);
    }
    Ok(())
}

/// Returns true if the text contains the whole version: `wasm-pack 0.15.1` has 0.15.1, not 0.15.
fn has_version_word(text: &str, version: &str) -> bool {
    text.split_whitespace().any(|word| word == version)
}

/// The folder where built tools are kept, for all clones.
pub fn cache(context: &Context) -> PathBuf {
    let home = std::env::home_dir().map(|home| {
        if cfg!(target_os = "macos") {
            home.join("Library/Caches")
        } else {
            home.join(".cache")
        }
    });
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or(home)
        .unwrap_or_else(|| context.target.clone())
        .join("datum-sync-tools")
}

/// The version of `package` in Cargo.lock.
fn locked(context: &Context, package: &str) -> Result<String> {
    let file = context.root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&file).because(format!("reading {}", file.display()))?;
    version_in(&lock, package).because(format!("Cargo.lock has no {package}"))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines
        .next()?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
        .map(str::to_owned)
}

/// Installs Debian packages, or fails with a message that says what to install.
fn debian(context: &Context, packages: &[&str], programs: &[&str], others: &str) -> Result<()> {
    let list = packages.join(" ");
    if context.which("apt-get").is_none() {
        return Err(Failure::new(format!(
            "not installed: {}.\nInstall them with this system's package manager, so that they are on PATH, and run the command again.\n\
             Debian and Ubuntu: sudo apt-get install {list}\n{others}",
            programs.join(", ")
        )));
    }
    let root = process::capture(context.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root && process::capture(context.command("sudo").args(["-n", "true"])).is_err() {
        return Err(Failure::new(format!(
            "not installed: {}.\nInstall them and run the command again:\n\n    sudo apt-get install {list}",
            programs.join(", ")
        )));
    }
    let apt = |args: &[&str]| {
        let mut command = context.command(if root { "apt-get" } else { "sudo" });
        if !root {
            command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    process::run(
        &context.console,
        "apt-get update",
        &mut apt(&["update"]),
        LIMIT,
    )?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    process::run(
        &context.console,
        &format!("apt-get install {list}"),
        &mut apt(&args),
        LIMIT,
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }

    #[test]
    fn a_version_is_compared_whole() {
        assert!(has_version_word("geckodriver 0.37.1 (abc 2026)", "0.37.1"));
        assert!(!has_version_word("wasm-pack 0.15.10", "0.15.1"));
    }
}
