//! Tests that replicas could break, once more over the cluster.
//!
//! `SESSIONMETER_CLICKHOUSE_SUITES=all` runs every one of them over the cluster, `=recording::,store::` those whose
//! names contain one of these.

use std::process::Command;

use super::cluster;
use crate::support::clickhouse::{HOSTS, REPLICATED};

/// Chooses tests, or all.
pub const CHOSEN: &str = "SESSIONMETER_CLICKHOUSE_SUITES";

/// Modules that reach the store through the program.
const SUITES: &[&str] = &[
    "at_once::",
    "authentication::",
    "back_pressure::",
    "bad_requests::",
    "browser::",
    "clients::",
    "crash::",
    "data_series::",
    "deletion::",
    "first_hour::atomic::",
    "import_formats::",
    "operations::",
    "oracle::",
    "recording::",
    "retention::",
    "sample_data::",
    "segments::",
    "store::",
    "users_over_time::",
];

/// What is about files of the embedded store, and this module itself.
const PASSED_OVER: &[&str] = &[
    "clickhouse::",
    "one_server_at_a_time",
    "store::backup::a_journal_that_was_left_behind",
    "store::disk_full::",
    "store::format::",
    "store::verify::",
    "a_second_server_on_the_same_store_does_not_start",
];

/// What a second replica or shard could break.
const OVER_THE_CLUSTER: &[&str] = &[
    "crash::",
    "deletion::apps::a_workspace",
    "deletion::users::a_user_who",
    "segments::oracle::",
    "store::backup::",
    "store::processes::",
];

/// Random tests take fewer rounds here than over the embedded store, unless the environment says how many.
const ROUNDS: [(&str, &str); 4] = [
    ("SESSIONMETER_CRASH_ROUNDS", "4"),
    ("SESSIONMETER_ORACLE_CASES", "100"),
    ("SESSIONMETER_SEGMENTS_ROUNDS", "10"),
    ("SESSIONMETER_USERS_ROUNDS", "4"),
];

/// Runs the tests whose names contain one of these and none of the others over the servers, and expects success.
pub fn run(names: &[&str], but: &[&str], hosts: &str, is_replicated: bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(names);
    for name in PASSED_OVER.iter().chain(but) {
        command.args(["--skip", name]);
    }
    for (name, rounds) in ROUNDS {
        if std::env::var_os(name).is_none() {
            command.env(name, rounds);
        }
    }
    command.env(HOSTS, hosts);
    if is_replicated {
        command.env(REPLICATED, "yes");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let result = text.lines().rfind(|line| line.starts_with("test result:"));
    // Past the capture of what tests print, so that it is seen in every run.
    let line = format!("over ClickHouse: {names:?}: {}\n", result.unwrap_or("no result"));
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(output.status.success(), "failed over ClickHouse: {names:?}");
}

#[test]
fn what_replicas_could_break_holds_over_a_cluster() {
    let chosen = std::env::var(CHOSEN).ok();
    let names: Vec<&str> = match chosen.as_deref() {
        None => OVER_THE_CLUSTER.to_vec(),
        Some("all") => SUITES.to_vec(),
        Some(chosen) => chosen.split(',').collect(),
    };
    let cluster = cluster::cluster();
    run(&names, &[], &cluster.hosts(), true);
    drop(cluster);
    // By name this is the last test that uses it.
    cluster::end();
}
