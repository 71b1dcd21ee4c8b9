//! The rules of the server as a module of their own, for `datum-sync/server` and `npx datum-sync dev`: compiled, bound
//! and optimised. No page loads it, so it is not split, and its size is no part of the sums.

use std::{fs, path::Path};

use crate::{
    bindgen::Bindgen,
    context::{Context, LIMIT},
    entries::minify,
    failure::{Because, Result},
    module, node,
    pack::Kind,
    process::{self, Running},
    stamp::{Checksums, Stamp, State},
    tools,
};

/// The module's name in the package, from its root.
pub const WASM: &str = "server/datum_sync_server.wasm";
const GLUE: &str = "server/rules.js";
/// What wasm-bindgen makes of the linked module.
const BOUND: [&str; 2] = ["datum_sync_server_bg.wasm", "datum_sync_server.js"];

/// Starts to compile the module, beside the next steps.
pub fn compile(context: &Context, kind: Kind) -> Result<Running> {
    let (profile, _, _) = names(kind);
    let mut cargo = context.cargo(&["build", "--package", "datum-server-node", "--target"]);
    cargo.args([tools::WASM_TARGET, "--profile", profile]);
    if kind == Kind::Release {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", module::flags(context)?);
    }
    let label = format!("compiling the server's module ({profile})");
    process::start(&context.console, &label, &mut cargo)
}

/// The names of cargo's profile, of its folder, and of ours.
const fn names(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Release => ("release", "release", "server-module"),
        Kind::Dev => ("dev", "debug", "server-module-dev"),
    }
}

/// Puts the module and its glue into `package`, once it is compiled.
pub fn build(context: &Context, kind: Kind, compiling: Running, package: &Path) -> Result<()> {
    let (_, built, name) = names(kind);
    compiling.join(&context.console, LIMIT)?;
    let linked = format!("{}/{built}/datum_sync_server.wasm", tools::WASM_TARGET);
    let mut bindgen = Bindgen::start(context)?;
    let inputs = Checksums::default()
        .fact("wasm-bindgen", &bindgen.version)
        .files(&context.target, &linked)?
        .files(&context.root, "xtask/src/server_module.rs")?;
    let folder = context.target.join("package").join(name);
    let output = format!("package/{name}");
    let stamp = Stamp::new(folder.with_extension("stamp"), &context.target, &[&output]);
    if let State::Stale(_) = stamp.check(&inputs)? {
        module::clear(&folder)?;
        fs::create_dir_all(&folder).because(format!("making {}", folder.display()))?;
        bindgen.run(context, &context.target.join(&linked), &folder)?;
        if kind == Kind::Release {
            shrink(context, &folder.join(BOUND[0]))?;
        }
        stamp.write(&inputs, "")?;
    }
    let [wasm, glue] = BOUND.map(|name| folder.join(name));
    fs::create_dir_all(package.join("server")).because("making the folder of the server")?;
    fs::copy(&wasm, package.join(WASM)).because("copying the server's module")?;
    // Bundlers look for the file that the glue names.
    let text = fs::read_to_string(&glue).because("reading the server's glue")?;
    let text = text.replace(BOUND[0], "datum_sync_server.wasm");
    let target = package.join(GLUE);
    fs::write(&target, text).because("writing the server's glue")?;
    minify(context, &target, &target, &[])
}

fn shrink(context: &Context, wasm: &Path) -> Result<()> {
    let mut command = node::tool(context, "wasm-opt");
    command.arg("-Oz").args(module::FEATURES);
    command.args(["--strip-debug", "--strip-producers"]);
    command.arg(wasm).arg("-o").arg(wasm);
    let label = "wasm-opt, the server's module";
    process::run(&context.console, label, &mut command, LIMIT).map(|_| ())
}
