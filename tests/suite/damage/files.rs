//! Files that were deleted, replaced, cut off or opened to others; and new files in directories of others.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::support::{command, eventually};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The files of a served store are changed; nothing is acknowledged from then on, and that is said.
fn check_lost(what: &str, change: impl FnOnce(&Path)) {
    let server = Server::start();
    server.record(&sessions(&server.app, 0..10));
    change(&server.data);
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 10..20) })));
    let log = logged(&server, "nothing can be recorded");
    assert!(log.contains(&format!("was {what} while it was open")), "{log}");
    assert_eq!(ready(&server).status, 500);
    assert_eq!(server.stop(), Some(1), "{what}");
}

#[test]
fn a_database_that_is_deleted_or_replaced_under_the_server_ends_recording() {
    check_lost("deleted", |data| std::fs::remove_file(data.join(FILE)).unwrap());
    check_lost("deleted", |data| {
        std::fs::remove_file(data.join("sessions.sqlite-wal")).unwrap();
    });
    check_lost("replaced", |data| {
        let copy = data.join("copy");
        std::fs::copy(data.join(FILE), &copy).unwrap();
        std::fs::rename(copy, data.join(FILE)).unwrap();
    });
    check_lost("deleted", |data| {
        std::fs::rename(data, data.with_extension("moved")).unwrap();
    });
}

#[test]
fn a_database_that_is_put_back_is_recorded_into_again_and_nothing_is_lost() {
    let store = Stopped::new(10);
    let server = store.start(&[]);
    let moved = store.data.with_extension("moved");
    std::fs::rename(&store.data, &moved).unwrap();
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 10..20) })));
    std::fs::rename(&moved, &store.data).unwrap();
    server.record(&sessions(&server.app, 20..30));
    assert_eq!(ready(&server).status, 200);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(damages(&store.data), Vec::<String>::new());
    assert_eq!(store.start(&[]).counts(ALL_DAYS).iter().sum::<u64>(), 20);
}

/// What took the database's place belongs to somebody else, and so does the journal beside it.
#[test]
fn the_end_of_a_server_does_not_touch_the_files_that_took_the_place_of_its_own() {
    let store = Stopped::new(10);
    let server = store.start(&[]);
    server.record(&sessions(&server.app, 10..20));
    for suffix in ["", "-wal", "-shm"] {
        let name = store.data.join(format!("{FILE}{suffix}"));
        let other = store.data.join("other");
        std::fs::write(&other, format!("another's{suffix}")).unwrap();
        std::fs::rename(&other, &name).unwrap();
    }
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 20..30) })));
    assert_eq!(server.stop(), Some(1));
    for suffix in ["", "-wal", "-shm"] {
        let content = std::fs::read_to_string(store.data.join(format!("{FILE}{suffix}"))).unwrap();
        assert_eq!(content, format!("another's{suffix}"));
    }
}

#[test]
fn a_journal_that_is_cut_under_the_server_does_not_destroy_the_database() {
    let store = Stopped::new(1_000);
    let server = store.start(&[]);
    server.record(&sessions(&server.app, 1_000..2_000));
    let journal = std::fs::OpenOptions::new()
        .write(true)
        .open(store.data.join(format!("{FILE}-wal")))
        .unwrap();
    journal.set_len(0).unwrap();
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 2_000..2_010) })));
    assert!(
        server.log().contains("the journal was cut while it was open"),
        "{}",
        server.log()
    );
    server.stop();
    // What was in the database before is whole.
    assert_eq!(command(&store.data, &["verify"])["sessions"], 1_000);
}

#[test]
fn what_is_in_a_journal_that_was_deleted_under_the_server_is_saved_at_its_end() {
    let store = Stopped::new(10);
    let server = store.start(&[]);
    server.record(&sessions(&server.app, 10..500));
    std::fs::remove_file(store.data.join(format!("{FILE}-wal"))).unwrap();
    check_unusable(&server.track(&json!({ "sessions": sessions(&server.app, 500..510) })));
    assert_eq!(server.stop(), Some(1));
    let verified = command(&store.data, &["verify"]);
    // What was not acknowledged may be among them.
    let found = verified["sessions"].as_u64().unwrap();
    assert!((500..=510).contains(&found), "{verified}");
}

#[test]
fn an_empty_database_beside_a_lock_file_is_refused() {
    let store = Stopped::new(10);
    std::fs::write(store.file(), "").unwrap();
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"][..],
        &["verify"],
        &["workspace", "create", "another"],
        &["backup", "never-written.sqlite"],
    ] {
        let said = refused(&store.data, arguments);
        assert!(
            said.contains("is empty, though a store was in use here"),
            "{said}"
        );
        assert_eq!(std::fs::metadata(store.file()).unwrap().len(), 0);
    }
}

#[test]
fn a_journal_without_its_database_is_refused() {
    let server = Server::start();
    server.record(&sessions(&server.app, 0..10));
    let data = server.data.clone();
    let _kept = server.kill_and_keep_directory();
    std::fs::rename(data.join(FILE), data.join("moved")).unwrap();
    let said = refused(
        &data,
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"],
    );
    assert!(said.contains("is missing, but its journal"), "{said}");
    std::fs::rename(data.join("moved"), data.join(FILE)).unwrap();
    assert_eq!(damages(&data), Vec::<String>::new());
}

#[test]
fn the_stores_files_are_closed_to_others_whatever_the_directory_and_that_is_said() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    std::fs::create_dir(&data).unwrap();
    set_mode(&data, 0o755);
    let server = Server::start_on(&data, &[]);
    server.record(&sessions(&server.app, 0..10));
    let files: Vec<PathBuf> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let log = logged(&server, "other users can look into");
    assert!(log.contains("mode 755"), "{log}");
    assert_eq!(server.stop(), Some(0));
    set_mode(&data, 0o700);
    let server = Server::start_on(&data, &[]);
    assert!(!server.log().contains("other users"), "{}", server.log());
}

#[test]
fn what_commands_write_is_new_closed_to_others_and_follows_no_link() {
    let server = Server::start();
    let mut all = sessions(&server.app, 0..10);
    all[0]["user_id"] = json!("somebody");
    server.record(&all);
    let place = TempDir::new().unwrap();
    set_mode(place.path(), 0o777);
    let victim = place.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let input = server.data.with_extension("ndjson");
    std::fs::write(&input, "{}\n{\"app_id\":").unwrap();
    let input = input.to_str().unwrap();
    for (name, arguments) in [
        ("backup.sqlite", ["backup", "FILE", "", ""]),
        ("export.ndjson", ["export", "--output", "FILE", ""]),
        ("rejects", ["import", input, "--rejects", "FILE"]),
    ] {
        let file = place.path().join(name);
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let arguments: Vec<&str> = arguments
            .map(|argument| match *argument {
                "FILE" => file.to_str().unwrap(),
                other => other,
            })
            .collect();
        // Planted where the file comes together, and in its own place.
        symlink(&victim, place.path().join(format!("{name}.partial"))).unwrap();
        symlink(place.path().join("nowhere"), &file).unwrap();
        let said = refused(&server.data, &arguments);
        assert!(said.contains("exists already"), "{name}: {said}");
        std::fs::remove_file(&file).unwrap();
        run(&server.data, &arguments);
        assert_eq!(mode(&file), 0o600, "{name}");
        assert!(file.symlink_metadata().unwrap().is_file(), "{name}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{name}");
    }
    assert!(!place.path().join("nowhere").exists());
    // Three files, three planted links and the victim.
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 7);
}

#[test]
fn a_restored_store_is_closed_to_others_whatever_the_backup_was() {
    let store = Stopped::new(10);
    let directory = TempDir::new().unwrap();
    let backup = directory.path().join("backup.sqlite");
    crate::support::command(&store.data, &["backup", backup.to_str().unwrap()]);
    set_mode(&backup, 0o644);
    let data = directory.path().join("restored");
    crate::support::command(&data, &["restore", backup.to_str().unwrap()]);
    assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
}

/// Whoever reads an export may take any time; the journal must be moved into the database meanwhile.
#[test]
fn an_export_that_nobody_reads_does_not_keep_the_journal() {
    use std::io::Read as _;
    let server = Server::start();
    for batch in 0..6 {
        server.record(&sessions(&server.app, batch * 10_000..(batch + 1) * 10_000));
    }
    let mut export = std::process::Command::new(crate::support::binary())
        .args(["export", "--data"])
        .arg(&server.data)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = export.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1]).unwrap();
    server.record(&sessions(&server.app, 60_000..60_001));
    let connection = Connection::open(server.data.join(FILE)).unwrap();
    let is_moved = || {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 0
    };
    eventually("the journal's way into the database", is_moved);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(export.wait().unwrap().success());
    assert!(rest.lines().count() >= 60_000);
}

/// Short readers, of whom there is always one (two `verify`, say): the journal begins anew all the same.
#[test]
fn readers_without_a_gap_do_not_let_the_journal_grow() {
    let server = Server::start_with(&["--journal-limit", "4"]);
    let readers = [(); 2].map(|()| Connection::open(server.data.join(FILE)).unwrap());
    let begin = |reader: &Connection| {
        reader.execute_batch("BEGIN").unwrap();
        let newest = reader.query_row("SELECT commit_seq FROM meta", [], |row| row.get::<_, i64>(0));
        newest.unwrap();
    };
    std::thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            for batch in 0..60 {
                // It is never refused for want of room in the journal.
                server.record(&sessions(&server.app, batch * 2_000..(batch + 1) * 2_000));
            }
        });
        let [one, other] = &readers;
        begin(one);
        while !recorder.is_finished() {
            begin(other);
            one.execute_batch("COMMIT").unwrap();
            begin(one);
            other.execute_batch("COMMIT").unwrap();
        }
        one.execute_batch("COMMIT").unwrap();
    });
    let journal = std::fs::metadata(server.data.join("sessions.sqlite-wal")).unwrap();
    assert!(journal.len() < 8_000_000, "{}", journal.len());
}
