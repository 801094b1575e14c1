//! The server is killed again and again while it counts the past: nothing is lost, nothing counts twice.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::naive::{self, Unit};
use crate::random::Random;
use crate::support::{Server, command};
use crate::{Caller, Space, is, not, patiently, verify};

/// A quarter hour for each: counting them takes many steps.
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
fn a_server_that_is_killed_while_it_counts_the_past_counts_exactly() {
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
        let caller = space.caller(&server);
        let picked = random.below(segments.len());
        let (id, filter) = &mut segments[picked];
        if caller.progress(id).is_none() {
            // There must be something to be killed in.
            *filter = match round % 2 {
                0 => level(random.below(10) as u64),
                _ => not(filter),
            };
            caller.edit_filter(id, filter);
        }
        // Some lie before the point that counting has come to, some behind it.
        let fresh = random.range(1, 40) as u64;
        let sessions: Vec<Value> = (next..next + fresh)
            .map(|number| session(&space.apps, number))
            .collect();
        next += fresh;
        assert_eq!(caller.record(&sessions), fresh);
        for session in &sessions {
            assert!(model.record(session));
        }
        let wanted = random.below(100) as u64;
        let mut reached = None;
        patiently("counting", || {
            let progress = caller.progress(id);
            reached = progress.or(reached);
            progress.is_none_or(|percent| percent >= wanted)
        });
        let id = id.clone();
        server.kill();
        println!("round {round}: killed at {reached:?} %, wanted {wanted} %");
        server = Server::start_on(&data, &[]);
        // What was counted before is not counted again.
        if let (Some(before), Some(after)) = (reached, space.caller(&server).progress(&id)) {
            assert!(after >= before, "{before} % before, {after} % after");
        }
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
    caller.wait_until_counted(id);
    let series: Vec<(String, u64)> = windows()
        .flat_map(|window| caller.series(&format!("{window}&segment_id={id}")))
        .collect();
    let counts = model.counts(&model.members(filter), Unit::Day, None);
    naive::assert_series(&series, &counts, &filter.to_string());
}
