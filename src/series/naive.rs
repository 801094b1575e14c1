//! A second implementation for the tests, straight from the definitions: it walks quarter hours one by one.

use super::zone::Zone;

const QUARTER: i64 = 900;
const DAY: i64 = 86_400;

/// A quarter hour with what local clocks show at its start.
#[derive(Clone, Copy)]
struct Quarter {
    start: i64,
    local: i64,
    offset: i64,
}

fn quarters(zone: &Zone, from: i64, to: i64) -> impl Iterator<Item = Quarter> + '_ {
    (from.div_euclid(QUARTER)..to.div_euclid(QUARTER)).map(move |number| {
        let start = number * QUARTER;
        let odd = zone.offset(start);
        let offset = (odd as f64 / 900.0).round() as i64 * 900;
        Quarter {
            start,
            local: start + offset,
            offset,
        }
    })
}

/// Starts of all days between two instants, with their dates: a date begins when clocks first show it.
pub(crate) fn days(zone: &Zone, from: i64, to: i64) -> Vec<(i64, String)> {
    let mut latest = i64::MIN;
    let mut days = Vec::new();
    for quarter in quarters(zone, from, to) {
        let date = quarter.local.div_euclid(DAY);
        if date > latest {
            latest = date;
            days.push((quarter.start, date_text(quarter.local)));
        }
    }
    days
}

/// Starts of all hours between two instants, with their labels.
pub(crate) fn hours(zone: &Zone, from: i64, to: i64) -> Vec<(i64, String)> {
    let mut previous = None;
    let mut hours = Vec::new();
    for quarter in quarters(zone, from, to) {
        let this = (quarter.local.div_euclid(3600), quarter.offset);
        if previous != Some(this) {
            previous = Some(this);
            hours.push((quarter.start, hour_text(quarter)));
        }
    }
    hours
}

/// The first instant at which clocks show a local time; if none does, the first after it at which they show more.
pub(crate) fn resolve(zone: &Zone, local: i64) -> i64 {
    let around = || quarters(zone, local - 2 * DAY, local + 2 * DAY);
    let exact = around().find(|quarter| (quarter.local..quarter.local + QUARTER).contains(&local));
    match exact {
        Some(quarter) => quarter.start + (local - quarter.local),
        None => around().find(|quarter| quarter.local > local).unwrap().start,
    }
}

fn datetime(local: i64) -> jiff::civil::DateTime {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(local).unwrap())
}

fn date_text(local: i64) -> String {
    datetime(local).date().to_string()
}

fn hour_text(quarter: Quarter) -> String {
    let sign = if quarter.offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (quarter.offset.abs() / 3600, quarter.offset.abs() % 3600 / 60);
    format!(
        "{}{sign}{hours:02}:{minutes:02}",
        datetime(quarter.local).strftime("%Y-%m-%dT%H:%M:%S")
    )
}
