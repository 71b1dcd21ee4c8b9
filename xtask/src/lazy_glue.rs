//! Rewrites the glue of a module that is loaded in parts, for `src/js/parts.js`.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::{Because, Failure, Result};

/// The end of the path under which the glue imports `src/js/parts.js`.
const PARTS: &str = "/src/js/parts.js";

fn wrong(what: &str) -> Failure {
    Failure::new(format!(
        "wasm-bindgen writes glue of another shape now, and xtask/src/lazy_glue.rs must follow: {what}"
    ))
}

/// How the glue's closures begin.
const CLOSURE: &str = "    const real = (...args) => {\n";

/// Gives the module what its stubs call, under a name that `pack` sets, lets its own listeners wait while a stub
/// loads a part, and gives the entry what loads the parts.
pub fn open(glue: &str) -> Result<String> {
    let path = glue
        .lines()
        .filter(|line| line.starts_with("import "))
        .find_map(|line| line.split(['"', '\'']).find(|text| text.ends_with(PARTS)))
        .ok_or_else(|| wrong("no import of src/js/parts.js"))?;
    let (before, imports) = glue
        .split_once("function __wbg_get_imports(")
        .ok_or_else(|| wrong("no function with the imports"))?;
    const TABLE: &str = "    return {\n        __proto__: null,\n";
    if !imports.contains(TABLE) {
        return Err(wrong("no table of imports"));
    }
    let imports = imports.replacen(TABLE, &format!("{TABLE}[BUILD]: {{ load: loadNow }},\n"), 1);
    if imports.matches("function make").count() != imports.matches(CLOSURE).count() {
        return Err(wrong("closures begin in another way"));
    }
    // It may have been dropped by then.
    let late = "        const still = stalled();\n        if (still) return still.then(() => state.cnt && real(...args));\n";
    let imports = imports.replace(CLOSURE, &format!("{CLOSURE}{late}"));
    Ok(format!(
        "import {{ afterAll, inTurn, loadNow, stalled, when }} from \"{path}\";\n\
         export {{ begin as beginParts, follow as followParts, load as loadParts, when as whenLoaded }} from \"{path}\";\n\
         export {{ __wbg_get_imports as getImports }};\n\
         {before}function __wbg_get_imports({imports}"
    ))
}

/// Returns the module's exports that methods with a promise call: these can wait for their part.
pub fn may_wait(glue: &str) -> BTreeSet<String> {
    calls(glue).into_values().collect()
}

/// Lets the methods whose exports are in a later part wait for it.
pub fn wait(glue: &str, later: &[(String, usize)]) -> Result<String> {
    let parts: BTreeMap<&str, usize> = later
        .iter()
        .map(|(name, part)| (name.as_str(), *part))
        .collect();
    let all = parts.values().copied().max();
    let calls = calls(glue);
    let mut lines: Vec<String> = Vec::new();
    let mut method = "";
    for (at, line) in glue.lines().enumerate() {
        let head = line
            .strip_prefix("    ")
            .filter(|head| head.ends_with(" {"));
        if let Some((name, _)) = head.and_then(|head| head.split_once('('))
            && !name.starts_with(' ')
        {
            method = name;
        }
        let waiting = match calls.get(&at) {
            Some(export) => {
                let wait = wait_of(method)?;
                let own = parts.get(export.as_str()).copied();
                (if wait == "afterAll" { all } else { own }).map(|part| (wait, part))
            }
            None => None,
        };
        lines.push(match waiting {
            Some((wait, part)) => {
                let call = line
                    .trim()
                    .strip_prefix(RESULT)
                    .and_then(|call| call.strip_suffix(';'))
                    .because("a call of the module")?;
                let given = names(call).join(", ");
                let comma = if given.is_empty() { "" } else { ", " };
                format!("        {RESULT}{wait}({part}, ({given}) => {call}{comma}{given});")
            }
            None => line.to_owned(),
        });
    }
    Ok(lines.join("\n") + "\n")
}

/// Returns the function of `src/js/parts.js` by which a method waits.
fn wait_of(method: &str) -> Result<&'static str> {
    if USERS.contains(&method) {
        Ok("afterAll")
    } else if WRITES.contains(&method) {
        Ok("inTurn")
    } else if READS.contains(&method) {
        Ok("when")
    } else {
        Err(Failure::new(format!(
            "`{method}` is in no list of xtask/src/lazy_glue.rs: say there whether it writes"
        )))
    }
}

/// The methods that change the user: they begin after all calls before them, and need much of the last part.
const USERS: [&str; 3] = ["clearUserData", "logout", "switchUser"];

/// The methods that begin in the order of their calls, though they wait for different parts: a write must not overtake
/// another, or a change of the user.
const WRITES: [&str; 29] = [
    "acceptServer",
    "adopt",
    "clearSyncMetadata",
    "close",
    "create",
    "createMany",
    "delete",
    "deleteMany",
    "deleteWhere",
    "discardDeadLetter",
    "discardOperation",
    "importUser",
    "leave",
    "move",
    "patch",
    "patchMany",
    "patchWhere",
    "pauseSync",
    "pushAndSync",
    "remove",
    "rename",
    "resolveConflict",
    "resumeSync",
    "retryDeadLetter",
    "setCustomMetadata",
    "setRole",
    "synchronize",
    "update",
    "updateMany",
];

/// The others: they begin when their part is there, and hold up no write.
const READS: [&str; 38] = [
    "checkHealth",
    "compareSyncMetadata",
    "conflicts",
    "count",
    "countMatches",
    "deadLetters",
    "exists",
    "explain",
    "explainMerge",
    "explainNextSync",
    "explainOperation",
    "explainSyncMetadata",
    "exportTrace",
    "getDeletePlan",
    "getLastSyncResult",
    "getRemoteSyncMetadata",
    "getSyncMetadata",
    "list",
    "members",
    "next",
    "pendingCount",
    "pendingOperations",
    "query",
    "read",
    "readAll",
    "readPage",
    "readQueryPage",
    "readRelated",
    "readRelatedPage",
    "related",
    "requestPersistence",
    "return",
    "storageSize",
    "tabs",
    "userIds",
    "watchRelated",
    "watchResult",
    "whenSynced",
];

/// Returns the names among what a call is given, beside the receiver.
fn names(call: &str) -> Vec<&str> {
    let given = call
        .split_once('(')
        .and_then(|(_, given)| given.strip_suffix(')'));
    let is_name = |text: &&str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    (given.unwrap_or_default().split(", "))
        .skip(1)
        .filter(is_name)
        .collect()
}

const RESULT: &str = "const ret = ";

/// Returns the lines on which a method with a promise calls the module, and the export that it
/// calls. `guard_receivers` has marked those methods.
fn calls(glue: &str) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    let mut has_promise = false;
    for (at, line) in glue.lines().enumerate() {
        if line.contains("return refuseReceiver(") {
            has_promise = true;
        } else if line == "    }" {
            has_promise = false;
        } else if has_promise
            && let Some(call) = line
                .trim()
                .strip_prefix(RESULT)
                .and_then(|call| call.strip_prefix("wasm."))
                .filter(|call| call.ends_with(");"))
            && let Some((name, _)) = call.split_once('(')
        {
            found.insert(at, name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLUE: &str = r#"import { isLoaded } from './snippets/a/src/js/parts.js';
export class Datum {
    close() {
        if (!this?.ptrDatum) return refuseReceiver("Datum");
        const ret = wasm.a(this.ptrDatum);
        return ret;
    }
    synchronize(options) {
        if (!this?.ptrDatum) return refuseReceiver("Datum");
        const ret = wasm.c(this.ptrDatum, options);
        return ret;
    }
    get currentUserId() {
        const ret = wasm.b(receiver(this?.ptrDatum, "Datum"));
        return ret;
    }
}
function __wbg_get_imports() {
    return {
        __proto__: null,
        a: {},
    };
}
function makeClosure(arg0, arg1, f) {
    const real = (...args) => {
        return f(...args);
    };
}"#;

    #[test]
    fn only_methods_with_a_promise_wait_for_their_part() {
        assert_eq!(
            may_wait(GLUE),
            BTreeSet::from(["a".to_owned(), "c".to_owned()])
        );
        let later = [("a", 2), ("b", 1), ("c", 2)].map(|(name, part)| (name.to_owned(), part));
        let waiting = wait(GLUE, &later).unwrap();
        assert!(
            waiting.contains("const ret = inTurn(2, () => wasm.a(this.ptrDatum));"),
            "{waiting}"
        );
        assert!(
            waiting.contains(
                "const ret = inTurn(2, (options) => wasm.c(this.ptrDatum, options), options);"
            ),
            "{waiting}"
        );
        assert!(
            waiting.contains("const ret = wasm.b(receiver("),
            "{waiting}"
        );
    }

    #[test]
    fn no_method_waits_unless_the_lists_say_whether_it_writes() {
        let glue = GLUE.replace("synchronize(options) {", "somethingNew(options) {");
        let refused = wait(&glue, &[]).unwrap_err().to_string();
        assert!(refused.contains("`somethingNew`"), "{refused}");
    }

    #[test]
    fn the_module_gets_the_loader_and_the_entry_its_functions() {
        let open = open(GLUE).unwrap();
        assert!(
            open.contains("__proto__: null,\n[BUILD]: { load: loadNow },"),
            "{open}"
        );
        assert!(open.contains(
            "import { afterAll, inTurn, loadNow, stalled, when } from \"./snippets/a/src/js/parts.js\";"
        ));
    }

    #[test]
    fn a_closure_first_asks_whether_the_page_stands_still() {
        let open = open(GLUE).unwrap();
        let (_, closure) = open.split_once("(...args) => {").unwrap();
        assert!(
            closure.trim_start().starts_with("const still = stalled();"),
            "{open}"
        );
    }

    #[test]
    fn glue_of_another_shape_is_refused() {
        assert!(super::open("").is_err());
        assert!(super::open(&GLUE.replace("__wbg_get_imports", "x")).is_err());
        assert!(super::open(&GLUE.replace("__proto__", "x")).is_err());
        assert!(super::open(&GLUE.replace("(...args) => {", "() => {")).is_err());
    }
}
