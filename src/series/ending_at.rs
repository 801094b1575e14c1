//! `ending_at`: read generously, since real callers write it in many ways.

use super::civil::DAY;
use super::iso8601::{self, Written};
use super::quantised::Stretches;

const SHOWN: usize = 100;
/// 10000-01-01T00:00:00Z: an offset may move a time of the last year behind it.
const END: i64 = 253_402_300_800;

/// The text is none of the accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' must be an ISO 8601 date or date and time of the years 1970 to 9999, such as 2018-06-28, \
     2018-06-28T23:59:59 (the workspace's time zone), 2018-06-28T23:59:59-05:00, 2018-06-28T23:59:59Z or \
     20180628T235959Z, or Unix seconds of 9 to 11 digits, received '{received}'"
)]
pub struct EndingAtError {
    /// What it was given for.
    name: &'static str,
    /// The first hundred characters, with a mark where it was cut.
    received: String,
}

/// Where a series ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndingAt {
    /// With the unit that contains this instant (Unix seconds).
    Second(i64),
    /// With the unit that contains this time on the workspace's clocks (seconds since 1970-01-01T00:00 local).
    Local(i64),
    /// With this date (days since 1970-01-01) of the workspace's zone.
    Date(i64),
}

impl EndingAt {
    /// The unit that contains this instant.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self::Second(millis.div_euclid(1000))
    }

    /// Unix seconds, right to within a day or so.
    pub(super) fn approximate_second(self) -> i64 {
        match self {
            Self::Second(second) | Self::Local(second) => second,
            Self::Date(day) => day * DAY,
        }
    }

    /// The instant meant, for a date its first.
    pub(super) fn first_second(self, stretches: &Stretches) -> i64 {
        match self {
            Self::Second(second) => second,
            Self::Local(local) => stretches.resolve(local),
            Self::Date(day) => stretches
                .first_instant_of(day)
                .unwrap_or_else(|| stretches.resolve(day * DAY)),
        }
    }
}

/// Reads any of the accepted forms.
///
/// # Errors
/// Names the accepted forms and what was received.
pub fn parse(text: &str) -> Result<EndingAt, EndingAtError> {
    parse_named("ending_at", text)
}

/// The same of a parameter with another name.
///
/// # Errors
/// As [`parse`].
pub fn parse_named(name: &'static str, text: &str) -> Result<EndingAt, EndingAtError> {
    unix_seconds(text)
        .or_else(|| written(text))
        .ok_or_else(|| EndingAtError {
            name,
            received: text.chars().take(SHOWN).collect(),
        })
}

fn unix_seconds(text: &str) -> Option<EndingAt> {
    let digits = (9..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().map(EndingAt::Second)
}

fn written(text: &str) -> Option<EndingAt> {
    match iso8601::read(text)? {
        Written::Date(day) => Some(EndingAt::Date(day)),
        Written::Local(second) => Some(EndingAt::Local(second)),
        Written::Instant(millis) => {
            let second = millis.div_euclid(1000);
            (0..END).contains(&second).then_some(EndingAt::Second(second))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_28: i64 = 17_710;
    const LOCAL: i64 = DAY_28 * DAY + 86_399;

    #[test]
    fn every_accepted_form() {
        let five = LOCAL + 5 * 3600;
        let kathmandu = LOCAL - 5 * 3600 - 45 * 60;
        for (text, meant) in [
            ("2018-06-28T23:59:59-5:00", EndingAt::Second(five)),
            ("2018-06-28T23:59:59-05:00", EndingAt::Second(five)),
            ("2018-06-28T23:59:59-0500", EndingAt::Second(five)),
            ("2018-06-28T23:59:59-05", EndingAt::Second(five)),
            ("2018-06-28t23:59:59Z", EndingAt::Second(LOCAL)),
            ("2018-06-28 23:59:59z", EndingAt::Second(LOCAL)),
            ("2018-06-28T23:59:59+05:45", EndingAt::Second(kathmandu)),
            ("2018-06-28T23:59:59 05:45", EndingAt::Second(kathmandu)),
            ("2018-06-28T23:59:59 0545", EndingAt::Second(kathmandu)),
            ("2018-06-28 23:59:59 05:45", EndingAt::Second(kathmandu)),
            ("2018-06-28T23:59:59.999Z", EndingAt::Second(LOCAL)),
            ("2018-06-28T23:59:59,123456789012-05:00", EndingAt::Second(five)),
            ("2018-06-28T23:59Z", EndingAt::Second(LOCAL - 59)),
            ("2018-06-28T23:59", EndingAt::Local(LOCAL - 59)),
            ("2018-06-28 23:59:59.5", EndingAt::Local(LOCAL)),
            ("20180628T235959Z", EndingAt::Second(LOCAL)),
            ("20180628T2359-0500", EndingAt::Second(five - 59)),
            ("20180628 235959", EndingAt::Local(LOCAL)),
            ("20180628t235959,5-5:00", EndingAt::Second(five)),
            ("2018-06-28", EndingAt::Date(DAY_28)),
            ("20180628", EndingAt::Date(DAY_28)),
            ("1530248399", EndingAt::Second(1_530_248_399)),
            ("153024839", EndingAt::Second(153_024_839)),
            ("99999999999", EndingAt::Second(99_999_999_999)),
            ("2018-06-28T24:00:00", EndingAt::Local(LOCAL + 1)),
            ("2018-06-28T24:00Z", EndingAt::Second(LOCAL + 1)),
            ("2016-12-31T23:59:60Z", EndingAt::Second(1_483_228_799)),
            ("1970-01-01T00:00:00Z", EndingAt::Second(0)),
            ("9999-12-31", EndingAt::Date(2_932_896)),
            ("2016-02-29", EndingAt::Date(16_860)),
        ] {
            assert_eq!(parse(text), Ok(meant), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_accepted_forms() {
        for text in [
            "",
            " ",
            "9999-12-31T23:59:59-12:00",
            "1970-01-01T00:00:00+12:00",
            "yesterday",
            "now",
            "2018-13-01",
            "2018-00-10",
            "2018-02-30",
            "2017-02-29",
            "1900-02-29",
            "2018-06-31",
            "2018-06-28T25:00:00",
            "2018-06-28T24:00:01",
            "2018-06-28T24:30",
            "2018-06-28T24:00:00.5",
            "2018-06-28T23:60",
            "2018-06-28T23:59:61",
            "2018-06-28T23",
            "2018-06-28T",
            "2018-06-28T23:59:59.",
            "2018-06-28T23:59.5",
            "2018-06-28Z",
            "2018-06-28T23:59:59-5",
            "2018-06-28T23:59:59-500",
            "2018-06-28T23:59:59+24:00",
            "2018-06-28T23:59:59+05:60",
            "2018-06-28T23:59:59+05:",
            "2018-06-28T23:59:59ZZ",
            "2018-06-28T23:59:59 Z",
            " 2018-06-28",
            "2018-06-28 ",
            "2018-06-28T23:59:59 ",
            "2018-6-28",
            "18-06-28",
            "2018-06",
            "2018",
            "201806",
            "2018-W26-4",
            "2018-179",
            "2018179",
            "20180628T23:59:59Z",
            "2018-06-28T235959Z",
            "2018/06/28",
            "06/28/2018",
            "1969-12-31T23:59:59Z",
            "0001-01-01",
            "10000-01-01",
            "+2018-06-28",
            "-2018-06-28",
            "9999-12-31T24:00",
            "12345678901234",
            "12345678",
            "1530248399.5",
            "-1530248399",
            "２０１８-06-28",
            "2018-06-28T23:59:59−05:00",
            "2018-06-28T23:59:59\u{0}",
            "{{ending_at}}",
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains("2018-06-28T23:59:59-05:00"), "{error}");
        }
        let long = "é".repeat(1000);
        assert!(
            parse(&long)
                .unwrap_err()
                .to_string()
                .ends_with(&format!("'{}'", "é".repeat(100)))
        );
    }
}
