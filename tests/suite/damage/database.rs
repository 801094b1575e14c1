//! Bits that flipped in the database, and rows that can't be.

use super::*;
use crate::support::eventually;

/// As often as the clock lets it.
const ALWAYS: [&str; 2] = ["--check-rate", "6000"];

#[test]
fn a_count_that_is_wrong_is_found_in_the_background() {
    let store = Stopped::new(200);
    store.change(
        "DELETE FROM sessions WHERE session_id = (SELECT session_id FROM sessions ORDER BY day DESC, start DESC LIMIT 1)",
    );
    let server = store.start(&ALWAYS);
    eventually("the finding", || server.metric("store_findings_total") > 0);
    let log = logged(&server, "the background check found something wrong");
    assert!(log.contains(" counted, "), "{log}");
    // What is there can be read, so recording goes on.
    server.record(&sessions(&server.app, 200..201));
    assert!(server.metric("store_checks_total") > 0);
}

#[test]
fn without_damage_the_background_finds_nothing_and_it_can_be_turned_off() {
    let store = Stopped::new(200);
    let server = store.start(&ALWAYS);
    // Every table, every day, and the beginning of the next round, while sessions are being recorded.
    let mut next = 200;
    eventually("a round", || {
        server.record(&sessions(&server.app, next..next + 5));
        next += 5;
        server.metric("store_checks_total") > 150
    });
    assert_eq!(server.metric("store_findings_total"), 0, "{}", server.log());
    assert_eq!(server.stop(), Some(0));
    let server = store.start(&["--check-rate", "0"]);
    server.record(&sessions(&server.app, next..next + 1));
    assert_eq!(server.metric("store_checks_total"), 0);
}

/// Overwrites the first page of a table.
fn destroy(store: &Stopped, table: &str) {
    let connection = Connection::open(store.file()).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
    drop(connection);
    let mut bytes = std::fs::read(store.file()).unwrap();
    bytes[(page as usize - 1) * 8192..][..64].fill(0xA5);
    std::fs::write(store.file(), bytes).unwrap();
}

#[test]
fn nothing_is_recorded_onto_a_damaged_file_and_asking_again_is_not_suggested() {
    let store = Stopped::new(200);
    destroy(&store, "attribute_sets");
    let server = store.start(&ALWAYS);
    eventually("the damage", || ready(&server).status == 500);
    assert!(ready(&server).message().contains("damaged"));
    logged(&server, "the store is damaged; nothing is recorded any more");
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 200..201) })));
    // What can be read is still answered.
    assert_eq!(server.counts(ALL_DAYS).iter().sum::<u64>(), 200);
    assert_eq!(server.stop(), Some(1));
    assert!(!damages(&store.data).is_empty());
}

#[test]
fn a_damaged_page_that_a_request_meets_is_a_500_and_stops_recording() {
    let store = Stopped::new(200);
    destroy(&store, "days");
    let server = store.start(&["--check-rate", "0"]);
    check_unusable(&server.get(&format!("/sessions/data_series?{ALL_DAYS}")));
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 200..201) })));
    assert_eq!(ready(&server).status, 500);
}

#[test]
fn a_day_that_can_not_be_is_damage_and_not_an_allocation() {
    for day in [
        "1000000000000",
        "-1000000000000",
        "9223372036854775807",
        "-9223372036854775808",
        "0",
    ] {
        let store = Stopped::new(3);
        store.change(&format!(
            "INSERT INTO days SELECT app, {day}, seq, sealed, totals FROM days LIMIT 1"
        ));
        let server = store.start(&["--check-rate", "0"]);
        for query in [ALL_DAYS.to_owned(), format!("{ALL_DAYS}&app_id={}", store.app)] {
            check_unusable(&server.get(&format!("/sessions/data_series?{query}")));
        }
        assert_eq!(server.get("/health").status, 200);
        assert!(!damages(&store.data).is_empty());
    }
}

#[test]
fn values_that_can_not_be_are_damage_for_verify_and_end_an_export() {
    for (change, words) in [
        (
            "UPDATE properties SET content = '{\"platform\":\"io'",
            "can't be read",
        ),
        (
            "UPDATE properties SET content = '{\"platfosm\":\"ios\"}'",
            "can't be read",
        ),
        (
            "UPDATE properties SET content = x'7b7d' || x'ff'",
            "can't be read",
        ),
        (
            "UPDATE sessions SET start = 86400000 WHERE session_id = 's 1'",
            "milliseconds",
        ),
        (
            "UPDATE sessions SET start = -9223372036854775808 WHERE session_id = 's 1'",
            "milliseconds",
        ),
        (
            "UPDATE sessions SET duration = 1000000000000 WHERE session_id = 's 1'",
            "duration",
        ),
        (
            "UPDATE sessions SET day = 9223372036854775807 WHERE session_id = 's 1'",
            "no day",
        ),
        ("UPDATE sessions SET day = -5 WHERE session_id = 's 1'", "no day"),
        (
            "UPDATE sessions SET session_id = x'00' WHERE session_id = 's 1'",
            "session id",
        ),
        (
            "UPDATE sessions SET session_id = CAST(x'ff' AS TEXT) WHERE session_id = 's 1'",
            "UTF-8",
        ),
    ] {
        let store = Stopped::new(3);
        store.change(change);
        let file = store.data.join("export.ndjson");
        let said = refused(&store.data, &["export", "--output", file.to_str().unwrap()]);
        assert!(said.contains("damaged"), "{change}: {said}");
        assert!(!file.exists(), "{change}");
        let found = damages(&store.data);
        assert!(
            found.iter().any(|damage| damage.contains(words)),
            "{change}: {found:?}"
        );
    }
    let store = Stopped::new(3);
    store.change("INSERT INTO attribute_sets (content) VALUES ('{\"plan\":[]}')");
    assert_eq!(
        damages(&store.data),
        ["combination of users' attributes number 1 can't be read"]
    );
}
