//! What segments cost: recording with 25 of them tracked beside none, a segment's series beside an app's, and the first
//! answer for a filter, with rollups of the days and without.
//!
//! `cargo bench --bench segments`; `SESSIONS` (1,000,000 recorded), `PAST` (5,000,000 counted) and `ROUNDS` (3) change
//! the size.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::load;
use support::server::{Store, command};
use support::{lines, median, setting};

const TRACKED: usize = 25;
const CONNECTIONS: usize = 4;
const SLICE: Duration = Duration::from_millis(800);

fn main() {
    let total = setting("SESSIONS", 1_000_000);
    let rounds = setting("ROUNDS", 3);
    recording(total, rounds);
    let store = Store::filled(setting("PAST", 5_000_000));
    first_answers(&store, setting("PAST", 5_000_000), rounds);
    series(&store, rounds);
}

/// Filters as people write them; about half of all sessions belong to each.
fn filter(number: usize) -> String {
    match number % 6 {
        0 => format!(r#"{{"field":"app_version","op":"gte","value":"4.{}"}}"#, number + 8),
        1 => r#"{"any":[{"field":"platform","op":"eq","value":"ios"},{"field":"language","op":"prefix","value":"pt"}]}"#.into(),
        2 => format!(r#"{{"not":{{"field":"os_version","op":"lt","value":"17.{number}"}}}}"#),
        3 => r#"{"field":"first_session","op":"eq","value":false}"#.into(),
        4 => r#"{"all":[{"field":"country","op":"in","value":["BR","MX"]},{"field":"platform","op":"ne","value":"web"}]}"#.into(),
        _ => r#"{"field":"attributes.plan","op":"exists","value":false}"#.into(),
    }
}

fn track(store: &Store, count: usize) {
    track_from(store, 0, count);
}

fn track_from(store: &Store, first: usize, count: usize) {
    for number in first..count {
        let name = format!("segment {number}");
        let arguments = ["segment", "create", &name, "--workspace", "bench"];
        command(
            &store.data,
            &[&arguments[..], &["--filter", &filter(number)]].concat(),
        );
    }
}

fn recording(total: u64, rounds: u64) {
    let (mut http_ratios, mut import_ratios) = (vec![], vec![]);
    for round in 1..=rounds {
        let http = [0, TRACKED].map(|tracked| over_http(total, tracked));
        let import = [0, TRACKED].map(|tracked| by_import(total, tracked));
        println!(
            "round {round}: HTTP {:.0}/s and {:.0}/s, import {:.0}/s and {:.0}/s (none and {TRACKED} tracked)",
            http[0], http[1], import[0], import[1]
        );
        http_ratios.push(http[1] / http[0]);
        import_ratios.push(import[1] / import[0]);
    }
    println!("recording with {TRACKED} tracked segments beside none (at least 0.97):");
    println!(
        "  HTTP, NDJSON, {CONNECTIONS} connections: {:.2}",
        median(http_ratios)
    );
    println!("  import: {:.2}", median(import_ratios));
}

fn over_http(total: u64, tracked: usize) -> f64 {
    let store = Store::create();
    track(&store, tracked);
    store.record_over_http(total, CONNECTIONS).0
}

fn by_import(total: u64, tracked: usize) -> f64 {
    let store = Store::create();
    track(&store, tracked);
    let file = lines(&store.apps, total);
    let started = Instant::now();
    store.import(file.path());
    total as f64 / started.elapsed().as_secs_f64()
}

/// Building the rollups of every day for a first filter, then the first answer for other filters.
fn first_answers(store: &Store, sessions: u64, rounds: u64) {
    let series = |name: &str| {
        let arguments = [
            "series",
            "--workspace",
            "bench",
            "--length",
            "100",
            "--ending-at",
            "2024-04-09",
        ];
        let started = Instant::now();
        command(&store.data, &[&arguments[..], &["--segment", name]].concat());
        started.elapsed().as_secs_f64()
    };
    track(store, 1);
    let building = series("segment 0");
    println!(
        "a filter's first 100 days over {sessions} sessions without rollups, the process's start included: {building:.2} s, \
         {:.0} sessions/s",
        sessions as f64 / building
    );
    let server = store.serve();
    let mut asking = load::Connection::open(&server.address);
    let mut firsts = vec![];
    for round in 0..rounds * 3 {
        let filter = format!(r#"{{"field":"os_version","op":"gte","value":"17.{round}"}}"#);
        let name = format!("new {round}");
        let arguments = [
            "segment",
            "create",
            &name,
            "--workspace",
            "bench",
            "--filter",
            &filter,
        ];
        let id = command(&store.data, &arguments)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let query = format!("/sessions/data_series?length=100&ending_at=2024-04-09&segment_id={id}");
        // Until the server knows the segment.
        let request = load::get(&query, &store.key);
        let first = loop {
            let started = Instant::now();
            if asking.exchange(&request, b"").0 == 200 {
                break started.elapsed().as_secs_f64() * 1000.0;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        firsts.push(first);
        command(&store.data, &["segment", "delete", &name, "--workspace", "bench"]);
    }
    println!(
        "a new filter's 100 days over rollups, all apps: {:.1} ms (at most 20)",
        median(firsts)
    );
    let kept = Connection::open(store.data.join("sessions.sqlite")).unwrap();
    let bytes: i64 = kept
        .query_row(
            "SELECT (SELECT SUM(LENGTH(content)) FROM day_cells) + (SELECT SUM(LENGTH(content)) FROM day_people)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    println!(
        "rollups on disk: {:.2} bytes a session (at most 5)",
        bytes as f64 / sessions as f64
    );
}

fn series(store: &Store, rounds: u64) {
    track_from(store, 1, TRACKED);
    let id = command(
        &store.data,
        &["segment", "show", "segment 0", "--workspace", "bench"],
    )["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let server = store.serve();
    let series = "/sessions/data_series?length=100&ending_at=2024-04-09";
    let app = load::get(&format!("{series}&app_id={}", store.apps[0]), &store.key);
    let segment = load::get(&format!("{series}&segment_id={id}"), &store.key);
    let mut ratios = vec![];
    for _ in 0..rounds * 2 {
        let by_app = load::rate(&server.address, &app, 8, SLICE);
        let by_segment = load::rate(&server.address, &segment, 8, SLICE);
        ratios.push(by_segment / by_app);
    }
    println!(
        "a segment's series beside an app's: {:.2} (at least 0.95)",
        median(ratios)
    );
}
