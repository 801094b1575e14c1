//! Segments and users' attributes: what is wrong is named, and nothing is changed by it.

use serde_json::{Value, json};

use super::*;

const NO_SUCH: &str = "11111111-2222-4333-8444-555555555555";

fn post_to(server: &Server, path: &str, body: &Value) -> Answer {
    send(
        request(server, &Method::POST, path)
            .bearer_auth(&server.key)
            .json(body),
    )
}

/// A segment, tracked or not; its id.
fn create(server: &Server, name: &str, track: bool) -> String {
    let filter = json!({ "field": "country", "op": "eq", "value": "BR" });
    let body = json!({ "name": name, "filter": filter, "analytics_tracking_enabled": track });
    let created = post_to(server, "/segments/create", &body);
    assert_eq!(created.status, 201, "{}", created.text);
    created.json()["segment_id"].as_str().unwrap().to_owned()
}

#[test]
fn series_of_segments_that_have_none() {
    let server = Server::start();
    let untracked = create(&server, "Untracked", false);
    let tracked = create(&server, "Tracked", true);
    server.command(&["workspace", "create", "other"]);
    let foreign = server.command(&[
        "segment",
        "create",
        "Foreign",
        "--workspace",
        "other",
        "--filter",
        r#"{"all":[]}"#,
        "--track",
        "--wait",
    ]);
    let foreign = foreign["id"].as_str().unwrap();
    let allowed = "'segment_id' must be the id of a segment of this workspace that has analytics tracking on";
    let received = |text: &str| format!("{allowed}, received '{text}'");
    let off = "'segment_id' names the segment 'Untracked', which has no analytics tracking; turn it on with \
               'sessionmeter segment track' or POST /segments/track";
    for (query, message) in [
        ("segment_id=".to_owned(), received("")),
        ("segment_id".to_owned(), received("")),
        (format!("segment_id={NO_SUCH}"), received(NO_SUCH)),
        (format!("segment_id={foreign}"), received(foreign)),
        ("segment_id=Tracked".to_owned(), received("Tracked")),
        (
            format!("segment_id={}", tracked.replace('-', "")),
            received(&tracked.replace('-', "")),
        ),
        (
            format!("segment_id={{{{{tracked}}}}}"),
            received(&format!("{{{{{tracked}}}}}")),
        ),
        (
            format!("segment_id={tracked}&segment_id={tracked}"),
            "'segment_id' is given twice; give it once".to_owned(),
        ),
        (
            "segment_id=%ff".to_owned(),
            "'segment_id' must be percent-encoded UTF-8".to_owned(),
        ),
        (format!("segment_id={untracked}"), off.to_owned()),
    ] {
        let answer = server.get(&format!("/sessions/data_series?{DAY}&{query}"));
        assert_our_refusal(&query, &answer, 400, &message);
        assert_eq!(answer.message(), message, "{query}");
    }
    assert_still_works(&server);
}

#[test]
fn lists_and_details() {
    let server = Server::start();
    let segment = "the id of a segment of this workspace";
    for (path, message) in [
        (
            "/segments/list?page=-1",
            "'page' must be an integer from 0, received '-1'".to_owned(),
        ),
        (
            "/segments/list?page=",
            "'page' must be an integer from 0, received ''".into(),
        ),
        ("/segments/list?page=1.0", "received '1.0'".into()),
        ("/segments/list?page=01", "received '01'".into()),
        ("/segments/list?page=1&page=1", "'page' is given twice".into()),
        (
            "/segments/list?sort_direction=up",
            "'sort_direction' must be 'asc' or 'desc', received 'up'".into(),
        ),
        ("/segments/list?sort_direction=ASC", "received 'ASC'".into()),
        (
            "/segments/details",
            format!("'segment_id' is required: {segment}"),
        ),
        (
            "/segments/details?segment_id=",
            format!("'segment_id' must be {segment}, received ''"),
        ),
        (
            "/segments/details?segment_id=x",
            format!("'segment_id' must be {segment}, received 'x'"),
        ),
    ] {
        assert_our_refusal(path, &server.get(path), 400, &message);
    }
    for (method, path) in [
        (Method::POST, "/segments/list"),
        (Method::POST, "/segments/details"),
        (Method::GET, "/segments/create"),
        (Method::PUT, "/segments/edit"),
        (Method::DELETE, "/segments/delete"),
        (Method::GET, "/users/track"),
    ] {
        let answer = send(request(&server, &method, path).bearer_auth(&server.key));
        assert_refusal(path, &answer, 405, "does not take this method");
    }
    assert_still_works(&server);
}

#[test]
fn changes_of_segments() {
    let server = Server::start();
    let id = create(&server, "One", false);
    create(&server, "Two", false);
    let app = server.app.clone();
    let filter = json!({ "all": [] });
    for (path, body, message) in [
        ("create", json!({}), "'name' is required: 1 to 100 characters"),
        (
            "create",
            json!({ "name": "x" }),
            "'filter' is required: an object",
        ),
        (
            "create",
            json!({ "name": "", "filter": filter }),
            "'name' is not valid: a name has 1 to 100 characters",
        ),
        (
            "create",
            json!({ "name": "One", "filter": filter }),
            "there is a segment named 'One' already",
        ),
        (
            "create",
            json!({ "name": NO_SUCH, "filter": filter }),
            "must not look like an id",
        ),
        (
            "create",
            json!({ "name": 5, "filter": filter }),
            "invalid type: integer '5', expected a string",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "id": "x" }),
            "'id' is not valid: an id is a hyphenated UUID",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "id": id }),
            "is taken already; ids are unique on the whole server",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "id": app }),
            "is taken already; ids are unique on the whole server",
        ),
        (
            "create",
            json!({ "name": "x", "filters": filter }),
            "unknown field 'filters', expected one of 'name', 'filter'",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "tags": "a" }),
            "invalid type: string \"a\", expected a sequence",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "tags": [""] }),
            "a tag must have 1 to 100 bytes",
        ),
        (
            "create",
            json!({ "name": "x", "filter": filter, "description": "x".repeat(1001) }),
            "'description' must have at most 1000 bytes",
        ),
        (
            "create",
            json!([1]),
            "the body is not the JSON object that is expected",
        ),
        (
            "create",
            json!({ "name": "x", "filter": { "all": [{ "any": [] }, { "not": { "field": "country", "op": "like" } }] } }),
            "'filter' is not valid: all[1].not.op: unknown operator \"like\", one of eq, ne, in, not_in, exists, lt, lte, gt, gte, prefix, contains",
        ),
        (
            "create",
            json!({ "name": "x", "filter": { "any": [{ "field": "city", "op": "eq", "value": "x" }] } }),
            "'filter' is not valid: any[0].field: unknown field \"city\", one of app_id, platform, os_version, app_version, device_model, country, language, first_session, attributes.NAME",
        ),
        (
            "create",
            json!({ "name": "x", "filter": { "field": "platform", "op": "eq", "value": 5 } }),
            "'filter' is not valid: value: must be a string, received 5",
        ),
        (
            "create",
            json!({ "name": "x", "filter": "country" }),
            "'filter' is not valid: must be {\"all\": […]}",
        ),
        (
            "edit",
            json!({ "name": "x" }),
            "'segment_id' is required: the id of a segment of this workspace",
        ),
        (
            "edit",
            json!({ "segment_id": NO_SUCH }),
            "'segment_id' must be the id of a segment of this workspace, received",
        ),
        (
            "edit",
            json!({ "segment_id": id, "name": "Two" }),
            "there is a segment named 'Two' already",
        ),
        (
            "edit",
            json!({ "segment_id": id, "filter": { "all": 1 } }),
            "'filter' is not valid: all: must be an array, received 1",
        ),
        (
            "edit",
            json!({ "segment_id": id, "analytics_tracking_enabled": true }),
            "unknown field 'analytics_tracking_enabled'",
        ),
        ("track", json!({}), "'segment_id' is required"),
        (
            "track",
            json!({ "segment_id": "One" }),
            "'segment_id' must be the id of a segment of this workspace, received 'One'",
        ),
        (
            "untrack",
            json!({ "segment_id": NO_SUCH }),
            "'segment_id' must be",
        ),
        ("delete", json!({ "segment_id": NO_SUCH }), "'segment_id' must be"),
        ("delete", json!({ "segment_id": 5 }), "expected a string"),
    ] {
        let case = format!("{path} {body}");
        let answer = post_to(&server, &format!("/segments/{path}"), &body);
        assert_our_refusal(&case, &answer, 400, message);
    }
    // Given twice, a member would silently replace the other.
    for body in [
        r#"{"name":"x","name":"y","filter":{"all":[]}}"#,
        r#"{"name":"x","filter":{"all":[],"all":[{"field":"country","op":"exists"}]}}"#,
    ] {
        let answer = send(
            request(&server, &Method::POST, "/segments/create")
                .bearer_auth(&server.key)
                .header("content-type", JSON)
                .body(body),
        );
        assert!(answer.status == 400, "{body}: {answer:?}");
    }
    let listed = server.get("/segments/list").json();
    let names: Vec<&str> = listed["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| segment["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["One", "Two"]);
    assert_still_works(&server);
}

#[test]
fn the_limit_of_tracked_segments() {
    let server = Server::start();
    for number in 0..3 {
        create(&server, &format!("segment {number}"), true);
    }
    server.command(&["workspace", "set-segment-limit", "default", "3"]);
    let one_more = create(&server, "one more", false);
    let message = "analytics tracking is on for 3 segments of this workspace, and its limit is 3; turn it off for one \
                   with 'sessionmeter segment untrack', or raise the limit with 'sessionmeter workspace set-segment-limit' \
                   (0 is no limit)";
    let refused = post_to(&server, "/segments/track", &json!({ "segment_id": one_more }));
    assert_our_refusal("the fourth", &refused, 400, message);
    let body = json!({ "name": "x", "filter": { "all": [] }, "analytics_tracking_enabled": true });
    assert_our_refusal(
        "created tracked",
        &post_to(&server, "/segments/create", &body),
        400,
        message,
    );
    server.command(&["workspace", "set-segment-limit", "default", "4"]);
    let tracked = post_to(&server, "/segments/track", &json!({ "segment_id": one_more }));
    assert_eq!(tracked.status, 200, "{}", tracked.text);
    assert_still_works(&server);
}

#[test]
fn attributes_of_users() {
    let server = Server::start();
    let long_name = "n".repeat(65);
    for (body, message) in [
        (
            json!([]),
            "the body must be a JSON object with an array 'attributes'",
        ),
        (json!({}), "the body has no attributes; give 1 to 10000 items"),
        (json!({ "attributes": [] }), "the body has no attributes"),
        (json!({ "attributes": {} }), "expected an array"),
        (
            json!({ "attributes": [5] }),
            "not a user's attributes: invalid type: integer `5`",
        ),
        (
            json!({ "attributes": [{ "plan": "pro" }] }),
            "'external_id' is required: a string of 1 to 256 bytes",
        ),
        (
            json!({ "attributes": [{ "external_id": null }] }),
            "'external_id' is required",
        ),
        (
            json!({ "attributes": [{ "external_id": 7 }] }),
            "'external_id' must be a string, received 7",
        ),
        (
            json!({ "attributes": [{ "external_id": "" }] }),
            "'external_id' must have 1 to 256 bytes, received 0",
        ),
        (
            json!({ "attributes": [{ "external_id": "x".repeat(257) }] }),
            "'external_id' must have 1 to 256 bytes, received 257",
        ),
        (
            json!({ "attributes": [{ "external_id": "u", "a": [1] }] }),
            "'a' must be a string, a number or a boolean, or null to remove it, received an array",
        ),
        (
            json!({ "attributes": [{ "external_id": "u", "a": { "inc": 1 } }] }),
            "received an object",
        ),
        (
            json!({ "attributes": [{ "external_id": "u", "a": "x".repeat(257) }] }),
            "'a' must have at most 256 bytes, received 257",
        ),
        (
            json!({ "attributes": [{ "external_id": "u", long_name: 1 }] }),
            "an attribute's name must have 1 to 64 bytes, received 65",
        ),
        (
            json!({ "attributes": [{ "external_id": "u", "user_alias": {} }] }),
            "'user_alias' is not supported",
        ),
        (
            json!({ "events": [{ "name": "x" }] }),
            "'events' are not recorded here; only 'attributes' are",
        ),
        (json!({ "purchases": [{}] }), "'purchases' are not recorded here"),
        (json!({ "events": 5 }), "expected an array"),
    ] {
        let answer = post_to(&server, "/users/track", &body);
        assert_our_refusal(&body.to_string(), &answer, 400, message);
    }
    let twice = send(
        request(&server, &Method::POST, "/users/track")
            .bearer_auth(&server.key)
            .header("content-type", JSON)
            .body(r#"{"attributes":[{"external_id":"u","a":1,"a":2}]}"#),
    );
    assert_our_refusal("twice", &twice, 400, "'a' is given twice");
    assert_still_works(&server);
}
