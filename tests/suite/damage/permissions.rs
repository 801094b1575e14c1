//! Who may not write still reads, and who may not read is told so.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::*;
use crate::support::binary;

/// `nobody`
const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Runs a command as somebody who is not allowed everything.
fn run_as_other(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().unwrap()
}

/// A stopped store as a copy that can only be read.
fn read_only() -> (Stopped, PathBuf) {
    let store = Stopped::new(10);
    set_mode(store.data.parent().unwrap(), 0o755);
    let copy = store.data.with_extension("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(store.file(), copy.join(FILE)).unwrap();
    set_mode(&copy.join(FILE), 0o444);
    set_mode(&copy, 0o555);
    (store, copy)
}

#[test]
fn everything_that_reads_works_on_a_copy_that_can_only_be_read() {
    let (store, copy) = read_only();
    let out = TempDir::new().unwrap();
    set_mode(out.path(), 0o777);
    let path = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    let (backup, export) = (path("backup.sqlite"), path("export.ndjson"));
    for arguments in [
        vec!["verify"],
        vec!["series", "--length", "3"],
        vec!["app", "list"],
        vec!["backup", &backup],
        vec!["export", "--output", &export],
    ] {
        let output = run_as_other(&copy, &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    }
    assert_eq!(std::fs::read_to_string(export).unwrap().lines().count(), 10);
    let names: Vec<_> = std::fs::read_dir(&copy)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names,
        [FILE],
        "something was made in a directory that can only be read"
    );
    for arguments in [
        vec!["app", "create", "another"],
        vec!["workspace", "create", "another"],
        vec!["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"],
    ] {
        let output = run_as_other(&copy, &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = errors(&output);
        assert!(said.contains("permission"), "{arguments:?}: {said}");
    }
    set_mode(&copy, 0o755);
    drop(store);
}

#[test]
fn a_store_that_is_served_can_be_read_by_who_may_only_read() {
    let server = Server::start();
    server.record(&sessions(&server.app, 0..10));
    set_mode(server.data.parent().unwrap(), 0o755);
    set_mode(&server.data, 0o755);
    for suffix in ["", "-wal", "-shm"] {
        set_mode(&server.data.join(format!("{FILE}{suffix}")), 0o644);
    }
    let output = run_as_other(&server.data, &["verify", "--json"]);
    assert!(output.status.success(), "{}", errors(&output));
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["sessions"], 10);
}

#[test]
fn missing_permission_is_called_that() {
    let store = Stopped::new(10);
    set_mode(store.data.parent().unwrap(), 0o755);
    // The directory is closed, then only the file is.
    for mode in [0o700, 0o755] {
        set_mode(&store.data, mode);
        if !is_root() && mode == 0o700 {
            continue;
        }
        if !is_root() {
            set_mode(&store.file(), 0);
        }
        for arguments in [
            vec!["verify"],
            vec!["backup", "never-written.sqlite"],
            vec!["workspace", "list"],
        ] {
            let said = errors(&run_as_other(&store.data, &arguments));
            assert!(
                said.contains("permission denied") && !said.contains("there is no store"),
                "{said}"
            );
        }
    }
    let nowhere = store.data.with_extension("nowhere");
    assert!(refused(&nowhere, &["verify"]).contains("there is no store"));
}
