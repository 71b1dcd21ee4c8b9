//! `cargo xtask pack`: the npm package in `pkg/` and its tarball, from the module, the JavaScript,
//! the types and the manifest.
//!
//! What a browser gets is minified; the types keep their comments. An app needs no build step
//! beyond what every bundler does. A package whose inputs did not change is not built again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    bindgen::Bindgen,
    context::{Context, LIMIT},
    engines::Engine,
    entries::{self, KIT, copy, minify},
    failure::{Because, Failure, Result},
    module::{self, GLUE, WASM},
    node,
    parts::{self, Build, CYCLE, REST},
    process, server_module, sizes,
    stamp::{Checksums, Stamp, State},
    tools,
};

const ENTRY: &str = "index.js";
/// The entry's source.
const MAIN: &str = "entry.js";
const TYPES: &str = "index.d.ts";
/// For apps with a service worker; pages do not load it.
const WORKER: &str = "service-worker.js";
const WORKER_TYPES: &str = "service-worker.d.ts";
/// For apps with migrations; others do not load them.
const MIGRATIONS: &str = "migrations.js";
const CHAIN: &str = "migration-chain.js";
/// For apps that want to see what an instance does in the performance timeline.
const TRACK: &str = "performance-track.js";
const MIGRATIONS_TYPES: &str = "migrations.d.ts";
const INLINE: &str = "inline.js";
/// What the entry imports.
const ENTRY_PARTS: [&str; 4] = ["report.js", "load.js", "query-builder.js", "console.js"];
/// What only tests and Node load, as it is written: the entry in Node, and the remote in memory.
const UNBUNDLED: [&str; 7] = [
    "node.js",
    "testing.js",
    "memory.js",
    "memory-pull.js",
    "memory-push.js",
    "digest.js",
    "testing.d.ts",
];

/// The commands of `npx datum-sync`, as they are written.
const COMMANDS: &str = "cli";

/// The files that an app loads, in that order, and the fallback for a module that cannot be fetched.
const LOADED: [&str; 5] = [ENTRY, WASM, CYCLE, REST, INLINE];

/// The documents in the package: files, and folders with all their files.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs",
    "server/PROTOCOL.md",
    "server/vectors",
];

/// The files and folders that the package is made from, beside the documents. A change of another
/// file does not build it again.
const INPUTS: [&str; 23] = [
    "src",
    KIT,
    "server/src",
    "server/sql",
    "server/node",
    "server/Cargo.toml",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "pkg.json",
    "xtask/js",
    "xtask/src/pack.rs",
    "xtask/src/entries.rs",
    "xtask/src/module.rs",
    "xtask/src/server_module.rs",
    "xtask/src/guard_receivers.rs",
    "xtask/src/shorten_glue.rs",
    "xtask/src/lazy_glue.rs",
    "xtask/src/parts.rs",
    "xtask/src/split",
    "xtask/src/split.rs",
    "tests/e2e/package-lock.json",
];

/// What `pack` says of a release package where Chromium is missing.
const ONE_PART: &str = "Chromium is not here, which finds out what a page needs first: the package has its module in one file, so it is not for publishing, and its sizes are not guarded. Install Chromium (on Debian: apt-get install chromium), and pack again.";

/// How the package is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small, for publishing and measuring. Takes minutes.
    Release,
    /// Not optimised, with overflow checks, for trying out a change. Takes seconds.
    Dev,
}

/// The packed package.
pub struct Packed {
    pub tarball: PathBuf,
    /// The sizes of what an app loads; a dev package is not measured.
    pub sizes: Option<sizes::Report>,
}

/// Packs, prints the sizes, and writes them to `json`. False if the package is over its budget.
pub fn report(context: &Context, kind: Kind, json: Option<&Path>) -> Result<bool> {
    let packed = build(context, kind)?;
    let tarball = packed
        .tarball
        .strip_prefix(&context.root)
        .unwrap_or(&packed.tarball)
        .display();
    let Some(sizes) = &packed.sizes else {
        context.console.say(&format!(
            "packed {tarball}\nNot for publishing: it is not optimised, and several times as large."
        ));
        return Ok(true);
    };
    if let Some(file) = json {
        fs::write(file, sizes.json(&context.version).to_string())
            .because(format!("writing {}", file.display()))?;
    }
    context.console.say(&sizes.table());
    context.console.say(&format!("packed {tarball}"));
    Ok(sizes.within_budget())
}

/// Packs and measures, unless nothing changed since the last time.
pub fn build(context: &Context, kind: Kind) -> Result<Packed> {
    let (name, folder) = match kind {
        Kind::Release => ("the package", context.root.join("pkg")),
        Kind::Dev => ("the dev package", context.target.join("pkg-dev")),
    };
    let tarball = folder.join(format!("datum-sync-{}.tgz", context.version));
    let inputs = inputs(context)?;
    let stamps = context.target.join("package");
    let (stamp, parent) = match kind {
        Kind::Release => ("package.stamp", &context.root),
        Kind::Dev => ("package-dev.stamp", &context.target),
    };
    let output = folder.file_name().and_then(|name| name.to_str());
    let stamp = Stamp::new(stamps.join(stamp), parent, &[output.because("a name")?]);
    match stamp.check(&inputs)? {
        State::Fresh(sizes) => {
            context.console.say(&format!("✓ {name} is up to date"));
            let sizes = read_sizes(kind, &folder, &sizes)?;
            return Ok(Packed { tarball, sizes });
        }
        State::Stale(reason) => {
            context.console.say(&format!("building {name}: {reason}"));
        }
    }
    tools::wasm_target(context)?;
    // Compiled beside the module, which needs it only when it is compiled itself.
    let bindgen = Bindgen::start(context)?;
    node::install(context, &context.e2e())?;
    let module = module::build(context, kind, bindgen)?;
    assemble(context, kind, &module, &folder)?;
    let sizes = match kind {
        Kind::Release => measure(context, &folder)?,
        Kind::Dev => String::new(),
    };
    let mut command = node::npm(context, &folder);
    command.args(["pack", "--loglevel=error"]);
    process::run(&context.console, "npm pack", &mut command, LIMIT)?;
    if !tarball.is_file() {
        let file = tarball.display();
        return Err(Failure::new(format!("npm pack made no {file}")));
    }
    stamp.write(&inputs, &sizes)?;
    let sizes = read_sizes(kind, &folder, &sizes)?;
    Ok(Packed { tarball, sizes })
}

/// All that the package depends on.
fn inputs(context: &Context) -> Result<Checksums> {
    let rustc = process::capture(context.command("rustc").arg("-vV"))?;
    let node = process::capture(context.command("node").arg("--version")).unwrap_or_default();
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let facts = Checksums::default()
        .fact("the Rust compiler", &rustc)
        .fact("Node.js", &node)
        .fact("RUSTFLAGS", &flags)
        .fact("Chromium", if has_chromium(context) { "here" } else { "" });
    INPUTS
        .iter()
        .chain(&DOCUMENTS)
        .try_fold(facts, |inputs, path| inputs.files(&context.root, path))
}

fn has_chromium(context: &Context) -> bool {
    Engine::Chromium.browser(context).is_some()
}

/// Puts the package's files into `folder`, which is emptied first.
fn assemble(context: &Context, kind: Kind, module: &Path, folder: &Path) -> Result<()> {
    let sources = context.root.join("src").join("js");
    module::clear(folder)?;
    copy_folder(module, folder)?;
    // The profile needs one core.
    let server = server_module::compile(context, kind)?;
    let build = match kind {
        Kind::Dev => Build::whole(),
        Kind::Release if !has_chromium(context) => {
            context.console.say(ONE_PART);
            Build::whole()
        }
        Kind::Release => {
            let objects = module::objects(module)?;
            parts::split(context, folder, &objects, |to| {
                profiled(context, module, to)
            })?
        }
    };
    let mut inlined = vec![folder.join(INLINE)];
    inlined.extend(
        parts::FILES
            .iter()
            .take(build.parts)
            .map(|name| folder.join(name)),
    );
    let inlined: Vec<&Path> = inlined.iter().map(PathBuf::as_path).collect();
    script(context, "inline", &inlined)?;
    bundle(context, &sources.join(MAIN), folder, &build)?;
    for name in [WORKER, MIGRATIONS, CHAIN, TRACK] {
        minify(context, &sources.join(name), &folder.join(name), &[])?;
    }
    for name in UNBUNDLED {
        copy(&sources.join(name), &folder.join(name))?;
    }
    copy_folder(&sources.join(COMMANDS), &folder.join(COMMANDS))?;
    entries::build(context, &sources, folder)?;
    server_module::build(context, kind, server, folder)?;
    copy(&sources.join("types.d.ts"), &folder.join(TYPES))?;
    for name in [WORKER_TYPES, MIGRATIONS_TYPES] {
        copy(&sources.join(name), &folder.join(name))?;
    }
    for document in DOCUMENTS {
        let (from, to) = (context.root.join(document), folder.join(document));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            let parent = to.parent().unwrap_or(folder);
            fs::create_dir_all(parent).because(format!("making {}", parent.display()))?;
            copy(&from, &to)?;
        }
    }
    manifest(context, build.parts > 1, folder)
}

/// Makes a package of a module that is in one part, as far as the profile needs one.
fn profiled(context: &Context, module: &Path, folder: &Path) -> Result<()> {
    let sources = context.root.join("src").join("js");
    module::clear(folder)?;
    copy_folder(module, folder)?;
    let entry = context
        .root
        .join("xtask")
        .join("js")
        .join("profile-entry.js");
    copy(&sources.join(MAIN), &folder.join(MAIN))?;
    bundle(context, &entry, folder, &Build::whole())?;
    for name in UNBUNDLED.iter().chain(&[CHAIN]) {
        copy(&sources.join(name), &folder.join(name))?;
    }
    Ok(())
}

/// Bundles the entry, the glue and its snippets: one request of a page, and similar code in them
/// compresses together.
fn bundle(context: &Context, entry: &Path, folder: &Path, build: &Build) -> Result<()> {
    let sources = context.root.join("src").join("js");
    let (file, microtask) = (folder.join(ENTRY), sources.join("microtask.js"));
    copy(entry, &file)?;
    for name in ENTRY_PARTS {
        copy(&sources.join(name), &folder.join(name))?;
    }
    minify(
        context,
        &file,
        &file,
        &[
            "--bundle",
            &format!("--external:./{INLINE}"),
            &format!("--external:./{CHAIN}"),
            &format!("--external:./{TRACK}"),
            &format!("--inject:{}", microtask.display()),
            &format!("--define:VERSION=\"{}\"", context.version),
            &format!("--define:BUILD=\"{}\"", build.id),
            &format!("--define:PARTS={}", build.parts),
        ],
    )?;
    // These requests are expressions, which bundlers warn of.
    let mut text = fs::read_to_string(&file).because("reading the bundle")?;
    for name in [INLINE, CHAIN, TRACK] {
        let request = format!("import(new URL(\"{name}\"");
        if text.matches(&request).count() != 1 {
            return Err(Failure::new(format!("{ENTRY} must have {request} once")));
        }
        let quiet = request.replacen('(', "(/*webpackIgnore:true*//*@vite-ignore*/", 1);
        text = text.replace(&request, &quiet);
    }
    fs::write(&file, text).because("writing the bundle")?;
    for name in [GLUE].iter().chain(&ENTRY_PARTS) {
        fs::remove_file(folder.join(name)).because(format!("removing {name}"))?;
    }
    module::clear(&folder.join("snippets"))
}

/// Writes the manifest, which is `pkg.json` byte for byte, since the order of an export's
/// conditions counts. npm refuses to publish a package that is not for publishing.
fn manifest(context: &Context, is_public: bool, folder: &Path) -> Result<()> {
    let file = context.root.join("pkg.json");
    let reading = format!("reading {}", file.display());
    let text = fs::read_to_string(&file).because(&reading)?;
    let fields: Map<String, Value> = serde_json::from_str(&text).because(&reading)?;
    let version = fields
        .get("version")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if version != context.version {
        return Err(Failure::new(format!(
            "pkg.json has version {version:?} and Cargo.toml {:?}: make them equal",
            context.version
        )));
    }
    let text = if is_public {
        text
    } else {
        text.replacen('{', "{\n  \"private\": true,", 1)
    };
    let target = folder.join("package.json");
    fs::write(&target, text).because(format!("writing {}", target.display()))
}

/// The sizes of what an app loads, as JSON.
fn measure(context: &Context, folder: &Path) -> Result<String> {
    let files: Vec<PathBuf> = measured(folder).map(|name| folder.join(name)).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    script(context, "measure", &files)
}

/// The files that an app loads: a module in one part has no later parts.
fn loaded(folder: &Path) -> impl Iterator<Item = &'static str> {
    LOADED
        .into_iter()
        .filter(|name| folder.join(name).is_file())
}

/// Those, the entries that have budgets, and the server's module.
fn measured(folder: &Path) -> impl Iterator<Item = &'static str> {
    loaded(folder)
        .chain(entries::MEASURED)
        .chain([server_module::WASM])
}

fn read_sizes(kind: Kind, folder: &Path, text: &str) -> Result<Option<sizes::Report>> {
    match kind {
        Kind::Dev => Ok(None),
        Kind::Release => {
            let names = measured(folder).map(str::to_owned).collect();
            sizes::Report::new(names, text, INLINE).map(Some)
        }
    }
}

fn script(context: &Context, task: &str, files: &[&Path]) -> Result<String> {
    let mut command = context.command("node");
    command
        .arg(context.root.join("xtask").join("js").join("compress.mjs"))
        .arg(task)
        .args(files);
    process::capture(&mut command)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copying {} to {}", from.display(), to.display());
    fs::create_dir_all(to).because(doing())?;
    for entry in fs::read_dir(from).because(doing())? {
        let entry = entry.because(doing())?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}
