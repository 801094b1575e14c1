//! `workspace set-retention` and `set-first-weekday`: what they ask, print and refuse.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DAY, date, today};
use crate::support::{command, run};

/// A store with the workspace `acme`, and one session of its app so many days ago.
fn store(days_ago: i64) -> TempDir {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    command(data, &["workspace", "create", "acme"]);
    command(data, &["app", "create", "Shop"]);
    let file = data.join("sessions.ndjson");
    let session = json!({"session_id": "s", "started_at": (today() - days_ago) * DAY});
    std::fs::write(&file, session.to_string()).unwrap();
    command(data, &["import", file.to_str().unwrap(), "--app", "Shop"]);
    directory
}

fn listed(data: &Path) -> Value {
    command(data, &["workspace", "list"])[0].clone()
}

/// What was printed, and what was said.
fn texts(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = run(data, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn what_is_set_is_printed_and_listed() {
    let store = store(1);
    let data = store.path();
    assert_eq!(listed(data)["retention_days"], Value::Null);
    assert_eq!(listed(data)["first_weekday"], "monday");
    let set = command(data, &["workspace", "set-retention", "acme", "30"]);
    assert_eq!(
        (&set["name"], &set["retention_days"]),
        (&json!("acme"), &json!(30))
    );
    assert_eq!(
        (&set["sealed_days"], &set["sealed_sessions"]),
        (&json!(0), &json!(0))
    );
    let set = command(data, &["workspace", "set-first-weekday", "acme", "Sunday"]);
    assert_eq!(
        (&set["retention_days"], &set["first_weekday"]),
        (&json!(30), &json!("sunday"))
    );
    assert_eq!(listed(data), set);
    let (table, _, _) = texts(data, &["workspace", "list"]);
    assert!(table.contains("RETENTION  WEEKS BEGIN"), "{table}");
    assert!(table.contains("30 days    sunday"), "{table}");
    let (printed, _, _) = texts(data, &["workspace", "set-first-weekday", "acme", "saturday"]);
    assert_eq!(printed, "changed workspace 'acme'\n  weeks begin on  saturday\n");
    // Longer, and for ever.
    for (days, expected) in [("60", "60 days"), ("none", "for ever")] {
        let (printed, _, _) = texts(data, &["workspace", "set-retention", "acme", days]);
        let expected = format!(
            "changed workspace 'acme'\n  retention  {expected}\n\
             sessions that were removed before stay removed, and their counts stay\n"
        );
        assert_eq!(printed, expected);
    }
    let set = command(data, &["workspace", "set-retention", "acme", "0"]);
    assert_eq!(set["retention_days"], Value::Null);
}

#[test]
fn sessions_go_only_with_consent() {
    let store = store(40);
    let data = store.path();
    let (printed, said, code) = texts(data, &["workspace", "set-retention", "acme", "30"]);
    assert_eq!((printed.as_str(), code), ("", Some(1)));
    assert_eq!(
        said,
        "sessionmeter: The retention of 30 days removes 1 session of 1 day of apps from workspace 'acme' for good, and keeps \
         their counts. Set it? Nobody is there to be asked: say so with --yes\n"
    );
    assert_eq!(listed(data)["retention_days"], Value::Null);
    // The day after the retention's last one goes a day later.
    command(data, &["workspace", "set-retention", "acme", "39"]);
    let set = command(data, &["workspace", "set-retention", "acme", "30", "--yes"]);
    assert_eq!(set["retention_days"], 30);
}

#[test]
fn an_export_says_what_it_can_not_have() {
    let store = store(40);
    let data = store.path();
    let said = |arguments: &[&str]| {
        let (_, said, code) = texts(data, &[&["export"], arguments].concat());
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let note = "sessionmeter: note: 1 day of apps can't be in the export";
    assert_eq!(said(&[]), "");
    command(data, &["workspace", "set-retention", "acme", "60"]);
    assert_eq!(said(&[]), "");
    command(data, &["workspace", "set-retention", "acme", "30", "--yes"]);
    assert!(said(&[]).starts_with(note));
    assert!(said(&["--to", &date(today() - 40)]).starts_with(note));
    assert_eq!(said(&["--to", &date(today() - 41)]), "");
    assert_eq!(said(&["--from", &date(today() - 39)]), "");
    // A retention that is lifted brings nothing back.
    command(data, &["workspace", "set-retention", "acme", "none"]);
    let lifted = said(&[]);
    assert!(lifted.starts_with(note), "{lifted}");
    assert!(lifted.contains("were removed, and their counts kept"), "{lifted}");
}

#[test]
fn wrong_values_are_wrong_usage() {
    let store = store(1);
    for (arguments, expected) in [
        (
            ["set-retention", "acme", "36501"],
            "give 1 to 36,500 days, or 'none' to keep sessions for ever",
        ),
        (
            ["set-retention", "acme", "ever"],
            "give 1 to 36,500 days, or 'none' to keep sessions for ever",
        ),
        (
            ["set-first-weekday", "acme", "domingo"],
            "must be one of monday, tuesday, wednesday, thursday, friday, saturday, sunday, received 'domingo'",
        ),
    ] {
        let (_, said, code) = texts(store.path(), &[&["workspace"], &arguments[..]].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (_, said, code) = texts(store.path(), &["workspace", "set-retention", "other", "30"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no workspace 'other'"), "{said}");
}
