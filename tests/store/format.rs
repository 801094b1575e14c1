//! Which files are opened, and which are refused and left alone.

use sessionmeter::store::StoreError;
use sessionmeter::store::sqlite::{Role, SqliteStore};
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
