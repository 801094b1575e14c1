//! What all client endpoints share: CORS, and the limit per address.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;

use super::{post, public_key};
use crate::support::{Answer, Server, command, eventually, send};

const PATHS: [&str; 4] = [
    "/v1/logs",
    "/api/1/envelope/",
    "/api/1/envelope",
    "/sessions/collect",
];
const ORIGIN: &str = "access-control-allow-origin";

#[test]
fn browsers_of_any_origin_may_send() {
    let server = Server::start();
    let asked =
        "content-type,content-encoding,x-sentry-auth,sentry-trace,baggage,sessionmeter-app,traceparent";
    for path in PATHS {
        let url = format!("{}{path}", server.url);
        let preflight = server
            .client()
            .request(Method::OPTIONS, &url)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", asked);
        let answer = send(preflight);
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (204, ""),
            "{path}: {answer:?}"
        );
        assert_eq!(answer.header(ORIGIN), "*");
        assert_eq!(answer.header("access-control-allow-methods"), "POST");
        assert_eq!(answer.header("access-control-max-age"), "86400");
        let allowed = answer.header("access-control-allow-headers");
        for name in asked.split(',') {
            assert!(
                allowed.split(", ").any(|allowed| allowed == name),
                "{name}: {allowed}"
            );
        }
        let posted = post(&server, path, &[("origin", "https://shop.example")], "");
        let got = send(server.client().get(&url));
        assert_eq!(got.status, 405, "{path}");
        assert_eq!(got.header("allow"), "POST", "{path}");
        for answer in [posted, got] {
            assert!(answer.status >= 400, "{path}");
            assert_eq!(answer.header(ORIGIN), "*", "{path}: {answer:?}");
            assert!(
                answer
                    .header("access-control-expose-headers")
                    .contains("retry-after")
            );
        }
    }
    let key = public_key(&server);
    let answer = post(&server, &format!("/api/1/envelope/?sentry_key={key}"), &[], "{}");
    assert_eq!((answer.status, answer.header(ORIGIN)), (200, "*"));
    for path in ["/sessions/data_series", "/sessions/track", "/nowhere"] {
        let request = server
            .client()
            .request(Method::OPTIONS, format!("{}{path}", server.url));
        assert_eq!(send(request).header(ORIGIN), "", "{path}");
    }
}

#[test]
fn a_request_that_takes_too_long_is_told_so_in_the_words_of_its_protocol() {
    let server = Server::start_with(&["--request-timeout", "1"]);
    for (path, field) in [("/v1/logs", "code"), ("/api/1/envelope/", "detail")] {
        let head = "host: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\nconnection: close";
        let request = format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{{");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The server reads on for a while before it closes.
        for byte in BufReader::new(stream).bytes().map_while(Result::ok) {
            answer.push(byte);
            if byte == b'}' {
                break;
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        for part in [
            "HTTP/1.1 503 ",
            "\r\nretry-after: 1\r\n",
            "\r\naccess-control-allow-origin: *\r\n",
            &format!("\"{field}\":"),
        ] {
            assert!(answer.contains(part), "{path}: {part}: {answer}");
        }
    }
}

/// Sends until the answer is 429, which must come after at most two minutes' worth of requests.
fn until_refused(server: &Server, path: &str, headers: &[(&str, &str)]) -> (usize, Answer) {
    for number in 0..=6 {
        let answer = post(server, path, headers, "{}");
        if answer.status == 429 {
            return (number, answer);
        }
    }
    panic!("{path} {headers:?}: seven requests went through")
}

#[test]
fn an_address_may_not_send_more_than_the_limit() {
    let server = Server::start_with(&["--client-rate-limit", "3"]);
    let json = ("content-type", "application/json");
    let (before, answer) = until_refused(&server, "/v1/logs", &[json]);
    assert!(before >= 3, "{before}");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{answer:?}");
    assert_eq!(answer.json()["code"], 8, "{answer:?}");
    assert_eq!(answer.header(ORIGIN), "*");
    let (_, answer) = until_refused(&server, "/api/1/envelope/", &[]);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("more than 3 requests"), "{detail}");
    let wait = answer.header("retry-after");
    assert_eq!(
        answer.header("x-sentry-rate-limits"),
        format!("{wait}::key:rate_limited")
    );
    let (_, answer) = until_refused(&server, "/v1/logs", &[("content-type", "application/x-protobuf")]);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    // Nobody is believed who says that it forwards; and what needs a key is not limited by address.
    let (before, _) = until_refused(&server, "/v1/logs", &[json, ("x-forwarded-for", "192.0.2.1")]);
    assert!(before <= 3, "{before}");
    assert_eq!(server.counts("length=1"), [0]);
    let log = || server.log();
    eventually("the log line names the route", || {
        log()
            .lines()
            .any(|line| line.contains("/v1/logs") && line.contains("429"))
    });
}

#[test]
fn a_trusted_proxy_says_whose_request_it_is() {
    let server = Server::start_with(&["--client-rate-limit", "2", "--trusted-proxies", "127.0.0.1"]);
    let json = ("content-type", "application/json");
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1, 192.0.2.3"] {
        let (before, _) = until_refused(&server, "/v1/logs", &[json, ("x-forwarded-for", address)]);
        assert!(before >= 2, "{address}: {before}");
    }
}

#[test]
fn zero_is_no_limit() {
    let server = Server::start_with(&["--client-rate-limit", "0"]);
    for _ in 0..700 {
        assert_eq!(
            post(&server, "/v1/logs", &[("content-type", "application/json")], "{}").status,
            200
        );
    }
}

#[test]
fn an_app_that_a_command_made_is_known_within_a_second() {
    let server = Server::start();
    let app = command(&server.data, &["app", "create", "shop", "--workspace", "default"]);
    let key = app["id"].as_str().unwrap().replace('-', "");
    let path = format!("/api/1/envelope/?sentry_key={key}");
    eventually("the new app is known", || {
        post(&server, &path, &[], "{}").status == 200
    });
}
