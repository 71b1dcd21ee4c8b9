//! What a test file imports, itself and through other files: whether it starts a browser.

use std::{
    collections::HashSet,
    fs,
    path::{Component, Path, PathBuf},
};

/// What starts browsers: the driver of Chromium, and the one of the other engines.
const DRIVERS: [&str; 2] = ["playwright-core", "lib/webdriver.mjs"];

/// What stands before the name of an imported module.
const IMPORTS: [&str; 3] = ["from \"", "import \"", "import(\""];

/// Returns true if a file, or one that it imports, imports what starts browsers.
pub fn starts_browser(file: &Path) -> bool {
    let mut known = HashSet::new();
    let mut left = vec![file.to_owned()];
    while let Some(file) = left.pop() {
        // A package, or what a page of the test imports.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let folder = file.parent().unwrap_or(Path::new("."));
        for name in imported(&text) {
            let target = if name.starts_with('.') {
                resolved(folder, name)
            } else {
                PathBuf::from(name)
            };
            if DRIVERS.iter().any(|driver| target.ends_with(driver)) {
                return true;
            }
            if known.insert(target.clone()) {
                left.push(target);
            }
        }
    }
    false
}

/// The names of the modules that a text imports.
fn imported(text: &str) -> impl Iterator<Item = &str> {
    IMPORTS.into_iter().flat_map(move |before| {
        let parts = text.split(before).skip(1);
        parts.filter_map(|part| part.split_once('"').map(|(name, _)| name))
    })
}

/// A path without `.` and `..`, so that a file is known by one name.
fn resolved(folder: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join("tests")
    }

    #[test]
    fn a_browser_is_found_behind_what_a_test_imports() {
        for (name, starts) in [
            ("e2e/crash", true),
            ("e2e/sync", true),
            ("e2e/engines", true),
            ("e2e/conformance", false),
            ("e2e/react", false),
            ("backends/kit", true),
            ("backends/node", false),
        ] {
            let file = folder().join(format!("{name}.test.mjs"));
            assert!(file.is_file(), "{name}");
            assert_eq!(starts_browser(&file), starts, "{name}");
        }
    }

    #[test]
    fn files_that_import_each_other_are_read_once() {
        let folder = std::env::temp_dir().join(format!("datum-imports-{}", std::process::id()));
        fs::create_dir_all(folder.join("lib")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("one.mjs", "import { two } from \"./two.mjs\";");
        write("two.mjs", "import \"./lib/../one.mjs\";");
        write(
            "late.mjs",
            "const { open } = await import(\"./lib/open.mjs\");",
        );
        write("lib/open.mjs", "export * from \"./webdriver.mjs\";");
        let starts = ["one.mjs", "late.mjs"].map(|name| starts_browser(&folder.join(name)));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(starts, [false, true]);
    }
}
