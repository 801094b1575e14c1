//! When more comes in than the store can take, callers are told to come back; memory stays bounded, nothing is lost.

use std::fmt::Write as _;
use std::sync::mpsc;

use crate::support::gate::Gate;
use crate::support::{Answer, Server, clickhouse, send};
use rusqlite::Connection;
use tempfile::TempDir;

/// 24 calls of 10,000 sessions: more than the 200,000 that may wait.
const CALLS: usize = 24;

fn body(server: &Server, call: usize) -> String {
    (0..10_000).fold(String::new(), |mut lines, line| {
        let app = &server.app;
        writeln!(
            lines,
            r#"{{"app_id":"{app}","session_id":"{call}-{line}","started_at":1700000000}}"#
        )
        .unwrap();
        lines
    })
}

fn deliver(server: &Server, body: String) -> Answer {
    let request = server
        .client()
        .post(format!("{}/sessions/track", server.url))
        .bearer_auth(&server.key);
    send(request.header("content-type", "application/x-ndjson").body(body))
}

/// A store that can be kept from committing anything.
enum Held {
    /// By somebody else who has the write lock.
    File(Connection),
    /// By a network that loses touch with the server.
    Network(Gate),
}

fn start() -> (Server, Held) {
    let directory = TempDir::new().unwrap();
    if let Some((address, gate)) = clickhouse::address_behind_gate(directory.path()) {
        return (Server::start_over(&address), Held::Network(gate));
    }
    let server = Server::start();
    let file = Connection::open(server.data.join("sessions.sqlite")).unwrap();
    (server, Held::File(file))
}

impl Held {
    fn hold(&self) {
        match self {
            Self::File(other) => other.execute_batch("BEGIN IMMEDIATE").unwrap(),
            Self::Network(gate) => gate.close(),
        }
    }

    fn release(&self) {
        match self {
            Self::File(other) => other.execute_batch("ROLLBACK").unwrap(),
            Self::Network(gate) => gate.open(),
        }
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_what_was_refused_can_be_sent_again() {
    let (server, store) = start();
    let bodies: Vec<String> = (0..CALLS).map(|call| body(&server, call)).collect();
    store.hold();
    let (answers, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for (call, body) in bodies.iter().enumerate() {
            let (server, answers) = (&server, answers.clone());
            scope.spawn(move || answers.send((call, deliver(server, body.clone()))).unwrap());
        }
        drop(answers);
        // The first answer there is can only be a refusal.
        let first = received.recv().unwrap();
        store.release();
        let mut refused = Vec::new();
        for (call, answer) in std::iter::once(first).chain(received.iter()) {
            match answer.status {
                201 => {}
                503 => {
                    assert!(
                        answer.message().contains("too many sessions are waiting"),
                        "{}",
                        answer.text
                    );
                    assert_eq!(answer.header("retry-after"), "1");
                    refused.push(call);
                }
                status => panic!("{status}: {}", answer.text),
            }
        }
        assert!(!refused.is_empty());
        let recorded = (CALLS - refused.len()) as u64 * 10_000;
        assert_eq!(server.counts("length=1&ending_at=1700000000"), [recorded]);
        for call in refused {
            assert_eq!(deliver(&server, bodies[call].clone()).status, 201);
        }
    });
    assert_eq!(
        server.counts("length=1&ending_at=1700000000"),
        [CALLS as u64 * 10_000]
    );
}
