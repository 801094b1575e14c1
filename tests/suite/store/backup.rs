//! Backups are consistent while the server goes on, and nothing is ever replaced by a restore.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::support::{command, eventually};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn restore(file: &Path, data: &Path) {
    command(data, &["restore", text(file)]);
    let verified = command(data, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
}

/// A small backup in a directory of its own, and the key that it knows. It counts three sessions.
fn small_backup() -> (TempDir, PathBuf, String) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup.sqlite");
    let server = Server::start();
    server.record(&sessions(&server.app, "backed up", 0..3));
    server.command(&["backup", text(&file)]);
    (directory, file, server.key.clone())
}

#[test]
fn a_backup_of_a_recording_server_is_one_consistent_state() {
    const CONNECTIONS: usize = 4;
    const BATCH: i64 = 5;
    let server = Server::start();
    let apps: Vec<String> = (0..CONNECTIONS)
        .map(|number| {
            let created = server.command(&["app", "create", &format!("app {number}")]);
            created["id"].as_str().unwrap().to_owned()
        })
        .collect();
    eventually("the new apps", || {
        apps.iter().all(|app| {
            let path = format!("/sessions/data_series?length=1&app_id={app}");
            server.get(&path).status == 200
        })
    });
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup.sqlite");
    let stop = AtomicBool::new(false);
    let progress: Vec<AtomicU64> = apps.iter().map(|_| AtomicU64::new(0)).collect();
    // Each connection fills one day of its app after the other: what is there must be days without a gap.
    let fill = |app: &str, progress: &AtomicU64| {
        for day in 0..100 {
            let batch: Vec<Value> = (0..BATCH)
                .map(|number| {
                    let started_at = FIRST_DAY + day * 86_400 + number * 3_600;
                    json!({ "app_id": app, "session_id": format!("{number}"), "started_at": started_at })
                })
                .collect();
            server.record(&batch);
            progress.fetch_add(1, Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    let days = || -> Vec<u64> { progress.iter().map(|days| days.load(Ordering::SeqCst)).collect() };
    let (before, after) = std::thread::scope(|scope| {
        for (app, progress) in apps.iter().zip(&progress) {
            let fill = &fill;
            scope.spawn(move || fill(app, progress));
        }
        eventually("some days", || days().iter().all(|days| *days >= 10));
        let before = days();
        server.command(&["backup", text(&file)]);
        let after = days();
        stop.store(true, Ordering::SeqCst);
        (before, after)
    });
    let data = directory.path().join("restored");
    restore(&file, &data);
    let restored = start_with_key(&data, &server.key);
    for (number, app) in apps.iter().enumerate() {
        let counts = restored.counts(&format!("{ALL_DAYS}&app_id={app}"));
        let filled = counts.iter().take_while(|count| **count == BATCH as u64).count();
        assert!(counts[filled..].iter().all(|count| *count == 0), "{counts:?}");
        // One more may have been recorded whose acknowledgement was on its way.
        let possible = before[number]..=after[number] + 1;
        assert!(
            possible.contains(&(filled as u64)),
            "{filled} days, expected {possible:?}"
        );
    }
}

#[test]
fn a_restored_store_answers_what_the_original_answers() {
    let server = Server::start();
    let other = server.command(&["app", "create", "other", "--platform", "web"]);
    let other = other["id"].as_str().unwrap().to_owned();
    server.command(&["workspace", "set-time-zone", "default", "Asia/Kathmandu"]);
    let by_other = format!("length=100&ending_at=2024-04-09&app_id={other}");
    eventually("the new app", || {
        server.get(&format!("/sessions/data_series?{by_other}")).status == 200
    });
    server.record(&sessions(&server.app, "a", 0..5_000));
    server.record(&sessions(&other, "b", 0..333));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup.sqlite");
    let printed = server.command(&["backup", text(&file)]);
    assert_eq!(printed["bytes"], std::fs::metadata(&file).unwrap().len());
    assert_eq!(files(directory.path()).len(), 1, "only the backup was written");
    let data = directory.path().join("restored");
    restore(&file, &data);
    let restored = start_with_key(&data, &server.key);
    for query in [
        ALL_DAYS,
        "length=100&unit=hour&ending_at=2024-02-02T12:00:00Z",
        by_other.as_str(),
    ] {
        let path = format!("/sessions/data_series?{query}");
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(restored.get(&path).text, answer.text);
    }
    let again = restored.record(&sessions(&server.app, "a", 0..5_000)).json();
    // Over ClickHouse a process knows what it recorded itself.
    let known = if clickhouse::is_used() { 0 } else { 5_000 };
    assert_eq!(again["duplicates"], known);
    // The two are two from now on.
    restored.record(&sessions(&server.app, "only here", 0..10));
    assert_eq!(total(&restored), total(&server) + 10);
}

#[test]
fn a_store_is_never_replaced_by_a_restore() {
    let (_directory, file, _) = small_backup();
    let server = Server::start();
    server.record(&sessions(&server.app, "s", 0..10));
    let (in_use, there) = if clickhouse::is_used() {
        ["the store is not empty"; 2].into()
    } else {
        ("another sessionmeter server uses", "has a store already")
    };
    let message = refusal(&server.data, &["restore", text(&file)]);
    assert!(message.contains(in_use), "{message}");
    assert_eq!(total(&server), 10);
    let data = server.data.clone();
    let _kept = server.keep_directory();
    let before = everything(&data);
    let message = refusal(&data, &["restore", text(&file)]);
    assert!(message.contains(there), "{message}");
    assert!(everything(&data) == before);
}

#[test]
fn what_is_no_backup_is_not_restored_and_leaves_nothing() {
    let (directory, file, _) = small_backup();
    let whole = std::fs::read(&file).unwrap();
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle..].fill(0);
    let bad = directory.path().join("bad.sqlite");
    for (what, content) in [
        ("text", b"no database".repeat(1_000)),
        ("an empty file", Vec::new()),
        ("the first page", whole[..8_192].to_vec()),
        ("two thirds", whole[..whole.len() * 2 / 3].to_vec()),
        ("half of it zeros", torn),
    ] {
        std::fs::write(&bad, &content).unwrap();
        check_not_restored(what, &bad);
    }
    std::fs::write(&bad, &whole).unwrap();
    let database = Connection::open(&bad).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();
    check_not_restored("a newer format", &bad);
    database.pragma_update(None, "user_version", 1).unwrap();
    database.pragma_update(None, "application_id", 0).unwrap();
    check_not_restored("another program's", &bad);
    drop(database);
    std::fs::remove_file(&bad).unwrap();
    check_not_restored("no file", &bad);
    check_not_restored("a directory", directory.path());
}

fn check_not_restored(what: &str, file: &Path) {
    let before = file.is_file().then(|| std::fs::read(file).unwrap());
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("new").join("store");
    refusal(&data, &["restore", text(file)]);
    assert!(files(directory.path()).is_empty(), "{what} left something behind");
    assert!(!clickhouse::exists(&data), "{what} left something behind");
    assert_eq!(
        before,
        file.is_file().then(|| std::fs::read(file).unwrap()),
        "{what}"
    );
}

/// A crashed server leaves a journal; who then removes the database and restores must get the backup, not a mixture.
#[test]
fn a_journal_that_was_left_behind_does_not_get_into_a_restored_store() {
    let (_directory, file, key) = small_backup();
    let server = Server::start();
    server.record(&sessions(&server.app, "s", 0..2_000));
    let data = server.data.clone();
    let _kept = server.kill_and_keep_directory();
    assert!(data.join("sessions.sqlite-wal").exists());
    std::fs::remove_file(data.join(FILE)).unwrap();
    let output = run(&data, &["restore", text(&file)]);
    if !output.status.success() {
        // To refuse is fine as well, as long as nothing is made.
        assert!(!data.join(FILE).exists());
        return;
    }
    let verified = command(&data, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(3)),
        "{verified}"
    );
    assert_eq!(total(&start_with_key(&data, &key)), 3);
}

#[test]
fn a_backup_replaces_nothing_and_leaves_nothing_when_it_fails() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("precious");
    std::fs::write(&file, "precious").unwrap();
    let message = refusal(&server.data, &["backup", text(&file)]);
    assert!(message.contains("exists already"), "{message}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    refusal(
        &server.data,
        &["backup", text(&directory.path().join("missing/backup.sqlite"))],
    );
    refusal(&server.data, &["backup", text(directory.path())]);
    assert_eq!(files(directory.path()).len(), 1);
}
