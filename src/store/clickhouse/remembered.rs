//! What this process remembers of recorded sessions, in bounded memory.
//!
//! Sessions that it has recorded lately are remembered with their starts. Some days are remembered whole: as long as no
//! other process writes to such a day, what is not among its sessions was never recorded.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use parking_lot::Mutex;
use siphasher::sip::SipHasher24;

use super::days::AppDay;
use super::known::{Key, Known};
use crate::store::recent::{AsItIs, Recent};

/// Sessions of whole days that are remembered, 6 to 11 bytes each.
pub(super) const CAPACITY: u64 = 8_000_000;

/// Owned by the store.
pub(super) struct Remembered {
    recent: Mutex<Recent<Known>>,
    days: Mutex<WholeDays>,
    /// Seconds.
    close_after: u32,
}

#[derive(Default)]
struct WholeDays {
    of: HashMap<AppDay, WholeDay>,
    /// Days that this process has written to, or remembered, ever since it began.
    begun: HashSet<AppDay>,
    /// Marks in all days.
    marks: u64,
    /// Grows with every use.
    clock: u64,
    /// Sessions of other days that the server was asked for.
    asked: HashMap<AppDay, u64>,
}

/// All sessions of a day.
struct WholeDay {
    /// 32 bits of a hash of each: who is not among them is new, who is among them may be new.
    marks: HashSet<u32, BuildHasherDefault<AsItIs>>,
    /// What other processes announced before, in Unix seconds, was written before the day was read.
    read: u32,
    used: u64,
}

impl Remembered {
    /// `close_after`: seconds after which nothing that was announced is on its way any more.
    pub(super) fn new(close_after: u32) -> Self {
        Self {
            recent: Mutex::default(),
            days: Mutex::default(),
            close_after,
        }
    }

    /// A session that was recorded, or is about to be, if it was seen lately.
    pub(super) fn session(&self, key: &Key<'_>) -> Option<Known> {
        self.recent.lock().get(key)
    }

    /// From now on this is known of sessions that are being recorded.
    pub(super) fn expect<'a>(&self, sessions: impl Iterator<Item = (Key<'a>, Known)>) {
        let (mut recent, mut days) = (self.recent.lock(), self.days.lock());
        for (key, session) in sessions {
            recent.set(key, session);
            days.add((key.0, key.1), mark(&key));
        }
    }

    /// Recording failed: what was expected may not be there. That it may be there is remembered.
    pub(super) fn forget_sessions(&self) {
        self.recent.lock().clear();
    }

    /// Whether a session was certainly never recorded. `others`: when other processes last announced its day.
    pub(super) fn lacks(&self, key: &Key<'_>, others: u32) -> bool {
        let mark = mark(key);
        let days = &mut *self.days.lock();
        let Some(day) = days.of.get_mut(&(key.0, key.1)) else {
            return false;
        };
        if others >= day.read {
            days.forget((key.0, key.1));
            return false;
        }
        days.clock += 1;
        day.used = days.clock;
        !day.marks.contains(&mark)
    }

    /// Remembers a day that nobody ever wrote to, as far as is known at `now` (Unix seconds).
    pub(super) fn begin(&self, day: AppDay, now: u32) {
        let mut days = self.days.lock();
        // What is being written to it at this moment must not be forgotten.
        if !days.begun.contains(&day) {
            days.insert(day, now.saturating_sub(self.close_after));
        }
    }

    /// Remembers a whole day, as it was read at `now` (Unix seconds): the marks of its sessions. Whether it could be read
    /// then is what [`Remembered::is_readable`] says.
    pub(super) fn remember(&self, day: AppDay, now: u32, marks: Vec<u32>) {
        let mut days = self.days.lock();
        days.asked.remove(&day);
        days.forget(day);
        days.insert(day, now.saturating_sub(self.close_after));
        for mark in marks {
            days.add(day, mark);
        }
    }

    /// Whether all sessions of a day can be read now, or another process may be writing some.
    pub(super) fn is_readable(&self, others: u32, now: u32) -> bool {
        others < now.saturating_sub(self.close_after)
    }

    /// Notes that the server was asked for sessions of a day.
    pub(super) fn was_asked(&self, day: AppDay, sessions: u64) {
        *self.days.lock().asked.entry(day).or_default() += sessions;
    }

    /// Counts from 0 again how many sessions of a day the server was asked for.
    pub(super) fn put_off(&self, day: AppDay) {
        self.days.lock().asked.remove(&day);
    }

    /// How many sessions of a day the server was asked for.
    pub(super) fn asked(&self, day: AppDay) -> u64 {
        self.days.lock().asked.get(&day).copied().unwrap_or_default()
    }
}

/// Half of the hash that the server calls `sipHash64`. Who chooses ids with equal marks makes the server be asked.
fn mark(key: &Key<'_>) -> u32 {
    // Of one app and day no two are compared with those of another: the id is enough.
    u32::try_from(SipHasher24::new().hash(key.2.as_bytes()) >> 32).unwrap_or_default()
}

/// The same in SQL.
pub(super) const MARK: &str = "toUInt32(bitShiftRight(sipHash64(session_id), 32))";

impl WholeDays {
    fn insert(&mut self, day: AppDay, read: u32) {
        self.clock += 1;
        let whole = WholeDay {
            marks: HashSet::default(),
            read,
            used: self.clock,
        };
        self.of.insert(day, whole);
        self.begun.insert(day);
    }

    /// A session is being written.
    fn add(&mut self, day: AppDay, mark: u32) {
        self.begun.insert(day);
        let Some(whole) = self.of.get_mut(&day) else {
            return;
        };
        if whole.marks.insert(mark) {
            self.marks += 1;
        }
        while self.marks > CAPACITY {
            let Some(oldest) = self
                .of
                .iter()
                .min_by_key(|(_, day)| day.used)
                .map(|(day, _)| *day)
            else {
                return;
            };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, day: AppDay) {
        if let Some(whole) = self.of.remove(&day) {
            self.marks = self.marks.saturating_sub(whole.marks.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppId;

    const NEW: Known = Known {
        start: 0,
        duration: -1,
    };

    fn day(number: u16) -> AppDay {
        (
            "00dc3cf6-1763-5d5b-8264-db458aa346c3".parse::<AppId>().unwrap(),
            number,
        )
    }

    fn key<'a>(day: AppDay, id: &'a str) -> Key<'a> {
        (day.0, day.1, id)
    }

    #[test]
    fn a_session_is_new_only_where_the_whole_day_is_remembered() {
        let remembered = Remembered::new(60);
        let (one, two) = (day(1), day(2));
        assert!(!remembered.lacks(&key(one, "a"), 0));
        remembered.begin(one, 1_000);
        remembered.expect(std::iter::once((key(one, "a"), NEW)));
        assert!(!remembered.lacks(&key(one, "a"), 0));
        assert!(remembered.lacks(&key(one, "b"), 0));
        assert!(!remembered.lacks(&key(two, "b"), 0));
        // It may be there although it was not written, and it is remembered no longer.
        remembered.forget_sessions();
        assert!(remembered.session(&key(one, "a")).is_none());
        assert!(!remembered.lacks(&key(one, "a"), 0));
        // What another process announced long before does no harm; later it does, for good.
        assert!(remembered.lacks(&key(one, "b"), 939));
        assert!(!remembered.lacks(&key(one, "b"), 940));
        assert!(!remembered.lacks(&key(one, "b"), 0));
        remembered.begin(one, 2_000);
        assert!(!remembered.lacks(&key(one, "b"), 0), "it was written to");
        remembered.remember(one, 2_000, vec![mark(&key(one, "a"))]);
        assert!(remembered.lacks(&key(one, "b"), 1_000));
        assert!(!remembered.lacks(&key(one, "a"), 1_000));
        assert!(remembered.is_readable(1_939, 2_000) && !remembered.is_readable(1_940, 2_000));
    }

    #[test]
    fn a_mark_is_what_the_server_makes_of_an_id() {
        // SELECT toUInt32(bitShiftRight(sipHash64('abc'), 32))
        assert_eq!(mark(&key(day(1), "abc")), 1_070_105_750);
    }

    #[test]
    fn a_day_that_is_being_written_to_does_not_begin() {
        let remembered = Remembered::new(60);
        remembered.expect(std::iter::once((key(day(1), "a"), NEW)));
        remembered.begin(day(1), 1_000);
        assert!(!remembered.lacks(&key(day(1), "b"), 0));
    }

    #[test]
    fn memory_is_bounded_and_days_in_use_stay() {
        let mut days = WholeDays::default();
        let capacity = u32::try_from(CAPACITY).unwrap();
        days.insert(day(1), 0);
        for mark in 0..capacity {
            days.add(day(1), mark);
        }
        assert!(days.of.contains_key(&day(1)));
        days.insert(day(2), 0);
        days.add(day(2), 0);
        assert_eq!(
            (days.of.len(), days.marks),
            (1, 1),
            "the one that was used last stays"
        );
        days.add(day(1), 5);
        assert_eq!(days.marks, 1);
    }
}
