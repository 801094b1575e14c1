//! The store on disk: what is not ours is left alone, any number of processes may use it at once, what is derived can
//! be checked, and old files still open.

mod backup;
mod disk_full;
mod format;
mod newer;
mod processes;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::stored::{Stored, stored};
use crate::support::{Server, clickhouse, run};
use rusqlite::Connection;
use serde_json::{Value, json};

/// The database's name in the store's directory.
const FILE: &str = "sessions.sqlite";
/// 2024-01-01T00:00:00Z
const FIRST_DAY: i64 = 1_704_067_200;
/// A hundred days from then on.
const ALL_DAYS: &str = "length=100&ending_at=2024-04-09";

/// Every file of a directory but the lock, with its content.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "serve.lock")
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// What a store holds, byte by byte where that can be.
fn everything(data: &Path) -> (Vec<Stored>, BTreeMap<PathBuf, Vec<u8>>) {
    let sessions = stored(data);
    let files = if clickhouse::is_used() {
        BTreeMap::new()
    } else {
        files(data)
    };
    (sessions, files)
}

/// Runs a command that must fail with one line; the line.
fn refusal(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
    errors
}

/// A server on a free port would never end: these arguments are for servers that must not start.
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"];

/// Sessions from `first` on, one a day, over and over a hundred days.
fn sessions(app: &str, name: &str, numbers: std::ops::Range<i64>) -> Vec<Value> {
    let session = |number: i64| {
        let started_at = FIRST_DAY + number % 100 * 86_400 + number * 7_919 % 86_400;
        json!({ "app_id": app, "session_id": format!("{name} {number}"), "started_at": started_at })
    };
    numbers.map(session).collect()
}

/// Writes sessions as a file to import.
fn write_lines(file: &Path, sessions: &[Value]) {
    let lines: Vec<String> = sessions.iter().map(Value::to_string).collect();
    std::fs::write(file, lines.join("\n")).unwrap();
}

fn total(server: &Server) -> u64 {
    server.counts(ALL_DAYS).iter().sum()
}

/// The database, when no server has it; changes are in the one file when this is dropped.
fn open(data: &Path) -> Connection {
    Connection::open(data.join(FILE)).unwrap()
}

/// A second start of a store that has a key already.
fn start_with_key(data: &Path, key: &str) -> Server {
    let mut server = Server::start_on(data, &[]);
    server.key = key.to_owned();
    server
}
