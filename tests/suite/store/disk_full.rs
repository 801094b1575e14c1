//! A full disk costs nobody anything that was acknowledged. It is simulated with a limit on the size of files, which
//! makes writing fail in the middle of a commit.

use super::*;
use crate::support::{Answer, send, signal};

/// In blocks of 512 bytes: 1 MiB for each file.
const LIMIT: &str = r#"ulimit -f 2048; trap "" XFSZ"#;

fn check_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(
        answer.message().contains("nothing was recorded"),
        "{}",
        answer.text
    );
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.header("content-type"), "application/json");
}

fn a_full_disk_refuses_and_keeps(ending: &str) {
    const BATCH: i64 = 500;
    let first = Server::start();
    let (data, key, app) = (first.data.clone(), first.key.clone(), first.app.clone());
    first.record(&sessions(&app, "s", 0..BATCH));
    let _kept = first.keep_directory();

    let mut server = Server::start_limited(&data, LIMIT);
    server.key.clone_from(&key);
    let mut acknowledged = BATCH;
    let refused = loop {
        let batch = sessions(&app, "s", acknowledged..acknowledged + BATCH);
        let answer = server.track(&json!({ "sessions": batch }));
        if answer.status != 201 {
            check_refused(&answer);
            break batch;
        }
        acknowledged += BATCH;
        assert!(acknowledged < 1_000 * BATCH, "the limit was never reached");
    };
    assert!(acknowledged > BATCH, "nothing could be recorded before the limit");
    // Reading goes on, and nothing of the refused batch is in it.
    let expected = |sent: i64| -> Vec<u64> { (0..100).map(|day| ((sent + 99 - day) / 100) as u64).collect() };
    assert_eq!(server.counts(ALL_DAYS), expected(acknowledged));
    for _ in 0..3 {
        check_refused(&server.track(&json!({ "sessions": refused })));
        assert_eq!(server.counts(ALL_DAYS), expected(acknowledged));
    }
    for path in ["/health", "/ready"] {
        let answer = send(server.client().get(format!("{}{path}", server.ops)));
        assert_eq!(answer.status, 200, "{path}");
    }
    let verified = server.command(&["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(acknowledged))
    );

    signal(server.id(), ending);
    assert_eq!(server.wait(), (ending == "TERM").then_some(0));
    let server = start_with_key(&data, &key);
    assert_eq!(server.counts(ALL_DAYS), expected(acknowledged));
    let answer = server.record(&refused).json();
    assert_eq!(answer["sessions_processed"], BATCH);
    let answer = server.record(&refused).json();
    assert_eq!(answer["duplicates"], BATCH);
    let answer = server.record(&sessions(&app, "s", 0..1_000)).json();
    assert_eq!(answer["duplicates"], 1_000);
    assert_eq!(server.counts(ALL_DAYS), expected(acknowledged + BATCH));
    let verified = server.command(&["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
}

#[test]
fn a_full_disk_refuses_what_it_can_not_keep_and_keeps_the_rest() {
    a_full_disk_refuses_and_keeps("TERM");
}

#[test]
fn a_full_disk_and_a_crash_lose_nothing() {
    a_full_disk_refuses_and_keeps("KILL");
}
