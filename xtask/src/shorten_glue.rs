//! Shortens the names that the module and its glue use for each other.
//!
//! The generated names end in hashes, which do not compress, and occur in both files. wasm-opt
//! renames them in the module and prints how; this renames them in the glue. It knows the shape of
//! the glue and not JavaScript, so it refuses glue of another shape.

use std::collections::BTreeMap;

use crate::failure::{Because, Failure, Result};

/// The module name under which the glue's own functions are imported.
const OWN: &str = "./datum_sync_bg.js";

/// Renames imports and exports in the glue. `map` is what wasm-opt printed; it also renames every
/// imported module to `a`.
pub fn shorten(glue: &str, map: &str) -> Result<String> {
    let wrong = |what: &str| {
        Failure::new(format!(
            "wasm-bindgen writes glue of another shape now, and xtask/src/shorten_glue.rs must follow: {what}"
        ))
    };
    // An entry is [module, old name, new name] for an import, [old name, new name] for an export.
    let renamed: BTreeMap<String, Vec<Vec<String>>> =
        serde_json::from_str(map).because("reading the names that wasm-opt printed")?;
    let (mut own, mut foreign, mut exports) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for entry in renamed.values().flatten().map(Vec::as_slice) {
        match entry {
            [module, was, is] if module == OWN => drop(own.insert(was.as_str(), is.as_str())),
            [module, was, is] => foreign.push((module, was, is)),
            [was, is] => drop(exports.insert(was.as_str(), is.as_str())),
            _ => return Err(wrong("a name with neither two nor three parts")),
        }
    }
    let mut modules: BTreeMap<&str, &str> = BTreeMap::new();
    let mut lines: Vec<String> = Vec::new();
    let mut table = None;
    for line in glue.lines() {
        let text = line.trim_start();
        if let Some((module, variable)) = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix(',')?.split_once("\": "))
        {
            // The table of modules at the end of the imports.
            modules.insert(module, variable);
            if module == OWN {
                table = Some((lines.len(), variable));
                lines.push(String::new());
            }
            continue;
        }
        let (key, value) = name(text);
        match own.get(key).filter(|_| value.starts_with(": ")) {
            Some(short) => {
                lines.push(format!("{short}{}", short_exports(value, &exports)));
                own.remove(key);
            }
            None => lines.push(short_exports(line, &exports)),
        }
    }
    if let Some(name) = own.keys().next() {
        return Err(wrong(&format!("no member {name}")));
    }
    let (at, variable) = table.ok_or_else(|| wrong("no table of modules"))?;
    let mut entry = format!("a: {{ ...{variable}");
    for (module, was, is) in foreign {
        let variable = modules
            .get(module.as_str())
            .ok_or_else(|| wrong(&format!("no module {module}")))?;
        entry.push_str(&format!(", {is}: {variable}.{was}"));
    }
    entry.push_str(" },");
    if let Some(line) = lines.get_mut(at) {
        *line = entry;
    }
    Ok(lines.join("\n"))
}

/// Renames the module's exports, which the glue accesses as `wasm.name`.
fn short_exports(line: &str, exports: &BTreeMap<&str, &str>) -> String {
    const MODULE: &str = "wasm.";
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(MODULE) {
        let (before, module) = rest.split_at(at);
        let (was, after) = name(module.strip_prefix(MODULE).unwrap_or_default());
        let whole = !before.ends_with(|c: char| is_of_name(c) || c == '.');
        out.push_str(before);
        out.push_str(MODULE);
        out.push_str(exports.get(was).filter(|_| whole).unwrap_or(&was));
        rest = after;
    }
    out + rest
}

/// Splits off the name at the start of a text.
fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !is_of_name(c)).unwrap_or(text.len()))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"{"imports":[["./datum_sync_bg.js","__wbg_now_a1","$"],["./snippets/s.js","guard","b"]],"exports":[["memory","c"],["datum_open","d"]]}"#;
    const GLUE: &str = r#"import * as import1 from "./snippets/s.js"
function open() { return wasm.datum_open(mywasm.memory, wasm.memory.buffer, "a.wasm.memory"); }
    const import0 = {
        __proto__: null,
        __wbg_now_a1: function() {
            return wasm.memory;
        },
    };
    return {
        __proto__: null,
        "./datum_sync_bg.js": import0,
        "./snippets/s.js": import1,
        "./snippets/s.js": import1,
    };"#;

    #[test]
    fn the_glue_gets_the_names_of_the_module() {
        let short = shorten(GLUE, MAP).unwrap();
        assert!(
            short.contains(r#"return wasm.d(mywasm.memory, wasm.c.buffer, "a.wasm.memory")"#),
            "{short}"
        );
        assert!(
            short.contains("$: function() {\n            return wasm.c;"),
            "{short}"
        );
        assert!(
            short.contains("a: { ...import0, b: import1.guard },\n    };"),
            "{short}"
        );
        assert!(!short.contains("datum_sync_bg.js"));
    }

    #[test]
    fn glue_of_another_shape_is_refused() {
        for odd in [
            GLUE.replace("__wbg_now_a1", "now"),
            GLUE.replace("./datum_sync_bg.js", "x"),
            GLUE.replace(r#""./snippets"#, "'"),
        ] {
            assert!(shorten(&odd, MAP).is_err());
        }
    }
}
