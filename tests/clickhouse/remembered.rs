//! What a process remembers of recorded sessions is never more than what is recorded.

use super::*;
use crate::cluster::cluster;
use crate::support::clickhouse::execute;
use crate::support::eventually;

/// Sessions of the first day.
fn one_day(app: &str, numbers: std::ops::Range<u64>) -> Value {
    json!({ "sessions": numbers.map(|number| session(app, number * 100)).collect::<Vec<_>>() })
}

/// Records sessions; how many were new, and how many were not.
fn track(server: &Server, body: &Value) -> (u64, u64) {
    let answer = server.track(body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let number = |name: &str| answer.json()[name].as_u64().unwrap();
    (number("sessions_processed"), number("duplicates"))
}

/// Waits until so many seconds have gone by since any process last announced that it writes.
fn quiet(host: &str, seconds: u32) {
    let sql = format!("SELECT toUInt8(now() > max(at) + {seconds}) FROM remembered.writers");
    eventually("that nobody writes", || {
        execute(host, &sql).unwrap().trim() == "1"
    });
}

#[test]
fn large_batches_are_told_apart_exactly_by_every_process() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let address = address(&cluster.hosts(), "remembered");
    let one = serve(&address, None);
    let app = &one.app;
    assert_eq!(track(&one, &body(app, 0..3_000)), (3_000, 0));
    assert_eq!(track(&one, &body(app, 0..3_000)), (0, 3_000));
    let two = serve(&address, Some(&one));
    assert_eq!(track(&two, &body(app, 0..3_000)), (0, 3_000));
    assert_eq!(track(&two, &body(app, 3_000..6_000)), (3_000, 0));
    // Once a process knows that another one writes, it does not rely on what it remembers.
    quiet(&host, 1);
    assert_eq!(track(&one, &body(app, 2_000..7_000)), (1_000, 4_000));

    // A process that is asked for many sessions of a day learns the whole day once no other one writes.
    let three = serve(&address, Some(&one));
    assert_eq!(track(&three, &one_day(app, 60..3_060)), (2_990, 10));
    assert_eq!(track(&three, &one_day(app, 60..3_060)), (0, 3_000));
    let four = serve(&address, Some(&one));
    assert_eq!(track(&four, &one_day(app, 0..6_060)), (3_000, 3_060));
    assert_eq!(track(&four, &one_day(app, 0..6_060)), (0, 6_060));
    let five = serve(&address, Some(&one));
    assert_eq!(track(&five, &one_day(app, 0..6_060)), (0, 6_060));
    quiet(&host, 3);
    assert_eq!(track(&five, &one_day(app, 5_000..7_000)), (940, 1_060));
    assert!(five.log().contains("remembers whole days"), "{}", five.log());
    assert_eq!(track(&five, &one_day(app, 0..8_000)), (1_000, 7_000));
    // Until another one does.
    assert_eq!(track(&one, &one_day(app, 8_000..8_100)), (100, 0));
    quiet(&host, 1);
    assert_eq!(track(&five, &one_day(app, 7_000..8_200)), (100, 1_100));
    assert_eq!(five.counts(ALL_DAYS)[0], 8_200);
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], 8_200 + 99 * 70);
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

#[test]
fn a_store_of_the_first_format_goes_on() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let address = address(&cluster.hosts(), "first_format");
    let server = serve(&address, None);
    assert_eq!(track(&server, &body(&server.app, 0..1_000)), (1_000, 0));
    let (key, app) = (server.key.clone(), server.app.clone());
    drop(server);
    for sql in [
        &format!("DROP TABLE first_format.writers ON CLUSTER {CLUSTER}"),
        &format!("DROP TABLE first_format.writers_local ON CLUSTER {CLUSTER}"),
        &format!("DROP TABLE first_format.settings ON CLUSTER {CLUSTER}"),
        &format!("DROP TABLE first_format.settings_local ON CLUSTER {CLUSTER}"),
        "TRUNCATE TABLE first_format.format_local",
        "INSERT INTO first_format.format_local VALUES (1)",
    ] {
        execute(&host, sql).unwrap();
    }
    let mut server = serve(&address, None);
    (server.key, server.app) = (key, app);
    assert_eq!(track(&server, &body(&server.app, 0..1_100)), (100, 1_000));
    assert_eq!(server.counts(ALL_DAYS), by_day(1_100));
    assert_eq!(
        execute(&host, "SELECT max(version) FROM first_format.format")
            .unwrap()
            .trim(),
        "2"
    );
}
