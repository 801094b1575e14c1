//! What `POST /sessions/track` promises: durable, once, partial, and read by whoever asks next.

mod forms;

use std::path::Path;

use crate::support::{Answer, Server, clickhouse, command, send};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const AT: &str = "2024-01-01T12:00:00Z";

/// Posts a body of another type or encoding.
fn post(server: &Server, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let request = server
        .client()
        .post(format!("{}/sessions/track", server.url))
        .bearer_auth(&server.key)
        .body(body.into());
    send(
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value)),
    )
}

fn lines(server: &Server, body: impl Into<Vec<u8>>) -> Answer {
    post(server, &[("content-type", "application/x-ndjson")], body)
}

fn tally(answer: &Answer) -> (u64, u64) {
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    (
        body["sessions_processed"].as_u64().unwrap(),
        body["duplicates"].as_u64().unwrap(),
    )
}

/// Counts of some hours of 2024-01-01, UTC.
fn hours(server: &Server, length: u32, last: &str) -> Vec<u64> {
    server.counts(&format!("unit=hour&length={length}&ending_at=2024-01-01T{last}Z"))
}

/// A stored session: its start (Unix milliseconds), duration, user, device and properties.
type Stored = (i64, Option<i64>, Option<String>, Option<String>, String);

fn stored(data: &Path, session_id: &str) -> Vec<Stored> {
    let all = crate::support::stored::stored(data).into_iter();
    all.filter(|session| session.session_id == session_id)
        .map(|session| {
            (
                session.start,
                session.duration,
                session.user,
                session.device,
                session.properties,
            )
        })
        .collect()
}

/// The counters agree with the sessions; how many there are.
fn verified(server: &Server) -> u64 {
    let found = server.command(&["verify"]);
    assert_eq!(found["agrees"], true, "{found}");
    found["sessions"].as_u64().unwrap()
}

#[test]
fn answers_look_like_this() {
    let server = Server::start();
    let one = server.session("one", AT);
    let answer = server.track(&json!({ "sessions": [one.clone(), server.session("two", AT), one.clone()] }));
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_snapshot!(answer.text, @r#"{"message":"success","sessions_processed":2,"duplicates":1}"#);

    let answer = server.track(
        &json!({ "sessions": [one.clone(), {}, server.session("three", AT), server.session("", AT)] }),
    );
    assert_eq!(answer.status, 201);
    insta::assert_snapshot!(answer.text, @r#"{"message":"success","sessions_processed":1,"duplicates":1,"errors":[{"type":"'app_id' is required: the id of an app of this workspace","input_array":"sessions","index":1},{"type":"'session_id' must have 1 to 128 bytes, received 0","input_array":"sessions","index":3}]}"#);

    let answer = server.track(&json!({ "sessions": [one] }));
    assert_eq!(answer.status, 201, "what was recorded before is no failure");
    insta::assert_snapshot!(answer.text, @r#"{"message":"success","sessions_processed":0,"duplicates":1}"#);

    let answer = server.track(&json!({ "sessions": [{}, { "app_id": server.app, "session_id": "four" }] }));
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!(answer.text, @r#"{"message":"every session was refused, nothing was recorded; 'errors' says why","errors":[{"type":"'app_id' is required: the id of an app of this workspace","input_array":"sessions","index":0},{"type":"'started_at' is required: ISO 8601 with an offset, or Unix seconds or milliseconds","input_array":"sessions","index":1}]}"#);

    let answer = server.track(&json!({ "sessions": [] }));
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!(answer.text, @r#"{"message":"the body has no sessions; give 1 to 10000"}"#);
    assert_eq!(verified(&server), 3);
}

#[test]
fn indexes_of_refused_lines_count_every_line() {
    let server = Server::start();
    let good = |id: &str| server.session(id, AT).to_string();
    let body = format!(
        "\n{}\r\n   \r\n{{}}\n\n{}\nnot json\n{}",
        good("a"),
        good("b"),
        good("c")
    );
    let answer = lines(&server, body);
    assert_eq!(tally(&answer), (3, 0));
    let indexes: Vec<_> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["index"].clone())
        .collect();
    assert_eq!(indexes, [3, 6], "{}", answer.text);
    let pretty = lines(
        &server,
        serde_json::to_string_pretty(&server.session("d", AT)).unwrap(),
    );
    assert_eq!(
        (pretty.status, pretty.json()["errors"].as_array().unwrap().len()),
        (400, 5),
        "a session is one line"
    );
    assert_eq!(verified(&server), 3);
}

#[test]
fn a_batch_may_have_ten_thousand_sessions() {
    let server = Server::start();
    let sessions: Vec<Value> = (0..10_000)
        .map(|number| server.session(&format!("s{number}"), AT))
        .collect();
    assert_eq!(tally(&server.record(&sessions)), (10_000, 0));
    let text: Vec<String> = sessions.iter().map(Value::to_string).collect();
    assert_eq!(tally(&lines(&server, text.join("\n"))), (0, 10_000));
    let refused: Vec<Value> = (0..10_000).map(|_| json!({})).collect();
    let answer = server.track(&json!({ "sessions": refused }));
    assert_eq!(
        (answer.status, answer.json()["errors"][9_999]["index"].as_u64()),
        (400, Some(9_999))
    );
    assert_eq!(hours(&server, 1, "12:30:00"), [10_000]);
    assert_eq!(verified(&server), 10_000);
}

/// Three sessions that were recorded before, delivered twice. Over ClickHouse a new process calls the first delivery new.
fn check_again(answer: &Answer, when: &str) {
    let told = tally(answer);
    let is_right = told == (0, 6) || clickhouse::is_used() && told == (3, 3);
    assert!(is_right, "{when}: {told:?}");
}

#[test]
fn a_session_is_counted_once_however_often_it_is_delivered() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let mut server = Server::start_on(&data, &[]);
    let (key, app) = (server.key.clone(), server.app.clone());
    let uuid = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f";
    let sessions = [
        server.session("a", AT),
        server.session(uuid, AT),
        server.session("ä €", AT),
    ];
    let twice: Vec<Value> = sessions.iter().chain(&sessions).cloned().collect();
    assert_eq!(tally(&server.record(&twice)), (3, 3), "in one batch");
    assert_eq!(tally(&server.record(&sessions)), (0, 3), "in another batch");
    let body: String = sessions.iter().map(|session| format!("{session}\n")).collect();
    assert_eq!(tally(&lines(&server, body)), (0, 3), "as lines");
    let other = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let request = other
        .post(format!("{}/sessions/track", server.url))
        .bearer_auth(&key);
    assert_eq!(
        tally(&send(request.json(&json!({ "sessions": sessions })))),
        (0, 3),
        "on another connection"
    );
    for round in 0..3 {
        assert_eq!(server.stop(), Some(0));
        server = Server::start_on(&data, &[]);
        (server.key, server.app) = (key.clone(), app.clone());
        check_again(&server.record(&twice), &format!("after restart {round}"));
        assert_eq!(hours(&server, 1, "12:00:00"), [3]);
    }
    server.kill();
    let mut server = Server::start_on(&data, &[]);
    (server.key, server.app) = (key, app);
    check_again(&server.record(&twice), "after a kill");
    assert_eq!(verified(&server), 3);
}

#[test]
fn what_makes_two_sessions_different() {
    let server = Server::start();
    let second = server.command(&["app", "create", "second", "--workspace", "default"]);
    let mut elsewhere = server.session("a", AT);
    elsewhere["app_id"] = second["id"].clone();
    crate::support::eventually("the second app", || {
        server.track(&json!({ "sessions": [elsewhere.clone()] })).status == 201
    });
    let uuid = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f";
    let different = [
        server.session("a", AT),
        server.session("A", AT),
        server.session("a ", AT),
        server.session("a", "2024-01-02T00:00:00Z"),
        server.session("a", "2023-12-31T23:59:59.999Z"),
        server.session("é", AT),
        server.session("e\u{301}", AT),
        server.session(uuid, AT),
        server.session(&uuid.to_uppercase(), AT),
        server.session(&uuid.replace('-', ""), AT),
        server.session(&format!("{{{uuid}}}"), AT),
        server.session("1", AT),
        server.session("01", AT),
    ];
    assert_eq!(tally(&server.record(&different)), (13, 0));
    let same_day = [
        server.session("a", "2024-01-01T00:00:00Z"),
        server.session("a", "2024-01-01T23:59:59.999Z"),
        server.session("a", "2024-01-02T04:00:00+05:00"),
        server.session("A", 1_704_110_400_000_i64),
    ];
    assert_eq!(tally(&server.record(&same_day)), (0, 4));
    assert_eq!(verified(&server), 14);
}

#[test]
fn the_first_delivery_s_values_stay() {
    let server = Server::start();
    let with = |started_at: &str, user: &str, device: &str, platform: &str| {
        let mut session = server.session("s", started_at);
        session["user_id"] = json!(user);
        session["device_id"] = json!(device);
        session["platform"] = json!(platform);
        session["attributes"] = json!({ "plan": user });
        session
    };
    let first = with("2024-01-01T10:00:00Z", "u1", "d1", "ios");
    let other_hour = with("2024-01-01T11:30:00Z", "u2", "d2", "web");
    assert_eq!(tally(&server.record(&[first, other_hour.clone()])), (1, 1));
    assert_eq!(tally(&server.record(&[other_hour])), (0, 1));
    assert_eq!(hours(&server, 3, "11:59:59"), [0, 1, 0]);
    let properties = r#"{"platform":"ios","attributes":{"plan":"u1"},"first_session":true}"#.to_owned();
    let kept = (
        1_704_103_200_000,
        None,
        Some("u1".into()),
        Some("d1".into()),
        properties,
    );
    assert_eq!(stored(&server.data, "s"), [kept]);
    assert_eq!(
        tally(&server.record(&[with("2024-01-02T10:00:00Z", "u2", "d2", "web")])),
        (1, 0)
    );
    assert_eq!(server.counts("length=2&ending_at=2024-01-02"), [1, 1]);
    assert_eq!(verified(&server), 2);
}

#[test]
fn a_later_delivery_only_adds_the_end() {
    let server = Server::start();
    let start = "2024-01-01T10:00:00Z";
    let deliver = |member: &str, end: Value, started_at: &str| {
        let mut session = server.session("s", started_at);
        session[member] = end;
        server.record(&[session]);
        stored(&server.data, "s")[0].1
    };
    for (case, member, end, started_at, duration) in [
        ("no end yet", "ended_at", Value::Null, start, None),
        ("a first end", "duration", json!(60.5), start, Some(60_500)),
        ("no end again", "duration", Value::Null, start, Some(60_500)),
        ("an earlier end", "duration", json!(0), start, Some(60_500)),
        (
            "a later end",
            "ended_at",
            json!("2024-01-01T10:05:00Z"),
            start,
            Some(300_000),
        ),
        (
            "an end from another start",
            "duration",
            json!(60),
            "2024-01-01T10:10:00Z",
            Some(660_000),
        ),
        (
            "from an earlier start, not later",
            "duration",
            json!(60),
            "2024-01-01T09:00:00Z",
            Some(660_000),
        ),
        (
            "from an earlier start, later",
            "duration",
            json!(7200),
            "2024-01-01T09:00:00Z",
            Some(3_600_000),
        ),
        (
            "the longest",
            "duration",
            json!(604_800),
            start,
            Some(604_800_000),
        ),
        (
            "longer than a session may be",
            "duration",
            json!(604_800),
            "2024-01-01T10:00:01Z",
            Some(604_800_000),
        ),
    ] {
        assert_eq!(deliver(member, end, started_at), duration, "{case}");
    }
    assert_eq!(hours(&server, 4, "11:00:00"), [0, 0, 1, 0]);
    let in_one_batch = [30, 90, 60].map(|seconds| {
        let mut session = server.session("t", start);
        session["duration"] = json!(seconds);
        session
    });
    assert_eq!(tally(&server.record(&in_one_batch)), (1, 2));
    assert_eq!(stored(&server.data, "t")[0].1, Some(90_000));
    assert_eq!(verified(&server), 2);
}

#[test]
fn late_sessions_count_where_they_started_and_future_ones_up_to_a_day() {
    let server = Server::start();
    assert_eq!(
        tally(&server.record(&[server.session("late", "2001-02-03T04:05:06Z")])),
        (1, 0)
    );
    assert_eq!(
        server.counts("unit=hour&length=2&ending_at=2001-02-03T05:00:00Z"),
        [1, 0]
    );
    assert_eq!(server.counts("length=3&ending_at=2001-02-04"), [0, 1, 0]);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let (soon, later) = (now + 23 * 3600, now + 25 * 3600);
    let answer =
        server.track(&json!({ "sessions": [server.session("soon", soon), server.session("later", later)] }));
    assert_eq!(tally(&answer), (1, 0));
    let reason = answer.json()["errors"][0]["type"].clone();
    assert_eq!(
        reason,
        "'started_at' must not be more than 24 hours in the future"
    );
    assert_eq!(
        server.counts(&format!("unit=hour&length=1&ending_at={soon}")),
        [1]
    );
    assert_eq!(
        server.counts(&format!("unit=hour&length=3&ending_at={}", now + 3600)),
        [0, 0, 0]
    );
    assert_eq!(verified(&server), 2);
}

#[test]
fn whoever_recorded_reads_it_at_once() {
    let server = Server::start();
    let threads: u64 = 4;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let server = &server;
            scope.spawn(move || {
                let at = format!("2024-01-01T{thread:02}:30:00Z");
                let hour = format!("unit=hour&length=1&ending_at={at}");
                for round in 1..=50 {
                    server.record(&[server.session(&format!("{thread} {round}"), at.as_str())]);
                    assert_eq!(server.counts(&hour), [round]);
                    assert!(server.counts("length=1&ending_at=2024-01-01")[0] >= round);
                }
            });
        }
    });
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [threads * 50]);
    let by_app = format!("length=1&ending_at=2024-01-01&app_id={}", server.app);
    assert_eq!(server.counts(&by_app), [threads * 50]);
    assert_eq!(verified(&server), threads * 50);
}

#[test]
fn the_same_sessions_from_many_at_once_are_counted_once() {
    let server = Server::start();
    let sessions: Vec<Value> = (0..500)
        .map(|number| server.session(&number.to_string(), AT))
        .collect();
    let tallies: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let deliveries: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| tally(&server.record(&sessions))))
            .collect();
        deliveries
            .into_iter()
            .map(|delivery| delivery.join().unwrap())
            .collect()
    });
    assert_eq!(tallies.iter().map(|(new, _)| new).sum::<u64>(), 500);
    assert_eq!(
        tallies.iter().map(|(_, duplicates)| duplicates).sum::<u64>(),
        3_500
    );
    assert_eq!(hours(&server, 1, "12:00:00"), [500]);
    assert_eq!(verified(&server), 500);
}

#[test]
fn another_workspace_s_app_is_no_app() {
    let server = Server::start();
    server.command(&["workspace", "create", "other"]);
    let app = server.command(&["app", "create", "theirs", "--workspace", "other"])["id"].clone();
    let key = crate::segments::key(&server.data, "other", "all");
    let body = json!({ "sessions": [{ "app_id": app, "session_id": "s", "started_at": AT }] });
    let theirs = || {
        server
            .client()
            .post(format!("{}/sessions/track", server.url))
            .bearer_auth(&key)
    };
    crate::support::eventually("the other workspace", || send(theirs().json(&body)).status == 201);
    let ours = server.track(&body);
    let unknown = server.track(
        &json!({ "sessions": [{ "app_id": uuid::Uuid::nil(), "session_id": "s", "started_at": AT }] }),
    );
    let shape = |answer: &Answer, id: &str| answer.text.replace(id, "ID");
    assert_eq!(ours.status, 400);
    assert_eq!(
        shape(&ours, app.as_str().unwrap()),
        shape(&unknown, &uuid::Uuid::nil().to_string())
    );
    let mut capitals = server.session("s", AT);
    capitals["app_id"] = json!(server.app.to_uppercase());
    assert_eq!(
        tally(&server.record(&[capitals])),
        (1, 0),
        "ids are read in either case"
    );
    assert_eq!(tally(&server.record(&[server.session("s", AT)])), (0, 1));
    assert_eq!(command(&server.data, &["verify"])["sessions"], 2);
}
