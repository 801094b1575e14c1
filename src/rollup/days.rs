//! What is held of many days of an app to answer from: sessions by quarter hour, with the version that was counted.

use std::ops::RangeInclusive;

use super::{DAY, QUARTER, QUARTERS, Quarters};

/// Days of an app, everyone's sessions or those of a filter, ascending. 400 bytes a day.
///
/// What most answers need, whole days, stands close together; an answer of a hundred days reads a few lines of memory.
#[derive(Debug, Clone, Default)]
pub struct Days(Vec<Held>);

#[derive(Debug, Clone)]
struct Held {
    day: i64,
    version: i64,
    /// Sessions up to the end of each quarter hour, so that any stretch of the day is a difference.
    until: Box<Quarters>,
    /// The sessions of all of them.
    sessions: u32,
}

impl Held {
    fn before(&self, quarter: usize) -> u64 {
        let until = quarter.checked_sub(1).and_then(|last| self.until.get(last));
        until.map_or(0, |sessions| u64::from(*sessions))
    }

    fn add(&mut self, counts: &Quarters) {
        let mut sum = 0_u32;
        for (until, count) in self.until.iter_mut().zip(counts) {
            sum = sum.saturating_add(*count);
            *until = until.saturating_add(sum);
            self.sessions = *until;
        }
    }
}

impl Days {
    /// Where a day is held, or where it would be.
    fn place(&self, day: i64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&day, |held| held.day)
    }

    /// The version that is held of a day.
    pub fn version(&self, day: i64) -> Option<i64> {
        let held = self.0.get(self.place(day).ok()?);
        held.map(|held| held.version)
    }

    /// Holds a day as it was counted, in the place of what was held of it.
    pub fn set(&mut self, day: i64, version: i64, counts: &Quarters) {
        self.remove(day);
        self.add(day, version, counts);
    }

    /// Adds sessions to a day; with them it is this version. A day that was not held has had none.
    pub fn add(&mut self, day: i64, version: i64, counts: &Quarters) {
        let place = self.place(day).unwrap_or_else(|place| {
            let new = Held {
                day,
                version,
                until: Box::new([0; QUARTERS]),
                sessions: 0,
            };
            self.0.insert(place, new);
            place
        });
        if let Some(held) = self.0.get_mut(place) {
            held.version = version;
            held.add(counts);
        }
    }

    /// No longer holds a day.
    pub fn remove(&mut self, day: i64) {
        if let Ok(place) = self.place(day) {
            self.0.remove(place);
        }
    }

    /// What is held of the days in a range.
    fn within(&self, days: RangeInclusive<i64>) -> &[Held] {
        let begin = self.0.partition_point(|held| held.day < *days.start());
        let end = self.0.partition_point(|held| held.day <= *days.end());
        // A range that ends before it begins has none.
        self.0.get(begin..end).unwrap_or_default()
    }

    /// Days that are held in a range, ascending, with their versions and sessions.
    pub fn range(&self, days: RangeInclusive<i64>) -> impl Iterator<Item = (i64, i64, u64)> {
        let held = self.within(days).iter();
        held.map(|held| (held.day, held.version, u64::from(held.sessions)))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.0.len() * (size_of::<Quarters>() + size_of::<Held>() + 16)
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
        for held in self.within(days) {
            let midnight = held.day * DAY;
            let quarter = |second: i64| {
                let quarters = (second - midnight).div_euclid(QUARTER);
                usize::try_from(quarters.max(0)).map_or(QUARTERS, |quarter| quarter.min(QUARTERS))
            };
            while let Some(((from, to), count)) = gaps.peek_mut() {
                let is_whole = *from <= midnight && *to >= midnight + DAY;
                if is_whole {
                    **count += u64::from(held.sessions);
                } else if *from < midnight + DAY {
                    **count += held
                        .before(quarter(*to))
                        .saturating_sub(held.before(quarter(*from)));
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
