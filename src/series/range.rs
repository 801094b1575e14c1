//! Ranges: units of any size from one to another, or the last of them.

use std::fmt;
use std::str::FromStr;

use super::civil::{DAY, Date, date_from_days, days_from_date};
use super::ending_at::EndingAt;
use super::quantised::Stretches;
use super::window::{self, HOUR, Label, MARGIN, Window};
use super::{Unit, Zone};

/// Days of the longest range: ten years.
pub const MOST_DAYS: i64 = 3_653;
/// The longest unit but [`Step::Total`], in days.
const MONTH: i64 = 31;

/// The text names no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a unit is 'hour', 'day', 'week', 'month' or 'total'")]
pub struct StepError;

/// What a unit of a range covers, in the workspace's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Step {
    /// The stretch with one local date, hour and offset.
    Hour,
    /// From a date's first instant to the next date's.
    #[default]
    Day,
    /// Seven dates, from the weekday that weeks begin with.
    Week,
    /// The dates of a calendar month.
    Month,
    /// All days of the range as one unit.
    Total,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// As [`FromStr`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The first date of the unit that a date lies in, and the first one behind it.
    fn around(self, day: i64, weeks_begin: i64) -> (i64, i64) {
        match self {
            Self::Hour | Self::Day | Self::Total => (day, day + 1),
            Self::Week => {
                // 1970-01-01 was a Thursday.
                let start = day - (day + 3 - weeks_begin).rem_euclid(7);
                (start, start + 7)
            }
            Self::Month => {
                let date = Date {
                    day: 1,
                    ..date_from_days(day)
                };
                let next = match date.month {
                    12 => Date {
                        year: date.year + 1,
                        month: 1,
                        day: 1,
                    },
                    month => Date {
                        month: month + 1,
                        ..date
                    },
                };
                (days_from_date(date), days_from_date(next))
            }
        }
    }
}

impl From<Unit> for Step {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Day => Self::Day,
            Unit::Hour => Self::Hour,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let found = Self::ALL.into_iter().find(|step| step.as_str() == text);
        found.ok_or(StepError)
    }
}

/// Which units are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// As many units, which end with the one that contains `ending_at`, or with the running one.
    Last {
        /// How many; of [`Step::Total`], how many days it covers.
        length: u32,
        /// An instant of the last unit.
        ending_at: Option<EndingAt>,
    },
    /// The unit that contains `from`, the one that contains `to`, or the running one, and all in between.
    Between {
        /// An instant of the first unit.
        from: EndingAt,
        /// An instant of the last unit.
        to: Option<EndingAt>,
    },
}

/// Why there are no units to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The last unit lies before the first.
    #[error("'from' must not be after 'to', which is now where it is left out")]
    Backwards,
    /// More than [`MOST_DAYS`].
    #[error("'from' and 'to' must be at most 10 years apart")]
    TooLong,
}

impl Window {
    /// The units of a range, oldest first. A week, a month and the total are labelled with their first date. `weeks_begin` is
    /// the weekday that weeks begin with, in days after Monday; `now` is Unix milliseconds.
    ///
    /// # Errors
    /// When the range is too long, or ends before it begins.
    pub fn of_range(
        zone: &Zone,
        step: Step,
        weeks_begin: i64,
        range: &Range,
        now: i64,
    ) -> Result<Self, RangeError> {
        let now = EndingAt::from_unix_millis(now);
        match *range {
            Range::Last { length, ending_at } => {
                let last = ending_at.unwrap_or(now);
                let length = i64::from(length.max(1));
                Ok(last_units(zone, step, weeks_begin, length, last))
            }
            Range::Between { from, to } => between(zone, step, weeks_begin, from, to.unwrap_or(now)),
        }
    }
}

fn last_units(zone: &Zone, step: Step, weeks_begin: i64, length: i64, last: EndingAt) -> Window {
    let around = last.approximate_second();
    let span = match step {
        Step::Hour => length * HOUR,
        Step::Day | Step::Total => length * DAY,
        Step::Week => length * 7 * DAY,
        Step::Month => length * MONTH * DAY,
    };
    let stretches = Stretches::new(zone, around - span - MARGIN, around + MONTH * DAY + MARGIN);
    let units = usize::try_from(length).unwrap_or(usize::MAX);
    if step == Step::Hour {
        return window::hours(&stretches, last, |hours, _| hours == units);
    }
    let day = window::day_of(&stretches, last.first_second(&stretches));
    if step == Step::Total {
        let days = backwards(&stretches, Step::Day, weeks_begin, day, |days, _| days == units);
        return as_one(&days);
    }
    backwards(&stretches, step, weeks_begin, day, |found, _| found == units)
}

fn between(
    zone: &Zone,
    step: Step,
    weeks_begin: i64,
    from: EndingAt,
    to: EndingAt,
) -> Result<Window, RangeError> {
    let (first, last) = (from.approximate_second(), to.approximate_second());
    if last - first > (MOST_DAYS + 3) * DAY {
        return Err(RangeError::TooLong);
    }
    if first - last > 3 * DAY {
        return Err(RangeError::Backwards);
    }
    let stretches = Stretches::new(zone, first - MONTH * DAY - MARGIN, last + MONTH * DAY + MARGIN);
    let day = |at: EndingAt| window::day_of(&stretches, at.first_second(&stretches));
    let (first_day, last_day) = (day(from), day(to));
    if last_day - first_day >= MOST_DAYS {
        return Err(RangeError::TooLong);
    }
    if step == Step::Hour {
        let (start, _) = window::hour_of(&stretches, from.first_second(&stretches));
        let hours = window::hours(&stretches, to, |_, earliest| earliest <= start);
        let is_backwards = hours.edges().first().is_some_and(|first| *first < start);
        return if is_backwards {
            Err(RangeError::Backwards)
        } else {
            Ok(hours)
        };
    }
    if last_day < first_day {
        return Err(RangeError::Backwards);
    }
    if step == Step::Total {
        let days = backwards(&stretches, Step::Day, weeks_begin, last_day, |_, day| {
            day <= first_day
        });
        return Ok(as_one(&days));
    }
    let (first_of_unit, _) = step.around(first_day, weeks_begin);
    Ok(backwards(&stretches, step, weeks_begin, last_day, |_, day| {
        day <= first_of_unit
    }))
}

/// Units of whole days that end with the one that contains a day, back to the one that is the last wanted: `is_enough` is
/// asked with the number of units and the first date of the earliest.
fn backwards(
    stretches: &Stretches,
    step: Step,
    weeks_begin: i64,
    last_day: i64,
    is_enough: impl Fn(usize, i64) -> bool,
) -> Window {
    let (mut first, behind) = step.around(last_day, weeks_begin);
    let end = first_date_from(stretches, behind).map_or(behind * DAY, |(_, start)| start);
    let mut before = behind;
    let mut starts = Vec::new();
    loop {
        // A date that the zone skipped is no unit.
        if let Some((day, start)) = first_date_from(stretches, first).filter(|(day, _)| *day < before) {
            starts.push((start, Label::Day(date_from_days(day))));
        }
        if is_enough(starts.len(), first) {
            return Window::from_backwards(end, starts);
        }
        before = first;
        (first, _) = step.around(first - 1, weeks_begin);
    }
}

/// The first date that exists, from a day on, and its first instant.
fn first_date_from(stretches: &Stretches, day: i64) -> Option<(i64, i64)> {
    (day..day + 3).find_map(|day| Some((day, stretches.first_instant_of(day)?)))
}

/// The units of a window as a single one, with the label of the first.
fn as_one(window: &Window) -> Window {
    let (first, last) = (window.edges.first(), window.edges.last());
    Window {
        edges: first.into_iter().chain(last).copied().collect(),
        labels: window.labels.first().into_iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Length, ending_at};
    use super::*;

    const ZONES: [&str; 7] = [
        "UTC",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Atlantic/Azores",
        "Asia/Kathmandu",
        "America/St_Johns",
    ];

    fn zone(name: &str) -> Zone {
        Zone::new(name).unwrap()
    }

    fn window(zone_name: &str, step: Step, weeks_begin: i64, from: &str, to: &str) -> Window {
        let range = Range::Between {
            from: ending_at::parse(from).unwrap(),
            to: Some(ending_at::parse(to).unwrap()),
        };
        Window::of_range(&zone(zone_name), step, weeks_begin, &range, 0).unwrap()
    }

    fn labels(window: &Window) -> Vec<String> {
        window.labels().map(|label| label.to_string()).collect()
    }

    #[test]
    fn weeks_and_months_are_whole_and_begin_with_their_first_date() {
        let weeks = window("Europe/Berlin", Step::Week, 0, "2026-03-26", "2026-04-05");
        assert_eq!(labels(&weeks), ["2026-03-23", "2026-03-30"]);
        // The first of them has the day with 23 hours.
        let lengths: Vec<i64> = weeks.edges().windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(lengths, [7 * DAY - HOUR, 7 * DAY]);
        let weeks = window("Europe/Berlin", Step::Week, 6, "2026-03-26", "2026-03-28");
        assert_eq!(labels(&weeks), ["2026-03-22"]);
        let months = window(
            "America/New_York",
            Step::Month,
            0,
            "2025-12-31",
            "2026-02-01T00:00:00",
        );
        assert_eq!(labels(&months), ["2025-12-01", "2026-01-01", "2026-02-01"]);
        let total = window("America/New_York", Step::Total, 0, "2026-03-01", "2026-03-31");
        assert_eq!(labels(&total), ["2026-03-01"]);
        assert_eq!(total.edges()[1] - total.edges()[0], 31 * DAY - HOUR);
    }

    #[test]
    fn a_date_that_a_zone_skipped_is_no_day_and_begins_no_week() {
        let days = window("Pacific/Apia", Step::Day, 0, "2011-12-28", "2012-01-01");
        assert_eq!(
            labels(&days),
            ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]
        );
        // Weeks that begin on Fridays: that of 2011-12-30 begins a day later.
        let weeks = window("Pacific/Apia", Step::Week, 4, "2011-12-29", "2012-01-01");
        assert_eq!(labels(&weeks), ["2011-12-23", "2011-12-31"]);
        assert!(weeks.edges().windows(2).all(|pair| pair[0] < pair[1]));
        let total = window("Pacific/Apia", Step::Total, 0, "2011-12-30", "2011-12-30");
        assert_eq!(labels(&total), ["2011-12-31"]);
    }

    #[test]
    fn what_is_too_long_or_backwards_is_refused() {
        let of = |step, from: &str, to: &str| {
            let range = Range::Between {
                from: ending_at::parse(from).unwrap(),
                to: Some(ending_at::parse(to).unwrap()),
            };
            Window::of_range(&zone("America/New_York"), step, 0, &range, 0)
        };
        for step in Step::ALL {
            assert!(of(step, "2010-01-01", "2019-12-31").is_ok(), "{step}");
            for (from, to) in [("2010-01-01", "2020-01-02"), ("1970-01-01", "9999-12-31")] {
                assert_eq!(of(step, from, to), Err(RangeError::TooLong), "{step}");
            }
            for (from, to) in [("2018-01-02", "2018-01-01"), ("9999-01-02", "1970-01-01")] {
                assert_eq!(of(step, from, to), Err(RangeError::Backwards), "{step}");
            }
        }
        assert_eq!(
            of(Step::Hour, "2018-01-02T11:00:00", "2018-01-02T10:59:00"),
            Err(RangeError::Backwards)
        );
        assert!(of(Step::Day, "2018-01-02T11:00:00", "2018-01-02T10:59:00").is_ok());
        assert_eq!(
            of(Step::Hour, "2010-01-01", "2019-12-31").unwrap().labels().len(),
            87_648
        );
    }

    proptest! {
        #[test]
        fn ranges_of_days_and_hours_are_the_windows_of_series(
            zone_name in prop::sample::select(&ZONES[..]),
            second in prop_oneof![1_000_000_000_i64..2_000_000_000, 1_325_000_000_i64..1_326_000_000],
            units in 1_u32..60,
            is_day in any::<bool>(),
            weeks_begin in 0_i64..7,
        ) {
            let zone = zone(zone_name);
            let unit = if is_day { Unit::Day } else { Unit::Hour };
            let at = EndingAt::Second(second);
            let expected = Window::new(&zone, unit, Length::new(units).unwrap(), Some(&at), 0);
            let last = Range::Last { length: units, ending_at: Some(at) };
            prop_assert_eq!(&Window::of_range(&zone, unit.into(), weeks_begin, &last, 0).unwrap(), &expected);
            let first = expected.edges()[0];
            let between = Range::Between { from: EndingAt::Second(first), to: None };
            let found = Window::of_range(&zone, unit.into(), weeks_begin, &between, second * 1000).unwrap();
            prop_assert_eq!(&found, &expected);
        }

        #[test]
        fn larger_units_are_made_of_days(
            zone_name in prop::sample::select(&ZONES[..]),
            second in prop_oneof![1_000_000_000_i64..2_000_000_000, 1_325_000_000_i64..1_326_000_000],
            units in 1_u32..20,
            step in prop::sample::select(&[Step::Week, Step::Month, Step::Total][..]),
            weeks_begin in 0_i64..7,
        ) {
            let zone = zone(zone_name);
            let at = EndingAt::Second(second);
            let last = Range::Last { length: units, ending_at: Some(at) };
            let window = Window::of_range(&zone, step, weeks_begin, &last, 0).unwrap();
            let expected = if step == Step::Total { 1 } else { units };
            prop_assert_eq!(window.labels().len(), expected as usize);
            prop_assert!(window.edges().windows(2).all(|pair| pair[0] < pair[1]));
            // Each begins where the day begins that it is called after.
            for (edge, label) in window.edges().iter().zip(window.labels()) {
                let day = ending_at::parse(&label.to_string()).unwrap();
                let range = Range::Between { from: day, to: Some(day) };
                let day = Window::of_range(&zone, Step::Day, weeks_begin, &range, 0).unwrap();
                prop_assert_eq!(day.edges()[0], *edge);
                prop_assert_eq!(day.labels().next(), Some(label));
                let jiff: jiff::civil::Date = label.to_string().parse().unwrap();
                let is_first = match step {
                    Step::Month => jiff.day() == 1,
                    Step::Week => i64::from(jiff.weekday().to_monday_zero_offset()) == weeks_begin,
                    _ => true,
                };
                prop_assert!(is_first || jiff == jiff::civil::date(2011, 12, 31), "{}", jiff);
            }
        }
    }
}
