//! How many persons' latest session belongs to a segment, at the end of each gap.

use super::{Last, Latest, OfApps, in_quarters, parts, quarter_since_1970};

/// Goes on from the latest sessions before the first edge, day by day.
#[derive(Debug)]
pub struct Sizes {
    edges: Vec<i64>,
    latest: Latest,
    size: u64,
    /// Of the gaps that are over.
    sizes: Vec<u64>,
}

impl Sizes {
    /// At the end of each gap between these edges (Unix seconds, ascending multiples of a quarter hour). `latest` is
    /// everybody's latest session before the first of them; a session belongs where `belongs` says yes to its app and
    /// combination.
    pub fn new(edges: &[i64], latest: Latest, mut belongs: impl FnMut(usize, u64) -> bool) -> Self {
        let size = latest.iter().filter(|(_, app, of)| belongs(*app, *of)).count();
        Self {
            edges: in_quarters(edges),
            latest,
            size: size as u64,
            sizes: Vec::new(),
        }
    }

    /// Adds the apps of a day, which is later than the one before.
    pub fn add(&mut self, day: i64, apps: OfApps<'_>, mut belongs: impl FnMut(usize, u64) -> bool) {
        for part in parts(&self.edges, day) {
            self.end_before(part.gap);
            for (app, people) in apps {
                for (person, visits) in people.iter() {
                    let Some(visit) = visits.iter().rfind(|visit| part.has(visit.quarter)) else {
                        continue;
                    };
                    let last = Last::new(quarter_since_1970(day, visit.quarter), *app, visit.combination);
                    let known = self.latest.0.get_mut(person);
                    if !last.follows(known) {
                        continue;
                    }
                    let before = std::mem::replace(known, last);
                    let was = before.is_any() && belongs(before.app(), before.combination);
                    let is = belongs(*app, visit.combination);
                    self.size = (self.size + u64::from(is)).saturating_sub(u64::from(was));
                }
            }
        }
    }

    /// The gaps before this one are over.
    fn end_before(&mut self, gap: usize) {
        if self.sizes.len() < gap {
            self.sizes.resize(gap, self.size);
        }
    }

    /// The size at the end of each gap, and everybody's latest session before the last edge.
    pub fn finish(mut self) -> (Vec<u64>, Latest) {
        self.end_before(self.edges.len().saturating_sub(1));
        (self.sizes, self.latest)
    }
}
