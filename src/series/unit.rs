//! What a series counts in, and how long it is.

use std::fmt;
use std::str::FromStr;

/// The text is neither `day` nor `hour`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a unit is 'day' or 'hour'")]
pub struct UnitError;

/// What a point of a series covers: a whole day or hour of the workspace's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// From a date's first instant to the next date's.
    #[default]
    Day,
    /// The stretch with one local date, hour and offset.
    Hour,
}

impl Unit {
    /// As [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text {
            "day" => Ok(Self::Day),
            "hour" => Ok(Self::Hour),
            _ => Err(UnitError),
        }
    }
}

/// The number of points of a series: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(u8);

impl Length {
    /// 28 points: as days, every weekday as often as the others.
    pub const FOUR_WEEKS: Self = Self(28);

    /// `None` outside 1 to 100.
    pub fn new(length: u32) -> Option<Self> {
        u8::try_from(length)
            .ok()
            .filter(|length| (1..=100).contains(length))
            .map(Self)
    }

    /// Reads digits only: no sign, no leading zero, no fraction, no exponent.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 3 || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().and_then(Self::new)
    }

    /// 1 to 100.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_plain_integers_from_1_to_100() {
        for (text, length) in [("1", 1), ("14", 14), ("100", 100)] {
            assert_eq!(Length::parse(text).map(Length::get), Some(length));
        }
        for text in [
            "",
            "0",
            "014",
            "+14",
            "-1",
            "14.0",
            "1e1",
            "101",
            "1000",
            "99999999999",
            " 14",
            "14 ",
            "１４",
            "0x1",
        ] {
            assert_eq!(Length::parse(text), None, "{text}");
        }
    }
}
