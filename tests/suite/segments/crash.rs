//! The server is killed again and again while it counts for a filter: nothing is lost, nothing counts twice.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::naive::{self, Unit};
use crate::segments::{Caller, Space, is, not, verify};
use crate::support::random::Random;
use crate::support::{Server, command};

/// A quarter hour for each: hundreds of days have to be counted.
const SESSIONS: u64 = 60_000;
const QUARTER: u64 = 900;
/// 2022-01-01T00:00:00Z
const BEGIN: u64 = 1_640_995_200;
const KILLS: usize = 8;

/// The number says everything about a session; all quarter hours before the last are visited once.
fn session(apps: &[String], number: u64) -> Value {
    let quarter = number * 7_919 % SESSIONS;
    let mut session = json!({
        "app_id": apps[number as usize % apps.len()],
        "session_id": format!("session {number}"),
        "started_at": BEGIN + quarter * QUARTER + number % QUARTER,
        "os_version": format!("17.{}", number % 12),
        "attributes": { "level": number % 10 },
    });
    if !number.is_multiple_of(5) {
        session["device_id"] = format!("device {}", number % 1_009).into();
    }
    session
}

/// Windows of days that together hold every session.
fn windows() -> impl Iterator<Item = String> {
    let days = SESSIONS * QUARTER / 86_400 + 2;
    (0..=days / 100).map(|window| {
        let end = BEGIN + (window * 100 + 99) * 86_400;
        format!("length=100&ending_at={end}")
    })
}

#[test]
fn a_server_that_is_killed_while_it_counts_counts_exactly() {
    let seed = Random::seed("SESSIONMETER_SEGMENTS_SEED");
    println!("SESSIONMETER_SEGMENTS_SEED={seed}");
    let mut random = Random::new(seed);
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "crash", "Asia/Kathmandu", 3);
    let mut model = naive::Workspace::new("Asia/Kathmandu");
    let mut lines = String::new();
    for number in 0..SESSIONS {
        let session = session(&space.apps, number);
        model.record(&session);
        writeln!(lines, "{session}").unwrap();
    }
    let file = directory.path().join("sessions.ndjson");
    std::fs::write(&file, lines).unwrap();
    let arguments = ["import", file.to_str().unwrap(), "--workspace", "crash"];
    assert_eq!(command(&data, &arguments)["recorded"], SESSIONS);

    let level = |number: u64| is("attributes.level", number);
    let version = json!({ "field": "os_version", "op": "gte", "value": "17.9" });
    let mut server = Server::start_on(&data, &[]);
    let mut segments = Vec::new();
    for filter in [level(0), not(&level(0)), version, is("first_session", true)] {
        let name = format!("segment {}", segments.len());
        let id = space.caller(&server).create(&name, &filter, true);
        segments.push((id, filter));
    }
    let mut next = SESSIONS;
    for round in 0..KILLS {
        let picked = random.below(segments.len());
        let (id, filter) = &mut segments[picked];
        let caller = space.caller(&server);
        // Something that was not counted before.
        *filter = match round % 2 {
            0 => level(random.below(10) as u64),
            _ => not(filter),
        };
        caller.edit_filter(id, filter);
        let fresh = random.range(1, 40) as u64;
        let sessions: Vec<Value> = (next..next + fresh)
            .map(|number| session(&space.apps, number))
            .collect();
        next += fresh;
        assert_eq!(caller.record(&sessions), fresh);
        for session in &sessions {
            assert!(model.record(session));
        }
        // Killed while it answers, or before, or after: whatever is asked for until then is right or not answered.
        let asked = windows().map(|window| {
            let path = format!("/sessions/data_series?{window}&segment_id={id}");
            let request = server
                .client()
                .get(format!("{}{path}", server.url))
                .bearer_auth(&space.key);
            std::thread::spawn(move || request.send().map(|answer| answer.status().as_u16()))
        });
        let asked: Vec<_> = asked.collect();
        for _ in 0..random.below(3) {
            caller.get("/sessions/data_series?length=1");
        }
        server.kill();
        for asked in asked {
            if let Ok(status) = asked.join().unwrap() {
                assert!([200, 503].contains(&status), "round {round}: {status}");
            }
        }
        server = Server::start_on(&data, &[]);
    }
    let caller = space.caller(&server);
    for (id, filter) in &segments {
        check(caller, &model, id, filter);
    }
    verify(&data);
    assert_eq!(server.stop(), Some(0));
    verify(&data);
}

fn check(caller: Caller<'_>, model: &naive::Workspace, id: &str, filter: &Value) {
    let series: Vec<(String, u64)> = windows()
        .flat_map(|window| caller.series(&format!("{window}&segment_id={id}")))
        .collect();
    let counts = model.counts(&model.members(filter), Unit::Day, None);
    naive::assert_series(&series, &counts, &filter.to_string());
}
