//! Stores move, and come back, with everything.

use std::path::Path;

use super::*;
use crate::clickhouse::cluster::cluster;
use crate::support::send;

const IOS: &str = r#"{"field":"platform","op":"eq","value":"ios"}"#;
const PRO: &str = r#"{"all":[{"field":"attributes.plan","op":"eq","value":"pro"},{"field":"first_session","op":"eq","value":false}]}"#;

/// An export, line by line.
fn exported(store: &str) -> Vec<String> {
    let output = Command::new(binary())
        .args(["--store", store, "export"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(Into::into).collect()
}

fn migrate(from: &str, to: &str) -> Value {
    let output = Command::new(binary())
        .args(["migrate", "--json", "--from", from, "--to", to])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a server over a store answers: everyone's series and both segments'.
fn answers(server: &Server, segments: &[String]) -> Vec<Vec<u64>> {
    let mut answers = vec![server.counts(ALL_DAYS)];
    for id in segments {
        let query = format!("{ALL_DAYS}&segment_id={id}");
        // What a command made is known within a second.
        crate::support::eventually("a counted segment", || {
            server.get(&format!("/sessions/data_series?{query}")).status == 200
        });
        answers.push(server.counts(&query));
    }
    answers
}

#[test]
fn everything_moves_to_a_cluster_and_back() {
    let cluster = cluster();
    let place = tempfile::TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (old, new, back) = (path("old"), address(&cluster.hosts(), "moved"), path("back"));
    let server = Server::start_on(Path::new(&old), &[]);
    let segment = |filter: &str, name: &str| {
        let made = crate::support::command(
            Path::new(&old),
            &["segment", "create", name, "--filter", filter, "--track", "--wait"],
        );
        made["id"].as_str().unwrap().to_owned()
    };
    server.track(&body(&server.app, 0..500));
    let users: Vec<Value> = (0..20)
        .map(|user| json!({"external_id": format!("u{user}"), "plan": "pro"}))
        .collect();
    let users = server
        .client()
        .post(format!("{}/users/track", server.url))
        .bearer_auth(&server.key)
        .json(&json!({ "attributes": users }));
    assert_eq!(send(users).status, 201);
    server.track(&body(&server.app, 500..1_000));
    let segments = [segment(IOS, "ios"), segment(PRO, "paying")];
    let expected = answers(&server, &segments);
    assert!(expected[2].iter().sum::<u64>() > 0);

    let report = migrate(&old, &new);
    assert_eq!(
        report,
        json!({"users": 20, "sealed_days": 0, "sessions": 1_000, "series": 3, "differences": []})
    );
    let moved = serve(&new, Some(&server));
    assert_eq!(
        answers(&moved, &segments),
        expected,
        "the key, the app and the segments are the same"
    );
    assert_eq!(exported(&new), exported(&old));

    // What came since is added by another run.
    server.track(&body(&server.app, 1_000..1_100));
    // The store that is not named is the one that all commands use.
    assert_eq!(command(&new, &["migrate", "--from", &old])["sessions"], 1_100);
    let expected = answers(&server, &segments);
    crate::support::eventually("what came since", || answers(&moved, &segments) == expected);
    // Attributes moved as well: later sessions carry them there.
    moved.track(&body(&server.app, 1_100..1_200));
    server.track(&body(&server.app, 1_100..1_200));
    let expected = answers(&server, &segments);
    crate::support::eventually("sessions that were recorded after the move", || {
        answers(&moved, &segments) == expected
    });

    command(&new, &["migrate", "--to", &back]);
    let refused = run(&new, &["migrate", "--to", &new]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(
        errors.contains("are the same: clickhouse://")
            && !errors.contains("p@ss")
            && !errors.contains("p%40ss"),
        "{errors}"
    );
    let mut again = Server::start_on(Path::new(&back), &[]);
    again.key = server.key.clone();
    assert_eq!(answers(&again, &segments), expected);
    assert_eq!(exported(&back), exported(&new));
}

#[test]
fn a_store_with_other_workspaces_is_left_alone() {
    let cluster = cluster();
    let place = tempfile::TempDir::new().unwrap();
    let from = place.path().join("from");
    crate::support::command(&from, &["workspace", "create", "one"]);
    let to = address(&cluster.hosts(), "occupied");
    command(&to, &["workspace", "create", "other"]);
    let output = Command::new(binary())
        .args(["migrate", "--from", from.to_str().unwrap(), "--to", &to])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("a workspace 'other' of its own"), "{errors}");
    assert_eq!(command(&to, &["workspace", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_backup_of_a_cluster_is_a_file_that_either_store_restores() {
    let cluster = cluster();
    let place = tempfile::TempDir::new().unwrap();
    let from = address(&cluster.hosts(), "backed_up");
    let server = serve(&from, None);
    server.track(&body(&server.app, 0..300));
    let file = place.path().join("backup.sqlite");
    let file = file.to_str().unwrap();
    command(&from, &["backup", file]);
    let to = address(&cluster.hosts(), "restored");
    for store in [place.path().join("restored").to_str().unwrap(), &to] {
        command(store, &["restore", file]);
        assert_eq!(exported(store), exported(&from));
        let again = run(store, &["restore", file]);
        assert_eq!(again.status.code(), Some(1), "nothing is replaced");
    }
}
