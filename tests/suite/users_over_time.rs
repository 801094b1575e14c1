//! Users over time, and questions of any kind: each answer is what a naive walk over all sessions says.
//!
//! `SESSIONMETER_USERS_ROUNDS` sets how long the random scenario is, `SESSIONMETER_USERS_SEED` repeats a failure.

mod answers;
mod connectors;
mod naive;
mod oracle;
mod questions;
mod refusals;
mod rows;
mod sample;

use serde_json::Value;

use crate::segments::{Caller, patiently};
use crate::support::Answer;

/// The answer to a question; on a busy machine the first ones may say that more counting is needed.
fn ask(caller: Caller<'_>, path: &str) -> Answer {
    let mut answer = caller.get(path);
    patiently("counting", || {
        let is_counting = Caller::progress(&answer).is_some();
        if is_counting {
            answer = caller.get(path);
        }
        !is_counting
    });
    answer
}

/// The body of an answer that is expected to be one.
fn asked(caller: Caller<'_>, path: &str) -> Value {
    let answer = ask(caller, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    let body = answer.json();
    assert_eq!(body["message"], "success", "{path}");
    body
}

/// Times and numbers of a series whose numbers have this name.
fn series(caller: Caller<'_>, path: &str, name: &str) -> Vec<(String, u64)> {
    let body = asked(caller, path);
    let point = |point: &Value| {
        let members = point.as_object().unwrap();
        assert!(
            members.len() == 2 && members.contains_key("time"),
            "{path}: {point}"
        );
        let time = point["time"].as_str().unwrap().to_owned();
        (time, point[name].as_u64().unwrap())
    };
    body["data"].as_array().unwrap().iter().map(point).collect()
}
