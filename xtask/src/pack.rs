//! Builds the npm package: module, JavaScript, types and manifest, in `pkg/`, and the tarball of
//! them.
//!
//! What a browser gets is minified; the types keep their comments. The package needs no build step
//! of the app's beyond what every bundler does.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    names, node, process, sizes, tools,
};

const WASM: &str = "datum_sync_bg.wasm";
const GLUE: &str = "datum_sync.js";
const ENTRY: &str = "index.js";
const TYPES: &str = "index.d.ts";
/// For apps with a service worker; pages do not load it.
const WORKER: &str = "service-worker.js";
const WORKER_TYPES: &str = "service-worker.d.ts";
const INLINE: &str = "inline.js";

/// What rustc lets the module use by default; the tool is told, since the module's own list is
/// stripped.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// What was packed.
pub struct Packed {
    /// The tarball.
    pub tarball: PathBuf,
    /// The sizes of what an app loads.
    pub sizes: sizes::Report,
}

/// Packs, prints the sizes, and writes them to `json` for a machine. False if the budget is
/// exceeded.
pub fn report(context: &Context, json: Option<&Path>) -> Result<bool> {
    let packed = build(context)?;
    if let Some(file) = json {
        std::fs::write(file, packed.sizes.json(&context.version).to_string())
            .because(format!("writing {}", file.display()))?;
    }
    context.console.say(&packed.sizes.table());
    context.console.say(&format!(
        "packed {}",
        packed
            .tarball
            .strip_prefix(&context.root)
            .unwrap_or(&packed.tarball)
            .display()
    ));
    Ok(packed.sizes.within_budget())
}

/// Packs and measures.
pub fn build(context: &Context) -> Result<Packed> {
    let entry = source(context, "entry.js")?;
    let types = source(context, "types.d.ts")?;
    let worker = source(context, WORKER)?;
    let worker_types = source(context, WORKER_TYPES)?;
    tools::wasm_target(context)?;
    tools::wasm_tools(context)?;
    node::install(context, &context.e2e())?;
    let folder = context.package();
    clear(&folder)?;
    compile(context, &folder)?;
    optimise(context, &folder)?;
    script(
        context,
        "inline",
        &[&folder.join(WASM), &folder.join(INLINE)],
    )?;
    bundle(context, &entry, &folder)?;
    esbuild(context, &worker, &folder.join(WORKER), &[])?;
    copy(&types, &folder.join(TYPES))?;
    copy(&worker_types, &folder.join(WORKER_TYPES))?;
    for file in ["README.md", "LICENSE", "CHANGELOG.md"] {
        if context.root.join(file).is_file() {
            copy(&context.root.join(file), &folder.join(file))?;
        }
    }
    manifest(context, &folder)?;
    let sizes = measure(context, &folder)?;
    let tarball = tarball(context, &folder)?;
    Ok(Packed { tarball, sizes })
}

fn source(context: &Context, name: &str) -> Result<PathBuf> {
    let file = context.root.join("src").join("js").join(name);
    if file.is_file() {
        Ok(file)
    } else {
        Err(Failure::new(format!(
            "{} is missing: the package is made from it",
            file.display()
        )))
    }
}

fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(format!(
            "emptying {}: {error}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// Cargo optimises over all crates at once only for a library of one kind, and the root package is
/// also a crate that the server links: `--crate-type` picks the one that browsers load. wasm-pack
/// cannot pass that on, and its module is a tenth larger.
fn compile(context: &Context, folder: &Path) -> Result<()> {
    let mut cargo = context.cargo(&[
        "rustc",
        "--package",
        "datum-sync",
        "--lib",
        "--release",
        "--target",
        "wasm32-unknown-unknown",
        "--crate-type",
        "cdylib",
    ]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(context)?);
    process::run(
        &context.console,
        "compiling the module (release)",
        &mut cargo,
        LIMIT,
    )?;
    let mut bindgen = context.command("wasm-bindgen");
    bindgen
        .args(["--target", "web", "--out-name", "datum_sync", "--out-dir"])
        .arg(folder);
    bindgen.arg(
        context
            .target
            .join("wasm32-unknown-unknown")
            .join("release")
            .join("datum_sync.wasm"),
    );
    process::capture(&mut bindgen).map(|_| ())
}

/// Panic messages name source files: as lying in the project, in cargo's folder or in the standard
/// library, not on this machine. Cargo's encoded form, since a path may have spaces.
fn flags(context: &Context) -> Result<OsString> {
    let inherited = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<OsString> = inherited.split_whitespace().map(OsString::from).collect();
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut rustc = context.command("rustc");
    let library = PathBuf::from(process::capture(rustc.args(["--print", "sysroot"]))?.trim())
        .join("lib/rustlib/src/rust/library");
    for (folder, name) in home
        .iter()
        .map(|home| (home, "cargo"))
        .chain([(&context.root, "datum-sync"), (&library, "rust")])
    {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder);
        flag.push(format!("={name}"));
        flags.push(flag);
    }
    Ok(flags.join(std::ffi::OsStr::new("\u{1f}")))
}

/// Several times, as each pass leaves the next something to do. In between, control flow is taken
/// apart and put together anew, which comes out smaller than what the compiler made. Only what is
/// hardly more than a call is inlined: the compiler has decided on the rest. Then functions that
/// are alike side by side, which compresses better, and short names for what the module and its
/// glue call each other. Memory below 1 KiB is the last of the stack, which is laid out first: an
/// access there that traps is an overflow seen early.
fn optimise(context: &Context, folder: &Path) -> Result<()> {
    let wasm = folder.join(WASM);
    let mut command = node::tool(context, "wasm-opt");
    command.args([
        "-aimfs=2",
        "-fimfs=4",
        "-ocimfs=4",
        "-Oz",
        "--flatten",
        "--rereloop",
        "-Oz",
        "-Oz",
        "--low-memory-unused",
    ]);
    command.args(FEATURES);
    command
        .args(["--strip-debug", "--strip-producers"])
        .arg(&wasm)
        .arg("-o")
        .arg(&wasm);
    process::run(&context.console, "wasm-opt", &mut command, LIMIT)?;
    let mut command = context.command("node");
    command
        .arg(context.root.join("xtask").join("js").join("order.mjs"))
        .arg(&wasm);
    process::capture(&mut command)?;
    let mut command = node::tool(context, "wasm-opt");
    command.args(FEATURES).args([
        "--reorder-functions-by-name",
        "--minify-imports-and-exports-and-modules",
        "--strip-debug",
    ]);
    command.arg(&wasm).arg("-o").arg(&wasm);
    let names = process::run(
        &context.console,
        "wasm-opt, ordering functions",
        &mut command,
        LIMIT,
    )?
    .text;
    let glue = folder.join(GLUE);
    let text = std::fs::read_to_string(&glue).because(format!("reading {}", glue.display()))?;
    std::fs::write(&glue, names::shorten(&text, &names)?)
        .because(format!("writing {}", glue.display()))
}

/// One file of the entry, the glue and its snippets: a page asks for it once, and what is alike in
/// them compresses together.
fn bundle(context: &Context, entry: &Path, folder: &Path) -> Result<()> {
    let file = folder.join(ENTRY);
    copy(entry, &file)?;
    esbuild(
        context,
        &file,
        &file,
        &["--bundle", &format!("--external:./{INLINE}")],
    )?;
    std::fs::remove_file(folder.join(GLUE)).because("removing the glue")?;
    clear(&folder.join("snippets"))
}

fn esbuild(context: &Context, from: &Path, to: &Path, more: &[&str]) -> Result<()> {
    let mut command = node::tool(context, "esbuild");
    command.arg(from).args(more).args([
        "--minify",
        "--format=esm",
        "--target=es2022",
        "--legal-comments=none",
        "--log-level=warning",
        "--allow-overwrite",
    ]);
    command.arg(format!("--outfile={}", to.display()));
    process::capture(&mut command).map(|_| ())
}

/// Checks `pkg.json`, which is the package's manifest. As it stands: conditions of an export are
/// tried in their order.
fn manifest(context: &Context, folder: &Path) -> Result<()> {
    let file = context.root.join("pkg.json");
    let ours = object(&file)?;
    let version = ours
        .get("version")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if version != context.version {
        return Err(Failure::new(format!(
            "pkg.json says version {version:?} and Cargo.toml says {:?}: make them equal",
            context.version
        )));
    }
    copy(&file, &folder.join("package.json"))
}

fn object(file: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(file).because(format!("reading {}", file.display()))?;
    serde_json::from_str(&text).because(format!("reading {}", file.display()))
}

fn measure(context: &Context, folder: &Path) -> Result<sizes::Report> {
    let names = [WASM, ENTRY, INLINE];
    let files = names.map(|name| folder.join(name));
    let text = script(context, "measure", &files.each_ref().map(PathBuf::as_path))?;
    sizes::Report::new(names.map(str::to_owned).to_vec(), &text, INLINE)
}

fn script(context: &Context, task: &str, files: &[&Path]) -> Result<String> {
    let mut command = context.command("node");
    command
        .arg(context.root.join("xtask").join("js").join("compress.mjs"))
        .arg(task)
        .args(files);
    process::capture(&mut command)
}

fn tarball(context: &Context, folder: &Path) -> Result<PathBuf> {
    let mut command = node::npm(context, folder);
    command.args(["pack", "--loglevel=error"]);
    process::run(&context.console, "npm pack", &mut command, LIMIT)?;
    let file = folder.join(format!("datum-sync-{}.tgz", context.version));
    if file.is_file() {
        Ok(file)
    } else {
        Err(Failure::new(format!("npm pack made no {}", file.display())))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(|_| ()).because(format!(
        "copying {} to {}",
        from.display(),
        to.display()
    ))
}
