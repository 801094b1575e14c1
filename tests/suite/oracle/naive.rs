//! A second implementation of what a series is, straight from the contract and deliberately simple: it looks at one
//! quarter hour after the other and asks jiff what local clocks show at its first instant.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

pub const QUARTER: i64 = 900;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;

/// What local clocks show at the first instant of a quarter hour; it holds for the whole of it.
struct Clock {
    shown: DateTime,
    offset: i32,
}

fn clock(zone: &TimeZone, second: i64) -> Clock {
    let start = second.div_euclid(QUARTER) * QUARTER;
    let zoned = Timestamp::from_second(start)
        .unwrap()
        .to_zoned_datetime(zone.clone());
    Clock {
        shown: zoned.datetime(),
        offset: zoned.offset().seconds(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Day,
    Hour,
}

/// What makes a unit the unit that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    Day(Date),
    Hour(Date, i8, i32),
}

/// Where a series ends.
#[derive(Debug, Clone, Copy)]
pub enum Ending {
    /// With the unit of an instant (Unix seconds).
    Second(i64),
    /// With the unit of a time on local clocks.
    Local(DateTime),
    /// With a date.
    Date(Date),
}

/// A session as the oracle keeps it: the units that it belongs to were found when it was delivered.
pub struct Counted {
    pub app: usize,
    pub started_at: i64,
    day: Key,
    hour: Key,
}

impl Counted {
    /// `started_at` in Unix milliseconds.
    pub fn new(zone: &TimeZone, app: usize, started_at: i64) -> Self {
        let second = started_at.div_euclid(1000);
        Self {
            app,
            started_at,
            day: day_of(zone, second),
            hour: hour_of(&clock(zone, second)),
        }
    }
}

fn hour_of(clock: &Clock) -> Key {
    Key::Hour(clock.shown.date(), clock.shown.hour(), clock.offset)
}

/// A day runs from its date's first instant to the next date's: it is the latest date that clocks have shown so far.
fn day_of(zone: &TimeZone, second: i64) -> Key {
    let quarters = 0..=(26 * 4);
    let dates = quarters.map(|back| clock(zone, second - back * QUARTER).shown.date());
    Key::Day(dates.max().unwrap())
}

/// The series of some sessions: time and count of each unit, oldest first.
pub fn series<'a>(
    zone: &TimeZone,
    unit: Unit,
    length: usize,
    ending: Ending,
    sessions: impl Iterator<Item = &'a Counted>,
) -> Vec<(String, u64)> {
    let units = units(zone, unit, length, last_second(zone, unit, ending));
    let places: HashMap<Key, usize> = units
        .iter()
        .enumerate()
        .map(|(place, (key, _))| (*key, place))
        .collect();
    let mut series: Vec<(String, u64)> = units.into_iter().map(|(_, time)| (time, 0)).collect();
    for session in sessions {
        let key = match unit {
            Unit::Day => session.day,
            Unit::Hour => session.hour,
        };
        if let Some(place) = places.get(&key) {
            series[*place].1 += 1;
        }
    }
    series
}

/// The last `length` units up to the one that contains an instant, each with its `time`.
fn units(zone: &TimeZone, unit: Unit, length: usize, last: i64) -> Vec<(Key, String)> {
    let length_in_seconds = match unit {
        Unit::Day => length as i64 * (DAY + HOUR) + 4 * DAY,
        Unit::Hour => length as i64 * HOUR + 3 * HOUR,
    };
    let first_quarter = (last - length_in_seconds).div_euclid(QUARTER);
    let mut units: Vec<(Key, String)> = Vec::new();
    let mut latest = Date::MIN;
    for quarter in first_quarter..=last.div_euclid(QUARTER) {
        let clock = clock(zone, quarter * QUARTER);
        latest = latest.max(clock.shown.date());
        let key = match unit {
            Unit::Day => Key::Day(latest),
            Unit::Hour => hour_of(&clock),
        };
        if units.last().is_none_or(|(previous, _)| *previous != key) {
            units.push((key, time(key, &clock)));
        }
    }
    units.split_off(units.len() - length)
}

fn time(key: Key, first: &Clock) -> String {
    match key {
        Key::Day(date) => date.to_string(),
        Key::Hour(..) => {
            let sign = if first.offset < 0 { '-' } else { '+' };
            let minutes = first.offset.abs() / 60;
            format!(
                "{}{sign}{:02}:{:02}",
                first.shown.strftime("%Y-%m-%dT%H:%M:%S"),
                minutes / 60,
                minutes % 60
            )
        }
    }
}

/// An instant of the last unit.
fn last_second(zone: &TimeZone, unit: Unit, ending: Ending) -> i64 {
    match (ending, unit) {
        (Ending::Second(second), _) => second,
        (Ending::Local(shown), _) => instant_of(zone, shown),
        (Ending::Date(date), Unit::Day) => instant_of_date(zone, date).0,
        (Ending::Date(date), Unit::Hour) => instant_of_date(zone, date).1,
    }
}

/// Seconds, were this a time in UTC.
fn as_utc(shown: DateTime) -> i64 {
    let zoned = shown.to_zoned_datetime(TimeZone::UTC).unwrap();
    zoned.timestamp().as_second()
}

/// The first instant at which clocks show a time; if they never do, the instant after the gap.
fn instant_of(zone: &TimeZone, shown: DateTime) -> i64 {
    let wanted = as_utc(shown);
    let around = (wanted - 2 * DAY).div_euclid(QUARTER)..(wanted + 2 * DAY).div_euclid(QUARTER);
    let mut after = None;
    for quarter in around {
        let ahead = wanted - as_utc(clock(zone, quarter * QUARTER).shown);
        if (0..QUARTER).contains(&ahead) {
            return quarter * QUARTER + ahead;
        }
        if ahead < 0 && after.is_none() {
            after = Some(quarter * QUARTER);
        }
    }
    after.unwrap()
}

/// The first instants of a date's first and last quarter hours. Of a date that the zone skipped: those of its
/// midnight, which is in the gap.
fn instant_of_date(zone: &TimeZone, date: Date) -> (i64, i64) {
    let midnight = date.to_datetime(jiff::civil::Time::midnight());
    let around = as_utc(midnight).div_euclid(QUARTER);
    let mut latest = Date::MIN;
    let mut found = None;
    for quarter in around - 2 * 96..around + 4 * 96 {
        let second = quarter * QUARTER;
        latest = latest.max(clock(zone, second).shown.date());
        if latest == date {
            found = Some((found.map_or(second, |(first, _)| first), second));
        }
    }
    found.unwrap_or_else(|| {
        let second = instant_of(zone, midnight);
        (second, second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap()
    }

    fn times(name: &str, unit: Unit, length: usize, ending: &str) -> Vec<String> {
        let ending = Ending::Second(ending.parse::<Timestamp>().unwrap().as_second());
        let series = series(&zone(name), unit, length, ending, std::iter::empty());
        series.into_iter().map(|(time, _)| time).collect()
    }

    /// The oracle itself, on the cases that the contract spells out.
    #[test]
    fn the_oracle_agrees_with_the_contract() {
        assert_eq!(
            times("Pacific/Apia", Unit::Day, 3, "2011-12-31T12:00:00Z"),
            ["2011-12-29", "2011-12-31", "2012-01-01"]
        );
        assert_eq!(
            times("America/New_York", Unit::Hour, 3, "2018-11-04T06:30:00Z"),
            [
                "2018-11-04T00:00:00-04:00",
                "2018-11-04T01:00:00-04:00",
                "2018-11-04T01:00:00-05:00"
            ]
        );
        assert_eq!(
            times("Australia/Lord_Howe", Unit::Hour, 3, "2018-03-31T15:45:00Z"),
            [
                "2018-04-01T01:00:00+11:00",
                "2018-04-01T01:30:00+10:30",
                "2018-04-01T02:00:00+10:30"
            ]
        );
        assert_eq!(
            times("America/St_Johns", Unit::Hour, 4, "2010-11-07T02:45:00Z"),
            [
                "2010-11-06T22:00:00-02:30",
                "2010-11-06T23:00:00-02:30",
                "2010-11-07T00:00:00-02:30",
                "2010-11-06T23:15:00-03:30"
            ]
        );
        assert_eq!(
            times("America/St_Johns", Unit::Day, 2, "2010-11-07T02:45:00Z"),
            ["2010-11-06", "2010-11-07"]
        );
        let gap = jiff::civil::date(2018, 3, 11).at(2, 40, 0, 0);
        let after = instant_of(&zone("America/New_York"), gap);
        assert_eq!(
            Timestamp::from_second(after).unwrap().to_string(),
            "2018-03-11T07:00:00Z"
        );
    }
}
