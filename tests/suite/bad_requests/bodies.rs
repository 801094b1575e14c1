//! Bodies that can't be read as a whole.

use std::io::Write as _;

use reqwest::Method;
use reqwest::blocking::Body;
use serde_json::json;

use super::{DAY, JSON, NDJSON, assert_our_refusal, assert_still_works, post, request, valid};
use crate::support::{Server, send};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn bodies_that_are_refused_as_a_whole() {
    let server = Server::start();
    let many: Vec<String> = (0..10_001).map(|number| valid(&server, number)).collect();
    let one = &many[0];
    let shape = "the body must be a JSON object with an array 'sessions'";
    let deep = |open: &str| open.repeat(100_000);
    let text = |text: &str| text.as_bytes().to_vec();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (JSON, vec![], "EOF while parsing a value"),
        (JSON, text("not json"), shape),
        (JSON, text("null"), shape),
        (JSON, text("[]"), "expected {\"sessions\": [...]}"),
        (JSON, text("\"sessions\""), shape),
        (JSON, text("{}"), "missing field `sessions`"),
        (JSON, text(r#"{"Sessions":[{}]}"#), "missing field `sessions`"),
        (
            JSON,
            text(r#"{"sessions":null}"#),
            "invalid type: null, expected an array",
        ),
        (JSON, text(r#"{"sessions":{"0":{}}}"#), "invalid type: map"),
        (
            JSON,
            text(r#"{"sessions":[]}"#),
            "the body has no sessions; give 1 to 10000",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one}],"sessions":[{one}]}}"#).into(),
            "duplicate field `sessions`",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one}],"sess\u0069ons":[{one}]}}"#).into(),
            "duplicate field `sessions`",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one}]}} {{}}"#).into(),
            "trailing characters",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one},]}}"#).into(),
            "trailing comma",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one}"#).into(),
            "EOF while parsing a list",
        ),
        (
            JSON,
            format!(r#"{{"sessions":[{one},NaN]}}"#).into(),
            "line 1 column",
        ),
        (
            JSON,
            format!("/* */{{\"sessions\":[{one}]}}").into(),
            "line 1 column 1",
        ),
        (
            JSON,
            format!("{{'sessions':[{one}]}}").into(),
            "key must be a string",
        ),
        (
            JSON,
            b"{\"sessions\":[{\"session_id\":\"\xff\"}]}".to_vec(),
            "must be UTF-8; byte 28 is not",
        ),
        (JSON, b"\xff\xfe{\0}\0".to_vec(), "must be UTF-8; byte 0 is not"),
        (JSON, b"\0\0\0\0".to_vec(), shape),
        (JSON, gzip(one.as_bytes()), "must be UTF-8; byte 1 is not"),
        (
            JSON,
            format!(r#"{{"sessions":[{}]}}"#, many.join(",")).into(),
            "more than 10000 sessions",
        ),
        (JSON, deep("[").into(), "invalid type: sequence"),
        (JSON, deep("{\"a\":").into(), "EOF while parsing"),
        (
            JSON,
            format!("{{\"sessions\":{}", deep("[")).into(),
            "EOF while parsing a list",
        ),
        (NDJSON, vec![], "the body has no sessions"),
        (NDJSON, text("\n\r\n  \n\n"), "the body has no sessions"),
        (NDJSON, many.join("\n").into(), "more than 10000 sessions"),
    ];
    for (content_type, body, fragment) in cases {
        let case = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        let answer = send(post(&server, content_type, body));
        assert_our_refusal(&case, &answer, 400, fragment);
        assert!(answer.json().get("errors").is_none(), "{case}: {answer:?}");
    }
    assert_still_works(&server);
}

#[test]
fn one_line_of_invalid_utf8_is_refused_alone() {
    let server = Server::start();
    let mut body = valid(&server, 1).into_bytes();
    body.extend_from_slice(b"\n{\"session_id\":\"\xc3\x28\"}\n\xff\xfe\n");
    body.extend_from_slice(valid(&server, 2).as_bytes());
    let answer = send(post(&server, NDJSON, body));
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["sessions_processed"]),
        (201, &json!(2)),
        "{body}"
    );
    for (at, line) in [1, 2].into_iter().enumerate() {
        assert_eq!(body["errors"][at]["index"], line, "{body}");
        assert!(
            body["errors"][at]["type"]
                .as_str()
                .unwrap()
                .contains("not a session"),
            "{body}"
        );
    }
    assert_eq!(server.counts(DAY), [2]);
}

#[test]
fn content_types() {
    let server = Server::start();
    let body = format!(r#"{{"sessions":[{}]}}"#, valid(&server, 0));
    for refused in [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/vnd.api+json",
        "json",
        "*/*",
        "application/json, application/x-ndjson",
    ] {
        let answer = send(post(&server, refused, body.clone()));
        let fragment =
            format!("must be application/json or application/x-ndjson, in UTF-8, received '{refused}'");
        assert_our_refusal(refused, &answer, 415, &fragment);
    }
    let missing = request(&server, &Method::POST, "/sessions/track").bearer_auth(&server.key);
    assert_our_refusal("none", &send(missing.body(body.clone())), 415, "received ''");
    assert_eq!(server.counts(DAY), [0]);
    let mut new = 1;
    for accepted in [
        "APPLICATION/Json",
        "application/json; charset=\"UTF-8\"",
        "application/json;charset=utf8;v=1",
    ] {
        let answer = send(post(&server, accepted, body.clone()));
        assert_eq!(
            (answer.status, &answer.json()["sessions_processed"]),
            (201, &json!(new)),
            "{accepted}"
        );
        new = 0;
    }
}

#[test]
fn compressed_bodies() {
    let server = Server::start();
    let body = format!(r#"{{"sessions":[{}]}}"#, valid(&server, 0)).into_bytes();
    let zeros = vec![0; 64 << 20];
    let (gzipped, zstandard) = (gzip(&body), zstd(&body));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let mut damaged = gzipped.clone();
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        (
            "gzip bomb",
            "gzip",
            gzip(&zeros),
            413,
            "larger than 32 MiB after decompression",
        ),
        (
            "gzip bomb in members",
            "gzip",
            gzip(&zeros[..1 << 20]).repeat(64),
            413,
            "larger than 32 MiB",
        ),
        (
            "zstd bomb",
            "zstd",
            zstd(&zeros),
            413,
            "larger than 32 MiB after decompression",
        ),
        (
            "zstd bomb in frames",
            "zstd",
            zstd(&zeros[..1 << 20]).repeat(64),
            413,
            "larger than 32 MiB",
        ),
        (
            "plain as gzip",
            "gzip",
            body.clone(),
            400,
            "not valid gzip, which 'Content-Encoding' says",
        ),
        (
            "plain as zstd",
            "zstd",
            body.clone(),
            400,
            "not valid zstd, which 'Content-Encoding' says",
        ),
        ("zstd as gzip", "gzip", zstandard.clone(), 400, "not valid gzip"),
        ("gzip as zstd", "zstd", gzipped.clone(), 400, "not valid zstd"),
        ("truncated gzip", "gzip", half(&gzipped), 400, "not valid gzip"),
        ("truncated zstd", "zstd", half(&zstandard), 400, "not valid zstd"),
        (
            "gzip without its end",
            "gzip",
            gzipped[..gzipped.len() - 4].to_vec(),
            400,
            "not valid gzip",
        ),
        (
            "gzip with a wrong checksum",
            "gzip",
            damaged,
            400,
            "not valid gzip",
        ),
        (
            "gzip and more",
            "gzip",
            [gzipped.clone(), body.clone()].concat(),
            400,
            "not valid gzip",
        ),
        ("nothing as gzip", "gzip", vec![], 400, "body"),
        ("nothing as zstd", "zstd", vec![], 400, "body"),
        (
            "compressed nothing",
            "gzip",
            gzip(b""),
            400,
            "EOF while parsing a value",
        ),
        (
            "brotli",
            "br",
            body.clone(),
            415,
            "'Content-Encoding' must be gzip, zstd or absent, received 'br'",
        ),
        ("deflate", "deflate", body.clone(), 415, "received 'deflate'"),
        (
            "two encodings",
            "gzip, zstd",
            gzipped.clone(),
            415,
            "received 'gzip, zstd'",
        ),
        ("nonsense", "rot13", body.clone(), 415, "received 'rot13'"),
    ];
    for (case, encoding, body, status, fragment) in cases {
        let answer = send(post(&server, JSON, body).header("content-encoding", encoding));
        assert_our_refusal(case, &answer, status, fragment);
    }
    let twice = post(&server, JSON, gzipped)
        .header("content-encoding", "gzip")
        .header("content-encoding", "gzip");
    assert_our_refusal(
        "the header twice",
        &send(twice),
        415,
        "'Content-Encoding' must be",
    );
    assert_still_works(&server);
}

#[test]
fn bodies_that_are_too_large() {
    let server = Server::start();
    let large = vec![b' '; (32 << 20) + 1];
    let whole = send(post(&server, JSON, large.clone()));
    assert_our_refusal("with its length", &whole, 413, "larger than 32 MiB");
    let chunked = send(post(&server, JSON, Body::new(std::io::Cursor::new(large))));
    assert_our_refusal("in chunks", &chunked, 413, "larger than 32 MiB");
    let mut largest = format!(r#"{{"sessions":[{}]}}"#, valid(&server, 0))
        .replace("2024", "2023")
        .into_bytes();
    largest.resize(32 << 20, b' ');
    assert_eq!(send(post(&server, JSON, largest)).status, 201, "exactly 32 MiB");
    assert_still_works(&server);
}
