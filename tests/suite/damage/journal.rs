//! The journal that a crash leaves behind, with a bit that the disk has changed.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const BATCH: i64 = 100;
const BATCHES: i64 = 6;

/// A store whose server was killed, with all its sessions in the journal.
fn crashed() -> (TempDir, PathBuf, String) {
    let server = Server::start();
    for batch in 0..BATCHES {
        server.record(&sessions(&server.app, batch * BATCH..(batch + 1) * BATCH));
    }
    let (data, key) = (server.data.clone(), server.key.clone());
    (server.kill_and_keep_directory(), data, key)
}

fn flip(file: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_journal_that_was_damaged_is_said_and_kept_and_is_in_the_result_of_verify() {
    let (_kept, data, key) = crashed();
    let journal = data.join("sessions.sqlite-wal");
    flip(&journal, |length| length * 3 / 4);
    let damaged = std::fs::read(&journal).unwrap();
    let mut server = Server::start_on(&data, &[]);
    server.key = key;
    let counted: u64 = server.counts(ALL_DAYS).iter().sum();
    assert!(
        counted < (BATCH * BATCHES) as u64,
        "the flipped bit was in nothing: {counted}"
    );
    logged(&server, "the journal was damaged when the store was opened");
    let copies: Vec<PathBuf> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains("-wal.damaged-"))
        .collect();
    let [copy] = copies.as_slice() else {
        panic!("{copies:?}")
    };
    assert!(std::fs::read(copy).unwrap() == damaged);
    assert_eq!(
        std::fs::metadata(copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let found = damages(&data);
    assert!(
        found.len() == 1 && found[0].contains(copy.to_str().unwrap()),
        "{found:?}"
    );
    // The server goes on, and whoever has delivered again what was lost removes the copy.
    let app = server.command(&["app", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server.record(&sessions(&app, 0..BATCH * BATCHES));
    assert_eq!(
        server.counts(ALL_DAYS).iter().sum::<u64>(),
        (BATCH * BATCHES) as u64
    );
    std::fs::remove_file(copy).unwrap();
    assert_eq!(damages(&data), Vec::<String>::new());
}

#[test]
fn a_damaged_header_of_the_journal_is_noticed_by_whatever_command_comes_first() {
    for arguments in [vec!["verify"], vec!["backup", "BACKUP"], vec!["app", "list"]] {
        let (_kept, data, _) = crashed();
        flip(&data.join("sessions.sqlite-wal"), |_| 17);
        let backup = data.join("backup.sqlite");
        let arguments = arguments.iter().map(|argument| match *argument {
            "BACKUP" => backup.to_str().unwrap(),
            other => other,
        });
        let output = run(&data, &arguments.collect::<Vec<_>>());
        let said = errors(&output);
        assert!(
            said.contains("the journal was damaged when the store was opened"),
            "{said}"
        );
        assert_eq!(damages(&data).len(), 1);
    }
}

#[test]
fn a_journal_whose_beginning_is_gone_is_noticed_and_the_first_key_goes_on_to_work() {
    for gone in [32, 4096] {
        let (_kept, data, key) = crashed();
        let journal = data.join("sessions.sqlite-wal");
        let mut bytes = std::fs::read(&journal).unwrap();
        bytes[..gone].fill(0);
        std::fs::write(&journal, bytes).unwrap();
        std::fs::remove_file(data.join("sessions.sqlite-shm")).unwrap();
        let mut server = Server::start_on(&data, &[]);
        server.key = key;
        let log = logged(&server, "the journal was damaged when the store was opened");
        assert!(log.contains("an unknown number of transactions (up to "), "{log}");
        assert_eq!(server.counts(ALL_DAYS).iter().sum::<u64>(), 0);
        assert_eq!(damages(&data).len(), 1);
    }
}

#[test]
fn a_journal_that_ends_in_zeros_is_noticed() {
    let (_kept, data, _) = crashed();
    let journal = data.join("sessions.sqlite-wal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let last = bytes.len() - (24 + 8192);
    bytes[last..].fill(0);
    std::fs::write(&journal, bytes).unwrap();
    let said = errors(&run(&data, &["app", "list"]));
    assert!(
        said.contains("an unknown number of transactions (up to 1)"),
        "{said}"
    );
    assert_eq!(damages(&data).len(), 1);
}

/// What is in the journal may be the store's only workspace.
#[test]
fn no_first_workspace_is_made_beside_a_damaged_journal() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("store");
    std::fs::create_dir(&data).unwrap();
    let kept = data.join("sessions.sqlite-wal.damaged-0123456789abcdef");
    std::fs::write(&kept, "what could not be read").unwrap();
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"][..],
        &["workspace", "create", "another"],
    ] {
        let said = refused(&data, arguments);
        assert!(
            said.contains("the store has no workspace, but a journal that was damaged"),
            "{said}"
        );
    }
    std::fs::remove_file(kept).unwrap();
    let server = Server::start_on(&data, &[]);
    assert_eq!(
        server.command(&["workspace", "list"]).as_array().unwrap().len(),
        1
    );
}
