//! Days and hours of zones whose clocks change, whole bodies.

use super::{move_to, points, record_at, series};
use crate::support::Server;

fn body(server: &Server, query: &str) -> String {
    let answer = series(server, query);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.text
}

#[test]
fn new_york_in_spring() {
    let server = Server::start();
    move_to(&server, "America/New_York");
    record_at(
        &server,
        &[
            "2018-03-11T04:59:59.999Z", // the last millisecond of the 10th
            "2018-03-11T05:00:00Z",
            "2018-03-11T06:59:59.999Z", // 01:59:59
            "2018-03-11T07:00:00Z",     // 03:00
            "2018-03-12T03:59:59.999Z", // the last of a day of 23 hours
            "2018-03-12T04:00:00Z",
        ],
    );
    insta::assert_snapshot!(body(&server, "length=3&ending_at=2018-03-12"), @r#"{"message":"success","data":[{"time":"2018-03-10","sessions":1},{"time":"2018-03-11","sessions":4},{"time":"2018-03-12","sessions":1}]}"#);
    insta::assert_snapshot!(body(&server, "length=5&unit=hour&ending_at=2018-03-11T04:30:00"), @r#"{"message":"success","data":[{"time":"2018-03-10T23:00:00-05:00","sessions":1},{"time":"2018-03-11T00:00:00-05:00","sessions":1},{"time":"2018-03-11T01:00:00-05:00","sessions":1},{"time":"2018-03-11T03:00:00-04:00","sessions":1},{"time":"2018-03-11T04:00:00-04:00","sessions":0}]}"#);
    // The whole day, hour by hour: 23 of them, and the one before.
    let hours = points(&series(&server, "length=24&unit=hour&ending_at=2018-03-11"));
    assert!(
        hours.starts_with("2018-03-10T23:00:00-05:00 1\n2018-03-11T00:00:00-05:00 1\n"),
        "{hours}"
    );
    assert!(hours.ends_with("2018-03-11T23:00:00-04:00 1"), "{hours}");
}

#[test]
fn new_york_in_autumn() {
    let server = Server::start();
    move_to(&server, "America/New_York");
    record_at(
        &server,
        &[
            "2018-11-04T03:59:59Z",
            "2018-11-04T04:00:00Z", // 00:00
            "2018-11-04T05:30:00Z", // 01:30, the first time
            "2018-11-04T05:59:59.999Z",
            "2018-11-04T06:30:00Z",     // 01:30, the second time
            "2018-11-05T04:59:59.999Z", // the last of a day of 25 hours
            "2018-11-05T05:00:00Z",
        ],
    );
    insta::assert_snapshot!(body(&server, "length=3&ending_at=2018-11-05"), @r#"{"message":"success","data":[{"time":"2018-11-03","sessions":1},{"time":"2018-11-04","sessions":5},{"time":"2018-11-05","sessions":1}]}"#);
    insta::assert_snapshot!(body(&server, "length=4&unit=hour&ending_at=2018-11-04T02:00:00"), @r#"{"message":"success","data":[{"time":"2018-11-04T00:00:00-04:00","sessions":1},{"time":"2018-11-04T01:00:00-04:00","sessions":2},{"time":"2018-11-04T01:00:00-05:00","sessions":1},{"time":"2018-11-04T02:00:00-05:00","sessions":0}]}"#);
    let hours = points(&series(&server, "length=26&unit=hour&ending_at=2018-11-04"));
    assert!(
        hours.starts_with("2018-11-03T23:00:00-04:00 1\n2018-11-04T00:00:00-04:00 1\n"),
        "{hours}"
    );
    assert!(hours.ends_with("2018-11-04T23:00:00-05:00 1"), "{hours}");
    // However the caller wrote the offset, units are New York's.
    insta::assert_snapshot!(body(&server, "length=1&ending_at=2018-11-05T09:59:59+05:00"), @r#"{"message":"success","data":[{"time":"2018-11-04","sessions":5}]}"#);
}

#[test]
fn kathmandu_is_five_hours_and_three_quarters_ahead() {
    let server = Server::start();
    move_to(&server, "Asia/Kathmandu");
    record_at(
        &server,
        &[
            "2023-12-31T18:14:59.999Z",
            "2023-12-31T18:15:00Z",
            "2023-12-31T19:14:59Z",
            "2024-01-01T18:14:59Z",
            "2024-01-01T18:15:00Z",
        ],
    );
    insta::assert_snapshot!(body(&server, "length=3&ending_at=2024-01-02"), @r#"{"message":"success","data":[{"time":"2023-12-31","sessions":1},{"time":"2024-01-01","sessions":3},{"time":"2024-01-02","sessions":1}]}"#);
    insta::assert_snapshot!(body(&server, "length=3&unit=hour&ending_at=2023-12-31T19:15:00Z"), @r#"{"message":"success","data":[{"time":"2023-12-31T23:00:00+05:45","sessions":1},{"time":"2024-01-01T00:00:00+05:45","sessions":2},{"time":"2024-01-01T01:00:00+05:45","sessions":0}]}"#);
}

#[test]
fn lord_howe_changes_its_clocks_by_half_an_hour() {
    let server = Server::start();
    move_to(&server, "Australia/Lord_Howe");
    record_at(
        &server,
        &[
            "2024-04-06T14:59:59Z", // 01:59:59+11:00
            "2024-04-06T15:00:00Z", // 01:30+10:30
            "2024-04-06T15:29:59Z",
            "2024-04-06T15:30:00Z", // 02:00+10:30
            "2024-10-05T15:29:59Z", // 01:59:59+10:30
            "2024-10-05T15:30:00Z", // 02:30+11:00
            "2024-10-05T16:00:00Z", // 03:00+11:00
        ],
    );
    insta::assert_snapshot!(body(&server, "length=3&unit=hour&ending_at=2024-04-06T15:30:00Z"), @r#"{"message":"success","data":[{"time":"2024-04-07T01:00:00+11:00","sessions":1},{"time":"2024-04-07T01:30:00+10:30","sessions":2},{"time":"2024-04-07T02:00:00+10:30","sessions":1}]}"#);
    insta::assert_snapshot!(body(&server, "length=3&unit=hour&ending_at=2024-10-05T16:00:00Z"), @r#"{"message":"success","data":[{"time":"2024-10-06T01:00:00+10:30","sessions":1},{"time":"2024-10-06T02:30:00+11:00","sessions":1},{"time":"2024-10-06T03:00:00+11:00","sessions":1}]}"#);
    insta::assert_snapshot!(body(&server, "length=2&ending_at=2024-04-07"), @r#"{"message":"success","data":[{"time":"2024-04-06","sessions":0},{"time":"2024-04-07","sessions":4}]}"#);
    insta::assert_snapshot!(body(&server, "length=1&ending_at=2024-10-06"), @r#"{"message":"success","data":[{"time":"2024-10-06","sessions":3}]}"#);
}

#[test]
fn apia_skipped_a_date() {
    let server = Server::start();
    move_to(&server, "Pacific/Apia");
    record_at(
        &server,
        &[
            "2011-12-30T09:59:59.999Z", // 2011-12-29T23:59:59-10:00
            "2011-12-30T10:00:00Z",     // 2011-12-31T00:00:00+14:00
            "2011-12-31T09:59:59Z",
            "2011-12-31T10:00:00Z", // 2012-01-01
        ],
    );
    let days = r#"{"message":"success","data":[{"time":"2011-12-28","sessions":0},{"time":"2011-12-29","sessions":1},{"time":"2011-12-31","sessions":2},{"time":"2012-01-01","sessions":1}]}"#;
    assert_eq!(body(&server, "length=4&ending_at=2012-01-01"), days);
    insta::assert_snapshot!(body(&server, "length=3&unit=hour&ending_at=2011-12-31T01:00:00"), @r#"{"message":"success","data":[{"time":"2011-12-29T23:00:00-10:00","sessions":1},{"time":"2011-12-31T00:00:00+14:00","sessions":1},{"time":"2011-12-31T01:00:00+14:00","sessions":0}]}"#);
    // A date that was skipped has no instants; the one after the gap is meant.
    insta::assert_snapshot!(body(&server, "length=2&ending_at=2011-12-30"), @r#"{"message":"success","data":[{"time":"2011-12-29","sessions":1},{"time":"2011-12-31","sessions":2}]}"#);
    assert_eq!(
        points(&series(
            &server,
            "length=1&unit=hour&ending_at=2011-12-30T12:00:00"
        )),
        "2011-12-31T00:00:00+14:00 1"
    );
}

#[test]
fn utc_is_written_with_an_offset_too() {
    let server = Server::start();
    record_at(&server, &["2018-06-28T23:59:59Z"]);
    insta::assert_snapshot!(body(&server, "length=2&unit=hour&ending_at=2018-06-29T00:00:00Z"), @r#"{"message":"success","data":[{"time":"2018-06-28T23:00:00+00:00","sessions":1},{"time":"2018-06-29T00:00:00+00:00","sessions":0}]}"#);
}

#[test]
fn another_time_zone_counts_the_same_sessions_anew() {
    let server = Server::start();
    record_at(
        &server,
        &[
            "2024-01-01T03:00:00Z",
            "2024-01-01T12:00:00Z",
            "2024-01-01T20:00:00Z",
        ],
    );
    for (zone, counts) in [
        ("UTC", [0, 3, 0]),
        ("America/New_York", [1, 2, 0]),
        ("Asia/Kathmandu", [0, 2, 1]),
        ("Pacific/Kiritimati", [0, 1, 2]),
        ("Etc/GMT+12", [1, 2, 0]),
        ("UTC", [0, 3, 0]),
    ] {
        move_to(&server, zone);
        assert_eq!(server.counts("length=3&ending_at=2024-01-02"), counts, "{zone}");
    }
}
