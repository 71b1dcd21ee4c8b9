//! The package's entries in TypeScript, each in a file of its own: the builder of queries, the conformance kit, the panel
//! for developers, and those for Supabase, for REST APIs, for frameworks, for TanStack DB, and for servers.
//! They import the main entry from the package, so they work on its public surface alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    context::{Context, LIMIT},
    failure::{Because, Result},
    module, node, process,
};

/// Entries that one folder of `src/js` has, and that one folder of the package gets.
struct Folder {
    name: &'static str,
    /// The modules that apps import, without their extensions.
    entries: &'static [&'static str],
    /// The declarations that those lead to.
    types: &'static [&'static str],
    /// What an app has anyway.
    external: &'static [&'static str],
}

/// The builder of queries.
const QUERY: Folder = Folder {
    name: "query",
    entries: &["index"],
    types: &["index.d.ts"],
    external: &[],
};

/// For apps on Supabase.
const SUPABASE: Folder = Folder {
    name: "supabase",
    entries: &["index"],
    types: &["index.d.ts", "auth.d.ts", "options.d.ts", "remote.d.ts"],
    external: &[],
};

/// For apps in a framework.
const HOOKS: Folder = Folder {
    name: "hooks",
    entries: &["react", "vue", "svelte", "solid"],
    types: &[
        "react.d.ts",
        "vue.d.ts",
        "svelte.d.ts",
        "solid.d.ts",
        "types.d.ts",
    ],
    external: &["react", "vue", "svelte", "svelte/*", "solid-js"],
};

/// For apps on TanStack DB, of which it needs only types.
const TANSTACK: Folder = Folder {
    name: "tanstack",
    entries: &["index"],
    types: &["index.d.ts"],
    external: &[],
};

/// For an app's own backend. The rules' module and its glue are made beside it.
const SERVER: Folder = Folder {
    name: "server",
    entries: &["index"],
    types: &[
        "index.d.ts",
        "handler.d.ts",
        "memory.d.ts",
        "node.d.ts",
        "postgres.d.ts",
        "postgres-client.d.ts",
        "rules-store.d.ts",
        "sqlite.d.ts",
        "store.d.ts",
    ],
    external: &["./rules.js"],
};

/// For apps over an ordinary JSON API.
const REST: Folder = Folder {
    name: "rest",
    entries: &["index"],
    types: &["index.d.ts", "options.d.ts"],
    external: &[],
};

/// For those who build a backend: the checks that `npx datum-sync conformance` runs.
const CONFORMANCE: Folder = Folder {
    name: "conformance",
    entries: &["index"],
    types: &["index.d.ts", "report.d.ts"],
    external: &[],
};

/// The panel for developers.
const DEVTOOLS: Folder = Folder {
    name: "devtools",
    entries: &["index"],
    types: &["index.d.ts", "element.d.ts", "surface.d.ts"],
    external: &[],
};

/// The entries whose sizes have budgets.
pub const MEASURED: [&str; 6] = [
    "devtools/index.js",
    "hooks/react.js",
    "hooks/vue.js",
    "hooks/svelte.js",
    "hooks/solid.js",
    "tanstack/index.js",
];

/// The SQL kit: its files, which the package has as one that is a migration.
pub const KIT: &str = "server/sql/kit";
const MIGRATION: &str = "datum.sql";

/// Checks and bundles all of them into `package`.
pub fn build(context: &Context, sources: &Path, package: &Path) -> Result<()> {
    for folder in [
        QUERY,
        SUPABASE,
        HOOKS,
        TANSTACK,
        REST,
        CONFORMANCE,
        DEVTOOLS,
        SERVER,
    ] {
        bundle(context, &folder, sources, package)?;
    }
    let migration = joined(&context.root.join(KIT))?;
    let file = package.join(SUPABASE.name).join(MIGRATION);
    fs::write(file, migration).because("writing the SQL kit")
}

fn bundle(context: &Context, folder: &Folder, sources: &Path, package: &Path) -> Result<()> {
    let (from, to) = (sources.join(folder.name), package.join(folder.name));
    let declarations = context.target.join("package").join(folder.name);
    module::clear(&declarations)?;
    let mut command = node::tool(context, "tsc");
    command.args(["--emitDeclarationOnly", "--project"]);
    command.arg(&from).arg("--outDir").arg(&declarations);
    let label = format!("types of {}", folder.name);
    process::run(&context.console, &label, &mut command, LIMIT)?;
    fs::create_dir_all(&to).because(format!("making {}", to.display()))?;
    for name in folder.types {
        copy(&declarations.join(name), &to.join(name))?;
    }
    let mut options = vec!["--bundle".to_owned(), "--external:datum-sync".to_owned()];
    options.extend(folder.external.iter().map(|it| format!("--external:{it}")));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    for entry in folder.entries {
        let (source, target) = (format!("{entry}.ts"), format!("{entry}.js"));
        minify(context, &from.join(source), &to.join(target), &options)?;
    }
    Ok(())
}

/// Minifies a module, as all that a browser gets.
pub fn minify(context: &Context, from: &Path, to: &Path, more: &[&str]) -> Result<()> {
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

/// Returns the files of a folder as one text, in the order of their names.
fn joined(folder: &Path) -> Result<String> {
    let doing = || format!("reading {}", folder.display());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).because(doing())? {
        files.push(entry.because(doing())?.path());
    }
    files.sort();
    let texts: Result<Vec<String>> = files
        .iter()
        .map(|file| fs::read_to_string(file).because(doing()))
        .collect();
    texts.map(|texts| texts.join("\n"))
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).because(format!(
        "copying {} to {}",
        from.display(),
        to.display()
    ))
}
