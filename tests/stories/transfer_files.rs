//! Files that are none, or not whole: each is refused with its reason, and nothing is imported.

use super::transfer_support::{export, import, import_with};
use crate::support::migrations::{at_version, updated};
use crate::support::world::{Tab, World};
use datum_sync::engine::transfer::ImportOptions;
use datum_sync::model::error::{Code, Error};
use datum_sync::transfer::read::FileReader;
use datum_sync::util::hash::LineDigest;

fn exported(world: &World) -> String {
    let a = world.device("phone").open();
    a.create(r#"{"id":"n","title":"näh"}"#);
    a.create(r#"{"id":"m","title":"two"}"#);
    a.sync();
    a.create(r#"{"id":"w","title":"waits"}"#);
    export(&a)
}

fn refused(tab: &Tab, file: &[u8]) -> Error {
    let error = import_with(tab, file, &ImportOptions::default()).unwrap_err();
    assert_eq!((tab.titles().len(), tab.pending()), (0, 0), "{error}");
    assert!(!error.is_retryable());
    error
}

/// Writes the last line again, for lines that were changed on purpose.
fn sealed(lines: &[String]) -> String {
    let mut digest = LineDigest::default();
    for line in lines {
        digest.add(line.as_bytes());
    }
    let end = format!(
        r#"{{"line":"end","lines":{},"digest":"{}"}}"#,
        lines.len(),
        digest.to_hex()
    );
    format!("{}\n{end}\n", lines.join("\n"))
}

fn lines(file: &str) -> Vec<String> {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

#[test]
fn a_file_that_was_cut_anywhere_imports_nothing() {
    let world = World::new();
    let file = exported(&world);
    let b = world.device("tablet").open();
    for end in 1..file.len() - 1 {
        let error = refused(&b, &file.as_bytes()[..end]);
        let in_header = end < file.find('\n').unwrap();
        let expected = if in_header {
            Code::InvalidArgument
        } else {
            Code::Corrupt
        };
        assert_eq!(error.code(), expected, "cut at {end}: {error}");
    }
    // The last line break alone may be missing.
    assert_eq!(import(&b, file.trim_end()).unwrap().added, 3);
}

#[test]
fn a_file_that_was_changed_anywhere_imports_nothing() {
    let world = World::new();
    let file = exported(&world).into_bytes();
    let b = world.device("tablet").open();
    let header = file.iter().position(|byte| *byte == b'\n').unwrap();
    for at in (header + 1..file.len() - 1).step_by(3) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        refused(&b, &changed);
    }
}

#[test]
fn a_line_that_is_missing_or_twice_is_noticed() {
    let world = World::new();
    let file = exported(&world);
    let b = world.device("tablet").open();
    let all: Vec<&str> = file.lines().collect();
    let without = [&all[..2], &all[3..]].concat().join("\n");
    assert_eq!(refused(&b, without.as_bytes()).code(), Code::Corrupt);
    let twice = [&all[..3], &all[2..]].concat().join("\n");
    assert_eq!(refused(&b, twice.as_bytes()).code(), Code::Corrupt);
    // Sealed again, too.
    let mut lines = lines(&file);
    lines.push(lines[1].clone());
    assert!(
        refused(&b, sealed(&lines).as_bytes())
            .message()
            .contains("twice")
    );
    let two = [&*file, &*file].concat();
    assert!(
        refused(&b, two.as_bytes())
            .message()
            .contains("follows the end")
    );
}

#[test]
fn what_is_no_export_is_refused_with_its_reason() {
    let world = World::new();
    let b = world.device("tablet").open();
    for (file, reason) in [
        (&b""[..], "empty"),
        (b"\n\r\n\n", "empty"),
        (b"[1,2]", "no file of `exportUser`"),
        (b"id;title\n1;milk\n", "no file of `exportUser`"),
        (b"{\"format\":\"other\"}\n", "no file of `exportUser`"),
        (b"\x1f\x8b\x08\x00\x00\x00", "gzip"),
        (b"\x1f\x8b\x0a\x00\x00\x00", "gzip"),
        (b"\xff\xfe{\x00", "UTF-8"),
    ] {
        let error = refused(&b, file);
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(reason), "{error}");
    }
}

#[test]
fn a_newer_format_or_schema_asks_for_an_update() {
    let world = World::new();
    let file = exported(&world);
    let b = world.device("tablet").open();
    for (now, later, what) in [
        (r#""formatVersion":1"#, r#""formatVersion":2"#, "datum-sync"),
        (
            r#""schemaVersion":0"#,
            r#""schemaVersion":7"#,
            "schemaVersion",
        ),
    ] {
        assert!(file.contains(now));
        let error = refused(&b, file.replace(now, later).as_bytes());
        assert_eq!(error.code(), Code::ClientOutdated);
        assert!(error.message().contains(what) && error.message().contains("update"));
    }
}

#[test]
fn a_file_from_before_a_migration_is_refused_by_the_newer_app() {
    let world = World::new();
    let a = at_version(world.device("phone"), 1).open();
    a.create(r#"{"id":"n","text":"before"}"#);
    let file = export(&a);
    let (tablet, _) = updated(world.device("tablet"));
    let b = tablet.open();

    let error = refused(&b, file.as_bytes());

    assert_eq!(error.code(), Code::Migration);
    assert!(error.message().contains("version 1"), "{error}");
    let c = at_version(world.device("third"), 1).open();
    assert_eq!(import(&c, &file).unwrap().added, 1);
}

#[test]
fn a_type_that_the_config_lacks_is_named_before_the_file_is_read() {
    let world = World::new();
    let file = exported(&world);
    let other = r#"{"entities":{"notes":{}}}"#;
    let b = world.device("tablet").with_config(other).open();
    let header = file.lines().next().unwrap();
    let mut reader = FileReader::default();
    reader.push(header.as_bytes()).unwrap();
    assert!(reader.header().is_none(), "its end has not come");
    reader.push(b"\n").unwrap();
    let checked = b
        .engine
        .transfer()
        .check(reader.header().unwrap(), &ImportOptions::default());
    let error = checked.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("`tasks`") && error.message().contains("notes"));
    // The first line may keep silent about it.
    let silent = file.replace(r#""entities":["tasks"]"#, r#""entities":[]"#);
    let sealed = sealed(&lines(&silent));
    let error = import(&b, &sealed).unwrap_err();
    assert!(error.message().contains("`tasks`"));
}

#[test]
fn each_wrong_member_is_named_with_its_line() {
    let world = World::new();
    let file = exported(&world);
    let b = world.device("tablet").open();
    for (from, to, name) in [
        (r#""line":"row""#, r#""line":"table""#, "`line`"),
        (r#""line":"row","#, "", "`line`"),
        (r#""version":"#, r#""version":"x","v":"#, "`version`"),
        (r#""version":"#, r#""version":-"#, "`version`"),
        (r#""data":{"#, r#""data":7,"d":{"#, "`data`"),
        (r#""kind":"create""#, r#""kind":"replace""#, "`kind`"),
        (r#""kind":"create","#, "", "`kind`"),
        (r#""id":"n""#, r#""id":"""#, "`id`"),
        (r#""id":"n""#, r#""id":7"#, "`id`"),
        (r#""opId":""#, r#""opId":null,"o":""#, "`opId`"),
        (
            r#""entity":"tasks","id":"n""#,
            r#""entity":"tasks","spaceId":"x","id":"n""#,
            "`spaceId`",
        ),
    ] {
        assert!(file.contains(from), "{from}");
        let changed: Vec<String> = lines(&file)
            .iter()
            .map(|line| line.replace(from, to))
            .collect();
        let error = refused(&b, sealed(&changed).as_bytes());
        assert_eq!(error.code(), Code::InvalidArgument);
        let text = error.message();
        assert!(text.contains(name) && text.contains("Line "), "{text}");
    }
}

#[test]
fn line_ends_a_mark_at_the_beginning_and_chunks_do_not_matter() {
    let world = World::new();
    let file = exported(&world);
    let windows = format!("\u{feff}{}\r\n", file.replace('\n', "\r\n"));
    let b = world.device("tablet").open();
    assert_eq!(import(&b, &windows).unwrap().added, 3);
    for size in 1..20 {
        let mut reader = FileReader::default();
        for chunk in file.as_bytes().chunks(size) {
            reader.push(chunk).unwrap();
        }
        assert_eq!(reader.finish().unwrap().rows.len(), 2);
    }
}

#[test]
fn members_that_are_unknown_or_special_to_javascript_are_data() {
    let world = World::new();
    let a = world.device("phone").open();
    a.create(r#"{"id":"__proto__","title":"x","__proto__":{"a":1},"constructor":2,"toJSON":"t"}"#);
    a.sync();
    let mut lines = lines(&export(&a));
    lines[1] = lines[1].replacen(r#"{"line""#, r#"{"later":{"b":[]},"__proto__":7,"line""#, 1);
    let b = world.device("tablet").open();
    import(&b, &sealed(&lines)).unwrap();
    assert_eq!(b.read("__proto__"), a.read("__proto__"));
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let mut reader = FileReader::default();
    let chunk = vec![b' '; 1 << 20];
    let mut pushed = 0;
    let error = loop {
        match reader.push(&chunk) {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), pushed), (Code::InvalidArgument, 16));
    assert!(error.message().contains("16 MiB"));
}
