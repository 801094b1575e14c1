//! A disk that refuses to write the database while the journal can still be written: what is acknowledged is kept, the
//! failure is said and counted, and recording ends before the journal fills the disk.

use std::path::Path;
use std::process::Command;

use crate::support::{Server, eventually, send};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALL_DAYS: &str = "length=100&ending_at=2024-04-09";

/// A library that makes writing the database fail while a file exists.
fn build_fault(place: &Path) -> std::path::PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/failing_disk/fault.c");
    let library = place.join("fault.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(
        built.unwrap().success(),
        "a C compiler is needed, as for the build"
    );
    library
}

fn batch(app: &str, number: i64) -> Vec<Value> {
    let session = |index: i64| {
        let started_at = 1_704_067_200 + index % 100 * 86_400;
        json!({ "app_id": app, "session_id": format!("{number} {index}"), "started_at": started_at })
    };
    (0..200).map(session).collect()
}

fn ready(server: &Server) -> u16 {
    send(server.client().get(format!("{}/ready", server.ops))).status
}

/// A server over `store` in a place, whose database can't be written while there is a file `fails` beside it.
fn start(place: &Path, more: &str) -> Server {
    let environment = format!(
        "export LD_PRELOAD={} SESSIONMETER_TEST_FAULT={} {more}",
        build_fault(place).display(),
        place.join("fails").display()
    );
    Server::start_limited(&place.join("store"), &environment)
}

#[test]
fn a_database_that_can_not_be_written_is_said_and_ends_recording_in_time() {
    let place = TempDir::new().unwrap();
    let fails = place.path().join("fails");
    let server = start(place.path(), "SESSIONMETER_JOURNAL_LIMIT=1");
    assert_eq!(ready(&server), 200);
    std::fs::write(&fails, "").unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        let batch = batch(&server.app, acknowledged);
        let answer = server.track(&json!({ "sessions": batch }));
        if answer.status != 201 {
            assert_eq!(answer.status, 503, "{}", answer.text);
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            break batch;
        }
        acknowledged += 1;
        assert!(acknowledged < 200, "the limit was never reached");
    };
    assert!(acknowledged > 1);
    assert_eq!(ready(&server), 503);
    assert!(server.metric("store_checkpoint_failures_total") > 0);
    let bytes = server.metric("store_journal_bytes");
    assert!((900_000..3_000_000).contains(&bytes), "{bytes}");
    let log = server.log();
    assert!(
        log.contains("the journal can't be moved into the database"),
        "{log}"
    );
    assert_eq!(
        log.matches("the journal can't be moved into the database; what")
            .count(),
        1,
        "{log}"
    );
    let counted = |server: &Server| server.counts(ALL_DAYS).iter().sum::<u64>();
    assert_eq!(counted(&server), acknowledged as u64 * 200);

    // The disk works again: the server finds that out by itself.
    std::fs::remove_file(&fails).unwrap();
    eventually("readiness", || ready(&server) == 200);
    assert_eq!(server.record(&refused).json()["duplicates"], 0);
    acknowledged += 1;
    assert_eq!(counted(&server), acknowledged as u64 * 200);
    let (key, data) = (server.key.clone(), server.data.clone());
    assert_eq!(server.stop(), Some(0));
    let mut server = Server::start_on(&data, &[]);
    server.key = key;
    assert_eq!(counted(&server), acknowledged as u64 * 200);
    assert_eq!(server.command(&["verify"])["agrees"], true);
}

#[test]
fn a_server_that_ends_over_a_failing_disk_loses_nothing() {
    let place = TempDir::new().unwrap();
    let (data, fails) = (place.path().join("store"), place.path().join("fails"));
    let server = start(place.path(), "");
    std::fs::write(&fails, "").unwrap();
    server.record(&batch(&server.app, 0));
    let key = server.key.clone();
    crate::support::terminate(server.id());
    server.wait();
    let mut server = Server::start_on(&data, &[]);
    server.key = key;
    assert_eq!(server.counts(ALL_DAYS).iter().sum::<u64>(), 200);
}

/// The operating system ends whoever writes beyond such a limit and does not heed its signal.
#[test]
fn a_limit_of_file_sizes_ends_recording_and_not_the_server() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("store");
    // Blocks of 512 or 1024 bytes, whatever shell that is.
    let server = Server::start_limited(&data, "ulimit -f 2000");
    let mut acknowledged = 0;
    let refused = loop {
        let batch = batch(&server.app, acknowledged);
        let answer = server.track(&json!({ "sessions": batch }));
        if answer.status != 201 {
            assert_eq!(answer.status, 503, "{}", answer.text);
            break batch;
        }
        acknowledged += 1;
        assert!(acknowledged < 1000, "the limit was never reached");
    };
    let counted = |server: &Server| server.counts(ALL_DAYS).iter().sum::<u64>();
    assert_eq!(counted(&server), acknowledged as u64 * 200);
    let key = server.key.clone();
    crate::support::terminate(server.id());
    server.wait();
    let mut server = Server::start_on(&data, &[]);
    server.key = key;
    assert_eq!(counted(&server), acknowledged as u64 * 200);
    assert_eq!(server.record(&refused).json()["duplicates"], 0);
}
