//! Which files are opened, and which are refused and left alone.

use sessionmeter::store::Role;
use sessionmeter::store::StoreError;
use sessionmeter::store::sqlite::SqliteStore;
use tempfile::TempDir;

use super::*;
use crate::support::command;

const COMMANDS: [&[&str]; 5] = [
    &SERVE,
    &["verify"],
    &["workspace", "list"],
    &["workspace", "create", "another"],
    &["backup", "never-written.sqlite"],
];

/// An empty store with one workspace.
fn new_store() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    command(&data, &["workspace", "create", "some"]);
    (directory, data)
}

/// A directory that has only this file, under the store's name.
fn foreign(write: impl FnOnce(&Path)) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    std::fs::create_dir(&data).unwrap();
    write(&data.join(FILE));
    (directory, data)
}

/// Each command and each way to open it refuses the store with these words and changes nothing.
fn check_refused(what: &str, data: &Path, words: &str) {
    let before = files(data);
    assert!(before.len() == 1, "{:?}", before.keys());
    for arguments in COMMANDS {
        let message = refusal(data, arguments);
        assert!(message.contains(words), "{what}, {arguments:?}: {message}");
        assert!(files(data) == before, "{what} was changed by {arguments:?}");
    }
    for role in [Role::Server, Role::Command, Role::Existing] {
        match SqliteStore::open(data, role) {
            Err(StoreError::Unusable(message)) => assert!(message.contains(words), "{what}: {message}"),
            Err(other) => panic!("{what}, {role:?}: {other:?}"),
            Ok(_) => panic!("{what}, {role:?}: it was opened"),
        }
        assert!(files(data) == before, "{what} was changed by {role:?}");
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    for journal in ["wal", "delete"] {
        let (_directory, data) = new_store();
        let store = open(&data);
        store
            .pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))
            .unwrap();
        store.pragma_update(None, "user_version", 1_000).unwrap();
        drop(store);
        check_refused(
            &format!("a newer store with journal {journal}"),
            &data,
            "newer version",
        );
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    for (application, journal) in [(0, "delete"), (0, "wal"), (0x1234_5678, "delete")] {
        let (_directory, data) = foreign(|file| {
            let database = Connection::open(file).unwrap();
            database
                .pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))
                .unwrap();
            database
                .pragma_update(None, "application_id", application)
                .unwrap();
            database
                .execute_batch("CREATE TABLE sessions (id); INSERT INTO sessions VALUES ('precious')")
                .unwrap();
        });
        let what = format!("a database with application {application} and journal {journal}");
        check_refused(&what, &data, "another program");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let header = b"SQLite format 3\0".as_slice();
    for garbage in [
        b"a short note".to_vec(),
        b"{\"some\": \"text\"}\n".repeat(2_000),
        [header, &[0xA5; 16_368]].concat(),
        vec![0xFF; 8_192],
    ] {
        let (_directory, data) = foreign(|file| std::fs::write(file, &garbage).unwrap());
        check_refused("garbage", &data, "not a sessionmeter store");
    }
}

/// The file was made by version 0.1.0: a workspace in Kathmandu with two apps, a key, a revoked key and twelve
/// sessions. It must never be made anew; a later format gets a file of its own.
#[test]
fn a_store_of_format_1_still_opens() {
    const WEB: &str = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f";
    const PHONE: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-1.sqlite");
    assert_eq!(
        std::fs::read(&fixture).unwrap()[60..64],
        [0, 0, 0, 1],
        "its format"
    );
    let (_directory, data) = foreign(|file| {
        std::fs::copy(&fixture, file).unwrap();
    });
    let key = format!("smk_{}", "fixture".repeat(7).split_at(43).0);
    let server = start_with_key(&data, &key);
    let of = |app: &str, query: &str| {
        server.counts(&format!("length=4&ending_at=2018-06-29&{query}&app_id={app}"))
    };
    assert_eq!(server.counts("length=4&ending_at=2018-06-29"), [1, 0, 6, 5]);
    assert_eq!(of(WEB, "unit=day"), [1, 0, 4, 3]);
    assert_eq!(of(PHONE, "unit=day"), [0, 0, 2, 2]);
    assert_eq!(of(WEB, "unit=hour"), [1, 0, 0, 1]);
    let revoked = format!("smk_{}", "revoked".repeat(7).split_at(43).0);
    assert_eq!(
        server.get_as("/sessions/data_series?length=1", &revoked).status,
        401
    );

    let workspaces = server.command(&["workspace", "list"]);
    assert_eq!(workspaces[0]["name"], "fixture");
    assert_eq!(workspaces[0]["time_zone"], "Asia/Kathmandu");
    assert_eq!(workspaces[0]["rate_limit"], 1_000);
    let verified = server.command(&["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(12))
    );

    let session = |id: &str| json!({ "app_id": WEB, "session_id": id, "started_at": "2018-06-28T18:20:00Z" });
    let recorded = server.record(&[session("new"), session("web-0")]).json();
    assert_eq!(
        (&recorded["sessions_processed"], &recorded["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(of(WEB, "unit=day"), [1, 0, 4, 4]);
}

/// The file was made by the version that brought segments: users with attributes, a segment by them and one of first
/// sessions, both counted, one that waits to be counted, and one that is not tracked.
#[test]
fn a_store_of_format_2_still_opens() {
    const PRO: &str = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44";
    const FIRST: &str = "0a8b61b2-7a5e-4f5d-a2d4-6a9c1f1d7b10";
    const NEWER: &str = "7d0cf29e-5c5b-4b0e-8f53-1f9b6f0e2c11";
    const OFF: &str = "5f0a4f4e-6f0f-4d0e-9d4e-0d8f3b0a7c12";
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-2.sqlite");
    assert_eq!(
        std::fs::read(&fixture).unwrap()[60..64],
        [0, 0, 0, 2],
        "its format"
    );
    let (_directory, data) = foreign(|file| {
        std::fs::copy(&fixture, file).unwrap();
    });
    let key = format!("smk_{}", "fixture".repeat(7).split_at(43).0);
    let server = start_with_key(&data, &key);
    let query = "length=3&ending_at=2018-06-30";
    let of = |segment: &str| server.counts(&format!("{query}&segment_id={segment}"));
    assert_eq!(server.counts(query), [1, 11, 0]);
    assert_eq!(of(PRO), [1, 3, 0]);
    assert_eq!(of(FIRST), [1, 3, 0]);
    crate::support::eventually("counting what waited", || {
        server
            .get(&format!("/sessions/data_series?{query}&segment_id={NEWER}"))
            .status
            == 200
    });
    assert_eq!(of(NEWER), [0, 7, 0]);
    let untracked = server.get(&format!("/sessions/data_series?{query}&segment_id={OFF}"));
    assert!(
        untracked.message().contains("no analytics tracking"),
        "{untracked:?}"
    );

    // u1 has become free, u2 is free as before; u4 was never seen.
    let web = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f";
    let session =
        |id: &str| json!({ "app_id": web, "session_id": id, "started_at": 1_530_300_000, "user_id": id });
    server.record(&["u1", "u2", "u4"].map(session));
    assert_eq!(of(PRO), [1, 3, 0]);
    assert_eq!(of(FIRST), [1, 3, 1]);
    assert_eq!(server.command(&["workspace", "list"])[0]["segment_limit"], 7);
    assert_eq!(server.command(&["verify"])["agrees"], true);
}

/// The file was made by the version that brought rollups: a day of 300 sessions whose rollup is kept, another of five, a
/// segment with tracking and one without.
#[test]
fn a_store_of_format_3_still_opens() {
    const NEPAL: &str = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44";
    const OFF: &str = "5f0a4f4e-6f0f-4d0e-9d4e-0d8f3b0a7c12";
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-3.sqlite");
    assert_eq!(
        std::fs::read(&fixture).unwrap()[60..64],
        [0, 0, 0, 3],
        "its format"
    );
    let (_directory, data) = foreign(|file| {
        std::fs::copy(&fixture, file).unwrap();
    });
    let store = open(&data);
    let kept: i64 = store
        .query_row(
            "SELECT COUNT(*) FROM day_cells c JOIN days d USING (app, day, seq)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(kept, 1);
    drop(store);
    let key = format!("smk_{}", "fixture".repeat(7).split_at(43).0);
    let server = start_with_key(&data, &key);
    let query = "length=3&ending_at=2018-06-30";
    let of = |segment: &str| server.counts(&format!("{query}&segment_id={segment}"));
    assert_eq!(server.counts(query), [235, 65, 5]);
    assert_eq!(of(NEPAL), [156, 44, 0]);
    let untracked = server.get(&format!("/sessions/data_series?{query}&segment_id={OFF}"));
    assert!(
        untracked.message().contains("no analytics tracking"),
        "{untracked:?}"
    );
    let web = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f";
    let session = |id: &str| json!({ "app_id": web, "session_id": id, "started_at": "2018-06-28T10:00:00Z", "country": "NP" });
    server.record(&["new", "s7"].map(session));
    assert_eq!(server.counts(query), [236, 65, 5]);
    assert_eq!(of(NEPAL), [157, 44, 0]);
    assert_eq!(server.command(&["verify"])["agrees"], true);
}

/// The file was made by the version that brought forgetting: a day of 300 sessions whose rollup is kept, another of five, and
/// somebody who was forgotten. Its days can be sealed like any other's.
#[test]
fn a_store_of_format_5_still_opens() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-5.sqlite");
    assert_eq!(
        std::fs::read(&fixture).unwrap()[60..64],
        [0, 0, 0, 5],
        "its format"
    );
    let (_directory, data) = foreign(|file| {
        std::fs::copy(&fixture, file).unwrap();
    });
    let numbers = |metric: &str, name: &str| -> Vec<u64> {
        let range = ["--length", "4", "--ending-at", "2018-07-01"];
        let question = ["series", "--workspace", "fixture", "--metric", metric];
        let body = command(&data, &[&question[..], &range].concat());
        let points = body["data"].as_array().unwrap().iter();
        points.map(|point| point[name].as_u64().unwrap()).collect()
    };
    for sealed in [0, 305] {
        assert_eq!(numbers("sessions", "sessions"), [235, 65, 5, 0]);
        assert_eq!(numbers("dau", "dau"), [40, 40, 5, 0]);
        assert_eq!(numbers("new_users", "new_users"), [40, 0, 5, 0]);
        let verified = command(&data, &["verify"]);
        assert_eq!(verified["agrees"], true, "{verified}");
        assert_eq!(verified["sealed_sessions"], sealed);
        command(&data, &["workspace", "set-retention", "fixture", "1000", "--yes"]);
    }
    let listed = command(&data, &["workspace", "list"]);
    assert_eq!(listed[0]["first_weekday"], "monday");
}
