//! Replies of a remote are accepted with all values in range, or refused with a code. The server
//! reads the engine's requests as they were meant.

use datum_sync::model::entity::{Fields, check_id, check_name};
use datum_sync::model::error::{Code, Error};
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::metadata::{read_kept, read_reply};
use datum_sync::model::protocol::{
    PullPage, PushReply, PushRequest, PushVerdict, PushedKind, PushedOperation, Raw, Verdict,
    parse_error, parse_page, parse_push_reply,
};
use datum_sync::util::json::write::{push_field, push_string};
use serde_json::Value;
use serde_json::value::RawValue;

/// Takes the body of any reply.
pub fn holds(bytes: &[u8]) {
    page(bytes);
    verdicts(bytes);
    metadata(bytes);
    let _ = parse_error(bytes);
    requests(bytes);
}

fn is_protocol(error: &Error) {
    // A web page, or a text that ends too early, is not the remote's own answer.
    assert!(matches!(error.code(), Code::Protocol | Code::Network));
    assert!(!error.message().is_empty());
}

fn page(bytes: &[u8]) {
    let page = match parse_page(bytes) {
        Ok(page) => page,
        Err(error) => return is_protocol(&error),
    };
    assert!(!page.cursor.is_empty());
    for change in &page.changes {
        assert!(check_id(&change.id).is_ok() && check_name(&change.entity).is_ok());
        assert!((1..=MAX_VERSION).contains(&change.version));
        assert!(change.deleted || change.data.is_some());
        if let Some(data) = change.data {
            assert!(
                data.starts_with('{') && serde_json::from_str::<&RawValue>(data).is_ok(),
                "{data}"
            );
            assert!(
                Fields::parse(data).is_ok(),
                "stored data can be read: {data}"
            );
        }
    }
    let written = write_page(&page);
    let again = parse_page(written.as_bytes()).expect("an accepted reply is accepted again");
    assert_eq!(format!("{again:?}"), format!("{page:?}"));
}

fn write_page(page: &PullPage<'_>) -> String {
    let mut out = String::from("{\"changes\":[");
    for (index, change) in page.changes.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        put(&mut out, "entity", Some(&change.entity));
        put(&mut out, "id", Some(&change.id));
        push_field(&mut out, "version", &change.version.to_string());
        push_field(&mut out, "deleted", &change.deleted.to_string());
        push_field(&mut out, "data", change.data.unwrap_or("null"));
        put(&mut out, "reason", change.reason.as_deref());
        put(&mut out, "space", change.space.as_deref());
        if let Some(place) = &change.moved_to {
            push_field(&mut out, "movedTo", "{");
            put(&mut out, "space", place.space.as_deref());
            number(&mut out, "version", Some(place.version));
            out.push('}');
        }
        out.push('}');
    }
    out.push(']');
    put(&mut out, "cursor", Some(&page.cursor));
    push_field(&mut out, "more", &page.more.to_string());
    push_field(
        &mut out,
        "remaining",
        &page
            .remaining
            .map_or("null".to_owned(), |left| left.to_string()),
    );
    put(&mut out, "serverTime", page.server_time.as_deref());
    put(&mut out, "epoch", page.epoch.as_deref());
    put(&mut out, "serverId", page.server_id.as_deref());
    number(&mut out, "kept", page.kept);
    if let Some(spaces) = &page.spaces {
        list(&mut out, "spaces", spaces, |out, space| {
            put(out, "id", Some(&space.id));
            put(out, "role", Some(&space.role));
        });
    }
    list(&mut out, "starts", &page.starts, |out, start| {
        put(out, "space", start.space.as_deref());
        number(out, "at", Some(start.at));
        number(out, "kept", start.kept);
    });
    if let Some(digests) = &page.digests {
        push_field(
            &mut out,
            "digests",
            &datum_sync::util::json::serialize::to_string(digests),
        );
    }
    out.push('}');
    out
}

fn list<T>(out: &mut String, key: &str, items: &[T], write: impl Fn(&mut String, &T)) {
    push_field(out, key, "[");
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        write(out, item);
        out.push('}');
    }
    out.push(']');
}

fn number(out: &mut String, key: &str, number: Option<u64>) {
    push_field(
        out,
        key,
        &number.map_or("null".to_owned(), |number| number.to_string()),
    );
}

fn put(out: &mut String, key: &str, text: Option<&str>) {
    let mut quoted = String::new();
    match text {
        Some(text) => push_string(&mut quoted, text),
        None => quoted.push_str("null"),
    }
    push_field(out, key, &quoted);
}

fn verdicts(bytes: &[u8]) {
    if let Err(error) = parse_push_reply(bytes, &["o1"]) {
        is_protocol(&error);
    }
    // As if exactly the operations in the reply had been sent.
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let sent: Vec<&str> = value["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|verdict| verdict["opId"].as_str().unwrap_or_default())
        .collect();
    let reply = match parse_push_reply(bytes, &sent) {
        Ok(reply) => reply,
        Err(error) => return is_protocol(&error),
    };
    assert_eq!(
        reply
            .results
            .iter()
            .map(|verdict| &*verdict.op_id)
            .collect::<Vec<_>>(),
        sent
    );
    for verdict in &reply.results {
        match verdict.verdict().expect("each was checked") {
            Verdict::Applied { version, row, .. } | Verdict::Conflict { version, row, .. } => {
                assert!((1..=MAX_VERSION).contains(&version));
                assert!(row.is_none_or(|row| Fields::parse(row).is_ok()));
            }
            Verdict::Rejected { code, row, .. } => {
                assert!(verdict.code.is_none() || verdict.code.as_deref() == Some(code));
                assert!(row.is_none_or(|row| Fields::parse(row).is_ok()));
            }
            Verdict::Retry { after_ms } => assert_eq!(after_ms, verdict.retry_after_ms),
        }
    }
    let written = write_reply(&reply);
    let again =
        parse_push_reply(written.as_bytes(), &sent).expect("an accepted reply is accepted again");
    assert_eq!(format!("{again:?}"), format!("{reply:?}"));
    if !sent.is_empty() {
        assert!(
            parse_push_reply(bytes, &sent[1..]).is_err(),
            "an extra verdict"
        );
        assert!(
            parse_push_reply(bytes, &[&sent[..], &["another"]].concat()).is_err(),
            "a missing verdict"
        );
    }
}

fn write_reply(reply: &PushReply<'_>) -> String {
    let mut out = String::from("{\"results\":[");
    for (index, verdict) in reply.results.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        let PushVerdict {
            op_id,
            status,
            version,
            replayed,
            deleted,
            row,
            code,
            message,
            retry_after_ms,
            space,
            left_version,
        } = verdict;
        put(&mut out, "opId", Some(op_id));
        put(&mut out, "status", Some(status));
        push_field(
            &mut out,
            "version",
            &version.map_or("null".to_owned(), |version| version.to_string()),
        );
        push_field(&mut out, "replayed", &replayed.to_string());
        push_field(&mut out, "deleted", &deleted.to_string());
        push_field(&mut out, "row", row.unwrap_or("null"));
        put(&mut out, "code", code.as_deref());
        put(&mut out, "message", message.as_deref());
        push_field(
            &mut out,
            "retryAfterMs",
            &retry_after_ms.map_or("null".to_owned(), |ms| ms.to_string()),
        );
        put(&mut out, "space", space.as_deref());
        number(&mut out, "leftVersion", *left_version);
        out.push('}');
    }
    out.push(']');
    put(&mut out, "serverTime", reply.server_time.as_deref());
    put(&mut out, "epoch", reply.epoch.as_deref());
    put(&mut out, "serverId", reply.server_id.as_deref());
    out.push('}');
    out
}

fn metadata(bytes: &[u8]) {
    match read_reply(bytes) {
        Ok(reply) => {
            let written = datum_sync::util::json::serialize::to_string(&reply);
            let again =
                read_reply(written.as_bytes()).unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(
                datum_sync::util::json::serialize::to_string(&again),
                written
            );
        }
        Err(error) => is_protocol(&error),
    }
    match read_kept(bytes, "The metadata") {
        Ok(kept) => {
            let written = datum_sync::util::json::serialize::to_string(&kept.writer);
            let again = read_kept(written.as_bytes(), "The metadata")
                .unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(
                datum_sync::util::json::serialize::to_string(&again.writer),
                written
            );
        }
        Err(error) => is_protocol(&error),
    }
}

/// Takes the bytes as names, ids and body of an operation.
fn requests(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let data = serde_json::from_str::<&RawValue>(&text)
        .ok()
        .map(RawValue::get);
    let (head, tail) = text.split_at(text.char_indices().nth(3).map_or(text.len(), |(at, _)| at));
    let operation = PushedOperation {
        op_id: head.into(),
        entity: tail.into(),
        id: text.as_ref().into(),
        kind: [
            PushedKind::Create,
            PushedKind::Update,
            PushedKind::Patch,
            PushedKind::Delete,
            PushedKind::Move,
        ][bytes.len() % 5],
        space: (bytes.len() % 2 == 1).then(|| text.as_ref().into()),
        to: (bytes.len() % 7 == 1).then(|| head.into()),
        base_version: (!bytes.len().is_multiple_of(3)).then_some(bytes.len() as u64),
        supersedes: vec![head.into(); bytes.len() % 2],
        data: data.map(Raw),
        after: vec![tail.into(); bytes.len() % 3],
    };
    let request = PushRequest {
        client_id: tail.into(),
        user_id: Some(head.into()),
        schema: 7,
        epoch: Some(head.into()),
        server_id: Some(tail.into()),
        operations: vec![operation.clone(), operation],
    };
    let written = request.to_json();
    let read: Value = match serde_json::from_str(&written) {
        Ok(read) => read,
        // The server need not understand data that it only copies, such as a lone surrogate or a
        // number out of range.
        Err(_) => {
            assert!(
                serde_json::from_str::<&RawValue>(&written).is_ok() && data.is_some(),
                "{written}"
            );
            return;
        }
    };
    assert_eq!(
        (
            read["clientId"].as_str(),
            read["userId"].as_str(),
            read["schema"].as_u64()
        ),
        (Some(tail), Some(head), Some(7))
    );
    assert_eq!(
        (read["epoch"].as_str(), read["serverId"].as_str()),
        (Some(head), Some(tail))
    );
    for (index, sent) in request.operations.iter().enumerate() {
        check_operation(&read["operations"][index], sent);
    }
    let operations = read["operations"].to_string();
    assert!(
        serde_json::from_str::<Vec<PushedOperation<'_>>>(&operations).is_ok(),
        "the server can read it: {operations}"
    );
}

fn check_operation(read: &Value, sent: &PushedOperation<'_>) {
    let texts = [
        ("opId", &sent.op_id),
        ("entity", &sent.entity),
        ("id", &sent.id),
    ];
    texts
        .into_iter()
        .for_each(|(key, text)| assert_eq!(read[key].as_str(), Some(&**text)));
    assert_eq!(
        (read["kind"].as_str(), read["baseVersion"].as_u64()),
        (Some(sent.kind.as_str()), sent.base_version)
    );
    assert_eq!(
        (read["space"].as_str(), read["to"].as_str()),
        (sent.space.as_deref(), sent.to.as_deref())
    );
    assert_eq!(read.get("data").is_some(), sent.data.is_some());
    for (key, names) in [("supersedes", &sent.supersedes), ("after", &sent.after)] {
        let read = read[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap_or_default());
        assert!(read.eq(names.iter().map(|name| &**name)), "{key}");
    }
}
