//! A ClickHouse cluster as the store: the other tests hold over it as well, servers and replicas may fail, what is
//! in the table counts, and stores move.
//!
//! The tests start two shards with two replicas each, and ZooKeeper, from the distribution's packages.

pub mod cluster;
mod contents;
mod current;
mod ends;
mod failures;
mod migrate;
mod remembered;
mod sealing;
mod stopped;
pub mod suite;

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::clickhouse::{CLUSTER, USER};
use crate::support::{Server, binary};

/// 2024-01-01T00:00:00Z
const FIRST_DAY: u64 = 1_704_067_200;
/// A hundred days from then on.
const ALL_DAYS: &str = "length=100&ending_at=2024-04-09";

/// A store in the cluster of its own name.
fn address(hosts: &str, database: &str) -> String {
    format!("clickhouse://{USER}:p%40ss%3Aword@{hosts}/{database}?cluster={CLUSTER}")
}

/// The same on a server of no cluster: for what is about answers and processes, and not about replicas.
fn address_on_one(host: &str, database: &str) -> String {
    format!("clickhouse://{USER}:p%40ss%3Aword@{host}/{database}")
}

/// A server over a store; `first` is one that was started before, if there was one.
fn serve(address: &str, first: Option<&Server>) -> Server {
    let mut server = Server::start_over(address);
    if let Some(first) = first {
        server.key = first.key.clone();
        server.app = first.app.clone();
        server.workspace = first.workspace.clone();
    }
    server
}

fn run(address: &str, arguments: &[&str]) -> Output {
    Command::new(binary())
        .env("SESSIONMETER_STORE", address)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command with `--json` and expects success.
fn command(address: &str, arguments: &[&str]) -> Value {
    let output = run(address, &[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The session of a number, on one of a hundred days.
fn session(app: &str, number: u64) -> Value {
    let started_at = FIRST_DAY + number % 100 * 86_400 + number * 7_919 % 86_400;
    json!({
        "app_id": app,
        "session_id": format!("s{number}"),
        "started_at": started_at,
        "user_id": format!("u{}", number % 50),
        "platform": if number.is_multiple_of(3) { "ios" } else { "android" },
    })
}

fn body(app: &str, numbers: std::ops::Range<u64>) -> Value {
    json!({ "sessions": numbers.map(|number| session(app, number)).collect::<Vec<_>>() })
}

/// How many of the numbers below `count` lie on each day.
fn by_day(count: u64) -> Vec<u64> {
    (0..100)
        .map(|day| count / 100 + u64::from(day < count % 100))
        .collect()
}
