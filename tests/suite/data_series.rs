//! `GET /sessions/data_series` as callers see it: exact bodies, every way to write a parameter, every refusal.

mod calendars;
mod clients;

use crate::support::{Answer, Server, eventually, raw};
use serde_json::{Value, json};

const PATH: &str = "/sessions/data_series";

fn series(server: &Server, query: &str) -> Answer {
    server.get(&format!("{PATH}?{query}"))
}

/// The same, with the query sent exactly as it stands here; clients encode what they think they must.
fn series_verbatim(server: &Server, query: &str) -> Answer {
    let key = &server.key;
    let request = format!(
        "GET {PATH}?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    raw(server.address(), request.as_bytes(), false).expect("an answer")
}

/// The points as `time sessions`, one a line.
fn points(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["message"], "success");
    let point = |point: &Value| format!("{} {}", point["time"].as_str().unwrap(), point["sessions"]);
    body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(point)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A session of the app `default` at each instant.
fn record_at(server: &Server, instants: &[&str]) {
    let sessions: Vec<Value> = instants
        .iter()
        .enumerate()
        .map(|(number, at)| server.session(&format!("{number} of {}", instants.len()), *at))
        .collect();
    server.record(&sessions);
}

/// Moves the workspace to another zone and waits until the server knows.
fn move_to(server: &Server, zone: &str) {
    server.command(&["workspace", "set-time-zone", "default", zone]);
    let now = server.command(&["workspace", "list"])[0]["rate_limit"]
        .as_u64()
        .unwrap();
    let next = (now + 1).to_string();
    server.command(&["workspace", "set-rate-limit", "default", &next]);
    eventually("the new zone", || {
        series(server, "length=1").header("x-ratelimit-limit") == next
    });
}

#[test]
fn ending_at_as_callers_write_it() {
    let server = Server::start();
    move_to(&server, "America/New_York");
    // All of these mean this instant: 2018-06-28T23:59:59 in New York plus an hour, 04:59:59Z.
    let instant = "2018-06-29T00:00:00-04:00 0";
    for written in [
        "2018-06-28T23:59:59-5:00",
        "2018-06-28T23:59:59-05:00",
        "2018-06-28t23:59:59-0500",
        "2018-06-28T23:59:59-05",
        "2018-06-28T23%3A59%3A59-05%3A00",
        "2018-06-28+23:59:59-05:00",
        "2018-06-28%2023:59:59-05:00",
        "2018-06-28T23:59-05:00",
        "2018-06-28T23:59:59.999-05:00",
        "2018-06-28T23:59:59,5-05:00",
        "2018-06-28T23:59:59%2C5-05:00",
        "2018-06-29T04:59:59Z",
        "2018-06-29T04:59:59z",
        "2018-06-29+04:59:59Z",
        "2018-06-29T04:59:59+00:00",
        "2018-06-29T04:59:59%2B00:00",
        "2018-06-29T10:44:59+05:45",
        "2018-06-29T10:44:59%2B05:45",
        "2018-06-29T10:44:59%20%2B05:45",
        "2018-06-29T10:44:59%2005:45",
        "2018-06-29+10:44:59+05:45",
        "2018-06-29%2010:44:59%2B0545",
        "2018-06-29T10:44:59+0545",
        "20180629T045959Z",
        "20180628T235959-0500",
        "20180629T104459+0545",
        "20180629T0459Z",
        "2018-06-29T00:59:59",
        "2018-06-29+00:59",
        "20180629T005959",
        "2018-06-28T24:00:00",
        "2018-06-29T04:59:60Z",
        "1530248399",
    ] {
        // A space before an offset's plus is one character too many.
        let doubled = written.contains("%20%2B");
        let query = format!("length=1&unit=hour&ending_at={written}");
        for answer in [series(&server, &query), series_verbatim(&server, &query)] {
            if doubled {
                assert_eq!(answer.status, 400, "{written}")
            } else {
                assert_eq!(points(&answer), instant, "{written}")
            }
        }
    }
    for (written, day, last_hour) in [
        ("2018-06-28", "2018-06-28", "2018-06-28T23:00:00-04:00"),
        ("20180628", "2018-06-28", "2018-06-28T23:00:00-04:00"),
        ("2018-03-11", "2018-03-11", "2018-03-11T23:00:00-04:00"),
        ("153024839", "1974-11-06", "1974-11-06T21:00:00-05:00"),
        ("99999999999", "5138-11-16", "5138-11-16T04:00:00-05:00"),
        ("1970-01-01T00:00:00Z", "1969-12-31", "1969-12-31T19:00:00-05:00"),
        ("9999-12-31T23:59:59", "9999-12-31", "9999-12-31T23:00:00-05:00"),
        // A wall-clock time that occurs twice is the first; one that does not occur is the instant after the gap.
        ("2018-11-04T01:30:00", "2018-11-04", "2018-11-04T01:00:00-04:00"),
        ("2018-03-11T02:30:00", "2018-03-11", "2018-03-11T03:00:00-04:00"),
    ] {
        assert_eq!(
            points(&series(&server, &format!("length=1&ending_at={written}"))),
            format!("{day} 0")
        );
        let hour = points(&series(
            &server,
            &format!("length=1&unit=hour&ending_at={written}"),
        ));
        assert_eq!(hour, format!("{last_hour} 0"), "{written}");
    }
}

#[test]
fn every_refusal_of_a_parameter() {
    let server = Server::start();
    let message = |query: &str| {
        let answer = series_verbatim(&server, query);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert_eq!(answer.json(), json!({ "message": answer.message() }), "{query}");
        answer.message()
    };
    insta::assert_snapshot!(message(""), @"'length' is required: an integer from 1 to 100");
    insta::assert_snapshot!(message("length=0"), @"'length' must be an integer from 1 to 100, received '0'");
    insta::assert_snapshot!(message("length=1&length=2"), @"'length' is given twice; give it once");
    insta::assert_snapshot!(message("length=%ff"), @"'length' must be percent-encoded UTF-8");
    insta::assert_snapshot!(message("length=1&unit=minute"), @"'unit' must be 'day' or 'hour', received 'minute'");
    insta::assert_snapshot!(message("length=1&ending_at=yesterday"), @"'ending_at' must be an ISO 8601 date or date and time of the years 1970 to 9999, such as 2018-06-28, 2018-06-28T23:59:59 (the workspace's time zone), 2018-06-28T23:59:59-05:00, 2018-06-28T23:59:59Z or 20180628T235959Z, or Unix seconds of 9 to 11 digits, received 'yesterday'");
    insta::assert_snapshot!(message("length=1&app_id={{app_identifier}}"), @"'app_id' must be the id of an app of this workspace, received '{{app_identifier}}'");
    insta::assert_snapshot!(message("length=1&app_id="), @"'app_id' must be the id of an app of this workspace, received ''");
    insta::assert_snapshot!(message("length=1&segment_id={{segment_identifier}}"), @"'segment_id' must be the id of a segment of this workspace that has analytics tracking on, received '{{segment_identifier}}'");
    insta::assert_snapshot!(message("length=1&segment_id="), @"'segment_id' must be the id of a segment of this workspace that has analytics tracking on, received ''");
    // The reference's own example, pasted.
    let pasted = message("length=14&unit=hour&ending_at=2018-06-28T23:59:59-5:00&app_id={{app_identifier}}");
    assert!(pasted.contains("'app_id'"), "{pasted}");

    for length in [
        "",
        "0",
        "00",
        "014",
        "+14",
        "%2B14",
        "-14",
        "14.0",
        "14,0",
        "1e1",
        "0xE",
        "101",
        "100000000000000000000",
        "1%204",
        "%2014",
        "14%20",
        "ten",
        "null",
        "%D9%A1",
    ] {
        assert!(
            message(&format!("length={length}")).starts_with("'length' must be an integer from 1 to 100"),
            "{length}"
        );
    }
    for unit in [
        "", "Day", "DAY", "days", "hours", "day%20", "week", "minute", "null",
    ] {
        assert!(
            message(&format!("length=1&unit={unit}")).starts_with("'unit' must be 'day' or 'hour'"),
            "{unit}"
        );
    }
    for ending_at in [
        "",
        "yesterday",
        "now",
        "2018",
        "2018-06",
        "2018-6-28",
        "2018-13-01",
        "2018-00-01",
        "2018-02-30",
        "2018-06-00",
        "2018-06-28T",
        "2018-06-28T25:00",
        "2018-06-28T24:01",
        "2018-06-28T23:60",
        "2018-06-28T23:59:61",
        "2018-06-28Z",
        "2018-06-28T23:59:59+24:00",
        "2018-06-28T23:59:59-5",
        "2018-06-28T23:59:59%2B%2B05:00",
        "+2018-06-28",
        "2018-06-28+",
        "1969-12-31",
        "10000-01-01",
        "0000-00-00",
        "12345678901234",
        "-1530248399",
        "1530248399.0",
        "12345678",
        "1530248399000",
        "2018/06/28",
        "28.06.2018",
        "{{now}}",
        "2018-06-28T23:59:59[America/New_York]",
    ] {
        assert!(
            message(&format!("length=1&ending_at={ending_at}")).starts_with("'ending_at' must be"),
            "{ending_at}"
        );
    }
    for app in [
        "1",
        "00dc3cf6-1763-5d5b-8264-db458aa346c3",
        &server.app.replace('-', ""),
        &format!("{{{}}}", server.app),
        &format!("urn:uuid:{}", server.app),
        &format!("{0},{0}", server.app),
        &format!("{}%20", server.app),
        "default",
        "null",
    ] {
        assert!(
            message(&format!("length=1&app_id={app}")).starts_with("'app_id' must be"),
            "{app}"
        );
    }
    for name in ["length", "unit", "ending_at", "app_id", "segment_id"] {
        let twice = message(&format!("length=1&{name}=1&{name}=1"));
        assert_eq!(twice, format!("'{name}' is given twice; give it once"));
    }
}

#[test]
fn parameters_that_are_not_ours_are_ignored() {
    let server = Server::start();
    record_at(&server, &["2024-01-01T12:00:00Z"]);
    for query in [
        "length=1&ending_at=2024-01-01",
        "ending_at=2024-01-01&length=1",
        "length=1&ending_at=2024-01-01&page=3&page=4",
        "length=1&ending_at=2024-01-01&Unit=hour&LENGTH=3",
        "length=1&ending_at=2024-01-01&=&&x&%ff=%ff",
        "&&length=1&ending_at=2024-01-01&",
        "l%65ngth=1&ending%5Fat=2024%2D01%2D01",
        "length=1&ending_at=2024-01-01&unit=day",
    ] {
        assert_eq!(
            points(&series_verbatim(&server, query)),
            "2024-01-01 1",
            "{query}"
        );
    }
}

#[test]
fn one_app_or_all_of_the_workspace() {
    let server = Server::start();
    let create = |workspace: &str, name: &str| {
        let app = server.command(&["app", "create", name, "--workspace", workspace]);
        app["id"].as_str().unwrap().to_owned()
    };
    let (second, empty) = (create("default", "second"), create("default", "empty"));
    server.command(&["workspace", "create", "other"]);
    let theirs = create("other", "theirs");
    let their_key = crate::segments::key(&server.data, "other", "all");
    let their_key = their_key.as_str();
    move_to(&server, "UTC");
    let session = |app: &str, id: &str| json!({ "app_id": app, "session_id": id, "started_at": "2024-01-01T12:00:00Z" });
    server.record(&[
        session(&server.app, "a"),
        session(&server.app, "b"),
        session(&second, "a"),
    ]);
    let count = |more: &str| points(&series(&server, &format!("length=2&ending_at=2024-01-01{more}")));
    assert_eq!(count(""), "2023-12-31 0\n2024-01-01 3");
    assert_eq!(
        count(&format!("&app_id={}", server.app)),
        "2023-12-31 0\n2024-01-01 2"
    );
    assert_eq!(
        count(&format!("&app_id={}", server.app.to_uppercase())),
        "2023-12-31 0\n2024-01-01 2"
    );
    assert_eq!(count(&format!("&app_id={second}")), "2023-12-31 0\n2024-01-01 1");
    assert_eq!(count(&format!("&app_id={empty}")), "2023-12-31 0\n2024-01-01 0");

    let their_series =
        |more: &str| server.get_as(&format!("{PATH}?length=1&ending_at=2024-01-01{more}"), their_key);
    assert_eq!(points(&their_series("")), "2024-01-01 0");
    let unknown = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
    let shape = |answer: Answer, id: &str| {
        assert_eq!(answer.status, 400);
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        (answer.text.replace(id, "ID"), names)
    };
    let never = shape(series(&server, &format!("length=1&app_id={unknown}")), unknown);
    assert_eq!(
        shape(series(&server, &format!("length=1&app_id={theirs}")), &theirs),
        never
    );
    assert_eq!(shape(their_series(&format!("&app_id={second}")), &second), never);
}

#[test]
fn gaps_and_the_future_are_zeros() {
    let server = Server::start();
    record_at(
        &server,
        &[
            "2024-01-01T00:00:00Z",
            "2024-01-03T23:59:59.999Z",
            "2024-01-04T00:00:00Z",
        ],
    );
    let days = points(&series(&server, "length=5&ending_at=2024-01-05"));
    assert_eq!(
        days,
        "2024-01-01 1\n2024-01-02 0\n2024-01-03 1\n2024-01-04 1\n2024-01-05 0"
    );
    assert_eq!(
        points(&series(&server, "length=2&ending_at=2222-02-02")),
        "2222-02-01 0\n2222-02-02 0"
    );
    for (unit, ending_at) in [
        ("day", "9999-12-31"),
        ("hour", "9999-12-31T23:59:59Z"),
        ("day", "1970-01-01"),
        ("hour", "1970-01-01"),
    ] {
        let points = points(&series(
            &server,
            &format!("length=100&unit={unit}&ending_at={ending_at}"),
        ));
        assert_eq!(
            points.lines().filter(|point| point.ends_with(" 0")).count(),
            100,
            "{unit} {ending_at}"
        );
    }
    for unit in ["day", "hour"] {
        let answer = series(&server, &format!("length=100&unit={unit}"));
        assert_eq!(points(&answer).lines().count(), 100, "until now");
    }
}
