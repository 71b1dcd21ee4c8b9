//! Short names between the module and its glue.
//!
//! The generated ones end in hashes, which no compression makes smaller, and stand in both files.
//! wasm-opt renames the module's side and says how; this does the same to the glue. It knows the
//! shape of the glue and nothing of JavaScript, so it refuses a glue of another shape.

use std::collections::BTreeMap;

use crate::failure::{Because, Failure, Result};

/// The glue's own functions, as the module names where they come from.
const OWN: &str = "./datum_sync_bg.js";

/// The glue for a module whose imports and exports were renamed as `map` says, all modules to `a`.
pub fn shorten(glue: &str, map: &str) -> Result<String> {
    let wrong = |what: &str| {
        Failure::new(format!(
            "the glue has another shape than the one that names are shortened in: {what}"
        ))
    };
    // What wasm-opt says: where from, the name that was, the name that is.
    let renamed: BTreeMap<String, Vec<Vec<String>>> =
        serde_json::from_str(map).because("reading the names that wasm-opt gave")?;
    let (mut own, mut foreign, mut exports) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for entry in renamed.values().flatten().map(Vec::as_slice) {
        match entry {
            [module, was, is] if module == OWN => drop(own.insert(was.as_str(), is.as_str())),
            [module, was, is] => foreign.push((module, was, is)),
            [was, is] => drop(exports.insert(was.as_str(), is.as_str())),
            _ => return Err(wrong("a name of how many parts?")),
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

/// Renames what the glue takes from the module, which it calls `wasm`.
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

/// The name that a text begins with, and the rest.
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
    fn both_sides_get_the_names_that_the_module_has() {
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
    fn a_glue_of_another_shape_is_refused() {
        for odd in [
            GLUE.replace("__wbg_now_a1", "now"),
            GLUE.replace("./datum_sync_bg.js", "x"),
            GLUE.replace(r#""./snippets"#, "'"),
        ] {
            assert!(shorten(&odd, MAP).is_err());
        }
    }
}
