//! The forms in which fields and bodies are read, and where their limits are.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{AT, post, stored, tally, verified};
use crate::support::Server;

#[test]
fn starts_are_read_in_many_forms() {
    let server = Server::start();
    // 2018-06-29T04:59:59Z
    let millis = 1_530_248_399_000;
    let forms = [
        json!("2018-06-28T23:59:59-5:00"),
        json!("2018-06-28T23:59:59-05:00"),
        json!("2018-06-28T23:59:59-0500"),
        json!("2018-06-28T23:59:59-05"),
        json!("2018-06-29T10:44:59+05:45"),
        json!("2018-06-29T10:44:59 05:45"),
        json!("2018-06-29T04:59:59Z"),
        json!("2018-06-29t04:59:59z"),
        json!("2018-06-29 04:59:59+00:00"),
        json!("2018-06-29T04:59:59.000Z"),
        json!("2018-06-29T04:59:59,000000000Z"),
        json!("2018-06-29T04:59:60Z"),
        json!("20180629T045959Z"),
        json!("20180628T235959-0500"),
        json!(1_530_248_399),
        json!(1_530_248_399.0),
        json!(1_530_248_399_000_i64),
        json!(1_530_248_399_000.0),
        json!(1.530248399e9),
    ];
    for (number, form) in forms.iter().enumerate() {
        let id = format!("whole {number}");
        server.record(&[server.session(&id, form.clone())]);
        let leap = i64::from(form == "2018-06-29T04:59:60Z") * 999;
        assert_eq!(stored(&server.data, &id)[0].0, millis + leap, "{form}");
    }
    for (number, (form, extra)) in [
        (json!("2018-06-29T04:59:59.5Z"), 500),
        (json!("2018-06-29T04:59:59.1239Z"), 123),
        (json!("2018-06-28T23:59:59,25-05:00"), 250),
        (json!(1_530_248_399.25), 250),
        (json!(1_530_248_399_500_i64), 500),
        (json!(1_530_248_399_499.6), 500),
        (json!("2018-06-29T04:59Z"), -59_000),
        (json!("2018-06-28T24:00:00Z"), -17_999_000),
        (json!("2018-06-28T24:00-05:00"), 1_000),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("part {number}");
        server.record(&[server.session(&id, form.clone())]);
        assert_eq!(stored(&server.data, &id)[0].0, millis + extra, "{form}");
    }
    let mut ended = server.session("ended", 1_530_248_399);
    for (end, duration) in [
        (json!(1_530_248_400), 1_000),
        (json!(1_530_248_401_500_i64), 2_500),
        (json!("2018-06-29T05:00:59Z"), 60_000),
    ] {
        ended["ended_at"] = end;
        server.record(&[ended.clone()]);
        assert_eq!(stored(&server.data, "ended")[0].1, Some(duration), "{ended}");
    }
}

#[test]
fn compressed_bodies_are_read() {
    let server = Server::start();
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let object = |id: &str| json!({ "sessions": [server.session(id, AT)] }).to_string();
    let line = |id: &str| format!("{}\n", server.session(id, AT));
    let (json, ndjson) = (
        ("content-type", "application/json"),
        ("content-type", "application/x-ndjson"),
    );
    for (case, content_type, encoding, body) in [
        ("gzip", json, "gzip", gzip(&object("a"))),
        ("capitals", json, "GZIP", gzip(&object("b"))),
        ("its old name", json, "x-gzip", gzip(&object("c"))),
        (
            "zstd",
            json,
            "zstd",
            zstd::encode_all(object("d").as_bytes(), 19).unwrap(),
        ),
        ("identity", json, "identity", object("e").into_bytes()),
        ("lines", ndjson, "gzip", gzip(&line("f"))),
        (
            "members one after the other",
            ndjson,
            "gzip",
            [gzip(&line("g")), gzip(&line("h"))].concat(),
        ),
        (
            "frames one after the other",
            ndjson,
            "zstd",
            [line("i"), line("j")]
                .map(|line| zstd::encode_all(line.as_bytes(), 1).unwrap())
                .concat(),
        ),
    ] {
        let answer = post(&server, &[content_type, ("content-encoding", encoding)], body);
        assert_eq!(answer.status, 201, "{case}: {}", answer.text);
    }
    assert_eq!(verified(&server), 10);
}

#[test]
fn every_limit_holds_to_the_last_byte() {
    let server = Server::start();
    let text = |bytes: usize| json!("é".repeat(bytes / 2) + &"x".repeat(bytes % 2));
    let attributes = |count: usize| {
        (0..count)
            .map(|number| (format!("a{number}"), json!(number)))
            .collect::<Value>()
    };
    let cases = [
        ("session_id", text(128), text(129)),
        ("user_id", text(256), text(257)),
        ("device_id", text(256), text(257)),
        ("platform", text(64), text(65)),
        ("os_version", text(64), text(65)),
        ("app_version", text(64), text(65)),
        ("device_model", text(64), text(65)),
        ("country", json!("br"), json!("b")),
        (
            "language",
            json!(format!("en{}", "-abcdefg".repeat(7) + "-abcde")),
            json!(format!("en{}", "-abcdefg".repeat(7) + "-abcdef")),
        ),
        ("language", json!("zh-Hant-TW"), json!("zh-")),
        ("duration", json!(604_800), json!(604_801)),
        ("duration", json!(0), json!(-0.001)),
        (
            "ended_at",
            json!("2024-01-08T12:00:00Z"),
            json!("2024-01-08T12:00:00.001Z"),
        ),
        ("ended_at", json!(AT), json!("2024-01-01T11:59:59.999Z")),
        (
            "started_at",
            json!("2000-01-01T00:00:00Z"),
            json!("1999-12-31T23:59:59.999Z"),
        ),
        ("started_at", json!(946_684_800), json!(946_684_799)),
        ("attributes", attributes(32), attributes(33)),
        (
            "attributes",
            json!({ "x".repeat(64): 1 }),
            json!({ "x".repeat(65): 1 }),
        ),
        (
            "attributes",
            json!({ "a": text(256), "b": -1.5e300, "c": true, "d": "" }),
            json!({ "a": text(257) }),
        ),
        ("attributes", json!({ "a": null }), json!({ "a": [] })),
    ];
    for (number, (member, fits, too_much)) in cases.into_iter().enumerate() {
        let mut session = server.session(&format!("limit {number}"), AT);
        session[member] = fits;
        assert_eq!(tally(&server.record(&[session.clone()])), (1, 0), "{session}");
        session[member] = too_much;
        let answer = server.track(&json!({ "sessions": [session.clone()] }));
        assert_eq!(answer.status, 400, "{session}");
        let failure = answer.json()["errors"][0].to_string();
        assert!(failure.contains(member), "{session}: {failure}");
    }
    let mut absent = server.session("nulls", AT);
    for member in [
        "user_id",
        "device_id",
        "ended_at",
        "duration",
        "platform",
        "country",
        "language",
        "attributes",
    ] {
        absent[member] = Value::Null;
    }
    absent["something_new"] = json!({ "deep": [1, 2, 3] });
    server.record(&[absent]);
    assert_eq!(
        stored(&server.data, "nulls"),
        [(1_704_110_400_000, None, None, None, "{}".to_owned())]
    );
    assert_eq!(
        stored(&server.data, "limit 7")[0].4,
        r#"{"country":"BR"}"#,
        "either case"
    );
    verified(&server);
}
