//! The path of somebody new: the store that `serve` makes is given its names instead of a second one, and nobody has to
//! guess where a store is.

mod atomic;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments;
use crate::support::{self, Server, binary, command, eventually, run, terminate};

fn words(output: &std::process::Output) -> (Option<i32>, String, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_first_workspace_and_app_are_renamed_under_a_running_server() {
    let server = Server::start();
    server.record(&[server.session("a", "2018-06-28T12:00:00Z")]);
    let renamed = server.command(&["workspace", "rename", "default", "acme"]);
    assert_eq!(
        renamed,
        json!({"id": server.workspace, "name": "acme", "time_zone": "UTC"})
    );
    let renamed = server.command(&["app", "rename", "default", "Shop (iOS)"]);
    assert_eq!(
        renamed,
        json!({"id": server.app, "name": "Shop (iOS)", "platform": ""})
    );
    server.command(&["workspace", "set-time-zone", "acme", "America/New_York"]);
    // No command needs to be told the workspace, and the first key goes on working.
    let series = server.command(&[
        "series",
        "--app",
        "Shop (iOS)",
        "--length",
        "1",
        "--ending-at",
        "2018-06-28",
    ]);
    assert_eq!(series["data"], json!([{"time": "2018-06-28", "sessions": 1}]));
    eventually("the new time zone", || {
        server.counts("length=1&ending_at=2018-06-28T23:00:00-04:00") == [1]
    });
    // Names are unique: among workspaces, and among the apps of one.
    server.command(&["workspace", "create", "other"]);
    server.command(&["app", "create", "Web", "--workspace", "acme"]);
    for (arguments, error) in [
        (
            &["workspace", "rename", "other", "acme"][..],
            "there is a workspace named 'acme' already",
        ),
        (
            &["app", "rename", "Web", "Shop (iOS)"],
            "there is an app named 'Shop (iOS)' already",
        ),
        (
            &["app", "rename", "Nothing", "x"],
            "there is no app 'Nothing'; the apps are 'Shop (iOS)', 'Web'",
        ),
        (
            &["workspace", "rename", "nothing", "x"],
            "there is no workspace 'nothing'",
        ),
    ] {
        let (code, _, said) = words(&run(&server.data, arguments));
        assert_eq!((code, said.contains(error)), (Some(1), true), "{said}");
    }
    // To its own name is no conflict.
    server.command(&["workspace", "rename", "acme", "acme"]);
    server.command(&["app", "rename", "Web", "Web"]);
}

#[test]
fn what_is_deleted_leaves_nothing_to_whoever_comes_next() {
    let server = Server::start();
    server.record(&[server.session("a", "2018-06-28T12:00:00Z")]);
    let other = server.command(&["workspace", "create", "other"]);
    let web = server.command(&["app", "create", "Web", "--workspace", "other"]);
    let key = segments::key(&server.data, "other", "all");
    let key = key.as_str();
    let filter = r#"{"field": "platform", "op": "exists", "value": true}"#;
    server.command(&[
        "segment",
        "create",
        "s",
        "--workspace",
        "other",
        "--filter",
        filter,
        "--track",
    ]);
    let users = json!({"attributes": [{"external_id": "u1", "plan": "pro"}]});
    eventually("the new key", || {
        server.get_as("/segments/list", key).status == 200
    });
    let answer = support::send(
        server
            .client()
            .post(format!("{}/users/track", server.url))
            .bearer_auth(key)
            .json(&users),
    );
    assert_eq!(answer.status, 201, "{}", answer.text);

    // Nobody is there to be asked.
    let (code, _, said) = words(&run(&server.data, &["workspace", "delete", "other"]));
    assert_eq!(code, Some(1));
    let question = "Delete workspace 'other' with its 0 sessions, 1 app, 1 key and 1 segment for good? Nobody is there to be asked: say so with --yes";
    assert!(said.contains(question), "{said}");

    let spare = server.command(&["app", "create", "Spare", "--workspace", "other"]);
    let deleted = server.command(&["app", "delete", "Spare", "--yes"]);
    assert_eq!(deleted["id"], spare["id"]);
    assert_eq!(server.command(&["workspace", "delete", "other", "--yes"]), other);
    eventually("the key is refused", || {
        server.get_as("/segments/list", key).status == 401
    });
    assert_eq!(
        server.command(&["workspace", "list"]).as_array().unwrap().len(),
        1
    );
    assert_eq!(server.command(&["app", "list"]).as_array().unwrap().len(), 1);

    // Whoever comes next gets nothing of it, whatever numbers the store gives.
    let next = server.command(&["workspace", "create", "next"]);
    let id = web["id"].as_str().unwrap();
    server.command(&["app", "create", "Web", "--workspace", "next", "--id", id]);
    let key = segments::key(&server.data, "next", "all");
    let body = json!({"sessions": [{"app_id": id, "session_id": "b", "started_at": "2018-06-28T12:00:00Z", "user_id": "u1"}]});
    eventually("the next workspace", || {
        let request = server.client().post(format!("{}/sessions/track", server.url));
        support::send(request.bearer_auth(&key).json(&body)).status == 201
    });
    let (_, exported, _) = words(&run(&server.data, &["export", "--workspace", "next"]));
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(
        (&exported["user_id"], &exported["attributes"]),
        (&json!("u1"), &Value::Null)
    );
    assert_ne!(next["id"], other["id"]);
    server.command(&["verify"]);
}

#[test]
fn the_environment_may_name_the_workspace() {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    for name in ["one", "two"] {
        command(&store, &["workspace", "create", name]);
    }
    let in_workspace = |name: &str, arguments: &[&str]| {
        let output = Command::new(binary())
            .args(support::store_arguments(&store))
            .args(arguments)
            .arg("--json")
            .env("SESSIONMETER_WORKSPACE", name)
            .output();
        words(&output.unwrap())
    };
    assert_eq!(in_workspace("two", &["app", "create", "Web"]).0, Some(0));
    let (_, apps, _) = in_workspace("two", &["app", "list"]);
    assert!(apps.contains("\"workspace\":\"two\""), "{apps}");
    assert_eq!(in_workspace("one", &["app", "list"]).1, "[]\n");
    // A flag comes first, and an empty variable says nothing.
    assert_eq!(
        in_workspace("one", &["series", "--workspace", "two", "--app", "Web"]).0,
        Some(0)
    );
    let (_, _, said) = in_workspace("", &["series"]);
    assert!(
        said.contains("there are 2 workspaces; choose one with --workspace or SESSIONMETER_WORKSPACE"),
        "{said}"
    );
    let (_, _, said) = in_workspace("three", &["series"]);
    assert!(
        said.contains("there is no workspace 'three', which SESSIONMETER_WORKSPACE names"),
        "{said}"
    );
}

#[test]
fn commands_say_which_store_they_mean() {
    let directory = TempDir::new().unwrap();
    let in_directory = |arguments: &[&str]| {
        let output = Command::new(binary())
            .args(arguments)
            .current_dir(directory.path())
            .env_remove("SESSIONMETER_DATA")
            .output();
        words(&output.unwrap())
    };
    let root = directory.path().canonicalize().unwrap();
    let place = root.join("sessionmeter-data").display().to_string();
    let (code, _, said) = in_directory(&["series"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("(looked in {place}, which is the default)")),
        "{said}"
    );
    let elsewhere = root.join("here/there").display().to_string();
    let (_, _, said) = in_directory(&["app", "list", "--data", "here/there"]);
    assert!(
        said.contains(&format!("(looked in {elsewhere}, which is --data)")),
        "{said}"
    );
    let filter = r#"{"field": "platform", "op": "exists", "value": true}"#;
    for arguments in [
        &["workspace", "create", "acme"][..],
        &["app", "create", "Web"],
        &["key", "create", "k", "--permission", "all"],
        &["segment", "create", "s", "--filter", filter],
    ] {
        let (code, printed, said) = in_directory(arguments);
        assert_eq!(code, Some(0), "{said}");
        let last = printed.lines().last().unwrap();
        assert!(
            last.trim_start().starts_with("store ") && last.ends_with(&place),
            "{printed}"
        );
    }
    for (arguments, error) in [
        (
            &["app", "list", "--store", ""][..],
            "--store is empty; name a directory or an address",
        ),
        (&["migrate", "--from", "", "--to", "x"], "--from or --to is empty"),
    ] {
        let (code, _, said) = in_directory(arguments);
        assert_eq!((code, said.contains(error)), (Some(2), true), "{said}");
    }
    std::fs::write(directory.path().join("config.toml"), "data = ''").unwrap();
    let (code, _, said) = in_directory(&["app", "list", "--config", "config.toml"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("'data' in the configuration file is empty"),
        "{said}"
    );
    let (code, _, said) = in_directory(&["app", "list", "--config", "/dev/zero"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("configuration file /dev/zero: it is no regular file"),
        "{said}"
    );
}

#[test]
fn a_server_says_which_store_it_serves() {
    let directory = TempDir::new().unwrap();
    let store = directory.path().join("store");
    let mut child = Command::new(binary())
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--ops-listen",
            "off",
            "--data",
        ])
        .arg(&store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.map_while(Result::ok).take(3).collect();
    terminate(child.id());
    child.wait().unwrap();
    assert_eq!(first[2], format!("store: {}", store.display()));
}

#[test]
fn the_demos_store_can_be_read_beside_it() {
    let mut child = Command::new(binary())
        .args(["demo", "--json", "--listen", "127.0.0.1:0", "--ops-listen", "off"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let demo: Value = serde_json::from_str(&line).unwrap();
    let store = demo["store"].as_str().unwrap();
    let output = Command::new(binary())
        .args(["--data", store, "series", "--app", "Web"])
        .output()
        .unwrap();
    terminate(child.id());
    assert!(child.wait().unwrap().success());
    let (code, printed, said) = words(&output);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.starts_with("Sessions per day: workspace demo, app Web"),
        "{printed}"
    );
    assert!(!std::path::Path::new(store).exists());
}
