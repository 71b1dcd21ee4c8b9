//! Splits the package's module into the files that a page loads one after another.
//!
//! Which functions an app runs until it has shown something, and which its writes and cycles run besides, is
//! found out by running them: a module that notes its functions goes through both in Chromium.

use std::{fs, path::Path};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Failure, Result},
    lazy_glue,
    module::{GLUE, WASM},
    node, process,
    split::{self, Pinned, data::Objects},
    stamp::checksum,
};

/// What writes and cycles run, beside what a first paint runs.
pub const CYCLE: &str = "datum_sync_cycle.wasm";
/// What neither runs.
pub const REST: &str = "datum_sync_rest.wasm";
/// The files of the parts, the first one first.
pub const FILES: [&str; 3] = [WASM, CYCLE, REST];

/// What the parts and the JavaScript that loads them call each other. Parts of different builds do
/// not fit together, and do not link.
pub struct Build {
    pub id: String,
    pub parts: usize,
}

impl Build {
    /// The build of a module that is in one part.
    pub fn whole() -> Self {
        Self {
            id: "whole".to_owned(),
            parts: 1,
        }
    }
}

/// Replaces the module in `folder` by its parts, and makes the glue wait for them. `assemble` puts
/// a package with the given module beside the glue, which is what is profiled. `objects` are what the module
/// has in memory.
pub fn split(
    context: &Context,
    folder: &Path,
    objects: &Objects,
    assemble: impl FnOnce(&Path) -> Result<()>,
) -> Result<Build> {
    let wasm = folder.join(WASM);
    let linked = fs::read(&wasm).because("reading the module")?;
    let split::Outlined {
        module,
        stages: profile,
    } = split::outline(&linked, &profile(context, &linked, assemble)?)?;
    let glue_file = folder.join(GLUE);
    let glue = fs::read_to_string(&glue_file).because("reading the glue")?;
    let may_wait = lazy_glue::may_wait(&glue);
    let mut built = module.clone();
    built.extend(profile.iter().map(|part| *part as u8));
    let id: String = checksum(&built).chars().take(8).collect();
    let pinned = Pinned(&|name| !may_wait.contains(name));
    let parts = split::split(&module, &profile, &pinned, objects, &id)?;
    if parts.modules.len() != FILES.len() {
        return Err(Failure::new(format!(
            "the profile makes {} parts of the module; {} are loaded",
            parts.modules.len(),
            FILES.len()
        )));
    }
    let list = context.target.join("package").join("functions.txt");
    fs::write(list, &parts.list).because("listing the functions")?;
    for (name, part) in FILES.iter().zip(&parts.modules) {
        fs::write(folder.join(name), part).because(format!("writing {name}"))?;
    }
    let glue = lazy_glue::wait(&glue, &parts.later_exports)?;
    fs::write(&glue_file, glue).because("writing the glue")?;
    Ok(Build {
        id,
        parts: FILES.len(),
    })
}

/// Returns the part of each block.
fn profile(
    context: &Context,
    module: &[u8],
    assemble: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<usize>> {
    let folder = context.target.join("package").join("profile");
    assemble(&folder)?;
    fs::write(folder.join(WASM), split::instrument(module)?)
        .because("writing the module that is profiled")?;
    let notes = folder.join("notes.json");
    let mut command = context.command("node");
    command
        .arg(context.root.join("xtask").join("js").join("profile.mjs"))
        .args([&folder, &notes])
        .env("CHROMIUM", node::chromium(context)?);
    let label = "finding out what a first paint and a cycle run";
    process::run(&context.console, label, &mut command, LIMIT)?;
    let text = fs::read_to_string(&notes).because("reading the profile")?;
    let stages: Vec<Vec<u32>> = serde_json::from_str(&text).because("reading the profile")?;
    let has_run = |stage: &Vec<u32>, block: usize| {
        let notes = stage.get(block / 32).copied().unwrap_or_default();
        notes >> (block % 32) & 1 == 1
    };
    let part_of = |block| {
        let stage = stages.iter().position(|stage| has_run(stage, block));
        stage.unwrap_or(stages.len())
    };
    Ok((0..split::blocks(module)?).map(part_of).collect())
}
