//! Persons that were active in the days that end with a day.

use super::{OfApps, in_quarters, parts};
use crate::rollup::ByPerson;

/// Distinct persons of each window of `length` gaps, by each person's last active gap.
#[derive(Debug)]
pub struct Active {
    edges: Vec<i64>,
    length: usize,
    /// The place of the last gap in which a person was active, from 1.
    last: ByPerson<u32>,
    /// How many windows more than the one before each has.
    begin: Vec<u64>,
    end: Vec<u64>,
}

impl Active {
    /// Over windows of `length` gaps between these edges: Unix seconds, ascending multiples of a quarter hour.
    pub fn new(edges: &[i64], length: usize) -> Self {
        let gaps = edges.len().saturating_sub(1);
        Self {
            edges: in_quarters(edges),
            length,
            last: ByPerson::default(),
            begin: vec![0; gaps + length + 1],
            end: vec![0; gaps + length + 1],
        }
    }

    /// Adds the apps of a day, which is later than the one before: the visits for whose app and combination `belongs` says yes.
    pub fn add(&mut self, day: i64, apps: OfApps<'_>, mut belongs: impl FnMut(usize, u64) -> bool) {
        for part in parts(&self.edges, day) {
            let gap = u32::try_from(part.gap + 1).unwrap_or(u32::MAX);
            for (app, people) in apps {
                for (person, visits) in people.iter() {
                    let mut visits = visits.iter().filter(|visit| part.has(visit.quarter));
                    if visits.any(|visit| belongs(*app, visit.combination)) {
                        let before = std::mem::replace(self.last.get_mut(person), gap);
                        self.count(before, part.gap);
                    }
                }
            }
        }
    }

    /// A person is active in a gap: in all windows that end with it and with the `length` − 1 after it. Those that the
    /// person was counted for already are left out.
    fn count(&mut self, before: u32, gap: usize) {
        let until = gap + self.length;
        // Gap `before` − 1 reached to this window.
        let counted = usize::try_from(before)
            .ok()
            .filter(|before| *before > 0)
            .map_or(0, |before| before - 1 + self.length);
        let from = gap.max(counted);
        if from < until {
            if let Some(begin) = self.begin.get_mut(from) {
                *begin += 1;
            }
            if let Some(end) = self.end.get_mut(until) {
                *end += 1;
            }
        }
    }

    /// Persons of the window that ends with each gap, from the first one before which there are `length` − 1.
    pub fn finish(self) -> Vec<u64> {
        let gaps = self.edges.len().saturating_sub(1);
        let mut sum = 0_u64;
        let changes = self.begin.iter().zip(&self.end);
        let sums = changes.map(|(begin, end)| {
            sum = (sum + begin).saturating_sub(*end);
            sum
        });
        sums.take(gaps).skip(self.length.saturating_sub(1)).collect()
    }
}
