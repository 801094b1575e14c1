//! Series in memory: what makes an answer a few differences for each day.
//!
//! A series is an app's, everyone's sessions or those of a filter. It is brought up to date by the log of commits when
//! somebody asks; the writer touches none. Everyone's has every day of its app, and so says which days there are and which
//! numbers they have; that of a filter has the days that were asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rusqlite::Connection;

use super::days;
use super::filters::{EVERYONE, KnownFilter};
use super::log::{Commit, Follows, Log};
use crate::model::AppId;
use crate::rollup::{Days, QUARTERS, Quarters};
use crate::store::StoreError;

/// New combinations for which a filter is evaluated while somebody waits; where there are more, the days that have them
/// are counted anew, by the pool.
const WHILE_WAITING: usize = 2_000;
/// How exactly it is noted when a series was used, in milliseconds.
const USE_INTERVAL: u64 = 1_000;
/// What was used within this time is forgotten last: somebody may be about to use it.
const IN_USE: Duration = Duration::from_secs(10);

/// A series and how far it follows the log.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The place in the log behind what it contains.
    place: u64,
    /// Whether everyone's was read from the store.
    is_loaded: bool,
    /// Days of everyone's that are to be read again.
    stale: BTreeSet<i64>,
    pub(super) days: Days,
}

/// A place for a series.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) held: RwLock<Held>,
    /// Milliseconds since the store was opened, to about a second.
    used: AtomicU64,
}

impl Slot {
    /// Notes the use, but not for every request: what is written is no longer in the other processors' caches.
    fn note_use(&self, now: u64) {
        if now.saturating_sub(self.used.load(Ordering::Relaxed)) > USE_INTERVAL {
            self.used.store(now, Ordering::Relaxed);
        }
    }
}

/// Whether a series is up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Current {
    Yes,
    /// The store has to be read for that.
    NotWithoutReading,
}

/// All series that are in memory, by app and number of the filter. Owned by the store.
#[derive(Debug)]
pub(super) struct Cache {
    slots: RwLock<HashMap<(i64, u64), Arc<Slot>>>,
    opened: Instant,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            slots: RwLock::default(),
            opened: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Everyone's sessions of apps between each two neighbouring edges, with every commit that was acknowledged before this was
    /// called; `None`: the store has to be read for that.
    pub(super) fn count_everyone(
        &self,
        log: &Log,
        apps: &[(i64, AppId)],
        edges: &[i64],
        connection: Option<&Connection>,
    ) -> Result<Option<Vec<u64>>, StoreError> {
        if let Some(counts) = self.count_what_is_current(log, apps, edges) {
            return Ok(Some(counts));
        }
        let mut counts = no_counts(edges);
        for (app, _) in apps {
            let (everyone, current) = self.everyone(log, *app, connection)?;
            if current == Current::NotWithoutReading {
                return Ok(None);
            }
            everyone.held.read().days.count(edges, &mut counts);
        }
        Ok(Some(counts))
    }

    /// The same where all of them are in memory and up to date, which is what most requests ask for: each lock is taken once, and
    /// nothing is written that others read.
    fn count_what_is_current(&self, log: &Log, apps: &[(i64, AppId)], edges: &[i64]) -> Option<Vec<u64>> {
        let mut counts = no_counts(edges);
        let now = self.now();
        let slots = self.slots.read();
        for (app, _) in apps {
            let slot = slots.get(&(*app, EVERYONE))?;
            slot.note_use(now);
            let held = slot.held.read();
            if !held.is_current(log) {
                return None;
            }
            held.days.count(edges, &mut counts);
        }
        Some(counts)
    }

    /// The place of a series. A new one follows the log from `place` on.
    pub(super) fn slot(&self, app: i64, filter: u64, place: u64) -> Arc<Slot> {
        let now = self.now();
        if let Some(slot) = self.slots.read().get(&(app, filter)) {
            slot.note_use(now);
            return slot.clone();
        }
        let new = || {
            Arc::new(Slot {
                held: RwLock::new(Held {
                    place,
                    ..Held::default()
                }),
                used: AtomicU64::new(now),
            })
        };
        self.slots
            .write()
            .entry((app, filter))
            .or_insert_with(new)
            .clone()
    }

    /// Forgets what was not used for longest until the rest takes no more than three quarters of this memory, or all of it
    /// where that is in use.
    pub(super) fn shrink_to(&self, limit: usize) {
        let unused_limit = limit / 4 * 3;
        let now = self.now();
        let mut sizes: Vec<(u64, (i64, u64), usize)> = {
            let slots = self.slots.read();
            let size = |(key, slot): (&(i64, u64), &Arc<Slot>)| {
                let bytes = slot.held.read().days.bytes() + size_of::<Slot>();
                (slot.used.load(Ordering::Relaxed), *key, bytes)
            };
            slots.iter().map(size).collect()
        };
        let mut bytes: usize = sizes.iter().map(|(.., bytes)| bytes).sum();
        if bytes <= unused_limit {
            return;
        }
        sizes.sort_unstable();
        let in_use = u64::try_from(IN_USE.as_millis()).unwrap_or(u64::MAX);
        let mut slots = self.slots.write();
        for (used, key, size) in sizes {
            let is_in_use = used.saturating_add(in_use) > now;
            if bytes <= if is_in_use { limit } else { unused_limit } {
                break;
            }
            slots.remove(&key);
            bytes -= size;
        }
    }

    /// Everyone's series of an app, with every commit that was acknowledged before this was called.
    pub(super) fn everyone(
        &self,
        log: &Log,
        app: i64,
        connection: Option<&Connection>,
    ) -> Result<(Arc<Slot>, Current), StoreError> {
        let slot = self.slot(app, EVERYONE, 0);
        let is_current = slot.held.read().is_current(log);
        if is_current {
            return Ok((slot, Current::Yes));
        }
        let current = slot.held.write().follow(log, app, connection)?;
        Ok((slot, current))
    }

    /// The series of a filter; which of its days are up to date their numbers say.
    pub(super) fn of_filter(
        &self,
        log: &Log,
        app: (i64, AppId),
        filter: &KnownFilter,
        connection: Option<&Connection>,
    ) -> Result<(Arc<Slot>, Current), StoreError> {
        let slot = self.slot(app.0, filter.number, log.head());
        if slot.held.read().place == log.head() {
            return Ok((slot, Current::Yes));
        }
        let current = slot.held.write().follow_filtered(log, app, filter, connection)?;
        Ok((slot, current))
    }
}

impl Held {
    /// Whether everyone's has all that the log has.
    fn is_current(&self, log: &Log) -> bool {
        self.is_loaded && self.stale.is_empty() && self.place == log.head()
    }

    fn follow(
        &mut self,
        log: &Log,
        app: i64,
        connection: Option<&Connection>,
    ) -> Result<Current, StoreError> {
        if self.is_loaded {
            match log.since(self.place, app) {
                Some((commits, head)) => {
                    commits.iter().for_each(|commit| self.add(commit));
                    self.place = head;
                }
                None => self.is_loaded = false,
            }
        }
        if self.is_loaded && self.stale.is_empty() {
            return Ok(Current::Yes);
        }
        let Some(connection) = connection else {
            return Ok(Current::NotWithoutReading);
        };
        if self.is_loaded {
            self.read_stale(app, connection)?
        } else {
            self.load(log, app, connection)?
        }
        Ok(Current::Yes)
    }

    fn add(&mut self, commit: &Commit) {
        let (_, day) = commit.of;
        match commit.follows(self.days.version(day).unwrap_or_default()) {
            Follows::Contained => {}
            Follows::Next if !self.stale.contains(&day) => {
                self.days.add(day, commit.after, &quarters(commit, |_| true));
            }
            Follows::Next | Follows::Broken => _ = self.stale.insert(day),
        }
    }

    /// All days, as one statement sees them. Commits that come meanwhile stand behind the place in the log.
    fn load(&mut self, log: &Log, app: i64, connection: &Connection) -> Result<(), StoreError> {
        let place = log.head();
        let mut days = Days::default();
        days::each_of_app(connection, app, |row| days.set(row.day, row.seq, &row.totals.0))?;
        *self = Self {
            place,
            is_loaded: true,
            stale: BTreeSet::new(),
            days,
        };
        Ok(())
    }

    fn read_stale(&mut self, app: i64, connection: &Connection) -> Result<(), StoreError> {
        while let Some(day) = self.stale.first().copied() {
            match days::get(connection, (app, day))? {
                Some(row) => self.days.set(day, row.seq, &row.totals.0),
                None => self.days.remove(day),
            }
            self.stale.remove(&day);
        }
        Ok(())
    }

    fn follow_filtered(
        &mut self,
        log: &Log,
        app: (i64, AppId),
        filter: &KnownFilter,
        connection: Option<&Connection>,
    ) -> Result<Current, StoreError> {
        let Some((commits, head)) = log.since(self.place, app.0) else {
            // Days that have changed meanwhile have other numbers.
            self.place = log.head();
            return Ok(Current::Yes);
        };
        let is_held = |commit: &&Arc<Commit>| self.days.version(commit.of.1).is_some();
        let cells = commits.iter().filter(is_held).flat_map(|commit| &commit.cells);
        let mut unknown = filter.unknown(app.0, cells.map(|cell| number(cell.combination)));
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            let Some(connection) = connection else {
                return Ok(Current::NotWithoutReading);
            };
            if unknown.len() <= WHILE_WAITING {
                filter.evaluate(connection, app, &unknown, || false)?;
            }
        }
        commits
            .iter()
            .for_each(|commit| self.add_filtered(app.0, filter, commit));
        self.place = head;
        Ok(Current::Yes)
    }

    /// Takes over a commit into a day that is held, or no longer holds the day.
    fn add_filtered(&mut self, app: i64, filter: &KnownFilter, commit: &Commit) {
        let (_, day) = commit.of;
        let Some(version) = self.days.version(day) else {
            return;
        };
        let counts = match commit.follows(version) {
            Follows::Contained => return,
            Follows::Next => filtered(app, filter, commit),
            Follows::Broken => None,
        };
        match counts {
            Some(counts) => self.days.add(day, commit.after, &counts),
            None => self.days.remove(day),
        }
    }

    /// Holds a day of a filter as it was counted in a state with this number. `place` is the end of the log before that
    /// state was read.
    pub(super) fn put(
        &mut self,
        log: &Log,
        (app, day): (i64, i64),
        filter: &KnownFilter,
        counted: (i64, &Quarters),
        place: u64,
    ) {
        if self.days.version(day).is_some_and(|version| version >= counted.0) {
            return;
        }
        self.days.set(day, counted.0, counted.1);
        let commits = log.since(place, app).map(|(commits, _)| commits);
        for commit in commits.iter().flatten().filter(|commit| commit.of.1 == day) {
            self.add_filtered(app, filter, commit);
        }
    }
}

/// A place for the sessions between each two neighbouring edges.
pub(super) fn no_counts(edges: &[i64]) -> Vec<u64> {
    vec![0; edges.len().saturating_sub(1)]
}

/// Combinations are numbered from 1.
fn number(combination: i64) -> u64 {
    u64::try_from(combination).unwrap_or_default()
}

/// The sessions that a commit added, of the cells for which `belongs` says yes.
fn quarters(commit: &Commit, belongs: impl Fn(i64) -> bool) -> Quarters {
    let mut quarters = [0; QUARTERS];
    for cell in commit.cells.iter().filter(|cell| belongs(cell.combination)) {
        if let Some(quarter) = quarters.get_mut(usize::from(cell.quarter)) {
            *quarter += cell.sessions;
        }
    }
    quarters
}

/// The same of a filter; `None` where it was not evaluated for all of them.
fn filtered(app: i64, filter: &KnownFilter, commit: &Commit) -> Option<Quarters> {
    filter.with(app, |bitmap| {
        let known = |combination| bitmap.get(number(combination));
        let all = commit.cells.iter().all(|cell| known(cell.combination).is_some());
        all.then(|| quarters(commit, |combination| known(combination) == Some(true)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_whatever_is_in_use() {
        let cache = Cache::new();
        let bytes = |cache: &Cache| -> usize {
            let slots = cache.slots.read();
            slots.values().map(|slot| slot.held.read().days.bytes()).sum()
        };
        for filter in 0..20 {
            let slot = cache.slot(1, filter, 0);
            for day in 0..100 {
                slot.held.write().days.set(day, 1, &[1; QUARTERS]);
            }
        }
        let all = bytes(&cache);
        cache.shrink_to(all * 2);
        assert_eq!(bytes(&cache), all);
        // All of it is in use, since it is new.
        cache.shrink_to(all / 2);
        let left = bytes(&cache);
        assert!(left > all / 4 && left <= all / 2, "{left} of {all}");
        // The one that was used last stays.
        cache.slot(1, 3, 0).used.store(u64::MAX, Ordering::Relaxed);
        cache.shrink_to(all / 10);
        assert!(cache.slots.read().contains_key(&(1, 3)));
    }
}
