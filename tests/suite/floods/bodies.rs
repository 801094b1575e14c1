//! Large bodies, many at a time, that come slowly or not at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Server, eventually, send};
use serde_json::json;

const MIB: usize = 1 << 20;

/// Memory of a process in MiB: `VmRSS` is what it holds now, `VmHWM` the most that it ever held.
fn memory(server: &Server, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: usize = line
        .trim_matches(|byte: char| !byte.is_ascii_digit())
        .parse()
        .unwrap();
    kib / 1024
}

/// Sends all but the last byte of a body of 32 MiB, and leaves the connection open. Ends early where the server refuses.
fn hold(server: &Server, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        32 * MIB
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b' '; MIB];
    for number in 0..32 {
        let length = if number == 31 { MIB - 1 } else { MIB };
        if stream.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    stream
}

fn hold_all(server: &Server, count: usize, path: &str, headers: &str) -> Vec<TcpStream> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| hold(server, path, headers)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A body that has to have a part of the budget.
fn large_body(server: &Server, number: usize) -> String {
    let session = server.session(&number.to_string(), "2024-01-01T12:00:00Z");
    let mut body = json!({ "sessions": [session] }).to_string();
    body.push_str(&" ".repeat(200_000));
    body
}

#[test]
fn clients_without_a_key_do_not_keep_out_callers_with_one() {
    let server = Server::start();
    let mut held = hold_all(&server, 8, "/v1/logs", "");
    for number in 0..10 {
        let answer = server
            .try_track("application/json", large_body(&server, number))
            .unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    // Nor other clients, whose bodies are small.
    let small = server.client().post(format!("{}/v1/logs", server.url));
    let small = send(small.header("content-type", "application/json").body("{}"));
    assert_eq!(small.status, 200, "{}", small.text);
    // Those that are too many were told so.
    let mut refused = 0;
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 503");
            refused += 1;
        }
    }
    assert!((5..=7).contains(&refused), "{refused}");
}

#[test]
fn memory_stays_below_what_the_limits_say_and_is_given_back() {
    let server = Server::start();
    let answer = server
        .try_track("application/json", large_body(&server, 0))
        .unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    let before = memory(&server, "VmRSS:");
    let key = format!("authorization: Bearer {}\r\n", server.key);
    let held = [
        hold_all(&server, 8, "/sessions/track", &key),
        hold_all(&server, 8, "/v1/logs", ""),
    ];
    drop(held);
    let most = memory(&server, "VmHWM:");
    // The budgets are 256 MiB; connections have buffers of their own.
    assert!(most < before + 256 + 48, "{before} MiB, then {most} MiB");
    eventually("the memory is given back", || {
        memory(&server, "VmRSS:") < before + 48
    });
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [1]);
}

#[test]
fn decompressing_is_within_the_limits_too() {
    let server = Server::start();
    let before = memory(&server, "VmRSS:");
    let zeros = vec![b' '; 32 * MIB];
    let body = zstd::encode_all(&zeros[..], 1).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let request = server.client().post(format!("{}/sessions/track", server.url));
                let request = request.bearer_auth(&server.key).body(body.clone());
                let request = request
                    .header("content-type", "application/json")
                    .header("content-encoding", "zstd");
                let answer = send(request);
                assert!([400, 503].contains(&answer.status), "{}", answer.text);
            });
        }
    });
    let most = memory(&server, "VmHWM:");
    assert!(most < before + 160 + 48, "{before} MiB, then {most} MiB");
    eventually("the memory is given back", || {
        memory(&server, "VmRSS:") < before + 48
    });
}
