//! Makes each method of the exported classes check its receiver.
//!
//! wasm-bindgen's methods pass `this.__wbg_ptr` on, whatever `this` is: a method that is called on
//! an object of another class reads memory under the wrong type. Here each class gets a pointer of
//! a name of its own. A proxy around an object, as of a framework, has it too.
//!
//! Only the garbage collector frees objects: a freed object would throw from inside the engine. So
//! the methods that free are left out.

use crate::failure::{Failure, Result};

const POINTER: &str = "__wbg_ptr";

/// What the rewritten methods call.
const HELPERS: &str = r#"
function wrongReceiver(name) {
    return new DatumError("invalidArgument", `A method of \`${name}\` was called without its object, or on another one; call it as a method of the object that it belongs to.`);
}
async function refuseReceiver(name) {
    throw wrongReceiver(name);
}
function receiver(ptr, name) {
    if (!ptr) throw wrongReceiver(name);
    return ptr;
}
"#;

/// Rewrites the glue of wasm-bindgen. Methods that return a promise reject, others throw.
pub fn guard(glue: &str) -> Result<String> {
    let wrong = |what: &str| {
        Failure::new(format!(
            "wasm-bindgen writes glue of another shape now, and xtask/src/guard_receivers.rs must follow: {what}"
        ))
    };
    let (mut out, mut classes) = (String::new(), 0);
    let mut class: Option<&str> = None;
    let (mut returns_promise, mut left_out) = (false, false);
    for line in glue.lines() {
        if left_out {
            left_out = line != "    }";
            continue;
        }
        if matches!(line, "    free() {" | "    __destroy_into_raw() {") {
            left_out = true;
            continue;
        }
        if line.starts_with("if (Symbol.dispose) ") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("export class ") {
            class = rest.strip_suffix(" {");
            classes += 1;
        } else if line.starts_with('}') {
            class = None;
        } else if line.trim() == "/**" {
            returns_promise = false;
        } else if line.contains("@returns {Promise<") {
            returns_promise = true;
        }
        let Some(name) = class.filter(|_| line.contains(POINTER)) else {
            if line.contains(POINTER) {
                return Err(wrong("a pointer outside of a class"));
            }
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let pointer = format!("ptr{name}");
        let own = format!("this.{POINTER}");
        let line = if !(line.contains("wasm.") && line.contains(&own)) {
            line.replace(POINTER, &pointer)
        } else if returns_promise {
            out.push_str(&format!(
                "        if (!this?.{pointer}) return refuseReceiver(\"{name}\");\n"
            ));
            line.replace(POINTER, &pointer)
        } else {
            line.replace(&own, &format!("receiver(this?.{pointer}, \"{name}\")"))
        };
        out.push_str(&line);
        out.push('\n');
    }
    if classes == 0 {
        return Err(wrong("no exported class"));
    }
    Ok(out + HELPERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLUE: &str = r#"export class Datum {
    static __wrap(ptr) {
        obj.__wbg_ptr = ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
    }
    /**
     * Closes.
     * @returns {Promise<any>}
     */
    close() {
        const ret = wasm.datum_close(this.__wbg_ptr);
        return ret;
    }
    /**
     * @returns {any}
     */
    get currentUserId() {
        const ret = wasm.datum_currentUserId(this.__wbg_ptr);
        return ret;
    }
}
if (Symbol.dispose) Datum.prototype[Symbol.dispose] = Datum.prototype.free;"#;

    #[test]
    fn each_class_has_a_pointer_of_its_own_and_each_method_asks_for_it() {
        let guarded = guard(GLUE).unwrap();
        assert!(guarded.contains("obj.ptrDatum = ptr;"), "{guarded}");
        assert!(
            guarded.contains(
                "if (!this?.ptrDatum) return refuseReceiver(\"Datum\");\n        const ret = wasm.datum_close(this.ptrDatum);"
            ),
            "{guarded}"
        );
        assert!(
            guarded.contains("wasm.datum_currentUserId(receiver(this?.ptrDatum, \"Datum\"));"),
            "{guarded}"
        );
        assert!(!guarded.contains(POINTER) && !guarded.contains("free"));
    }

    #[test]
    fn glue_of_another_shape_is_refused() {
        assert!(guard("const a = this.__wbg_ptr;").is_err());
        assert!(guard("class Datum {}").is_err());
    }
}
