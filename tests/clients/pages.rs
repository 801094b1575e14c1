//! What `session.js` reports to.

use serde_json::{Value, json};

use super::support::{Answer, Server};
use super::{DAY, NOON, post, stored};

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
