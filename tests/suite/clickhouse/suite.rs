//! The other tests once more, over ClickHouse: what is about answers over one server, what is about replicas over the
//! cluster.
//!
//! `SESSIONMETER_CLICKHOUSE_SUITES=all` runs every one of them over the cluster, `=recording::,store::` those whose
//! names contain one of these.

use std::process::Command;

use super::cluster::{LoneServer, cluster};
use crate::support::clickhouse::{self, HOSTS, PREFIX, REPLICATED};

/// Chooses tests, or all.
const CHOSEN: &str = "SESSIONMETER_CLICKHOUSE_SUITES";

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

/// Promises that a store makes, each in the test that shows it best. What decides before the store is asked (bad
/// requests, formats of files and clients, limits) runs over the embedded store alone.
const OVER_ONE_SERVER: &[&str] = &[
    "at_once::",
    "authentication::",
    "back_pressure::",
    "bad_requests::segments::",
    "data_series::",
    "deletion::",
    "first_hour::atomic::",
    "import_formats::export::",
    "operations::",
    "oracle::",
    "recording::",
    "sample_data::",
    "segments::",
    "store::",
    "clients::logs::",
    "users_over_time::",
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
    ("SESSIONMETER_ORACLE_CASES", "200"),
    ("SESSIONMETER_SEGMENTS_ROUNDS", "10"),
    ("SESSIONMETER_USERS_ROUNDS", "4"),
];

/// Runs the tests whose names contain one of these over the servers, and expects success.
fn run(names: &[&str], hosts: &str, is_replicated: bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(names);
    for name in PASSED_OVER {
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
fn what_a_store_promises_holds_over_one_server() {
    if std::env::var_os(CHOSEN).is_some() {
        return;
    }
    let server = LoneServer::start();
    run(OVER_ONE_SERVER, &server.host(), false);
}

#[test]
fn what_replicas_could_break_holds_over_a_cluster() {
    let chosen = std::env::var(CHOSEN).ok();
    let names: Vec<&str> = match chosen.as_deref() {
        None => OVER_THE_CLUSTER.to_vec(),
        Some("all") => SUITES.to_vec(),
        Some(chosen) => chosen.split(',').collect(),
    };
    let cluster = cluster();
    run(&names, &cluster.hosts(), true);
    clean_up(&cluster.nodes[0].host());
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
