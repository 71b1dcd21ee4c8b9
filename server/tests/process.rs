//! The binary: command line, output, shutdown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![cfg(unix)]

mod common;

use std::io::Read as _;
use std::process::{Command, Output};

use common::Folder;
use common::api::create;
use common::running::{Running, binary};
use serde_json::{Value, json};

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    assert!(
        output.stdout.is_empty(),
        "a supervisor must not take an error for a running server"
    );
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn development_mode_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0"] {
        // If it started after all, the missing folder would stop it.
        let message = refused(
            &binary(&[
                "--dev",
                "--listen",
                address,
                "--database",
                "/no/such/folder/db",
            ])
            .output()
            .unwrap(),
        );
        assert!(message.contains("--dev"), "{message}");
    }
}

#[test]
fn it_does_not_start_without_a_long_enough_secret() {
    let folder = Folder::new();
    let database = folder.database();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--database",
        database.to_str().unwrap(),
    ];
    assert!(refused(&binary(&arguments).output().unwrap()).contains("DATUM_JWT_SECRET"));
    let message = refused(
        &binary(&arguments)
            .env("DATUM_JWT_SECRET", "too short")
            .output()
            .unwrap(),
    );
    assert!(
        message.contains("32") && !message.contains("too short"),
        "{message}"
    );
}

#[test]
fn an_invalid_argument_is_named_in_the_message() {
    let cases: [&[&str]; 7] = [
        &["--listen", "nowhere"],
        &["--frobnicate"],
        &["--rate", "-1"],
        &["--max-body", "7"],
        &["--static", "/no/such/folder"],
        &["--allow-origin", "https://app.example/path"],
        &["new-world"],
    ];
    for arguments in cases {
        let message = refused(&binary(arguments).output().unwrap());
        assert!(message.contains(arguments[0]), "{arguments:?}: {message}");
    }
    let help = binary(&["--help"]).output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--listen"));
}

#[test]
fn a_push_survives_a_kill_and_a_new_epoch_is_visible() {
    let folder = Folder::new();
    let mut running = Running::start(&folder);
    let (status, reply) = running.call(
        "POST",
        "/sync/v1/push",
        &running.token("ann"),
        json!({ "clientId": "d", "operations": [create("1", "a")] }),
    );
    assert_eq!(
        (status, &reply["results"][0]["status"]),
        (200, &json!("applied"))
    );
    running.child.kill().unwrap();
    running.child.wait().unwrap();

    let again = Running::start(&folder);
    let page = again.pull();
    assert_eq!(
        (&page["changes"][0]["id"], &page["epoch"]),
        (&json!("a"), &reply["epoch"])
    );
    drop(again);

    let said = binary(&[
        "new-epoch",
        "--database",
        folder.database().to_str().unwrap(),
    ])
    .output()
    .unwrap();
    assert!(said.status.success());
    let epoch = String::from_utf8(said.stdout)
        .unwrap()
        .trim()
        .strip_prefix("epoch ")
        .unwrap()
        .to_owned();
    let restored = Running::start(&folder);
    assert_ne!(reply["epoch"], json!(epoch));
    assert_eq!(restored.pull()["epoch"], json!(epoch));
}

#[test]
fn a_new_epoch_needs_a_database() {
    let folder = Folder::new();
    refused(
        &binary(&[
            "new-epoch",
            "--database",
            folder.database().to_str().unwrap(),
        ])
        .output()
        .unwrap(),
    );
    assert!(!folder.database().exists());
}

#[test]
fn a_backup_taken_while_serving_is_restored_with_a_new_epoch() {
    let folder = Folder::new();
    let (database, copy) = (folder.database(), folder.0.join("copy.sqlite"));
    let command = |word: &str, file: &std::path::Path| {
        binary(&[
            word,
            file.to_str().unwrap(),
            "--database",
            database.to_str().unwrap(),
        ])
        .output()
        .unwrap()
    };
    let running = Running::start(&folder);
    let push = |running: &Running, id: &str| {
        let operations = [create(id, id)];
        running
            .call(
                "POST",
                "/sync/v1/push",
                &running.token("ann"),
                json!({ "clientId": "d", "operations": operations }),
            )
            .1
    };
    let first = push(&running, "a");
    assert!(command("backup", &copy).status.success());
    push(&running, "b");
    assert!(
        refused(&command("backup", &copy)).contains("copy.sqlite"),
        "nothing is overwritten"
    );
    assert!(
        refused(&command("restore", &copy)).contains("stop the server"),
        "not while a server runs"
    );
    assert_eq!(running.pull()["changes"].as_array().unwrap().len(), 2);
    drop(running);

    let said = command("restore", &copy);
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );

    let restored = Running::start(&folder);
    let token = restored.token("ann");
    let asked = json!({ "clientId": "d", "cursor": null, "limit": 10, "epoch": first["epoch"] });
    let page = restored.call("POST", "/sync/v1/pull", &token, asked).1;
    assert_eq!(
        (
            page["changes"].as_array().unwrap().len(),
            &page["changes"][0]["id"],
            &page["kept"]
        ),
        (1, &json!("a"), &json!(1))
    );
    assert_ne!(page["epoch"], first["epoch"]);
    assert_eq!(
        page["serverId"], first["serverId"],
        "and is the same server"
    );
    assert_eq!(
        push(&restored, "a")["results"][0]["replayed"],
        true,
        "it still knows what it had applied then"
    );
    refused(&command("restore", &folder.0.join("nothing.sqlite")));
}

#[test]
fn a_backup_of_before_there_were_server_ids_gets_that_of_its_server() {
    let folder = Folder::new();
    let database = folder.database();
    let id_of = |running: &Running| {
        running.call("GET", "/sync/v1/health", "", Value::Null).1["serverId"].clone()
    };
    let first = id_of(&Running::start(&folder));
    let forget = |file: &std::path::Path| {
        common::run(async {
            let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
                .await
                .unwrap();
            sqlx::query("DELETE FROM setting WHERE name = 'serverId'")
                .execute(&pool)
                .await
                .unwrap();
            pool.close().await;
        });
    };
    forget(&database);
    assert_eq!(id_of(&Running::start(&folder)), first);

    let said = binary(&["new-server-id", "--database", database.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let another = said
        .trim()
        .strip_prefix("server id ")
        .unwrap_or_else(|| panic!("{said}"));
    assert_ne!(first, json!(another));
    assert_eq!(id_of(&Running::start(&folder)), json!(another));
}

#[test]
fn sigterm_ends_streams_and_exits_cleanly() {
    let folder = Folder::new();
    let mut running = Running::start(&folder);
    let mut stream = running.connect("GET", "/sync/v1/stream", &running.token("ann"), "");
    let mut head = [0_u8; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let killed = Command::new("kill")
        .arg(running.child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: bye"), "{rest}");
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn the_log_has_requests_but_no_tokens_and_no_data() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let running = Running::logging(&folder, std::fs::File::create(&log).unwrap().into());
    let token = running.token("ann");
    let mut op = create("1", "a");
    op["data"]["title"] = json!("PRIVATE");
    running.call(
        "POST",
        "/sync/v1/push",
        &token,
        json!({ "clientId": "d", "operations": [op] }),
    );
    running.call("POST", "/sync/v1/push", &token, json!("PRIVATE"));
    running.call(
        "POST",
        "/sync/v1/pull?access_token=SECRETTOKEN",
        "SECRETTOKEN",
        json!({}),
    );
    let pid = running.child.id().to_string();
    let mut running = running;
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    running.child.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("DEVELOPMENT MODE"), "{log}");
    assert!(
        log.contains("/sync/v1/push")
            && log.contains("status=200")
            && log.contains("status=400")
            && log.contains("status=401"),
        "{log}"
    );
    for secret in ["PRIVATE", "SECRETTOKEN", &token] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
