//! Days that are older than the retention lose their sessions and no answer, whatever else happens meanwhile.

use super::*;
use crate::clickhouse::cluster::{LoneServer, cluster};
use crate::support::clickhouse::execute;
use crate::support::eventually;
use crate::support::gate::Gate;

const IOS: &str = r#"{"field":"platform","op":"eq","value":"ios"}"#;
/// Of the hundred days that sessions lie on, those that are sealed: to 2024-02-13.
const SEALED: u64 = 44;

/// A retention under which as many of the hundred days are due.
fn retention(sealed: u64) -> String {
    let today = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 86_400;
    (today - FIRST_DAY / 86_400 - sealed - 1).to_string()
}

fn seal(store: &str, sealed: u64) -> Value {
    let days = retention(sealed);
    command(store, &["workspace", "set-retention", "default", &days, "--yes"])
}

/// Everything that is asked of the hundred days.
fn answers(server: &Server, segment: &str) -> Vec<Value> {
    crate::retention::answers(
        |path| server.get(path),
        (FIRST_DAY / 86_400).cast_signed() + 99,
        segment,
    )
}

fn rows(host: &str, database: &str, table: &str) -> u64 {
    let last = FIRST_DAY / 86_400 + SEALED;
    let sql = format!(
        "SELECT count() FROM {database}.{table} WHERE app != toUUID('00000000-0000-0000-0000-000000000000') AND day < {last}"
    );
    execute(host, &sql).unwrap().trim().parse().unwrap()
}

fn exported(store: &str) -> usize {
    let output = run(store, &["export"]);
    String::from_utf8(output.stdout).unwrap().lines().count()
}

#[test]
fn sealed_days_answer_as_before_wherever_they_are_copied() {
    let server = LoneServer::start();
    let host = server.host();
    let store = address_on_one(&host, "sealed");
    let one = serve(&store, None);
    let two = serve(&store, Some(&one));
    let segment = command(&store, &["segment", "create", "ios", "--filter", IOS, "--track"]);
    let segment = segment["id"].as_str().unwrap();
    assert_eq!(one.track(&body(&one.app, 0..2_000)).status, 201);
    // By another process as well: these have several rows.
    assert_eq!(two.track(&body(&one.app, 500..2_300)).status, 201);
    let visit = |id: &str, day: u64| {
        json!({"sessions": [{
            "app_id": one.app, "session_id": id, "started_at": FIRST_DAY + day * 86_400, "user_id": "somebody",
        }]})
    };
    assert_eq!(one.track(&visit("first", 3)).status, 201);
    let expected = answers(&one, segment);

    // Two at once: one of them seals, or each some days.
    let reports: Vec<Value> = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| seal(&store, SEALED)));
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let gone = by_day(2_300).iter().take(44).sum::<u64>() + 1;
    let sealed: u64 = reports
        .iter()
        .map(|report| report["sealed_sessions"].as_u64().unwrap())
        .sum();
    assert_eq!(sealed, gone, "{reports:?}");
    for table in ["sessions", "session_ends"] {
        assert_eq!(rows(&host, "sealed", table), 0, "{table}");
    }
    for process in [&one, &two] {
        eventually("the same answers", || answers(process, segment) == expected);
    }
    assert_eq!(exported(&store) as u64, 2_301 - gone);
    let verified = command(&store, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sealed_sessions"], gone);
    assert_eq!(verified["sessions"], 2_301 - gone);
    let again = seal(&store, SEALED);
    assert_eq!(again["sealed_sessions"], 0, "{again}");

    // Somebody whose sessions are all gone is forgotten, counts as before, and is somebody new when they come back.
    let before = one.counts("length=1&ending_at=2024-03-01");
    assert_eq!(command(&store, &["user", "forget", "somebody"])["deleted"], 1);
    let named = execute(&host, "SELECT count() FROM sealed.names WHERE id = 'somebody'");
    assert_eq!(named.unwrap().trim(), "0");
    assert_eq!(answers(&one, segment), expected);
    assert_eq!(one.track(&visit("second", 60)).status, 201);
    assert_eq!(one.counts("length=1&ending_at=2024-03-01"), [before[0] + 1]);
    let new = one
        .get("/kpi/new_users/data_series?length=1&ending_at=2024-03-01")
        .json();
    assert_eq!(new["data"][0]["new_users"], 1, "{new}");
    let expected = answers(&one, segment);

    let place = tempfile::TempDir::new().unwrap();
    let file = place.path().join("backup.sqlite");
    let file = file.to_str().unwrap();
    command(&store, &["backup", file]);
    let embedded = place.path().join("restored");
    let other = address_on_one(&host, "sealed_again");
    for to in [embedded.to_str().unwrap(), &other] {
        command(to, &["restore", file]);
        let verified = command(to, &["verify"]);
        assert_eq!(
            (&verified["agrees"], &verified["sealed_sessions"]),
            (&true.into(), &gone.into()),
            "{verified}"
        );
    }
    let mut copy = Server::start_on(&embedded, &[]);
    copy.key.clone_from(&one.key);
    assert_eq!(answers(&copy, segment), expected);
    let copy = serve(&other, Some(&one));
    assert_eq!(answers(&copy, segment), expected);
    // There each person is the one of the days before: nobody is new or counted twice.
    for server in [&one, &copy] {
        assert_eq!(server.track(&body(&one.app, 2_344..2_400)).status, 201);
    }
    assert_eq!(answers(&copy, segment), answers(&one, segment));
    let back = place.path().join("back");
    let report = command(&other, &["migrate", "--to", back.to_str().unwrap()]);
    assert_eq!(report["differences"], json!([]), "{report}");

    let app = one.app.as_str();
    command(&store, &["app", "delete", app, "--yes"]);
    for table in ["sessions", "sealed"] {
        assert_eq!(rows(&host, "sealed", table), 0, "{table}");
    }
    let verified = command(&store, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sealed_sessions"]),
        (&true.into(), &0.into()),
        "{verified}"
    );
}

#[test]
fn what_lands_on_a_sealed_day_is_neither_acknowledged_nor_counted() {
    let cluster = cluster();
    let host = cluster.nodes[0].host();
    let store = address(&cluster.hosts(), "late_on_sealed");
    let one = serve(&store, None);
    let gate = Gate::start(&host);
    let slow = serve(&address(&gate.address, "late_on_sealed"), Some(&one));
    assert_eq!(one.track(&body(&one.app, 0..200)).status, 201);
    assert_eq!(slow.counts(ALL_DAYS), by_day(200));
    gate.close();
    let answer = std::thread::scope(|scope| {
        let late = scope.spawn(|| slow.track(&body(&one.app, 200..230)));
        let report = seal(&store, SEALED);
        assert_eq!(report["sealed_sessions"], 2 * SEALED, "{report}");
        gate.open();
        late.join().unwrap()
    });
    assert_eq!(answer.status, 503, "{}", answer.text);
    // It may not have looked at the catalog yet.
    eventually("a refusal by their dates", || {
        let again = slow.track(&body(&one.app, 200..230));
        assert!(matches!(again.status, 400 | 503), "{}", again.text);
        again.status == 400
    });
    for server in [&one, &slow] {
        eventually("the same counts", || server.counts(ALL_DAYS) == by_day(200));
    }
    // What somebody else writes there counts no more, and goes with the next days.
    let sql = "INSERT INTO late_on_sealed.sessions (app, day, session_id, start, precedence, properties, user_id, device_id, duration) \
         SELECT app, toUInt16(day - 60), 'late', start, precedence, properties, user_id, device_id, duration \
         FROM late_on_sealed.sessions WHERE session_id = 's70' LIMIT 1";
    execute(&host, sql).unwrap();
    let verified = command(&store, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(one.counts(ALL_DAYS), by_day(200));
    let report = seal(&store, SEALED + 1);
    assert_eq!(report["sealed_sessions"], 2, "{report}");
    assert_eq!(rows(&host, "late_on_sealed", "sessions"), 0);
    assert_eq!(one.counts(ALL_DAYS), by_day(200));
}
