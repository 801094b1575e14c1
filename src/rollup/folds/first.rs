//! When each person was first seen.

use std::collections::{BTreeMap, BTreeSet};

use super::quarter_since_1970;
use crate::rollup::{ByPerson, People, QUARTERS, Quarters};

/// The earliest quarter hour of each person.
#[derive(Debug, Clone, Default)]
pub struct First(
    /// Since 1970, from 1.
    ByPerson<u32>,
);

fn stored(at: i64) -> u32 {
    u32::try_from(at.saturating_add(1)).unwrap_or(u32::MAX)
}

fn day_of(stored: u32) -> i64 {
    let quarters = i64::try_from(QUARTERS).unwrap_or(i64::MAX);
    (i64::from(stored) - 1).div_euclid(quarters)
}

impl First {
    /// Adds a day of an app.
    pub fn add(&mut self, day: i64, people: &People) {
        for (person, visits) in people.iter() {
            if let Some(visit) = visits.first() {
                self.meet(person, stored(quarter_since_1970(day, visit.quarter)));
            }
        }
    }

    fn meet(&mut self, person: u64, at: u32) {
        let known = self.0.get_mut(person);
        if *known == 0 || at < *known {
            *known = at;
        }
    }

    /// Takes over what days have become that it contains in another state: `days` are all that changed, `fresh` is made of
    /// what all apps have of them now. `false` where somebody's first session has gone from its day: which is the first one
    /// now only all days can say, and this is void.
    #[must_use]
    pub fn replace(&mut self, days: &BTreeSet<i64>, fresh: &Self) -> bool {
        let mut moved = Vec::new();
        for (person, known) in self.iter_stored() {
            let day = day_of(known);
            if days.contains(&day) {
                let now = fresh.0.get(person);
                if now == 0 || day_of(now) > day {
                    return false;
                }
                moved.push((person, now));
            }
        }
        for (person, now) in moved {
            *self.0.get_mut(person) = now;
        }
        fresh.iter_stored().for_each(|(person, at)| self.meet(person, at));
        true
    }

    fn iter_stored(&self) -> impl Iterator<Item = (u64, u32)> {
        self.0.iter().filter(|(_, at)| *at > 0)
    }

    /// Each person with its quarter hour (Unix seconds / 900).
    pub fn iter(&self) -> impl Iterator<Item = (u64, i64)> {
        self.iter_stored().map(|(person, at)| (person, i64::from(at) - 1))
    }

    /// Persons by the day and the quarter hour in which they were first seen.
    pub fn by_day(&self) -> BTreeMap<i64, Quarters> {
        let mut days = BTreeMap::new();
        for (_, at) in self.iter_stored() {
            let day = day_of(at);
            let quarter = i64::from(at) - 1 - super::first_quarter(day);
            let quarters: &mut Quarters = days.entry(day).or_insert([0; QUARTERS]);
            let place = usize::try_from(quarter).unwrap_or(usize::MAX);
            if let Some(count) = quarters.get_mut(place) {
                *count += 1;
            }
        }
        days
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
