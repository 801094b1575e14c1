//! The commits of late, in memory: what brings up to date whatever is held of days.
//!
//! Whatever is held of a day carries the number (`days.seq`) of the commit that it contains. Each commit names the number
//! that the day had *before* and the one that it has *after*: it is added where the number before is the one that is held,
//! it is passed over where the number after is not greater, and everywhere else something is missing in between (another
//! process wrote, or the log was too short), so that this day is read again. See [`Commit::follows`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::days::AppDay;

/// Commits that are remembered; one is a day of an app in a transaction.
const COMMITS: usize = 50_000;
/// Cells of all of them, 16 bytes each.
const CELLS: usize = 500_000;
/// How long a day must not have changed to be quiet.
const QUIET: Duration = Duration::from_secs(60);

/// New sessions with one combination of properties in a quarter hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) combination: i64,
    /// Of the day.
    pub(super) quarter: u8,
    pub(super) sessions: u32,
}

/// What one transaction did to a day.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) of: AppDay,
    /// The day's number before; `None` where another process made the commit, so that nobody here knows.
    pub(super) before: Option<i64>,
    pub(super) after: i64,
    /// Sessions that it added.
    pub(super) cells: Box<[Cell]>,
}

/// What a commit means to whoever holds the day with some number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// It is contained already.
    Contained,
    /// It is the next: its cells are to be added.
    Next,
    /// Something is missing in between: the day is to be read again.
    Broken,
}

impl Commit {
    /// What this commit means to whoever holds its day with this number, 0 where it has had no sessions.
    pub(super) fn follows(&self, held: i64) -> Follows {
        if self.after <= held {
            return Follows::Contained;
        }
        if self.before == Some(held) {
            Follows::Next
        } else {
            Follows::Broken
        }
    }
}

/// See the module. Owned by the store.
#[derive(Debug)]
pub(super) struct Log {
    /// The number of entries that there ever were: whoever has seen as many is up to date.
    head: AtomicU64,
    entries: Mutex<Entries>,
    /// Held from a commit of this process until it is in the log, and while somebody looks for commits of others.
    order: Mutex<()>,
    limits: Limits,
}

/// How much is remembered, and for how long a day must not have changed to be quiet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) commits: usize,
    pub(super) cells: usize,
    pub(super) quiet: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commits: COMMITS,
            cells: CELLS,
            quiet: QUIET,
        }
    }
}

#[derive(Debug)]
struct Entries {
    /// The number of the first entry that is still there.
    first: u64,
    commits: VecDeque<Arc<Commit>>,
    cells: usize,
    /// Every commit of the store up to this one is, or was, in the log.
    complete_to: i64,
    /// When days changed, those of the last minute.
    changed: HashMap<AppDay, Instant>,
    swept: Instant,
}

impl Log {
    /// `seq` is the newest commit that the store has.
    pub(super) fn new(seq: i64, limits: Limits) -> Self {
        Self {
            head: AtomicU64::new(0),
            entries: Mutex::new(Entries {
                first: 0,
                commits: VecDeque::new(),
                cells: 0,
                complete_to: seq,
                changed: HashMap::new(),
                swept: Instant::now(),
            }),
            order: Mutex::default(),
            limits,
        }
    }

    /// Whoever holds this sees no commit of this process in the store that is not in the log.
    pub(super) fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock()
    }

    /// Where the log ends now.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// The newest commit up to which nothing is missing.
    pub(super) fn complete_to(&self) -> i64 {
        self.entries.lock().complete_to
    }

    /// Adds what a transaction of this process did, before anybody is told that it is done.
    pub(super) fn append(&self, seq: i64, commits: Vec<Commit>) {
        let mut entries = self.entries.lock();
        if entries.complete_to + 1 == seq {
            entries.complete_to = seq;
        }
        self.push(&mut entries, commits);
    }

    /// Adds what other processes did, as it was found in a state whose newest commit is `newest`.
    pub(super) fn notice(&self, changed: Vec<(AppDay, i64)>, newest: i64) {
        let mut entries = self.entries.lock();
        entries.complete_to = entries.complete_to.max(newest);
        let commits = changed.into_iter().map(|(of, after)| Commit {
            of,
            before: None,
            after,
            cells: Box::default(),
        });
        self.push(&mut entries, commits.collect());
    }

    fn push(&self, entries: &mut Entries, commits: Vec<Commit>) {
        let now = Instant::now();
        if now.duration_since(entries.swept) > self.limits.quiet {
            let quiet = self.limits.quiet;
            entries.changed.retain(|_, at| now.duration_since(*at) <= quiet);
            entries.swept = now;
        }
        for commit in commits {
            entries.changed.insert(commit.of, now);
            entries.cells += commit.cells.len();
            entries.commits.push_back(Arc::new(commit));
        }
        while entries.commits.len() > self.limits.commits || entries.cells > self.limits.cells {
            let Some(oldest) = entries.commits.pop_front() else {
                break;
            };
            entries.cells -= oldest.cells.len();
            entries.first += 1;
        }
        let head = entries.first + entries.commits.len() as u64;
        self.head.store(head, Ordering::Release);
    }

    /// The commits of an app behind a place in the log, and where the log ends now; `None` where some of them are
    /// forgotten.
    pub(super) fn since(&self, place: u64, app: i64) -> Option<(Vec<Arc<Commit>>, u64)> {
        let entries = self.entries.lock();
        let skipped = usize::try_from(place.checked_sub(entries.first)?).ok()?;
        let commits = entries.commits.iter().skip(skipped);
        let commits = commits.filter(|commit| commit.of.0 == app).cloned().collect();
        Some((commits, entries.first + entries.commits.len() as u64))
    }

    /// Whether a day has not changed for a while, as far as this process has seen.
    pub(super) fn is_quiet(&self, of: AppDay) -> bool {
        let entries = self.entries.lock();
        entries
            .changed
            .get(&of)
            .is_none_or(|at| at.elapsed() > self.limits.quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(app: i64, before: i64, after: i64) -> Commit {
        Commit {
            of: (app, 7),
            before: Some(before),
            after,
            cells: Box::default(),
        }
    }

    #[test]
    fn a_commit_is_added_to_what_it_followed_and_to_nothing_else() {
        let own = commit(1, 3, 5);
        for (held, means) in [
            (0, Follows::Broken),
            (2, Follows::Broken),
            (3, Follows::Next),
            (4, Follows::Broken),
            (5, Follows::Contained),
            (6, Follows::Contained),
        ] {
            assert_eq!(own.follows(held), means, "{held}");
        }
        let first = commit(1, 0, 5);
        assert_eq!(first.follows(0), Follows::Next);
        let foreign = Commit { before: None, ..own };
        assert_eq!(foreign.follows(3), Follows::Broken);
        assert_eq!(foreign.follows(5), Follows::Contained);
    }

    #[test]
    fn what_is_forgotten_is_not_passed_over_in_silence() {
        let limits = Limits {
            commits: 2,
            ..Limits::default()
        };
        let log = Log::new(10, limits);
        log.append(11, vec![commit(1, 0, 11)]);
        assert_eq!((log.head(), log.complete_to()), (1, 11));
        log.append(12, vec![commit(2, 0, 12), commit(1, 11, 12)]);
        assert!(log.since(0, 1).is_none());
        let (commits, head) = log.since(1, 1).unwrap();
        assert_eq!((commits.len(), head), (1, 3));
        assert_eq!(log.since(3, 1).unwrap().0.len(), 0);
        // Another process made 13.
        log.append(14, vec![commit(1, 12, 14)]);
        assert_eq!(log.complete_to(), 12);
        log.notice(vec![((3, 7), 13), ((1, 7), 14)], 14);
        assert_eq!((log.head(), log.complete_to()), (6, 14));
        assert!(!log.is_quiet((3, 7)) && log.is_quiet((3, 8)));
    }
}
