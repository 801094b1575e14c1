//! `POST /users/track`: what is known about users goes into their later sessions, never into earlier ones.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::{Caller, Space, is, verify};
use crate::support::{Server, send};

const DAY: &str = "length=1&ending_at=2024-01-01";

/// What each of the segments counts.
struct Segments<'a> {
    caller: Caller<'a>,
    ids: Vec<String>,
    sessions: u64,
}

impl<'a> Segments<'a> {
    /// Tracked ones, with these filters.
    fn new(caller: Caller<'a>, filters: &[Value]) -> Self {
        let create = |(number, filter)| caller.create(&format!("segment {number}"), filter, true);
        let ids = filters.iter().enumerate().map(create).collect();
        Self {
            caller,
            ids,
            sessions: 0,
        }
    }

    /// Records a session of the user, with own attributes.
    fn session(&mut self, user: &str, attributes: Value) {
        self.sessions += 1;
        let number = self.sessions.to_string();
        let mut session = self.caller.server.session(&number, "2024-01-01T12:00:00Z");
        session["user_id"] = user.into();
        session["attributes"] = attributes;
        assert_eq!(self.caller.record(&[session]), 1);
    }

    fn counts(&self) -> Vec<u64> {
        let count = |id: &String| self.caller.counts(&format!("{DAY}&segment_id={id}"))[0];
        self.ids.iter().map(count).collect()
    }
}

fn exists(field: &str) -> Value {
    json!({ "field": field, "op": "exists" })
}

#[test]
fn later_sessions_carry_what_is_known_about_their_user() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let pro = is("attributes.plan", "pro");
    let mut segments = Segments::new(
        caller,
        &[pro.clone(), exists("attributes.plan"), is("attributes.level", 5)],
    );
    segments.session("u1", json!({}));
    assert_eq!(segments.counts(), [0, 0, 0]);
    caller.set_users(&[json!({ "external_id": "u1", "plan": "pro", "level": 5 })]);
    // What was recorded before stays what it was.
    assert_eq!(segments.counts(), [0, 0, 0]);
    segments.session("u1", json!({}));
    segments.session("u2", json!({}));
    assert_eq!(segments.counts(), [1, 1, 1]);
    // The session's own win, one by one.
    segments.session("u1", json!({ "plan": "trial" }));
    assert_eq!(segments.counts(), [1, 2, 2]);
    segments.session("u2", json!({ "plan": "pro" }));
    assert_eq!(segments.counts(), [2, 3, 2]);
    // The own ones of a session are not the user's.
    segments.session("u2", json!({}));
    assert_eq!(segments.counts(), [2, 3, 2]);
    caller.set_users(&[json!({ "external_id": "u1", "plan": "free" })]);
    segments.session("u1", json!({}));
    assert_eq!(segments.counts(), [2, 4, 3]);
    caller.set_users(&[json!({ "external_id": "u1", "plan": null, "never": null })]);
    segments.session("u1", json!({}));
    assert_eq!(segments.counts(), [2, 4, 4]);
    // Items apply in their order.
    caller.set_users(&[
        json!({ "external_id": "u1", "plan": "free", "level": null }),
        json!({ "external_id": "u3", "plan": "free" }),
        json!({ "external_id": "u1", "plan": "pro" }),
    ]);
    segments.session("u1", json!({}));
    segments.session("u3", json!({}));
    assert_eq!(segments.counts(), [3, 6, 4]);
    // Counting the past comes to the same, whatever users became since.
    caller.set_users(&[json!({ "external_id": "u3", "plan": "pro", "level": 5 })]);
    let later = caller.create("later", &pro, true);
    assert_eq!(caller.counts(&format!("{DAY}&segment_id={later}")), [3]);
    assert_eq!(segments.counts(), [3, 6, 4]);
    verify(&server.data);
}

#[test]
fn values_keep_their_types_and_sessions_without_a_user_get_none() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let field = "attributes.v";
    let mut segments = Segments::new(
        caller,
        &[
            is(field, 5),
            is(field, "5"),
            is(field, true),
            is(field, "true"),
            exists(field),
        ],
    );
    for (user, value, expected) in [
        ("number", json!(5.0), [1, 0, 0, 0, 1]),
        ("text", json!("5"), [1, 1, 0, 0, 2]),
        ("flag", json!(true), [1, 1, 1, 0, 3]),
        ("word", json!("true"), [1, 1, 1, 1, 4]),
        ("empty", json!(""), [1, 1, 1, 1, 5]),
    ] {
        caller.set_users(&[json!({ "external_id": user, "v": value })]);
        segments.session(user, json!({}));
        assert_eq!(segments.counts(), expected, "{user}");
    }
    // A device that is called like a user is not the user.
    let mut session = server.session("device", "2024-01-01T12:00:00Z");
    session["device_id"] = "number".into();
    caller.record(&[session]);
    assert_eq!(segments.counts(), [1, 1, 1, 1, 5]);
}

#[test]
fn users_of_one_workspace_are_unknown_in_another() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let spaces = ["mine", "theirs"].map(|name| Space::create(&data, name, "UTC", 1));
    let server = Server::start_on(&data, &[]);
    let filter = is("attributes.plan", "pro");
    let segments = spaces.each_ref().map(|space| {
        let caller = space.caller(&server);
        let segment = caller.create("pro", &filter, true);
        let plan = if space.name == "mine" { "pro" } else { "free" };
        caller.set_users(&[json!({ "external_id": "u1", "plan": plan })]);
        segment
    });
    for space in &spaces {
        let session = json!({
            "app_id": space.apps[0],
            "session_id": "1",
            "started_at": "2024-01-01T12:00:00Z",
            "user_id": "u1",
        });
        assert_eq!(space.caller(&server).record(&[session]), 1);
    }
    for ((space, segment), expected) in spaces.iter().zip(segments).zip([1, 0]) {
        let caller = space.caller(&server);
        assert_eq!(caller.counts(DAY), [1]);
        assert_eq!(
            caller.counts(&format!("{DAY}&segment_id={segment}")),
            [expected],
            "{}",
            space.name
        );
    }
}

/// Arrays and indexes of what was not recorded, and the reasons.
fn errors(body: &Value) -> (Vec<(String, u64)>, Vec<String>) {
    let errors = body["errors"].as_array().unwrap();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let place = |error: &Value| (text(error, "input_array"), error["index"].as_u64().unwrap());
    (
        errors.iter().map(place).collect(),
        errors.iter().map(|error| text(error, "type")).collect(),
    )
}

#[test]
fn what_is_not_recorded_is_named_and_the_rest_is_recorded() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let mut segments = Segments::new(caller, &[is("attributes.plan", "pro")]);
    let long = "x".repeat(257);
    let long_name = "n".repeat(65);
    let body = json!({
        "attributes": [
            { "external_id": "u1", "plan": "pro" },
            { "plan": "pro" },
            { "external_id": "u2", "plan": "pro", "list": [1] },
            { "external_id": "u2", "plan": "pro", "object": {} },
            { "external_id": "u2", "plan": "pro", "text": long },
            { "external_id": "u2", "plan": "pro", long_name: 1 },
            { "external_id": "", "plan": "pro" },
            { "external_id": long, "plan": "pro" },
            { "external_id": 5, "plan": "pro" },
            "u2",
            { "external_id": "u3", "plan": "pro" },
        ],
        "events": [{ "external_id": "u1", "name": "bought", "time": "2024-01-01T00:00:00Z" }],
        "purchases": [{}, {}],
    });
    let answer = caller.post("/users/track", &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["message"], "success");
    assert_eq!(body["attributes_processed"], 2);
    let (mut places, reasons) = errors(&body);
    let reason = |array: &str, index: u64| {
        let at = places
            .iter()
            .position(|place| *place == (array.to_owned(), index));
        reasons[at.unwrap()].clone()
    };
    for (index, fragment) in [
        (1, "external_id"),
        (2, "list"),
        (3, "object"),
        (4, "text"),
        (5, "name"),
        (6, "external_id"),
        (7, "external_id"),
        (8, "external_id"),
    ] {
        let reason = reason("attributes", index);
        assert!(reason.contains(fragment), "{index}: {reason}");
    }
    assert!(reason("events", 0).contains("events"));
    assert!(reason("purchases", 1).contains("purchases"));
    places.sort_unstable();
    let expected = (1..10).map(|index| ("attributes", index));
    let expected = expected.chain([("events", 0), ("purchases", 0), ("purchases", 1)]);
    let expected: Vec<(String, u64)> = expected.map(|(array, index)| (array.to_owned(), index)).collect();
    assert_eq!(places, expected);
    for user in ["u1", "u2", "u3"] {
        segments.session(user, json!({}));
    }
    assert_eq!(segments.counts(), [2]);
}

#[test]
fn a_user_has_at_most_thirty_two_attributes() {
    let server = Server::start();
    let caller = Caller::of(&server);
    let mut segments = Segments::new(caller, &[exists("attributes.a0"), exists("attributes.a32")]);
    let mut many = json!({ "external_id": "u1" });
    for number in 0..32 {
        many[format!("a{number}")] = number.into();
    }
    caller.set_users(&[many]);
    let one_more = json!({ "external_id": "u1", "a32": true, "a0": null });
    let too_many = json!({ "external_id": "u1", "a32": true });
    let other = json!({ "external_id": "u2", "a32": true });
    let answer = caller.post("/users/track", &json!({ "attributes": [too_many, other] }));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let (places, reasons) = errors(&answer.json());
    assert_eq!(places, [("attributes".to_owned(), 0)]);
    assert!(reasons[0].contains("32"), "{reasons:?}");
    segments.session("u1", json!({}));
    segments.session("u2", json!({}));
    assert_eq!(segments.counts(), [1, 1]);
    // What is removed makes room.
    caller.set_users(&[one_more]);
    // A session may have as many of its own.
    let own = (100..132).map(|number| (format!("a{number}"), Value::from(number)));
    segments.session("u1", own.collect());
    assert_eq!(segments.counts(), [1, 2]);
    verify(&server.data);
}

#[test]
fn a_body_of_which_nothing_can_be_recorded_is_refused() {
    let server = Server::start();
    let caller = Caller::of(&server);
    for body in [
        json!({}),
        json!([]),
        json!({ "attributes": [] }),
        json!({ "attributes": {} }),
        json!({ "attributes": "u1" }),
        json!({ "users": [{ "external_id": "u1", "plan": "pro" }] }),
        json!({ "attributes": [{ "plan": "pro" }] }),
        json!({ "events": [{ "external_id": "u1" }] }),
        json!({ "attributes": vec![json!({ "external_id": "u1", "plan": "pro" }); 10_001] }),
    ] {
        let answer = caller.post("/users/track", &body);
        let shown: String = body.to_string().chars().take(100).collect();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
        assert!(answer.message().len() > 10, "{shown}: {}", answer.text);
    }
    let (places, _) = errors(&caller.post("/users/track", &json!({ "events": [1, 2] })).json());
    assert_eq!(places, [("events".to_owned(), 0), ("events".to_owned(), 1)]);
    let post = |content_type: &str, body: &'static str| {
        let request = server.client().post(format!("{}/users/track", server.url));
        let request = request
            .bearer_auth(&server.key)
            .header("content-type", content_type);
        send(request.body(body)).status
    };
    assert_eq!(post("application/json", ""), 400);
    assert_eq!(post("application/json", "{"), 400);
    assert_eq!(
        post("text/plain", r#"{"attributes":[{"external_id":"u1"}]}"#),
        415
    );
    let get = caller.get("/users/track");
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
}
