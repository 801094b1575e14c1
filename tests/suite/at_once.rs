//! What a command made is honoured by the very next request, on every endpoint, and guesses don't delay that.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::segments;
use crate::support::{Answer, Server, send};

const SERIES: &str = "/sessions/data_series?length=1&ending_at=2024-01-01";
const NOON: &str = "2024-01-01T12:00:00Z";
const JSON: &str = "application/json";

fn create_key(server: &Server, name: &str) -> String {
    let key = server.command(&["key", "create", name, "--permission", "all"]);
    key["key"].as_str().unwrap().to_owned()
}

fn create_app(server: &Server, name: &str) -> String {
    let app = server.command(&["app", "create", name]);
    app["id"].as_str().unwrap().to_owned()
}

fn create_segment(server: &Server, name: &str) -> String {
    let filter = r#"{"field":"country","op":"eq","value":"BR"}"#;
    let segment = server.command(&["segment", "create", name, "--filter", filter]);
    segment["id"].as_str().unwrap().to_owned()
}

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let request = server
        .client()
        .post(format!("{}{path}", server.url))
        .bearer_auth(&server.key)
        .body(body.into());
    let with = |request: reqwest::blocking::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    send(headers.iter().fold(request, with))
}

#[test]
fn a_new_key() {
    let server = Server::start();
    for number in 0..5 {
        let key = create_key(&server, &number.to_string());
        let answer = server.get_as(SERIES, &key);
        assert_eq!(answer.status, 200, "key {number}: {answer:?}");
    }
}

#[test]
fn a_new_workspace_with_all_that_is_in_it() {
    let server = Server::start();
    server.command(&["workspace", "create", "other"]);
    let app = server.command(&["app", "create", "web", "--workspace", "other"]);
    let key = segments::key(&server.data, "other", "all");
    let path = format!("{SERIES}&app_id={}", app["id"].as_str().unwrap());
    let answer = server.get_as(&path, &key);
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_new_app_on_every_endpoint_that_names_one() {
    let server = Server::start();
    let session = |app: &str, id: &str| json!({ "app_id": app, "session_id": id, "started_at": NOON });
    let log = |resource: Value| {
        let attribute = json!({ "key": "session.id", "value": { "stringValue": "otlp" } });
        let record = json!({ "timeUnixNano": "1704110400000000000", "eventName": "session.start", "attributes": [attribute] });
        json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [record] }] }] })
            .to_string()
    };
    let envelope = |dsn: &str| {
        format!(
            "{{{dsn}}}\n{{\"type\":\"session\"}}\n{{\"sid\":\"sentry\",\"started\":\"{NOON}\",\"init\":true}}"
        )
    };
    type Deliver<'a> = Box<dyn Fn(&str) -> Answer + 'a>;
    let ways: [(&str, Deliver<'_>); 9] = [
        (
            "track",
            Box::new(|app| server.track(&json!({ "sessions": [session(app, "a")] }))),
        ),
        (
            "track, beside one that is refused",
            Box::new(|app| server.track(&json!({ "sessions": [{}, session(app, "a")] }))),
        ),
        (
            "track, lines",
            Box::new(|app| {
                let kind = [("content-type", "application/x-ndjson")];
                post(&server, "/sessions/track", &kind, session(app, "a").to_string())
            }),
        ),
        (
            "collect",
            Box::new(|app| {
                let body = json!({ "app_id": app, "sessions": [{ "session_id": "a", "started_at": NOON }] });
                post(
                    &server,
                    "/sessions/collect",
                    &[("content-type", JSON)],
                    body.to_string(),
                )
            }),
        ),
        (
            "collect, the session's own",
            Box::new(|app| {
                let body = json!({ "app_id": server.app, "sessions": [session(app, "a")] });
                post(
                    &server,
                    "/sessions/collect",
                    &[("content-type", JSON)],
                    body.to_string(),
                )
            }),
        ),
        (
            "OTLP, in a header",
            Box::new(|app| {
                let headers = [("content-type", JSON), ("sessionmeter-app", app)];
                post(&server, "/v1/logs", &headers, log(json!({})))
            }),
        ),
        (
            "OTLP, in a resource",
            Box::new(|app| {
                let attribute = json!({ "key": "sessionmeter.app.id", "value": { "stringValue": app } });
                let body = log(json!({ "attributes": [attribute] }));
                post(&server, "/v1/logs", &[("content-type", JSON)], body)
            }),
        ),
        (
            "Sentry, in a header",
            Box::new(|app| {
                let auth = format!("Sentry sentry_key={}", app.replace('-', ""));
                post(
                    &server,
                    "/api/1/envelope/",
                    &[("x-sentry-auth", &auth)],
                    envelope(""),
                )
            }),
        ),
        (
            "Sentry, in the envelope",
            Box::new(|app| {
                let dsn = format!("\"dsn\":\"https://{}@localhost/1\"", app.replace('-', ""));
                post(&server, "/api/1/envelope/", &[], envelope(&dsn))
            }),
        ),
    ];
    for (name, deliver) in ways {
        let app = create_app(&server, name);
        let answer = deliver(&app);
        assert!([200, 201].contains(&answer.status), "{name}: {answer:?}");
        assert_eq!(
            server.counts(&format!("length=1&ending_at=2024-01-01&app_id={app}")),
            [1],
            "{name}: {answer:?}"
        );
    }
    for number in 0..3 {
        let app = create_app(&server, &format!("asked for {number}"));
        let answer = server.get(&format!("{SERIES}&app_id={app}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_new_segment_on_every_endpoint_that_names_one() {
    let server = Server::start();
    type Ask<'a> = Box<dyn Fn(&str) -> Answer + 'a>;
    let change = |path: &'static str| -> Ask<'_> {
        let server = &server;
        Box::new(move |id| {
            let body = json!({ "segment_id": id }).to_string();
            post(server, path, &[("content-type", JSON)], body)
        })
    };
    let ways: [(&str, Ask<'_>); 6] = [
        (
            "details",
            Box::new(|id| server.get(&format!("/segments/details?segment_id={id}"))),
        ),
        ("edit", change("/segments/edit")),
        ("track", change("/segments/track")),
        ("untrack", change("/segments/untrack")),
        ("delete", change("/segments/delete")),
        (
            "list",
            Box::new(|id| {
                let answer = server.get("/segments/list");
                assert!(answer.text.contains(id), "{answer:?}");
                answer
            }),
        ),
    ];
    for (name, ask) in ways {
        let id = create_segment(&server, name);
        let answer = ask(&id);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    let id = create_segment(&server, "counted");
    let unknown = "'segment_id' must be";
    let asked = || server.get(&format!("{SERIES}&segment_id={id}"));
    assert!(!asked().message().starts_with(unknown), "{:?}", asked());
    server.command(&["segment", "track", "counted"]);
    assert!(!asked().message().contains("no analytics tracking"));
}

#[test]
fn guesses_of_many_do_not_keep_a_new_key_waiting() {
    let server = Server::start_with(&["--trusted-proxies", "127.0.0.1"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (server, over) = (&server, &over);
            scope.spawn(move || {
                for guess in 0..100_000 {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("smk_{thread}{guess:042}");
                    let from = format!("203.0.113.{}", guess % 200);
                    let request = server.client().get(format!("{}{SERIES}", server.url));
                    let answer = send(request.bearer_auth(key).header("x-forwarded-for", from));
                    assert!([401, 429].contains(&answer.status), "{answer:?}");
                }
            });
        }
        let answers: Vec<u16> = (0..5)
            .map(|number| {
                let key = create_key(&server, &number.to_string());
                server.get_as(SERIES, &key).status
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(answers, [200; 5]);
    });
}
