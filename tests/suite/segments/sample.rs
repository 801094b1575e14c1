//! Segments over the real sessions in `tests/data`, tracked before or after they were imported.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::{Caller, assert_adds_up, is, key, not, verify};
use crate::support::{Server, command};

const ZONE: &str = "America/New_York";
/// The longest series that can be asked for.
const WINDOW: i64 = 100;
const SESSIONS: u64 = 57_144;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The file's sessions, each once.
fn sessions() -> Vec<Value> {
    let file = std::fs::File::open(data("contributors.ndjson.gz")).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let mut seen = HashSet::new();
    let mut sessions: Vec<Value> = Vec::new();
    for line in text.lines() {
        let session: Value = serde_json::from_str(line).unwrap();
        let utc_date = TimeZone::UTC.to_datetime(start(&session)).date();
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        if seen.insert((text("app_id"), text("session_id"), utc_date)) {
            sessions.push(session);
        }
    }
    assert_eq!(sessions.len() as u64, SESSIONS);
    sessions
}

fn start(session: &Value) -> Timestamp {
    session["started_at"].as_str().unwrap().parse().unwrap()
}

fn days() -> impl Iterator<Item = Date> {
    let all = date(2013, 1, 1).series(jiff::Span::new().days(1));
    all.take_while(|day| *day < date(2027, 1, 1))
}

/// A count for each of the days, in windows as long as they may be.
fn ask(caller: Caller<'_>, scope: &str) -> Vec<u64> {
    let days: Vec<Date> = days().collect();
    let windows = days.chunks(WINDOW as usize).map(|window| {
        let (length, end) = (window.len(), window[window.len() - 1]);
        caller.counts(&format!("length={length}&ending_at={end}{scope}"))
    });
    windows.flatten().collect()
}

fn ask_segment(caller: Caller<'_>, id: &str) -> Vec<u64> {
    ask(caller, &format!("&segment_id={id}"))
}

/// The same from the file.
fn count(sessions: &[Value], belongs: impl Fn(&Value) -> bool) -> Vec<u64> {
    let zone = TimeZoneDatabase::bundled().get(ZONE).unwrap();
    let mut counts = BTreeMap::<Date, u64>::new();
    for session in sessions.iter().filter(|session| belongs(session)) {
        *counts.entry(zone.to_datetime(start(session)).date()).or_default() += 1;
    }
    days().map(|day| counts.get(&day).copied().unwrap_or(0)).collect()
}

/// Two segments, the second with the opposite filter; their ids.
fn create_pair(data: &Path, name: &str, filter: &Value, wait: bool) -> [String; 2] {
    let create = |name: &str, filter: &Value| {
        let filter = filter.to_string();
        let mut arguments = vec!["segment", "create", name, "--filter", &filter, "--track"];
        arguments.extend(["--workspace", "contributors"]);
        if wait {
            arguments.push("--wait");
        }
        command(data, &arguments)["id"].as_str().unwrap().to_owned()
    };
    [create(name, filter), create(&format!("not {name}"), &not(filter))]
}

#[test]
fn segments_of_the_sample_are_what_the_file_says() {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    command(
        &store,
        &["workspace", "create", "contributors", "--time-zone", ZONE],
    );
    let apps = std::fs::read_to_string(data("contributors-apps.csv")).unwrap();
    let apps: Vec<(&str, &str)> = apps
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .collect();
    for (id, name) in &apps {
        let arguments = ["app", "create", name, "--workspace", "contributors"];
        command(&store, &[&arguments[..], &["--id", id]].concat());
    }
    let key = key(&store, "contributors", "all");
    let app = apps[1].0;
    let commits = json!({ "field": "attributes.commits", "op": "gte", "value": 5 });

    let of_app = create_pair(&store, "app", &is("app_id", app), true);
    let eastern = create_pair(&store, "eastern", &is("attributes.utc_offset", "-05:00"), false);
    let file = data("contributors.ndjson.gz");
    let arguments = ["import", file.to_str().unwrap(), "--workspace", "contributors"];
    assert_eq!(command(&store, &arguments)["recorded"], SESSIONS);
    let busy = create_pair(&store, "busy", &commits, true);

    let server = Server::start_on(&store, &[]);
    let caller = Caller {
        server: &server,
        key: &key,
    };
    let sessions = sessions();
    let everyone = ask(caller, "");
    assert_eq!(everyone, count(&sessions, |_| true));
    let in_app = count(&sessions, |session| session["app_id"] == app);
    let in_east = count(&sessions, |session| {
        session["attributes"]["utc_offset"] == "-05:00"
    });
    let of_busy = count(&sessions, |session| {
        session["attributes"]["commits"].as_i64().unwrap() >= 5
    });
    for (name, pair, expected) in [
        ("app", &of_app, &in_app),
        ("eastern", &eastern, &in_east),
        ("busy", &busy, &of_busy),
    ] {
        assert!(expected.iter().sum::<u64>() > 1_000, "{name}");
        let [one, other] = pair.each_ref().map(|id| ask_segment(caller, id));
        assert_eq!(one, *expected, "{name}");
        assert_adds_up(&one, &other, &everyone, name);
    }
    assert_eq!(in_app, ask(caller, &format!("&app_id={app}")));
    let both = |id: &str| ask(caller, &format!("&app_id={app}&segment_id={id}"));
    assert_eq!(both(&of_app[0]), in_app);
    assert!(both(&of_app[1]).iter().all(|sessions| *sessions == 0));
    verify(&store);
}
