//! What is derived from the sessions can be checked against them.

use tempfile::TempDir;

use super::*;
use crate::support::command;

/// 2024-01-01T10:30:00Z
const QUARTER: i64 = FIRST_DAY + 10 * 3600 + 1800;

/// A store of five sessions in four quarter hours of two days, after these changes; what `verify --json` says.
fn verdict(changes: &str) -> Value {
    let server = Server::start();
    let mut sessions = vec![
        server.session("a", QUARTER),
        server.session("b", QUARTER + 1),
        server.session("c", QUARTER + 899),
        server.session("d", QUARTER + 900),
        server.session("e", QUARTER + 86_400),
    ];
    sessions[0]["user_id"] = json!("somebody");
    sessions[1]["device_id"] = json!("something");
    server.record(&sessions);
    server.command(&["segment", "create", "All", "--filter", r#"{"all":[]}"#]);
    let data = server.data.clone();
    let _kept: TempDir = server.keep_directory();
    forged(&data, changes)
}

/// What `verify --json` says after these changes.
fn forged(data: &Path, changes: &str) -> Value {
    let store = open(data);
    store.pragma_update(None, "foreign_keys", false).unwrap();
    store.execute_batch(changes).unwrap();
    drop(store);
    let before = files(data);
    let output = run(data, &["verify", "--json"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let agrees = verdict["agrees"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if agrees { 0 } else { 1 }));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), if agrees { 0 } else { 1 }, "{errors}");
    assert!(verdict["sessions"].as_u64().is_some());
    assert!(files(data) == before, "verify changed something");
    verdict
}

#[test]
fn an_honest_store_agrees() {
    let verdict = verdict("");
    assert_eq!(verdict["agrees"], true);
    assert_eq!(verdict["sessions"], 5);
    assert_eq!(verdict["counters"], 3);
    assert_eq!(verdict["mismatches"], json!([]));
    assert_eq!(verdict["damages"], json!([]));
}

/// As the store numbers it.
const FIRST: i64 = FIRST_DAY / 86_400;

#[test]
fn a_forged_total_is_found() {
    // Quarter hour 42 (its place from 1 on) with 4 or 2 sessions, then the next with 1; a checksum that can't be right.
    for (totals, counted) in [("x'2b04010100000000'", 4), ("x'2b02010100000000'", 2)] {
        let verdict = verdict(&format!("UPDATE days SET totals = {totals} WHERE day = {FIRST}"));
        assert_eq!(verdict["agrees"], false);
        let mismatches = verdict["mismatches"].as_array().unwrap();
        assert_eq!(mismatches.len(), 1, "{totals}: {mismatches:?}");
        assert_eq!(mismatches[0]["time"], "2024-01-01T10:30:00Z");
        assert_eq!(mismatches[0]["counted"], counted);
        assert_eq!(mismatches[0]["recorded"], 3);
    }
}

#[test]
fn a_forged_number_of_a_day_is_found() {
    for change in ["seq + 1", "seq - 1", "0", "-1", "1000000"] {
        let verdict = verdict(&format!("UPDATE days SET seq = {change} WHERE day = {FIRST}"));
        assert_eq!(verdict["agrees"], false, "{change}");
        assert!(
            !verdict["damages"].as_array().unwrap().is_empty(),
            "{change}: {verdict}"
        );
        assert_eq!(verdict["mismatches"], json!([]));
    }
}

#[test]
fn a_day_without_its_row_is_found() {
    let verdict = verdict(&format!("DELETE FROM days WHERE day = {FIRST}"));
    assert_eq!(verdict["agrees"], false);
    let mismatches = verdict["mismatches"].as_array().unwrap();
    assert_eq!(mismatches.len(), 2, "{mismatches:?}");
    assert_eq!(
        (&mismatches[0]["counted"], &mismatches[0]["recorded"]),
        (&json!(0), &json!(3))
    );
    let damage = verdict["damages"][0].as_str().unwrap();
    assert!(
        damage.contains("2024-01-01") && damage.contains("no row"),
        "{damage}"
    );
}

#[test]
fn a_row_without_sessions_is_found() {
    for change in [
        "INSERT INTO days SELECT app, day + 1000, seq, sealed, totals FROM days LIMIT 1",
        "DELETE FROM sessions WHERE day = (SELECT MAX(day) FROM days)",
    ] {
        let verdict = verdict(change);
        assert_eq!(verdict["agrees"], false, "{change}");
        let mismatches = verdict["mismatches"].as_array().unwrap();
        assert!(!mismatches.is_empty(), "{verdict}");
        assert!(
            mismatches.iter().all(|mismatch| mismatch["recorded"] == 0),
            "{verdict}"
        );
        let damage = verdict["damages"][0].as_str().unwrap();
        assert!(damage.contains("no sessions"), "{damage}");
    }
}

/// What is wrong with a day whose sessions retention removed is found, and no answer is made of it.
#[test]
fn what_is_wrong_with_a_sealed_day_is_found_and_not_answered() {
    let sealed = || {
        let server = Server::start();
        let mut some = sessions(&server.app, "s", 0..20);
        some.iter_mut()
            .for_each(|session| session["user_id"] = json!("somebody"));
        server.record(&some);
        let report = server.command(&["workspace", "set-retention", "default", "300", "--yes"]);
        assert_eq!(report["sealed_sessions"], 20, "{report}");
        let (data, key) = (server.data.clone(), server.key.clone());
        (data, key, server.keep_directory())
    };
    let (data, _, _kept) = sealed();
    let verdict = forged(&data, "");
    assert_eq!(
        (&verdict["agrees"], &verdict["sealed_sessions"]),
        (&json!(true), &json!(20))
    );
    let session = "INSERT INTO sessions SELECT app, day, 'x', 0, NULL, NULL, NULL, 1 FROM days LIMIT 1";
    for (change, found, is_answered) in [
        (session, "is sealed and has sessions", true),
        ("DELETE FROM day_people", "is missing or can't be read", false),
        (
            "UPDATE day_people SET content = x'00'",
            "is missing or can't be read",
            false,
        ),
        (
            "UPDATE day_people SET seq = seq - 1",
            "is missing or can't be read",
            false,
        ),
        (
            "DELETE FROM properties",
            "a combination of properties that does not exist",
            true,
        ),
        (
            "DELETE FROM identities",
            "a user or device that does not exist",
            true,
        ),
    ] {
        let (data, key, _kept) = sealed();
        let verdict = forged(&data, change);
        let damages = verdict["damages"].to_string();
        assert!(damages.contains(found), "{change}: {verdict}");
        let mut server = Server::start_on(&data, &["--check-rate", "0"]);
        server.key = key;
        let answer = server.get("/kpi/dau/data_series?length=100&ending_at=2024-04-09");
        assert_eq!(answer.status == 200, is_answered, "{change}: {}", answer.text);
        assert!(is_answered || answer.status == 500, "{change}: {}", answer.text);
    }
}

/// Sessions go once they were counted anew, whatever is kept of their day. A day that does not fit together keeps them, and keeps
/// no other day from being sealed.
#[test]
fn sealing_trusts_nothing_but_sessions() {
    let users = |day: i64| 10 + day * 90;
    for (forgery, sealed) in [
        (
            "UPDATE day_people SET content = (SELECT content FROM day_people ORDER BY day DESC LIMIT 1)",
            600,
        ),
        ("UPDATE day_people SET seq = seq + 1000, content = x'00'", 600),
        (
            "DELETE FROM sessions WHERE day = (SELECT MIN(day) FROM days) AND start < 1000000",
            300,
        ),
    ] {
        let place = TempDir::new().unwrap();
        let data = place.path().join("store");
        command(&data, &["workspace", "create", "some"]);
        command(&data, &["app", "create", "web", "--workspace", "some"]);
        let session = |number: i64| {
            let (day, nth) = (number / 300, number % 300);
            json!({
                "session_id": format!("s{number}"),
                "started_at": FIRST_DAY + day * 86_400 + nth * 200,
                "user_id": format!("u{}", nth % users(day)),
            })
        };
        let file = place.path().join("sessions.ndjson");
        write_lines(&file, &(0..600).map(session).collect::<Vec<_>>());
        command(&data, &["import", file.to_str().unwrap(), "--app", "web"]);
        let kept: i64 = open(&data)
            .query_row("SELECT COUNT(*) FROM day_people", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 2);
        open(&data).execute_batch(forgery).unwrap();
        let output = run(&data, &["workspace", "set-retention", "some", "300", "--yes"]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), sealed == 600, "{forgery}: {errors}");
        let verified = run(&data, &["verify", "--json"]);
        let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(verified["sealed_sessions"], sealed, "{forgery}: {verified}");
        if sealed < 600 {
            assert!(
                errors.contains("has other sessions than its counts say"),
                "{errors}"
            );
            continue;
        }
        assert_eq!(verified["agrees"], true, "{forgery}: {verified}");
        let days = ["--length", "2", "--ending-at", "2024-01-02"];
        let question = ["series", "--workspace", "some", "--metric", "dau"];
        let found = command(&data, &[&question[..], &days].concat());
        let found: Vec<&Value> = found["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| &point["dau"])
            .collect();
        assert_eq!(found, [&json!(users(0)), &json!(users(1))], "{forgery}");
    }
}

/// A day that is large enough for a rollup, which is built when a segment is asked for and kept once the server that
/// recorded it is gone.
#[test]
fn a_forged_rollup_is_found() {
    let server = Server::start();
    let mut recorded = sessions(&server.app, "s", 0..400);
    for (number, session) in recorded.iter_mut().enumerate() {
        session["started_at"] = json!(QUARTER + number as i64);
        session["user_id"] = json!(format!("user {}", number % 90));
    }
    server.record(&recorded);
    server.command(&["segment", "create", "All", "--filter", r#"{"all":[]}"#]);
    let data = server.data.clone();
    let _kept: TempDir = server.keep_directory();
    let series = [
        "series",
        "--segment",
        "All",
        "--ending-at",
        "2024-01-01",
        "--length",
        "1",
    ];
    let body = command(&data, &series);
    assert_eq!(body["data"][0]["sessions"], 400);
    let tables = ["day_cells", "day_people"];
    for table in tables {
        let kept: i64 = open(&data)
            .query_row(
                &format!("SELECT COUNT(*) FROM {table} WHERE day = {FIRST}"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(kept, 1, "{table}");
    }
    assert_eq!(forged(&data, "")["agrees"], true);
    let keep = "CREATE TABLE honest_cells AS SELECT * FROM day_cells; CREATE TABLE honest_people AS SELECT * FROM day_people;";
    open(&data).execute_batch(keep).unwrap();
    for table in tables {
        let honest = table.replace("day_", "honest_");
        for (change, words) in [
            (
                format!("UPDATE {table} SET seq = seq + 1"),
                "there was no such state",
            ),
            (format!("UPDATE {table} SET content = x'01'"), "can't be read"),
            (
                format!("UPDATE {table} SET content = substr(content, 1, length(content) - 2)"),
                "can't be read",
            ),
            (
                format!("INSERT INTO {table} SELECT app, day + 1, seq, content FROM {table}"),
                "there was no such state",
            ),
        ] {
            let verdict = forged(&data, &change);
            assert_eq!(verdict["agrees"], false, "{change}");
            let damages = verdict["damages"].to_string();
            assert!(damages.contains(words), "{change}: {damages}");
            open(&data)
                .execute_batch(&format!(
                    "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {honest};"
                ))
                .unwrap();
        }
    }
    // One that is whole, and of other sessions.
    let change =
        format!("UPDATE sessions SET start = start + 900000 WHERE day = {FIRST} AND session_id = 's 7'");
    let damages = forged(&data, &change)["damages"].to_string();
    assert!(damages.contains("not what its sessions say"), "{damages}");
    // Whatever became of rollups, answers come from sessions then.
    open(&data)
        .execute_batch("UPDATE day_cells SET content = x'02ff'")
        .unwrap();
    assert_eq!(command(&data, &series)["data"][0]["sessions"], 400);
}

#[test]
fn a_session_that_was_removed_behind_its_counter_is_found() {
    let verdict = verdict("DELETE FROM sessions WHERE session_id = 'd'");
    assert_eq!(verdict["agrees"], false);
    assert_eq!(verdict["sessions"], 4);
    assert_eq!(verdict["mismatches"][0]["counted"], 1);
    assert_eq!(verdict["mismatches"][0]["recorded"], 0);
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    for change in [
        "UPDATE sessions SET user = 999 WHERE session_id = 'a'",
        "UPDATE sessions SET device = 999 WHERE session_id = 'b'",
        "UPDATE sessions SET properties = 999 WHERE session_id = 'c'",
        "UPDATE sessions SET app = 999 WHERE session_id = 'd'",
        "UPDATE days SET app = 999",
        "UPDATE identities SET attributes = 999",
        "UPDATE segments SET workspace = 999",
        "DELETE FROM identities",
        "DELETE FROM properties",
        "UPDATE apps SET workspace = 999",
        "UPDATE api_keys SET workspace = 999",
    ] {
        let verdict = verdict(change);
        assert_eq!(verdict["agrees"], false, "{change}");
        let damages = verdict["damages"].as_array().unwrap();
        assert!(!damages.is_empty(), "{change}: {verdict}");
    }
}
