//! Who may do what with segments, and whose segments are seen.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::{Caller, Space, is, key};
use crate::support::Server;

const UNKNOWN: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";

#[test]
fn each_permission_opens_its_endpoints_alone_and_the_others_name_theirs() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "limited", "UTC", 1);
    let permissions = [
        "sessions.data_series",
        "segments.list",
        "segments.details",
        "segments.write",
        "users.track",
    ];
    let keys = permissions.map(|permission| key(&data, &space.name, permission));
    let server = Server::start_on(&data, &[]);
    let all = space.caller(&server);
    let segment = all.create("one", &is("country", "BR"), false);
    let one = json!({ "segment_id": segment });
    let create = |permission: &str| json!({ "name": permission, "filter": is("country", "BR") });
    let tried = json!({ "filter": is("country", "BR") });
    let users = json!({ "attributes": [{ "external_id": "u1", "plan": "pro" }] });
    let details = format!("/segments/details?segment_id={segment}");
    for (own, key) in permissions.iter().zip(&keys) {
        let caller = Caller { server: &server, key };
        for (answer, permission, expected) in [
            (
                caller.get("/sessions/data_series?length=1"),
                "sessions.data_series",
                200,
            ),
            (caller.get("/segments/list"), "segments.list", 200),
            (caller.get(&details), "segments.details", 200),
            (
                caller.post("/segments/create", &create(own)),
                "segments.write",
                201,
            ),
            (caller.post("/segments/edit", &one), "segments.write", 200),
            (caller.post("/segments/preview", &tried), "segments.write", 200),
            (caller.post("/segments/track", &one), "segments.write", 200),
            (caller.post("/segments/untrack", &one), "segments.write", 200),
            (caller.post("/users/track", &users), "users.track", 201),
        ] {
            if permission == *own {
                assert_eq!(answer.status, expected, "{own}: {}", answer.text);
            } else {
                assert_eq!(answer.status, 403, "{own} for {permission}: {}", answer.text);
                assert!(answer.message().contains(permission), "{}", answer.text);
            }
        }
        if *own != "segments.write" {
            let answer = caller.post("/segments/delete", &one);
            assert_eq!(answer.status, 403);
            assert!(answer.message().contains("segments.write"), "{}", answer.text);
        }
    }
    // The one that was there, and the one that the permission allowed to create.
    assert_eq!(all.list("").len(), 2);
}

#[test]
fn a_segment_of_another_workspace_is_answered_like_an_unknown_one() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let spaces = ["mine", "theirs"].map(|name| Space::create(&data, name, "UTC", 1));
    let server = Server::start_on(&data, &[]);
    let [mine, theirs] = spaces.each_ref().map(|space| space.caller(&server));
    let foreign = theirs.create("segment", &is("country", "BR"), true);
    // The same name is no conflict.
    let own = mine.create("segment", &is("country", "BR"), true);
    let ask = |id: &str| {
        let body = json!({ "segment_id": id });
        let series = format!("/sessions/data_series?length=1&segment_id={id}");
        let series_of_app = format!("{series}&app_id={}", spaces[0].apps[0]);
        let posted =
            ["edit", "track", "untrack", "delete"].map(|what| mine.post(&format!("/segments/{what}"), &body));
        let mut answers = vec![
            mine.get(&series),
            mine.get(&series_of_app),
            mine.get(&format!("/segments/details?segment_id={id}")),
        ];
        answers.extend(posted);
        answers
    };
    for (answer, unknown) in ask(&foreign).into_iter().zip(ask(UNKNOWN)) {
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.text, unknown.text.replace(UNKNOWN, &foreign));
        assert!(answer.message().contains("segment_id"), "{}", answer.text);
    }
    let listed: Vec<Value> = mine.list("").iter().map(|listed| listed["id"].clone()).collect();
    assert_eq!(listed, [Value::from(own)]);
}

#[test]
fn a_segment_id_that_names_none_is_refused_with_what_was_received() {
    let server = Server::start();
    let caller = Caller::of(&server);
    for wrong in [
        "",
        "BR",
        UNKNOWN,
        "{{segment_id}}",
        &server.app,
        &"x".repeat(5_000),
    ] {
        let answer = caller.get(&format!("/sessions/data_series?length=1&segment_id={wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        let message = answer.message();
        let start = "'segment_id' must be the id of a segment of this workspace that has analytics tracking on, \
                     received '";
        assert!(message.starts_with(start), "{message}");
        let shown: String = wrong.chars().take(100).collect();
        assert!(message.contains(&shown), "{message}");
        assert!(message.chars().count() < 250, "{message}");
    }
    let twice = format!("/sessions/data_series?length=1&segment_id={UNKNOWN}&segment_id={UNKNOWN}");
    let answer = caller.get(&twice);
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("segment_id"), "{}", answer.text);
    let answer = caller.get("/segments/details");
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("segment_id"), "{}", answer.text);
}
