//! What is held of many days of an app to answer from: sessions by quarter hour, with the version that was counted.

use std::ops::{Range, RangeInclusive};

use super::{DAY, QUARTER, QUARTERS, Quarters};

/// Days of an app, everyone's sessions or those of a filter, ascending. 400 bytes a day.
///
/// What most answers need, whole days, stands close together; an answer of a hundred days reads a few lines of memory.
#[derive(Debug, Clone, Default)]
pub struct Days {
    days: Vec<i64>,
    /// The sessions of each.
    sessions: Vec<u32>,
    versions: Vec<i64>,
    /// Sessions up to the end of each quarter hour, so that any stretch of the day is a difference.
    #[expect(clippy::vec_box, reason = "a day that is added moves pointers and not hours")]
    until: Vec<Box<Quarters>>,
}

/// Sessions before a quarter hour of a day.
fn before(until: &Quarters, quarter: usize) -> u64 {
    let until = quarter.checked_sub(1).and_then(|last| until.get(last));
    until.map_or(0, |sessions| u64::from(*sessions))
}

impl Days {
    /// The version that is held of a day.
    pub fn version(&self, day: i64) -> Option<i64> {
        let place = self.days.binary_search(&day).ok()?;
        self.versions.get(place).copied()
    }

    /// Holds a day as it was counted, in the place of what was held of it.
    pub fn set(&mut self, day: i64, version: i64, counts: &Quarters) {
        if let Ok(place) = self.days.binary_search(&day)
            && let Some(until) = self.until.get_mut(place)
        {
            **until = [0; QUARTERS];
        }
        self.add(day, version, counts);
    }

    /// Adds sessions to a day; with them it is this version. A day that was not held has had none.
    pub fn add(&mut self, day: i64, version: i64, counts: &Quarters) {
        let place = self.days.binary_search(&day).unwrap_or_else(|place| {
            self.days.insert(place, day);
            self.sessions.insert(place, 0);
            self.versions.insert(place, version);
            self.until.insert(place, Box::new([0; QUARTERS]));
            place
        });
        let held = (
            self.sessions.get_mut(place),
            self.versions.get_mut(place),
            self.until.get_mut(place),
        );
        let (Some(sessions), Some(held_version), Some(until)) = held else {
            return;
        };
        *held_version = version;
        let mut sum = 0_u32;
        for (until, count) in until.iter_mut().zip(counts) {
            sum = sum.saturating_add(*count);
            *until = until.saturating_add(sum);
            *sessions = *until;
        }
    }

    /// No longer holds a day.
    pub fn remove(&mut self, day: i64) {
        if let Ok(place) = self.days.binary_search(&day) {
            self.days.remove(place);
            self.sessions.remove(place);
            self.versions.remove(place);
            self.until.remove(place);
        }
    }

    /// The places of the days in a range.
    fn places(&self, days: &RangeInclusive<i64>) -> Range<usize> {
        let begin = self.days.partition_point(|day| day < days.start());
        let end = self.days.partition_point(|day| day <= days.end());
        begin..end.max(begin)
    }

    /// Days that are held in a range, ascending, with their versions and sessions.
    pub fn range(&self, days: RangeInclusive<i64>) -> impl Iterator<Item = (i64, i64, u64)> {
        let places = self.places(&days);
        let held = self.days.iter().zip(&self.versions).zip(&self.sessions);
        let held = held.skip(places.start).take(places.len());
        held.map(|((day, version), sessions)| (*day, *version, u64::from(*sessions)))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.days.len() * (size_of::<Quarters>() + 40)
    }

    /// Adds to `counts` the sessions between each two neighbouring edges (Unix seconds, ascending, multiples of a quarter
    /// hour).
    pub fn count(&self, edges: &[i64], counts: &mut [u64]) {
        let Some(days) = days_of(edges) else { return };
        let mut gaps = edges
            .windows(2)
            .filter_map(|pair| match pair {
                [from, to] => Some((*from, *to)),
                _ => None,
            })
            .zip(counts)
            .peekable();
        let places = self.places(&days);
        let held = self.days.iter().zip(&self.sessions).zip(&self.until);
        for ((day, sessions), until) in held.skip(places.start).take(places.len()) {
            let midnight = day * DAY;
            let quarter = |second: i64| {
                let quarters = (second - midnight).div_euclid(QUARTER);
                usize::try_from(quarters.max(0)).map_or(QUARTERS, |quarter| quarter.min(QUARTERS))
            };
            while let Some(((from, to), count)) = gaps.peek_mut() {
                let is_whole = *from <= midnight && *to >= midnight + DAY;
                if is_whole {
                    **count += u64::from(*sessions);
                } else if *from < midnight + DAY {
                    **count += before(until, quarter(*to)).saturating_sub(before(until, quarter(*from)));
                }
                if *to > midnight + DAY {
                    break;
                }
                gaps.next();
            }
        }
    }
}

/// The UTC days in which the stretch between the first and the last edge lies; none where there is no such stretch.
pub fn days_of(edges: &[i64]) -> Option<RangeInclusive<i64>> {
    let (first, last) = (*edges.first()?, *edges.last()?);
    (first < last).then(|| first.div_euclid(DAY)..=(last - 1).div_euclid(DAY))
}
