//! What does not look like HTTP, is too large for its head, or ends too early; and clients that speak HTTP/2.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use reqwest::blocking::Client;
use serde_json::json;

use super::{DAY, JSON, assert_our_refusal, assert_still_works, valid};
use crate::support::{Answer, Server, raw, send};

const SERIES: &str = "/sessions/data_series?length=1&ending_at=2024-01-01";

/// A request with a key, on a connection of its own.
fn head(server: &Server, first: &str, more: &str) -> Vec<u8> {
    let key = &server.key;
    format!("{first}\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n{more}\r\n")
        .into_bytes()
}

fn get(server: &Server, target: &str, more: &str) -> Vec<u8> {
    head(server, &format!("GET {target} HTTP/1.1"), more)
}

fn answer(server: &Server, request: &[u8]) -> Answer {
    raw(server.address(), request, false).expect("an answer")
}

/// What can't be read as HTTP at all gets a status and the end of the connection, and nothing that a browser would run.
fn assert_bare_refusal(case: &str, answer: &Answer, status: u16) {
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (status, ""),
        "{case}: {answer:?}"
    );
    assert_eq!(answer.header("connection"), "close", "{case}: {answer:?}");
}

#[test]
fn what_is_not_http_is_refused() {
    let server = Server::start();
    let key = server.key.clone();
    let tls = [&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3], [0_u8; 300].as_slice()].concat();
    let series = |target: &str| get(&server, &format!("/sessions/data_series?{target}"), "");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", b"garbage\r\n\r\n".to_vec()),
        ("zeros", vec![0; 100]),
        ("a TLS handshake", tls),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("Redis", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        ("HTTP/2 in the request line", head(&server, "GET / HTTP/2.0", "")),
        ("an unknown version", head(&server, "GET / HTTP/9.9", "")),
        ("a lower-case version", head(&server, "GET / http/1.1", "")),
        (
            "a space in the URL",
            series("length=1&ending_at=2018-06-28 23:59:59"),
        ),
        ("quotes in the URL", series("length=\"1\"")),
        (
            "Latin-1 in the URL",
            b"GET /sessions/data_series?length=\xe9 HTTP/1.1\r\n\r\n".to_vec(),
        ),
        ("a NUL in the URL", series("length=\0")),
        (
            "a header without a colon",
            head(&server, "GET / HTTP/1.1", "no colon here\r\n"),
        ),
        (
            "a space in a header's name",
            head(&server, "GET / HTTP/1.1", "bad name: x\r\n"),
        ),
        (
            "a NUL in a header",
            head(&server, "GET / HTTP/1.1", "x: a\0b\r\n"),
        ),
        ("a folded header", get(&server, SERIES, "x: a\r\n  b\r\n")),
        ("a header split by CR", get(&server, SERIES, "x: a\rb\r\n")),
        (
            "two lengths",
            head(
                &server,
                "POST /sessions/track HTTP/1.1",
                "content-length: 1\r\ncontent-length: 2\r\n",
            ),
        ),
        (
            "a negative length",
            head(&server, "POST /sessions/track HTTP/1.1", "content-length: -1\r\n"),
        ),
        (
            "no number as length",
            head(
                &server,
                "POST /sessions/track HTTP/1.1",
                "content-length: ten\r\n",
            ),
        ),
        (
            "an unknown transfer encoding",
            head(
                &server,
                "POST /sessions/track HTTP/1.1",
                "transfer-encoding: x\r\n",
            ),
        ),
    ];
    for (case, request) in cases {
        let answer = answer(&server, &request);
        assert_bare_refusal(case, &answer, 400);
    }
    assert!(!server.log().contains(&key));
    assert_still_works(&server);
}

#[test]
fn heads_that_are_too_large() {
    let server = Server::start();
    let header = |bytes: usize| get(&server, SERIES, &format!("x: {}\r\n", "a".repeat(bytes)));
    let url = |bytes: usize| get(&server, &format!("{SERIES}&x={}", "a".repeat(bytes)), "");
    let headers = |count: usize| {
        let lines: String = (0..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        get(&server, SERIES, &lines)
    };
    let (large_head, long_url) = ("at most 32 KiB and 100 headers", "at most 8 KiB are accepted");
    for (case, request, status, fragment) in [
        ("a header of 33 KiB", header(33 << 10), 431, large_head),
        ("a header of 64 KiB", header(64 << 10), 431, large_head),
        ("a URL of 9 KiB", url(9 << 10), 414, long_url),
    ] {
        assert_our_refusal(case, &answer(&server, &request), status, fragment);
    }
    for (case, request, status) in [
        ("a header of 300 KiB", header(300 << 10), 431),
        ("200 headers", headers(200), 431),
        ("a URL of 64 KiB", url(64 << 10), 414),
    ] {
        assert_bare_refusal(case, &answer(&server, &request), status);
    }
    let longest = 8 * 1024 - SERIES.len() - "&x=".len();
    for (case, request) in [
        ("a header of 31 KiB", header(31 << 10)),
        ("90 headers", headers(90)),
        ("a URL of 8 KiB", url(longest)),
    ] {
        assert_eq!(answer(&server, &request).status, 200, "{case}");
    }
    assert_our_refusal(
        "one byte more",
        &answer(&server, &url(longest + 1)),
        414,
        long_url,
    );
    assert_still_works(&server);
}

#[test]
fn unusual_but_valid_requests_are_answered() {
    let server = Server::start();
    let key = &server.key;
    for (case, request) in [
        (
            "an absolute URL",
            get(&server, &format!("http://example.com{SERIES}"), ""),
        ),
        (
            "HTTP/1.0",
            format!("GET {SERIES} HTTP/1.0\r\nauthorization: Bearer {key}\r\n\r\n").into(),
        ),
        (
            "bare line feeds",
            format!("GET {SERIES} HTTP/1.1\nhost: here\nconnection: close\nauthorization: Bearer {key}\n\n")
                .into(),
        ),
        (
            "empty lines before",
            [b"\r\n\r\n".to_vec(), get(&server, SERIES, "")].concat(),
        ),
        (
            "a body where none belongs",
            [get(&server, SERIES, "content-length: 4\r\n"), b"body".to_vec()].concat(),
        ),
    ] {
        let answer = answer(&server, &request);
        assert_eq!(answer.status, 200, "{case}: {answer:?}");
    }
    for first in ["OPTIONS * HTTP/1.1", "CONNECT example.com:80 HTTP/1.1"] {
        let answer = answer(&server, &head(&server, first, ""));
        assert_our_refusal(first, &answer, 404, "nothing at this path");
    }
    assert_still_works(&server);
}

#[test]
fn bodies_that_end_early() {
    let server = Server::start();
    let session = format!(r#"{{"sessions":[{}]}}"#, valid(&server, 0));
    let post = |more: &str, body: &str| {
        let more = format!("content-type: {JSON}\r\n{more}\r\n");
        [
            head(&server, "POST /sessions/track HTTP/1.1", &more),
            body.as_bytes().to_vec(),
        ]
        .concat()
    };
    let half = &session[..session.len() / 2];
    let chunk = format!("{:x}\r\n{half}", session.len());
    for (case, request) in [
        (
            "half of what was announced",
            post(&format!("content-length: {}", session.len()), half),
        ),
        (
            "all but one byte",
            post(&format!("content-length: {}", session.len() + 1), &session),
        ),
        ("half a chunk", post("transfer-encoding: chunked", &chunk)),
        (
            "no last chunk",
            post(
                "transfer-encoding: chunked",
                &format!("{:x}\r\n{session}\r\n", session.len()),
            ),
        ),
        (
            "no chunk's length",
            post("transfer-encoding: chunked", "zz\r\nabc"),
        ),
        ("30 MB announced", post("content-length: 30000000", "{")),
    ] {
        let answer = raw(server.address(), &request, true).expect("an answer");
        assert_our_refusal(case, &answer, 400, "the body ended early, after");
    }
    assert_still_works(&server);
}

/// Many clients write their whole request before they read: they must not find a closed connection where the
/// server has said what is wrong.
#[test]
fn a_refusal_reaches_a_client_that_sends_before_it_reads() {
    let server = Server::start();
    let bytes = 8 << 20;
    let announced = format!("content-type: {JSON}\r\ncontent-length: {bytes}\r\n");
    let track = "POST /sessions/track HTTP/1.1";
    let unknown = format!(
        "{track}\r\nhost: x\r\nauthorization: Bearer smk_{}\r\n{announced}\r\n",
        "0".repeat(43)
    );
    let mut failed = Vec::new();
    for (status, head) in [
        (400, head(&server, track, &announced)),
        (401, unknown.into_bytes()),
        (404, head(&server, "POST /nowhere HTTP/1.1", &announced)),
        (
            405,
            head(&server, "POST /sessions/data_series HTTP/1.1", &announced),
        ),
        (415, head(&server, track, &format!("content-length: {bytes}\r\n"))),
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let sent = stream
            .write_all(&head)
            .and_then(|()| stream.write_all(&vec![b' '; bytes]));
        let mut start = [0; 12];
        let read = stream.read_exact(&mut start);
        if sent.is_err() || read.is_err() || start != format!("HTTP/1.1 {status}").as_bytes() {
            failed.push((status, sent, read));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert_still_works(&server);
}

/// Who waits to be told to go on is told at once that there is no use.
#[test]
fn a_body_that_is_announced_as_too_large_is_not_asked_for() {
    let server = Server::start();
    for (target, bytes, message) in [
        ("/sessions/track", (32 << 20) + 1, "larger than 32 MiB"),
        ("/segments/create", (1 << 20) + 1, "larger than 1 MiB"),
    ] {
        let more = format!("content-type: {JSON}\r\ncontent-length: {bytes}\r\nexpect: 100-continue\r\n");
        let request = head(&server, &format!("POST {target} HTTP/1.1"), &more);
        assert_our_refusal(target, &answer(&server, &request), 413, message);
    }
    assert_still_works(&server);
}

#[test]
fn a_connection_lives_on_after_a_refusal() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let key = &server.key;
    for target in [
        "/nowhere",
        "/sessions/data_series",
        "/sessions/data_series?length=0",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
    }
    stream.write_all(&get(&server, SERIES, "")).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let statuses: Vec<&str> = all
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["404", "400", "400", "200"], "{all}");
}

#[test]
fn connections_that_say_nothing_do_not_disturb_others() {
    let server = Server::start();
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    for (number, mut stream) in silent.iter().enumerate() {
        if number % 2 == 0 {
            stream.write_all(b"GET /sessions/data_ser").unwrap();
        }
        if number % 3 == 0 {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
    assert_still_works(&server);
}

#[test]
fn refusals_over_http2() {
    let server = Server::start();
    let client = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let track = || {
        client
            .post(format!("{}/sessions/track", server.url))
            .bearer_auth(&server.key)
    };
    let series = |query: &str| client.get(format!("{}/sessions/data_series?{query}", server.url));
    let large = "a".repeat(64 << 10);
    for (case, request, status, fragment) in [
        ("no key", series(DAY), 401, "the API key is missing"),
        (
            "a wrong length",
            series("length=0").bearer_auth(&server.key),
            400,
            "'length' must be",
        ),
        (
            "a wrong path",
            client.get(format!("{}/nowhere", server.url)),
            404,
            "nothing at this path",
        ),
        (
            "a wrong method",
            client.get(format!("{}/sessions/track", server.url)),
            405,
            "it takes POST",
        ),
        (
            "a long URL",
            series(&format!("x={}", &large[..9 << 10])),
            414,
            "at most 8 KiB",
        ),
        (
            "a large header",
            series(DAY).header("x", &large),
            431,
            "at most 32 KiB",
        ),
        (
            "no content type",
            track().body("{}"),
            415,
            "'Content-Type' must be",
        ),
        (
            "a wrong body",
            track().header("content-type", JSON).body("{}"),
            400,
            "missing field `sessions`",
        ),
        (
            "a large body",
            track().header("content-type", JSON).body(vec![b' '; 33 << 20]),
            413,
            "larger than 32 MiB",
        ),
    ] {
        let response = request.send().unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert_eq!(response.version(), reqwest::Version::HTTP_2, "{case}");
        assert_our_refusal(case, &response.into(), status, fragment);
    }
    let head = send(client.head(format!("{}/nowhere", server.url)));
    assert_eq!((head.status, head.text.as_str()), (404, ""));
    let session = json!({ "sessions": [server.session("a", 1_704_067_200)] });
    assert_eq!(send(track().json(&session)).status, 201);
    assert_eq!(server.counts(DAY), [1]);
}
