//! The sources of `src`, parsed once: the imports of each file, the file that declares each, and
//! what else the guards ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

use super::checks;

/// The segments of a path from the root of the crate.
pub type ModulePath = Vec<String>;

/// One file of `src`.
pub struct Source {
    /// Its path from the root of the repository.
    pub name: String,
    /// The module that it holds.
    pub module: ModulePath,
    pub lines: usize,
    /// The paths that it imports or names in its code.
    pub imports: BTreeSet<ModulePath>,
    /// What is asynchronous in it, or IO, a clock or chance.
    pub impurities: BTreeSet<String>,
    /// The types and traits that it declares at its top.
    pub types: Vec<String>,
    /// The types that it has an `impl` of, without a trait.
    pub impls: BTreeSet<String>,
    /// Its functions, methods and macros.
    pub functions: BTreeSet<String>,
    /// Whether it exports something to JavaScript.
    pub exports: bool,
    /// The names that it imports, each with the path that it stands for.
    aliases: BTreeMap<String, ModulePath>,
}

impl Source {
    fn parse(name: &str, text: &str) -> Self {
        let module: ModulePath = Path::new(name)
            .strip_prefix("src")
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .filter(|part| part != "lib")
            .collect();
        let ast = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut paths = Paths {
            here: module.clone(),
            ..Paths::default()
        };
        paths.visit_file(&ast);
        Self {
            name: name.to_owned(),
            module,
            lines: text.lines().count(),
            imports: paths.found,
            impurities: checks::impurities(&ast),
            types: checks::type_names(&ast),
            impls: checks::inherent_impls(&ast),
            functions: checks::functions(&ast),
            exports: checks::exports(&ast),
            aliases: paths.aliases,
        }
    }

    /// The room that the file belongs to: the first folder below `src`. None for `lib.rs`.
    pub fn room(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    fn contains(&self, other: &Self) -> bool {
        other.module.starts_with(&self.module)
    }
}

/// All files of `src` that are compiled outside tests.
pub struct Sources(pub Vec<Source>);

impl Sources {
    /// Parses texts in place of files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(name, text)| Source::parse(name, text))
                .collect(),
        )
    }

    /// Reads the sources of this repository.
    pub fn read() -> &'static Self {
        static SOURCES: OnceLock<Sources> = OnceLock::new();
        SOURCES.get_or_init(Self::parse)
    }

    fn parse() -> Self {
        let sources: Vec<Source> = files(&root().join("src"), &["rs"])
            .iter()
            .filter(|path| path.file_stem().is_some_and(|name| name != "tests"))
            .map(|path| Source::parse(&relative(path), &std::fs::read_to_string(path).unwrap()))
            .collect();
        assert!(sources.len() > 50, "the sources were not found");
        Self(sources)
    }

    /// For each file the files that it imports from. Imports between a module and its descendants
    /// are left out. A name that another file only passes on counts for the file that declares it.
    pub fn edges(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (from, source) in self.0.iter().enumerate() {
            for path in &source.imports {
                let Some(to) = self.declared_in(path, 8) else {
                    continue;
                };
                let other = &self.0[to];
                if to != from && !source.contains(other) && !other.contains(source) {
                    edges.entry(from).or_default().insert(to);
                }
            }
        }
        edges
    }

    /// The file that declares what a path names.
    fn declared_in(&self, path: &[String], redirects: u32) -> Option<usize> {
        let (file, source) = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, source)| !source.module.is_empty() && path.starts_with(&source.module))
            .max_by_key(|(_, source)| source.module.len())?;
        let rest = &path[source.module.len()..];
        let target = rest.first().and_then(|name| source.aliases.get(name));
        match target {
            Some(target) if redirects > 0 => {
                let target = [target.as_slice(), &rest[1..]].concat();
                self.declared_in(&target, redirects - 1).or(Some(file))
            }
            _ => Some(file),
        }
    }
}

/// Collects the paths of a file that begin at the root of the crate.
#[derive(Default)]
struct Paths {
    here: ModulePath,
    found: BTreeSet<ModulePath>,
    aliases: BTreeMap<String, ModulePath>,
}

impl Paths {
    /// Returns the path from the root; none for one of another crate.
    fn resolve(&self, segments: &[String]) -> Option<ModulePath> {
        let mut base = match segments.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.here.clone(),
            _ => return None,
        };
        let mut rest = segments;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = after;
        }
        base.extend(rest.iter().cloned());
        (!base.is_empty()).then_some(base)
    }

    fn add(&mut self, segments: &[String]) {
        self.found.extend(self.resolve(segments));
    }

    fn unfold(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: String| [prefix, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.unfold(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.import(
                    &with(name.clone()),
                    prefix.last().filter(|_| name == "self"),
                );
            }
            UseTree::Rename(name) => {
                let alias = name.rename.to_string();
                self.import(&with(name.ident.to_string()), Some(&alias));
            }
            UseTree::Glob(_) => self.add(prefix),
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.unfold(tree, prefix)),
        }
    }

    fn import(&mut self, segments: &[String], alias: Option<&String>) {
        let mut segments = segments;
        if let [before @ .., last] = segments
            && last == "self"
            && !before.is_empty()
        {
            segments = before;
        }
        let known = ["crate", "self", "super"];
        // `pub use child::Name` names a child module of this file.
        let path = match segments.first() {
            Some(first) if known.contains(&first.as_str()) => self.resolve(segments),
            Some(_) if segments.len() > 1 => Some([self.here.as_slice(), segments].concat()),
            _ => None,
        };
        if let (Some(path), Some(name)) = (path, alias.or(segments.last())) {
            self.aliases.insert(name.clone(), path);
        }
        self.add(segments);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.here.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.unfold(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.add(&segments);
        }
        visit::visit_path(self, path);
    }

    // What a macro is given is no tree: its paths are found in its text.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let segments: Vec<String> = word
                .split("::")
                .filter(|segment| !segment.is_empty())
                .map(str::to_owned)
                .collect();
            if word.contains("::") {
                self.add(&segments);
            }
        }
        visit::visit_macro(self, item);
    }
}

/// The items at the top of a file that are compiled outside tests.
pub fn items(ast: &syn::File) -> impl Iterator<Item = &Item> {
    ast.items.iter().filter(|item| !is_test(attributes(item)))
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether something is `#[cfg(test)]`.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

pub fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.to_str().unwrap().replace('\\', "/")
}

/// The files below a folder whose names end so, without those that tools create.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if !["node_modules", "target", "dist", "pkg", "built"].contains(&name.as_str()) {
                found.extend(files(&path, endings));
            }
        } else if path
            .extension()
            .is_some_and(|ending| endings.iter().any(|known| ending == *known))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
