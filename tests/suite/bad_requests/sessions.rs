//! Sessions that are refused one by one.

use serde_json::json;

use super::{JSON, NDJSON, assert_our_refusal, assert_still_works, post};
use crate::support::{Server, send};

/// Members of a session, on top of or instead of valid ones.
fn hostile_members() -> Vec<(String, &'static str)> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (r#""app_id":null"#, "'app_id' is required"),
        (r#""app_id":1"#, "'app_id' must be a string, received 1"),
        (
            r#""app_id":"""#,
            "'app_id' must be the id of an app of this workspace, received ''",
        ),
        (
            r#""app_id":"00dc3cf6-1763-5d5b-8264-db458aa346c3""#,
            "'app_id' must be the id",
        ),
        (r#""app_id":"APP\u0000""#, "'app_id' must be the id"),
        (r#""session_id":null"#, "'session_id' is required"),
        (r#""session_id":7"#, "'session_id' must be a string, received 7"),
        (r#""session_id":{"a":1}"#, "received an object"),
        (
            r#""session_id":"""#,
            "'session_id' must have 1 to 128 bytes, received 0",
        ),
        (
            r#""session_id":"a\u0000b""#,
            "'session_id' must have no control characters",
        ),
        (
            r#""session_id":"\u007f""#,
            "'session_id' must have no control characters",
        ),
        (
            r#""session_id":"\u0085""#,
            "'session_id' must have no control characters",
        ),
        (r#""session_id":"\ud800""#, "hex escape"),
        (r#""session_id":"\udc00\ud800""#, "surrogate"),
        (
            r#""session_id":"a","session_id":"b""#,
            "'session_id' is given twice",
        ),
        (r#""started_at":null"#, "'started_at' is required"),
        (r#""started_at":1e400"#, "number out of range"),
        (r#""started_at":-1e400"#, "number out of range"),
        (
            r#""started_at":true"#,
            "'started_at' must be ISO 8601 with an offset",
        ),
        (r#""started_at":[]"#, "received an array"),
        (r#""started_at":"""#, "received ''"),
        (r#""started_at":"yesterday""#, "received 'yesterday'"),
        (
            r#""started_at":"2024-01-01""#,
            "'started_at' must be ISO 8601 with an offset",
        ),
        (
            r#""started_at":"2024-01-01T00:00:00""#,
            "'started_at' must be ISO 8601 with an offset",
        ),
        (
            r#""started_at":"2024-02-30T00:00:00Z""#,
            "received '2024-02-30T00:00:00Z'",
        ),
        (r#""started_at":"1704067200""#, "received '1704067200'"),
        (
            r#""started_at":"1999-12-31T23:59:59.999Z""#,
            "must not be before the year 2000",
        ),
        (r#""started_at":0"#, "must not be before the year 2000"),
        (
            r#""started_at":-9223372036854775808"#,
            "must not be before the year 2000",
        ),
        (
            r#""started_at":9223372036854775807"#,
            "more than 24 hours in the future",
        ),
        (
            r#""started_at":18446744073709551615"#,
            "received 18446744073709551615",
        ),
        (r#""started_at":1e308"#, "'started_at' must be ISO 8601"),
        (
            r#""ended_at":"2023-12-31T23:59:59Z""#,
            "'ended_at' must not be before 'started_at'",
        ),
        (
            r#""ended_at":"2024-01-08T00:00:01Z""#,
            "'ended_at' must end the session 0 to 604800 seconds",
        ),
        (r#""ended_at":"never""#, "'ended_at' must be ISO 8601"),
        (
            r#""ended_at":9223372036854775807"#,
            "'ended_at' must end the session",
        ),
        (
            r#""ended_at":1704067201,"duration":1"#,
            "either 'ended_at' or 'duration', not both",
        ),
        (
            r#""duration":-1"#,
            "'duration' must end the session 0 to 604800 seconds",
        ),
        (
            r#""duration":604800.001"#,
            "'duration' must end the session 0 to 604800 seconds",
        ),
        (
            r#""duration":"60""#,
            "'duration' must be 0 to 604800 seconds, as a number, received '60'",
        ),
        (r#""duration":1e400"#, "number out of range"),
        (r#""duration":1e308"#, "'duration' must be 0 to 604800 seconds"),
        (
            r#""duration":18446744073709551615"#,
            "'duration' must be 0 to 604800 seconds",
        ),
        (
            r#""user_id":"""#,
            "'user_id' must have 1 to 256 bytes, received 0",
        ),
        (r#""user_id":5"#, "'user_id' must be a string, received 5"),
        (
            r#""device_id":"""#,
            "'device_id' must have 1 to 256 bytes, received 0",
        ),
        (
            r#""platform":["ios"]"#,
            "'platform' must be a string, received an array",
        ),
        (
            r#""app_version":4.1"#,
            "'app_version' must be a string, received 4.1",
        ),
        (
            r#""country":"BRA""#,
            "'country' must be an ISO 3166-1 alpha-2 code such as BR, received 'BRA'",
        ),
        (r#""country":"é""#, "'country' must be an ISO 3166-1 alpha-2 code"),
        (r#""country":"""#, "'country' must be an ISO 3166-1 alpha-2 code"),
        (
            r#""language":"en_US""#,
            "'language' must be a BCP 47 tag such as pt-BR, received 'en_US'",
        ),
        (r#""language":"""#, "'language' must be a BCP 47 tag"),
        (
            r#""attributes":[]"#,
            "'attributes' must be an object, received an array",
        ),
        (
            r#""attributes":"x""#,
            "'attributes' must be an object, received 'x'",
        ),
        (r#""attributes":1"#, "'attributes' must be an object, received 1"),
        (
            r#""attributes":1.5"#,
            "'attributes' must be an object, received 1.5",
        ),
        (
            r#""attributes":false"#,
            "'attributes' must be an object, received false",
        ),
        (
            r#""attributes":{"a":{}}"#,
            "'attributes.a' must be a string, a number or a boolean",
        ),
        (r#""attributes":{"a":[1]}"#, "received an array"),
        (r#""attributes":{"a":1e400}"#, "number out of range"),
        (
            r#""attributes":{"":1}"#,
            "a name in 'attributes' must have 1 to 64 bytes, received 0",
        ),
        (r#""attributes":{"a":1,"a":1}"#, "'attributes.a' is given twice"),
        (
            r#""attributes":{},"attributes":{}"#,
            "'attributes' is given twice",
        ),
        (r#""attributes":{"a":"\ud800"}"#, "hex escape"),
    ];
    let generated = [
        (
            format!(r#""session_id":"{}""#, "x".repeat(129)),
            "1 to 128 bytes, received 129",
        ),
        (
            format!(r#""session_id":{deep}"#),
            "'session_id' must be a string, received an array",
        ),
        (format!(r#""started_at":{deep}"#), "received an array"),
        (
            format!(r#""attributes":{{"a":{deep}}}"#),
            "'attributes.a' must be a string",
        ),
        (format!(r#""app_id":"{}""#, "x".repeat(9999)), "xxxxxxxx"),
    ];
    let cases = cases.map(|(members, fragment)| (members.to_owned(), fragment));
    cases.into_iter().chain(generated).collect()
}

#[test]
fn sessions_that_are_refused_one_by_one() {
    let server = Server::start();
    let mut batch = vec!["{}", "null", "1", "\"s\"", "[]", "{\"a\":1}"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for (members, fragment) in hostile_members() {
        let defaults = [
            ("app_id", format!(r#""app_id":"{}""#, server.app)),
            ("session_id", r#""session_id":"refused""#.to_owned()),
            ("started_at", r#""started_at":"2024-01-01T00:00:00Z""#.to_owned()),
        ];
        let missing = defaults
            .iter()
            .filter(|(name, _)| !members.contains(&format!("\"{name}\":")));
        let all: Vec<&str> = missing
            .map(|(_, member)| member.as_str())
            .chain([members.as_str()])
            .collect();
        let session = format!("{{{}}}", all.join(",")).replace("APP", &server.app);
        let answer = send(post(&server, JSON, format!(r#"{{"sessions":[{session}]}}"#)));
        let case = members.chars().take(60).collect::<String>();
        assert_our_refusal(&case, &answer, 400, fragment);
        let body = answer.json();
        assert_eq!(body["errors"][0]["input_array"], "sessions", "{case}");
        assert_eq!(body["errors"][0]["index"], 0, "{case}");
        assert!(
            answer.text.len() < 600,
            "{case}: what was received is cut: {}",
            answer.text
        );
        batch.push(session);
    }
    let refused = batch.len();
    batch.push(format!(
        r#"{{"x":{0}{1},"app_id":"{2}","session_id":"deep but ignored","started_at":1717200000}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000),
        server.app
    ));
    let object = send(post(
        &server,
        JSON,
        format!(r#"{{"sessions":[{}]}}"#, batch.join(",")),
    ));
    let lines = send(post(&server, NDJSON, batch.join("\n")));
    for (answer, new) in [(object, 1), (lines, 0)] {
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["sessions_processed"]),
            (201, &json!(new)),
            "{body}"
        );
        let failures = body["errors"].as_array().unwrap();
        let indexes: Vec<u64> = failures
            .iter()
            .map(|failure| failure["index"].as_u64().unwrap())
            .collect();
        assert_eq!(indexes, (0..refused as u64).collect::<Vec<_>>());
    }
    assert_still_works(&server);
}
