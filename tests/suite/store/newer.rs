//! What a newer version wrote into the catalog, and this one can't read.

use std::path::Path;

use super::{Server, clickhouse, open, run, start_with_key};
use crate::support::{command, eventually};
use rusqlite::params;
use serde_json::Value;
use tempfile::TempDir;

const SERIES: &str = "/sessions/data_series?length=1";

/// Replaces a text in an entry, as another process would that knows more than this version.
fn rewrite(server: &Server, (table, column): (&str, &str), id: &str, from: &str, to: &str) {
    if clickhouse::is_used() {
        return clickhouse::rewrite_catalog(&server.data, id, from, to);
    }
    let database = open(&server.data);
    let change = format!("UPDATE {table} SET {column} = replace({column}, ?2, ?3) WHERE id = ?1");
    assert_eq!(database.execute(&change, params![id, from, to]).unwrap(), 1);
    let seen = "UPDATE meta SET catalog_seq = catalog_seq + 1";
    database.execute(seen, []).unwrap();
}

fn id(created: &Value) -> String {
    created["id"].as_str().unwrap().to_owned()
}

fn secret(created: &Value) -> String {
    created["key"].as_str().unwrap().to_owned()
}

fn create_key(server: &Server, name: &str, permission: &str, workspace: &str) -> Value {
    let permission = ["--permission", permission, "--workspace", workspace];
    server.command(&[&["key", "create", name], &permission[..]].concat())
}

/// Statuses that keys get.
fn statuses<const N: usize>(server: &Server, keys: [&str; N]) -> [u16; N] {
    keys.map(|key| server.get_as(SERIES, key).status)
}

#[test]
fn what_this_version_can_not_read_is_left_out_and_keeps_no_revoked_key_alive() {
    let server = Server::start();
    let mars = server.command(&["workspace", "create", "mars", "--time-zone", "Europe/Madrid"]);
    let (there, old, dreams) = (
        create_key(&server, "there", "all", "mars"),
        create_key(&server, "old", "all", "default"),
        create_key(&server, "dreams", "sessions.data_series", "default"),
    );
    let filter = r#"{"field":"app_version","op":"eq","value":"1"}"#;
    let moody = server.command(&[
        "segment",
        "create",
        "moody",
        "--filter",
        filter,
        "--workspace",
        "default",
    ]);
    let keys = [&server.key, &secret(&there), &secret(&old), &secret(&dreams)].map(ToString::to_string);
    let keys = keys.each_ref().map(String::as_str);
    assert_eq!(statuses(&server, keys), [200, 200, 200, 200]);

    let rows = [
        (
            ("workspaces", "time_zone"),
            id(&mars),
            "Europe/Madrid",
            "Mars/Olympus",
        ),
        (
            ("api_keys", "permissions"),
            id(&dreams),
            "sessions.data_series",
            "sessions.dream",
        ),
        (("segments", "filter"), id(&moody), "app_version", "mood"),
    ];
    for (place, id, from, to) in &rows {
        rewrite(&server, *place, id, from, to);
    }
    server.command(&["key", "revoke", "old", "--workspace", "default"]);
    eventually("honouring what was revoked", || {
        statuses(&server, keys) == [200, 401, 401, 401]
    });
    let new = create_key(&server, "new", "all", "default");
    assert_eq!(statuses(&server, [&secret(&new)]), [200], "honoured at once");
    for (_, id, _, _) in &rows {
        let log = server.log();
        let lines = log
            .lines()
            .filter(|line| line.contains(id) && line.ends_with("it is left out"));
        assert_eq!(lines.count(), 1, "{log}");
        let arguments = ["app", "create", "a", "--id", id, "--workspace", "default"];
        assert!(said(&server.data, &arguments).contains("is taken already"));
    }
    let (data, key) = (server.data.clone(), server.key.clone());
    let [_, there, old, dreams] = keys.map(ToOwned::to_owned);
    let _directory = server.keep_directory();
    // It opens as well, and nothing is copied of which sessions would be missing.
    let server = start_with_key(&data, &key);
    assert_eq!(
        statuses(&server, [&key, &there, &old, &dreams]),
        [200, 401, 401, 401]
    );
    drop(server);
    let elsewhere = TempDir::new().unwrap();
    let to = elsewhere.path().join("copy");
    let refused = said(&data, &["migrate", "--to", to.to_str().unwrap()]);
    assert!(
        refused.contains("the unknown time zone 'Mars/Olympus'; copy the store with"),
        "{refused}"
    );
    assert_eq!(
        command(&data, &["workspace", "list"]).as_array().unwrap().len(),
        1
    );
}

/// What a command says that must fail.
fn said(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    errors
}
