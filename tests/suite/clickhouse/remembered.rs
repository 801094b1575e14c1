//! Every delivery is written, and what a process remembers of recorded sessions is never more than what is recorded.

use super::*;
use crate::clickhouse::cluster::cluster;
use crate::support::clickhouse::execute;

/// Records sessions; how many were new, and how many were not.
fn track(server: &Server, body: &Value) -> (u64, u64) {
    let answer = server.track(body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let number = |name: &str| answer.json()[name].as_u64().unwrap();
    (number("sessions_processed"), number("duplicates"))
}

#[test]
fn each_process_tells_duplicates_of_its_own_and_everything_counts_once() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "remembered");
    let one = serve(&address, None);
    let app = &one.app;
    assert_eq!(track(&one, &body(app, 0..3_000)), (3_000, 0));
    assert_eq!(track(&one, &body(app, 0..3_000)), (0, 3_000));
    let two = serve(&address, Some(&one));
    assert_eq!(track(&two, &body(app, 2_000..5_000)), (3_000, 0));
    assert_eq!(track(&two, &body(app, 2_000..6_000)), (1_000, 3_000));
    assert_eq!(track(&one, &body(app, 2_000..7_000)), (4_000, 1_000));
    assert_eq!(one.counts(ALL_DAYS), by_day(7_000));
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], 7_000);
}

#[test]
fn what_could_not_be_written_is_nobodys_duplicate() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let address = address(&cluster.hosts(), "unwritten");
    let server = serve(&address, None);
    let rename = |from: &str, to: &str| {
        let sql = format!("RENAME TABLE unwritten.{from} TO unwritten.{to} ON CLUSTER {CLUSTER}");
        execute(&host, &sql).unwrap();
    };
    rename("sessions", "away");
    // While one commit fails, the next is prepared: it must not rely on what is not there.
    for round in 0..5 {
        let sessions = body(&server.app, 1_500 * round..1_500 * (round + 1));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let answer = server.track(&sessions);
                    assert!(answer.status >= 500, "{}", answer.text);
                });
            }
        });
    }
    rename("away", "sessions");
    assert_eq!(track(&server, &body(&server.app, 0..7_500)), (7_500, 0));
    assert_eq!(server.counts(ALL_DAYS), by_day(7_500));
}
