//! Metrics as scrapers read them: the form that is asked for, what Prometheus itself says about it, the process, refusals
//! and apps; and the rules that raise alarms.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answer, Server, eventually, packages, send};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn scrape(server: &Server, accept: &str) -> Answer {
    let request = server.client().get(format!("{}/metrics", server.ops));
    send(request.header("accept", accept))
}

/// The value of a sample, which is named with its labels.
fn value(text: &str, sample: &str) -> f64 {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found
        .unwrap_or_else(|| panic!("{sample} is not in\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn the_form_is_the_one_that_is_asked_for() {
    let server = Server::start();
    let scraper = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, expected) in [
        ("*/*", OPEN_METRICS),
        (scraper, OPEN_METRICS),
        ("text/plain", PROMETHEUS),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PROMETHEUS),
    ] {
        let answer = scrape(&server, accept);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, expected),
            "{accept}"
        );
        assert_eq!(
            answer.text.ends_with("# EOF\n"),
            expected == OPEN_METRICS,
            "{accept}"
        );
    }
    let none = send(server.client().get(format!("{}/metrics", server.ops)));
    assert_eq!(none.header("content-type"), OPEN_METRICS);
}

#[test]
fn promtool_has_nothing_to_say_against_them() {
    let server = Server::start();
    server.record(&[server.session("a", "2024-01-01T00:00:00Z"), json!({})]);
    server.get("/nowhere");
    let mut check = Command::new(packages::unpacked("promtool", "usr/bin", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = scrape(&server, "text/plain").text;
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}{text}");
}

#[test]
fn the_program_and_its_process_are_there() {
    let server = Server::start();
    for accept in ["text/plain", "application/openmetrics-text"] {
        let text = scrape(&server, accept).text;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            value(
                &text,
                &format!("sessionmeter_build_info{{version=\"{version}\"}}")
            ),
            1.0
        );
        assert!(value(&text, "process_cpu_seconds_total") < 60.0);
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        let open = value(&text, "process_open_fds");
        assert!((3.0..value(&text, "process_max_fds")).contains(&open), "{open}");
        let started = value(&text, "process_start_time_seconds");
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 600.0..now + 1.0).contains(&started), "{started}");
    }
}

#[test]
fn refusals_are_counted_by_reason_and_sessions_by_app() {
    let server = Server::start();
    let reasons = |reason: &str| format!("sessionmeter_refused_requests_total{{reason=\"{reason}\"}}");
    let before = scrape(&server, "text/plain").text;
    for reason in ["key_unknown", "hour_limit", "store"] {
        assert_eq!(value(&before, &reasons(reason)), 0.0, "shown before there is one");
    }
    let series = "/sessions/data_series?length=1";
    let get = |key: Option<&str>, path: &str| {
        let request = server.client().get(format!("{}{path}", server.url));
        match key {
            Some(key) => send(request.header("authorization", key)),
            None => send(request),
        }
    };
    let with_permission = |arguments: &[&str]| {
        let made = server.command(&[&["key", "create", arguments[0]][..], &arguments[1..]].concat());
        format!("Bearer {}", made["key"].as_str().unwrap())
    };
    let recorder = with_permission(&["recorder", "--permission", "sessions.track"]);
    let elsewhere = with_permission(&["elsewhere", "--permission", "all", "--allow", "203.0.113.0/24"]);
    let unknown = format!("Bearer smk_{}", "a".repeat(43));
    eventually("the new keys are known", || {
        get(Some(&recorder), series).status == 403
    });
    let before = scrape(&server, "text/plain").text;
    get(None, series);
    get(Some("Bearer nonsense"), series);
    get(Some(&unknown), series);
    get(Some(&recorder), series);
    get(Some(&elsewhere), series);
    server.get("/sessions/data_series?length=0");
    server.get("/nowhere");
    server.get("/sessions/track");
    server.try_track("text/csv", "a").unwrap();
    let session = server.session("a", "2024-01-01T00:00:00Z");
    let mut other = server.session("b", "2024-01-01T00:00:00Z");
    other["attributes"] = json!({"plan": {}});
    server.record(&[
        session.clone(),
        session,
        server.session("c", "2024-01-01T00:00:00Z"),
        other,
        json!({"app_id": server.app}),
        server.session("d", "1999-01-01T00:00:00Z"),
        json!(5),
    ]);
    let after = scrape(&server, "text/plain").text;
    for reason in [
        "key_missing",
        "key_malformed",
        "key_unknown",
        "permission",
        "address",
        "bad_request",
        "not_found",
        "method",
        "content_type",
    ] {
        let sample = reasons(reason);
        assert_eq!(value(&after, &sample) - value(&before, &sample), 1.0, "{reason}");
    }
    for field in ["session_id", "started_at", "attributes", "other"] {
        let sample = format!("sessionmeter_refused_sessions_total{{reason=\"{field}\"}}");
        assert_eq!(value(&after, &sample), 1.0, "{field}");
    }
    assert_eq!(
        value(&after, "sessionmeter_sessions_total{outcome=\"refused\"}"),
        4.0
    );
    let of_app = format!("sessionmeter_app_sessions_total{{app_id=\"{}\"}}", server.app);
    assert_eq!(value(&after, &of_app), 2.0);
}

#[test]
fn probes_and_scrapes_are_logged_at_debug() {
    for (level, expected) in [("info", false), ("debug", true)] {
        let server = Server::start_with(&["--log-level", level]);
        for path in ["/health", "/ready", "/metrics"] {
            send(server.client().get(format!("{}{path}", server.ops)));
        }
        server.get("/last");
        eventually("the last log line", || server.log().contains("route=\"none\""));
        let log = server.log();
        for route in ["/health", "/ready", "/metrics"] {
            assert_eq!(
                log.contains(&format!("route=\"{route}\"")),
                expected,
                "{level}: {log}"
            );
        }
    }
}

#[test]
fn the_rules_raise_alarms_when_they_should() {
    let promtool = packages::unpacked("promtool", "usr/bin", "prometheus");
    let place = TempDir::new().unwrap();
    for file in ["docs/alerts.yml", "tests/suite/metrics/alerts_test.yml"] {
        let file = packages::source(file);
        fs::copy(&file, place.path().join(file.file_name().unwrap())).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&promtool);
        packages::run(
            "promtool reads the rules",
            command.args(arguments).current_dir(&place),
        )
    };
    run(&["check", "rules", "alerts.yml"]);
    run(&["test", "rules", "alerts_test.yml"]);
    // A rule about a metric that is not there would never say anything.
    let server = Server::start();
    server.record(&[server.session("a", "2024-01-01T00:00:00Z")]);
    let metrics = scrape(&server, "text/plain").text;
    let rules = fs::read_to_string(packages::source("docs/alerts.yml")).unwrap();
    let names = rules
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("sessionmeter_") || word.starts_with("process_"));
    for name in names {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
    let alerts = rules.matches("- alert:").count();
    assert_eq!(
        rules.matches("severity: ").count(),
        alerts,
        "each rule has a severity"
    );
}
