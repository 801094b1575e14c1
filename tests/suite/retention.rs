//! A workspace keeps its sessions one by one for as many days as it says: what is older is refused, and goes.

mod commands;
mod inputs;

use crate::support::eventually;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The UTC day (since 1970-01-01) on which a test runs, with half a minute of it left at least.
fn today() -> i64 {
    let now = || jiff::Timestamp::now().as_second();
    eventually("a day that lasts a while", || now().rem_euclid(DAY) < DAY - 30);
    now().div_euclid(DAY)
}

/// `2026-11-27`
fn date(day: i64) -> String {
    let midnight = jiff::Timestamp::from_second(day * DAY).unwrap();
    midnight.strftime("%F").to_string()
}

/// Why a start is refused by a retention of 30 days.
fn reason(today: i64) -> String {
    format!(
        "must not be before {} (UTC), since the workspace keeps sessions for 30 days",
        date(today - 30)
    )
}
