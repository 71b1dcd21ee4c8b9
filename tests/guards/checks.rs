//! The checks that the guards make of parsed sources.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item};

use super::sources::{Sources, attributes, is_test, items};

/// Crates, modules and types that a pure room must not name.
const IMPURE: &[&str] = &[
    "Date",
    "Instant",
    "SystemTime",
    "fastrand",
    "getrandom",
    "js_sys",
    "rand",
    "wasm_bindgen",
    "wasm_bindgen_futures",
    "web_sys",
];

/// Modules of the standard library that a pure room must not name.
const IMPURE_STD: &[&str] = &["env", "fs", "io", "net", "thread", "time"];

/// Everything in a file that is impure.
pub fn impurities(ast: &syn::File) -> BTreeSet<String> {
    struct Impurities(BTreeSet<String>);
    impl Impurities {
        fn path(&mut self, segments: &[String]) {
            let std = segments.len() > 1 && ["std", "core"].contains(&segments[0].as_str());
            for (at, segment) in segments.iter().enumerate() {
                if IMPURE.contains(&segment.as_str())
                    || std && at == 1 && IMPURE_STD.contains(&segment.as_str())
                {
                    self.0.insert(segments.join("::"));
                }
            }
        }

        fn tree(&mut self, tree: &syn::UseTree, prefix: &[String]) {
            let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
            match tree {
                syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
                syn::UseTree::Name(name) => self.path(&with(&name.ident)),
                syn::UseTree::Rename(name) => self.path(&with(&name.ident)),
                syn::UseTree::Group(group) => {
                    group.items.iter().for_each(|tree| self.tree(tree, prefix))
                }
                _ => self.path(prefix),
            }
        }
    }
    impl<'ast> Visit<'ast> for Impurities {
        fn visit_item(&mut self, item: &'ast Item) {
            if !is_test(attributes(item)) {
                visit::visit_item(self, item);
            }
        }

        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            self.tree(&item.tree, &[]);
        }

        fn visit_path(&mut self, path: &'ast syn::Path) {
            let segments: Vec<String> = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            self.path(&segments);
            visit::visit_path(self, path);
        }

        fn visit_macro(&mut self, item: &'ast syn::Macro) {
            let text = item.tokens.to_string();
            for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
                if ["async", "await"].contains(&word) || IMPURE.contains(&word) && word != "Date" {
                    self.0.insert(word.to_owned());
                }
            }
            visit::visit_macro(self, item);
        }

        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            if signature.asyncness.is_some() {
                self.0.insert(format!("async fn {}", signature.ident));
            }
            visit::visit_signature(self, signature);
        }

        fn visit_expr(&mut self, expression: &'ast syn::Expr) {
            match expression {
                syn::Expr::Async(_) => drop(self.0.insert("async".to_owned())),
                syn::Expr::Await(_) => drop(self.0.insert(".await".to_owned())),
                syn::Expr::Closure(closure) if closure.asyncness.is_some() => {
                    self.0.insert("async ||".to_owned());
                }
                _ => {}
            }
            visit::visit_expr(self, expression);
        }
    }
    let mut found = Impurities(BTreeSet::new());
    found.visit_file(ast);
    found.0
}

/// The types and traits that a file declares at its top.
pub fn type_names(ast: &syn::File) -> Vec<String> {
    items(ast)
        .filter_map(|item| match item {
            Item::Enum(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            _ => None,
        })
        .map(ToString::to_string)
        .collect()
}

/// The types that a file has an `impl` of, without a trait.
pub fn inherent_impls(ast: &syn::File) -> BTreeSet<String> {
    items(ast)
        .filter_map(|item| match item {
            Item::Impl(item) if item.trait_.is_none() => match &*item.self_ty {
                syn::Type::Path(of) => of.path.segments.last(),
                _ => None,
            },
            _ => None,
        })
        .map(|segment| segment.ident.to_string())
        .collect()
}

/// The functions, methods and macros of a file.
pub fn functions(ast: &syn::File) -> BTreeSet<String> {
    struct Functions(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Functions {
        fn visit_item(&mut self, item: &'ast Item) {
            if !is_test(attributes(item)) {
                visit::visit_item(self, item);
            }
        }

        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            self.0.insert(signature.ident.to_string());
            visit::visit_signature(self, signature);
        }

        fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
            self.0.extend(item.ident.as_ref().map(ToString::to_string));
        }
    }
    let mut found = Functions(BTreeSet::new());
    found.visit_file(ast);
    found.0
}

/// Whether `#[wasm_bindgen]` stands on anything but an extern block.
pub fn exports(ast: &syn::File) -> bool {
    struct Exports(bool);
    impl<'ast> Visit<'ast> for Exports {
        // What such a block declares is an import.
        fn visit_item_foreign_mod(&mut self, _: &'ast syn::ItemForeignMod) {}

        fn visit_attribute(&mut self, attribute: &'ast Attribute) {
            let name = attribute.path().segments.last();
            self.0 |= name.is_some_and(|name| name.ident == "wasm_bindgen");
        }
    }
    let mut found = Exports(false);
    found.visit_file(ast);
    found.0
}

/// A circle of imports for each group of files that has one.
pub fn cycles(sources: &Sources) -> Vec<String> {
    let mut edges = sources.edges();
    // Files that nothing leaves, or nothing enters, are in no circle.
    loop {
        let targets: BTreeSet<usize> = edges.values().flatten().copied().collect();
        let before: usize = edges.values().map(BTreeSet::len).sum();
        let sources: BTreeSet<usize> = edges.keys().copied().collect();
        edges.retain(|from, to| {
            to.retain(|to| sources.contains(to));
            !to.is_empty() && targets.contains(from)
        });
        if before == edges.values().map(BTreeSet::len).sum::<usize>() {
            break;
        }
    }
    let name = |at: &usize| sources.0[*at].name.clone();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for start in edges.keys() {
        if !seen.contains(start)
            && let Some(circle) = shortest_circle(&edges, *start)
        {
            seen.extend(circle.iter().copied());
            let mut names: Vec<String> = circle.iter().map(name).collect();
            names.push(name(start));
            found.push(names.join(" → "));
        }
    }
    found
}

/// The shortest way from a file back to itself.
fn shortest_circle(edges: &BTreeMap<usize, BTreeSet<usize>>, start: usize) -> Option<Vec<usize>> {
    let mut ways = vec![vec![start]];
    let mut reached = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in edges.get(way.last()?).into_iter().flatten() {
                if *next == start {
                    return Some(way);
                }
                if reached.insert(*next) {
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn what_is_impure_is_found_and_nothing_else() {
    let found = |text: &str| impurities(&syn::parse_file(text).unwrap());
    for text in [
        "async fn f() {}",
        "fn f() { let a = async { 1 }; }",
        "fn f() { g(async || 1) }",
        "use js_sys::Date;",
        "use std::{rc::Rc, time::Instant};",
        "fn f() -> std::time::SystemTime { loop {} }",
        "fn f() { web_sys::window(); }",
        "fn f() { vec![js_sys::Math::random()]; }",
        "trait A { async fn f(&self); }",
        "#[wasm_bindgen::prelude::wasm_bindgen] extern \"C\" {}",
    ] {
        assert!(!found(text).is_empty(), "{text}");
    }
    for text in [
        "use std::rc::Rc; fn f(now: u64) -> u64 { now }",
        "/// async, Date\nconst A: &str = \"await js_sys\";",
        "#[cfg(test)] mod tests { async fn f() {} }",
        "fn f(instant: u64, time: u64) { Duration::new(time, instant); }",
    ] {
        assert_eq!(found(text), BTreeSet::new(), "{text}");
    }
}

#[test]
fn a_circle_is_found_through_whoever_passes_a_name_on() {
    let circles = |files: &[(&str, &str)]| cycles(&Sources::of(files));
    assert_eq!(
        circles(&[
            ("src/log/a.rs", "use super::b::B;"),
            ("src/log/b.rs", "use crate::log::c::C;"),
            ("src/log/c.rs", "fn f() { super::a::g() }"),
            ("src/log/d.rs", "use super::a::A;"),
        ]),
        ["src/log/a.rs → src/log/b.rs → src/log/c.rs → src/log/a.rs"]
    );
    assert_eq!(
        circles(&[
            ("src/log.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("src/log/a.rs", "use super::B;"),
            ("src/log/b.rs", "use crate::log::A;"),
        ]),
        ["src/log/a.rs → src/log/b.rs → src/log/a.rs"]
    );
    // A parent and its descendants are one subject.
    assert!(
        circles(&[
            ("src/log.rs", "use self::a::A;"),
            ("src/log/a.rs", "use super::B;"),
            ("src/log/a/deep.rs", "use crate::log::B; use super::A;"),
        ])
        .is_empty()
    );
}

#[test]
fn names_and_exports_are_found() {
    let sources = Sources::of(&[(
        "src/model.rs",
        "pub struct A; enum B {} type C = u8; trait D {} fn e() {} impl A {} impl<T> F<T> {} impl D for G {}
         #[cfg(test)] mod tests { struct H; }",
    )]);
    let source = &sources.0[0];
    assert_eq!(source.types, ["A", "B", "C", "D"]);
    assert_eq!(source.impls, ["A".to_owned(), "F".to_owned()].into());
    assert_eq!(source.functions, ["e".to_owned()].into());
    let exported = |text: &str| exports(&syn::parse_file(text).unwrap());
    assert!(exported("#[wasm_bindgen] pub fn f() {}"));
    assert!(exported("#[wasm_bindgen(js_name = a)] impl A {}"));
    assert!(exported("impl A { #[wasm_bindgen(getter)] fn f() {} }"));
    assert!(!exported(
        "#[wasm_bindgen] extern \"C\" { #[wasm_bindgen(js_name = \"fetch\")] fn f(); }"
    ));
    assert!(!exported("use wasm_bindgen::prelude::*;"));
}
