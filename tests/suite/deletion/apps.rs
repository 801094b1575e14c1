//! Apps and workspaces that are deleted with what is in them.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{agrees, counted, session};
use crate::segments::{Space, is};
use crate::support::{Server, binary, clickhouse, command, eventually, run, store_arguments};

#[test]
fn an_app_goes_with_its_sessions_and_the_others_count_without_it() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "UTC", 2);
    let other = Space::create(&data, "other", "UTC", 1);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let segment = caller.create("Brazil", &is("country", "BR"), true);
    let [gone, kept] = [space.apps[0].as_str(), space.apps[1].as_str()];
    let of = |app: &str, more: &str| -> Vec<Value> {
        let one = |(number, user): (u8, &str)| {
            let person = [("user_id", user), ("country", "BR")];
            session(app, &format!("{more}{number}"), number, &person)
        };
        (1..5).zip(["u1", "u2", "u1", "u3"]).map(one).collect()
    };
    // Users of both are new in the app that goes.
    caller.record(&of(gone, "a"));
    caller.record(&[session(kept, "k", 2, &[("user_id", "u1")])]);
    let alone = {
        let all = counted(caller, &segment, Some(kept));
        // Sizes are those of the workspace.
        all.into_iter()
            .filter(|(path, _)| !path.starts_with("/segments"))
            .collect::<Vec<_>>()
    };
    other
        .caller(&server)
        .record(&[session(&other.apps[0], "o", 1, &[("user_id", "u1")])]);
    assert_eq!(counted(caller, &segment, None).len(), 7);

    // Nobody is there to be asked.
    let output = run(&data, &["app", "delete", gone]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("with its 4 sessions for good? Nobody is there"),
        "{said}"
    );

    assert_eq!(command(&data, &["app", "delete", gone, "--yes"])["id"], gone);
    eventually("the app to be gone", || {
        let answer = caller.get(&format!("/kpi/dau/data_series?length=1&app_id={gone}"));
        answer.status == 400
    });
    for (path, answer) in alone {
        let everyone = path.replace(&format!("&app_id={kept}"), "");
        eventually(&format!("{everyone} without it"), || {
            caller.get(&everyone).json()["data"] == answer["data"]
        });
    }
    assert_eq!(exported_of(&data, "some"), ["k"]);
    assert_eq!(exported_of(&data, "other"), ["o"]);
    agrees(&data);

    // The same id is an app without a past.
    let again = ["app", "create", "again", "--workspace", "some", "--id", gone];
    assert_eq!(command(&data, &again)["id"], gone);
    let mut new = 0;
    eventually("the new app", || {
        let answer = caller.post("/sessions/track", &json!({ "sessions": of(gone, "a") }));
        new = answer.json()["sessions_processed"].as_u64().unwrap_or_default();
        answer.status == 201
    });
    assert_eq!(new, 4);
    assert_eq!(exported_of(&data, "some").len(), 5);
    agrees(&data);
}

fn exported_of(data: &std::path::Path, workspace: &str) -> Vec<String> {
    let mut export = Command::new(binary());
    let output = export
        .args(store_arguments(data))
        .args(["export", "--workspace", workspace])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let id = |line: &str| -> String {
        let session: Value = serde_json::from_str(line).unwrap();
        session["session_id"].as_str().unwrap().to_owned()
    };
    text.lines().map(id).collect()
}

#[test]
fn a_workspace_goes_with_all_that_is_in_it() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "UTC", 2);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let attributes = json!([{ "external_id": "u1", "plan": "pro" }]);
    caller.post("/users/track", &json!({ "attributes": attributes }));
    for app in &space.apps {
        caller.record(&[session(app, "a", 1, &[("user_id", "u1")])]);
    }
    let listed = command(&data, &["workspace", "list"]);
    let some = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|workspace| workspace["name"] == "some");
    let id = some.unwrap()["id"].as_str().unwrap().to_owned();
    command(&data, &["workspace", "delete", "some", "--yes"]);
    eventually("the key to be refused", || caller.get("/workspace").status == 401);
    agrees(&data);
    // Whoever gets the same names and ids gets nothing else.
    command(&data, &["workspace", "create", "some", "--id", &id]);
    let app = &space.apps[0];
    command(
        &data,
        &["app", "create", "app 0", "--workspace", "some", "--id", app],
    );
    let key = crate::segments::key(&data, "some", "all");
    let caller = crate::segments::Caller {
        server: &server,
        key: &key,
    };
    eventually("the new key", || caller.get("/workspace").status == 200);
    clickhouse::check_new(caller.record(&[session(app, "a", 2, &[("user_id", "u1")])]), 1);
    assert_eq!(
        server
            .get_as("/sessions/data_series?length=2&ending_at=2024-03-02", &key)
            .json()["data"],
        json!([{ "time": "2024-03-01", "sessions": 0 }, { "time": "2024-03-02", "sessions": 1 }])
    );
    let mut export = Command::new(binary());
    let output = export
        .args(store_arguments(&data))
        .args(["export", "--workspace", "some"])
        .output()
        .unwrap();
    let session: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&session["user_id"], &session["attributes"]),
        (&json!("u1"), &Value::Null)
    );
    agrees(&data);
}

/// Enough that removing them takes several transactions.
const MANY: u64 = 60_000;

#[test]
fn a_deletion_that_was_killed_is_completed_by_the_next_and_harms_nobody_meanwhile() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "some", "UTC", 2);
    let [gone, kept] = [&space.apps[0], &space.apps[1]];
    let lines: Vec<String> = (0..MANY)
        .map(|number| {
            let day = 1 + u8::try_from(number % 28).unwrap();
            let app = if number % 20 == 0 { kept } else { gone };
            session(
                app,
                &format!("s{number}"),
                day,
                &[("user_id", &format!("u{}", number % 997))],
            )
            .to_string()
        })
        .collect();
    let file = directory.path().join("many.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    command(&data, &["import", file.to_str().unwrap(), "--workspace", "some"]);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let sum = |scope: &str| -> Option<u64> {
        let answer = caller.get(&format!(
            "/sessions/data_series?length=31&ending_at=2024-03-31{scope}"
        ));
        let points = answer.json()["data"].as_array().cloned()?;
        Some(
            points
                .iter()
                .map(|point| point["sessions"].as_u64().unwrap())
                .sum(),
        )
    };
    let theirs = MANY / 20;
    let mut delete = Command::new(binary());
    delete
        .args(store_arguments(&data))
        .args(["app", "delete", gone, "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = delete.spawn().unwrap();
    eventually("some to be gone", || sum("").is_some_and(|sum| sum < MANY));
    // It may have ended by now, which harms nobody either.
    let _ = child.kill();
    child.wait().unwrap();
    eventually("the app that is kept", || {
        sum(&format!("&app_id={kept}")) == Some(theirs)
    });
    let output = run(&data, &["app", "delete", gone, "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The one that was killed may have done it.
    assert!(
        output.status.success() || said.contains("there is no app"),
        "{said}"
    );
    eventually("what is left", || sum("") == Some(theirs));
    assert_eq!(exported_of(&data, "some").len() as u64, theirs);
    agrees(&data);
}
