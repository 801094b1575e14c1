//! Many connections.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Server, eventually, send};

fn metric(server: &Server, name: &str) -> u64 {
    let text = send(server.client().get(format!("{}/metrics", server.ops))).text;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or("0");
    line.trim().parse().unwrap()
}

/// What a connection is told without having asked.
fn told(mut stream: &TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn an_address_may_not_have_more_connections_than_its_limit() {
    let server = Server::start_with(&["--connections-per-address", "20"]);
    let held: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    eventually("thirty are refused", || {
        metric(&server, "sessionmeter_connections_refused_total") == 30
    });
    let answer = told(&held[49]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 1\r\n"),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("as many connections as it may"), "{message}");
    eventually("the log says so once", || {
        server.log().contains("--connections-per-address")
    });
    assert_eq!(server.log().matches("--connections-per-address").count(), 1);
    drop(held);
    eventually("the places are free again", || {
        let answer = server.client().get(format!("{}/health", server.url)).send();
        answer.is_ok_and(|answer| answer.status() == 200)
    });
}

#[test]
fn trusted_proxies_bring_the_connections_of_many() {
    let server = Server::start_with(&["--connections-per-address", "2", "--trusted-proxies", "127.0.0.1"]);
    let held: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    let answer = send(server.client().get(format!("{}/health", server.url)));
    assert_eq!(answer.status, 200);
    assert_eq!(metric(&server, "sessionmeter_connections_refused_total"), 0);
    drop(held);
}
