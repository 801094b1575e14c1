//! Files that somebody else made, under the name of a backup.

use super::*;
use crate::support::command;

fn backup_of(store: &Stopped) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup.sqlite");
    command(&store.data, &["backup", file.to_str().unwrap()]);
    (directory, file)
}

/// A backup that somebody has changed, and what is said where it is restored.
struct Changed {
    directory: TempDir,
    file: PathBuf,
    data: PathBuf,
    said: String,
}

impl Changed {
    fn new(store: &Stopped, change: &str) -> Self {
        let (directory, file) = backup_of(store);
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        let data = directory.path().join("restored");
        let said = refused(&data, &["restore", file.to_str().unwrap()]);
        Self {
            directory,
            file,
            data,
            said,
        }
    }
}

#[test]
fn a_backup_with_anything_in_it_that_is_not_ours_is_not_restored() {
    let store = Stopped::new(10);
    for (change, words) in [
        (
            "CREATE TRIGGER planted AFTER INSERT ON sessions BEGIN DELETE FROM sessions; END",
            "trigger planted does not belong",
        ),
        ("CREATE VIEW planted AS SELECT 1", "view planted does not belong"),
        ("CREATE TABLE planted (x)", "table planted does not belong"),
        (
            "CREATE INDEX planted ON sessions (user)",
            "index planted does not belong",
        ),
        ("DROP INDEX live_key_names", "index live_key_names is missing"),
        (
            "DROP INDEX live_key_names; CREATE INDEX live_key_names ON api_keys (workspace, name) WHERE revoked_at IS NULL",
            "index live_key_names is missing or another one",
        ),
        ("DROP TABLE segments", "segments_1 is missing"),
        (
            "ALTER TABLE sessions ADD COLUMN planted INTEGER",
            "table sessions is missing or another one",
        ),
    ] {
        let Changed {
            directory: _directory,
            file,
            data,
            said,
        } = Changed::new(&store, change);
        assert!(said.contains(words), "{change}: {said}");
        assert!(!data.exists());
        // Under the store's own name it is found as well.
        let place = TempDir::new().unwrap();
        std::fs::copy(&file, place.path().join(FILE)).unwrap();
        let verified = run(place.path(), &["verify", "--json"]);
        assert_eq!(verified.status.code(), Some(1), "{change}");
    }
    let (directory, file) = backup_of(&store);
    // What SQLite's own shell may have left behind is no harm.
    Connection::open(&file).unwrap().execute_batch("ANALYZE").unwrap();
    command(
        &directory.path().join("restored"),
        &["restore", file.to_str().unwrap()],
    );
}

#[test]
fn a_backup_with_rows_that_can_not_be_is_not_restored() {
    let store = Stopped::new(10);
    for change in [
        "UPDATE sessions SET day = 999999999",
        "UPDATE sessions SET start = -1",
        "UPDATE sessions SET duration = -1",
        "UPDATE sessions SET app = 77",
        "UPDATE workspaces SET time_zone = 'Nowhere/Land'",
        "UPDATE apps SET id = 'nothing'",
    ] {
        let Changed { data, said, .. } = Changed::new(&store, change);
        assert!(said.contains("can't be restored: "), "{change}: {said}");
        assert!(!data.exists(), "{change}");
    }
}

/// A trigger in the store's own file never runs.
#[test]
fn what_somebody_planted_in_the_store_does_not_run() {
    let store = Stopped::new(10);
    store.change("CREATE TRIGGER planted AFTER INSERT ON sessions BEGIN DELETE FROM sessions; END");
    let server = store.start(&[]);
    server.record(&sessions(&server.app, 10..20));
    let verified = run(&store.data, &["verify", "--json"]);
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["sessions"], 20);
    assert_eq!(verified["damages"].as_array().unwrap().len(), 1, "{verified}");
}

#[test]
fn copied_files_of_a_running_store_are_no_backup() {
    let server = Server::start();
    server.record(&sessions(&server.app, 0..10));
    let directory = TempDir::new().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("{FILE}{suffix}");
        std::fs::copy(server.data.join(&name), directory.path().join(&name)).unwrap();
    }
    let file = directory.path().join(FILE);
    let data = directory.path().join("restored");
    let said = refused(&data, &["restore", file.to_str().unwrap()]);
    assert!(said.contains("these are copied files of a store"), "{said}");
    assert!(!data.exists());
}

#[test]
fn a_backup_is_one_file_and_is_not_changed_by_being_restored() {
    let store = Stopped::new(10);
    let (directory, file) = backup_of(&store);
    let before = std::fs::read(&file).unwrap();
    command(
        &directory.path().join("restored"),
        &["restore", file.to_str().unwrap()],
    );
    assert!(std::fs::read(&file).unwrap() == before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    let connection = Connection::open(&file).unwrap();
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
}
