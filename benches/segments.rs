//! What segments cost: recording with 25 of them tracked beside none, a segment's series beside an app's, and counting
//! the past beside the simplest full scan of the same table.
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

use std::path::Path;
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
    past(&store, rounds);
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
    for number in 0..count {
        let name = format!("segment {number}");
        let arguments = ["segment", "create", &name, "--workspace", "bench", "--track"];
        command(
            &store.data,
            &[&arguments[..], &["--filter", &filter(number), "--wait"]].concat(),
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
    println!("recording with {TRACKED} tracked segments beside none (at least 0.8):");
    println!(
        "  HTTP, NDJSON, {CONNECTIONS} connections: {:.2}",
        median(http_ratios)
    );
    println!("  import: {:.2}", median(import_ratios));
}

fn over_http(total: u64, tracked: usize) -> f64 {
    let store = Store::create();
    track(&store, tracked);
    store.record_over_http(total, CONNECTIONS)
}

fn by_import(total: u64, tracked: usize) -> f64 {
    let store = Store::create();
    track(&store, tracked);
    let file = lines(&store.apps, total);
    let started = Instant::now();
    store.import(file.path());
    total as f64 / started.elapsed().as_secs_f64()
}

/// Counting the past of one segment and of 25 at once, the start of the process included.
fn past(store: &Store, rounds: u64) {
    let (mut one_ratios, mut many_ratios, mut rates) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        let (sessions, scan) = full_scan(&store.data);
        let one = counted(store, sessions, 1, round);
        let many = counted(store, sessions, TRACKED, round);
        one_ratios.push(one / scan);
        many_ratios.push(many / scan);
        rates.push(one);
        println!(
            "full scan {scan:.0}/s, counting the past of one segment {one:.0}/s, of {TRACKED} {many:.0}/s"
        );
    }
    println!("counting the past: {:.0} sessions/s", median(rates));
    println!(
        "  beside the simplest full scan: {:.2} (at least 0.5, or 5 million a second)",
        median(one_ratios)
    );
    println!("  {TRACKED} segments at once: {:.2}", median(many_ratios));
}

fn counted(store: &Store, sessions: u64, count: usize, round: u64) -> f64 {
    let names: Vec<String> = (0..count)
        .map(|number| format!("past {round} {number}"))
        .collect();
    let create = |name: &str, number: usize, more: &[&str]| {
        let arguments = ["segment", "create", name, "--workspace", "bench", "--filter"];
        command(
            &store.data,
            &[&arguments[..], &[&filter(number), "--track"], more].concat(),
        );
    };
    for (number, name) in names.iter().enumerate().skip(1) {
        create(name, number, &[]);
    }
    let started = Instant::now();
    create(&names[0], 0, &["--wait"]);
    let rate = sessions as f64 / started.elapsed().as_secs_f64();
    for name in &names {
        command(&store.data, &["segment", "delete", name, "--workspace", "bench"]);
    }
    rate
}

/// What SQLite itself can do: one column of every row, added up.
fn full_scan(data: &Path) -> (u64, f64) {
    let connection = Connection::open(data.join("sessions.sqlite")).unwrap();
    let started = Instant::now();
    let sql = "SELECT COUNT(*), SUM(properties) FROM sessions";
    let (sessions, _): (i64, i64) = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    (sessions as u64, sessions as f64 / started.elapsed().as_secs_f64())
}

fn series(store: &Store, rounds: u64) {
    track(store, TRACKED);
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
