//! The sizes of the package, and its budget.

use serde_json::{Value, json};

use crate::failure::{Because, Result};

/// What an app has loaded at some point, in brotli bytes with the JavaScript.
struct Stage {
    /// When, in words.
    name: &'static str,
    /// Its name in the JSON.
    key: &'static str,
    /// How many of the files it needs, in the order in which they are loaded.
    files: usize,
    /// The limit today: a package above it fails. Lower it with each step towards the goal.
    budget: u64,
    goal: u64,
}

const STAGES: [Stage; 3] = [
    Stage {
        name: "until `readAll` works",
        key: "readAll",
        files: 2,
        budget: 134 * 1024,
        goal: 115 * 1024,
    },
    Stage {
        name: "until a first write or `synchronize`",
        key: "synchronize",
        files: 3,
        budget: 240 * 1024,
        goal: 160 * 1024,
    },
    Stage {
        name: "in all",
        key: "total",
        files: 4,
        budget: 508 * 1024,
        goal: 260 * 1024,
    },
];

/// The limit of each entry for a framework or TanStack DB, in brotli bytes, without those and the engine.
const ENTRY_BUDGET: u64 = 4 * 1024;

/// The panel for developers, of which an app's users load nothing, and its limit in brotli bytes.
const PANEL: &str = "devtools/index.js";
const PANEL_BUDGET: u64 = 27 * 1024;

/// Returns the limit of an entry.
fn entry_budget(name: &str) -> u64 {
    if name == PANEL {
        PANEL_BUDGET
    } else {
        ENTRY_BUDGET
    }
}

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

/// Where the files are that only servers load.
const SERVER: &str = "server/";

/// The sizes of the files that an app loads, of the module's fallback, of entries that only some
/// apps load, which are in folders, and of what only servers load.
pub struct Report {
    files: Vec<(String, Size)>,
    fallback: Option<(String, Size)>,
    entries: Vec<(String, Size)>,
    server: Vec<(String, Size)>,
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
        let (entries, files) = names
            .into_iter()
            .zip(sizes)
            .partition::<Vec<_>, _>(|(name, _)| name.contains('/'));
        let (server, entries) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| name.starts_with(SERVER));
        let (fallbacks, files) = files
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| name == fallback);
        Ok(Self {
            files,
            fallback: fallbacks.into_iter().next(),
            entries,
            server,
        })
    }

    /// The sum of the files that a stage needs.
    fn sum(&self, stage: &Stage) -> Size {
        let files = self.files.iter().take(stage.files);
        files.fold(Size::default(), |sum, (_, size)| Size {
            raw: sum.raw + size.raw,
            gzip: sum.gzip + size.gzip,
            brotli: sum.brotli + size.brotli,
        })
    }

    /// Returns true if the module comes in parts. The budget is for such a package.
    fn is_split(&self) -> bool {
        STAGES.iter().all(|stage| stage.files <= self.files.len())
    }

    /// Returns true if each stage and each entry is below its budget.
    pub fn within_budget(&self) -> bool {
        let entries = self
            .entries
            .iter()
            .all(|(name, size)| size.brotli < entry_budget(name));
        entries && (!self.is_split() || STAGES.iter().all(|stage| self.fits(stage)))
    }

    fn fits(&self, stage: &Stage) -> bool {
        self.sum(stage).brotli < stage.budget
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut table = format!("{:<38}{:>12}{:>12}{:>12}\n", "", "raw", "gzip", "brotli");
        let mut line = |name: &str, size: Size| {
            table.push_str(&format!(
                "{name:<38}{:>12}{:>12}{:>12}\n",
                size.raw, size.gzip, size.brotli
            ))
        };
        self.files.iter().for_each(|(name, size)| line(name, *size));
        if let Some((name, size)) = &self.fallback {
            line(&format!("{name} (only without the .wasm)"), *size);
        }
        self.entries.iter().for_each(|(name, size)| {
            let budget = entry_budget(name);
            let over = if size.brotli < budget { "" } else { " OVER" };
            line(&format!("{name} (at most {budget}){over}"), *size);
        });
        self.server
            .iter()
            .for_each(|(name, size)| line(&format!("{name} (servers only)"), *size));
        if !self.is_split() {
            return table + "The module is in one file, so there is no budget.";
        }
        let stages = STAGES.iter().map(|stage| {
            format!(
                "{:<28}{:>7.1} KiB brotli, {} the budget of {} KiB; the goal is {} KiB",
                stage.name,
                self.sum(stage).brotli as f64 / 1024.0,
                if self.fits(stage) { "within" } else { "OVER" },
                stage.budget / 1024,
                stage.goal / 1024
            )
        });
        table + &stages.collect::<Vec<_>>().join("\n")
    }

    /// The sizes in bytes, as JSON.
    pub fn json(&self, version: &str) -> Value {
        let files: serde_json::Map<String, Value> = self
            .files
            .iter()
            .chain(&self.fallback)
            .chain(&self.entries)
            .chain(&self.server)
            .map(|(name, size)| (name.clone(), object(*size)))
            .collect();
        let stages: serde_json::Map<String, Value> = STAGES
            .iter()
            .map(|stage| {
                let mut sum = object(self.sum(stage));
                if let Some(sum) = sum.as_object_mut() {
                    sum.insert("budget".to_owned(), json!(stage.budget));
                    sum.insert("goal".to_owned(), json!(stage.goal));
                }
                (stage.key.to_owned(), sum)
            })
            .collect();
        json!({ "version": version, "files": files, "stages": stages, "withinBudget": self.within_budget() })
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

    fn report(first: u64, rest: u64) -> Report {
        let size = |brotli: u64| format!(r#"{{"raw":9,"gzip":8,"brotli":{brotli}}}"#);
        let sizes = [3, first, 5, rest, 50].map(size).join(",");
        let names = ["a.js", "a.wasm", "b.wasm", "c.wasm", "inline.js"].map(str::to_owned);
        Report::new(names.to_vec(), &format!("[{sizes}]"), "inline.js").unwrap()
    }

    #[test]
    fn a_stage_has_the_files_that_are_loaded_until_then() {
        let report = report(7, 100);
        assert_eq!(STAGES.map(|stage| report.sum(&stage).brotli), [10, 15, 115]);
        assert!(report.table().contains("inline.js"));
    }

    #[test]
    fn each_stage_has_a_budget_of_its_own() {
        let [first, _, all] = STAGES.map(|stage| stage.budget);
        assert!(report(first - 4, 0).within_budget());
        // Equal to the budget is over it.
        assert!(!report(first - 3, 0).within_budget());
        assert!(!report(0, all).within_budget());
    }

    #[test]
    fn each_entry_has_a_budget() {
        let fits = |name: &str, brotli: u64| {
            let size = format!(r#"[{{"raw":9,"gzip":8,"brotli":{brotli}}}]"#);
            let report = Report::new(vec![name.to_owned()], &size, "b").unwrap();
            assert_eq!(report.table().contains("OVER"), !report.within_budget());
            report.within_budget()
        };
        assert!(fits("hooks/react.js", ENTRY_BUDGET - 1));
        assert!(!fits("hooks/react.js", ENTRY_BUDGET));
        assert!(fits(PANEL, PANEL_BUDGET - 1));
        assert!(!fits(PANEL, PANEL_BUDGET));
    }

    #[test]
    fn what_only_servers_load_has_a_line_and_no_budget() {
        let size = r#"[{"raw":9,"gzip":8,"brotli":9000000}]"#;
        let report = Report::new(vec!["server/rules.wasm".to_owned()], size, "b").unwrap();
        assert!(report.within_budget());
        assert!(report.table().contains("server/rules.wasm (servers only)"));
        assert!(report.json("1")["files"]["server/rules.wasm"].is_object());
    }

    #[test]
    fn a_module_in_one_file_has_no_budget() {
        let size = r#"{"raw":9,"gzip":8,"brotli":9000000}"#;
        let names = ["a.js", "a.wasm", "inline.js"].map(str::to_owned);
        let text = format!("[{size},{size},{size}]");
        let report = Report::new(names.to_vec(), &text, "inline.js").unwrap();
        assert!(report.within_budget());
        assert!(report.table().ends_with("there is no budget."));
    }

    #[test]
    fn a_missing_size_is_an_error() {
        assert!(Report::new(vec!["a".into()], r#"[{"raw":1}]"#, "b").is_err());
    }
}
