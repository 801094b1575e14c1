//! Segments as callers see them: whatever is tracked, edited or recorded, a segment's series is what a naive count of
//! the recorded sessions says.
//!
//! `SESSIONMETER_SEGMENTS_ROUNDS` sets how long the random scenario is, `SESSIONMETER_SEGMENTS_SEED` repeats a failure.

mod administration;
mod concurrent;
mod conditions;
mod crash;
pub mod generator;
pub mod naive;
mod oracle;
mod permissions;
mod preview;
mod refusals;
mod sample;
mod users;

use std::path::Path;
use std::time::Duration;

use crate::support::{Answer, Server, command, send};
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

/// Somebody with a key for one workspace of a running server.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    pub server: &'a Server,
    pub key: &'a str,
}

impl<'a> Caller<'a> {
    /// With the key of the workspace `default`.
    pub fn of(server: &'a Server) -> Self {
        let key = &server.key;
        Self { server, key }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.server.get_as(path, self.key)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.posting(path, body))
    }

    fn posting(&self, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        self.server.client().post(url).bearer_auth(self.key).json(body)
    }

    /// Forgets somebody. Old servers of ClickHouse look for work every five seconds, and several steps wait for that.
    pub fn forget(&self, body: &Value) -> Answer {
        send(
            self.posting("/users/delete", body)
                .timeout(Duration::from_secs(120)),
        )
    }

    /// Records sessions and expects that none is refused; how many were new.
    pub fn record(&self, sessions: &[Value]) -> u64 {
        let answer = self.post("/sessions/track", &json!({ "sessions": sessions }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["errors"], Value::Null, "{body}");
        let new = body["sessions_processed"].as_u64().unwrap();
        assert_eq!(new + body["duplicates"].as_u64().unwrap(), sessions.len() as u64);
        new
    }

    /// Sets users' attributes and expects that none is refused.
    fn set_users(&self, items: &[Value]) {
        let answer = self.post("/users/track", &json!({ "attributes": items }));
        assert_eq!(answer.status, 201, "{}", answer.text);
        let expected = json!({ "message": "success", "attributes_processed": items.len() });
        assert_eq!(answer.json(), expected);
    }

    /// Creates a segment; its id.
    pub fn create(&self, name: &str, filter: &Value, track: bool) -> String {
        let body = json!({ "name": name, "filter": filter, "analytics_tracking_enabled": track });
        let answer = self.post("/segments/create", &body);
        assert_eq!(answer.status, 201, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["message"], "success");
        body["segment_id"].as_str().unwrap().to_owned()
    }

    /// `track`, `untrack` or `delete`.
    fn change(&self, what: &str, segment: &str) {
        self.expect_change(what, segment, &json!({ "segment_id": segment }));
    }

    fn edit_filter(&self, segment: &str, filter: &Value) {
        self.expect_change(
            "edit",
            segment,
            &json!({ "segment_id": segment, "filter": filter }),
        );
    }

    fn expect_change(&self, what: &str, segment: &str, body: &Value) {
        let answer = self.post(&format!("/segments/{what}"), body);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
        let expected = json!({ "message": "success", "segment_id": segment });
        assert_eq!(answer.json(), expected);
    }

    /// How much of what an answer needs is counted, in per cent, where it says that it needs more counting.
    pub fn progress(answer: &Answer) -> Option<u64> {
        if answer.status != 503 {
            return None;
        }
        assert_eq!(answer.header("retry-after"), "1");
        let message = answer.message();
        let percent = message
            .strip_prefix("counting sessions (")
            .and_then(|rest| rest.strip_suffix(" %)"))
            .unwrap_or_else(|| panic!("{message}"));
        let percent: u64 = percent.parse().unwrap();
        assert!(percent < 100, "{message}");
        Some(percent)
    }

    /// Times and counts. On a busy machine the first answer may need more counting than anybody waits for.
    fn series(&self, query: &str) -> Vec<(String, u64)> {
        let mut answer = self.get(&format!("/sessions/data_series?{query}"));
        patiently("counting", || {
            let is_counting = Self::progress(&answer).is_some();
            if is_counting {
                answer = self.get(&format!("/sessions/data_series?{query}"));
            }
            !is_counting
        });
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let body = answer.json();
        let point = |point: &Value| {
            let time = point["time"].as_str().unwrap().to_owned();
            (time, point["sessions"].as_u64().unwrap())
        };
        body["data"].as_array().unwrap().iter().map(point).collect()
    }

    fn counts(&self, query: &str) -> Vec<u64> {
        self.series(query).into_iter().map(|(_, count)| count).collect()
    }

    /// What `GET /segments/details` says.
    fn details(&self, segment: &str) -> Value {
        let answer = self.get(&format!("/segments/details?segment_id={segment}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The entries of a page of `GET /segments/list`.
    fn list(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/segments/list{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        assert_eq!(body["message"], "success");
        body["segments"].as_array().unwrap().clone()
    }
}

/// A workspace that was made with the command line.
pub struct Space {
    pub name: String,
    pub key: String,
    pub apps: Vec<String>,
}

impl Space {
    pub fn create(data: &Path, name: &str, time_zone: &str, apps: usize) -> Self {
        command(data, &["workspace", "create", name, "--time-zone", time_zone]);
        let id = |number: usize| {
            let app = format!("app {number}");
            let created = command(data, &["app", "create", &app, "--workspace", name]);
            created["id"].as_str().unwrap().to_owned()
        };
        let apps = (0..apps).map(id).collect();
        Self {
            name: name.to_owned(),
            key: key(data, name, "all"),
            apps,
        }
    }

    pub fn caller<'a>(&'a self, server: &'a Server) -> Caller<'a> {
        let key = &self.key;
        Caller { server, key }
    }
}

/// A new key with one permission, or with all.
pub fn key(data: &Path, workspace: &str, permission: &str) -> String {
    let arguments = ["key", "create", permission, "--workspace", workspace];
    let created = command(data, &[&arguments[..], &["--permission", permission]].concat());
    created["key"].as_str().unwrap().to_owned()
}

/// A refusal of a request; its message.
fn refused(caller: Caller<'_>, path: &str, body: &Value) -> String {
    let answer = caller.post(path, body);
    assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
    answer.message()
}

fn not(filter: &Value) -> Value {
    json!({ "not": filter })
}

pub fn is(field: &str, value: impl Into<Value>) -> Value {
    json!({ "field": field, "op": "eq", "value": value.into() })
}

/// Two series that share no session are everyone together.
fn assert_adds_up(one: &[u64], other: &[u64], everyone: &[u64], what: &str) {
    let sums: Vec<u64> = one.iter().zip(other).map(|(one, other)| one + other).collect();
    assert_eq!(sums, everyone, "{what}");
}

/// Waits for a condition, for longer than anybody would: where many tests share a slow disk, each commit takes its time.
pub fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "{what} did not happen within a minute"
        );
        std::thread::yield_now();
    }
}

pub fn verify(data: &Path) {
    let verified = command(data, &["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
}
