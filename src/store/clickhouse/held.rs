//! Series in memory: days of an app as they were counted, everyone's sessions or those of a filter. What makes an answer a few
//! differences for each day.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::contents::Hash;
use super::counting::Origin;
use super::ids::AppDay;
use crate::model::AppId;
use crate::rollup::{Days, Quarters};

/// Memory for series, about.
const LIMIT: usize = 256 << 20;
/// Memory for what is known of a day beside its counts, about.
const BESIDE: usize = 96;
/// What was used within this time is not forgotten: somebody may be about to use it.
const IN_USE: Duration = Duration::from_secs(60);

/// Names everyone among the numbers of filters.
pub(super) const EVERYONE: u64 = 0;

#[derive(Default)]
struct Series {
    days: Days,
    /// What was counted of each day, and since when it was there.
    of: BTreeMap<u16, (Origin, Instant)>,
}

struct Slot {
    series: RwLock<Series>,
    /// Milliseconds since the store was opened.
    used: AtomicU64,
}

/// All series that are in memory, by app and number of the filter. Owned by the store.
pub(super) struct Held {
    slots: RwLock<HashMap<(AppId, u64), Arc<Slot>>>,
    opened: Instant,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            slots: RwLock::default(),
            opened: Instant::now(),
        }
    }
}

impl Held {
    fn slot(&self, app: AppId, filter: u64) -> Arc<Slot> {
        let now = self.now();
        if let Some(slot) = self.slots.read().get(&(app, filter)) {
            slot.used.store(now, Ordering::Relaxed);
            return slot.clone();
        }
        let new = || {
            Arc::new(Slot {
                series: RwLock::default(),
                used: AtomicU64::new(now),
            })
        };
        self.slots
            .write()
            .entry((app, filter))
            .or_insert_with(new)
            .clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Holds a day as it was counted.
    pub(super) fn put(
        &self,
        (app, day): AppDay,
        filter: u64,
        counted: (Origin, Instant),
        quarters: &Quarters,
    ) {
        let slot = self.slot(app, filter);
        let mut series = slot.series.write();
        // Of two counts that were made at one time the later one has more.
        if series.of.get(&day).is_some_and(|(_, begun)| *begun > counted.1) {
            return;
        }
        series.days.set(day.into(), 0, quarters);
        series.of.insert(day, counted);
    }

    /// Those of these days, with the rows that they hold, whose count is not held, nor one that was begun since then.
    pub(super) fn missing(
        &self,
        days: &BTreeMap<AppDay, Hash>,
        filter: u64,
        since: Instant,
    ) -> BTreeMap<AppDay, Hash> {
        let mut missing = BTreeMap::new();
        let mut last: Option<(AppId, Arc<Slot>)> = None;
        for (of, rows) in days {
            let slot = match &last {
                Some((app, slot)) if *app == of.0 => slot.clone(),
                _ => self.slot(of.0, filter),
            };
            let counted = slot.series.read().of.get(&of.1).copied();
            if !counted.is_some_and(|(origin, begun)| origin.is_of(*rows) || begun >= since) {
                missing.insert(*of, *rows);
            }
            last = Some((of.0, slot));
        }
        missing
    }

    /// Sessions of apps between each two edges. Days of this range that are not among those that hold rows count nothing.
    pub(super) fn count(
        &self,
        apps: &[AppId],
        days: &BTreeMap<AppDay, Hash>,
        range: std::ops::RangeInclusive<u16>,
        filter: u64,
        edges: &[i64],
    ) -> Vec<u64> {
        let mut counts = vec![0; edges.len().saturating_sub(1)];
        for app in apps {
            let slot = self.slot(*app, filter);
            let is_empty = |day: &u16| !days.contains_key(&(*app, *day));
            let emptied = |series: &Series| -> Vec<u16> {
                let days = series.of.range(range.clone()).map(|(day, _)| *day);
                days.filter(is_empty).collect()
            };
            let gone = emptied(&slot.series.read());
            if !gone.is_empty() {
                let mut series = slot.series.write();
                for day in gone {
                    series.of.remove(&day);
                    series.days.remove(day.into());
                }
            }
            slot.series.read().days.count(edges, &mut counts);
        }
        counts
    }

    /// Forgets what was not used for longest until the rest takes no more memory than it may.
    pub(super) fn shrink(&self) {
        let size = |slot: &Slot| {
            let series = slot.series.read();
            series.days.bytes() + series.of.len() * BESIDE + size_of::<Slot>()
        };
        let mut sizes: Vec<(u64, (AppId, u64), usize)> = {
            let slots = self.slots.read();
            let of = |(key, slot): (&(AppId, u64), &Arc<Slot>)| {
                (slot.used.load(Ordering::Relaxed), *key, size(slot))
            };
            slots.iter().map(of).collect()
        };
        let mut bytes: usize = sizes.iter().map(|(.., bytes)| bytes).sum();
        if bytes <= LIMIT {
            return;
        }
        sizes.sort_unstable_by_key(|(used, ..)| *used);
        let in_use = u64::try_from(IN_USE.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let mut slots = self.slots.write();
        for (used, key, size) in sizes {
            if bytes <= LIMIT || used.saturating_add(in_use) > now {
                break;
            }
            slots.remove(&key);
            bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_holds_while_the_day_holds_what_was_counted_or_for_whom_it_was_made() {
        let held = Held::default();
        let app = AppId::random();
        let rows = |rows: u64| Hash { rows, sum: rows };
        let origin = Origin {
            content: rows(4),
            rows: rows(6),
        };
        let mut quarters = [0; 96];
        quarters[3] = 4;
        let before = Instant::now();
        held.put((app, 7), EVERYONE, (origin, Instant::now()), &quarters);
        let after = Instant::now() + Duration::from_secs(1);
        let missing = |rows: Hash, since| {
            !held
                .missing(&BTreeMap::from([((app, 7), rows)]), EVERYONE, since)
                .is_empty()
        };
        assert!(!missing(rows(4), after) && !missing(rows(6), after));
        assert!(missing(rows(7), after) && !missing(rows(7), before));
        let edges = [7 * 86_400, 8 * 86_400];
        let days = BTreeMap::from([((app, 7), rows(4))]);
        assert_eq!(held.count(&[app], &days, 7..=7, EVERYONE, &edges), [4]);
        assert_eq!(held.count(&[app], &BTreeMap::new(), 7..=7, EVERYONE, &edges), [0]);
        assert!(missing(rows(4), after));
    }
}
