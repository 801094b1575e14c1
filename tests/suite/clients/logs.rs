//! `POST /v1/logs`: requests by hand.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{DAY, NOON, post, stored};
use crate::support::{Answer, Server, send};

const PATH: &str = "/v1/logs";
const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn text(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

/// A log record at noon.
fn event(name: &str, attributes: &[Value]) -> Value {
    json!({"timeUnixNano": (NOON * 1_000_000_000).to_string(), "eventName": name, "attributes": attributes})
}

fn start(session: &str) -> Value {
    event("session.start", &[text("session.id", session)])
}

fn request(resource: &[Value], records: &[Value]) -> Value {
    json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": records}]}]})
}

fn send_json(server: &Server, body: &Value) -> Answer {
    post(
        server,
        PATH,
        &[JSON, ("sessionmeter-app", &server.app)],
        body.to_string(),
    )
}

/// A field of protocol buffers that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}

fn attribute(name: &str, value: &str) -> Vec<u8> {
    let value = field(2, &field(1, value.as_bytes()));
    [field(1, name.as_bytes()), value].concat()
}

/// An `ExportLogsServiceRequest` with one record at noon.
fn protobuf(resource: &[(&str, &str)], event_name: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let resource: Vec<u8> = resource
        .iter()
        .flat_map(|(name, value)| field(1, &attribute(name, value)))
        .collect();
    let mut record = vec![1 << 3 | 1];
    record.extend((NOON * 1_000_000_000).to_le_bytes());
    record.extend(field(12, event_name.as_bytes()));
    record.extend(
        attributes
            .iter()
            .flat_map(|(name, value)| field(6, &attribute(name, value))),
    );
    let logs = field(2, &field(2, &record));
    field(1, &[field(1, &resource), logs].concat())
}

#[test]
fn a_start_and_an_end_in_json() {
    let server = Server::start();
    let resource = [
        text("service.version", "4.10.0"),
        text("os.name", "iOS"),
        text("os.version", "17.4.1"),
        text("device.model.identifier", "iPhone15,3"),
        text("device.id", "d1"),
        text("host.name", "not of the session"),
    ];
    let mut begin = start("s1");
    begin["attributes"].as_array_mut().unwrap().extend([
        text("user.id", "u1"),
        text("screen", "home"),
        text("long", &"x".repeat(300)),
        json!({"key": "n", "value": {"intValue": "7"}}),
        json!({"key": "f", "value": {"doubleValue": 0.5}}),
        json!({"key": "b", "value": {"boolValue": true}}),
        json!({"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}}),
        json!({"key": "nan", "value": {"doubleValue": "NaN"}}),
        text("browser.language", "not a language"),
    ]);
    let mut end = event("session.end", &[text("session.id", "s1")]);
    end["timeUnixNano"] = json!(((NOON + 90) * 1_000_000_000).to_string());
    let answer = send_json(&server, &request(&resource, &[begin, event("click", &[]), end]));
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(server.counts(DAY), [1]);
    let properties = r#"{"platform":"iOS","os_version":"17.4.1","app_version":"4.10.0","device_model":"iPhone15,3","attributes":{"b":true,"f":0.5,"n":7,"screen":"home"}}"#;
    let expected = (
        NOON as i64 * 1000,
        Some(90_000),
        Some("u1".into()),
        Some("d1".into()),
        properties.into(),
    );
    assert_eq!(stored(&server.data), [expected]);
}

#[test]
fn a_start_that_names_the_session_before_ends_it() {
    let server = Server::start();
    assert_eq!(send_json(&server, &request(&[], &[start("s1")])).text, "{}");
    let mut next = event(
        "session.start",
        &[text("session.id", "s2"), text("session.previous_id", "s1")],
    );
    next["timeUnixNano"] = json!((NOON + 60) * 1_000_000_000);
    assert_eq!(send_json(&server, &request(&[], &[next.clone()])).text, "{}");
    // Delivered again, and with a previous one that nobody knows.
    next["attributes"][1]["value"]["stringValue"] = json!("unknown");
    assert_eq!(send_json(&server, &request(&[], &[next])).text, "{}");
    assert_eq!(server.counts(DAY), [2]);
    // An end before the start, and one that is earlier than the end that is known.
    for (seconds, rejected) in [(NOON - 60, "1"), (NOON + 30, "")] {
        let mut end = event("session.end", &[text("session.id", "s1")]);
        end["timeUnixNano"] = json!(seconds * 1_000_000_000);
        let answer = send_json(&server, &request(&[], &[end])).json();
        let found = &answer["partialSuccess"]["rejectedLogRecords"];
        assert_eq!(found.as_str().unwrap_or_default(), rejected, "{seconds}");
    }
    let durations: Vec<_> = stored(&server.data).iter().map(|session| session.1).collect();
    assert_eq!(durations, [Some(60_000), None]);
}

#[test]
fn protocol_buffers_compressed_or_not() {
    let server = Server::start();
    let app = server.app.clone();
    let body = |session: &str| {
        protobuf(
            &[("sessionmeter.app.id", &app)],
            "session.start",
            &[("session.id", session)],
        )
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&body("b")).unwrap();
    let gzip = gzip.finish().unwrap();
    let older = protobuf(
        &[("sessionmeter.app.id", &app)],
        "",
        &[("event.name", "session.start"), ("session.id", "c")],
    );
    for (headers, body) in [
        (vec![PROTOBUF], body("a")),
        (vec![PROTOBUF, ("content-encoding", "gzip")], gzip),
        (vec![PROTOBUF], older),
        (vec![PROTOBUF], Vec::new()),
        (vec![PROTOBUF], body("a")),
    ] {
        let answer = post(&server, PATH, &headers, body);
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{answer:?}");
        assert_eq!(answer.header("content-type"), PROTOBUF.1);
    }
    assert_eq!(server.counts(DAY), [3]);
}

#[test]
fn json_as_clients_write_it() {
    let server = Server::start();
    let app = &server.app;
    let time = NOON * 1_000_000_000;
    let bodies = [
        format!(
            r#"{{"resource_logs":[{{"scope_logs":[{{"log_records":[{{"time_unix_nano":{time},"event_name":"session.start",
            "attributes":[{{"key":"session.id","value":{{"string_value":"a"}}}}]}}]}}],
            "resource":{{"attributes":[{{"key":"sessionmeter.app.id","value":{{"string_value":"{app}"}}}}]}}}}]}}"#
        ),
        format!(
            r#"{{"unknown":{{"x":[1]}},"resourceLogs":[{{"resource":{{"attributes":[{{"key":"sessionmeter.app.id","value":{{"stringValue":"{app}"}}}}],
            "droppedAttributesCount":0}},"schemaUrl":"","scopeLogs":[{{"scope":{{"name":"x"}},"logRecords":[{{"timeUnixNano":"0",
            "observedTimeUnixNano":"{time}","traceId":"5B8EFFF798038103D269B633813FC60C","severityNumber":9,"body":{{"stringValue":"hi"}},
            "attributes":[{{"key":"event.name","value":{{"stringValue":"session.start"}}}},{{"key":"session.id","value":{{"stringValue":"\u0062"}}}}]}}]}}]}}]}}"#
        ),
        format!(
            r#"{{"resourceLogs":[{{"resource":null,"scopeLogs":[{{"logRecords":[{{"timeUnixNano":1.7041104e18,"eventName":"session.start",
            "attributes":[{{"key":"sessionmeter.app.id","value":{{"stringValue":"{app}"}}}},{{"key":"session.id","value":{{"stringValue":"c"}}}}]}}]}}]}}]}}"#
        ),
        "{}".to_owned(),
        r#"{"resourceLogs":null}"#.to_owned(),
    ];
    for body in bodies {
        let answer = post(&server, PATH, &[JSON], body.clone());
        assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "{body}");
    }
    assert_eq!(server.counts(DAY), [3]);
}

/// What an app logs besides must not keep its sessions out.
#[test]
fn records_of_others_may_be_as_they_like() {
    let server = Server::start();
    let session = |id: &str, more: &str| {
        format!(
            r#"{{"timeUnixNano":"{}","eventName":"session.start","attributes":[{{"key":"session.id","value":{{"stringValue":"{id}"}}}}{more}]}}"#,
            NOON * 1_000_000_000
        )
    };
    // JavaScript writes half of a character that was cut in two.
    let half = r#",{"key":"note","value":{"stringValue":"a\ud83d"}}"#;
    let records = [
        session("a", ""),
        r#"{"timeUnixNano":"soon"}"#.to_owned(),
        r#"{"attributes":{"a":1}}"#.to_owned(),
        "null".to_owned(),
        r#"{"attributes":[{"key":"\ud83d","value":{"doubleValue":1e999}}]}"#.to_owned(),
        session("b", half),
        r#"{"timeUnixNano":"soon","eventName":"session.start"}"#.to_owned(),
    ];
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"host","value":{{"stringValue":"\udc00x"}}}}]}},
        "scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    );
    let answer = post(&server, PATH, &[JSON, ("sessionmeter-app", &server.app)], body);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "1", "{answer:?}");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("log record 6: not a log record: 'timeUnixNano' must be"),
        "{message}"
    );
    assert_eq!(server.counts(DAY), [2]);
    let (.., properties) = stored(&server.data).pop().unwrap();
    assert!(properties.contains("\"note\":\"a\u{FFFD}"), "{properties}");
}

#[test]
fn what_is_refused_is_said_and_the_rest_is_recorded() {
    let server = Server::start();
    let unknown = event("session.end", &[text("session.id", "unknown")]);
    let records = [start("good"), event("click", &[]), start(""), unknown];
    let answer = send_json(&server, &request(&[], &records));
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "2", "{answer:?}");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("log record 2: 'session.id' is required"),
        "{message}"
    );
    assert!(
        message.contains("log record 3: no session with this session.id"),
        "{message}"
    );
    let body = protobuf(
        &[("sessionmeter.app.id", &server.app)],
        "session.start",
        &[("session.id", &"x".repeat(129))],
    );
    let answer = post(&server, PATH, &[PROTOBUF], body);
    let message = "log record 0: 'session.id' must have 1 to 128 bytes, received 129";
    let expected = field(1, &[vec![1 << 3, 1], field(2, message.as_bytes())].concat());
    assert_eq!((answer.status, answer.text.as_bytes()), (200, &expected[..]));
    assert_eq!(server.counts(DAY), [1]);
    let metrics = send(server.client().get(format!("{}/metrics", server.ops))).text;
    assert!(
        metrics.contains(r#"sessionmeter_sessions_total{outcome="refused"} 3"#),
        "{metrics}"
    );
}

/// A case: its name, headers and body, and the status, code and part of the message that are expected.
type Refused<'a> = (&'a str, Vec<(&'a str, &'a str)>, Vec<u8>, u16, u64, &'a str);

#[test]
fn errors_are_a_status_in_the_encoding_of_the_request() {
    let server = Server::start();
    let valid = request(&[], &[start("s")]).to_string();
    let app = server.app.clone();
    let cases: Vec<Refused<'_>> = vec![
        (
            "no app",
            vec![JSON],
            valid.clone().into(),
            400,
            3,
            "'sessionmeter.app.id' is required",
        ),
        (
            "a wrong app",
            vec![JSON, ("sessionmeter-app", "x")],
            valid.clone().into(),
            400,
            3,
            "received 'x'",
        ),
        (
            "an unknown app",
            vec![JSON, ("sessionmeter-app", "00dc3cf6-1763-5d5b-8264-db458aa346c3")],
            valid.clone().into(),
            400,
            3,
            "the id of an app of this server",
        ),
        (
            "no JSON",
            vec![JSON, ("sessionmeter-app", &app)],
            b"{".to_vec(),
            400,
            3,
            "as JSON",
        ),
        (
            "another shape",
            vec![JSON],
            br#"{"resourceLogs":{}}"#.to_vec(),
            400,
            3,
            "expected an array",
        ),
        (
            "not UTF-8",
            vec![JSON],
            b"{\"a\":\"\xff\"}".to_vec(),
            400,
            3,
            "byte 6 is not UTF-8",
        ),
        (
            "no type",
            vec![],
            valid.clone().into(),
            415,
            3,
            "'Content-Type' must be",
        ),
        (
            "text",
            vec![("content-type", "text/plain")],
            valid.clone().into(),
            415,
            3,
            "received 'text/plain'",
        ),
        (
            "brotli",
            vec![JSON, ("content-encoding", "br")],
            valid.clone().into(),
            415,
            3,
            "received 'br'",
        ),
        (
            "no gzip",
            vec![JSON, ("content-encoding", "gzip")],
            valid.into(),
            400,
            3,
            "not valid gzip",
        ),
        (
            "too large",
            vec![JSON],
            vec![b' '; 33 << 20],
            413,
            8,
            "larger than 32 MiB",
        ),
        (
            "too many",
            vec![JSON, ("sessionmeter-app", &app)],
            request(&[], &vec![start("s"); 10_001]).to_string().into(),
            413,
            8,
            "more than 10000 session events",
        ),
    ];
    for (case, headers, body, status, code, fragment) in cases {
        let answer = post(&server, PATH, &headers, body);
        assert_eq!(answer.status, status, "{case}: {answer:?}");
        assert_eq!(answer.header("content-type"), JSON.1, "{case}");
        assert_eq!(answer.header("www-authenticate"), "", "{case}");
        let body = answer.json();
        assert_eq!(body["code"], code, "{case}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(fragment), "{case}: {message}");
    }
    let answer = post(&server, PATH, &[PROTOBUF], b"\x0a\x05abc".to_vec());
    let message =
        "the body must be an ExportLogsServiceRequest as protocol buffers: it ends in the middle of a field";
    let expected = [vec![1 << 3, 3], field(2, message.as_bytes())].concat();
    assert_eq!((answer.status, answer.text.as_bytes()), (400, &expected[..]));
    assert_eq!(answer.header("content-type"), PROTOBUF.1);
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(server.counts(DAY), [0]);
    assert!(!server.log().contains("panicked"));
}

/// A record of protocol buffers at noon, of these fields.
fn record(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut record = vec![1 << 3 | 1];
    record.extend((NOON * 1_000_000_000).to_le_bytes());
    record.extend(fields.concat());
    field(1, &field(2, &field(2, &record)))
}

#[test]
fn events_are_known_however_their_names_are_told() {
    let server = Server::start();
    let time = (NOON * 1_000_000_000).to_string();
    let id = |id: &str| text("session.id", id);
    let records = [
        json!({"timeUnixNano": time, "body": {"stringValue": "session.start"}, "attributes": [id("a")]}),
        json!({"timeUnixNano": time, "body": "session.start", "attributes": [id("b")]}),
        json!({"timeUnixNano": time, "name": "session.start", "attributes": [id("c")]}),
        json!({"timeUnixNano": time, "attributes": [text("event_name", "session_start"), id("d")]}),
        json!({"timeUnixNano": time, "event_name": "SessionStarted", "attributes": [id("e")]}),
        json!({"timeUnixNano": time, "eventName": "browser", "body": {"stringValue": "session-start"}, "attributes": [id("f")]}),
        json!({"timeUnixNano": time, "body": {"kvlistValue": {"values": [
            text("event.name", "session.start"), id("g"), text("plan", "pro"), text("session.previous_id", "a")
        ]}}}),
        // None of these is about a session.
        json!({"timeUnixNano": time, "body": {"stringValue": "Session started for somebody"}}),
        json!({"timeUnixNano": time, "body": {"stringValue": "x".repeat(9000)}}),
        json!({"timeUnixNano": time, "body": {"kvlistValue": {"values": 5}}, "attributes": [id("x")]}),
        json!({"timeUnixNano": time, "eventName": "session.replay", "attributes": [id("x")]}),
    ];
    let answer = send_json(&server, &request(&[], &records));
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    assert_eq!(server.counts(DAY), [7]);
    let of_map = stored(&server.data)
        .into_iter()
        .filter(|session| session.4 == r#"{"attributes":{"plan":"pro"}}"#);
    assert_eq!(of_map.count(), 1);
    let headers = [PROTOBUF, ("sessionmeter-app", server.app.as_str())];
    let map = field(
        6,
        &[
            field(1, &attribute("event.name", "session.start")),
            field(1, &attribute("session.id", "m")),
        ]
        .concat(),
    );
    for body in [
        record(&[
            field(5, &field(1, b"session.start")),
            field(6, &attribute("session.id", "k")),
        ]),
        record(&[
            field(4, b"session.start"),
            field(6, &attribute("session.id", "l")),
        ]),
        record(&[field(5, &map)]),
        // No UTF-8 in what is optional, and a body that is no value.
        record(&[
            field(12, b"session.start"),
            field(5, b"\xff\xff"),
            field(6, &attribute("session.id", "n")),
            field(6, &[field(1, b"\xff"), field(2, &field(1, b"\xff"))].concat()),
        ]),
    ] {
        let answer = post(&server, PATH, &headers, body);
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    }
    assert_eq!(server.counts(DAY), [11]);
}

#[test]
fn what_looks_like_a_session_event_and_is_not_understood_is_refused_aloud() {
    let server = Server::start();
    let records = ["session.begin", "com.example.session.start", "sessionExpired"]
        .map(|name| event(name, &[text("session.id", "a")]));
    let answer = send_json(&server, &request(&[], &records));
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "3", "{answer:?}");
    let message = partial["errorMessage"].as_str().unwrap();
    let first = "log record 0: the event 'session.begin' is not understood: those of sessions are 'session.start' and 'session.end'";
    assert!(message.starts_with(first), "{message}");
    // Half a name or value must not take a session with it.
    let broken = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"\ud83d","value":5}}]}},"scopeLogs":[{{"logRecords":[
        {{"timeUnixNano":"{}","eventName":"session.start","attributes":[{{"key":"\ud83d","value":{{"doubleValue":1e999}}}},
        {{"key":"a","value":"b"}},{{"key":"session.id","value":{{"stringValue":"s"}}}}]}}]}}]}}]}}"#,
        NOON * 1_000_000_000
    );
    let answer = post(&server, PATH, &[JSON, ("sessionmeter-app", &server.app)], broken);
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    assert_eq!(server.counts(DAY), [1]);
}
