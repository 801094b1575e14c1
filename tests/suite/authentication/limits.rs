//! Rate limits, and the slow-down of whoever guesses keys.

use serde_json::json;
use tempfile::TempDir;

use super::{LIMIT_HEADERS, SERIES, create_key, limit_headers, now, series, track_as};
use crate::support::{Answer, Server, command, eventually, send};

/// A server that starts with limits, nothing of them used.
pub struct Limited {
    pub server: Server,
    /// Of a key that may only record.
    pub writer: String,
    pub directory: TempDir,
}

pub fn limited(export: &str, recording: &str) -> Limited {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let first = Server::start_on(&data, &[]);
    let (key, app) = (first.key.clone(), first.app.clone());
    assert_eq!(first.stop(), Some(0));
    let limit = [
        "workspace",
        "set-rate-limit",
        "default",
        export,
        "--recording",
        recording,
    ];
    command(&data, &limit);
    let writer = create_key(&data, "writer", &["--permission", "sessions.track"]);
    let mut server = Server::start_on(&data, &[]);
    assert_eq!(server.key, "", "a store that isn't empty gets no new key");
    server.key = key;
    server.app = app;
    Limited {
        server,
        writer,
        directory,
    }
}

/// Plays a scenario anew if the clock's hour, and with it the budget, changed in the middle.
fn in_one_hour(scenario: impl Fn() -> Vec<Answer>) -> Vec<Answer> {
    loop {
        let answers = scenario();
        let mut resets: Vec<&str> = answers
            .iter()
            .map(|answer| answer.header("x-ratelimit-reset"))
            .collect();
        resets.retain(|reset| !reset.is_empty());
        resets.dedup();
        if resets.len() <= 1 {
            return answers;
        }
    }
}

#[test]
fn every_authenticated_answer_says_what_is_left() {
    let answers = in_one_hour(|| {
        let Limited { server, writer, .. } = &limited("4", "2");
        vec![
            server.get(SERIES),
            server.get("/sessions/data_series?length=0"),
            server.get_as(SERIES, writer),
            server.get_as(SERIES, "smk_wrong"),
            server.get("/nowhere"),
            server.get(SERIES),
            server.get("/sessions/data_series?length=0"),
            server.get_as(SERIES, writer),
            track_as(server, writer),
            server.track(&json!({})),
            track_as(server, writer),
        ]
    });
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| {
            (
                answer.status,
                answer.header(LIMIT_HEADERS[0]),
                answer.header(LIMIT_HEADERS[1]),
            )
        })
        .collect();
    let expected = [
        (200, "4", "3"),
        (400, "4", "2"),
        (403, "4", "1"),
        (401, "", ""),
        (404, "", ""),
        (200, "4", "0"),
        (429, "4", "0"),
        (429, "4", "0"),
        (201, "2", "1"),
        (400, "2", "0"),
        (429, "2", "0"),
    ];
    assert_eq!(seen, expected);
    for answer in answers
        .iter()
        .filter(|answer| ![401, 404].contains(&answer.status))
    {
        let reset: u64 = answer.header(LIMIT_HEADERS[2]).parse().unwrap();
        assert_eq!(reset % 3600, 0, "the window is a clock hour");
        assert!(
            (reset - 3600..reset).contains(&now()) || reset <= now(),
            "{answer:?}"
        );
        let wait = answer.header("retry-after");
        assert_eq!(answer.status == 429, !wait.is_empty(), "{answer:?}");
        if answer.status == 429 {
            assert!((1..=3600).contains(&wait.parse::<u64>().unwrap()), "{answer:?}");
            let limit = answer.header(LIMIT_HEADERS[0]);
            let message = format!(
                "the workspace's {limit} requests of this hour are used up; the next hour begins at the Unix second {reset}"
            );
            assert_eq!(answer.message(), message);
        }
    }
}

#[test]
fn the_two_budgets_are_apart_and_none_is_none() {
    let answers = in_one_hour(|| {
        let Limited { server, .. } = &limited("1", "0");
        let exports = (0..3).map(|_| server.get(SERIES));
        let all: Vec<_> = exports
            .chain((0..5).map(|_| track_as(server, &server.key)))
            .collect();
        assert_eq!(command(&server.data, &["verify"])["sessions"], 1);
        all
    });
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 429, 429, 201, 201, 201, 201, 201]);
    for unlimited in &answers[3..] {
        assert_eq!(limit_headers(unlimited), ["", "", ""]);
    }
}

#[test]
fn workspaces_have_budgets_of_their_own() {
    let answers = in_one_hour(|| {
        let Limited { server, .. } = &limited("1", "1");
        command(&server.data, &["workspace", "create", "other"]);
        let other = crate::segments::key(&server.data, "other", "all");
        let other = other.as_str();
        eventually("the other workspace's key", || {
            server.get_as(SERIES, other).status == 200
        });
        vec![
            server.get(SERIES),
            server.get(SERIES),
            server.get_as(SERIES, other),
        ]
    });
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| (answer.status, answer.header(LIMIT_HEADERS[0])))
        .collect();
    assert_eq!(seen, [(200, "1"), (429, "1"), (200, "250000")]);
}

/// Fails until the address is told to wait, and returns that answer.
fn fail_until_told_to_wait(mut attempt: impl FnMut(u32) -> Answer) -> Answer {
    // A hundred a minute are let through, and the minute may change once in the middle.
    (0..250)
        .map(&mut attempt)
        .find(|answer| answer.status != 401)
        .expect("no slow-down after 250 failures")
}

#[test]
fn whoever_guesses_keys_is_slowed_down_and_others_are_not() {
    let server = Server::start_with(&["--trusted-proxies", "127.0.0.1/32"]);
    let from = |address: &str, key: &str| {
        send(
            series(&server)
                .bearer_auth(key)
                .header("x-forwarded-for", address),
        )
    };
    let guess = |number: u32| format!("smk_{number:043}");
    let told = fail_until_told_to_wait(|number| from("203.0.113.1", &guess(number)));
    assert_eq!(told.status, 429);
    assert_eq!(
        told.message(),
        "too many failed authentications from this address; check the key and wait"
    );
    assert!(
        (1..=60).contains(&told.header("retry-after").parse::<u64>().unwrap()),
        "{told:?}"
    );
    assert_eq!(from("203.0.113.2", &guess(0)).status, 401, "another address");
    assert_eq!(from("203.0.113.1", &server.key).status, 200, "a good key");
    assert_eq!(server.get(SERIES).status, 200);
}

#[test]
fn claiming_other_addresses_does_not_help_to_guess() {
    let server = Server::start();
    let told = fail_until_told_to_wait(|number| match number % 3 {
        0 => send(series(&server)),
        1 => send(series(&server).bearer_auth("smk_short")),
        _ => send(
            series(&server)
                .bearer_auth(format!("smk_{number:043}"))
                .header("x-forwarded-for", format!("10.0.0.{number}")),
        ),
    });
    assert_eq!(told.status, 429);
    assert_eq!(track_as(&server, &server.key).status, 201);
}
