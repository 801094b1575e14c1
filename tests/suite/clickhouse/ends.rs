//! The latest end wins, whichever process gets it, and however soon.

use super::*;
use crate::clickhouse::cluster::cluster;
use crate::support::{Answer, send};

/// Sessions, each on a day of its own.
const SESSIONS: u64 = 60;

fn delivered(app: &str, number: u64, duration: Option<u64>) -> Value {
    let mut session = session(app, number);
    session["session_id"] = format!("e{number}").into();
    if let Some(duration) = duration {
        session["duration"] = duration.into();
    }
    session
}

/// A session's end on its own, as OpenTelemetry's SDKs report it.
fn end(server: &Server, number: u64, duration: u64) -> Answer {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let session = delivered(&server.app, number, None);
    let at = session["started_at"].as_u64().unwrap() + duration;
    let body = json!({ "resourceLogs": [{
        "resource": { "attributes": [text("sessionmeter.app.id", &server.app)] },
        "scopeLogs": [{ "logRecords": [{
            "timeUnixNano": (at * 1_000_000_000).to_string(),
            "eventName": "session.end",
            "attributes": [text("session.id", session["session_id"].as_str().unwrap())],
        }] }],
    }] });
    send(
        server
            .client()
            .post(format!("{}/v1/logs", server.url))
            .json(&body),
    )
}

/// Seconds of each session, by number.
fn durations(address: &str) -> Vec<Option<u64>> {
    let output = run(address, &["export"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut durations = vec![None; usize::try_from(SESSIONS).unwrap()];
    for line in text.lines() {
        let session: Value = serde_json::from_str(line).unwrap();
        let number = session["session_id"].as_str().unwrap().strip_prefix('e');
        if let Some(number) = number {
            durations[number.parse::<usize>().unwrap()] = session["duration"].as_u64();
        }
    }
    durations
}

#[test]
fn an_end_that_another_process_gets_at_once_is_kept() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "ends");
    let one = serve(&address, None);
    let two = serve(&address, Some(&one));
    let app = one.app.as_str();
    let mut expected = Vec::new();
    for number in 0..SESSIONS {
        // The second process has looked what others do, and may not look again for a moment.
        two.record(&[session(app, number + 50)]);
        let started = delivered(app, number, None);
        match number % 3 {
            // The end comes with the session once more.
            0 => {
                one.record(&[started]);
                two.track(&json!({ "sessions": [delivered(app, number, Some(60))] }));
            }
            // On its own.
            1 => {
                one.record(&[started]);
                assert_eq!(end(&two, number, 60).status, 200);
            }
            // Both at one time, with two ends.
            _ => std::thread::scope(|scope| {
                for (server, duration) in [(&one, 30), (&two, 60)] {
                    let session = delivered(app, number, Some(duration));
                    scope.spawn(move || server.track(&json!({ "sessions": [session] })));
                }
            }),
        }
        expected.push(Some(60));
    }
    assert_eq!(durations(&address), expected);
    let total: u64 = two.counts(ALL_DAYS).iter().sum();
    assert_eq!(total, SESSIONS * 2);
}
