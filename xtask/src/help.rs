//! What `cargo xtask help` prints: one line for each command, and the options of one.

/// A command in the list: its name, what it does, and its options, one a line.
struct Entry {
    name: &'static str,
    summary: &'static str,
    options: &'static str,
}

const ENTRIES: [Entry; 14] = [
    Entry {
        name: "demo",
        summary: "Builds everything, serves the demo page, prints its address; --dev is faster",
        options: "
  --port PORT        listens there instead of 24180
  --dev              packs without optimising: seconds instead of minutes after a change
  --headless         drives the page in Chromium instead, prints its feed, exits with 0 or 1
  --screenshot FILE  with --headless: writes a picture of the page at the end

The data is thrown away at the end; `serve` keeps it.",
    },
    Entry {
        name: "serve",
        summary: "Like demo, but keeps its data in the build folder",
        options: "
  --port PORT        listens there instead of 24180
  --dev              packs without optimising
  -- ARGS            passes more arguments to datum-server",
    },
    Entry {
        name: "test",
        summary: "Runs format, lints and all tests, in Chromium; --native needs no browser",
        options: "
  FILTER             runs only native and browser tests whose names contain it
  --native           runs only what needs no browser
  --browser ENGINE   runs only the browser tests, in chromium, firefox or webkit (repeatable)
  --all-browsers     runs everything, the browser tests in all three engines",
    },
    Entry {
        name: "ci",
        summary: "Runs everything in three engines, as CI does",
        options: "",
    },
    Entry {
        name: "pack",
        summary: "Makes the npm tarball in pkg/ and prints its sizes",
        options: "
  --json FILE        writes the sizes as JSON
  --dev              packs without optimising, in target/pkg-dev: not for publishing",
    },
    Entry {
        name: "bench",
        summary: "Measures datum beside its peers; --alone measures datum only",
        options: "
  --alone            measures datum only, in Chromium: a first pull beside a bare fetch, the
                     requests of an idle cycle, the transactions of a create
  --only B1,B3       measures only these suites: B1 B2 first pull, B3 B4 writes, B5 push,
                     B6 cold open, B9 idle cycle, B10 size, B11 server; and B12,
                     only if it is named: B1 and B5 over the SQL kit, beside the server
  --who datum,dexie  measures only these contestants
  --browser ENGINE   measures the first pull only in chromium, firefox or webkit (repeatable);
                     all three are the default, and everything else runs in Chromium
  --rounds N         measures each N times instead of 7
  --quick            few rows and one round: shows that it works, its times mean nothing
  --json FILE        writes the figures as JSON
  --charts           draws bar charts in benches/charts
  --from FILE        draws the charts of an earlier run's JSON; measures nothing

Times mean something only on a quiet machine.",
    },
    Entry {
        name: "simulate",
        summary: "Runs seeded histories of users, devices and tabs under faults",
        options: "
  --seeds N          runs N histories instead of 10000
  --from S           starts at seed S instead of 0
  --seed S           runs only this seed, and prints its requests if it fails
  --steps N          takes N random steps in each",
    },
    Entry {
        name: "replay",
        summary: "Replays traces of apps natively, up to the first step that differs",
        options: "
  FILE…              files of `exportTrace`
  --step N           shows the step in line N: what it was given, and what came of it
  --json             prints the result of each file as JSON
  --save NAME        makes a test of the file: tests/traces/NAME.ndjson, with what its replay says

Exits with 0 if all is the same, 1 if this engine plans something else, 2 for no trace.",
    },
    Entry {
        name: "mutants",
        summary: "Puts known bugs into a copy of the sources: a test must find each",
        options: "
  NAME…              runs only tests/mutants/NAME.patch
  --seeds N          the simulation must find a mutant within N histories instead of 2000",
    },
    Entry {
        name: "fuzz",
        summary: "Runs the parsers on generated inputs",
        options: "
  --target T         runs only this one of fuzz/fuzz_targets
  --seconds N        runs each target for N seconds instead of 10
  --input FILE       with --target: runs only this input, once",
    },
    Entry {
        name: "backends",
        summary: "Starts (up), ends (down) or tests a Supabase project on this machine",
        options: "
  up FILE…           starts PostgreSQL, PostgREST and a gateway in the background, and runs the
                     SQL files in the new project; prints the address and the key
  down               ends them, and removes their data
  test FILTER        runs the tests in tests/backends, and some of tests/e2e over Supabase, or the
                     files whose names contain FILTER

They listen on 127.0.0.1, ports 15532, 13100 and 13101; DATUM_POSTGRES_PORT,
DATUM_POSTGREST_PORT and DATUM_GATEWAY_PORT name others.",
    },
    Entry {
        name: "setup",
        summary: "Installs the tools that are missing, and does nothing else",
        options: "
  --all-browsers     installs what all three engines need, not only Chromium",
    },
    Entry {
        name: "help",
        summary: "Prints this, or the options of one command: cargo xtask help test",
        options: "",
    },
    Entry {
        name: "--verbose",
        summary: "With any command: prints every line of every step",
        options: "",
    },
];

/// The list of all commands.
pub fn overview() -> String {
    let mut text = "cargo xtask COMMAND [OPTIONS]\n\n".to_owned();
    for entry in &ENTRIES {
        text.push_str(&format!("  {:<11}{}\n", entry.name, entry.summary));
    }
    text.push_str(
        "\nMissing tools are installed: cargo tools into a cache folder, npm packages, and on Debian\n\
         (as root or with sudo) the browsers. Elsewhere the command names what to install.",
    );
    text
}

/// Returns true if there is a command of this name.
pub fn knows(command: &str) -> bool {
    ENTRIES.iter().any(|entry| entry.name == command)
}

/// One command with its options, or the list if there is no such command.
pub fn of(command: &str) -> String {
    let Some(entry) = ENTRIES.iter().find(|entry| entry.name == command) else {
        return overview();
    };
    let Entry {
        name,
        summary,
        options,
    } = entry;
    match *options {
        "" => format!("cargo xtask {name}\n\n{summary}."),
        _ => format!("cargo xtask {name} [OPTIONS]\n\n{summary}.\n{options}"),
    }
}

/// The command that was probably meant: the nearest in spelling, if any is near.
pub fn nearest(word: &str) -> Option<&'static str> {
    let mut near: Vec<(usize, &str)> = ENTRIES
        .iter()
        .map(|entry| (distance(word, entry.name), entry.name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .collect();
    near.sort_unstable();
    near.first().map(|(_, name)| *name)
}

/// The number of single letters to insert, delete or replace to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut left = at + 1;
        let mut next = vec![left];
        for (pair, theirs) in row.windows(2).zip(other.chars()) {
            if let [diagonal, above] = pair {
                left = (diagonal + usize::from(letter != theirs)).min(above.min(&left) + 1);
                next.push(left);
            }
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_command_is_recognised() {
        assert_eq!(nearest("tset"), Some("test"));
        assert_eq!(nearest("mutant"), Some("mutants"));
        assert_eq!(nearest("simulat"), Some("simulate"));
        assert_eq!(nearest("publish"), None);
    }

    #[test]
    fn every_option_is_indented_alike() {
        for line in ENTRIES.iter().flat_map(|entry| entry.options.lines()) {
            let option = line.trim_start().starts_with("--");
            assert!(!option || line.starts_with("  --"), "{line}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        for text in ENTRIES
            .map(|entry| of(entry.name))
            .iter()
            .chain([&overview()])
        {
            assert!(text.lines().count() <= 24, "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}
