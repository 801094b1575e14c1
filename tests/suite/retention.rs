//! A workspace keeps its sessions one by one for as many days as it says: what is older is refused, and goes.

mod commands;
mod copying;
mod inputs;
mod sealing;

use serde_json::{Value, json};

use crate::support::{Answer, Server, eventually};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The UTC day (since 1970-01-01) on which a test runs, with half a minute of it left at least.
pub fn today() -> i64 {
    let now = || jiff::Timestamp::now().as_second();
    eventually("a day that lasts a while", || now().rem_euclid(DAY) < DAY - 30);
    now().div_euclid(DAY)
}

/// Sets the retention of the server's workspace, and waits until the server takes or refuses what is older than a year accordingly.
pub fn keep_for(server: &Server, days: &str) {
    server.command(&["workspace", "set-retention", "default", days, "--yes"]);
    let status = if days == "none" { 201 } else { 400 };
    let old = server.session("old", (today() - 400) * DAY);
    eventually("the new retention", || {
        server.track(&json!({ "sessions": [old] })).status == status
    });
}

/// `2026-11-27`
fn date(day: i64) -> String {
    let midnight = jiff::Timestamp::from_second(day * DAY).unwrap();
    midnight.strftime("%F").to_string()
}

/// Why a start is refused by a retention of 30 days.
pub fn reason(today: i64) -> String {
    format!(
        "must not be before {} (UTC), since the workspace keeps sessions for 30 days",
        date(today - 30)
    )
}

/// Answers to questions of each kind about the hundred days up to this one, and their last hours.
pub fn answers(get: impl Fn(&str) -> Answer, last: i64, segment: &str) -> Vec<Value> {
    let series = format!("length=100&ending_at={}", date(last));
    let range = format!("from={}&to={}", date(last - 99), date(last));
    let filter = "filter=%7B%22field%22:%22platform%22,%22op%22:%22eq%22,%22value%22:%22ios%22%7D";
    let hours = format!("unit=hour&length=100&ending_at={}", (last - 50) * DAY);
    let paths = [
        format!("/sessions/data_series?{series}"),
        format!("/sessions/data_series?{hours}"),
        format!("/sessions/data_series?{series}&segment_id={segment}"),
        format!("/segments/data_series?{series}&segment_id={segment}"),
        format!("/kpi/dau/data_series?{series}"),
        format!("/kpi/mau/data_series?{series}"),
        format!("/kpi/new_users/data_series?{series}"),
        format!("/sessions/query?{range}&group_by=country"),
        format!("/sessions/query?{range}&group_by=first_session&unit=month"),
        format!("/sessions/query?{range}&group_by=attributes.plan&unit=week"),
        format!("/sessions/query?{range}&metric=users&unit=week&group_by=platform"),
        format!("/sessions/query?{range}&metric=users&unit=total&{filter}"),
    ];
    let ask = |path: &String| {
        let mut body = Value::Null;
        eventually(path, || {
            let answer = get(path);
            assert!(matches!(answer.status, 200 | 503), "{path}: {}", answer.text);
            body = answer.json();
            answer.status == 200
        });
        body
    };
    paths.iter().map(ask).collect()
}
