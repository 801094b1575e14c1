//! `POST /api/{project}/envelope/`: requests by hand.

use std::io::Write as _;

use serde_json::json;

use super::{DAY, NOON, post, public_key, stored};
use crate::support::{Answer, Server};

const PATH: &str = "/api/1/envelope/";

fn session(sid: &str, more: &str) -> String {
    format!(
        "{{}}\n{{\"type\":\"session\"}}\n{{\"sid\":\"{sid}\",\"started\":\"2024-01-01T12:00:00Z\"{more}}}"
    )
}

fn deliver(server: &Server, body: impl Into<Vec<u8>>) -> Answer {
    let auth = format!(
        "Sentry sentry_version=7, sentry_key={}, sentry_client=x/1",
        public_key(server)
    );
    post(server, PATH, &[("x-sentry-auth", &auth)], body)
}

fn accepted(server: &Server, body: impl Into<Vec<u8>>) {
    let answer = deliver(server, body);
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "{answer:?}");
}

#[test]
fn updates_of_a_session_count_once_and_add_the_end() {
    let server = Server::start();
    let attrs = r#","did":"u1","attrs":{"release":"shop@1.2.3+456","environment":"production","ip_address":"192.0.2.1"}"#;
    accepted(
        &server,
        session("a", &format!(r#","init":true,"status":"ok"{attrs}"#)),
    );
    accepted(&server, session("a", r#","status":"exited","duration":12.5"#));
    // No first update, and an end without a duration.
    accepted(
        &server,
        session(
            "b",
            r#","init":false,"status":"crashed","timestamp":"2024-01-01T12:00:03.5Z""#,
        ),
    );
    // An end that can't be: the session counts all the same.
    accepted(&server, session("c", r#","status":"exited","duration":-1"#));
    // Two updates in one envelope, and a time without an offset, which is UTC.
    let first = session("d", r#","init":true"#).replace("12:00:00Z", "12:00:00");
    let last = session("d", r#","status":"exited","duration":60"#).replacen("{}\n", "", 1);
    accepted(&server, format!("{first}\n{last}"));
    assert_eq!(server.counts(DAY), [4]);
    let noon = NOON as i64 * 1000;
    let properties = r#"{"app_version":"1.2.3","attributes":{"environment":"production"}}"#;
    let plain = |duration| (noon, duration, None, None, "{}".to_owned());
    let expected = [
        plain(None),
        plain(Some(3500)),
        (
            noon,
            Some(12_500),
            Some("u1".to_owned()),
            None,
            properties.to_owned(),
        ),
        plain(Some(60_000)),
    ];
    assert_eq!(stored(&server.data), expected);
}

#[test]
fn aggregates_are_counted_and_marked() {
    let server = Server::start();
    let item = |started: &str| {
        format!(
            r#"{{"aggregates":[{{"started":"{started}","exited":3,"errored":1}},
            {{"started":"2024-01-01T12:01:00.000Z","did":"u1","crashed":1,"abnormal":1}}],
            "attrs":{{"release":"shop@2.0.0","environment":"test"}}}}"#
        )
    };
    let envelope = |header: &str| {
        let item = item("2024-01-01T12:00:00.000Z");
        let length = item.len();
        format!("{header}\n{{\"type\":\"sessions\",\"length\":{length}}}\n{item}\n")
    };
    // Two processes that counted the same send the same bytes.
    for (number, count) in [(0, 6), (1, 12)] {
        accepted(&server, envelope("{}"));
        assert_eq!(server.counts(DAY), [count], "{number}");
    }
    let event = r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#;
    for count in [18, 24] {
        assert_eq!(deliver(&server, envelope(event)).status, 200);
        assert_eq!(server.counts(DAY), [count]);
    }
    for (_, duration, user, device, properties) in stored(&server.data) {
        assert_eq!((duration, user, device), (None, None, None));
        let expected = r#"{"app_version":"2.0.0","attributes":{"aggregated":true,"environment":"test"}}"#;
        assert_eq!(properties, expected);
    }
}

/// Sessions of yesterday and today, at most a minute after they started.
fn of_now(server: &Server) -> u64 {
    let now = jiff::Timestamp::now().as_millisecond();
    let recent = |session: &super::Stored| (now - 120_000..=now).contains(&session.0);
    stored(&server.data)
        .iter()
        .filter(|session| recent(session))
        .count() as u64
}

#[test]
fn a_clock_that_is_off_is_corrected_by_when_the_envelope_was_sent() {
    let server = Server::start();
    let now = jiff::Timestamp::now();
    let mut expected = 0;
    // Two days behind or ahead, and a clock that was never set.
    for (name, off) in [
        ("behind", -172_800),
        ("ahead", 172_800),
        ("never", -now.as_second() + 600),
    ] {
        let at = |seconds: i64| jiff::Timestamp::from_second(now.as_second() + off + seconds).unwrap();
        let header = json!({ "sent_at": at(0).to_string() });
        let session = json!({
            "sid": name, "started": at(-30).to_string(), "timestamp": at(-10).to_string(), "status": "exited"
        });
        let counted = json!({"aggregates": [{"started": at(-30).to_string(), "exited": 2}]});
        accepted(
            &server,
            format!("{header}\n{{\"type\":\"session\"}}\n{session}\n{{\"type\":\"sessions\"}}\n{counted}"),
        );
        expected += 3;
        assert_eq!(of_now(&server), expected, "{name}");
    }
    let lasted = stored(&server.data)
        .iter()
        .filter(|session| session.1 == Some(20_000))
        .count();
    assert_eq!(lasted, 3);
    // The way of an envelope is no clock, and what can't be read says nothing.
    let noon = "2024-01-01T12:00:00Z";
    let seconds_ago = jiff::Timestamp::from_second(now.as_second() - 5).unwrap();
    for (sid, sent_at) in [("slow", seconds_ago.to_string()), ("bad", "soon".to_owned())] {
        let header = json!({ "sent_at": sent_at });
        let session = json!({"sid": sid, "started": noon});
        accepted(&server, format!("{header}\n{{\"type\":\"session\"}}\n{session}"));
    }
    assert_eq!(server.counts(DAY), [2]);
}

#[test]
fn no_optional_member_costs_a_session() {
    let server = Server::start();
    let long = "x".repeat(300);
    for (sid, more) in [
        (
            "a",
            r#""did":"\ud83d","attrs":{"release":"shop@1\ud83d","environment":"\udc00"}"#.to_owned(),
        ),
        (
            "b",
            format!(r#""did":"{long}","attrs":{{"release":"{long}","environment":"{long}"}}"#),
        ),
        ("c", r#""did":5,"attrs":[1],"duration":1e999,"status":{}"#.into()),
        ("d", r#""attrs":"x","status":"exited","timestamp":"later""#.into()),
    ] {
        accepted(&server, session(sid, &format!(",{more}")));
    }
    let counted = r#"{"aggregates":[{"started":"2024-01-01T12:00:00Z","exited":1}],"attrs":[]}"#;
    accepted(
        &server,
        format!("{{\"dsn\":1e999}}\n{{\"type\":\"sessions\"}}\n{counted}"),
    );
    assert_eq!(server.counts(DAY), [5]);
}

#[test]
fn envelopes_in_all_their_forms() {
    let server = Server::start();
    let one = |sid: &str| json!({"sid": sid, "started": NOON, "attrs": {}}).to_string();
    let length = one("a").len();
    let event = "{\"type\":\"event\",\"length\":3}\n\n{}\n";
    let envelopes = [
        format!("{{}}\n{{\"type\":\"session\",\"length\":{length}}}\n{}", one("a")),
        format!(
            "{{}}\n{{\"type\":\"session\",\"length\":{length}}}\n{}\n",
            one("b")
        ),
        format!("{{}}\n{event}\n{{\"type\":\"session\"}}\n{}\n\n", one("c")),
        format!(
            "{{}}\r\n{{\"type\":\"session\",\"content_type\":\"x\"}}\r\n{}\r\n",
            one("d")
        ),
        format!(
            "{{}}\n{{\"type\":\"session\"}}\n{}\n{{\"type\":\"session\"}}\n{}",
            one("e"),
            one("f")
        ),
        "{}\n".to_owned(),
        "{}".to_owned(),
        format!("{{}}\n{event}"),
        "{}\n{\"type\":\"client_report\"}\n".to_owned(),
    ];
    for envelope in envelopes {
        accepted(&server, envelope);
    }
    assert_eq!(server.counts(DAY), [6]);
    let id = "9ec79c33ec9942ab8353589fcb2e04dc";
    let answer = deliver(&server, format!("{{\"event_id\":\"{id}\"}}\n{event}"));
    assert_eq!((answer.status, answer.json()), (200, json!({ "id": id })));
}

#[test]
fn the_key_may_stand_in_three_places() {
    let server = Server::start();
    let key = public_key(&server);
    let host = server.address();
    let with_dsn = session("dsn", "").replacen("{}", &format!(r#"{{"dsn":"https://{key}@{host}/1"}}"#), 1);
    let query = format!("/api/4711/envelope?sentry_version=7&sentry_key={key}&sentry_client=x%2F1");
    let auth = format!("sentry sentry_key={key}");
    for (path, headers, body) in [
        (
            query.as_str(),
            vec![("content-type", "text/plain;charset=UTF-8")],
            session("query", ""),
        ),
        (
            PATH,
            vec![("x-sentry-auth", auth.as_str())],
            session("header", ""),
        ),
        ("/api/1/envelope", vec![], with_dsn),
        (
            query.as_str(),
            vec![("x-sentry-auth", auth.as_str())],
            session("both", ""),
        ),
    ] {
        let answer = post(&server, path, &headers, body);
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, "{}"),
            "{path} {headers:?}"
        );
    }
    assert_eq!(server.counts(DAY), [4]);
}

#[test]
fn compressed_envelopes() {
    let server = Server::start();
    let auth = format!("Sentry sentry_key={}", public_key(&server));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(session("gzip", "").as_bytes()).unwrap();
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(session("deflate", "").as_bytes()).unwrap();
    let zstd = zstd::encode_all(session("zstd", "").as_bytes(), 1).unwrap();
    for (encoding, body, status) in [
        ("gzip", gzip.finish().unwrap(), 200),
        ("deflate", deflate.finish().unwrap(), 200),
        ("zstd", zstd, 200),
        ("br", vec![1], 415),
        ("gzip", vec![1], 400),
    ] {
        let headers = [("x-sentry-auth", auth.as_str()), ("content-encoding", encoding)];
        assert_eq!(post(&server, PATH, &headers, body).status, status, "{encoding}");
    }
    assert_eq!(server.counts(DAY), [3]);
}

#[test]
fn errors_have_a_detail() {
    let server = Server::start();
    let key = public_key(&server);
    let auth = format!("Sentry sentry_key={key}");
    let good = vec![("x-sentry-auth", auth.as_str())];
    let item = |payload: &str| format!("{{}}\n{{\"type\":\"session\"}}\n{payload}");
    let sessions = |payload: &str| format!("{{}}\n{{\"type\":\"sessions\"}}\n{payload}");
    let unknown = "Sentry sentry_key=00dc3cf617635d5b8264db458aa346c3";
    let cases = vec![
        (vec![], session("a", ""), 401, "missing authorization"),
        (
            vec![("x-sentry-auth", "Bearer x")],
            session("a", ""),
            401,
            "bad x-sentry-auth header",
        ),
        (
            vec![("x-sentry-auth", "Sentry sentry_key=1")],
            session("a", ""),
            400,
            "received '1'",
        ),
        (
            vec![("x-sentry-auth", unknown)],
            session("a", ""),
            403,
            "there is no app",
        ),
        (good.clone(), String::new(), 400, "it is empty"),
        (good.clone(), "x".into(), 400, "its header must be a JSON object"),
        (good.clone(), "[]".into(), 400, "its header must be a JSON object"),
        (good.clone(), "{}\nx".into(), 400, "the header of item 0"),
        (good.clone(), "{}\n{}\n{}".into(), 400, "its 'type' is missing"),
        (
            good.clone(),
            "{}\n{\"type\":\"x\",\"length\":9}\n{}".into(),
            400,
            "item 0 does not have the length",
        ),
        (
            good.clone(),
            "{}\n{\"type\":\"x\",\"length\":1}\n{}".into(),
            400,
            "item 0 does not have the length",
        ),
        (good.clone(), item("x"), 400, "item 0: not a session"),
        (good.clone(), item("{}"), 400, "'sid' is required"),
        (good.clone(), item(r#"{"sid":1}"#), 400, "'sid' must be a string"),
        (good.clone(), item(r#"{"sid":"a"}"#), 400, "'started' is required"),
        (
            good.clone(),
            item(r#"{"sid":"a","started":"soon"}"#),
            400,
            "received 'soon'",
        ),
        (
            good.clone(),
            item(r#"{"sid":"a","started":0}"#),
            400,
            "'started' must not be before the year 2000",
        ),
        (good.clone(), sessions("{}"), 400, "'aggregates' is required"),
        (
            good.clone(),
            sessions(r#"{"aggregates":[{"started":1704110400,"exited":-1}]}"#),
            400,
            "'exited' must be",
        ),
        (
            good.clone(),
            sessions(r#"{"aggregates":[{"exited":1}]}"#),
            400,
            "'started' is required",
        ),
        (
            good.clone(),
            sessions(r#"{"aggregates":[{"started":1704110400,"exited":18446744073709551615,"crashed":2}]}"#),
            413,
            "more than 10000 sessions",
        ),
    ];
    for (headers, body, status, fragment) in cases {
        let answer = post(&server, PATH, &headers, body.clone());
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json", "{body}");
        let answer = answer.json();
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(fragment), "{body}: {detail}");
    }
    let other = format!("{PATH}?sentry_key={}", "0".repeat(32));
    assert_eq!(post(&server, &other, &good, session("a", "")).status, 401);
    assert_eq!(server.counts(DAY), [0]);
    assert!(!server.log().contains("panicked"));
}

#[test]
fn one_bad_item_does_not_keep_the_others_out() {
    let server = Server::start();
    let good = session("good", "");
    accepted(
        &server,
        format!("{good}\n{{\"type\":\"session\"}}\n{{\"sid\":\"bad\"}}"),
    );
    assert_eq!(server.counts(DAY), [1]);
}
