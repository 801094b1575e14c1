//! Bodies that anyone may send: whatever they are, reading them neither panics nor takes much more memory than they do.

use std::sync::LazyLock;

use crate::support::catalog::{APP, CATALOG};
use crate::support::faults::{change, changed};
use crate::support::memory::peak;
use proptest::collection::vec;
use proptest::prelude::*;
use sessionmeter::collect::otlp::{self, Encoding};
use sessionmeter::collect::{Context, json, sentry};
use sessionmeter::model::StartLimits;

const NOW: i64 = 1_704_110_400_000;

/// What became of a body: sessions and refusals, or `None` where it was refused as a whole.
type Read = Option<(usize, usize)>;

fn read_logs(body: &[u8], encoding: Encoding) -> Read {
    let context = otlp::Context {
        catalog: &CATALOG,
        app: APP.parse().ok(),
        now: NOW,
    };
    let delivery = otlp::read(body, encoding, &context).ok()?;
    Some((delivery.sessions.len(), delivery.refused.len()))
}

fn read_envelope(body: &[u8]) -> Read {
    let context = sentry::Context {
        catalog: &CATALOG,
        key: Some("00dc3cf617635d5b8264db458aa346c3"),
        request: uuid::Uuid::nil(),
        now: NOW,
    };
    let delivery = sentry::read(body, &context).ok()?;
    Some((delivery.sessions.len(), delivery.refused.len()))
}

fn read_page(body: &[u8]) -> Read {
    let (workspace, app) = CATALOG.app(APP.parse().unwrap())?;
    let context = Context {
        workspace,
        default_app: Some(app.id),
        limits: StartLimits::new(NOW, None),
    };
    let batch = json::read_mended_object(body, &context).ok()?;
    Some((batch.sessions.len(), batch.refused.len()))
}

/// Reads a body in every way. A session or a reason takes up to a few hundred bytes, and there are at most 10,000 of each.
fn check(body: &[u8]) {
    LazyLock::force(&CATALOG);
    let readers: [&dyn Fn() -> Read; 4] = [
        &|| read_logs(body, Encoding::Protobuf),
        &|| read_logs(body, Encoding::Json),
        &|| read_envelope(body),
        &|| read_page(body),
    ];
    for read in readers {
        let mut found = 0;
        let held = peak(|| found = read().map_or(0, |(sessions, refused)| sessions + refused));
        let allowed = 64 * 1024 + 8 * body.len() + 1024 * found;
        assert!(
            held <= allowed,
            "{held} bytes for a body of {}, {found} found",
            body.len()
        );
    }
}

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

fn valid_protobuf() -> Vec<u8> {
    let attribute = |name: &str, value: &[u8]| [field(1, name.as_bytes()), field(2, value)].concat();
    let mut record = vec![1 << 3 | 1];
    record.extend((NOW as u64 * 1_000_000).to_le_bytes());
    record.extend(field(12, b"session.start"));
    record.extend(field(6, &attribute("session.id", &field(1, b"s1"))));
    record.extend(field(6, &attribute("seats", &[3 << 3, 7])));
    let resource = field(1, &attribute("service.version", &field(1, b"1.2.3")));
    field(1, &[field(1, &resource), field(2, &field(2, &record))].concat())
}

fn valid_json() -> Vec<u8> {
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"sessionmeter.app.id","value":{{"stringValue":"{APP}"}}}}]}},
        "scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1704110400000000000","eventName":"session.start","attributes":[
        {{"key":"session.id","value":{{"stringValue":"s1"}}}},{{"key":"seats","value":{{"intValue":"7"}}}}]}}]}}]}}]}}"#
    )
    .into()
}

fn valid_envelope() -> Vec<u8> {
    let sessions =
        r#"{"aggregates":[{"started":"2024-01-01T11:00:00Z","exited":3}],"attrs":{"release":"a@1"}}"#;
    let length = sessions.len();
    format!(
        "{{\"sent_at\":\"2024-01-01T12:00:00Z\"}}\n{{\"type\":\"session\"}}\n{{\"sid\":\"a\",\"started\":1704110000,\"init\":true,\
         \"status\":\"exited\",\"duration\":1.5}}\n{{\"type\":\"sessions\",\"length\":{length}}}\n{sessions}\n"
    )
    .into()
}

fn valid_page() -> Vec<u8> {
    format!(
        r#"{{"app_id":"{APP}","sessions":[{{"session_id":"a","started_at":1704110400,"platform":"web","ended_at":1704110401,
        "user_id":"u","attributes":{{"a":"b","c":1,"d":"\\ud83d"}}}},{{"session_id":"b","started_at":1704110400123,"platform":5}}]}}"#
    )
    .into()
}

#[test]
fn the_valid_bodies_are_valid() {
    assert_eq!(read_page(&valid_page()), Some((2, 0)));
    assert_eq!(read_logs(&valid_protobuf(), Encoding::Protobuf), Some((1, 0)));
    assert_eq!(read_logs(&valid_json(), Encoding::Json), Some((1, 0)));
    assert_eq!(read_envelope(&valid_envelope()), Some((4, 0)));
}

#[test]
fn many_small_things_take_no_more_memory_than_their_bytes() {
    let many = 100_000;
    let records = field(2, &[]).repeat(many);
    check(&field(1, &field(2, &records)));
    check(&field(1, &field(1, &records)));
    check(&field(1, &[]).repeat(many));
    let attributes = field(6, &[]).repeat(many);
    check(&field(1, &field(2, &field(2, &attributes))));
    let list = |item: &str| vec![item; many].join(",");
    for body in [
        format!(r#"{{"resourceLogs":[{}]}}"#, list("{}")),
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
            list("{}")
        ),
        format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[{}]}}}}]}}"#,
            list("{}")
        ),
        format!(r#"{{"resourceLogs":{}"#, "[".repeat(many)),
        format!(
            "{{}}\n{{\"type\":\"sessions\"}}\n{{\"aggregates\":[{}]}}",
            list("{}")
        ),
        format!("{{}}\n{}", "{\"type\":\"session\"}\n{}\n".repeat(50_000)),
        format!("{{}}\n{}", "{\"type\":\"x\"}\n\n".repeat(50_000)),
        format!(r#"{{"sessions":[{}]}}"#, list("{}")),
        format!(r#"{{"sessions":[{{"attributes":{{{}}}}}]}}"#, list(r#""a":1"#)),
        format!(r#"{{"sessions":[{{{}}}]}}"#, list(r#""platform":5"#)),
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
            list(r#"{"body":{"kvlistValue":{}}}"#)
        ),
        // A long header must not be looked at again for every item.
        format!(
            "{{\"x\":\"{}\"}}\n{}",
            "x".repeat(2_000_000),
            "{\"type\":\"sessions\"}\n{\"aggregates\":[]}\n".repeat(50_000)
        ),
        "{".repeat(many),
        "[".repeat(many),
    ] {
        check(body.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(body in vec(any::<u8>(), 0..400)) {
        check(&body);
    }

    #[test]
    fn valid_bodies_with_faults(which in 0..4_usize, changes in vec(change(), 1..6)) {
        let body = [valid_protobuf, valid_json, valid_envelope, valid_page][which]();
        check(&changed(body, &changes));
    }
}
