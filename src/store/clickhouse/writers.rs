//! What processes have said of one day: that they are about to write to it, and that they have.

use std::time::{Duration, Instant};

/// A process's number is even; the odd one after it says that what the process announced is written.
const DONE: u64 = 1;

/// The number of a process.
pub(super) fn number(random: u64) -> u64 {
    random & !DONE
}

/// What stands in the place of a process's number where it is done.
pub(super) fn done(writer: u64) -> u64 {
    writer | DONE
}

/// The processes that lately wrote to a day.
#[derive(Debug, Default)]
pub(super) struct Writers {
    version: u64,
    /// When anything new was learned.
    news: Option<Instant>,
    of: Vec<Writer>,
}

/// Times in Unix seconds.
#[derive(Debug)]
struct Writer {
    number: u64,
    /// When it last announced.
    announced: u32,
    /// What it announced until then is written.
    done: u32,
}

impl Writers {
    /// Notes what a process has said; known things may be said again, in any order.
    pub(super) fn note(&mut self, writer: u64, at: u32) {
        let number = number(writer);
        let place = self.of.iter().position(|writer| writer.number == number);
        let place = place.unwrap_or_else(|| {
            self.of.push(Writer {
                number,
                announced: 0,
                done: 0,
            });
            self.of.len() - 1
        });
        let Some(known) = self.of.get_mut(place) else {
            return;
        };
        let latest = match writer == number {
            true => &mut known.announced,
            false => &mut known.done,
        };
        if at > *latest {
            *latest = at;
            self.news = Some(Instant::now());
            self.version += u64::from(writer == number);
        }
    }

    /// Forgets who said nothing since a time.
    pub(super) fn forget_before(&mut self, oldest: u32) {
        self.of
            .retain(|writer| writer.announced.max(writer.done) >= oldest);
    }

    /// Whether nothing new was learned for so long.
    pub(super) fn are_quiet_for(&self, duration: Duration) -> bool {
        self.news.is_none_or(|news| news.elapsed() >= duration)
    }

    /// Grows with every announcement.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whether all have written what they announced, those excepted whose announcements are older than `oldest`. `changed`:
    /// when the day was last announced by anybody, who may not be known yet.
    pub(super) fn are_done(&self, changed: u32, oldest: u32) -> bool {
        let is_done = |writer: &Writer| writer.done >= writer.announced || writer.announced < oldest;
        self.of.iter().any(|writer| writer.announced >= changed) && self.of.iter().all(is_done)
    }

    /// When a process last announced; 0: not lately.
    pub(super) fn latest_of(&self, writer: u64) -> u32 {
        let own = self.of.iter().find(|own| own.number == writer);
        own.map_or(0, |own| own.announced)
    }

    /// When others than this process last announced; 0: not lately.
    pub(super) fn latest_but(&self, writer: u64) -> u32 {
        let others = self.of.iter().filter(|other| other.number != writer);
        others.map(|other| other.announced).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 10;
    const TWO: u64 = 20;

    #[test]
    fn a_day_is_settled_once_all_who_announced_are_done() {
        let mut writers = Writers::default();
        assert!(!writers.are_done(0, 0), "nobody is known");
        writers.note(ONE, 100);
        assert!(!writers.are_done(100, 40));
        writers.note(done(ONE), 100);
        assert!(writers.are_done(100, 40));
        assert!(
            !writers.are_done(101, 40),
            "somebody announced who is not known yet"
        );
        let version = writers.version();
        // At the same second.
        writers.note(TWO, 100);
        assert!(!writers.are_done(100, 40) && writers.version() > version);
        // Again, and what came before the announcement.
        writers.note(ONE, 103);
        writers.note(done(ONE), 100);
        writers.note(done(TWO), 100);
        assert!(!writers.are_done(103, 40));
        writers.note(done(ONE), 103);
        assert!(writers.are_done(103, 40));
        assert_eq!((writers.latest_but(ONE), writers.latest_but(TWO)), (100, 103));
        assert_eq!((writers.latest_of(ONE), writers.latest_of(TWO)), (103, 100));
        assert_eq!(writers.latest_of(30), 0);
        assert!(!writers.are_quiet_for(Duration::from_secs(3_600)));
    }

    #[test]
    fn who_said_nothing_for_long_is_forgotten_and_the_version_stays() {
        let mut writers = Writers::default();
        writers.note(ONE, 100);
        writers.note(TWO, 200);
        writers.note(done(TWO), 200);
        let version = writers.version();
        writers.forget_before(150);
        assert_eq!((writers.latest_of(ONE), writers.latest_of(TWO)), (0, 200));
        assert_eq!(writers.version(), version);
    }

    #[test]
    fn who_died_is_waited_for_no_longer_than_the_closing_time() {
        let mut writers = Writers::default();
        writers.note(ONE, 100);
        writers.note(TWO, 150);
        writers.note(done(TWO), 150);
        assert!(!writers.are_done(150, 100));
        assert!(writers.are_done(150, 101));
    }

    #[test]
    fn what_is_known_changes_nothing() {
        let mut writers = Writers::default();
        // The answer may come before the question.
        writers.note(done(ONE), 100);
        assert!(!writers.are_done(100, 40));
        writers.note(ONE, 100);
        let version = writers.version();
        writers.note(ONE, 100);
        writers.note(ONE, 99);
        writers.note(done(ONE), 99);
        assert!(writers.are_done(100, 40) && writers.version() == version);
    }
}
