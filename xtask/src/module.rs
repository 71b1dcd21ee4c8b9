//! The WebAssembly module and its JavaScript glue: compiled, bound, and optimised for size.
//!
//! wasm-opt takes a minute and depends only on the compiled module, so its result is kept: a change
//! of a comment or of the JavaScript beside the module does not run it again.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bindgen::Bindgen,
    context::{Context, LIMIT},
    failure::{Because, Result},
    guard_receivers, lazy_glue, node,
    pack::Kind,
    process, shorten_glue,
    split::data::{self, Objects},
    stamp::{Checksums, Stamp, State},
    tools,
};

/// The module's file name.
pub const WASM: &str = "datum_sync_bg.wasm";
/// The file name of the glue that wasm-bindgen writes.
pub const GLUE: &str = "datum_sync.js";

/// The size of the module's stack, which the data follows. An eighth below the linker's 1 MiB: so the addresses of
/// the data are below 2^20, and a byte shorter in code.
const STACK: u32 = 896 << 10;

/// What rustc lets the module use by default. wasm-opt needs the list, since the module's own
/// one is stripped.
pub const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Makes the module and its glue, and returns their folder.
pub fn build(context: &Context, kind: Kind, mut bindgen: Bindgen) -> Result<PathBuf> {
    let compiled = compile(context, kind)?;
    let folder = context.target.join("package").join(match kind {
        Kind::Release => "module",
        Kind::Dev => "module-dev",
    });
    let inputs = Checksums::default()
        .fact("wasm-bindgen", &bindgen.version)
        .files(&context.target, relative(&compiled, &context.target)?)?
        .files(&context.root, "tests/e2e/package-lock.json")?
        .files(&context.root, "xtask/js/order.mjs")?
        .files(&context.root, "xtask/src/module.rs")?
        .files(&context.root, "xtask/src/guard_receivers.rs")?
        .files(&context.root, "xtask/src/shorten_glue.rs")?
        .files(&context.root, "xtask/src/lazy_glue.rs")?
        .files(&context.root, "xtask/src/split/data")?;
    let objects = objects_file(&folder);
    let outputs = [&folder, &objects].map(|output| relative(output, &context.target));
    let [made, listed] = outputs;
    let stamp = Stamp::new(
        folder.with_extension("stamp"),
        &context.target,
        &[made?, listed?],
    );
    match (stamp.check(&inputs)?, kind) {
        (State::Fresh(_), Kind::Dev) => return Ok(folder),
        (State::Fresh(_), Kind::Release) => {
            context
                .console
                .say("✓ the compiled module is the same as before: wasm-opt is skipped");
            return Ok(folder);
        }
        (State::Stale(_), _) => {}
    }
    clear(&folder)?;
    match kind {
        Kind::Release => optimise(context, &mut bindgen, &compiled, &folder)?,
        Kind::Dev => bindgen.run(context, &compiled, &folder)?,
    }
    rewrite(&folder, guard_receivers::guard)?;
    if kind == Kind::Release {
        order(context, &folder)?;
    }
    rewrite(&folder, lazy_glue::open)?;
    stamp.write(&inputs, "")?;
    Ok(folder)
}

/// Removes a folder and all that is in it, if it is there.
pub fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        emptied => emptied.because(format!("emptying {}", folder.display())),
    }
}

fn relative<'a>(path: &'a Path, root: &Path) -> Result<&'a str> {
    path.strip_prefix(root)
        .ok()
        .and_then(Path::to_str)
        .because(format!("{} is no plain path", path.display()))
}

/// Cargo optimises over all crates at once only for a library of one kind, and the root package is
/// also a crate that the server links: `--crate-type` picks the one that browsers load. wasm-pack
/// cannot pass that on, and its module is a tenth larger.
fn compile(context: &Context, kind: Kind) -> Result<PathBuf> {
    let (profile, folder) = match kind {
        Kind::Release => ("release", "release"),
        // Shares its crates with the browser tests. A changed line takes three seconds.
        Kind::Dev => ("dev", "debug"),
    };
    let mut cargo = context.cargo(&[
        "rustc",
        "--package",
        "datum-sync",
        "--lib",
        "--target",
        tools::WASM_TARGET,
        "--crate-type",
        "cdylib",
        "--profile",
        profile,
    ]);
    if kind == Kind::Release {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(context)?);
        // For `data::read`. It weighs nothing: wasm-opt encodes all numbers again.
        let stack = format!("-Clink-arg=-zstack-size={STACK}");
        cargo.args(["--", "-Clink-arg=--emit-relocs", &stack]);
    }
    let label = format!("compiling the module ({profile})");
    process::run(&context.console, &label, &mut cargo, LIMIT)?;
    Ok(context
        .target
        .join(tools::WASM_TARGET)
        .join(folder)
        .join("datum_sync.wasm"))
}

/// Panic messages name source files. These flags make their paths relative to the project, cargo's
/// folder and the standard library, so that the module is the same on every machine. Cargo's
/// encoded form is used, since a path may have spaces.
pub fn flags(context: &Context) -> Result<OsString> {
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

/// Returns the objects in the memory of the module that [`build`] has made in a folder.
pub fn objects(folder: &Path) -> Result<Objects> {
    let file = objects_file(folder);
    let text = fs::read_to_string(&file).because(format!("reading {}", file.display()))?;
    Objects::parse(&text)
}

/// The file is beside the folder, whose files go into the package.
fn objects_file(folder: &Path) -> PathBuf {
    folder.with_extension("objects.json")
}

/// Makes the glue and the optimised module, and lists the objects in its memory: see [`data`].
fn optimise(
    context: &Context,
    bindgen: &mut Bindgen,
    compiled: &Path,
    folder: &Path,
) -> Result<()> {
    let linked = fs::read(compiled).because("reading the linked module")?;
    let linked = data::read(&linked)?;
    let moved = folder.with_extension("moved");
    for (folder, module) in [(folder, &linked.plain), (&moved, &linked.moved)] {
        clear(folder)?;
        fs::create_dir_all(folder).because(format!("making {}", folder.display()))?;
        // wasm-bindgen names its files after this one.
        let file = folder.join("datum_sync.wasm");
        fs::write(&file, module).because(format!("writing {}", file.display()))?;
        bindgen.run(context, &file, folder)?;
        fs::remove_file(&file).because(format!("removing {}", file.display()))?;
    }
    let mut commands = [folder, &moved].map(|folder| shrink(context, &folder.join(WASM)));
    let [plain, beside] = &mut commands;
    let beside = process::start(&context.console, "wasm-opt, addresses moved", beside)?;
    process::run(&context.console, "wasm-opt", plain, LIMIT)?;
    beside.join(&context.console, LIMIT)?;
    let read = |folder: &Path| fs::read(folder.join(WASM)).because("reading the module");
    let (plain, moved) = (read(folder)?, read(&moved)?);
    let objects = Objects {
        addresses: data::find(&plain, &moved, &linked.objects, &linked.distances)?,
        list: linked.objects,
    };
    let file = objects_file(folder);
    fs::write(&file, objects.json().to_string()).because(format!("writing {}", file.display()))
}

/// Runs wasm-opt several times, since each pass gives the next one something to do. In between,
/// `--flatten --rereloop` rebuilds the control flow, which comes out smaller than the compiler's.
/// Only functions that are little more than a call are inlined: the compiler has decided on the
/// rest. `--low-memory-unused` is safe because the stack lies first: the memory below 1 KiB is its
/// end, and an access that traps there is an overflow noticed early.
fn shrink(context: &Context, wasm: &Path) -> Command {
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
        .args(["-g", "--strip-producers"])
        .arg(wasm)
        .arg("-o")
        .arg(wasm);
    command
}

/// Places similar functions side by side, which compresses better, and shortens the names that the module
/// and its glue use for each other.
fn order(context: &Context, folder: &Path) -> Result<()> {
    let wasm = folder.join(WASM);
    let mut command = context.command("node");
    command
        .arg(context.root.join("xtask").join("js").join("order.mjs"))
        .arg(&wasm);
    process::capture(&mut command)?;
    let mut command = node::tool(context, "wasm-opt");
    command.args(FEATURES).args([
        "--reorder-functions-by-name",
        "--minify-imports-and-exports-and-modules",
        "-g",
    ]);
    command.arg(&wasm).arg("-o").arg(&wasm);
    let label = "wasm-opt, ordering functions";
    let names = process::run(&context.console, label, &mut command, LIMIT)?.text;
    rewrite(folder, |glue| shorten_glue::shorten(glue, &names))
}

fn rewrite(folder: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let glue = folder.join(GLUE);
    let text = fs::read_to_string(&glue).because(format!("reading {}", glue.display()))?;
    fs::write(&glue, change(&text)?).because(format!("writing {}", glue.display()))
}
