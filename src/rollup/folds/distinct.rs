//! Distinct persons between edges.

use std::collections::BTreeMap;

use foldhash::HashSet;

use super::{OfApps, first_quarter, in_quarters, parts, quarter_since_1970};
use crate::rollup::{People, PersonSet};

/// Distinct persons between neighbouring edges, and altogether.
#[derive(Debug, Clone)]
pub struct Distinct {
    /// Quarter hours (Unix seconds / 900).
    edges: Vec<i64>,
    gaps: Vec<HashSet<u64>>,
    all: HashSet<u64>,
}

impl Distinct {
    /// Between these edges: Unix seconds, ascending multiples of a quarter hour.
    pub fn new(edges: &[i64]) -> Self {
        let edges = in_quarters(edges);
        Self {
            gaps: vec![HashSet::default(); edges.len().saturating_sub(1)],
            edges,
            all: HashSet::default(),
        }
    }

    /// Adds a day of an app: the visits with combinations for which `belongs` says yes.
    pub fn add(&mut self, day: i64, people: &People, mut belongs: impl FnMut(u64) -> bool) {
        for (person, visits) in people.iter() {
            for visit in visits.iter().filter(|visit| belongs(visit.combination)) {
                self.add_one(day, visit.quarter, person);
            }
        }
    }

    /// Adds one person that had a session in a quarter hour of a day.
    pub fn add_one(&mut self, day: i64, quarter: u8, person: u64) {
        let at = quarter_since_1970(day, quarter);
        let gap = self.edges.partition_point(|edge| *edge <= at).checked_sub(1);
        if let Some(gap) = gap.and_then(|gap| self.gaps.get_mut(gap)) {
            gap.insert(person);
            self.all.insert(person);
        }
    }

    /// Persons of each gap.
    pub fn counts(&self) -> Vec<u64> {
        self.gaps.iter().map(|gap| gap.len() as u64).collect()
    }

    /// Persons of all gaps together.
    pub fn total(&self) -> u64 {
        self.all.len() as u64
    }
}

/// The same of days in their order: what lies behind the last day is counted and no longer held.
#[derive(Debug, Default)]
pub struct DistinctByGap {
    edges: Vec<i64>,
    counts: Vec<u64>,
    /// The gaps that later days may add to.
    open: BTreeMap<usize, PersonSet>,
    /// Everybody, where that is asked for.
    all: Option<PersonSet>,
}

impl DistinctByGap {
    /// Between these edges: Unix seconds, ascending multiples of a quarter hour; altogether only if `with_total` says so.
    pub fn new(edges: &[i64], with_total: bool) -> Self {
        Self {
            counts: vec![0; edges.len().saturating_sub(1)],
            edges: in_quarters(edges),
            open: BTreeMap::new(),
            all: with_total.then(PersonSet::default),
        }
    }

    /// Adds the apps of a day, which is not earlier than the one before: the visits for whose app and combination
    /// `belongs` says yes.
    pub fn add(&mut self, day: i64, apps: OfApps<'_>, mut belongs: impl FnMut(usize, u64) -> bool) {
        self.close(first_quarter(day));
        for part in parts(&self.edges, day) {
            let set = self.open.entry(part.gap).or_default();
            for (app, people) in apps {
                for (person, visits) in people.iter() {
                    let mut visits = visits.iter().filter(|visit| part.has(visit.quarter));
                    if visits.any(|visit| belongs(*app, visit.combination)) {
                        set.insert(person);
                        if let Some(all) = &mut self.all {
                            all.insert(person);
                        }
                    }
                }
            }
        }
    }

    /// Counts the gaps that end before a quarter hour.
    fn close(&mut self, before: i64) {
        while let Some(entry) = self.open.first_entry() {
            if self.edges.get(entry.key() + 1).is_none_or(|end| *end > before) {
                return;
            }
            let (gap, set) = entry.remove_entry();
            if let Some(count) = self.counts.get_mut(gap) {
                *count = set.len();
            }
        }
    }

    /// Persons of each gap, and altogether, where that was asked for.
    pub fn finish(mut self) -> (Vec<u64>, Option<u64>) {
        self.close(i64::MAX);
        (self.counts, self.all.map(|all| all.len()))
    }
}
