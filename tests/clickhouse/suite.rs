//! The other tests once more, over the cluster. `SESSIONMETER_CLICKHOUSE_SUITES=recording,store` chooses some of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::cluster;
use crate::support::clickhouse::{self, HOSTS, PREFIX};

/// Tests that reach the store through the program, and those among them that are about files of the embedded store.
const SUITES: [(&str, &[&str]); 14] = [
    ("authentication", &[]),
    ("back_pressure", &[]),
    ("bad_requests", &[]),
    ("browser", &[]),
    ("clients", &[]),
    ("crash", &[]),
    ("data_series", &[]),
    ("import_formats", &[]),
    ("operations", &["one_server_at_a_time"]),
    ("oracle", &[]),
    ("recording", &[]),
    ("sample_data", &[]),
    ("segments", &[]),
    (
        "store",
        &[
            "backup::a_journal_that_was_left_behind",
            "disk_full::",
            "format::",
            "verify::",
            "a_second_server_on_the_same_store_does_not_start",
        ],
    ),
];

/// Random tests take fewer rounds here than over the embedded store, unless the environment says how many.
const ROUNDS: [(&str, &str); 3] = [
    ("SESSIONMETER_CRASH_ROUNDS", "8"),
    ("SESSIONMETER_ORACLE_CASES", "500"),
    ("SESSIONMETER_SEGMENTS_ROUNDS", "30"),
];

/// The executables of the tests, which were built together with this one.
fn executables() -> BTreeMap<String, PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--no-run", "--offline", "--message-format=json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let messages = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect()
}

#[test]
fn the_whole_suite_holds_over_a_cluster() {
    let executables = executables();
    let cluster = cluster();
    let mut failed = Vec::new();
    let chosen = std::env::var("SESSIONMETER_CLICKHOUSE_SUITES").ok();
    let is_chosen = |suite: &str| {
        chosen
            .as_ref()
            .is_none_or(|chosen| chosen.split(',').any(|one| one == suite))
    };
    for (suite, passed_over) in SUITES.into_iter().filter(|(suite, _)| is_chosen(suite)) {
        let mut command = Command::new(&executables[suite]);
        for name in passed_over {
            command.args(["--skip", name]);
        }
        for (name, rounds) in ROUNDS {
            if std::env::var_os(name).is_none() {
                command.env(name, rounds);
            }
        }
        println!("over ClickHouse: {suite}");
        let output = command.env(HOSTS, cluster.hosts()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let result = text.lines().rfind(|line| line.starts_with("test result:"));
        // Past the capture of what tests print, so that it is seen in every run.
        let line = format!("over ClickHouse: {suite}: {}\n", result.unwrap_or("no result"));
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        if !output.status.success() {
            failed.push(suite);
        }
        clean_up(&cluster.nodes[0].host());
    }
    assert!(failed.is_empty(), "failed over ClickHouse: {failed:?}");
}

/// Removes what the tests left behind.
fn clean_up(host: &str) {
    let names = clickhouse::execute(
        host,
        &format!("SELECT name FROM system.databases WHERE name LIKE '{PREFIX}%'"),
    );
    for name in names.unwrap().lines() {
        let _ = clickhouse::execute(
            host,
            &format!(
                "DROP DATABASE IF EXISTS {name} ON CLUSTER {}",
                clickhouse::CLUSTER
            ),
        );
    }
}
