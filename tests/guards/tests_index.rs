//! All tests of this repository, by the names that documents give them.

use std::collections::BTreeSet;

use syn::{Attribute, Item};

use super::sources::{files, root};

/// The tests in `tests/`: `binary::module::name`.
pub fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let folder = root().join("tests");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let binary = path.file_stem().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            found.extend(of_binary(binary, &text, &read));
        }
    }
    assert!(found.len() > 500, "the tests were not found");
    found
}

/// The tests of the SQL kit, which stand beside the server's.
pub fn tests_of_the_kit() -> Vec<String> {
    let mut found = Vec::new();
    for path in files(&root().join("server/tests/kit"), &["rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let names = of_file(&syn::parse_file(&text).unwrap(), &|_| String::new());
        found.extend(
            names
                .iter()
                .map(|name| format!("kit::kit::{module}::{name}")),
        );
    }
    found
}

/// The binaries that the tests are built into.
pub fn binaries(tests: &BTreeSet<String>) -> BTreeSet<&str> {
    tests
        .iter()
        .filter_map(|name| name.split("::").next())
        .collect()
}

/// The tests of one binary, whose modules say in which files they are.
fn of_binary(binary: &str, text: &str, read: &dyn Fn(&str) -> String) -> Vec<String> {
    let root = syn::parse_file(text).unwrap_or_else(|error| panic!("{binary}: {error}"));
    let mut found: Vec<String> = of_file(&root, read)
        .iter()
        .map(|name| format!("{binary}::{name}"))
        .collect();
    for item in &root.items {
        let Item::Mod(module) = item else { continue };
        let Some(path) = path_of(&module.attrs).filter(|path| !path.starts_with("..")) else {
            continue;
        };
        let text = read(&path);
        let ast = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let names = of_file(&ast, read);
        found.extend(
            names
                .iter()
                .map(|name| format!("{binary}::{}::{name}", module.ident)),
        );
    }
    found
}

/// The tests of one file, with those of a suite that it mounts.
fn of_file(ast: &syn::File, read: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for item in &ast.items {
        match item {
            Item::Fn(item) if is_test(&item.attrs) => found.push(item.sig.ident.to_string()),
            Item::Macro(item) => {
                let name = item.mac.path.segments.last().unwrap().ident.to_string();
                if name == "stories" {
                    found.extend(scripted(&item.mac.tokens.to_string()));
                } else if let Some(suite) = name.strip_suffix("_stories") {
                    let file = match suite {
                        "store" => "support/store_suite.rs",
                        _ => "support/browser/host_stories.rs",
                    };
                    found.extend(of_suite(&read(file), &name));
                }
            }
            _ => {}
        }
    }
    found
}

/// The tests that a compiled script exports: `"file": one, two`.
fn scripted(tokens: &str) -> Vec<String> {
    let (_, names) = tokens.rsplit_once(':').unwrap_or_default();
    let names = names.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The stories that the macro of a suite lists.
fn of_suite(text: &str, name: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| !line.contains(&format!("macro_rules! {name} ")))
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|word| word.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .map(str::to_owned)
        .collect()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|last| last.ident == "test" || last.ident == "wasm_bindgen_test")
    })
}

fn path_of(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

/// Whether a test of this name is among the unit tests and the server's.
pub fn is_elsewhere(name: &str) -> bool {
    let start = format!("fn {name}(");
    ["server", "xtask", "src", "fuzz"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), &["rs"]))
        .any(|path| std::fs::read_to_string(path).unwrap().contains(&start))
}

/// Whether a file of `tests/e2e`, or of `tests/backends` if it begins so, has a test whose title
/// begins so.
pub fn is_end_to_end(file: &str, title: &str) -> bool {
    let folder = if file.starts_with("backends/") {
        "tests"
    } else {
        "tests/e2e"
    };
    let path = root().join(format!("{folder}/{file}.test.mjs"));
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("test(\"{title}")))
}

/// The promise that an async predicate returns is true at once: such a wait waits for nothing.
#[test]
fn no_end_to_end_test_waits_for_an_async_predicate_by_waitforfunction() {
    for path in files(&root().join("tests/e2e"), &["mjs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = text.contains(concat!("waitForFunction", "(async"));
        assert!(!found, "{}: use `eventually`", path.display());
    }
}

#[test]
fn a_test_has_the_name_of_its_binary_and_its_module() {
    let read = |name: &str| {
        match name {
        "stories/basics.rs" => "#[test] fn one() {} fn helper() {} #[wasm_bindgen_test] async fn two() {}",
        "stories/app.rs" => "crate::stories! { \"app.js\": six, seven, }",
        "stories/store.rs" => "crate::store_stories!(mount);",
        "support/store_suite.rs" => "macro_rules! store_stories {\n ($m:ident) => {\n $m! {\n three,\n four,\n }\n };\n}\nfn five() {\n a,\n}",
        _ => panic!("{name}"),
    }
    .to_owned()
    };
    let text = "mod support; #[path = \"stories/basics.rs\"] mod basics; #[path = \"stories/store.rs\"] mod store; #[path = \"stories/app.rs\"] mod app; #[test] fn whole() {}";
    assert_eq!(
        of_binary("stories", text, &read),
        [
            "stories::whole",
            "stories::basics::one",
            "stories::basics::two",
            "stories::store::three",
            "stories::store::four",
            "stories::app::six",
            "stories::app::seven"
        ]
    );
}
