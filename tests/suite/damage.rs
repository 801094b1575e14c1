//! What becomes of a store whose files are not as the server left them: it is noticed, said, and never hidden behind a
//! number or an acknowledgement.

mod database;
mod files;
mod foreign;
mod journal;
mod permissions;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Answer, Server, run, send};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

const FILE: &str = "sessions.sqlite";
/// 2024-01-01T00:00:00Z
const FIRST_DAY: i64 = 1_704_067_200;
const ALL_DAYS: &str = "length=100&ending_at=2024-04-09";

/// Sessions, one a day, over and over a hundred days.
fn sessions(app: &str, numbers: std::ops::Range<i64>) -> Vec<Value> {
    let session = |number: i64| {
        let started_at = FIRST_DAY + number % 100 * 86_400;
        json!({ "app_id": app, "session_id": format!("s {number}"), "started_at": started_at })
    };
    numbers.map(session).collect()
}

/// A store with some sessions that no server has open, and the key to it.
struct Stopped {
    _directory: TempDir,
    data: PathBuf,
    key: String,
    app: String,
}

impl Stopped {
    fn new(count: i64) -> Self {
        let server = Server::start();
        server.record(&sessions(&server.app, 0..count));
        let (data, key, app) = (server.data.clone(), server.key.clone(), server.app.clone());
        Self {
            _directory: server.keep_directory(),
            data,
            key,
            app,
        }
    }

    fn file(&self) -> PathBuf {
        self.data.join(FILE)
    }

    fn change(&self, sql: &str) {
        let connection = Connection::open(self.file()).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Server {
        let mut server = Server::start_on(&self.data, arguments);
        server.key.clone_from(&self.key);
        server.app.clone_from(&self.app);
        server
    }
}

/// A command that must fail; what it says.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{arguments:?}: {}",
        errors(&output)
    );
    errors(&output)
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `verify` found besides counts.
fn damages(data: &Path) -> Vec<String> {
    let output = run(data, &["verify", "--json"]);
    let found: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(&output)));
    assert_eq!(output.status.success(), found["agrees"] == true);
    let damages = found["damages"].as_array().unwrap();
    damages
        .iter()
        .map(|damage| damage.as_str().unwrap().to_owned())
        .collect()
}

/// The store is not usable, and asking again would not help.
fn check_unusable(answer: &Answer) {
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(
        answer.message().contains("damaged or was replaced"),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("retry-after"), "");
}

fn ready(server: &Server) -> Answer {
    send(server.client().get(format!("{}/ready", server.ops)))
}

/// Waits until the log says so; all of it.
fn logged(server: &Server, words: &str) -> String {
    crate::support::eventually(words, || server.log().contains(words));
    server.log()
}
