//! Who may do what, how often, and what the server tells those who may not.

mod limits;

use std::path::Path;

use crate::support::{Answer, Server, clickhouse, command, eventually, run, send};
use limits::{Limited, limited};
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

const SERIES: &str = "/sessions/data_series?length=1&ending_at=2024-01-01";
const LIMIT_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

fn series(server: &Server) -> RequestBuilder {
    server.client().get(format!("{}{SERIES}", server.url))
}

fn track_as(server: &Server, key: &str) -> Answer {
    let body = json!({ "sessions": [server.session("tracked", "2024-01-01T00:00:00Z")] });
    send(
        server
            .client()
            .post(format!("{}/sessions/track", server.url))
            .bearer_auth(key)
            .json(&body),
    )
}

/// A new key of the workspace `default`; its secret.
fn create_key(data: &Path, name: &str, more: &[&str]) -> String {
    let created = command(
        data,
        &[&["key", "create", name, "--workspace", "default"], more].concat(),
    );
    created["key"].as_str().unwrap().to_owned()
}

/// Waits until the running server has seen every change that commands made so far: the last one is this one.
fn settle(server: &Server) {
    let limits = command(&server.data, &["workspace", "list"]);
    let next = (limits[0]["rate_limit"].as_u64().unwrap() + 1).to_string();
    command(&server.data, &["workspace", "set-rate-limit", "default", &next]);
    eventually("the new limit", || {
        server.get(SERIES).header("x-ratelimit-limit") == next
    });
}

fn limit_headers(answer: &Answer) -> [&str; 3] {
    LIMIT_HEADERS.map(|name| answer.header(name))
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[test]
fn every_way_to_lack_a_key_is_a_401_that_says_where_it_belongs() {
    let server = Server::start();
    let key = &server.key;
    let belongs = "send the API key in the header 'Authorization: Bearer smk_…'; a key in the URL or the body is not accepted";
    let missing = format!("the API key is missing: {belongs}");
    let malformed =
        format!("the API key is malformed: it is 'smk_' and 43 letters, digits, '-' or '_'; {belongs}");
    let with = |value: &str| series(&server).header("authorization", value);
    let url = |query: &str| {
        server
            .client()
            .get(format!("{}{SERIES}&{query}={key}", server.url))
    };
    let body = json!({ "api_key": key, "sessions": [server.session("a", 1_704_067_200)] });
    let cases = [
        ("nothing", series(&server), missing.as_str()),
        ("in the URL", url("api_key"), &missing),
        ("in the URL, differently", url("access_token"), &missing),
        (
            "in another header",
            series(&server).header("x-api-key", key),
            &missing,
        ),
        (
            "as a cookie",
            series(&server).header("cookie", format!("key={key}")),
            &missing,
        ),
        (
            "in the body",
            server
                .client()
                .post(format!("{}/sessions/track", server.url))
                .json(&body),
            &missing,
        ),
        ("empty", with(""), &malformed),
        ("no scheme", with(key), &malformed),
        ("only the scheme", with("Bearer"), &malformed),
        ("only the scheme and a space", with("Bearer "), &malformed),
        ("another scheme", with(&format!("Token {key}")), &malformed),
        ("basic", series(&server).basic_auth(key, None::<&str>), &malformed),
        (
            "basic as the password",
            series(&server).basic_auth("x", Some(key)),
            &malformed,
        ),
        ("cut", with(&format!("Bearer {}", &key[..46])), &malformed),
        ("longer", with(&format!("Bearer {key}x")), &malformed),
        (
            "two keys",
            with(&format!("Bearer {key}, Bearer {key}")),
            &malformed,
        ),
        ("in quotes", with(&format!("Bearer \"{key}\"")), &malformed),
        (
            "capitals",
            with(&format!("Bearer {}", key.replace("smk_", "SMK_"))),
            &malformed,
        ),
        (
            "another alphabet",
            with(&format!("Bearer smk_{}", "+".repeat(43))),
            &malformed,
        ),
        (
            "not ASCII",
            series(&server).header("authorization", b"Bearer smk_\xff".as_slice()),
            &malformed,
        ),
        (
            "twice",
            with(&format!("Bearer {key}")).header("authorization", format!("Bearer {key}")),
            "the header 'Authorization' is given twice; give it once",
        ),
    ];
    for (case, request, message) in cases {
        let answer = send(request);
        assert_eq!(
            (answer.status, answer.message().as_str()),
            (401, message),
            "{case}"
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{case}");
        assert_eq!(answer.header("content-type"), "application/json", "{case}");
        assert_eq!(
            limit_headers(&answer),
            ["", "", ""],
            "{case}: whose limit would it be?"
        );
        assert!(!answer.text.contains(key.as_str()), "{case}");
    }
    for accepted in ["bearer", "BEARER", "Bearer "] {
        assert_eq!(send(with(&format!("{accepted} {key}"))).status, 200, "{accepted}");
    }
    assert_eq!(server.counts("length=1&ending_at=2024-01-01"), [0]);
}

#[test]
fn a_revoked_key_is_answered_like_one_that_never_was() {
    let server = Server::start();
    let revoked = create_key(&server.data, "old", &["--permission", "all"]);
    settle(&server);
    assert_eq!(server.get_as(SERIES, &revoked).status, 200);
    command(&server.data, &["key", "revoke", "old", "--workspace", "default"]);
    settle(&server);
    let never = format!("smk_{}", "0".repeat(43));
    let answers = [
        server.get_as(SERIES, &revoked),
        server.get_as(SERIES, &never),
        track_as(&server, &revoked),
    ];
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (401, &answers[1].text));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    insta::assert_snapshot!(answers[0].text, @r#"{"message":"this API key is unknown or was revoked; create one with 'sessionmeter key create'"}"#);
}

#[test]
fn a_key_may_do_what_its_permissions_name() {
    let server = Server::start();
    let reader = create_key(&server.data, "reader", &["--permission", "sessions.data_series"]);
    let writer = create_key(&server.data, "writer", &["--permission", "sessions.track"]);
    let both = [
        "--permission",
        "sessions.data_series",
        "--permission",
        "sessions.track",
    ];
    let both = create_key(&server.data, "both", &both);
    let all = create_key(&server.data, "all", &["--permission", "all"]);
    settle(&server);
    for (name, key, reads, writes) in [
        ("reader", reader, 200, 403),
        ("writer", writer, 403, 201),
        ("both", both, 200, 201),
        ("all", all, 200, 201),
    ] {
        let (read, write) = (server.get_as(SERIES, &key), track_as(&server, &key));
        assert_eq!((read.status, write.status), (reads, writes), "{name}");
        for (answer, permission) in [(read, "sessions.data_series"), (write, "sessions.track")] {
            let message = format!("this API key lacks the permission '{permission}'");
            assert!(
                answer.status != 403 || answer.message() == message,
                "{name}: {answer:?}"
            );
        }
    }
}

#[test]
fn an_allow_list_lets_in_whom_it_names() {
    let server = Server::start();
    let key =
        |name: &str, allow: &str| create_key(&server.data, name, &["--permission", "all", "--allow", allow]);
    let keys = [
        ("the address", key("a", "127.0.0.1"), 200),
        ("the network", key("b", "127.0.0.0/8"), 200),
        ("one of several", key("c", "10.0.0.0/8,127.0.0.1/32"), 200),
        ("anywhere", key("d", "0.0.0.0/0"), 200),
        ("another network", key("e", "10.0.0.0/8"), 403),
        ("another family", key("f", "::1"), 403),
    ];
    settle(&server);
    for (case, key, status) in keys {
        let answer = send(series(&server).bearer_auth(&key));
        assert_eq!(answer.status, status, "{case}: {answer:?}");
        let claimed = send(
            series(&server)
                .bearer_auth(&key)
                .header("x-forwarded-for", "10.0.0.1"),
        );
        assert_eq!(
            claimed.status, status,
            "{case}: nobody vouches for X-Forwarded-For"
        );
        if status == 403 {
            let message =
                "this API key may not be used from your address; its allow-list names other networks";
            assert_eq!(answer.message(), message);
            assert_eq!(track_as(&server, &key).status, 403, "{case}");
        }
    }
}

#[test]
fn a_forwarded_address_is_believed_from_trusted_proxies_only() {
    let server = Server::start_with(&["--trusted-proxies", "127.0.0.1/32"]);
    let key = create_key(
        &server.data,
        "office",
        &["--permission", "all", "--allow", "10.0.0.0/8"],
    );
    settle(&server);
    for (forwarded, status) in [
        (&["10.1.2.3"][..], 200),
        (&["::ffff:10.1.2.3"], 200),
        (&["192.0.2.1, 10.1.2.3"], 200),
        (&["192.0.2.1", "10.1.2.3"], 200),
        (&["10.1.2.3, 127.0.0.1"], 200),
        (&["10.1.2.3, 192.0.2.1"], 403),
        (&["10.1.2.3", "192.0.2.1"], 403),
        (&["192.0.2.1"], 403),
        (&["2001:db8::10"], 403),
        (&["10.1.2.3, nonsense"], 403),
        (&[], 403),
    ] {
        let request = forwarded
            .iter()
            .fold(series(&server).bearer_auth(&key), |request, value| {
                request.header("x-forwarded-for", *value)
            });
        assert_eq!(send(request).status, status, "{forwarded:?}");
    }
}

#[test]
fn what_commands_change_the_running_server_honours() {
    let server = Server::start();
    let key = create_key(&server.data, "late", &["--permission", "all"]);
    eventually("the new key's first answer", || {
        server.get_as(SERIES, &key).status == 200
    });
    command(&server.data, &["key", "revoke", "late", "--workspace", "default"]);
    eventually("the revoked key's refusal", || {
        server.get_as(SERIES, &key).status != 200
    });

    let hour = "/sessions/data_series?length=1&unit=hour&ending_at=2024-01-01T00:00:00Z";
    let time = |server: &Server| server.get(hour).json()["data"][0]["time"].clone();
    assert_eq!(time(&server), "2024-01-01T00:00:00+00:00");
    command(
        &server.data,
        &["workspace", "set-time-zone", "default", "Asia/Kathmandu"],
    );
    eventually("the new zone", || time(&server) == "2024-01-01T05:00:00+05:45");

    command(&server.data, &["workspace", "set-rate-limit", "default", "0"]);
    eventually("no limit", || limit_headers(&server.get(SERIES)) == ["", "", ""]);
    command(&server.data, &["workspace", "set-rate-limit", "default", "1"]);
    eventually("the lowest limit", || server.get(SERIES).status == 429);

    let app = command(
        &server.data,
        &["app", "create", "second", "--workspace", "default"],
    );
    let session = json!({ "app_id": app["id"], "session_id": "s", "started_at": "2024-01-01T00:00:00Z" });
    eventually("the new app", || {
        server.track(&json!({ "sessions": [session.clone()] })).status == 201
    });
}

#[test]
fn when_a_key_was_last_used_is_shown() {
    let server = Server::start();
    let reader = create_key(&server.data, "reader", &["--permission", "sessions.data_series"]);
    create_key(&server.data, "idle", &["--permission", "all"]);
    settle(&server);
    let listed = |name: &str| {
        let list = command(&server.data, &["key", "list"]);
        list.as_array()
            .unwrap()
            .iter()
            .find(|key| key["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(listed("reader")["last_used_at"], Value::Null);
    let before = now();
    assert_eq!(
        track_as(&server, &reader).status,
        403,
        "a refused use is a use as well"
    );
    eventually("the note of the use", || {
        listed("reader")["last_used_at"] != Value::Null
    });
    let used_at: jiff::Timestamp = listed("reader")["last_used_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let used_at = u64::try_from(used_at.as_second()).unwrap();
    assert!((before..=now()).contains(&used_at), "{used_at}");
    assert_eq!(listed("idle")["last_used_at"], Value::Null);
}

#[test]
fn a_stop_notes_the_last_uses() {
    let Limited {
        server, directory, ..
    } = limited("0", "0");
    let data = directory.path().join("store");
    let before = jiff::Timestamp::from_second(now().try_into().unwrap())
        .unwrap()
        .to_string();
    assert_eq!(server.get(SERIES).status, 200);
    assert_eq!(server.stop(), Some(0));
    let list = command(&data, &["key", "list", "--workspace", "default"]);
    let key = list
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "default")
        .unwrap();
    assert!(
        key["last_used_at"].as_str().unwrap() >= before.as_str(),
        "{key} {before}"
    );
}

/// Everything that a store keeps, file by file or table by table.
fn kept(store: &Path) -> Vec<Vec<u8>> {
    clickhouse::contents(store).unwrap_or_else(|| {
        let entries = std::fs::read_dir(store).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        files.map(|file| std::fs::read(file).unwrap()).collect()
    })
}

fn is_among(kept: &[Vec<u8>], bytes: &[u8]) -> bool {
    let mut windows = kept.iter().flat_map(|kept| kept.windows(bytes.len()));
    windows.any(|window| window == bytes)
}

#[test]
fn a_secret_is_shown_once_and_kept_nowhere() {
    use base64::Engine as _;

    let server = Server::start_with(&["--log-level", "trace", "--log-format", "json"]);
    let created = create_key(&server.data, "created", &["--permission", "all"]);
    let revoked = create_key(&server.data, "revoked", &["--permission", "all"]);
    settle(&server);
    let guessed = format!("smk_{}", "Q".repeat(43));
    for key in [&server.key, &created, &revoked, &guessed] {
        server.get_as(SERIES, key);
        server.get_as(&format!("{SERIES}&key={key}"), "smk_wrong");
        track_as(&server, key);
    }
    command(&server.data, &["key", "revoke", "revoked"]);
    settle(&server);
    server.get_as(SERIES, &revoked);
    send(series(&server).header("x-request-id", "the-last-one"));
    eventually("the last log line", || server.log().contains("the-last-one"));
    let shown = run(&server.data, &["key", "list"]).stdout;
    let shown = String::from_utf8(shown).unwrap() + &command(&server.data, &["key", "list"]).to_string();
    let kept = kept(&server.data);
    assert!(is_among(&kept, b"revoked"), "this finds what is there");
    for key in [&server.key, &created, &revoked, &guessed] {
        let random = key.strip_prefix("smk_").unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(random)
            .unwrap_or_default();
        assert!(
            key == &guessed || bytes.len() == 32,
            "256 random bits: {}",
            bytes.len()
        );
        assert!(!is_among(&kept, random.as_bytes()));
        assert!(bytes.is_empty() || !is_among(&kept, &bytes));
        assert!(!server.log().contains(random));
        assert!(!shown.contains(random));
    }
}
