//! Segments are created, listed, described, edited, tracked and deleted, over HTTP and on the command line.

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::{Caller, is, not, patiently, refused, verify};
use crate::support::{Server, command, run};

const OWN_ID: &str = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44";
const DAY: &str = "length=1&ending_at=2024-01-01";

/// In their order.
pub fn names(listed: &[Value]) -> Vec<&str> {
    listed
        .iter()
        .map(|listed| listed["name"].as_str().unwrap())
        .collect()
}

fn time(details: &Value, name: &str) -> Timestamp {
    details[name].as_str().unwrap().parse().unwrap()
}

/// Three sessions of a day, two of them in Brazil.
fn record_three(server: &Server) {
    let sessions: Vec<Value> = ["BR", "br", "MX"]
        .iter()
        .enumerate()
        .map(|(number, country)| {
            let mut session = server.session(&number.to_string(), "2024-01-01T12:00:00Z");
            session["country"] = (*country).into();
            session
        })
        .collect();
    assert_eq!(Caller::of(server).record(&sessions), 3);
}

#[test]
fn details_say_everything_about_a_segment() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let filter = json!({ "all": [
        { "field": "country", "op": "in", "value": ["br", "MX"] },
        { "not": { "field": "app_version", "op": "lt", "value": "4.10" } },
        { "field": "attributes.plan", "op": "exists" },
    ]});
    let answer = caller.post(
        "/segments/create",
        &json!({
            "id": OWN_ID,
            "name": "Paying",
            "filter": filter,
            "description": "For the monthly report",
            "tags": ["money", "report"],
            "analytics_tracking_enabled": true,
        }),
    );
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(
        answer.json(),
        json!({ "message": "success", "segment_id": OWN_ID })
    );

    let details = caller.details(OWN_ID);
    let words = details["description"].as_str().unwrap();
    for word in ["country", "BR", "MX", "app_version", "4.10", "attributes.plan"] {
        assert!(words.contains(word), "{words}");
    }
    assert_eq!(time(&details, "created_at"), time(&details, "updated_at"));
    let mut rest = details.clone();
    for name in ["description", "created_at", "updated_at"] {
        rest.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "message": "success",
        "name": "Paying",
        "text_description": "For the monthly report",
        "tags": ["money", "report"],
        "teams": [],
    });
    assert_eq!(rest, expected);
    let listed = json!({
        "id": OWN_ID,
        "name": "Paying",
        "analytics_tracking_enabled": true,
        "tags": ["money", "report"],
    });
    assert_eq!(caller.list(""), [listed]);

    let shown = server.command(&["segment", "show", "Paying"]);
    assert_eq!(shown["id"], OWN_ID);
    assert_eq!(shown["workspace"], "default");
    assert_eq!(shown["analytics_tracking_enabled"], true);
    assert_eq!(shown["filter"]["all"][0]["value"], json!(["BR", "MX"]));
    for index in [1, 2] {
        assert_eq!(shown["filter"]["all"][index], filter["all"][index]);
    }
    for name in ["name", "description", "text_description", "tags"] {
        assert_eq!(shown[name], details[name], "{name}");
    }
    // People read seconds.
    for name in ["created_at", "updated_at"] {
        let seconds = [&shown, &details].map(|said| time(said, name).as_second());
        assert_eq!(seconds[0], seconds[1], "{name}");
    }
}

#[test]
fn more_than_a_hundred_segments_are_listed_in_pages() {
    let server = Server::start();
    let caller = Caller::of(&server);
    assert_eq!(caller.list(""), [] as [Value; 0]);
    let expected: Vec<String> = (0..203).map(|number| format!("segment {number}")).collect();
    for name in &expected {
        caller.create(name, &is("country", "BR"), false);
    }
    for (query, range) in [
        ("", 0..100),
        ("?page=0", 0..100),
        ("?page=1&sort_direction=asc", 100..200),
        ("?page=2", 200..203),
        ("?page=3", 203..203),
        ("?page=18446744073709551615", 203..203),
    ] {
        assert_eq!(names(&caller.list(query)), expected[range], "{query}");
    }
    let backwards: Vec<&str> = expected.iter().rev().map(String::as_str).collect();
    for (query, range) in [
        ("?sort_direction=desc", 0..100),
        ("?page=2&sort_direction=desc", 200..203),
    ] {
        assert_eq!(names(&caller.list(query)), backwards[range], "{query}");
    }
    for (query, name) in [
        ("?page=-1", "page"),
        ("?page=", "page"),
        ("?page=one", "page"),
        ("?page=1.0", "page"),
        ("?page=0&page=1", "page"),
        ("?sort_direction=up", "sort_direction"),
        ("?sort_direction=", "sort_direction"),
    ] {
        let answer = caller.get(&format!("/segments/list{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.message().contains(name), "{query}: {}", answer.text);
    }
}

#[test]
fn edits_change_what_they_name_and_the_time_of_the_change() {
    let server = Server::start();
    let caller = Caller::of(&server);
    record_three(&server);
    let segment = caller.create("Brazil", &is("country", "BR"), true);
    let series = format!("{DAY}&segment_id={segment}");
    assert_eq!(caller.counts(&series), [2]);
    let created = caller.details(&segment);
    // Times have milliseconds: the first that is another one comes soon.
    let edit = |body: &Value| {
        let before = time(&caller.details(&segment), "updated_at");
        patiently("a later edit", || {
            caller.expect_change("edit", &segment, body);
            time(&caller.details(&segment), "updated_at") > before
        });
        let details = caller.details(&segment);
        assert_eq!(details["created_at"], created["created_at"]);
        details
    };
    let described = edit(&json!({ "segment_id": segment, "description": "south" }));
    assert_eq!(described["text_description"], "south");
    let tagged = edit(&json!({ "segment_id": segment, "tags": ["a", "b"] }));
    assert_eq!(tagged["text_description"], "south");
    let renamed = edit(&json!({ "segment_id": segment, "name": "Mexico" }));
    assert_eq!(renamed["tags"], json!(["a", "b"]));
    assert_eq!(renamed["description"], created["description"]);
    // Nothing of that touched the counts.
    assert_eq!(caller.counts(&series), [2]);
    let refiltered = edit(&json!({ "segment_id": segment, "filter": is("country", "mx") }));
    assert_eq!(refiltered["name"], "Mexico");
    assert_ne!(refiltered["description"], created["description"]);
    assert_eq!(caller.counts(&series), [1]);
    // The same filter again changes nothing.
    caller.edit_filter(&segment, &is("country", "MX"));
    assert_eq!(caller.counts(&series), [1]);
}

#[test]
fn a_segment_that_is_not_tracked_says_how_to_turn_it_on_and_a_deleted_one_is_unknown() {
    let server = Server::start();
    let caller = Caller::of(&server);
    record_three(&server);
    let segment = caller.create("Brazil", &is("country", "BR"), false);
    let series = format!("{DAY}&segment_id={segment}");
    let not_tracked = || {
        let answer = caller.get(&format!("/sessions/data_series?{series}"));
        assert_eq!(answer.status, 400);
        let message = answer.message();
        for fragment in [
            "has no analytics tracking",
            "Brazil",
            "segment track",
            "/segments/track",
        ] {
            assert!(message.contains(fragment), "{message}");
        }
        assert_eq!(caller.list("")[0]["analytics_tracking_enabled"], false);
    };
    not_tracked();
    // Twice is no error.
    for _ in 0..2 {
        caller.change("track", &segment);
        assert_eq!(caller.counts(&series), [2]);
    }
    assert_eq!(caller.list("")[0]["analytics_tracking_enabled"], true);
    let mut late = server.session("late", "2024-01-01T00:00:00Z");
    late["country"] = "Br".into();
    assert_eq!(caller.record(&[late.clone(), late]), 1);
    assert_eq!(caller.counts(&series), [3]);
    for _ in 0..2 {
        caller.change("untrack", &segment);
        not_tracked();
    }
    caller.change("track", &segment);
    assert_eq!(caller.counts(&series), [3]);
    caller.change("delete", &segment);
    assert_eq!(caller.list(""), [] as [Value; 0]);
    for path in ["/sessions/data_series?length=1", "/segments/details?"] {
        let answer = caller.get(&format!("{path}&segment_id={segment}"));
        assert_eq!(answer.status, 400);
        assert!(
            answer.message().contains("'segment_id' must be"),
            "{}",
            answer.text
        );
    }
    refused(caller, "/segments/delete", &json!({ "segment_id": segment }));
    assert_eq!(caller.counts(DAY), [4]);
    verify(&server.data);
}

#[test]
fn tracking_is_on_unless_said_otherwise_and_unlimited_unless_the_owner_limits_it() {
    let server = Server::start();
    let caller = Caller::of(&server);
    record_three(&server);
    let filter = is("country", "BR");
    let create = |name: &str, more: Value| {
        let mut body = json!({ "name": name, "filter": filter });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        caller.post("/segments/create", &body)
    };
    let tracked: Vec<String> = (0..30)
        .map(|number| {
            let answer = create(&format!("segment {number}"), json!({}));
            assert_eq!(answer.status, 201, "{}", answer.text);
            answer.json()["segment_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(caller.counts(&format!("{DAY}&segment_id={}", tracked[29])), [2]);
    for (name, more) in [
        ("a", json!({ "track": false })),
        ("b", json!({ "analytics_tracking_enabled": false })),
    ] {
        assert_eq!(create(name, more).status, 201);
    }
    let both = create("c", json!({ "track": false, "analytics_tracking_enabled": true }));
    assert_eq!(both.status, 400, "{}", both.text);
    assert!(both.message().contains("'track'"), "{}", both.text);
    let text = filter.to_string();
    let by_command = |name: &str, flags: &[&str]| {
        let arguments = ["segment", "create", name, "--filter", &text];
        server.command(&[&arguments[..], flags].concat())["analytics_tracking_enabled"].clone()
    };
    assert_eq!(by_command("plain", &[]), true);
    assert_eq!(by_command("track", &["--track", "--wait"]), true);
    assert_eq!(by_command("no track", &["--no-track"]), false);
    let usage = run(
        &server.data,
        &[
            "segment",
            "create",
            "x",
            "--filter",
            &text,
            "--track",
            "--no-track",
        ],
    );
    assert_eq!(usage.status.code(), Some(2));

    let limits = server.command(&["workspace", "list"]);
    assert_eq!(limits[0]["segment_limit"], 0);
    let limits = server.command(&["workspace", "set-segment-limit", "default", "3"]);
    assert_eq!(limits["segment_limit"], 3);
    // What is tracked stays so under a lower limit.
    assert_eq!(caller.counts(&format!("{DAY}&segment_id={}", tracked[29])), [2]);
    let message = refused(
        caller,
        "/segments/create",
        &json!({ "name": "one more", "filter": filter }),
    );
    assert!(
        message.contains("limit is 3") && message.contains("set-segment-limit"),
        "{message}"
    );
    let output = run(&server.data, &["segment", "track", "a"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("set-segment-limit"));
    server.command(&["workspace", "set-segment-limit", "default", "0"]);
    assert_eq!(create("one more", json!({})).status, 201);
    verify(&server.data);
}

#[test]
fn the_running_server_honours_what_commands_change() {
    let server = Server::start();
    let caller = Caller::of(&server);
    record_three(&server);
    let filter = is("country", "BR").to_string();
    let arguments = ["segment", "create", "Brazil", "--filter", &filter, "--id", OWN_ID];
    let notes = [
        "--description",
        "south",
        "--tag",
        "a",
        "--tag",
        "b",
        "--track",
        "--wait",
    ];
    let created = server.command(&[&arguments[..], &notes].concat());
    let expected = json!({ "id": OWN_ID, "name": "Brazil", "analytics_tracking_enabled": true });
    assert_eq!(created, expected);
    let series = format!("/sessions/data_series?{DAY}&segment_id={OWN_ID}");
    let honoured = |what: &str, count: Option<u64>| {
        patiently(what, || {
            let answer = caller.get(&series);
            match count {
                Some(count) => answer.status == 200 && answer.json()["data"][0]["sessions"] == count,
                None => answer.status == 400,
            }
        });
    };
    honoured("the new segment", Some(2));
    assert_eq!(caller.details(OWN_ID)["tags"], json!(["a", "b"]));
    assert_eq!(caller.details(OWN_ID)["text_description"], "south");
    let printed = server.command(&[
        "series",
        "--segment",
        "Brazil",
        "--length",
        "1",
        "--ending-at",
        "2024-01-01",
    ]);
    assert_eq!(printed, caller.get(&series).json());
    let filter = not(&is("country", "BR")).to_string();
    server.command(&[
        "segment", "edit", "Brazil", "--filter", &filter, "--name", "others", "--wait",
    ]);
    honoured("the other filter", Some(1));
    assert_eq!(names(&caller.list("")), ["others"]);
    server.command(&["segment", "untrack", "others"]);
    honoured("the end of tracking", None);
    server.command(&["segment", "track", OWN_ID]);
    honoured("tracking", Some(1));
    let listed = server.command(&["segment", "list", "--workspace", "default"]);
    assert_eq!(listed[0]["id"], OWN_ID);
    assert_eq!(listed[0]["analytics_tracking_enabled"], true);
    server.command(&["segment", "delete", "others"]);
    honoured("the end of the segment", None);
    assert_eq!(server.command(&["segment", "list"]), json!([]));
    verify(&server.data);
}

#[test]
fn a_backup_carries_segments_users_and_counts() {
    let server = Server::start();
    let caller = Caller::of(&server);
    record_three(&server);
    caller.set_users(&[json!({ "external_id": "u1", "plan": "pro" })]);
    let brazil = caller.create("Brazil", &is("country", "BR"), true);
    let paying = caller.create("paying", &is("attributes.plan", "pro"), true);
    let untracked = caller.create("untracked", &is("country", "MX"), false);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("backup.sqlite");
    server.command(&["backup", file.to_str().unwrap()]);
    let data = directory.path().join("restored");
    command(&data, &["restore", file.to_str().unwrap()]);
    verify(&data);
    let restored = Server::start_on(&data, &[]);
    let again = Caller {
        server: &restored,
        key: &server.key,
    };
    assert_eq!(again.list(""), caller.list(""));
    for segment in [&brazil, &paying, &untracked] {
        assert_eq!(again.details(segment), caller.details(segment));
    }
    let count = |caller: Caller<'_>, id: &str| caller.counts(&format!("{DAY}&segment_id={id}"));
    for segment in [&brazil, &paying] {
        assert_eq!(count(again, segment), count(caller, segment));
    }
    // What it knows of users and segments goes on counting.
    let mut session = server.session("new", "2024-01-01T12:00:00Z");
    session["user_id"] = "u1".into();
    again.record(&[session]);
    assert_eq!((count(again, &brazil), count(again, &paying)), (vec![2], vec![1]));
    again.change("track", &untracked);
    assert_eq!(count(again, &untracked), [1]);
    verify(&data);
}
