//! What was acknowledged is there and counts once, whatever fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::clickhouse::cluster::cluster;
use crate::support::clickhouse::execute;
use crate::support::eventually;
use crate::support::gate::Gate;

/// Sessions in a batch.
const BATCH: u64 = 100;

/// Which batches were acknowledged, and whether to go on.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Sends batches, each until it is acknowledged, by whichever server answers. Each tenth is sent twice.
    fn send(&self, servers: &[(String, String)], app: &str, log: impl Fn() -> String) {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            let body = body(app, batch * BATCH..(batch + 1) * BATCH);
            let mut turn = usize::try_from(batch).unwrap();
            for _ in 0..1 + u64::from(batch.is_multiple_of(10)) {
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
                loop {
                    let (url, key) = &servers[turn % servers.len()];
                    turn += 1;
                    let request = client
                        .post(format!("{url}/sessions/track"))
                        .bearer_auth(key)
                        .json(&body);
                    match request
                        .send()
                        .map(|answer| (answer.status().as_u16(), answer.text()))
                    {
                        Ok((201, _)) => break,
                        Ok((503, _)) | Err(_) => {}
                        Ok((status, text)) => panic!("{url} answers {status}: {text:?}\n{}", log()),
                    }
                    assert!(
                        std::time::Instant::now() < deadline,
                        "batch {batch} is never taken"
                    );
                }
            }
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reach(&self, more: u64) {
        let target = self.acknowledged.load(Ordering::Relaxed) + more;
        eventually("more acknowledged batches", || {
            self.acknowledged.load(Ordering::Relaxed) >= target
        });
    }
}

#[test]
fn a_killed_process_and_a_stopped_replica_lose_nothing_and_nothing_counts_twice() {
    let mut cluster = cluster();
    let address = address(&cluster.hosts(), "failures");
    let one = serve(&address, None);
    let two = serve(&address, Some(&one));
    command(
        &address,
        &[
            "segment",
            "create",
            "ios",
            "--track",
            "--filter",
            r#"{"field":"platform","op":"eq","value":"ios"}"#,
        ],
    );
    let servers = [
        (one.url.clone(), one.key.clone()),
        (two.url.clone(), two.key.clone()),
    ];
    let app = one.app.clone();
    let load = Load::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load.send(&servers, &app, || one.log()));
        }
        load.reach(20);
        two.kill();
        load.reach(20);
        // A replica of the second shard goes away without a word, and comes back.
        cluster.nodes[3].kill();
        load.reach(20);
        assert!(!one.counts(ALL_DAYS).is_empty(), "one replica down is no outage");
        cluster.nodes[3].start();
        load.reach(20);
        // So does the one that both processes talked to.
        cluster.nodes[0].kill();
        load.reach(10);
        cluster.nodes[0].start();
        load.reach(10);
        load.stop.store(true, Ordering::Relaxed);
    });
    let sessions = load.next.load(Ordering::Relaxed) * BATCH;
    assert_eq!(load.acknowledged.load(Ordering::Relaxed) * BATCH, sessions);
    eventually("equal series", || one.counts(ALL_DAYS) == by_day(sessions));
    let again = serve(&address, Some(&one));
    eventually("equal series in a new process", || {
        again.counts(ALL_DAYS) == by_day(sessions)
    });
    let segment = command(&address, &["segment", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually("a counted segment", || {
        let answer = one.get(&format!("/sessions/data_series?{ALL_DAYS}&segment_id={segment}"));
        let points = answer.json()["data"].as_array().cloned().unwrap_or_default();
        let total: u64 = points
            .iter()
            .map(|point| point["sessions"].as_u64().unwrap())
            .sum();
        total == sessions.div_ceil(3)
    });
    let verified = command(&address, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(sessions)),
        "{verified}"
    );
    assert!(
        !one.log().contains("p@ss") && !one.log().contains("p%40ss"),
        "{}",
        one.log()
    );
}

#[test]
fn an_outage_is_said_and_ends() {
    let mut cluster = cluster();
    let address = address(&cluster.hosts(), "outage");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..100));
    assert_eq!(server.counts(ALL_DAYS), by_day(100));
    cluster.nodes.iter_mut().for_each(cluster::Node::kill);
    // Each is tried for a while, so all at one time.
    let (refused, failed, read) = std::thread::scope(|scope| {
        let refused = scope.spawn(|| server.track(&body(&server.app, 100..200)));
        let failed = scope.spawn(|| run(&address, &["workspace", "list"]));
        let mut read = None;
        eventually("no numbers that may be wrong", || {
            let answer = server.get(&format!("/sessions/data_series?{ALL_DAYS}"));
            let is_refused = answer.status == 503;
            read = Some(answer);
            is_refused
        });
        (refused.join().unwrap(), failed.join().unwrap(), read.unwrap())
    });
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(
        refused.message().contains("a part may be recorded"),
        "{}",
        refused.text
    );
    assert!(read.message().contains("nothing was recorded"), "{}", read.text);
    for answer in [&refused, &read] {
        let message = answer.message();
        assert!(message.contains("the store can't do this right now"), "{message}");
        assert!(
            !answer.text.contains("p@ss") && !answer.text.contains(USER),
            "{message}"
        );
    }
    assert!(
        server.log().contains("ClickHouse does not answer"),
        "{}",
        server.log()
    );
    let errors = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(
        (failed.status.code(), errors.lines().count()),
        (Some(1), 2),
        "{errors}"
    );
    // It was said while it was still tried, with host and cause.
    assert!(
        errors.starts_with("ClickHouse at 127.0.0.1:") && errors.contains("; trying on for"),
        "{errors}"
    );
    assert!(server.log().contains("; trying on for"), "{}", server.log());
    assert!(!errors.contains("p@ss") && !errors.contains("p%40ss"), "{errors}");

    cluster.nodes.iter_mut().for_each(cluster::Node::start);
    eventually("recording again", || {
        server.track(&body(&server.app, 100..200)).status == 201
    });
    eventually("all of them", || {
        let answer = server.get(&format!("/sessions/data_series?{ALL_DAYS}"));
        answer.status == 200 && server.counts(ALL_DAYS) == by_day(200)
    });
}

#[test]
fn several_processes_may_start_at_once_on_an_empty_database() {
    let cluster = cluster();
    let address = address(&cluster.hosts(), "together");
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| serve(&address, None))).collect();
        starting
            .into_iter()
            .map(|server| server.join().unwrap())
            .collect()
    });
    let made: Vec<&Server> = servers.iter().filter(|server| !server.key.is_empty()).collect();
    assert_eq!(made.len(), 1, "one of them made the first workspace");
    assert_eq!(
        command(&address, &["workspace", "list"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // A key that one process makes is good for the others within a second; so are apps and sessions.
    for server in &servers {
        eventually("the key in every process", || {
            server
                .get_as(&format!("/sessions/data_series?{ALL_DAYS}"), &made[0].key)
                .status
                == 200
        });
    }
    // Two at once want one name: one of them gets it.
    let create = || run(&address, &["app", "create", "Shop"]).status.success();
    let created = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        tries
            .into_iter()
            .filter(|_| true)
            .map(|one| u32::from(one.join().unwrap()))
            .sum::<u32>()
    });
    assert_eq!(created, 1);
}

#[test]
fn a_host_that_gives_no_answer_is_replaced_by_the_next() {
    let cluster = cluster();
    let gates = [0, 1].map(|node| Gate::start(&cluster.nodes[node].host()));
    let address = address(&format!("{},{}", gates[0].address, gates[1].address), "silent");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..100));
    // Whichever it asks.
    for (number, gate) in (1..).zip(&gates) {
        gate.close();
        let answer = server.track(&body(&server.app, number * 100..(number + 1) * 100));
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(server.counts(ALL_DAYS), by_day((number + 1) * 100));
        gate.open();
    }
}

/// Copies a session's row behind the program's back, as if a process had written it now and died.
fn write_and_die(host: &str, database: &str, from: &str, to: &str) {
    let sql = format!(
        "INSERT INTO {database}.sessions (app, day, session_id, start, precedence, properties, user_id, device_id, duration) \
         SELECT app, day, '{to}', start, toUInt64(18446744073709551615 - toUInt64(toUInt32(now())) * 4096000000), properties, \
         user_id, device_id, duration FROM {database}.sessions WHERE session_id = '{from}'"
    );
    execute(host, &sql).unwrap();
    eventually("the row", || {
        let sql = format!("SELECT count() FROM {database}.sessions WHERE session_id = '{to}'");
        execute(host, &sql).unwrap().trim() != "0"
    });
}

#[test]
fn what_a_dead_process_left_half_done_is_completed_when_it_is_delivered_again() {
    let cluster = cluster();
    let host = cluster.nodes[2].host();
    let address = address(&cluster.hosts(), "halfway");
    let server = serve(&address, None);
    server.track(&body(&server.app, 0..100));
    let kept = || {
        let sql = "SELECT count() FROM halfway.rollups WHERE day = 19723";
        execute(&host, sql).unwrap().trim() != "0"
    };
    eventually("the first day's kept rollup", kept);
    // After the day was counted the rest of a batch arrived of which nobody knows; its sender tries again.
    write_and_die(&host, "halfway", "s0", "late");
    let mut late = session(&server.app, 0);
    late["session_id"] = json!("late");
    let next = serve(&address, Some(&server));
    assert_eq!(next.track(&json!({ "sessions": [late] })).status, 201);
    let mut expected = by_day(100);
    expected[0] += 1;
    assert_eq!(next.counts(ALL_DAYS), expected);
    eventually("the same in the other process", || {
        server.counts(ALL_DAYS) == expected
    });
    eventually("kept counts that agree", || {
        let verified = command(&address, &["verify"]);
        assert_eq!(verified["agrees"], true, "{verified}");
        verified["counters"].as_u64().unwrap() >= 100
    });

    // Its persons were not noted: delivered again, the same session is still its person's first, and no other is.
    let new = |id: &str| {
        let mut session = session(&server.app, 1);
        session["session_id"] = json!(id);
        session["user_id"] = json!("somebody");
        session
    };
    server.track(&json!({ "sessions": [new("model")] }));
    let forget = format!("TRUNCATE TABLE halfway.people_local ON CLUSTER {CLUSTER}");
    execute(&host, &forget).unwrap();
    let fresh = serve(&address, Some(&server));
    let answer = fresh.track(&json!({ "sessions": [new("model"), new("second"), new("third")] }));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let exported = run(&address, &["export"]);
    let text = String::from_utf8(exported.stdout).unwrap();
    assert!(text.contains("\"third\""), "{text}");
    let first =
        r#"{"all":[{"field":"first_session","op":"eq","value":true}, {"field":"platform","op":"exists"}]}"#;
    let segment = command(
        &address,
        &[
            "segment", "create", "first", "--filter", first, "--track", "--wait",
        ],
    );
    let series = format!(
        "/sessions/data_series?{ALL_DAYS}&segment_id={}",
        segment["id"].as_str().unwrap()
    );
    let count = || -> u64 {
        let points = fresh.get(&series).json()["data"].as_array().cloned();
        let counts = points.unwrap_or_default();
        counts
            .iter()
            .map(|point| point["sessions"].as_u64().unwrap())
            .sum()
    };
    // Fifty persons, one more, and the copied row of the first one.
    eventually("the segment", || count() > 0);
    assert_eq!(count(), 52);
}
