//! What is held of many days of an app to answer from: sessions by quarter hour, with the version that was counted.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{DAY, QUARTER, QUARTERS, Quarters};

/// Days of an app, everyone's sessions or those of a filter. 400 bytes a day.
#[derive(Debug, Clone, Default)]
pub struct Days(BTreeMap<i64, Held>);

#[derive(Debug, Clone)]
struct Held {
    version: i64,
    /// Sessions up to the end of each quarter hour, so that any stretch of the day is a difference.
    until: Quarters,
}

impl Held {
    fn before(&self, quarter: usize) -> u64 {
        let until = quarter.checked_sub(1).and_then(|last| self.until.get(last));
        until.map_or(0, |sessions| u64::from(*sessions))
    }
}

impl Days {
    /// The version that is held of a day.
    pub fn version(&self, day: i64) -> Option<i64> {
        self.0.get(&day).map(|held| held.version)
    }

    /// Holds a day as it was counted, in the place of what was held of it.
    pub fn set(&mut self, day: i64, version: i64, counts: &Quarters) {
        let mut held = Held {
            version,
            until: *counts,
        };
        accumulate(&mut held.until);
        self.0.insert(day, held);
    }

    /// Adds sessions to a day; with them it is this version. A day that was not held has had none.
    pub fn add(&mut self, day: i64, version: i64, counts: &Quarters) {
        let held = self.0.entry(day).or_insert(Held {
            version,
            until: [0; QUARTERS],
        });
        held.version = version;
        let mut sum = 0_u32;
        for (until, count) in held.until.iter_mut().zip(counts) {
            sum = sum.saturating_add(*count);
            *until = until.saturating_add(sum);
        }
    }

    /// No longer holds a day.
    pub fn remove(&mut self, day: i64) {
        self.0.remove(&day);
    }

    /// Days that are held in a range, ascending, with their versions and sessions.
    pub fn range(&self, days: RangeInclusive<i64>) -> impl Iterator<Item = (i64, i64, u64)> {
        let days = (!days.is_empty()).then(|| self.0.range(days));
        let days = days.into_iter().flatten();
        days.map(|(day, held)| (*day, held.version, held.before(QUARTERS)))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.0.len() * (size_of::<Held>() + 16)
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
        for (day, held) in self.0.range(days) {
            let midnight = day * DAY;
            let quarter = |second: i64| {
                let quarters = (second - midnight).div_euclid(QUARTER);
                usize::try_from(quarters.max(0)).map_or(QUARTERS, |quarter| quarter.min(QUARTERS))
            };
            while let Some(((from, to), count)) = gaps.peek_mut() {
                let is_whole = *from <= midnight && *to >= midnight + DAY;
                if is_whole {
                    **count += held.before(QUARTERS);
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

fn accumulate(counts: &mut Quarters) {
    let mut sum = 0_u32;
    for count in counts {
        sum = sum.saturating_add(*count);
        *count = sum;
    }
}
