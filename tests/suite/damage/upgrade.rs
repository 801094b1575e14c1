//! A store of an older format is brought up to date with its old file kept, and a backup leaves it as it is.

use super::*;
use crate::support::command;

fn old_store() -> (TempDir, PathBuf) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-1.sqlite");
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(fixture, data.join(FILE)).unwrap();
    (directory, data)
}

fn format(file: &Path) -> i64 {
    let connection = Connection::open(file).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn the_migration_says_what_it_does_and_keeps_the_old_file() {
    let (_directory, data) = old_store();
    let output = run(&data, &["workspace", "list"]);
    assert!(output.status.success());
    let said = errors(&output);
    assert!(
        said.contains("has format 1") && said.contains("sessions.sqlite.format-1"),
        "{said}"
    );
    let kept = data.join("sessions.sqlite.format-1");
    assert_eq!(format(&kept), 1);
    assert!(format(&data.join(FILE)) > 1);
    // The second time there is nothing to say.
    assert_eq!(errors(&run(&data, &["workspace", "list"])), "");
    // The copy is a backup: the old store is had again with it.
    let restored = data.with_extension("restored");
    command(&restored, &["restore", kept.to_str().unwrap()]);
    assert_eq!(command(&restored, &["verify"])["sessions"], 12);
    // Another copy never takes the place of one that is there.
    std::fs::remove_file(data.join(FILE)).unwrap();
    std::fs::copy(&kept, data.join(FILE)).unwrap();
    command(&data, &["workspace", "list"]);
    assert_eq!(format(&data.join("sessions.sqlite.format-1-2")), 1);
}

#[test]
fn who_has_a_backup_can_do_without_the_copy() {
    let (_directory, data) = old_store();
    let output = run(&data, &["workspace", "list", "--no-migration-copy"]);
    assert!(
        output.status.success() && errors(&output).contains("no copy"),
        "{}",
        errors(&output)
    );
    assert!(!data.join("sessions.sqlite.format-1").exists());
    assert!(format(&data.join(FILE)) > 1);
}

#[test]
fn a_backup_of_an_older_format_leaves_the_store_as_it_is() {
    let (directory, data) = old_store();
    let before = std::fs::read(data.join(FILE)).unwrap();
    let file = directory.path().join("backup.sqlite");
    command(&data, &["backup", file.to_str().unwrap()]);
    assert_eq!(format(&file), 1);
    assert!(std::fs::read(data.join(FILE)).unwrap() == before);
    let restored = directory.path().join("restored");
    command(&restored, &["restore", file.to_str().unwrap()]);
    assert_eq!(command(&restored, &["verify"])["sessions"], 12);
}
