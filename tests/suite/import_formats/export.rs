//! What is exported is everything, and becomes the same again.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};
use sessionmeter::rollup::Totals;

use super::{APP, Place, counts, stored};
use crate::support::{Server, clickhouse};

const SESSIONS: u64 = 57_144;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

impl Place {
    /// A store with the workspace and the 18 apps of the sample data.
    fn make_sample_store(&self, name: &str) -> PathBuf {
        let store = self.path(name);
        crate::support::command(
            &store,
            &["workspace", "create", "acme", "--time-zone", "America/New_York"],
        );
        let apps = std::fs::read_to_string(data("contributors-apps.csv")).unwrap();
        for line in apps.lines().skip(1) {
            let (id, name) = line.split_once(',').unwrap();
            crate::support::command(
                &store,
                &["app", "create", name, "--workspace", "acme", "--id", id],
            );
        }
        store
    }

    fn export(&self, store: &Path, file: &str, arguments: &[&str]) -> (Vec<u8>, Value) {
        let file = self.path(file);
        let arguments = [&["export", "--output", file.to_str().unwrap()], arguments].concat();
        let report = crate::support::command(store, &arguments);
        (std::fs::read(file).unwrap(), report)
    }
}

/// Sessions of every day of every app by quarter hour, by the apps' ids. In ClickHouse there are none.
fn totals(store: &Path) -> Vec<(String, i64, Totals)> {
    if clickhouse::is_used() {
        return Vec::new();
    }
    let connection = Connection::open(store.join("sessions.sqlite")).unwrap();
    let mut statement = connection
        .prepare("SELECT id, day, totals FROM days JOIN apps ON ordinal = app ORDER BY 1, 2")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let totals: Vec<u8> = row.get(2)?;
        let totals = Totals::decode_unchecked(&totals).unwrap();
        Ok((row.get(0)?, row.get(1)?, totals))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// All sessions, without what depends on the order in which they are recorded.
fn as_delivered(store: &Path) -> Vec<Value> {
    let mut rows = stored(store);
    for row in &mut rows {
        row["properties"].as_object_mut().unwrap().remove("first_session");
    }
    rows
}

#[test]
fn an_export_makes_the_same_counts_and_the_same_export() {
    let place = Place::new();
    let store = place.make_sample_store("sample");
    let file = data("contributors.ndjson.gz");
    crate::support::command(&store, &["import", file.to_str().unwrap()]);
    let formats = ["all.ndjson", "all.csv", "all.parquet"];
    for name in formats {
        let (bytes, report) = place.export(&store, name, &[]);
        assert_eq!(report["sessions"], SESSIONS);
        assert_eq!(report["bytes"], bytes.len() as u64);
        let copy = place.make_sample_store(&format!("copy-of-{name}"));
        let report = crate::support::command(&copy, &["import", place.path(name).to_str().unwrap()]);
        assert_eq!(counts(&report), [SESSIONS, 0, 0]);
        assert!(totals(&copy) == totals(&store), "{name}");
        let series = ["series", "--length", "100", "--ending-at", "2020-06-01"];
        assert_eq!(
            crate::support::command(&copy, &series),
            crate::support::command(&store, &series)
        );
        assert!(as_delivered(&copy) == as_delivered(&store), "{name}");
        let (again, _) = place.export(&copy, &format!("again-{name}"), &[]);
        assert!(again == bytes, "{name}");
    }
}

#[test]
fn everything_that_was_recorded_is_kept() {
    let server = Server::start();
    let mut full = server.session("00dc3cf6-1763-5d5b-8264-db458aa346c3", 1_704_110_400_123_i64);
    for (name, value) in [
        ("user_id", json!("u\"1\",\r\n\u{1F600}")),
        ("device_id", json!(" d ")),
        ("duration", json!(604_799.999)),
        ("platform", json!("ios")),
        ("os_version", json!("17,4")),
        ("app_version", json!("007")),
        ("device_model", json!("\"x\"")),
        ("country", json!("BR")),
        ("language", json!("pt-BR")),
        (
            "attributes",
            json!({"n": 0.1, "big": 18_446_744_073_709_551_615_u64, "tiny": 5e-324, "odd": 0.30000000000000004,
                "third": 1.0 / 3.0, "i": -7, "text": "true", "number": "1.50", "": "", "b": false, "first_session": true}),
        ),
    ] {
        full[name] = value;
    }
    full["attributes"].as_object_mut().unwrap().remove("");
    full["attributes"]["empty"] = json!("");
    let plain = server.session("TEXT ID, 'quoted'", 1_704_110_400);
    let upper = server.session("00DC3CF6-1763-5D5B-8264-DB458AA346C3", "2024-01-01T00:00:00.001Z");
    let mut many = server.session("with the user's attributes", 1_704_110_500);
    many["user_id"] = json!("known");
    many["attributes"] = (0..32).map(|n| (format!("own{n}"), json!(n))).collect();
    let mut known = json!({"external_id": "known"});
    for n in 0..32 {
        known[format!("user{n}")] = json!(n as f64 / 7.0);
    }
    let users = server
        .client()
        .post(format!("{}/users/track", server.url))
        .bearer_auth(&server.key);
    assert_eq!(
        crate::support::send(users.json(&json!({"attributes": [known]}))).status,
        201
    );
    server.record(&[full, plain, upper, many]);
    let place = Place::new();
    let before = stored(&server.data);
    assert_eq!(before.len(), 4);
    for name in [
        "all.ndjson",
        "all.csv",
        "all.parquet",
        "all.ndjson.gz",
        "all.csv.zst",
    ] {
        place.export(&server.data, name, &["--workspace", "default"]);
        let copy = place.path(&format!("copy-of-{name}"));
        crate::support::command(&copy, &["workspace", "create", "copy"]);
        crate::support::command(
            &copy,
            &["app", "create", "a", "--workspace", "copy", "--id", &server.app],
        );
        let report = crate::support::command(&copy, &["import", place.path(name).to_str().unwrap()]);
        assert_eq!(counts(&report), [4, 0, 0], "{name}");
        assert_eq!(stored(&copy), before, "{name}");
    }
}

#[test]
fn days_and_apps_are_chosen_in_the_workspaces_time_zone() {
    let place = Place::new();
    let store = place.path("store");
    crate::support::command(
        &store,
        &["workspace", "set-time-zone", "acme", "America/New_York"],
    );
    // Created last, with the lowest of all ids.
    let id = "00000000-0000-4000-8000-000000000000";
    let other = crate::support::command(
        &store,
        &["app", "create", "Other", "--workspace", "acme", "--id", id],
    );
    let session = |app: &str, id: &str, time: &str| {
        format!("{{\"app_id\":\"{app}\",\"session_id\":\"{id}\",\"started_at\":\"{time}\"}}\n")
    };
    let lines = [
        session(APP, "before", "2018-06-28T03:59:59.999Z"),
        session(APP, "first", "2018-06-28T04:00:00Z"),
        session(other["id"].as_str().unwrap(), "other", "2018-06-28T12:00:00Z"),
        session(APP, "last", "2018-06-30T03:59:59.999Z"),
        session(APP, "after", "2018-06-30T04:00:00Z"),
    ];
    place.import(&[&place.write("in.ndjson", lines.concat())]);
    let ids = |arguments: &[&str]| {
        let output = crate::support::run(&store, &[&["export"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let id = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["session_id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&[]), "before first after last other");
    assert_eq!(
        ids(&["--from", "2018-06-28", "--to", "2018-06-29"]),
        "first last other"
    );
    assert_eq!(ids(&["--to", "2018-06-27"]), "before");
    assert_eq!(ids(&["--from", "2018-06-30", "--workspace", "acme"]), "after");
    assert_eq!(ids(&["--app", "Other"]), "other");
    let (csv, _) = place.export(&store, "one.csv", &["--app", "Other"]);
    let csv = String::from_utf8(csv).unwrap();
    assert!(
        csv.starts_with("app_id,session_id,started_at,duration,user_id"),
        "{csv}"
    );
    assert!(csv.ends_with(",other,2018-06-28T12:00:00Z,,,,,,,,,,\n"), "{csv}");
    for (arguments, code, expected) in [
        (
            &["--from", "2018-06-29", "--to", "2018-06-28"][..],
            1,
            "--from must not be after --to",
        ),
        (&["--from", "yesterday"], 2, "give a date such as 2018-06-28"),
        (&["--app", "none"], 1, "there is no app 'none'"),
        (
            &["--output", place.path("one.csv").to_str().unwrap()],
            1,
            "one.csv exists already",
        ),
        (&["--output", "/nowhere/x.csv"], 1, "can't write /nowhere/x.csv"),
    ] {
        let output = crate::support::run(&store, &[&["export"], arguments].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
    let kept = std::fs::read_dir(place.path("")).unwrap();
    assert!(
        kept.flatten()
            .all(|entry| !entry.file_name().to_string_lossy().contains("partial"))
    );
}

#[test]
fn an_export_beside_a_recording_server_has_all_that_was_recorded_before() {
    let server = Server::start();
    let place = Place::new();
    let batch = |round: i64| -> Vec<Value> {
        (0..500)
            .map(|n| server.session(&format!("{round}-{n}"), 1_704_110_400 + round * 86_400 - n))
            .collect()
    };
    server.record(&batch(0));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..40 {
                server.record(&batch(round));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut exports = 0;
        loop {
            let last = done.load(std::sync::atomic::Ordering::Relaxed);
            let (text, _) = place.export(
                &server.data,
                &format!("{exports}.ndjson"),
                &["--workspace", "default"],
            );
            let lines = text.iter().filter(|byte| **byte == b'\n').count();
            // Batches are recorded whole.
            assert!(lines >= 500 && lines.is_multiple_of(500), "{lines}");
            exports += 1;
            if last {
                assert_eq!(lines, 20_000);
                break;
            }
        }
    });
}
