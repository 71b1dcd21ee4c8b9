//! The program that makes the module's JavaScript glue: wasm-bindgen's own if the browser suites
//! have installed it, else `bin/bindgen.rs`, which compiles in a fraction of the time.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    context::{Context, LIMIT},
    failure::Result,
    process::{self, Running},
    tools,
};

/// The program, which may still be compiling.
pub struct Bindgen {
    /// The version of wasm-bindgen.
    pub version: String,
    program: PathBuf,
    options: &'static [&'static str],
    building: Option<Running>,
}

impl Bindgen {
    /// Finds the program, or starts building it.
    pub fn start(context: &Context) -> Result<Self> {
        let cli = tools::wasm_bindgen_cli(context)?;
        if let Some(program) = tools::installed(context, &cli) {
            return Ok(Self {
                version: cli.version,
                program,
                options: &["--target", "web", "--out-dir"],
                building: None,
            });
        }
        let home = tools::cache(context).join(format!("datum-bindgen-{}", cli.version));
        let name = format!("datum-bindgen{}", std::env::consts::EXE_SUFFIX);
        let program = home.join("bin").join(&name);
        let building = if program.is_file() {
            None
        } else {
            let label = format!(
                "building datum-bindgen {}, once on this machine",
                cli.version
            );
            let mut install = context.cargo(&["install", "--path", "xtask", "--locked", "--force"]);
            install
                .args(["--bin", "datum-bindgen", "--features", "bindgen"])
                .args(["--profile", "dev", "--root"])
                .arg(&home)
                .env("CARGO_PROFILE_DEV_DEBUG", "false")
                .env("CARGO_TARGET_DIR", context.target.join("tools"));
            Some(process::start(&context.console, &label, &mut install)?)
        };
        Ok(Self {
            version: cli.version,
            program,
            options: &[],
            building,
        })
    }

    /// Reads `wasm` and writes the module and its glue to `folder`.
    pub fn run(&mut self, context: &Context, wasm: &Path, folder: &Path) -> Result<()> {
        if let Some(building) = self.building.take() {
            building.join(&context.console, LIMIT)?;
        }
        let mut command: Command = context.command(&self.program.to_string_lossy());
        command.arg(wasm).args(self.options).arg(folder);
        process::run(&context.console, "making the glue", &mut command, LIMIT).map(|_| ())
    }
}
