//! What `session.js` reports to.

use serde_json::{Value, json};

use super::{DAY, NOON, post, stored};
use crate::support::{Answer, Server};

const PATH: &str = "/sessions/collect";

fn collect(server: &Server, media_type: &str, body: &Value) -> Answer {
    post(server, PATH, &[("content-type", media_type)], body.to_string())
}

#[test]
fn sessions_come_without_a_key_as_json_by_either_name() {
    let server = Server::start();
    let body = |id: &str| {
        let session = json!({"session_id": id, "started_at": NOON, "platform": "web", "user_id": "u1"});
        json!({"app_id": server.app, "sessions": [session]})
    };
    for (media_type, id) in [("application/json", "a"), ("text/plain;charset=UTF-8", "b")] {
        let answer = collect(&server, media_type, &body(id));
        let expected = json!({"message": "success", "sessions_processed": 1, "duplicates": 0});
        assert_eq!((answer.status, answer.json()), (201, expected));
    }
    assert_eq!(collect(&server, "text/plain", &body("a")).json()["duplicates"], 1);
    assert_eq!(server.counts(DAY), [2]);
    let expected = r#"{"platform":"web"}"#.to_owned();
    assert_eq!(
        stored(&server.data).remove(0),
        (NOON as i64 * 1000, None, Some("u1".into()), None, expected)
    );
}

#[test]
fn what_is_refused_is_said() {
    let server = Server::start();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let session = json!({"session_id": "a", "started_at": NOON});
    for (body, message) in [
        (
            json!({"app_id": unknown, "sessions": [session]}),
            format!("'app_id' must be the id of an app, received '{unknown}'"),
        ),
        (
            json!({"sessions": [session]}),
            "'app_id' is required: the id of an app".into(),
        ),
        (
            json!({"app_id": 5, "sessions": [session]}),
            "the body must be a JSON object with 'app_id' and 'sessions': invalid type: integer `5`, expected a \
             string at line 1 column 11"
                .into(),
        ),
        (
            json!({"app_id": server.app, "sessions": [{"session_id": "a"}]}),
            "every session was refused, nothing was recorded; 'errors' says why".into(),
        ),
    ] {
        let answer = collect(&server, "text/plain", &body);
        assert_eq!((answer.status, answer.message()), (400, message), "{body}");
    }
    let mixed = json!({"app_id": server.app, "sessions": [session, {"started_at": NOON}]});
    let answer = collect(&server, "application/json", &mixed);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["errors"][0]["index"], 1);
    assert_eq!(collect(&server, "text/html", &mixed).status, 415);
    assert_eq!(server.counts(DAY), [1]);
}

/// What was recorded of one session that `more` is added to: duration, user, device and properties.
fn recorded_with(
    server: &Server,
    id: &str,
    more: &str,
) -> (Option<i64>, Option<String>, Option<String>, Value) {
    let body = format!(
        r#"{{"app_id":"{}","sessions":[{{"session_id":"{id}","started_at":{NOON},{more}}}]}}"#,
        server.app
    );
    let answer = post(server, PATH, &[("content-type", "text/plain")], body);
    let expected = json!({"message": "success", "sessions_processed": 1, "duplicates": 0});
    assert_eq!((answer.status, answer.json()), (201, expected), "{more}");
    let all = crate::support::stored::stored(&server.data);
    let found = all.into_iter().find(|session| session.session_id == id).unwrap();
    let mut properties: Value = serde_json::from_str(&found.properties).unwrap();
    properties.as_object_mut().unwrap().remove("first_session");
    (found.duration, found.user, found.device, properties)
}

#[test]
fn no_optional_field_costs_a_session() {
    let server = Server::start();
    let long = "x".repeat(257);
    let many: Vec<String> = (0..40).map(|n| format!(r#""a{n:02}":{n}"#)).collect();
    let few: serde_json::Map<String, Value> = (0..32).map(|n| (format!("a{n:02}"), json!(n))).collect();
    let nothing = || json!({});
    let cases = [
        // Half of an emoji, as JavaScript cuts it.
        (
            r#""attributes":{"title":"Caf\u00e9 \ud83d"}"#.to_owned(),
            json!({"attributes": {"title": "Caf\u{e9} \u{fffd}\u{fffd}\u{fffd}"}}),
        ),
        (
            r#""attributes":{"\ud83d":1,"b":true}"#.into(),
            json!({"attributes": {"\u{fffd}\u{fffd}\u{fffd}": 1, "b": true}}),
        ),
        (
            format!(r#""attributes":{{"a":"{long}","{long}":1,"":2,"c":"y"}}"#),
            json!({"attributes": {"c": "y"}}),
        ),
        (
            format!(r#""attributes":{{{}}}"#, many.join(",")),
            json!({ "attributes": few }),
        ),
        (
            r#""attributes":{"a":[1],"b":{"c":1},"d":null,"e":1e999,"f":1}"#.into(),
            json!({"attributes": {"f": 1}}),
        ),
        (
            r#""attributes":[1],"platform":"web""#.into(),
            json!({"platform": "web"}),
        ),
        (r#""attributes":"x""#.into(), nothing()),
        (
            format!(r#""platform":"{long}","app_version":4.1,"os_version":true,"device_model":["x"]"#),
            json!({"app_version": "4.1"}),
        ),
        (
            r#""country":"Brazil","language":"pt_BR""#.into(),
            json!({"language": "pt-BR"}),
        ),
        (
            r#""country":"br","language":"en-US@posix","platform":"a","platform":"web""#.into(),
            json!({"country": "BR", "platform": "web"}),
        ),
        (r#""unknown":"\ud83d","platform":null"#.into(), nothing()),
    ];
    for (number, (more, expected)) in cases.iter().enumerate() {
        let (duration, user, device, properties) = recorded_with(&server, &format!("p{number}"), more);
        assert_eq!((duration, user, device), (None, None, None), "{more}");
        assert_eq!(properties, *expected, "{more}");
    }
    let text = |text: &str| Some(text.to_owned());
    let people = [
        (
            r#""user_id":42,"device_id":{}"#.to_owned(),
            (None, text("42"), None),
        ),
        (
            format!(r#""user_id":"{long}","device_id":"d""#),
            (None, None, text("d")),
        ),
        (r#""user_id":"","device_id":false"#.into(), (None, None, None)),
        (r#""duration":-1"#.into(), (None, None, None)),
        (r#""duration":"12","user_id":"u""#.into(), (None, text("u"), None)),
        (
            format!(r#""ended_at":{},"duration":5"#, NOON - 1),
            (Some(5_000), None, None),
        ),
        (
            format!(r#""ended_at":{},"duration":5"#, NOON + 9),
            (Some(9_000), None, None),
        ),
        (
            r#""ended_at":"later","duration":1e999"#.into(),
            (None, None, None),
        ),
    ];
    for (number, (more, expected)) in people.iter().enumerate() {
        let (duration, user, device, properties) = recorded_with(&server, &format!("q{number}"), more);
        assert_eq!((duration, user, device), *expected, "{more}");
        assert_eq!(properties, nothing(), "{more}");
    }
    assert_eq!(server.counts(DAY), [(cases.len() + people.len()) as u64]);
}

#[test]
fn a_wrong_app_id_or_start_is_final() {
    let server = Server::start();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let sessions = json!([
        {"session_id": "a", "started_at": NOON, "app_id": unknown},
        {"session_id": "", "started_at": NOON},
        {"session_id": 5, "started_at": NOON},
        {"session_id": "b", "started_at": 5, "platform": 5},
        {"session_id": "c", "started_at": "soon", "platform": 5},
        {"session_id": "d", "platform": 5},
        "e",
    ]);
    let answer = collect(
        &server,
        "text/plain",
        &json!({"app_id": server.app, "sessions": sessions}),
    );
    assert_eq!(answer.status, 400, "{answer:?}");
    let errors = answer.json()["errors"].clone();
    let reasons = [
        "'app_id' must be the id of an app",
        "'session_id' must have 1 to 128 bytes, received 0",
        "'session_id' must be a string",
        "'started_at' must not be before the year 2000",
        "'started_at' must be ISO 8601",
        "'started_at' is required",
        "not a session",
    ];
    for (index, reason) in reasons.into_iter().enumerate() {
        let found = errors[index]["type"].as_str().unwrap();
        assert!(found.starts_with(reason), "{index}: {found}");
    }
    assert_eq!(server.counts(DAY), [0]);
}
