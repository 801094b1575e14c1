//! The latest session of each person.

use std::collections::BTreeSet;

use super::{OfApps, quarter_since_1970};
use crate::rollup::{ByPerson, People, QUARTERS};

/// A person's latest session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Last {
    /// Its quarter hour since 1970, from 1; 0 is nobody's.
    at: u32,
    /// The place of its app in the order of ids.
    app: u32,
    /// Its combination.
    pub combination: u64,
}

impl Last {
    pub(super) fn new(at: i64, app: usize, combination: u64) -> Self {
        Self {
            at: u32::try_from(at.saturating_add(1)).unwrap_or(u32::MAX),
            app: u32::try_from(app).unwrap_or(u32::MAX),
            combination,
        }
    }

    /// The place of its app in the order of ids.
    pub fn app(&self) -> usize {
        usize::try_from(self.app).unwrap_or(usize::MAX)
    }

    /// Whether there is one.
    pub fn is_any(&self) -> bool {
        self.at > 0
    }

    /// Whether it began no earlier than another; of one quarter hour the app with the greater id counts.
    pub(super) fn follows(&self, other: &Self) -> bool {
        (self.at, self.app) >= (other.at, other.app)
    }

    fn day(&self) -> i64 {
        let quarters = i64::try_from(QUARTERS).unwrap_or(i64::MAX);
        (i64::from(self.at) - 1).div_euclid(quarters)
    }
}

/// The latest session of each person: its quarter hour, its app, and its combination. Of sessions of one quarter hour in
/// several apps that of the app with the greater id is the latest.
#[derive(Debug, Clone, Default)]
pub struct Latest(pub(super) ByPerson<Last>);

impl Latest {
    /// Adds the sessions of a day of an app that began before a quarter hour (Unix seconds / 900).
    pub fn add(&mut self, app: usize, day: i64, people: &People, before: i64) {
        for (person, visits) in people.iter() {
            let at = |quarter| quarter_since_1970(day, quarter);
            let last = visits.iter().rfind(|visit| at(visit.quarter) < before);
            if let Some(visit) = last {
                self.meet(person, Last::new(at(visit.quarter), app, visit.combination));
            }
        }
    }

    /// The same of all apps of a day.
    pub fn add_all(&mut self, day: i64, apps: OfApps<'_>, before: i64) {
        apps.iter()
            .for_each(|(app, people)| self.add(*app, day, people, before));
    }

    fn meet(&mut self, person: u64, last: Last) {
        let known = self.0.get_mut(person);
        if last.follows(known) {
            *known = last;
        }
    }

    /// Takes over what days have become that it contains in another state; see [`First::replace`](super::First::replace).
    #[must_use]
    pub fn replace(&mut self, days: &BTreeSet<i64>, fresh: &Self) -> bool {
        let mut moved = Vec::new();
        for (person, known) in self.iter_stored() {
            let day = known.day();
            if days.contains(&day) {
                let now = fresh.0.get(person);
                if !now.is_any() || now.day() < day {
                    return false;
                }
                moved.push((person, now));
            }
        }
        for (person, now) in moved {
            *self.0.get_mut(person) = now;
        }
        fresh
            .iter_stored()
            .for_each(|(person, last)| self.meet(person, last));
        true
    }

    fn iter_stored(&self) -> impl Iterator<Item = (u64, Last)> {
        self.0.iter().filter(|(_, last)| last.is_any())
    }

    /// Each person's app and combination.
    pub fn iter(&self) -> impl Iterator<Item = (u64, usize, u64)> {
        self.iter_stored()
            .map(|(person, last)| (person, last.app(), last.combination))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
