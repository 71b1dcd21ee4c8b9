//! The sizes of the package, and its budget.

use serde_json::{Value, json};

use crate::failure::{Because, Result};

/// The goal for what an app loads, the module and its JavaScript, in brotli bytes.
pub const GOAL: u64 = 120 * 1024;

/// The limit today: a package above it fails. Lower it with each step towards the goal.
pub const BUDGET: u64 = 340 * 1024;

/// The size of a file: as it is, and as servers send it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Uncompressed.
    pub raw: u64,
    /// gzip -9.
    pub gzip: u64,
    /// brotli, quality 11.
    pub brotli: u64,
}

/// The sizes of the files that an app loads, and of the module's fallback.
pub struct Report {
    files: Vec<(String, Size)>,
    fallback: Option<(String, Size)>,
}

impl Report {
    /// Reads `text`, a JSON list with a size for each name. The file `fallback` is loaded instead
    /// of the module, so it is not counted in the total.
    pub fn new(names: Vec<String>, text: &str, fallback: &str) -> Result<Self> {
        let values: Vec<Value> = serde_json::from_str(text).because("reading the sizes")?;
        let sizes = values
            .iter()
            .map(size)
            .collect::<Option<Vec<Size>>>()
            .because("a size is missing")?;
        let (fallbacks, files) = names
            .into_iter()
            .zip(sizes)
            .partition::<Vec<_>, _>(|(name, _)| name == fallback);
        Ok(Self {
            files,
            fallback: fallbacks.into_iter().next(),
        })
    }

    /// The sum of what an app loads.
    pub fn total(&self) -> Size {
        self.files
            .iter()
            .fold(Size::default(), |sum, (_, size)| Size {
                raw: sum.raw + size.raw,
                gzip: sum.gzip + size.gzip,
                brotli: sum.brotli + size.brotli,
            })
    }

    /// Returns true if the total is below the budget.
    pub fn within_budget(&self) -> bool {
        self.total().brotli < BUDGET
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut table = format!("{:<34}{:>12}{:>12}{:>12}\n", "", "raw", "gzip", "brotli");
        let mut line = |name: &str, size: Size| {
            table.push_str(&format!(
                "{name:<34}{:>12}{:>12}{:>12}\n",
                size.raw, size.gzip, size.brotli
            ))
        };
        self.files.iter().for_each(|(name, size)| line(name, *size));
        line("total", self.total());
        if let Some((name, size)) = &self.fallback {
            line(&format!("{name} (only without the .wasm)"), *size);
        }
        let verdict = if self.within_budget() {
            "within"
        } else {
            "OVER"
        };
        let total = self.total().brotli as f64 / 1024.0;
        table.push_str(&format!(
            "{total:.1} KiB brotli, {verdict} the budget of {} KiB; the goal is {} KiB",
            BUDGET / 1024,
            GOAL / 1024
        ));
        table
    }

    /// The sizes in bytes, as JSON.
    pub fn json(&self, version: &str) -> Value {
        let files: serde_json::Map<String, Value> = self
            .files
            .iter()
            .chain(&self.fallback)
            .map(|(name, size)| (name.clone(), object(*size)))
            .collect();
        json!({ "version": version, "files": files, "total": object(self.total()), "budget": { "brotli": BUDGET }, "goal": { "brotli": GOAL }, "withinBudget": self.within_budget() })
    }
}

fn size(value: &Value) -> Option<Size> {
    let bytes = |key: &str| value.get(key)?.as_u64();
    Some(Size {
        raw: bytes("raw")?,
        gzip: bytes("gzip")?,
        brotli: bytes("brotli")?,
    })
}

fn object(size: Size) -> Value {
    json!({ "raw": size.raw, "gzip": size.gzip, "brotli": size.brotli })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(brotli: u64) -> Report {
        let text = format!(
            r#"[{{"raw":9,"gzip":8,"brotli":{brotli}}},{{"raw":5,"gzip":4,"brotli":3}},{{"raw":70,"gzip":60,"brotli":50}}]"#
        );
        Report::new(
            vec!["a.wasm".into(), "a.js".into(), "inline.js".into()],
            &text,
            "inline.js",
        )
        .unwrap()
    }

    #[test]
    fn the_total_leaves_out_the_fallback() {
        assert_eq!(
            report(7).total(),
            Size {
                raw: 14,
                gzip: 12,
                brotli: 10
            }
        );
        assert!(report(7).table().contains("inline.js"));
    }

    #[test]
    fn a_total_equal_to_the_budget_is_over_it() {
        assert!(report(BUDGET - 4).within_budget());
        assert!(!report(BUDGET - 3).within_budget());
    }

    #[test]
    fn a_missing_size_is_an_error() {
        assert!(Report::new(vec!["a".into()], r#"[{"raw":1}]"#, "b").is_err());
    }
}
