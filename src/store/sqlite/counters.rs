//! Quarter-hour counters in memory: what makes an answer a sum over an array.
//!
//! A series is loaded on first use. Each transaction that changes counters has a number (`meta.commit_seq`);
//! a series knows the number up to which it is complete. So the writer adds a commit to exactly those series
//! that don't have it yet, and a commit by another process, which only shows as a gap in the numbers, makes
//! a series be loaded anew instead of being wrong.

use std::collections::{HashMap, VecDeque};

use parking_lot::RwLock;

use super::cells::{Delta, SeriesNumber};

/// Seconds of a quarter hour.
pub(super) const QUARTER: i64 = 900;

/// Quarter hours in a chunk: about a month, 11 KiB.
const CHUNK: i64 = 2880;

/// Whose sessions, by ordinals of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// All apps of a workspace.
    Workspace(i64),
    /// One app.
    App(i64),
}

/// Which series: everyone's, or a segment's.
pub(super) type SeriesKey = (Owner, Option<SeriesNumber>);

/// Sessions by quarter hour, in chunks of a month; a month without sessions takes no memory.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// The number of the first chunk.
    first: i64,
    chunks: VecDeque<Option<Box<[u32]>>>,
}

impl Series {
    /// Adds `sessions` to a quarter hour (Unix seconds / 900).
    pub(super) fn add(&mut self, quarter: i64, sessions: u32) {
        let counters = self.chunk_mut(quarter.div_euclid(CHUNK));
        let at = index(quarter.rem_euclid(CHUNK));
        if let Some(counter) = counters.and_then(|counters| counters.get_mut(at)) {
            *counter = counter.saturating_add(sessions);
        }
    }

    fn chunk_mut(&mut self, number: i64) -> Option<&mut [u32]> {
        if self.chunks.is_empty() {
            self.first = number;
        }
        while number < self.first {
            self.chunks.push_front(None);
            self.first -= 1;
        }
        let at = index(number - self.first);
        if at >= self.chunks.len() {
            self.chunks.resize_with(at + 1, || None);
        }
        let chunk = self.chunks.get_mut(at)?;
        Some(chunk.get_or_insert_with(|| vec![0; index(CHUNK)].into()))
    }

    /// The sum between each two neighbouring edges (Unix seconds, ascending).
    pub(super) fn count(&self, edges: &[i64]) -> Vec<u64> {
        edges
            .windows(2)
            .map(|pair| match pair {
                [from, to] => self.sum(from.div_euclid(QUARTER), to.div_euclid(QUARTER)),
                _ => 0,
            })
            .collect()
    }

    fn sum(&self, mut from: i64, to: i64) -> u64 {
        let mut sum = 0;
        let end = self.first + i64::try_from(self.chunks.len()).unwrap_or(0);
        from = from.max(self.first * CHUNK);
        let to = to.min(end * CHUNK);
        while from < to {
            let number = from.div_euclid(CHUNK);
            let next = ((number + 1) * CHUNK).min(to);
            if let Some(Some(counters)) = self.chunks.get(index(number - self.first)) {
                let range = index(from - number * CHUNK)..index(next - number * CHUNK);
                let counters = counters.get(range).unwrap_or_default();
                sum += counters.iter().map(|sessions| u64::from(*sessions)).sum::<u64>();
            }
            from = next;
        }
        sum
    }
}

/// A place in a list; what is not negative fits.
fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[derive(Debug, Default)]
struct Loaded {
    /// The newest commit this process knows of.
    seq: i64,
    /// Each with the number of the last commit it contains.
    series: HashMap<SeriesKey, (i64, Series)>,
}

/// All series that are in memory.
#[derive(Debug, Default)]
pub(super) struct Counters(RwLock<Loaded>);

impl Counters {
    /// Counts from memory; `None` if the series isn't loaded.
    pub(super) fn count(&self, key: SeriesKey, edges: &[i64]) -> Option<Vec<u64>> {
        self.0
            .read()
            .series
            .get(&key)
            .map(|(_, series)| series.count(edges))
    }

    /// Keeps a series that was read from a state that contains commits up to `seq`, unless newer commits
    /// have been made since.
    pub(super) fn keep(&self, key: SeriesKey, seq: i64, series: Series) {
        let mut loaded = self.0.write();
        if seq >= loaded.seq {
            loaded.series.insert(key, (seq, series));
        }
    }

    /// Takes over commit `seq` of this process's writer.
    pub(super) fn apply(&self, seq: i64, deltas: &[Delta]) {
        let mut loaded = self.0.write();
        loaded.seq = loaded.seq.max(seq);
        loaded.series.retain(|_, (has, _)| *has >= seq - 1);
        for delta in deltas {
            let segments = delta
                .segments
                .iter()
                .map(|(series, sessions)| (Some(*series), *sessions));
            for (number, sessions) in std::iter::once((None, delta.sessions)).chain(segments) {
                for owner in [Owner::App(delta.app), Owner::Workspace(delta.workspace)] {
                    if let Some((has, series)) = loaded.series.get_mut(&(owner, number))
                        && *has < seq
                    {
                        series.add(delta.quarter, sessions);
                    }
                }
            }
        }
        for (has, _) in loaded.series.values_mut() {
            *has = (*has).max(seq);
        }
    }

    /// Drops the series of segments for which `is_live` says no: nobody can ask for them any more.
    pub(super) fn drop_dead(&self, is_live: impl Fn(SeriesNumber) -> bool) {
        let dead = |(_, number): &SeriesKey| number.is_some_and(|number| !is_live(number));
        if self.0.read().series.keys().any(dead) {
            self.0.write().series.retain(|key, _| !dead(key));
        }
    }

    /// The store has commits up to `seq`: series without them are loaded anew on their next use.
    pub(super) fn expire(&self, seq: i64) {
        if self.0.read().seq >= seq {
            return;
        }
        let mut loaded = self.0.write();
        loaded.seq = loaded.seq.max(seq);
        loaded.series.retain(|_, (has, _)| *has >= seq);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const APP: SeriesKey = (Owner::App(7), None);

    fn delta(quarter: i64, sessions: u32) -> Delta {
        Delta {
            workspace: 1,
            app: 7,
            quarter,
            sessions,
            segments: vec![(3, 1)],
        }
    }

    #[test]
    fn a_commit_is_added_once_whether_or_not_the_loaded_state_had_it() {
        let counters = Counters::default();
        counters.apply(1, &[delta(0, 1)]);
        let mut with_first = Series::default();
        with_first.add(0, 1);
        counters.keep(APP, 1, with_first);
        counters.apply(2, &[delta(0, 1)]);
        assert_eq!(counters.count(APP, &[0, 900]), Some(vec![2]));

        let mut with_third = Series::default();
        with_third.add(0, 3);
        counters.keep(APP, 3, with_third);
        counters.apply(3, &[delta(0, 1)]);
        assert_eq!(counters.count(APP, &[0, 900]), Some(vec![3]));
    }

    #[test]
    fn a_commit_of_another_process_makes_a_series_be_loaded_anew() {
        let counters = Counters::default();
        counters.keep(APP, 0, Series::default());
        counters.apply(2, &[delta(0, 1)]);
        assert_eq!(counters.count(APP, &[0, 900]), None);
        counters.keep(APP, 1, Series::default());
        assert_eq!(counters.count(APP, &[0, 900]), None, "read before commit 2");
        counters.keep(APP, 2, Series::default());
        counters.expire(3);
        assert_eq!(counters.count(APP, &[0, 900]), None);
    }

    #[test]
    fn a_segments_series_gets_its_own_part_of_a_commit() {
        let counters = Counters::default();
        let keys = [
            (Owner::App(7), Some(3)),
            (Owner::Workspace(1), Some(3)),
            (Owner::App(7), Some(4)),
        ];
        for key in keys {
            counters.keep(key, 0, Series::default());
        }
        counters.apply(1, &[delta(0, 5), delta(1, 5)]);
        let counts = keys.map(|key| counters.count(key, &[0, 900, 1800]));
        assert_eq!(counts, [Some(vec![1, 1]), Some(vec![1, 1]), Some(vec![0, 0])]);
        counters.drop_dead(|number| number == 4);
        assert_eq!(
            keys.map(|key| counters.count(key, &[0, 900]).is_some()),
            [false, false, true]
        );
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_plain_list(
            adds in prop::collection::vec((-9_000_i64..9_000, 1_u32..5), 0..50),
            mut edges in prop::collection::vec(-9_500_i64..9_500, 0..10),
        ) {
            edges.sort_unstable();
            let mut series = Series::default();
            for (quarter, sessions) in &adds {
                series.add(*quarter, *sessions);
            }
            let seconds: Vec<i64> = edges.iter().map(|edge| edge * QUARTER).collect();
            let naive: Vec<u64> = edges
                .windows(2)
                .map(|pair| adds.iter().filter(|(at, _)| (pair[0]..pair[1]).contains(at)).map(|(_, n)| u64::from(*n)).sum())
                .collect();
            prop_assert_eq!(series.count(&seconds), naive);
        }
    }
}
