//! Distinct persons of groups. There may be as many groups as sessions, so the largest are found first, and only they are
//! counted between edges.

use foldhash::{HashMap, HashSet};

use super::{OfApps, in_quarters, parts};

/// Pairs of group and person that may be held, some 30 bytes each.
const PAIRS: usize = 8_000_000;

/// Distinct persons of each group between the first edge and the last.
#[derive(Debug)]
pub struct GroupTotals {
    edges: Vec<i64>,
    pairs: HashSet<(u32, u64)>,
    totals: Vec<u64>,
}

impl GroupTotals {
    /// Between the first and the last of these edges: Unix seconds.
    pub fn new(edges: &[i64]) -> Self {
        let edges = in_quarters(edges);
        let (first, last) = (edges.first(), edges.last());
        Self {
            edges: first.into_iter().chain(last).copied().collect(),
            pairs: HashSet::default(),
            totals: Vec::new(),
        }
    }

    /// Adds the apps of a day. `group` says which group a session of an app with a combination is of, if of any. `false`
    /// when there are too many pairs of group and person to be held.
    #[must_use]
    pub fn add(&mut self, day: i64, apps: OfApps<'_>, group: impl Fn(usize, u64) -> Option<u32>) -> bool {
        for part in parts(&self.edges, day) {
            for (app, people) in apps {
                for (person, visits) in people.iter() {
                    for visit in visits.iter().filter(|visit| part.has(visit.quarter)) {
                        let Some(group) = group(*app, visit.combination) else {
                            continue;
                        };
                        if self.pairs.insert((group, person)) {
                            let place = usize::try_from(group).unwrap_or(usize::MAX);
                            if place >= self.totals.len() {
                                self.totals.resize(place.saturating_add(1), 0);
                            }
                            if let Some(total) = self.totals.get_mut(place) {
                                *total += 1;
                            }
                        }
                    }
                }
            }
            if self.pairs.len() > PAIRS {
                return false;
            }
        }
        true
    }

    /// Persons of each group, and of all groups together.
    pub fn finish(self) -> (Vec<u64>, u64) {
        let everybody: HashSet<u64> = self.pairs.iter().map(|(_, person)| *person).collect();
        (self.totals, everybody.len() as u64)
    }
}

/// Distinct persons of some groups between neighbouring edges.
#[derive(Debug)]
pub struct GroupsByGap {
    edges: Vec<i64>,
    /// The place of each group among those that are counted.
    places: HashMap<u32, usize>,
    /// By place, then by gap.
    counts: Vec<Vec<u64>>,
    gap: usize,
    pairs: HashSet<(usize, u64)>,
}

impl GroupsByGap {
    /// Of these groups, between these edges: Unix seconds, ascending multiples of a quarter hour.
    pub fn new(edges: &[i64], groups: &[u32]) -> Self {
        let gaps = edges.len().saturating_sub(1);
        Self {
            edges: in_quarters(edges),
            places: groups
                .iter()
                .enumerate()
                .map(|(place, group)| (*group, place))
                .collect(),
            counts: vec![vec![0; gaps]; groups.len()],
            gap: 0,
            pairs: HashSet::default(),
        }
    }

    /// Adds the apps of a day, which is later than the one before.
    pub fn add(&mut self, day: i64, apps: OfApps<'_>, group: impl Fn(usize, u64) -> Option<u32>) {
        for part in parts(&self.edges, day) {
            if part.gap != self.gap {
                self.gap = part.gap;
                self.pairs.clear();
            }
            for (app, people) in apps {
                for (person, visits) in people.iter() {
                    for visit in visits.iter().filter(|visit| part.has(visit.quarter)) {
                        let group = group(*app, visit.combination);
                        let Some(place) = group.and_then(|group| self.places.get(&group)) else {
                            continue;
                        };
                        if self.pairs.insert((*place, person)) {
                            let counts = self.counts.get_mut(*place);
                            if let Some(count) = counts.and_then(|counts| counts.get_mut(part.gap)) {
                                *count += 1;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Persons of each group, in the order in which they were named, by gap.
    pub fn finish(self) -> Vec<Vec<u64>> {
        self.counts
    }
}
