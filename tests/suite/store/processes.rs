//! Any number of processes use one store at once.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::support::{binary, clickhouse, eventually, store_arguments};

/// An import in the background.
fn start_import(data: &Path, file: &Path) -> Child {
    Command::new(binary())
        .args(["import", "--json", "--workspace", "default"])
        .args(store_arguments(data))
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Recorded and duplicates.
fn report(import: Child) -> (u64, u64) {
    let output = import.wait_with_output().unwrap();
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["refused"], 0);
    (
        report["recorded"].as_u64().unwrap(),
        report["duplicates"].as_u64().unwrap(),
    )
}

/// What several processes together call new. Over ClickHouse each calls a duplicate what it
/// remembers itself; the counts are right all the same.
fn check_tally(new: u64, distinct: u64) {
    if clickhouse::is_used() {
        assert!(new >= distinct, "{new}")
    } else {
        assert_eq!(new, distinct)
    }
}

fn check_verified(server: &Server, sessions: u64) {
    let verified = server.command(&["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], sessions);
}

#[test]
fn a_second_server_on_the_same_store_does_not_start() {
    let server = Server::start();
    server.record(&[server.session("kept", FIRST_DAY)]);
    let message = refusal(&server.data, &SERVE);
    assert!(message.contains("another sessionmeter server uses"), "{message}");
    assert_eq!(total(&server), 1);
    // Its place is free once it has ended, however it ended.
    let (data, key) = (server.data.clone(), server.key.clone());
    let _kept = server.keep_directory();
    let again = start_with_key(&data, &key);
    assert_eq!(total(&again), 1);
}

#[test]
fn what_is_imported_beside_a_server_is_in_its_series() {
    let server = Server::start();
    server.record(&sessions(&server.app, "sent", 0..50));
    // The server holds the counters in memory now.
    assert_eq!(total(&server), 50);
    let file = server.data.with_extension("ndjson");
    let imported = sessions(&server.app, "imported", 0..1_000);
    write_lines(
        &file,
        &[&imported[..], &sessions(&server.app, "sent", 0..50)[..]].concat(),
    );
    let (new, duplicates) = report(start_import(&server.data, &file));
    assert_eq!(new + duplicates, 1_050);
    check_tally(new, 1_000);
    eventually("the imported sessions", || total(&server) == 1_050);
    assert_eq!(
        server.counts(&format!("{ALL_DAYS}&app_id={}", server.app)),
        server.counts(ALL_DAYS)
    );
    // What the server records from then on is added to that.
    let answer = server
        .record(&sessions(&server.app, "imported", 900..1_100))
        .json();
    let duplicates = answer["duplicates"].as_u64().unwrap();
    if clickhouse::is_used() {
        // What another process recorded of late may not be remembered.
        assert!(duplicates <= 100, "{answer}");
    } else {
        assert_eq!(duplicates, 100);
    }
    assert_eq!(total(&server), 1_150);
    check_verified(&server, 1_150);
}

#[test]
fn a_server_and_imports_write_at_once_and_every_session_counts_once() {
    let server = Server::start();
    let file = server.data.with_extension("ndjson");
    // Half of what the connections send is in the file as well.
    write_lines(&file, &sessions(&server.app, "s", 0..30_000));
    let imports: Vec<Child> = (0..2).map(|_| start_import(&server.data, &file)).collect();
    let sent = |connection: i64| {
        let (mut new, mut duplicates) = (0, 0);
        for batch in 0..20 {
            let first = connection * 15_000 + batch * 500;
            let answer = server
                .record(&sessions(&server.app, "s", first..first + 500))
                .json();
            new += answer["sessions_processed"].as_u64().unwrap();
            duplicates += answer["duplicates"].as_u64().unwrap();
            // Whatever the others do, one's own sessions are counted at once.
            assert!(total(&server) >= new);
        }
        (new, duplicates)
    };
    let sent = &sent;
    let mut tallies: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let connections: Vec<_> = (0..4).map(|number| scope.spawn(move || sent(number))).collect();
        let tallies = connections
            .into_iter()
            .map(|connection| connection.join().unwrap());
        tallies.collect()
    });
    tallies.extend(imports.into_iter().map(report));
    // 0..10,000 and 15,000..25,000 are in the file, 30,000..40,000 and 45,000..55,000 are not.
    const DISTINCT: u64 = 50_000;
    let delivered = 2 * 30_000 + 4 * 10_000;
    let new: u64 = tallies.iter().map(|(new, _)| new).sum();
    let duplicates: u64 = tallies.iter().map(|(_, duplicates)| duplicates).sum();
    assert_eq!(new + duplicates, delivered, "{tallies:?}");
    check_tally(new, DISTINCT);
    eventually("the counts", || total(&server) == DISTINCT);
    let app = format!("{ALL_DAYS}&app_id={}", server.app);
    assert_eq!(server.counts(&app).iter().sum::<u64>(), DISTINCT);
    check_verified(&server, DISTINCT);
}

#[test]
fn two_imports_of_one_file_at_once_count_it_once() {
    let server = Server::start();
    let (data, app) = (server.data.clone(), server.app.clone());
    let kept = server.keep_directory();
    let file = data.with_extension("ndjson");
    write_lines(&file, &sessions(&app, "s", 0..20_000));
    let imports = [start_import(&data, &file), start_import(&data, &file)];
    let [one, two] = imports.map(report);
    assert_eq!(one.0 + one.1 + two.0 + two.1, 40_000);
    check_tally(one.0 + two.0, 20_000);
    let verified = crate::support::command(&data, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(20_000))
    );
    drop(kept);
}
