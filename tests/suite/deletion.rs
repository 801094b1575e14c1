//! What is deleted is gone, and what stays counts as before.

mod apps;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::segments::Caller;
use crate::support::{eventually, run, store_arguments};

const WINDOW: &str = "length=4&ending_at=2024-03-04";

/// A session of a person, noon of a day of March 2024.
fn session(app: &str, id: &str, day: u8, person: &[(&str, &str)]) -> Value {
    let mut session =
        json!({ "app_id": app, "session_id": id, "started_at": format!("2024-03-{day:02}T12:00:00Z") });
    for (name, value) in person {
        session[*name] = (*value).into();
    }
    session
}

/// Everything that is counted, of all apps or one.
fn counted(caller: Caller<'_>, segment: &str, app: Option<&str>) -> BTreeMap<String, Value> {
    let app = app.map_or(String::new(), |app| format!("&app_id={app}"));
    let asked = [
        format!("/sessions/data_series?{WINDOW}{app}"),
        format!("/sessions/data_series?{WINDOW}{app}&segment_id={segment}"),
        format!("/kpi/dau/data_series?{WINDOW}{app}"),
        format!("/kpi/mau/data_series?{WINDOW}{app}"),
        format!("/kpi/new_users/data_series?{WINDOW}{app}"),
        format!("/segments/data_series?{WINDOW}&segment_id={segment}"),
        format!("/sessions/query?from=2024-03-01&to=2024-03-04&metric=users&group_by=attributes.plan{app}"),
    ];
    let answer = |path: &String| {
        let mut answer = caller.get(path);
        eventually("an answer", || {
            let is_counting = Caller::progress(&answer).is_some();
            if is_counting {
                answer = caller.get(path);
            }
            !is_counting
        });
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        (path.clone(), answer.json())
    };
    asked.iter().map(answer).collect()
}

/// The sessions that are exported, by id.
fn exported(data: &Path) -> BTreeMap<String, Value> {
    let mut command = std::process::Command::new(crate::support::binary());
    let output = command
        .args(store_arguments(data))
        .arg("export")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let session = |line: &str| {
        let session: Value = serde_json::from_str(line).unwrap();
        (session["session_id"].as_str().unwrap().to_owned(), session)
    };
    text.lines().map(session).collect()
}

/// `verify` finds nothing.
fn agrees(data: &Path) {
    let output = run(data, &["verify"]);
    assert!(output.status.success(), "{output:?}");
}
