//! Real SDKs, as their registries have them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use super::{DAY, NOON, public_key, stored};
use crate::support::{Server, packages};

const NODE: &str = "tests/suite/clients/node";
const PYTHON: &str = "tests/suite/clients/python";

fn node(script: &str, arguments: &[&str]) {
    static ROOM: LazyLock<PathBuf> = LazyLock::new(|| packages::node(NODE));
    // Where the script stands decides where node looks for packages.
    let copy = ROOM.join(script);
    fs::copy(packages::source(NODE).join(script), &copy).unwrap();
    let mut command = Command::new("node");
    packages::run("this test needs node", command.arg(copy).args(arguments));
}

fn python(script: &str, arguments: &[&str]) {
    static INTERPRETER: LazyLock<PathBuf> = LazyLock::new(|| packages::python(PYTHON));
    let mut command = Command::new(&*INTERPRETER);
    command.arg(packages::source(PYTHON).join(script)).args(arguments);
    packages::run("this test needs python3", &mut command);
}

fn dsn(server: &Server) -> String {
    format!("http://{}@{}/1", public_key(server), server.address())
}

fn opentelemetry_in_javascript(kind: &str) {
    let server = Server::start();
    node("otel.cjs", &[kind, &server.url, &server.app]);
    assert_eq!(server.counts(DAY), [2]);
    let noon = NOON as i64 * 1000;
    let first = r#"{"platform":"linux","app_version":"4.10.0","attributes":{"plan":"pro","seats":3}}"#;
    let second = r#"{"platform":"linux","app_version":"4.10.0"}"#;
    let expected = [
        (noon, Some(60_000), Some("u1".to_owned()), None, first.to_owned()),
        (noon + 60_000, Some(30_000), None, None, second.to_owned()),
    ];
    assert_eq!(stored(&server.data), expected);
}

#[test]
fn opentelemetry_in_javascript_with_json() {
    opentelemetry_in_javascript("http");
}

#[test]
fn opentelemetry_in_javascript_with_protocol_buffers() {
    opentelemetry_in_javascript("proto");
}

fn opentelemetry_in_python(kind: &str) {
    let server = Server::start();
    python("otel.py", &[kind, &server.url, &server.app]);
    assert_eq!(server.counts(DAY), [1]);
    let properties = r#"{"platform":"Linux","app_version":"4.10.0","attributes":{"plan":"pro"}}"#;
    let expected = (
        NOON as i64 * 1000,
        Some(90_000),
        Some("u1".to_owned()),
        None,
        properties.to_owned(),
    );
    assert_eq!(stored(&server.data), [expected]);
}

#[test]
fn opentelemetry_in_python_with_json() {
    opentelemetry_in_python("json");
}

#[test]
fn opentelemetry_in_python_with_protocol_buffers() {
    opentelemetry_in_python("proto");
}

/// One session with an end, and then three that were counted by the SDK; all of now.
fn sentry(run: impl Fn(&str, &str), user: Option<&str>) {
    let server = Server::start();
    run("application", &dsn(&server));
    assert_eq!(server.counts("length=2").iter().sum::<u64>(), 1);
    let (_, duration, found, _, properties) = stored(&server.data).remove(0);
    assert!((0..60_000).contains(&duration.unwrap()), "{duration:?}");
    assert_eq!(found.as_deref(), user);
    let expected = r#"{"app_version":"1.2.3","attributes":{"environment":"test"}}"#;
    assert_eq!(properties, expected);
    let server = Server::start();
    run("request", &dsn(&server));
    assert_eq!(server.counts("length=2").iter().sum::<u64>(), 3);
    for (_, duration, user, _, properties) in stored(&server.data) {
        let expected = r#"{"app_version":"1.2.3","attributes":{"aggregated":true,"environment":"test"}}"#;
        assert_eq!((duration, user, properties.as_str()), (None, None, expected));
    }
}

#[test]
fn sentry_in_javascript() {
    sentry(|mode, dsn| node("sentry.cjs", &[mode, dsn]), None);
}

#[test]
fn sentry_in_python() {
    sentry(|mode, dsn| python("sentry.py", &[mode, dsn]), Some("u1"));
}

/// They count the same, in the same minute, and send the same bytes in the same millisecond.
#[test]
fn sentry_in_ten_processes_of_one_service() {
    let server = Server::start();
    node("workers.cjs", &[&dsn(&server), "10"]);
    assert_eq!(server.counts("length=2").iter().sum::<u64>(), 10);
}
