//! Hostile and clumsy requests: each is refused with the right status, in JSON, with a message that names what was
//! wrong, and the server goes on recording and counting.

mod bodies;
mod connections;
mod segments;
mod sessions;

use crate::support::{Answer, Server, send};
use reqwest::Method;
use reqwest::blocking::{Body, RequestBuilder};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const DAY: &str = "length=1&ending_at=2024-01-01";

/// Every refusal has this form, whatever layer refused.
fn assert_refusal(case: &str, answer: &Answer, status: u16, fragment: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(answer.header("content-type"), JSON, "{case}: {answer:?}");
    let message = answer.message();
    assert!(!message.is_empty(), "{case}: {answer:?}");
    let text = match answer.json()["errors"][0]["type"].as_str() {
        Some(reason) => reason.to_owned(),
        None => message,
    };
    assert!(text.contains(fragment), "{case}: '{fragment}' is not in '{text}'");
    assert!(!text.contains("smk_") || text.contains("smk_…"), "{case}: {text}");
}

/// The same, from our own layers: they add a request id.
fn assert_our_refusal(case: &str, answer: &Answer, status: u16, fragment: &str) {
    assert_refusal(case, answer, status, fragment);
    assert!(!answer.header("x-request-id").is_empty(), "{case}: {answer:?}");
}

/// Nothing of the refused was recorded, nothing panicked, and the server still records and counts.
fn assert_still_works(server: &Server) {
    assert_eq!(server.counts(DAY), [0]);
    server.record(&[server.session("still works", "2024-01-01T12:00:00Z")]);
    assert_eq!(server.counts(DAY), [1]);
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn request(server: &Server, method: &Method, path: &str) -> RequestBuilder {
    server
        .client()
        .request(method.clone(), format!("{}{path}", server.url))
}

fn post(server: &Server, content_type: &str, body: impl Into<Body>) -> RequestBuilder {
    request(server, &Method::POST, "/sessions/track")
        .bearer_auth(&server.key)
        .header("content-type", content_type)
        .body(body)
}

fn valid(server: &Server, number: usize) -> String {
    let app = &server.app;
    format!(r#"{{"app_id":"{app}","session_id":"{number}","started_at":"2024-01-01T00:00:00Z"}}"#)
}

#[test]
fn parameters() {
    let server = Server::start();
    let long = format!("length=1&unit={}", "x".repeat(5000));
    let cut = format!("received '{}…'", "x".repeat(100));
    let cases = [
        ("", "'length' is required: an integer from 1 to 100"),
        ("length", "'length' must be an integer from 1 to 100, received ''"),
        ("length=", "received ''"),
        ("length=0", "received '0'"),
        ("length=101", "received '101'"),
        ("length=-1", "received '-1'"),
        ("length=+14", "received ' 14'"),
        ("length=%2B14", "received '+14'"),
        ("length=014", "received '014'"),
        ("length=14.0", "received '14.0'"),
        ("length=1e1", "received '1e1'"),
        ("length=0x10", "received '0x10'"),
        ("length=99999999999999999999", "received '99999999999999999999'"),
        ("length=%EF%BC%91", "received '１'"),
        ("length=1%00", "'length' must be an integer"),
        ("length=%00", "'length' must be an integer"),
        ("length=%ff", "'length' must be percent-encoded UTF-8"),
        ("length=1%", "received '1%'"),
        ("length=%zz", "received '%zz'"),
        ("LENGTH=1", "'length' is required"),
        ("length=1;unit=day", "received '1;unit=day'"),
        ("length[]=1", "'length' is required"),
        ("length=1&length=1", "'length' is given twice"),
        ("length=1&len%67th=2", "'length' is given twice"),
        ("length=1&unit=", "'unit' must be 'day' or 'hour', received ''"),
        ("length=1&unit=Day", "received 'Day'"),
        ("length=1&unit=week", "received 'week'"),
        ("length=1&unit=day%00", "'unit' must be"),
        ("length=1&unit=%C3%28", "'unit' must be percent-encoded UTF-8"),
        ("length=1&unit=day&unit=hour", "'unit' is given twice"),
        (long.as_str(), cut.as_str()),
        ("length=1&ending_at=", "'ending_at' must be an ISO 8601"),
        ("length=1&ending_at=yesterday", "received 'yesterday'"),
        ("length=1&ending_at=2018-13-01", "received '2018-13-01'"),
        ("length=1&ending_at=2018-02-30", "received '2018-02-30'"),
        ("length=1&ending_at=1969-12-31", "years 1970 to 9999"),
        ("length=1&ending_at=10000-01-01", "years 1970 to 9999"),
        ("length=1&ending_at=2018-06-28%00", "'ending_at' must be"),
        (
            "length=1&ending_at=%80",
            "'ending_at' must be percent-encoded UTF-8",
        ),
        (
            "length=1&ending_at=2018-06-28&ending_at=2018-06-28",
            "'ending_at' is given twice",
        ),
        (
            "length=1&app_id=",
            "'app_id' must be the id of an app of this workspace, received ''",
        ),
        ("length=1&app_id=%27%20OR%201=1--", "received '' OR 1=1--'"),
        (
            "length=1&app_id=..%2f..%2fetc%2fpasswd",
            "received '../../etc/passwd'",
        ),
        (
            "length=1&app_id=00dc3cf617635d5b8264db458aa346c3",
            "'app_id' must be",
        ),
        (
            "length=1&app_id=%F0%28%8C%28",
            "'app_id' must be percent-encoded UTF-8",
        ),
        ("length=1&app_id=a&app_id=b", "'app_id' is given twice"),
        ("length=1&segment_id=", "'segment_id' must be the id of a segment"),
        ("length=1&segment_id=1", "received '1'"),
        (
            "length=1&segment_id=%ff",
            "'segment_id' must be percent-encoded UTF-8",
        ),
        (
            "length=1&segment_id=a&segment_id=a",
            "'segment_id' is given twice",
        ),
    ];
    for (query, fragment) in cases {
        let answer = server.get(&format!("/sessions/data_series?{query}"));
        assert_our_refusal(query, &answer, 400, fragment);
    }
    assert_still_works(&server);
}

#[test]
fn paths_and_methods() {
    let server = Server::start();
    let takes = "this path does not take this method; it takes";
    let cases = [
        ("GET", "/sessions/data_serie", 404, "", "nothing at this path"),
        ("GET", "/ready", 404, "", "nothing at this path"),
        ("GET", "/Sessions/Data_Series", 404, "", "nothing at this path"),
        ("GET", "/sessions%2Fdata_series", 404, "", "nothing at this path"),
        ("GET", "/sessions/data_series%00", 404, "", "nothing at this path"),
        ("GET", "/%ff%fe", 404, "", "nothing at this path"),
        ("GET", "/..%2f..%2fetc/passwd", 404, "", "nothing at this path"),
        ("POST", "/", 405, "GET,HEAD", takes),
        ("OPTIONS", "/nowhere", 404, "", "nothing at this path"),
        ("POST", "/sessions/data_series", 405, "GET,HEAD", takes),
        ("PUT", "/sessions/data_series", 405, "GET,HEAD", takes),
        ("OPTIONS", "/sessions/data_series", 405, "GET,HEAD", takes),
        ("TRACE", "/sessions/data_series", 405, "GET,HEAD", takes),
        ("GET", "/sessions/track", 405, "POST", takes),
        ("DELETE", "/sessions/track", 405, "POST", takes),
        ("PROPFIND", "/sessions/track", 405, "POST", takes),
        ("OPTIONS", "/sessions/track", 405, "POST", takes),
        ("POST", "/health", 405, "GET,HEAD", takes),
        ("PATCH", "/openapi.json", 405, "GET,HEAD", takes),
    ];
    for (method, path, status, allow, fragment) in cases {
        let case = format!("{method} {path}");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = send(request(&server, &method, path).bearer_auth(&server.key));
        assert_our_refusal(&case, &answer, status, fragment);
        assert_eq!(answer.header("allow"), allow, "{case}");
        assert!(
            status != 405 || answer.message().ends_with(allow),
            "{case}: {answer:?}"
        );
    }
    for (path, status) in [
        ("/nowhere", 404),
        ("/sessions/track", 405),
        ("/sessions/data_series", 400),
    ] {
        let answer = send(request(&server, &Method::HEAD, path).bearer_auth(&server.key));
        assert_eq!((answer.status, answer.text.as_str()), (status, ""), "HEAD {path}");
        assert_eq!(answer.header("content-type"), JSON, "HEAD {path}");
        assert!(!answer.header("x-request-id").is_empty(), "HEAD {path}");
    }
    for path in ["/nowhere", "/metrics/x", "/sessions/data_series"] {
        let answer = send(server.client().get(format!("{}{path}", server.ops)));
        assert_our_refusal(path, &answer, 404, "nothing at this path");
    }
    assert_still_works(&server);
}
