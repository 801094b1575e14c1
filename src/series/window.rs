//! A window: the units that a request asks for.

use std::fmt;

use super::civil::{DAY, Date, date_from_days};
use super::ending_at::EndingAt;
use super::quantised::{QUARTER, Stretches};
use super::{Length, Unit, Zone};

pub(super) const HOUR: i64 = 3600;
/// More than any day is longer, or any wall-clock time is off, by changes of the offset.
pub(super) const MARGIN: i64 = 4 * DAY;

/// Whole units of a time zone, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub(super) edges: Vec<i64>,
    pub(super) labels: Vec<Label>,
}

impl Window {
    /// The `length` units that end with the one that contains `last`, or `now` (Unix milliseconds).
    pub fn new(zone: &Zone, unit: Unit, length: Length, last: Option<&EndingAt>, now: i64) -> Self {
        let last = last.copied().unwrap_or(EndingAt::from_unix_millis(now));
        let span = match unit {
            Unit::Day => (length.get() as i64) * DAY,
            Unit::Hour => (length.get() as i64) * HOUR,
        };
        let around = last.approximate_second();
        let stretches = Stretches::new(zone, around - span - MARGIN, around + MARGIN);
        match unit {
            Unit::Day => days(&stretches, length, last),
            Unit::Hour => hours(&stretches, last, |units, _| units == length.get()),
        }
    }

    /// Where the units begin, and where the last one ends: one more than there are units. Unix seconds,
    /// ascending, multiples of 900.
    pub fn edges(&self) -> &[i64] {
        &self.edges
    }

    /// What the units are called, in the order of the edges.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = Label> + '_ {
        self.labels.iter().copied()
    }

    /// From units that were collected backwards.
    pub(super) fn from_backwards(end: i64, mut starts: Vec<(i64, Label)>) -> Self {
        starts.reverse();
        let labels = starts.iter().map(|(_, label)| *label).collect();
        let edges = starts.into_iter().map(|(start, _)| start).chain([end]).collect();
        Self { edges, labels }
    }
}

fn days(stretches: &Stretches, length: Length, last: EndingAt) -> Window {
    let mut day = day_of(stretches, last.first_second(stretches));
    let end = next_day(stretches, day);
    let mut date = date_from_days(day);
    let mut starts = Vec::with_capacity(length.get());
    // A zone skips one date at most; the bound only makes sure that this ends.
    for _ in 0..length.get() + 8 {
        if starts.len() == length.get() {
            break;
        }
        if let Some(start) = stretches.first_instant_of(day) {
            starts.push((start, Label::Day(date)));
        }
        day -= 1;
        date = date.previous();
    }
    Window::from_backwards(end, starts)
}

/// The day that contains an instant: the latest date that has begun. Usually the date that clocks show, but where
/// they were put back over midnight, the new day has begun already.
pub(super) fn day_of(stretches: &Stretches, second: i64) -> i64 {
    let mut day = (second + stretches.at(second).offset).div_euclid(DAY);
    while stretches
        .first_instant_of(day + 1)
        .is_some_and(|start| start <= second)
    {
        day += 1;
    }
    day
}

/// The first instant of the next date that exists.
fn next_day(stretches: &Stretches, day: i64) -> i64 {
    (1..=3)
        .find_map(|ahead| stretches.first_instant_of(day + ahead))
        .unwrap_or((day + 1) * DAY)
}

/// The hours that end with the one that is asked for, back to the one that is the last wanted: `is_enough` is asked with the
/// number of hours and the first instant of the earliest.
pub(super) fn hours(stretches: &Stretches, last: EndingAt, is_enough: impl Fn(usize, i64) -> bool) -> Window {
    let second = match last {
        // Of a date alone, the last hour.
        EndingAt::Date(day) if stretches.first_instant_of(day).is_some() => {
            next_day(stretches, day) - QUARTER
        }
        _ => last.first_second(stretches),
    };
    let (mut start, mut label) = hour_of(stretches, second);
    let stretch = stretches.at(second);
    let hour_end = (start + stretch.offset).div_euclid(HOUR) * HOUR + HOUR - stretch.offset;
    let end = hour_end.min(stretch.end);
    let mut starts = Vec::new();
    loop {
        starts.push((start, label));
        if is_enough(starts.len(), start) {
            return Window::from_backwards(end, starts);
        }
        (start, label) = hour_of(stretches, start - QUARTER);
    }
}

/// The first instant of the hour that contains an instant.
pub(super) fn hour_of(stretches: &Stretches, second: i64) -> (i64, Label) {
    let stretch = stretches.at(second);
    let hour = (second + stretch.offset).div_euclid(HOUR) * HOUR - stretch.offset;
    let start = hour.max(stretch.start);
    let label = Label::Hour {
        local: start + stretch.offset,
        offset: stretch.offset,
    };
    (start, label)
}

/// What a unit is called; its `Display` is the answer's `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `2018-06-28`.
    Day(Date),
    /// The first instant, RFC 3339: `2018-06-28T23:00:00-04:00`, for UTC `+00:00`.
    Hour {
        /// Seconds since 1970-01-01T00:00 on local clocks.
        local: i64,
        /// Seconds east of UTC.
        offset: i64,
    },
}

impl Label {
    /// Appends what `Display` shows, as ASCII; much faster, for answers that are made of labels.
    pub fn append_to(self, text: &mut Vec<u8>) {
        match self {
            Self::Day(date) => append_date(text, date),
            Self::Hour { local, offset } => {
                append_date(text, date_from_days(local.div_euclid(DAY)));
                let second = local.rem_euclid(DAY);
                text.push(b'T');
                append_two(text, second / HOUR);
                text.push(b':');
                append_two(text, second / 60 % 60);
                text.push(b':');
                append_two(text, second % 60);
                text.push(if offset < 0 { b'-' } else { b'+' });
                append_two(text, offset.abs() / HOUR);
                text.push(b':');
                append_two(text, offset.abs() / 60 % 60);
            }
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(25);
        self.append_to(&mut text);
        f.pad(&String::from_utf8_lossy(&text))
    }
}

fn append_date(text: &mut Vec<u8>, date: Date) {
    // An instant of the last hours of 9999 can have a local date of the year after.
    if date.year > 9999 {
        text.push(b'0' + (date.year / 10_000) as u8);
    }
    let ([century, century_], [year, year_]) = (two(date.year / 100 % 100), two(date.year % 100));
    let ([month, month_], [day, day_]) = (two(date.month), two(date.day));
    text.extend_from_slice(&[
        century, century_, year, year_, b'-', month, month_, b'-', day, day_,
    ]);
}

fn append_two(text: &mut Vec<u8>, number: i64) {
    text.extend_from_slice(&two(number));
}

/// The digits of a number from 0 to 99.
fn two(number: i64) -> [u8; 2] {
    let number = number as u8;
    [b'0' + number / 10, b'0' + number % 10]
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
