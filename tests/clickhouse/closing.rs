//! Closed days are counted once; late sessions open them again.

use super::*;
use crate::cluster::cluster;
use crate::support::clickhouse::execute;
use crate::support::eventually;

/// Days that are kept, everyone's.
fn kept(host: &str, database: &str) -> u64 {
    let sql = format!("SELECT uniqExact(day) FROM {database}.counts WHERE series = 0");
    execute(host, &sql).unwrap().trim().parse().unwrap()
}

/// Takes all sessions away behind the program's back.
fn delete_sessions(cluster: &cluster::Cluster, database: &str) {
    let sql = format!("TRUNCATE TABLE {database}.sessions_local");
    for shard in cluster.nodes.chunks(2) {
        execute(&shard[0].host(), &sql).unwrap();
    }
}

#[test]
fn closed_days_are_counted_once_and_late_sessions_open_them_again() {
    let cluster = cluster();
    let host = cluster.nodes[1].host();
    let address = address(&cluster.hosts(), "closing");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..1_000));
    assert_eq!(server.counts(ALL_DAYS), by_day(1_000));
    eventually("a hundred kept days", || kept(&host, "closing") == 100);
    eventually("the same answer from kept days", || {
        server.counts(ALL_DAYS) == by_day(1_000)
    });
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], 1_000);
    assert!(verified["counters"].as_u64().unwrap() > 500, "{verified}");

    // A late session is in the very next answer, and in those of another process within a second.
    let other = serve(&address, Some(&server));
    assert_eq!(other.counts(ALL_DAYS), by_day(1_000));
    let answer = server.track(&body(&server.app, 1_000..1_001));
    assert_eq!(answer.json()["sessions_processed"], 1);
    assert_eq!(server.counts(ALL_DAYS), by_day(1_001));
    eventually("the late session in another process", || {
        other.counts(ALL_DAYS) == by_day(1_001)
    });
    // Delivered again, it opens the day and changes nothing.
    let answer = other.track(&body(&server.app, 0..1_001));
    assert_eq!(answer.json()["duplicates"], 1_001);
    assert_eq!(other.counts(ALL_DAYS), by_day(1_001));

    // Once all days are closed, nobody looks at sessions any more: not even a new process.
    eventually("all days closed again", || {
        let sql = "SELECT toUInt64(count()) FROM (SELECT day, max(changed) AS kept FROM closing.counts WHERE series = 0 \
                   GROUP BY day) ANY INNER JOIN (SELECT day, max(at) AS kept FROM closing.changes GROUP BY day) USING day, kept";
        execute(&host, sql).unwrap().trim() == "100"
    });
    delete_sessions(&cluster, "closing");
    let fresh = serve(&address, Some(&server));
    assert_eq!(fresh.counts(ALL_DAYS), by_day(1_001));
    // But a check does, and finds that they are gone.
    let verified: Value = serde_json::from_slice(&run(&address, &["verify", "--json"]).stdout).unwrap();
    assert_eq!(verified["agrees"], false, "{verified}");
}
