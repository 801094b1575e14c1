//! Real SDKs, installed from their registries once and kept below `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::support::Server;
use super::{DAY, NOON, public_key, stored};

fn scripts(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(language)
}

/// Where the SDKs of a language are, below `target`.
fn room(language: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(language)
}

/// Runs a program to its end and expects success; `purpose` is what a failure says first.
fn run(purpose: &str, command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{purpose}: {:?} can't be started: {error}", command.get_program()));
    assert!(
        output.status.success(),
        "{purpose}: {command:?} failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a language's room anew unless it was made for the same list of packages.
fn install(language: &str, list: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let (room, wanted) = (room(language), fs::read(scripts(language).join(list)).unwrap());
    let done = room.join("installed");
    if fs::read(&done).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_dir_all(&room);
        fs::create_dir_all(&room).unwrap();
        make(&room);
        fs::write(done, wanted).unwrap();
    }
    room
}

fn node_room() -> &'static Path {
    static ROOM: OnceLock<PathBuf> = OnceLock::new();
    ROOM.get_or_init(|| {
        install("node", "package.json", |room| {
            fs::copy(scripts("node").join("package.json"), room.join("package.json")).unwrap();
            run(
                "this test needs node and npm, and installs SDKs with them",
                Command::new("npm")
                    .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
                    .current_dir(room),
            );
        })
    })
}

fn python_room() -> &'static Path {
    static ROOM: OnceLock<PathBuf> = OnceLock::new();
    ROOM.get_or_init(|| {
        install("python", "requirements.txt", |room| {
            let purpose = "this test needs python3 with venv and pip, and installs SDKs with them";
            run(purpose, Command::new("python3").args(["-m", "venv"]).arg(room));
            let mut pip = Command::new(room.join("bin/python"));
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(scripts("python").join("requirements.txt"));
            run(purpose, &mut pip);
        })
    })
}

fn node(script: &str, arguments: &[&str]) {
    let mut command = Command::new("node");
    // Where the script stands decides where node looks for packages.
    let copy = node_room().join(script);
    fs::copy(scripts("node").join(script), &copy).unwrap();
    command.arg(copy).args(arguments).env("NO_PROXY", "127.0.0.1");
    run("this test needs node", &mut command);
}

fn python(script: &str, arguments: &[&str]) {
    let mut command = Command::new(python_room().join("bin/python"));
    command
        .arg(scripts("python").join(script))
        .args(arguments)
        .env("NO_PROXY", "127.0.0.1");
    run("this test needs python3", &mut command);
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

#[test]
fn opentelemetry_in_python_with_protocol_buffers() {
    let server = Server::start();
    python("otel.py", &[&server.url, &server.app]);
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
