//! A log that cannot be written.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::json;

use crate::common::Folder;
use crate::common::api::create;
use crate::common::running::Running;

fn serves(running: &Running, requests: usize) {
    let token = running.token("ann");
    for n in 0..requests {
        let id = n.to_string();
        let (status, reply) = running.push(&token, json!([create(&id, &id)])).unwrap();
        assert_eq!(
            (status, &reply["results"][0]["status"]),
            (200, &json!("applied"))
        );
        assert_eq!(
            running.call("GET", "/sync/v1/nothing", &token, json!({})).0,
            404
        );
    }
}

/// (every connection ended without an answer)
#[test]
fn a_log_on_a_full_disk_fails_no_request() {
    let folder = Folder::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    serves(&Running::logging(&folder, full.into()), 5);
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_request() {
    let folder = Folder::new();
    // A pipe takes 64 KiB, a line of the log about 130 bytes.
    serves(&Running::logging(&folder, Stdio::piped()), 500);
}

#[test]
fn a_log_that_is_closed_fails_no_request() {
    let folder = Folder::new();
    let mut running = Running::logging(&folder, Stdio::piped());
    drop(running.child.stderr.take());
    serves(&running, 5);
    serves(
        &Running::limited("exec 2>&-;", &Folder::new(), Stdio::null()),
        5,
    );
}
