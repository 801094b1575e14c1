//! What all answers have in common: plain paths, headers against misuse, and a log line that says why a request was
//! refused without what it sent.

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Server, command, eventually, raw, send};

/// Stands for whatever must not be logged.
const SECRET: &str = "alice-7f3a";

fn ask(server: &Server, method: &str, url: &str) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    send(server.client().request(method, url).bearer_auth(&server.key))
}

/// The answer to a request. A server that refuses a large body may close the connection before the client has written all of it:
/// then the request is made once more.
fn answered(request: RequestBuilder) -> Answer {
    let mut response = None;
    eventually("an answer", || {
        response = request.try_clone().and_then(|request| request.send().ok());
        response.is_some()
    });
    response.unwrap().into()
}

#[test]
fn slashes_twice_or_at_the_end_change_nothing() {
    let server = Server::start();
    for (method, base, path) in [
        ("GET", &server.url, "/health"),
        ("GET", &server.url, "/sessions/data_series"),
        ("HEAD", &server.url, "/sessions/data_series"),
        ("POST", &server.url, "/sessions/track"),
        ("POST", &server.url, "/sessions/collect"),
        ("OPTIONS", &server.url, "/sessions/collect"),
        ("POST", &server.url, "/v1/logs"),
        ("POST", &server.url, "/api/1/envelope"),
        ("GET", &server.url, "/segments/list"),
        ("GET", &server.url, "/session.js"),
        ("GET", &server.url, "/openapi.json"),
        ("GET", &server.url, "/reference"),
        ("DELETE", &server.url, "/sessions/track"),
        ("GET", &server.url, "/v1/logs"),
        ("GET", &server.url, "/nowhere"),
        ("GET", &server.url, "/ready"),
        ("GET", &server.url, "/metrics"),
        ("GET", &server.ops, "/health"),
        ("GET", &server.ops, "/ready"),
        ("POST", &server.ops, "/ready"),
        ("GET", &server.ops, "/nowhere"),
    ] {
        let plain = ask(
            &server,
            method,
            &format!("{base}{path}?length=3&ending_at=2024-01-01"),
        );
        let doubled = path.replace('/', "//");
        for other in [format!("{path}/"), doubled.clone(), format!("{doubled}///")] {
            let url = format!("{base}{other}?length=3&ending_at=2024-01-01");
            let answer = ask(&server, method, &url);
            let seen = |answer: &Answer| {
                let header = |name| answer.header(name).to_owned();
                (
                    answer.status,
                    answer.text.clone(),
                    header("content-type"),
                    header("allow"),
                )
            };
            assert_eq!(seen(&answer), seen(&plain), "{method} {other}");
        }
    }
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [0]);
}

#[test]
fn readiness_is_for_the_second_listener_alone() {
    let server = Server::start();
    assert_eq!(ask(&server, "GET", &format!("{}/ready", server.url)).status, 404);
    let document = server.get("/openapi.json").json();
    assert_eq!(document["paths"]["/ready"], Value::Null);
    // However many ask at once.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap();
    let store_files = || {
        let links = open().filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        links
            .filter(|link| link.to_string_lossy().contains("sessions.sqlite"))
            .count()
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..64)
            .map(|_| scope.spawn(|| send(server.client().get(format!("{}/ready", server.ops)))))
            .collect();
        for asked in asking {
            let answer = asked.join().unwrap();
            assert_eq!((answer.status, answer.message().as_str()), (200, "ready"));
        }
    });
    // The writer, and few readers, with three files each.
    assert!(store_files() <= 3 * 6, "{}", store_files());
}

#[test]
fn answers_are_not_kept_not_guessed_and_not_framed() {
    let server = Server::start();
    for (base, path) in [
        (&server.url, "/sessions/data_series?length=3"),
        (&server.url, "/sessions/data_series"),
        (&server.url, "/nowhere"),
        (&server.url, "/sessions/track"),
        (&server.url, "/v1/logs"),
        (&server.url, "/openapi.json"),
        (&server.url, "/reference"),
        (&server.url, "/health"),
        (&server.ops, "/metrics"),
        (&server.ops, "/ready"),
    ] {
        let answer = ask(&server, "GET", &format!("{base}{path}"));
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    let script = ask(&server, "GET", &format!("{}/session.js", server.url));
    assert_eq!(script.header("cache-control"), "public, max-age=3600");
    assert_eq!(script.header("x-content-type-options"), "nosniff");
}

#[test]
fn a_request_has_one_host() {
    let server = Server::start();
    for (version, hosts, refusal) in [
        ("1.1", "", Some("the header 'Host' is missing")),
        (
            "1.1",
            "host: a\r\nhost: b\r\n",
            Some("'Host' is given more than once"),
        ),
        (
            "1.1",
            "host: a\r\nHost: a\r\n",
            Some("'Host' is given more than once"),
        ),
        (
            "1.0",
            "host: a\r\nhost: b\r\n",
            Some("'Host' is given more than once"),
        ),
        ("1.1", "host: a b\r\n", Some("'Host' is no host")),
        ("1.1", "host: a/b\r\n", Some("'Host' is no host")),
        ("1.1", "host: a@b\r\n", Some("'Host' is no host")),
        ("1.1", "host: a:80:80\r\n", Some("'Host' is no host")),
        ("1.1", "host: \u{e4}\r\n", Some("'Host' is no host")),
        ("1.1", "host: a\r\n", None),
        ("1.1", "host:\r\n", None),
        ("1.1", "host: a.example.com:8080\r\n", None),
        ("1.1", "host: [::1]:8080\r\n", None),
        ("1.0", "host: a\r\n", None),
        ("1.0", "", None),
    ] {
        for target in ["/health", "/nowhere", "/sessions/data_series?length=1"] {
            let request = format!("GET {target} HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
            let answer = raw(server.address(), request.as_bytes(), false).unwrap();
            let case = format!("HTTP/{version} {hosts:?} {target}: {answer:?}");
            match refusal {
                Some(refusal) => {
                    assert_eq!(answer.status, 400, "{case}");
                    assert!(answer.message().contains(refusal), "{case}");
                    assert!(!answer.header("x-request-id").is_empty(), "{case}");
                }
                None => assert_ne!(answer.status, 400, "{case}"),
            }
        }
    }
    let second = reqwest::blocking::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = send(second.get(format!("{}/health", server.url)));
    assert_eq!(answer.status, 200, "HTTP/2 says it in the address");
}

/// The log line of a request.
fn logged(server: &Server, id: &str) -> Value {
    let find = || {
        let log = server.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["request_id"] == id)
    };
    eventually("the log line", || find().is_some());
    find().unwrap()
}

#[test]
fn the_reason_of_every_refusal_is_in_its_log_line_without_what_was_sent() {
    let server = Server::start_with(&["--log-format", "json", "--client-rate-limit", "9"]);
    let reader = command(
        &server.data,
        &["key", "create", "r", "--permission", "segments.list"],
    );
    let inside = command(
        &server.data,
        &[
            "key",
            "create",
            "i",
            "--permission",
            "all",
            "--allow",
            "10.0.0.0/8",
        ],
    );
    let (reader, inside) = (reader["key"].as_str().unwrap(), inside["key"].as_str().unwrap());
    let client = server.client();
    let get = |query: &str| {
        client
            .get(format!("{}/sessions/data_series?{query}", server.url))
            .bearer_auth(&server.key)
    };
    let post = |path: &str, body: &Value| {
        client
            .post(format!("{}{path}", server.url))
            .bearer_auth(&server.key)
            .json(body)
    };
    let by_key = |key: &str| {
        client
            .get(format!("{}/sessions/data_series?length=1", server.url))
            .bearer_auth(key)
    };
    let at = "2024-01-01T00:00:00Z";
    let unknown = format!("smk_{SECRET}{}", "0".repeat(43 - SECRET.len()));
    let uuid = "7f3a7f3a-0000-4000-8000-7f3a7f3a7f3a";
    let cases = [
        (
            get(&format!("length={SECRET}")),
            400,
            "'length' must be an integer from 1 to 100",
        ),
        (
            get("unit=day"),
            400,
            "'length' is required: an integer from 1 to 100",
        ),
        (
            get(&format!("length=1&app_id={SECRET}")),
            400,
            "'app_id' must be the id of an app of this workspace",
        ),
        (
            get(&format!("length=1&ending_at={SECRET}")),
            400,
            "'ending_at' must be an ISO 8601 date or date and time",
        ),
        (
            post("/sessions/track", &json!({ "sessions": SECRET })),
            400,
            "the body must be a JSON object with an array 'sessions': invalid type: string",
        ),
        (
            post(
                "/sessions/track",
                &json!({ "sessions": [
                    { "app_id": server.app, "session_id": "a", "started_at": at, "country": SECRET },
                    { "app_id": SECRET },
                ] }),
            ),
            400,
            "every session was refused, nothing was recorded; 'errors' says why; the first: 'country' must be an ISO 3166-1 alpha-2 code such as BR",
        ),
        (
            post(
                "/users/track",
                &json!({ "attributes": [{ "external_id": SECRET, SECRET: {} }] }),
            ),
            400,
            "every item was refused, nothing was recorded; 'errors' says why; the first: '…' must be",
        ),
        (
            post("/segments/create", &json!({ "name": 5, SECRET: SECRET })),
            400,
            "the body is not the JSON object that is expected",
        ),
        (
            client.get(format!("{}/sessions/data_series?key={SECRET}", server.url)),
            401,
            "the API key is missing",
        ),
        (by_key(SECRET), 401, "the API key is malformed"),
        (by_key(uuid), 401, "this looks like an API key of Braze"),
        (
            by_key(&unknown),
            401,
            "this API key is unknown or was revoked; create one with 'sessionmeter key create'",
        ),
        (
            by_key(reader),
            403,
            "this API key lacks the permission 'sessions.data_series'",
        ),
        (
            by_key(inside),
            403,
            "this API key may not be used from your address; its allow-list names other networks",
        ),
        (
            client.get(format!("{}/{SECRET}", server.url)),
            404,
            "there is nothing at this path",
        ),
        (
            client.delete(format!("{}/sessions/track?{SECRET}", server.url)),
            405,
            "this path does not take this method; it takes POST",
        ),
        (
            post("/sessions/track", &json!({})).body(vec![b' '; 33 << 20]),
            413,
            "the body is larger than 32 MiB",
        ),
        (
            post("/sessions/track", &json!({})).header("content-encoding", SECRET),
            415,
            "'Content-Encoding' must be gzip, zstd or absent",
        ),
        (
            post("/sessions/collect", &json!({ "app_id": SECRET, "sessions": [] })),
            400,
            "'app_id' must be the id of an app",
        ),
        (
            post("/v1/logs", &json!({})).header("sessionmeter-app", SECRET),
            400,
            "the header 'sessionmeter-app' must be the id of an app of this server",
        ),
        (
            post("/api/1/envelope/", &json!({}))
                .header("x-sentry-auth", format!("Sentry sentry_key={SECRET}")),
            400,
            "bad sentry DSN public key: it is the app's id without hyphens, 32 hexadecimal digits",
        ),
    ];
    for (number, (request, status, reason)) in cases.into_iter().enumerate() {
        let id = format!("request-{number}");
        let answer = answered(request.header("x-request-id", &id));
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
        let line = logged(&server, &id);
        let found = line["reason"].as_str().unwrap_or_else(|| panic!("{line}"));
        assert!(found.starts_with(reason), "{reason}: {line}");
    }
    let mut requests = 0;
    let limited = loop {
        let id = format!("limited-{requests}");
        let answer = send(post("/sessions/collect", &json!({})).header("x-request-id", &id));
        if answer.status == 429 {
            break id;
        }
        requests += 1;
        assert!(requests < 20, "the minute changes once");
    };
    let line = logged(&server, &limited);
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("more than 9 requests in this minute"),
        "{line}"
    );
    send(get("length=1").header("x-request-id", "the-last-one"));
    assert_eq!(logged(&server, "the-last-one")["reason"], Value::Null);
    for secret in [SECRET, uuid, &unknown, &server.key, "2024-01-01"] {
        assert!(!server.log().contains(secret), "{secret}: {}", server.log());
    }
}

#[test]
fn an_answer_in_place_of_a_handler_s_says_what_is_left_too() {
    let server = Server::start_with(&["--request-timeout", "1", "--log-format", "json"]);
    let request = format!(
        "POST /sessions/track HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         x-request-id: slow\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        server.key
    );
    let answer = raw(server.address(), request.as_bytes(), false).unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("x-ratelimit-limit"), "250000");
    assert_eq!(answer.header("x-ratelimit-remaining"), "249999");
    let line = logged(&server, "slow");
    assert_eq!(line["workspace"], server.workspace, "{line}");
    assert!(
        line["reason"]
            .as_str()
            .unwrap()
            .starts_with("the request took too long"),
        "{line}"
    );
}

#[test]
fn a_key_of_braze_is_told_how_to_become_one_of_ours() {
    let server = Server::start();
    let uuid = "550E8400-e29b-41d4-a716-446655440000";
    for value in [
        format!("Bearer {uuid}"),
        uuid.to_owned(),
        format!("Bearer  {}", uuid.replace('-', "")),
    ] {
        let request = server
            .client()
            .get(format!("{}/sessions/data_series?length=1", server.url));
        let answer = send(request.header("authorization", value));
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let message = answer.message();
        assert!(message.contains("looks like an API key of Braze"), "{message}");
        assert!(message.contains("sessionmeter key create"), "{message}");
        assert!(message.contains("'Authorization: Bearer smk_…'"), "{message}");
        assert!(!answer.text.to_lowercase().contains("550e8400"), "{message}");
    }
}

#[test]
fn whoever_refuses_plain_answers_hears_what_was_done_all_the_same() {
    let server = Server::start();
    let body = json!({ "sessions": [server.session("a", 1_709_294_400)] });
    for accepted in [
        "identity;q=0",
        "*;q=0",
        "br;q=1, *;q=0",
        "deflate, Identity; q=0.000",
        "gzip;q=0, identity;q=0",
    ] {
        let request = server.client().post(format!("{}/sessions/track", server.url));
        let answer = send(
            request
                .bearer_auth(&server.key)
                .header("accept-encoding", accepted)
                .json(&body),
        );
        assert_eq!(answer.status, 201, "{accepted}: {}", answer.text);
        assert_eq!(answer.json()["message"], "success");
        let request = server
            .client()
            .get(format!("{}/sessions/data_series?length=3", server.url));
        let answer = send(request.bearer_auth("wrong").header("accept-encoding", accepted));
        assert_eq!(answer.status, 401, "{accepted}: {}", answer.text);
    }
}
