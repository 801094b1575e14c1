//! Bodies that are cheap to send and dear to read.

use std::io::Write as _;

use crate::support::{Answer, Server, send};

const LARGE: usize = 30_000_000;
/// Large enough for every limit, and read in a moment without optimisation, too.
const MEDIUM: usize = 6_000_000;

fn repeated(part: &[u8], bytes: usize) -> Vec<u8> {
    part.repeat(bytes / part.len())
}

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = server.client().post(format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.bearer_auth(&server.key).body(body))
}

#[test]
fn bodies_of_empty_parts_are_refused() {
    let server = Server::start();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"").unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&b""[..], 1).unwrap();
    let skipped = b"\x50\x2a\x4d\x18\0\0\0\0".to_vec();
    for (encoding, part) in [("gzip", gzip), ("zstd", zstd), ("zstd", skipped)] {
        for path in ["/v1/logs", "/sessions/track", "/sessions/collect"] {
            let headers = [
                ("content-type", "application/json"),
                ("content-encoding", encoding),
            ];
            let answer = post(&server, path, &headers, repeated(&part, LARGE));
            assert_eq!(answer.status, 400, "{path}: {}", answer.text);
            let expected = format!("more than 10000 {encoding} streams");
            assert!(answer.text.contains(&expected), "{path}: {}", answer.text);
        }
    }
}

#[test]
fn bodies_of_a_million_small_things_are_answered() {
    let server = Server::start();
    let app = &server.app;
    let json = "application/json";
    let ndjson = "application/x-ndjson";
    let protobuf = "application/x-protobuf";
    let envelope = format!("/api/1/envelope/?sentry_key={}", app.replace('-', ""));
    let of =
        |before: &str, part: &str| [before.as_bytes().to_vec(), repeated(part.as_bytes(), MEDIUM)].concat();
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        (
            "/sessions/track",
            ndjson,
            of("", "\n"),
            400,
            "more than 100000 lines",
        ),
        (
            "/sessions/track",
            ndjson,
            of("", "{}\n"),
            400,
            "more than 10000 sessions",
        ),
        (
            "/sessions/track",
            json,
            of("", "["),
            400,
            "nested more than 128 deep",
        ),
        (
            "/sessions/track",
            json,
            of("", "{\"a\":"),
            400,
            "nested more than 128 deep",
        ),
        (
            "/sessions/track",
            json,
            of("{\"sessions\":[0", ",0"),
            400,
            "EOF while parsing",
        ),
        (
            "/users/track",
            json,
            of("{", "\"events\":[0],"),
            400,
            "duplicate field",
        ),
        (
            "/segments/create",
            json,
            of("{\"tags\":[\"\"", ",\"\""),
            413,
            "larger than 1 MiB",
        ),
        (
            &envelope,
            json,
            of("{}\n", "{\"type\":\"x\"}\n\n"),
            413,
            "more than 10000 items",
        ),
        (
            &envelope,
            json,
            of("{}\n", "{\"type\":\"session\"}\n{}\n"),
            413,
            "more than 10000",
        ),
        ("/v1/logs", json, of("", "["), 400, "nested more than 128 deep"),
        (
            "/v1/logs",
            json,
            of("{\"resourceLogs\":[{}", ",{}"),
            400,
            "EOF while parsing",
        ),
        ("/v1/logs", protobuf, of("", "\n\0"), 200, ""),
    ];
    for (path, content_type, body, status, fragment) in cases {
        let answer = post(&server, path, &[("content-type", content_type)], body);
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(answer.text.contains(fragment), "{path}: {}", answer.text);
    }
    assert_eq!(server.counts("length=1"), [0]);
}
