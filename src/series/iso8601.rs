//! One reader of ISO 8601 for everything that has times: `ending_at`, and the start and end of each session.
//!
//! It works on bytes, allocates nothing and takes some tens of nanoseconds, since it runs once a session.

use super::civil::{DAY, Date, days_from_date, days_in_month};

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A date alone: days since 1970-01-01.
    Date(i64),
    /// A date and a time without an offset: seconds since 1970-01-01T00:00 on local clocks.
    Local(i64),
    /// A date, a time and an offset: Unix milliseconds, rounded down.
    Instant(i64),
}

/// Reads a date, or a date and a time, with or without an offset, of the years 1970 to 9999.
///
/// Extended form (`2018-06-28T23:59:59.5-05:00`) or basic (`20180628T235959Z`); `T`, `t` or a space between date
/// and time; seconds may be left out; fractions after `.` or `,`; offsets as `Z`, `z`, `±5:00`, `±05:00`, `±0500`,
/// `±05`, with a space for a `+` that URL-decoding ate. `24:00` is the next day's midnight, second 60 counts as
/// second 59.
pub fn read(text: &str) -> Option<Written> {
    let mut reader = Reader(text.as_bytes());
    let (day, extended) = reader.date()?;
    if reader.0.is_empty() {
        return Some(Written::Date(day));
    }
    reader.one_of(b"Tt ")?;
    let (second, millis) = reader.time(extended)?;
    let local = day * DAY + second;
    let in_range = local < LAST;
    let written = match reader.offset()? {
        None => Written::Local(local),
        Some(offset) => Written::Instant((local - offset) * 1000 + millis),
    };
    (in_range && reader.0.is_empty()).then_some(written)
}

/// Local seconds at the end of 9999.
const LAST: i64 = 2_932_897 * DAY;

/// What is left of a text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !allowed.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
        }
        self.0 = rest;
        Some(number)
    }

    /// Days since 1970-01-01, and whether the extended form was used.
    fn date(&mut self) -> Option<(i64, bool)> {
        let year = self.digits(4)?;
        let extended = self.one_of(b"-").is_some();
        let month = self.digits(2)?;
        if extended {
            self.one_of(b"-")?;
        }
        let day = self.digits(2)?;
        let exists = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        exists.then(|| (days_from_date(Date { year, month, day }), extended))
    }

    /// Seconds since midnight, up to a whole day, and milliseconds.
    fn time(&mut self, extended: bool) -> Option<(i64, i64)> {
        let hour = self.digits(2)?;
        if extended {
            self.one_of(b":")?;
        }
        let minute = self.digits(2)?;
        let has_seconds = if extended {
            self.one_of(b":").is_some()
        } else {
            self.0.first().is_some_and(u8::is_ascii_digit)
        };
        let (mut second, mut millis) = (0, 0);
        let mut whole = true;
        if has_seconds {
            second = self.digits(2)?;
            if self.one_of(b".,").is_some() {
                (millis, whole) = self.fraction()?;
            }
        }
        if hour == 24 {
            return (minute == 0 && second == 0 && whole).then_some((DAY, 0));
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        if second == 60 {
            // A leap second belongs to the minute that it ends.
            (second, millis) = (59, 999);
        }
        Some((hour * 3600 + minute * 60 + second, millis))
    }

    /// Milliseconds, rounded down, of one or more digits; and whether all digits are 0.
    fn fraction(&mut self) -> Option<(i64, bool)> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self
            .0
            .split_at_checked(count)
            .filter(|(digits, _)| !digits.is_empty())?;
        self.0 = rest;
        let millis = digits
            .iter()
            .chain(b"00")
            .take(3)
            .fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0'));
        Some((millis, digits.iter().all(|digit| *digit == b'0')))
    }

    /// Seconds east of UTC; `Some(None)` where the text ends without an offset.
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let sign = match self.one_of(b"Zz+- ")? {
            b'Z' | b'z' => return Some(Some(0)),
            b'-' => -1,
            _ => 1,
        };
        let short = self.0.get(1) == Some(&b':');
        let hours = self.digits(if short { 1 } else { 2 })?;
        let minutes = if self.one_of(b":").is_some() || !self.0.is_empty() {
            self.digits(2)?
        } else {
            0
        };
        (hours <= 23 && minutes <= 59).then(|| Some(sign * (hours * 3600 + minutes * 60)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn milliseconds_are_rounded_down() {
        for (text, millis) in [
            ("1970-01-01T00:00:01.9999Z", 1_999),
            ("1970-01-01T00:00:01.5Z", 1_500),
            ("1970-01-01T00:00:01,05Z", 1_050),
            ("1970-01-01T00:00:00.001+00:01", -59_999),
        ] {
            assert_eq!(read(text), Some(Written::Instant(millis)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", times in "[0-9TtZz:.,+ -]{0,36}") {
            let _ = (read(&text), read(&times));
        }

        #[test]
        fn what_jiff_prints_is_read_as_jiff_means_it(second in 0_i64..253_370_764_800, nanos in 0_i32..1_000_000_000, quarters in -48_i32..=56) {
            let timestamp = jiff::Timestamp::new(second, nanos).unwrap();
            let offset = jiff::tz::Offset::from_seconds(quarters * 900).unwrap();
            let text = timestamp.display_with_offset(offset).to_string();
            let local_year = offset.to_datetime(timestamp).year();
            let expected = (1970..=9999).contains(&local_year).then(|| Written::Instant(second * 1000 + i64::from(nanos) / 1_000_000));
            prop_assert_eq!(read(&text), expected, "{}", text);
        }
    }
}
