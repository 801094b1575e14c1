//! A byte order mark, which editors and spreadsheets write before a text, changes nothing wherever a text is taken.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server, run, send};

/// 2024-01-01T12:00:00Z
const NOON: u64 = 1_704_110_400;
const MARK: &str = "\u{feff}";

fn post(server: &Server, path: &str, media_type: &str, text: &str) -> Answer {
    let request = server
        .client()
        .request(Method::POST, format!("{}{path}", server.url));
    let request = request
        .bearer_auth(&server.key)
        .header("content-type", media_type);
    send(request.body(format!("{MARK}{text}")))
}

#[test]
fn every_route_that_takes_a_text_takes_one_with_a_mark() {
    let server = Server::start();
    let app = &server.app;
    let session = |id: &str| server.session(id, NOON).to_string();
    let event = json!({"timeUnixNano": (NOON * 1_000_000_000).to_string(), "eventName": "session.start", "attributes": [
        {"key": "session.id", "value": {"stringValue": "logs"}}, {"key": "sessionmeter.app.id", "value": {"stringValue": app}}
    ]});
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]});
    let envelope = format!("{{}}\n{{\"type\":\"session\"}}\n{{\"sid\":\"sentry\",\"started\":{NOON}}}\n");
    let key = app.replace('-', "");
    let sentry = format!("/api/1/envelope/?sentry_key={key}");
    // As two files that were put together: the second has a mark, too.
    let lines = format!("{}\n{MARK}{}\n{MARK}\n", session("first"), session("second"));
    let filter = json!({"field": "country", "op": "eq", "value": "BR"});
    for (path, media_type, body, status) in [
        (
            "/sessions/track",
            "application/json",
            json!({"sessions": [server.session("json", NOON)]}).to_string(),
            201,
        ),
        ("/sessions/track", "application/x-ndjson", lines, 201),
        (
            "/sessions/collect",
            "text/plain",
            json!({"app_id": app, "sessions": [server.session("page", NOON)]}).to_string(),
            201,
        ),
        (
            "/users/track",
            "application/json",
            json!({"attributes": [{"external_id": "u", "plan": "pro"}]}).to_string(),
            201,
        ),
        (
            "/segments/create",
            "application/json",
            json!({"name": "Brazil", "filter": filter}).to_string(),
            201,
        ),
        ("/v1/logs", "application/json", logs.to_string(), 200),
        (&sentry, "", envelope, 200),
    ] {
        let answer = post(&server, path, media_type, &body);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        for failed in ["errors", "partialSuccess"] {
            assert_eq!(answer.json().get(failed), None, "{path}: {answer:?}");
        }
    }
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [6]);
}

#[test]
fn import_takes_files_with_a_mark() {
    let server = Server::start();
    let directory = tempfile::TempDir::new().unwrap();
    let line = |id: &str| server.session(id, NOON).to_string();
    for (name, text) in [
        (
            "marked.ndjson",
            format!("{MARK}{}\n{MARK}{}\n", line("a"), line("b")),
        ),
        (
            "marked.csv",
            format!("{MARK}app_id,session_id,started_at\n{},c,{NOON}\n", server.app),
        ),
    ] {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        let output = run(&server.data, &["import", file.to_str().unwrap(), "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["refused"], 0, "{name}: {report}");
    }
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [3]);
}
