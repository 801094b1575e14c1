//! How long sessions are kept one by one.

use std::fmt;

use super::Millis;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// For how many days a workspace keeps its sessions one by one. Of days that are older it keeps what was counted of them.
///
/// A session of such a day is refused from the first moment on. A day is sealed (its sessions go, its rollup is the truth from
/// then on) one day later, when whatever was accepted before has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retention(u32);

impl Retention {
    /// The longest: a hundred years.
    pub const MAX_DAYS: u32 = 36_500;

    /// 1 to [`Retention::MAX_DAYS`] days; `None` otherwise.
    pub fn new(days: u32) -> Option<Self> {
        (1..=Self::MAX_DAYS).contains(&days).then_some(Self(days))
    }

    /// How many days.
    pub fn days(self) -> u32 {
        self.0
    }

    /// The first UTC day (days since 1970-01-01) whose sessions are taken at `now`.
    pub fn first_day(self, now: Millis) -> i64 {
        now.div_euclid(MILLIS_PER_DAY) - i64::from(self.0)
    }

    /// The first UTC day that must not be sealed at `now`.
    pub fn first_unsealed_day(self, now: Millis) -> i64 {
        self.first_day(now) - 1
    }
}

impl fmt::Display for Retention {
    /// `1 day`, `30 days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 day"),
            days => write!(f, "{days} days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_refused_a_day_before_it_is_sealed() {
        let now = 20_000 * MILLIS_PER_DAY + 1;
        let retention = Retention::new(30).expect("30 days");
        assert_eq!(retention.first_day(now), 19_970);
        assert_eq!(retention.first_unsealed_day(now), 19_969);
        assert_eq!(retention.first_day(now + MILLIS_PER_DAY - 2), 19_970);
        assert_eq!(retention.first_day(now + MILLIS_PER_DAY), 19_971);
        assert_eq!(
            (Retention::new(0), Retention::new(Retention::MAX_DAYS + 1)),
            (None, None)
        );
    }
}
