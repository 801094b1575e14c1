//! The real sessions in `tests/data`: imported or sent, once or twice, in any zone, each is counted exactly once.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::support::{Server, clickhouse, command};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};
use tempfile::TempDir;

const LINES: u64 = 59_430;
const SESSIONS: u64 = 57_144;
/// The longest series that can be asked for.
const WINDOW: i64 = 100;

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The file's lines.
fn lines() -> Vec<String> {
    let file = std::fs::File::open(data("contributors.ndjson.gz")).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Ids and names.
fn apps() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(data("contributors-apps.csv")).unwrap();
    let row = |line: &str| {
        let (id, name) = line.split_once(',').unwrap();
        (id.to_owned(), name.to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// A store with a workspace and the 18 apps, made with the command line; its key.
pub fn prepare(store: &Path, time_zone: &str) -> String {
    command(
        store,
        &["workspace", "create", "contributors", "--time-zone", time_zone],
    );
    let apps = apps();
    assert_eq!(apps.len(), 18);
    for (id, name) in &apps {
        let created = command(
            store,
            &["app", "create", name, "--workspace", "contributors", "--id", id],
        );
        assert_eq!(created["id"], id.as_str());
    }
    let arguments = ["key", "create", "tests", "--workspace", "contributors"];
    let created = command(store, &[&arguments[..], &["--permission", "all"]].concat());
    created["key"].as_str().unwrap().to_owned()
}

pub fn import(store: &Path) -> Value {
    let file = data("contributors.ndjson.gz");
    command(
        store,
        &["import", file.to_str().unwrap(), "--workspace", "contributors"],
    )
}

pub fn serve(store: &Path, key: &str) -> Server {
    let mut server = Server::start_on(store, &[]);
    server.key = key.to_owned();
    server
}

/// The days from `first` to `last`, in windows as long as they may be.
fn days(server: &Server, app: Option<&str>, first: Date, last: Date) -> Vec<(String, u64)> {
    let mut days = Vec::new();
    let mut begin = first;
    while begin <= last {
        let end = begin
            .checked_add(jiff::Span::new().days(WINDOW - 1))
            .unwrap()
            .min(last);
        let length = (end - begin).get_days() + 1;
        let app = app.map_or_else(String::new, |app| format!("&app_id={app}"));
        let answer = server.get(&format!(
            "/sessions/data_series?length={length}&ending_at={end}{app}"
        ));
        assert_eq!(answer.status, 200, "{}", answer.text);
        for point in answer.json()["data"].as_array().unwrap() {
            let time = point["time"].as_str().unwrap().to_owned();
            days.push((time, point["sessions"].as_u64().unwrap()));
        }
        begin = end.tomorrow().unwrap();
    }
    days
}

fn all_days(server: &Server, app: Option<&str>) -> Vec<(String, u64)> {
    days(server, app, date(2013, 1, 1), date(2026, 12, 31))
}

fn total(days: &[(String, u64)]) -> u64 {
    days.iter().map(|(_, sessions)| sessions).sum()
}

/// What the file says, with nothing of ours: sessions by local date, each once.
fn naive_days(lines: &[String], zone: &TimeZone, app: Option<&str>) -> BTreeMap<String, u64> {
    let mut seen = HashSet::new();
    let mut days = BTreeMap::new();
    for line in lines {
        let session: Value = serde_json::from_str(line).unwrap();
        if app.is_some_and(|app| session["app_id"] != app) {
            continue;
        }
        let start: Timestamp = session["started_at"].as_str().unwrap().parse().unwrap();
        let utc_date = TimeZone::UTC.to_datetime(start).date();
        let id = session["session_id"].as_str().unwrap().to_owned();
        if seen.insert((session["app_id"].to_string(), id, utc_date)) {
            let local_date = zone.to_datetime(start).date();
            *days.entry(local_date.to_string()).or_default() += 1;
        }
    }
    days
}

fn check_against_the_file(server: &Server, zone_name: &str) {
    let zone = TimeZoneDatabase::bundled().get(zone_name).unwrap();
    let lines = lines();
    assert_eq!(lines.len() as u64, LINES);
    let busiest = apps().swap_remove(1).0;
    for app in [None, Some(busiest.as_str())] {
        let naive = naive_days(&lines, &zone, app);
        let counted: BTreeMap<String, u64> = all_days(server, app)
            .into_iter()
            .filter(|(_, sessions)| *sessions > 0)
            .collect();
        assert!(!naive.is_empty());
        assert_eq!(counted, naive, "{zone_name} {app:?}");
    }
}

fn check_totals(server: &Server) {
    let everything = all_days(server, None);
    assert_eq!(everything.len(), 5_113);
    assert_eq!(total(&everything), SESSIONS);
    let mut sums = vec![0; everything.len()];
    for (id, _) in apps() {
        for (sum, (_, sessions)) in sums.iter_mut().zip(all_days(server, Some(&id))) {
            *sum += sessions;
        }
    }
    let everything: Vec<u64> = everything.into_iter().map(|(_, sessions)| sessions).collect();
    assert_eq!(sums, everything);
}

fn check_verified(store: &Path) {
    let verified = command(store, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], SESSIONS);
}

/// What a second import says. Over ClickHouse it remembers what it recorded itself.
fn again() -> Value {
    let known = if clickhouse::is_used() { 0 } else { SESSIONS };
    json!({ "recorded": SESSIONS - known, "duplicates": LINES - SESSIONS + known, "refused": 0 })
}

fn imported_store_is_exact_in(time_zone: &str) {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let key = prepare(&store, time_zone);
    let first = json!({ "recorded": SESSIONS, "duplicates": LINES - SESSIONS, "refused": 0 });
    assert_eq!(import(&store), first);
    let server = serve(&store, &key);
    check_totals(&server);
    check_against_the_file(&server, time_zone);
    check_verified(&store);
    // Once more, this time beside the server.
    assert_eq!(import(&store), again());
    check_totals(&server);
    check_verified(&store);
    assert_eq!(server.stop(), Some(0));
    check_verified(&store);
}

#[test]
fn an_import_is_exact_in_new_york() {
    imported_store_is_exact_in("America/New_York");
}

#[test]
fn an_import_is_exact_in_kathmandu() {
    imported_store_is_exact_in("Asia/Kathmandu");
}

#[test]
fn four_connections_at_once_record_each_session_once() {
    const CONNECTIONS: usize = 4;
    const BATCH: usize = 1_000;
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let key = prepare(&store, "UTC");
    let server = serve(&store, &key);
    let lines = lines();
    let batches: Vec<String> = lines.chunks(BATCH).map(|batch| batch.join("\n")).collect();
    let send_share = |connection: usize| {
        // A client of its own, so that it is a connection of its own.
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let (mut new, mut duplicates) = (0, 0);
        for batch in batches.iter().skip(connection).step_by(CONNECTIONS) {
            let answer = crate::support::send(
                client
                    .post(format!("{}/sessions/track", server.url))
                    .bearer_auth(&key)
                    .header("content-type", "application/x-ndjson")
                    .body(batch.clone()),
            );
            assert_eq!(answer.status, 201, "{}", answer.text);
            let body = answer.json();
            assert_eq!(body["errors"], Value::Null);
            new += body["sessions_processed"].as_u64().unwrap();
            duplicates += body["duplicates"].as_u64().unwrap();
        }
        (new, duplicates)
    };
    let send_share = &send_share;
    let (new, duplicates) = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| scope.spawn(move || send_share(connection)))
            .collect();
        let tallies = senders.into_iter().map(|sender| sender.join().unwrap());
        tallies.fold((0, 0), |sum, tally| (sum.0 + tally.0, sum.1 + tally.1))
    });
    assert_eq!((new, duplicates), (SESSIONS, LINES - SESSIONS));
    check_totals(&server);
    check_against_the_file(&server, "UTC");
    check_verified(&store);
    assert_eq!(import(&store), again());
    assert_eq!(server.stop(), Some(0));
    check_verified(&store);
}
