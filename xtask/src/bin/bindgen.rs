//! `datum-bindgen WASM FOLDER`: what `wasm-bindgen --target web` does, from the same library.
//!
//! The command-line tool of wasm-bindgen brings a test server and its HTTP client along, which take
//! minutes to compile; packing needs only this. It is a feature of xtask, not a package, so that
//! Cargo.lock holds it at the version of the wasm-bindgen in the module.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(wasm), Some(folder), None) = (words.next(), words.next(), words.next()) else {
        eprintln!("usage: datum-bindgen WASM FOLDER");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(wasm)
        .typescript(true)
        .omit_default_module_path(false);
    let written = bindgen.web(true).and_then(|web| web.generate(folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
