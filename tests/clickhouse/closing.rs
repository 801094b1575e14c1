//! Closed days are counted once; late sessions open them again.

use std::ops::Range;
use std::path::Path;

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

/// Until so many seconds have gone by.
fn pass(host: &str, seconds: u32) {
    let now = || {
        execute(host, "SELECT toUInt32(now())")
            .unwrap()
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let begun = now();
    eventually("that time passes", || now() > begun + seconds);
}

/// What a process of its own says that imports sessions.
fn import(address: &str, app: &str, place: &Path, numbers: Range<u64>) -> Value {
    let file = place.join(format!("{}-{}.ndjson", numbers.start, numbers.end));
    let lines: Vec<String> = numbers.map(|number| session(app, number).to_string()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    command(address, &["import", file.to_str().unwrap()])
}

#[test]
fn what_any_process_writes_all_see_within_a_second() {
    let cluster = cluster();
    let host = cluster.nodes[2].host();
    // Days do not close in this test: what is shown too long stays wrong.
    let address = address(&cluster.hosts(), "seen").replace("close_after=2", "close_after=3600");
    let one = serve(&address, None);
    let two = serve(&address, Some(&one));
    let place = tempfile::TempDir::new().unwrap();
    let app = one.app.as_str();
    let mut all = 0;
    for round in 0..8 {
        // By four at once, two of which have written it all when they end; each session comes twice.
        let (first, more) = (all, 3 + round * round * 7 % 40);
        let quarter = |number: u64| first + number * more..first + (number + 1) * more;
        std::thread::scope(|scope| {
            for number in [0, 1] {
                let (address, place) = (&address, place.path().join(format!("{round}-{number}")));
                std::fs::create_dir(&place).unwrap();
                scope.spawn(move || {
                    import(
                        address,
                        app,
                        &place,
                        quarter(number).start..quarter(number + 1).end,
                    )
                });
            }
            scope.spawn(|| one.record(&[session(app, quarter(1).end - 1)]));
            scope.spawn(|| two.track(&body(app, quarter(0))));
        });
        all += more * 3;
        pass(&host, 1);
        assert_eq!(one.counts(ALL_DAYS), by_day(all), "round {round}");
        assert_eq!(two.counts(ALL_DAYS), by_day(all), "round {round}");
        // Alone, so that it is the only one that announces anything.
        let report = import(&address, app, place.path(), all - 1..all + 1);
        assert_eq!(report["recorded"], 1, "{report}");
        all += 1;
        pass(&host, 1);
        assert_eq!(two.counts(ALL_DAYS), by_day(all), "round {round}");
        assert_eq!(one.counts(ALL_DAYS), by_day(all), "round {round}");
    }
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
}

#[test]
fn once_all_is_written_days_are_not_counted_again_and_again_until_they_close() {
    let cluster = cluster();
    let host = cluster.nodes[1].host();
    let address = address(&cluster.hosts(), "settled").replace("close_after=2", "close_after=3600");
    let one = serve(&address, None);
    let place = tempfile::TempDir::new().unwrap();
    assert_eq!(
        import(&address, &one.app, place.path(), 0..1_000)["recorded"],
        1_000
    );
    eventually("what was imported", || one.counts(ALL_DAYS) == by_day(1_000));

    // What another process adds is seen within a second.
    let other = serve(&address, Some(&one));
    assert_eq!(other.counts(ALL_DAYS), by_day(1_000));
    other.track(&body(&one.app, 1_000..1_001));
    assert_eq!(other.counts(ALL_DAYS), by_day(1_001));
    pass(&host, 1);
    assert_eq!(one.counts(ALL_DAYS), by_day(1_001));

    // It ends, having written everything: a little later nobody looks at sessions any more.
    assert_eq!(other.stop(), Some(0));
    pass(&host, 1);
    assert_eq!(one.counts(ALL_DAYS), by_day(1_001));
    pass(&host, 4);
    assert_eq!(one.counts(ALL_DAYS), by_day(1_001));
    delete_sessions(&cluster, "settled");
    pass(&host, 1);
    assert_eq!(one.counts(ALL_DAYS), by_day(1_001));

    // But for the day to which somebody writes.
    one.track(&body(&one.app, 1_001..1_002));
    let mut expected = by_day(1_001);
    expected[1] = 1;
    assert_eq!(one.counts(ALL_DAYS), expected);
    assert_eq!(kept(&host, "settled"), 0, "no day is closed");
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

#[test]
fn all_processes_of_a_store_close_days_after_the_same_time() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "agreed");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..10));
    let other = address.replace("close_after=2", "close_after=5");
    let refused = run(&other, &["workspace", "list"]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success()
            && errors.contains("made with close_after=2")
            && errors.contains("close_after=5"),
        "{errors}"
    );
    // Who names none takes that of the store.
    let silent = serve(&address.replace("&close_after=2", ""), Some(&server));
    assert_eq!(silent.counts(ALL_DAYS), by_day(10));
    eventually("days that are closed", || {
        kept(&cluster.nodes[0].host(), "agreed") == 10
    });
}
