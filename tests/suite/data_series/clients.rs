//! The same answer for every kind of client: compressed or not, HTTP/1.1 or HTTP/2, kept alive or not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Version;
use reqwest::blocking::{Client, ClientBuilder};

use super::{PATH, points, record_at, series};
use crate::support::{Answer, Server, send};

const LONG: &str = "length=100&unit=hour&ending_at=2024-01-05";
const SHORT: &str = "length=1&ending_at=2024-01-01";

fn client(build: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    build(Client::builder().no_proxy()).build().unwrap()
}

/// A client that shows what came over the wire.
fn plain() -> Client {
    client(|builder| builder.gzip(false).zstd(false))
}

fn ask(client: &Client, server: &Server, query: &str, accepted: Option<&str>) -> reqwest::blocking::Response {
    let request = client
        .get(format!("{}{PATH}?{query}", server.url))
        .bearer_auth(&server.key);
    let request = accepted.into_iter().fold(request, |request, accepted| {
        request.header("accept-encoding", accepted)
    });
    request.send().unwrap()
}

#[test]
fn long_answers_are_compressed_as_the_client_likes() {
    let server = Server::start();
    record_at(&server, &["2024-01-05T12:00:00Z"]);
    let expected = series(&server, LONG).text;
    for (accepted, encoding) in [
        (None, ""),
        (Some("identity"), ""),
        (Some("br"), ""),
        (Some("gzip;q=0"), ""),
        (Some("gzip"), "gzip"),
        (Some("zstd"), "zstd"),
        (Some("br, gzip"), "gzip"),
        (Some("gzip;q=0.1, zstd"), "zstd"),
        (Some("gzip, zstd;q=0"), "gzip"),
        (Some("gzip, identity;q=0"), "gzip"),
        (Some("*;q=0"), ""),
    ] {
        let response = ask(&plain(), &server, LONG, accepted);
        assert_eq!(response.status(), 200);
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        assert_eq!(header("content-encoding"), encoding, "{accepted:?}");
        assert_eq!(header("content-type"), "application/json");
        assert!(
            header("vary").contains("accept-encoding"),
            "{accepted:?}: caches must tell them apart"
        );
        let bytes = response.bytes().unwrap();
        assert!(
            encoding.is_empty() || bytes.len() < expected.len() / 4,
            "{accepted:?}: {}",
            bytes.len()
        );
        let mut text = String::new();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap(),
            "zstd" => zstd::stream::read::Decoder::new(&bytes[..])
                .unwrap()
                .read_to_string(&mut text)
                .unwrap(),
            _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, expected, "{accepted:?}");
    }
}

#[test]
fn clients_that_decompress_see_the_same() {
    let server = Server::start();
    record_at(&server, &["2024-01-01T12:00:00Z"]);
    for query in [LONG, SHORT, "length=0"] {
        let expected = Answer::from(ask(&plain(), &server, query, None));
        for client in [
            client(|builder| builder.gzip(true).zstd(false)),
            client(|builder| builder.gzip(false).zstd(true)),
            client(|builder| builder.http2_prior_knowledge()),
        ] {
            let answer = Answer::from(ask(&client, &server, query, None));
            assert_eq!(
                (answer.status, &answer.text),
                (expected.status, &expected.text),
                "{query}"
            );
        }
    }
}

#[test]
fn http2_without_tls_and_many_at_once() {
    let server = Server::start();
    record_at(&server, &["2024-01-01T12:00:00Z"]);
    let client = client(|builder| builder.http2_prior_knowledge());
    let first = ask(&client, &server, SHORT, None);
    assert_eq!(first.version(), Version::HTTP_2);
    assert_eq!(points(&first.into()), "2024-01-01 1");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(points(&ask(&client, &server, SHORT, None).into()), "2024-01-01 1");
                }
            });
        }
    });
}

/// Reads one answer with a known length from a connection that stays open; its head and body.
fn read_one(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn one_connection_serves_many_requests_also_pipelined() {
    let server = Server::start();
    record_at(&server, &["2024-01-01T12:00:00Z"]);
    let key = &server.key;
    let request = format!("GET {PATH}?{SHORT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let expected = series(&server, SHORT).text;
    for _ in 0..100 {
        stream.write_all(request.as_bytes()).unwrap();
        let (head, body) = read_one(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, expected);
    }
    stream.write_all(request.repeat(20).as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(read_one(&mut stream).1, expected);
    }
    // Slow senders are waited for.
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_one(&mut stream).1, expected);
    let closing = request.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(closing.as_bytes()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with(&expected), "{rest}");
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start();
    for (query, status) in [(SHORT, 200), (LONG, 200), ("length=0", 400)] {
        let url = format!("{}{PATH}?{query}", server.url);
        let get = send(plain().get(&url).bearer_auth(&server.key));
        let head = send(plain().head(&url).bearer_auth(&server.key));
        assert_eq!((head.status, head.text.as_str()), (status, ""), "{query}");
        for name in [
            "content-type",
            "content-length",
            "x-ratelimit-limit",
            "x-ratelimit-reset",
        ] {
            assert_eq!(head.header(name), get.header(name), "{query}: {name}");
        }
        assert!(!head.header("x-request-id").is_empty());
    }
    let without_key = send(plain().head(format!("{}{PATH}?{SHORT}", server.url)));
    assert_eq!(
        (without_key.status, without_key.header("www-authenticate")),
        (401, "Bearer")
    );
}
