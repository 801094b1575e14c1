//! Every way in refuses a session that is older than the retention, by its date, and records the rest.

use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DAY, date, keep_for, reason, today};
use crate::support::{Answer, Server, command, run, send};

/// A server whose workspace keeps sessions for 30 days, and knows it.
fn server() -> Server {
    let server = Server::start();
    keep_for(&server, "30");
    server
}

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let request = server.client().post(format!("{}{path}", server.url)).body(body);
    let with = |request: RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
    send(headers.iter().fold(request, with))
}

/// The first second that is taken, and the one before it.
fn around_the_limit(today: i64) -> [i64; 2] {
    let first = (today - 30) * DAY;
    [first, first - 1]
}

/// Sessions on the first day that is taken.
fn taken(server: &Server, today: i64) -> u64 {
    server.counts(&format!("length=2&ending_at={}", date(today - 30)))[1]
}

/// What counts sessions that were refused.
fn refused(server: &Server) -> u64 {
    let metrics = send(server.client().get(format!("{}/metrics", server.ops))).text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sessionmeter_sessions_total{outcome=\"refused\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn track_takes_the_limit_s_day_and_refuses_the_one_before() {
    let server = server();
    let today = today();
    let [first, before] = around_the_limit(today);
    let expected =
        json!([{"type": format!("'started_at' {}", reason(today)), "input_array": "sessions", "index": 1}]);
    let pair = |name: &str| {
        let session = |at: i64| server.session(&format!("{name}-{at}"), at);
        [session(first), session(before)]
    };
    let answer = server.track(&json!({ "sessions": pair("json") }));
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &expected));
    let lines = pair("lines").map(|session| session.to_string()).join("\n");
    let answer = server.try_track("application/x-ndjson", lines).unwrap();
    assert_eq!((answer.status, &answer.json()["errors"]), (201, &expected));
    assert_eq!(taken(&server, today), 2);
    let answer = server.track(&json!({ "sessions": [server.session("alone", before)] }));
    assert_eq!(answer.status, 400, "{answer:?}");
    // The end of a session that is too old comes as late as its start does.
    let mut ended = server.session("ended", before);
    ended["duration"] = 60.into();
    assert_eq!(server.track(&json!({ "sessions": [ended] })).status, 400);
}

#[test]
fn a_page_is_told_for_good() {
    let server = server();
    let today = today();
    let [first, before] = around_the_limit(today);
    let collect = |sessions: &[Value]| {
        let body = json!({"app_id": server.app, "sessions": sessions});
        post(
            &server,
            "/sessions/collect",
            &[("content-type", "text/plain")],
            body.to_string(),
        )
    };
    // A field that has to be mended takes the other way through the reader.
    for (number, language) in ["es", "no language"].into_iter().enumerate() {
        let session =
            |at: i64| json!({"session_id": format!("{number} {at}"), "started_at": at, "language": language});
        let answer = collect(&[session(first), session(before)]);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            answer.json()["errors"][0]["type"],
            format!("'started_at' {}", reason(today))
        );
        // 400 with a message is what the script takes for final.
        let answer = collect(&[session(before)]);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(!answer.message().is_empty());
        assert_eq!(taken(&server, today), number as u64 + 1);
    }
}

#[test]
fn logs_of_opentelemetry() {
    let server = server();
    let today = today();
    let [first, before] = around_the_limit(today);
    let event = |name: &str, id: &str, at: i64| {
        json!({"timeUnixNano": format!("{at}000000000"), "eventName": name,
            "attributes": [{"key": "session.id", "value": {"stringValue": id}}]})
    };
    let records = [
        event("session.start", "old", before),
        event("session.start", "new", first),
        event("session.end", "older", before),
        event("session.end", "new", first + 60),
    ];
    let resource =
        json!({"attributes": [{"key": "sessionmeter.app.id", "value": {"stringValue": server.app}}]});
    for (resource, header) in [(resource, ""), (json!({}), server.app.as_str())] {
        let body = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
        let mut headers = vec![("content-type", "application/json")];
        headers.extend((!header.is_empty()).then_some(("sessionmeter-app", header)));
        let answer = post(&server, "/v1/logs", &headers, body.to_string());
        let partial = &answer.json()["partialSuccess"];
        assert_eq!(
            (answer.status, &partial["rejectedLogRecords"]),
            (200, &json!("2"))
        );
        let expected = format!(
            "log record 0: 'timeUnixNano' {reason}; log record 2: the end of a session {reason}",
            reason = reason(today)
        );
        assert_eq!(partial["errorMessage"], expected);
        assert_eq!(taken(&server, today), 1);
    }
}

#[test]
fn envelopes_of_sentry() {
    let server = server();
    let today = today();
    let [first, before] = around_the_limit(today);
    let key = server.app.replace('-', "");
    let path = format!("/api/1/envelope/?sentry_key={key}");
    let deliver = |items: &[(&str, Value)]| {
        let item = |(kind, item): &(&str, Value)| format!("{{\"type\":\"{kind}\"}}\n{item}\n");
        let items: String = items.iter().map(item).collect();
        post(&server, &path, &[], format!("{{}}\n{items}"))
    };
    let session = |at: i64| {
        (
            "session",
            json!({"sid": format!("s {at}"), "started": at, "status": "ok"}),
        )
    };
    let bucket = |at: i64| json!({"started": at, "exited": 2});
    let aggregates = |buckets: &[Value]| ("sessions", json!({"aggregates": buckets}));
    let known = refused(&server);
    let answer = deliver(&[
        session(before),
        session(first),
        aggregates(&[bucket(before), bucket(first)]),
    ]);
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    assert_eq!(taken(&server, today), 3);
    assert_eq!(refused(&server), known + 2);
    let answer = deliver(&[session(before), aggregates(&[bucket(before)])]);
    let why = format!("'started' {}", reason(today));
    let expected = json!({"detail": format!("item 0: {why}; item 1: {why}")});
    assert_eq!((answer.status, answer.json()), (400, expected));
    assert_eq!(taken(&server, today), 3);
}

#[test]
fn files_of_all_formats_and_what_an_import_says_of_them() {
    let place = TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (source, store) = (place.path().join("source"), place.path().join("store"));
    let app = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
    for store in [&source, &store] {
        command(store, &["workspace", "create", "acme"]);
        command(store, &["app", "create", "Shop", "--id", app]);
    }
    let today = today();
    let [first, before] = around_the_limit(today);
    let line =
        |at: i64| json!({"app_id": app, "session_id": format!("s {at}"), "started_at": at}).to_string();
    let lines = path("sessions.ndjson");
    std::fs::write(&lines, format!("{}\n{}\n", line(before), line(first))).unwrap();
    command(&source, &["import", &lines]);
    command(&store, &["workspace", "set-retention", "acme", "30"]);
    for (number, format) in ["ndjson", "csv", "parquet"].into_iter().enumerate() {
        let file = path(&format!("exported.{format}"));
        let exported = run(&source, &["export", "--format", format, "--output", &file]);
        assert!(exported.status.success(), "{exported:?}");
        let output = run(&store, &["import", &file, "--json"]);
        assert_eq!(output.status.code(), Some(1), "{format}: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = ["recorded", "duplicates", "refused"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(
            counts,
            [u64::from(number == 0), u64::from(number > 0), 1],
            "{format}"
        );
    }
    // The summary has the reason, and the rejects have the line.
    let rejects = path("rejects.ndjson");
    let output = run(
        &store,
        &["import", &lines, "--allow-rejects", "--rejects", &rejects],
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = format!("1  'started_at' {}", reason(today));
    assert!(said.contains(&expected), "{said}");
    assert_eq!(std::fs::read_to_string(&rejects).unwrap().trim(), line(before));
    // Once sessions are kept for longer, so are those that were refused.
    command(&store, &["workspace", "set-retention", "acme", "31"]);
    let report = command(&store, &["import", &rejects]);
    assert_eq!((&report["recorded"], &report["refused"]), (&json!(1), &json!(0)));
}

#[test]
fn a_running_server_honours_what_a_command_changes() {
    let server = server();
    keep_for(&server, "none");
    keep_for(&server, "399");
    keep_for(&server, "none");
}

#[test]
fn workspaces_have_retentions_of_their_own() {
    let server = server();
    command(&server.data, &["workspace", "create", "other"]);
    let app = command(
        &server.data,
        &["app", "create", "Elsewhere", "--workspace", "other"],
    );
    let key = command(
        &server.data,
        &[
            "key",
            "create",
            "all",
            "--workspace",
            "other",
            "--permission",
            "all",
        ],
    );
    let old = json!({"app_id": app["id"], "session_id": "s", "started_at": (today() - 400) * DAY});
    let request = server.client().post(format!("{}/sessions/track", server.url));
    let request = request.bearer_auth(key["key"].as_str().unwrap());
    assert_eq!(send(request.json(&json!({ "sessions": [old] }))).status, 201);
}
