//! What is in the table of sessions counts, whoever put it there and however late it landed; what was counted is not
//! counted again.

use std::ops::Range;
use std::path::Path;

use super::*;
use crate::clickhouse::cluster::{LoneServer, cluster};
use crate::support::clickhouse::execute;
use crate::support::gate::Gate;
use crate::support::{eventually, signal};

/// Days whose rollups are kept.
fn kept(host: &str, database: &str) -> u64 {
    let sql = format!("SELECT uniqExact(day) FROM {database}.rollups WHERE kind = 3");
    execute(host, &sql).unwrap().trim().parse().unwrap()
}

/// Waits until a server's series is what it should be. The promise is a second; how long it takes here depends on what else
/// the machine does.
fn soon(server: &Server, expected: &[u64], what: &str) {
    eventually(what, || server.counts(ALL_DAYS) == expected);
}

/// What a process of its own says that imports sessions.
fn import(address: &str, app: &str, place: &Path, numbers: Range<u64>) -> Value {
    let file = place.join(format!("{}-{}.ndjson", numbers.start, numbers.end));
    let lines: Vec<String> = numbers.map(|number| session(app, number).to_string()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    command(address, &["import", file.to_str().unwrap()])
}

/// A row of the table as somebody else would write it: a new session like that of number 0, recorded at a time of some clock.
fn write(host: &str, database: &str, id: &str, clock: &str) {
    let sql = format!(
        "INSERT INTO {database}.sessions (app, day, session_id, start, precedence, properties, user_id, device_id, duration) \
         SELECT app, day, '{id}', start, toUInt64(18446744073709551615 - toUInt64(toUInt32(now()) {clock}) * 4096000000), \
         properties, user_id, device_id, duration FROM {database}.sessions WHERE session_id = 's0' LIMIT 1"
    );
    execute(host, &sql).unwrap();
}

#[test]
fn what_any_process_writes_all_see_within_a_second() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "seen");
    let one = serve(&address, None);
    let two = serve(&address, Some(&one));
    let place = tempfile::TempDir::new().unwrap();
    let app = one.app.as_str();
    let mut all = 0;
    for round in 0..6 {
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
        for server in [&one, &two] {
            soon(server, &by_day(all), &format!("round {round}"));
        }
        let report = import(&address, app, place.path(), all - 1..all + 1);
        assert_eq!(report["recorded"], 2, "it remembers nothing: {report}");
        all += 1;
        for server in [&two, &one] {
            soon(server, &by_day(all), &format!("round {round}"));
        }
    }
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
}

#[test]
fn rows_that_others_write_and_remove_count_within_a_second_in_every_process() {
    let cluster = cluster();
    let host = cluster.nodes[2].host();
    let address = address(&cluster.hosts(), "straight");
    let one = serve(&address, None);
    one.track(&body(&one.app, 0..1_000));
    let two = serve(&address, Some(&one));
    let mut expected = by_day(1_000);
    for server in [&one, &two] {
        soon(server, &expected, "what was recorded");
    }
    eventually("rollups that are kept", || kept(&host, "straight") == 100);
    // By clocks that differ, and the same session by two of them.
    for (id, clock) in [
        ("a", ""),
        ("b", "- 60"),
        ("c", "+ 60"),
        ("a", "+ 60"),
        ("b", "+ 60"),
    ] {
        write(&host, "straight", id, clock);
        if clock != "+ 60" || id == "c" {
            expected[0] += 1;
        }
        for server in [&one, &two] {
            soon(server, &expected, id);
        }
    }
    // What is merged counts the same.
    for node in &cluster.nodes {
        // A replica that does not lead its shard refuses.
        let _ = execute(&node.host(), "OPTIMIZE TABLE straight.sessions_local FINAL");
    }
    for server in [&one, &two, &serve(&address, Some(&one))] {
        soon(server, &expected, "merged");
    }
    let report = command(&address, &["verify"]);
    assert_eq!(
        (&report["agrees"], &report["sessions"]),
        (&json!(true), &json!(1_003)),
        "{report}"
    );
    // What somebody takes away counts no longer.
    for node in &cluster.nodes {
        let _ = execute(&node.host(), "TRUNCATE TABLE straight.sessions_local");
    }
    for server in [&one, &two] {
        eventually("nothing", || server.counts(ALL_DAYS).iter().sum::<u64>() == 0);
    }
}

#[test]
fn what_somebody_changes_in_the_table_is_noticed() {
    // Replicas of the old version don't change what was written last with a quorum.
    let lone = LoneServer::start();
    let host = lone.host();
    let address = format!("clickhouse://{USER}:p%40ss%3Aword@{host}/changed");
    let one = serve(&address, None);
    one.track(&body(&one.app, 0..1_000));
    let two = serve(&address, Some(&one));
    for server in [&one, &two] {
        soon(server, &by_day(1_000), "what was recorded");
    }
    let sql = "ALTER TABLE changed.sessions UPDATE start = 0 WHERE day = 19725";
    execute(&host, sql).unwrap();
    let first_hour = "length=1&unit=hour&ending_at=2024-01-03T00:00:00Z";
    for server in [&one, &two] {
        eventually("sessions that were moved", || server.counts(first_hour) == [10]);
        soon(server, &by_day(1_000), "moved within their day");
    }
    let sql = "ALTER TABLE changed.sessions DELETE WHERE day = 19725";
    execute(&host, sql).unwrap();
    let mut expected = by_day(1_000);
    expected[2] = 0;
    for server in [&one, &two] {
        soon(server, &expected, "without those that were removed");
    }
}

#[test]
fn what_was_counted_is_kept_and_a_new_process_does_not_count_it_again() {
    let cluster = cluster();
    let host = cluster.nodes[1].host();
    let address = address(&cluster.hosts(), "kept");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..1_000));
    assert_eq!(server.counts(ALL_DAYS), by_day(1_000));
    eventually("a hundred kept days", || kept(&host, "kept") == 100);
    let verified = command(&address, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], 1_000);
    assert!(verified["counters"].as_u64().unwrap() > 500, "{verified}");
    let ios = r#"{"field":"platform","op":"eq","value":"ios"}"#;
    let segment = command(&address, &["segment", "create", "ios", "--filter", ios]);
    let series = format!("{ALL_DAYS}&segment_id={}", segment["id"].as_str().unwrap());
    eventually("the segment", || {
        server.get(&format!("/sessions/data_series?{series}")).status == 200
    });
    let of_segment = server.counts(&series);
    assert_eq!(of_segment.iter().sum::<u64>(), 334);

    // Delivered again, also to a process that remembers nothing, it changes nothing, and what was kept still holds.
    let other = serve(&address, Some(&server));
    let answer = other.track(&body(&server.app, 0..1_001));
    assert_eq!(answer.json()["duplicates"], 0, "{}", answer.text);
    for server in [&other, &server] {
        soon(server, &by_day(1_001), "the late session");
        assert_eq!(server.counts(&series).iter().sum::<u64>(), 334);
    }
    assert_eq!(command(&address, &["verify"])["agrees"], true);

    // Persons were counted anew, since there are more rows.
    eventually("persons of what the day holds", || {
        let ask = |sql: &str| execute(&host, sql).unwrap().trim().to_owned();
        let rows = ask("SELECT count() FROM kept.sessions WHERE day = 19800");
        let kept = format!(
            "SELECT count() FROM kept.rollups WHERE kind = 3 AND day = 19800 AND (rows = {rows} OR sessions = {rows})"
        );
        ask(&kept) != "0"
    });

    // A check finds what was forged: counts, cells and persons of another day in a day's place.
    for (kind, what) in [(1, "counts"), (2, "cells"), (3, "persons")] {
        let forge = format!(
            "INSERT INTO kept.rollups (kind, app, day, sessions, content, rows, hash, at, body) \
             SELECT kind, app, day, sessions, content, rows, hash, at + 3600, other FROM \
             (SELECT * FROM kept.rollups WHERE kind = {kind} AND day = 19800) ANY LEFT JOIN \
             (SELECT kind, body AS other FROM kept.rollups WHERE kind = {kind} AND day = 19801) USING kind"
        );
        execute(&host, &forge).unwrap();
        // What is written into a table over shards arrives there a moment later.
        eventually(what, || {
            let verified: Value =
                serde_json::from_slice(&run(&address, &["verify", "--json"]).stdout).unwrap();
            verified["agrees"] == false && verified["damages"].to_string().contains(what)
        });
    }
}

#[test]
fn a_process_that_is_paused_and_an_insert_that_lands_late_lose_nothing_and_count_nothing_twice() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let gate = Gate::start(&host);
    let direct = address(&host, "late");
    let one = serve(&direct, None);
    let two = serve(&address(&gate.address, "late"), Some(&one));
    two.track(&body(&one.app, 0..100));
    soon(&one, &by_day(100), "both see");
    // What it sends waits outside while it is paused, and arrives when the other has long counted the days.
    gate.close();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| two.track(&body(&one.app, 100..200)));
        signal(two.id(), "STOP");
        one.track(&body(&one.app, 150..250));
        let mut expected = by_day(250);
        for number in 100..150 {
            expected[number % 100] -= 1;
        }
        soon(&one, &expected, "what arrived");
        gate.open();
        signal(two.id(), "CONT");
        let answer = sent.join().unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
    });
    for server in [&two, &one] {
        soon(server, &by_day(250), "what came late");
    }
    let verified = command(&direct, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(250)),
        "{verified}"
    );
}

#[test]
fn a_store_of_an_earlier_format_goes_on() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let address = address(&cluster.hosts(), "earlier");
    let server = serve(&address, None);
    let mut sessions = body(&server.app, 0..1_000);
    sessions["sessions"][7]["duration"] = json!(60);
    server.track(&sessions);
    let (key, app, workspace) = (server.key.clone(), server.app.clone(), server.workspace.clone());
    drop(server);
    let on = format!("ON CLUSTER {CLUSTER}");
    let table = |name: &str, columns: &str, engine: &str, key: &str| {
        [
            format!(
                "CREATE TABLE earlier.{name}_local {on} ({columns}) ENGINE = Replicated{engine} ORDER BY {key}"
            ),
            format!(
                "CREATE TABLE earlier.{name} {on} ({columns}) ENGINE = Distributed({CLUSTER}, earlier, {name}_local, {})",
                if name == "ends" {
                    "cityHash64(session_id)"
                } else {
                    "0"
                }
            ),
        ]
    };
    let path = |name: &str| format!("'/clickhouse/tables/{{shard}}/earlier/{name}', '{{replica}}'");
    let mut statements = vec![
        format!("DROP TABLE earlier.session_ends {on}"),
        format!("DROP TABLE earlier.session_ends_local {on}"),
        format!("DROP TABLE earlier.rollups {on}"),
        format!("DROP TABLE earlier.rollups_local {on}"),
        format!("DROP TABLE earlier.people {on}"),
        format!("DROP TABLE earlier.people_local {on}"),
        format!("DROP TABLE earlier.secret {on}"),
        format!("DROP TABLE earlier.secret_local {on}"),
        format!("DROP TABLE earlier.locks {on}"),
        format!("DROP TABLE earlier.locks_local {on}"),
        format!("DROP TABLE earlier.sessions_hashed {on}"),
        format!("ALTER TABLE earlier.sessions_local {on} DROP COLUMN row_hash"),
        format!("ALTER TABLE earlier.sessions_local {on} DROP COLUMN person"),
        format!("DROP TABLE earlier.sessions {on}"),
        format!(
            "CREATE TABLE earlier.sessions {on} (app UUID, day UInt16, session_id String, start UInt32, precedence UInt64, \
             properties UInt64, user_id String, device_id String, duration Int32) \
             ENGINE = Distributed({CLUSTER}, earlier, sessions_local, cityHash64(session_id))"
        ),
    ];
    statements.extend(table(
        "ends",
        "app UUID, day UInt16, session_id String, at Int64",
        &format!("ReplacingMergeTree({}, at)", path("ends")),
        "(app, day, session_id)",
    ));
    statements.extend(table(
        "changes",
        "app UUID, day UInt16, at UInt32",
        &format!("ReplacingMergeTree({}, at)", path("changes")),
        "(app, day)",
    ));
    statements.extend(table(
        "settings",
        "name String, value UInt32",
        &format!("MergeTree({})", path("settings")),
        "name",
    ));
    statements.extend(table(
        "persons",
        "workspace UUID, kind UInt8, id String",
        &format!("ReplacingMergeTree({}, kind)", path("persons")),
        "(workspace, kind, id)",
    ));
    for sql in &statements {
        execute(&host, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let persons = format!(
        "INSERT INTO earlier.persons SELECT DISTINCT toUUID('{}'), toUInt8(1), user_id FROM earlier.sessions",
        workspace
    );
    execute(&host, &persons).unwrap();
    let ends = "INSERT INTO earlier.ends SELECT app, day, session_id, toInt64(start) + 90000 FROM earlier.sessions \
                WHERE session_id IN ('s7', 's8')";
    execute(&host, ends).unwrap();
    eventually("both ends", || {
        execute(&host, "SELECT count() FROM earlier.ends").unwrap().trim() == "2"
    });
    for node in &cluster.nodes {
        let _ = execute(&node.host(), "TRUNCATE TABLE earlier.format_local");
    }
    execute(&host, "INSERT INTO earlier.format_local VALUES (2)").unwrap();

    let mut server = serve(&address, None);
    (server.key, server.app) = (key, app);
    assert_eq!(server.counts(ALL_DAYS), by_day(1_000));
    assert_eq!(server.track(&body(&server.app, 0..1_100)).status, 201);
    assert_eq!(server.counts(ALL_DAYS), by_day(1_100));
    // Persons are who they were: no session that came since is anybody's first.
    let first = r#"{"filter": {"field": "first_session", "op": "eq", "value": true}}"#;
    let preview = server
        .client()
        .post(format!("{}/segments/preview", server.url))
        .bearer_auth(&server.key)
        .header("content-type", "application/json")
        .body(first);
    assert_eq!(crate::support::send(preview).status, 200);
    let numbers = "SELECT uniqExact(person), countIf(person = 0) FROM earlier.sessions";
    assert_eq!(execute(&host, numbers).unwrap().trim(), "50\t0");
    let exported = String::from_utf8(run(&address, &["export"]).stdout).unwrap();
    let ended = exported.lines().filter(|line| line.contains(r#""duration":90"#));
    assert_eq!(ended.count(), 2, "{exported}");
    let tables = execute(&host, "SHOW TABLES FROM earlier").unwrap();
    assert!(
        !tables
            .lines()
            .any(|name| ["ends", "persons", "changes", "settings"].contains(&name)),
        "{tables}"
    );
    assert_eq!(
        execute(&host, "SELECT max(version) FROM earlier.format")
            .unwrap()
            .trim(),
        "5"
    );
}

#[test]
fn an_address_that_says_when_days_close_is_accepted_with_a_warning() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "accepted") + "&close_after=2";
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..10));
    assert_eq!(server.counts(ALL_DAYS), by_day(10));
    assert!(
        server.log().contains("'close_after' in the store's address"),
        "{}",
        server.log()
    );
}
