//! Tests of the command line.

use super::*;

fn parsed(line: &str) -> Result<Args> {
    Args::parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn histories_are_counted_or_one_is_picked() {
    let histories = |line: &str| match parsed(line).unwrap().command {
        Command::Simulate(histories) => (histories.seeds, histories.from, histories.steps),
        other => panic!("{other:?}"),
    };
    assert_eq!(histories("simulate"), (10_000, 0, None));
    assert_eq!(
        histories("simulate --seeds 5 --from 7 --steps 90"),
        (5, 7, Some(90))
    );
    assert_eq!(histories("simulate --seed 42"), (1, 42, None));
    assert!(parsed("simulate --seeds many").is_err());
}

#[test]
fn all_mutants_run_unless_some_are_named() {
    let selection = |line: &str| match parsed(line).unwrap().command {
        Command::Mutants(selection) => (selection.names, selection.seeds),
        other => panic!("{other:?}"),
    };
    assert_eq!(selection("mutants"), (vec![], 2_000));
    assert_eq!(
        selection("mutants half-a-page --seeds 9 loser-still-queued"),
        (vec!["half-a-page".into(), "loser-still-queued".into()], 9)
    );
    assert!(parsed("mutants --only half-a-page").is_err());
}

#[test]
fn fuzzing_is_short_by_default() {
    let runs = |line: &str| match parsed(line).unwrap().command {
        Command::Fuzz(runs) => runs,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        runs("fuzz"),
        Runs {
            target: None,
            seconds: 10,
            input: None
        }
    );
    let one = Runs {
        target: Some("scan".into()),
        seconds: 600,
        input: Some("x".into()),
    };
    assert_eq!(runs("fuzz --target scan --seconds 600 --input x"), one);
    assert!(parsed("fuzz --seconds soon").is_err());
}

fn plan(line: &str) -> Plan {
    match parsed(line).unwrap().command {
        Command::Test(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_test_runs_everything_in_chromium() {
    let expected = Plan {
        checks: true,
        native: true,
        engines: vec![Engine::Chromium],
        end_to_end: true,
        filter: None,
    };
    assert_eq!(plan("test"), expected);
}

#[test]
fn all_browsers_are_three() {
    assert_eq!(plan("test --all-browsers").engines, Engine::ALL);
}

#[test]
fn a_named_browser_runs_nothing_but_its_suites() {
    let expected = Plan {
        checks: false,
        native: false,
        engines: vec![Engine::Webkit],
        end_to_end: false,
        filter: Some("fence".into()),
    };
    assert_eq!(plan("test --browser webkit fence"), expected);
}

#[test]
fn native_needs_no_browser() {
    let expected = Plan {
        checks: true,
        native: true,
        engines: vec![],
        end_to_end: false,
        filter: None,
    };
    assert_eq!(plan("test --native"), expected);
}

#[test]
fn only_a_dev_package_is_not_optimised() {
    let kind = |line: &str| match parsed(line).unwrap().command {
        Command::Pack { kind, .. } | Command::HeadlessDemo { kind, .. } => kind,
        Command::Demo(page) | Command::Serve { page, .. } => page.kind,
        other => panic!("{other:?}"),
    };
    for command in ["pack", "demo", "serve", "demo --headless"] {
        assert_eq!(kind(command), Kind::Release);
        assert_eq!(kind(&format!("{command} --dev")), Kind::Dev);
    }
}

#[test]
fn a_mistake_is_refused_by_name() {
    for (line, said) in [
        ("test --fast", "--fast"),
        ("pack --json", "--json"),
        ("pack --dev --json sizes.json", "not measured"),
        ("demo --port many", "many"),
        ("test a b", "b"),
        ("ci now", "now"),
        ("demo --screenshot x.png", "--headless"),
        ("bench --rounds often", "often"),
        ("bench B1", "B1"),
        ("bench --alone --only B1", "--alone"),
        ("bench --alone --quick", "--alone"),
        ("test --native --all-browsers", "--native"),
        ("test --browser opera", "opera"),
        ("pack -- --dev", "serve"),
        ("tset", "did you mean `test`"),
        ("fly", "cargo xtask COMMAND"),
    ] {
        let failure = parsed(line).unwrap_err().to_string();
        assert!(failure.contains(said), "{line}: {failure}");
    }
}

#[test]
fn help_is_of_one_command_or_of_all() {
    let help = |line: &str| match parsed(line).unwrap().command {
        Command::Help(command) => command,
        other => panic!("{other:?}"),
    };
    for line in ["", "help", "--help", "-h", "--verbose"] {
        assert_eq!(help(line), None, "{line}");
    }
    for line in ["help test", "test --help", "test -h --native"] {
        assert_eq!(help(line).as_deref(), Some("test"), "{line}");
    }
}

#[test]
fn verbose_may_stand_anywhere_before_the_arguments_of_the_server() {
    let args = parsed("serve --verbose --port 25000 -- --rate-limit 5 --verbose").unwrap();
    assert!(args.verbose);
    assert!(!parsed("serve -- --verbose").unwrap().verbose);
    match args.command {
        Command::Serve { page, server_args } => {
            assert_eq!(page.port, 25000);
            assert_eq!(server_args, ["--rate-limit", "5", "--verbose"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn backends_start_with_files_and_end_without() {
    let command = |line: &str| match parsed(line).unwrap().command {
        Command::Backends(command) => command,
        other => panic!("{other:?}"),
    };
    let migrations = vec!["a.sql".into(), "b.sql".into()];
    assert_eq!(
        command("backends up a.sql b.sql"),
        Backends::Up { migrations }
    );
    assert_eq!(command("backends down"), Backends::Down);
    assert_eq!(
        command("backends test auth"),
        Backends::Test {
            filter: Some("auth".into())
        }
    );
    for wrong in ["backends", "backends down now", "backends up --port 1"] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}
