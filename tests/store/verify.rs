//! What is derived from the sessions can be checked against them.

use tempfile::TempDir;

use super::*;

/// 2024-01-01T10:30:00Z
const QUARTER: i64 = FIRST_DAY + 10 * 3600 + 1800;
const SEGMENT: &str = "0a8b61b2-7a5e-4f5d-a2d4-6a9c1f1d7b10";

/// A store of five sessions, three of them in one quarter hour and two of those in a segment, after these changes; what
/// `verify --json` says.
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
    let filter = r#"{"field":"first_session","op":"eq","value":true}"#;
    server.command(&[
        "segment", "create", "First", "--id", SEGMENT, "--filter", filter, "--track", "--wait",
    ]);
    let data = server.data.clone();
    let _kept: TempDir = server.keep_directory();
    let store = open(&data);
    store.pragma_update(None, "foreign_keys", false).unwrap();
    store.execute_batch(changes).unwrap();
    drop(store);
    let before = files(&data);
    let output = run(&data, &["verify", "--json"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let agrees = verdict["agrees"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if agrees { 0 } else { 1 }));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), if agrees { 0 } else { 1 }, "{errors}");
    assert!(verdict["sessions"].as_u64().is_some());
    assert!(files(&data) == before, "verify changed something");
    verdict
}

#[test]
fn an_honest_store_agrees() {
    let verdict = verdict("");
    assert_eq!(verdict["agrees"], true);
    assert_eq!(verdict["sessions"], 5);
    assert_eq!(verdict["counters"], 4);
    assert_eq!(verdict["mismatches"], json!([]));
    assert_eq!(verdict["damages"], json!([]));
}

#[test]
fn a_forged_counter_is_found() {
    let at = QUARTER / 900;
    for (change, counted, found) in [
        (
            format!("UPDATE counters SET sessions = 4 WHERE quarter = {at}"),
            4,
            1,
        ),
        (
            format!("UPDATE counters SET sessions = 2 WHERE quarter = {at}"),
            2,
            1,
        ),
        // Everyone's, and the segment's.
        (format!("DELETE FROM counters WHERE quarter = {at}"), 0, 2),
    ] {
        let verdict = verdict(&change);
        assert_eq!(verdict["agrees"], false, "{change}");
        let mismatches = verdict["mismatches"].as_array().unwrap();
        assert_eq!(mismatches.len(), found, "{change}: {mismatches:?}");
        assert_eq!(mismatches[0]["time"], "2024-01-01T10:30:00Z");
        assert_eq!(mismatches[0]["counted"], counted);
        assert_eq!(mismatches[0]["recorded"], 3);
    }
}

#[test]
fn a_forged_counter_of_a_segment_is_found() {
    let at = QUARTER / 900;
    for (cells, quarter, counted, recorded) in [
        ("x''", at, 0, 2),
        ("x'0100000003000000'", at, 3, 2),
        ("x'0100000001000000'", at + 1, 1, 0),
        // Cells of segments that are gone say nothing.
        ("x'01000000020000000900000005000000'", at, 2, 2),
    ] {
        let verdict = verdict(&format!(
            "UPDATE counters SET segments = {cells} WHERE quarter = {quarter}"
        ));
        assert_eq!(verdict["agrees"], counted == recorded, "{cells}");
        let mismatches = verdict["mismatches"].as_array().unwrap();
        if counted != recorded {
            assert_eq!(mismatches.len(), 1, "{cells}: {mismatches:?}");
            assert_eq!(mismatches[0]["segment_id"], SEGMENT);
            assert_eq!(mismatches[0]["counted"], counted);
            assert_eq!(mismatches[0]["recorded"], recorded);
        }
    }
}

#[test]
fn a_counter_that_has_no_sessions_is_found() {
    let verdict = verdict("INSERT INTO counters SELECT app, quarter + 1000, 7, x'' FROM counters LIMIT 1");
    assert_eq!(verdict["agrees"], false);
    let mismatches = verdict["mismatches"].as_array().unwrap();
    assert_eq!(mismatches.len(), 1, "{mismatches:?}");
    assert_eq!(
        (&mismatches[0]["counted"], &mismatches[0]["recorded"]),
        (&json!(7), &json!(0))
    );
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
        "UPDATE counters SET app = 999 WHERE sessions = 3",
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
