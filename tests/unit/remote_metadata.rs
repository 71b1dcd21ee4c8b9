//! Metadata that a remote returns: what is read, ignored and refused.

use datum_sync::model::error::Code;
use datum_sync::model::metadata::read_reply;
use datum_sync::model::protocol::MetadataSyncStatus;

#[test]
fn metadata_of_a_remote_is_read_and_what_is_new_in_it_is_passed_over() {
    let reply = read_reply(
        br#"{
            "devices": [
                { "deviceId": "phone", "lastSyncTime": "2026-01-31T12:00:00.000Z", "lastSuccessfulSyncTime": "yesterday", "dataHash": "0f", "syncStatus": "failed",
                  "entityCounts": { "tasks": { "count": 3, "hash": "0e", "pending": 2, "new": 1 } }, "conflictCount": 1,
                  "errorMessage": "no", "retryCount": 4, "syncDuration": 5, "customMetadata": { "app": { "a": 1 } }, "new": {} },
                {}
            ],
            "digests": { "tasks": { "count": 2, "hash": "0d" } }, "serverTime": "t3", "new": null
        }"#,
    )
    .unwrap();
    // The server reads the same with what serde derives.
    let phone = &reply.devices[0];
    assert_eq!(
        (
            phone.device_id.as_str(),
            phone.last_sync_time.as_deref(),
            phone.last_successful_sync_time.as_deref(),
            phone.sync_status
        ),
        (
            "phone",
            Some("2026-01-31T12:00:00.000Z"),
            None,
            MetadataSyncStatus::Failed
        )
    );
    assert_eq!(
        serde_json::from_value::<datum_sync::model::protocol::MetadataReply>(
            serde_json::to_value(&reply).unwrap()
        )
        .unwrap(),
        reply
    );
    assert_eq!(
        (
            phone.entity_counts.get("tasks").unwrap().pending,
            phone.retry_count,
            phone.sync_duration
        ),
        (2, 4, Some(5))
    );
    assert_eq!(phone.custom_metadata.as_ref().unwrap()["app"]["a"], 1);
    assert_eq!(
        (
            reply.devices[1].sync_status,
            reply.digests.unwrap().get("tasks").unwrap().hash.as_str()
        ),
        (MetadataSyncStatus::NeverSynced, "0d")
    );
}

#[test]
fn metadata_of_a_remote_that_is_wrong_is_refused_and_its_place_named() {
    for (wrong, words) in [
        ("<html>", "Something else than the remote"),
        ("7", "must be an object"),
        ("{]", "is not what protocol 1 asks for"),
        (r#"{ "devices": {} }"#, "`devices` must be an array"),
        (
            r#"{ "devices": [{}, 1] }"#,
            "`devices[1]` must be an object",
        ),
        (
            r#"{ "devices": [{ "conflictCount": -1 }] }"#,
            "`devices[0].conflictCount` must be a whole number",
        ),
        (
            r#"{ "devices": [{ "syncStatus": "great" }] }"#,
            "`devices[0].syncStatus` must be one of",
        ),
        (
            r#"{ "devices": [{ "entityCounts": { "tasks": 1 } }] }"#,
            "`devices[0].entityCounts.tasks` must be an object",
        ),
        (
            r#"{ "devices": [{ "customMetadata": [] }] }"#,
            "`devices[0].customMetadata` must be an object",
        ),
        (
            r#"{ "digests": { "tasks": { "hash": "0d" } } }"#,
            "`digests.tasks.count` is missing",
        ),
    ] {
        let error = read_reply(wrong.as_bytes()).unwrap_err();
        let is_page = wrong.starts_with('<');
        let code = if is_page {
            Code::Network
        } else {
            Code::Protocol
        };
        assert_eq!(error.code(), code, "{wrong}");
        assert!(error.message().contains(words), "{wrong}: {error}");
    }
}
