//! What whoever runs the server relies on: health, metrics, logs, a clean stop, a true description of the API.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Server, clickhouse, command, eventually, run, send, terminate};
use serde_json::{Value, json};

#[test]
fn health_and_readiness_need_no_key() {
    let server = Server::start();
    for (base, path, message) in [
        (&server.url, "/health", "ok"),
        (&server.ops, "/health", "ok"),
        (&server.ops, "/ready", "ready"),
    ] {
        let answer = send(server.client().get(format!("{base}{path}")));
        assert_eq!(
            (answer.status, answer.message().as_str()),
            (200, message),
            "{base}{path}"
        );
    }
}

#[test]
fn metrics_are_only_on_the_second_listener_and_count_what_happened() {
    let server = Server::start();
    assert_eq!(server.get("/metrics").status, 404);
    let at = "2024-01-01T00:00:00Z";
    server.record(&[
        server.session("a", at),
        server.session("b", at),
        server.session("a", at),
        json!({}),
    ]);
    assert_eq!(server.get("/sessions/data_series?length=0").status, 400);
    assert_eq!(server.get("/not/there").status, 404);
    let answer = send(server.client().get(format!("{}/metrics", server.ops)));
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"sessionmeter_sessions_total{outcome="recorded"} 2"#,
        r#"sessionmeter_sessions_total{outcome="duplicate"} 1"#,
        r#"sessionmeter_sessions_total{outcome="refused"} 1"#,
        r#"sessionmeter_http_requests_total{route="/sessions/track",method="POST",status="201"} 1"#,
        r#"sessionmeter_http_requests_total{route="/sessions/data_series",method="GET",status="400"} 1"#,
        r#"sessionmeter_http_requests_total{route="none",method="GET",status="404"} 2"#,
        r#"sessionmeter_http_request_duration_seconds_count{route="/sessions/track"} 1"#,
        "sessionmeter_queued_sessions 0",
        "sessionmeter_commit_sessions_sum 3.0",
        "sessionmeter_commit_duration_seconds_count 1",
        "sessionmeter_commit_failures_total 0",
        "# EOF",
    ] {
        assert!(
            answer.text.lines().any(|found| found == line),
            "{line} is not in\n{}",
            answer.text
        );
    }
    let size = answer
        .text
        .lines()
        .find_map(|line| line.strip_prefix("sessionmeter_store_size_bytes "));
    // A file of SQLite has several pages; ClickHouse compresses a few rows to little.
    let least = if clickhouse::is_used() { 0 } else { 8192 };
    assert!(size.unwrap().parse::<u64>().unwrap() > least);
}

#[test]
fn ever_new_paths_and_methods_do_not_make_ever_new_series() {
    let server = Server::start();
    let series = || {
        let text = send(server.client().get(format!("{}/metrics", server.ops))).text;
        text.lines()
            .filter(|line| line.contains("route=\"none\""))
            .count()
    };
    let strange = |name: &str| {
        let method = reqwest::Method::from_bytes(name.as_bytes()).unwrap();
        send(server.client().request(method, format!("{}/{name}", server.url)));
    };
    strange("FIRST");
    let before = series();
    for name in ["SECOND", "THIRD", "FOURTH"] {
        strange(name);
    }
    assert_eq!(series(), before);
}

#[test]
fn a_wrong_method_is_noted_under_the_route_that_was_asked_for() {
    let server = Server::start_with(&["--log-format", "json"]);
    let url = format!("{}/sessions/track?secret", server.url);
    assert_eq!(send(server.client().get(url)).status, 405);
    let line = |line: &str| line.contains("\"status\":405") && line.contains("\"route\":\"/sessions/track\"");
    eventually("the log line", || server.log().lines().any(line));
    let metrics = send(server.client().get(format!("{}/metrics", server.ops))).text;
    let noted = |line: &str| line.contains("status=\"405\"") && line.contains("route=\"/sessions/track\"");
    assert!(metrics.lines().any(noted), "{metrics}");
}

#[test]
fn a_request_id_is_echoed_or_made_and_is_in_the_log_line() {
    let server = Server::start_with(&["--log-format", "json"]);
    let url = format!("{}/sessions/data_series?length=3", server.url);
    let with_id = |id: &str| {
        send(
            server
                .client()
                .get(&url)
                .bearer_auth(&server.key)
                .header("x-request-id", id),
        )
        .header("x-request-id")
        .to_owned()
    };
    assert_eq!(with_id("abc-123"), "abc-123");
    let made = with_id(&"x".repeat(200));
    assert_eq!(made.len(), 36);
    let logged = |id: &str| {
        let log = server.log();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["request_id"] == id)
    };
    eventually("both log lines", || {
        logged("abc-123").is_some() && logged(&made).is_some()
    });
    let line = logged("abc-123").unwrap();
    assert_eq!(line["route"], "/sessions/data_series");
    assert_eq!(line["status"], 200);
    assert_eq!(line["workspace"], server.workspace);
}

#[test]
fn no_secret_and_no_user_id_gets_into_the_log() {
    let server = Server::start_with(&["--log-level", "debug"]);
    let mut session = server.session("secret-session", "2024-01-01T00:00:00Z");
    session["user_id"] = json!("secret-user");
    server.record(&[session]);
    server.get(&format!("/sessions/data_series?length=1&api_key={}", server.key));
    server.get_as("/sessions/data_series", "smk_wrong");
    send(
        server
            .client()
            .get(format!("{}/nowhere/{}", server.url, server.key))
            .header("x-request-id", "last"),
    );
    eventually("the last log line", || server.log().contains("last"));
    let log = server.log();
    for secret in [server.key.as_str(), "secret-user", "secret-session", "smk_wrong"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_stop_finishes_what_was_accepted() {
    let server = Server::start();
    let body = json!({ "sessions": [server.session("late", "2024-01-01T00:00:00Z")] }).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST /sessions/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        server.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body when the handler reads it: now the request is accepted.
    let mut buffer = [0; 25];
    stream.read_exact(&mut buffer).unwrap();
    assert!(buffer.starts_with(b"HTTP/1.1 100"));
    stream.write_all(first.as_bytes()).unwrap();
    terminate(server.id());
    eventually("the listener's end", || {
        TcpStream::connect(server.address()).is_err()
    });
    stream.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn the_openapi_document_describes_the_routes_that_there_are() {
    let server = Server::start();
    let mut document = server.get("/openapi.json").json();
    document["info"]["version"] = json!("[version]");
    document["servers"][0]["url"] = json!("[address]");
    insta::assert_json_snapshot!(document);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = send(server.client().request(method, format!("{}{path}", server.url)));
            assert!(![404, 405].contains(&answer.status), "{path}: {}", answer.text);
        }
    }
}

#[test]
fn a_setting_that_can_t_be_is_refused_before_anything_starts() {
    let place = tempfile::TempDir::new().unwrap();
    let file = place.path().join("bad.toml");
    std::fs::write(
        &file,
        "log-level = \"info\"\ntrusted-proxies = [\"10.0.0.1/8\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (
            &["--log-level", "verbose"][..],
            "'verbose' is no log level; use off, error, warn, info, debug or trace, or MODULE=LEVEL",
        ),
        (
            &["--trusted-proxies", "proxy"],
            "'proxy' is neither an address such as",
        ),
        (&["--trusted-proxies", "10.0.0.1/8"], "the network is 10.0.0.0/8"),
        (
            &["--config", file],
            "bad.toml:2: '10.0.0.1/8' is an address inside a network; the network is 10.0.0.0/8",
        ),
    ] {
        let output = run(&place.path().join("store"), &[&["serve"], arguments].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(expected), "{errors}");
    }
    assert!(!place.path().join("store").exists());
}

#[test]
fn one_server_at_a_time_and_an_address_that_is_taken_are_said_in_one_line() {
    let server = Server::start();
    let second = run(
        &server.data,
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"],
    );
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        message.contains("another sessionmeter server uses") && message.lines().count() == 1,
        "{message}"
    );
    let elsewhere = tempfile::TempDir::new().unwrap();
    let taken = run(
        elsewhere.path(),
        &["serve", "--listen", server.address(), "--ops-listen", "off"],
    );
    let message = String::from_utf8(taken.stderr).unwrap();
    assert_eq!(taken.status.code(), Some(1));
    assert!(
        message.contains("can't listen on") && message.contains("--listen"),
        "{message}"
    );
    assert_eq!(
        command(&server.data, &["workspace", "list"])[0]["name"],
        "default"
    );
}
