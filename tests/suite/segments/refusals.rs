//! What can't be created or edited, and why.

use serde_json::{Value, json};

use crate::segments::administration::names;
use crate::segments::{Caller, is, not, refused};
use crate::support::{Server, run};

const OWN_ID: &str = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44";

#[test]
fn names_and_ids_are_given_once() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let filter = is("country", "BR");
    let create = |name: &str, id: &str| json!({ "name": name, "id": id, "filter": filter });
    assert_eq!(
        caller.post("/segments/create", &create("one", OWN_ID)).status,
        201
    );
    let other = caller.create("two", &filter, false);
    let message = refused(
        caller,
        "/segments/create",
        &json!({ "name": "one", "filter": filter }),
    );
    assert!(message.contains("one"), "{message}");
    // Ids are unique on the whole server, whatever they name.
    for id in [OWN_ID, &OWN_ID.to_uppercase(), &server.app, &server.workspace] {
        let message = refused(caller, "/segments/create", &create("three", id));
        assert!(message.contains(&id.to_lowercase()), "{message}");
    }
    let rename = json!({ "segment_id": other, "name": "one" });
    let message = refused(caller, "/segments/edit", &rename);
    assert!(message.contains("one"), "{message}");
    // Its own name is free for it.
    caller.expect_change("edit", &other, &json!({ "segment_id": other, "name": "two" }));
    caller.expect_change("edit", &other, &json!({ "segment_id": other, "name": "three" }));
    caller.change("delete", OWN_ID);
    caller.create("one", &filter, false);
    assert_eq!(names(&caller.list("")), ["three", "one"]);
    let filter = filter.to_string();
    let output = run(
        &server.data,
        &[
            "segment",
            "create",
            "one",
            "--workspace",
            "default",
            "--filter",
            &filter,
        ],
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_body_that_is_wrong_is_refused_by_the_name_of_the_member() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let br = is("country", "BR");
    for (body, fragment) in [
        (json!({ "filter": br }), "name"),
        (json!({ "name": "", "filter": br }), "name"),
        (json!({ "name": "x".repeat(10_000), "filter": br }), "name"),
        (json!({ "name": "n" }), "filter"),
        (json!({ "name": "n", "filter": "BR" }), "filter"),
        (json!({ "name": "n", "filter": {} }), "filter"),
        (json!({ "name": "n", "filter": { "all": [br, 5] } }), "all[1]"),
        (
            json!({ "name": "n", "filter": { "any": [is("contry", "BR")] } }),
            "contry",
        ),
        (
            json!({ "name": "n", "filter": { "field": "country", "op": "like", "value": "BR" } }),
            "like",
        ),
        (
            json!({ "name": "n", "filter": { "field": "country", "op": "eq" } }),
            "value",
        ),
        (
            json!({ "name": "n", "filter": { "field": "app_version", "op": "lt", "value": "beta" } }),
            "beta",
        ),
        (json!({ "name": "n", "filter": is("platform", 5) }), "value"),
        (json!({ "name": "n", "filter": { "all": vec![&br; 65] } }), "64"),
        (json!({ "name": "n", "filter": br, "id": "one" }), "id"),
        (json!({ "name": "n", "filter": br, "tags": "one" }), "string"),
        (json!({ "name": "n", "filter": br, "tags": [""] }), "tag"),
        (json!({ "name": "n", "filter": br, "filters": br }), "filters"),
        (json!([]), "JSON"),
    ] {
        let message = refused(caller, "/segments/create", &body);
        assert!(message.contains(fragment), "{body}: {message}");
    }
    let deep = |depth: usize| (0..depth).fold(br.clone(), |filter, _| not(&filter));
    refused(
        caller,
        "/segments/create",
        &json!({ "name": "n", "filter": deep(9) }),
    );
    assert_eq!(caller.list(""), [] as [Value; 0]);
    let segment = caller.create("deep", &deep(8), false);
    caller.create("wide", &json!({ "all": vec![&br; 64] }), false);
    let before = caller.details(&segment);
    for (body, fragment) in [
        (json!({ "name": "n" }), "segment_id"),
        (json!({ "segment_id": segment, "name": "" }), "name"),
        (json!({ "segment_id": segment, "filter": [] }), "filter"),
        (json!({ "segment_id": segment, "tags": [5] }), "string"),
        (
            json!({ "segment_id": segment, "analytics_tracking_enabled": true }),
            "analytics_tracking_enabled",
        ),
    ] {
        let message = refused(caller, "/segments/edit", &body);
        assert!(message.contains(fragment), "{body}: {message}");
    }
    assert_eq!(caller.details(&segment), before);
}
