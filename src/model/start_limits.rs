//! When a session may have started to be taken.

use std::fmt;

use super::{MAX_DURATION_MILLIS, Millis, Retention, SessionError};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 2000-01-01T00:00:00Z. What claims to be older is a clock that was never set.
const EARLIEST_START: Millis = 946_684_800_000;

/// When sessions of a workspace may start, as of one moment. Every way in makes one for each delivery, since days pass and
/// retentions change while a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartLimits {
    now: Millis,
    first_day: Option<FirstDay>,
}

impl StartLimits {
    /// Those at `now` (Unix milliseconds); without a retention sessions are taken from 2000 on.
    pub fn new(now: Millis, retention: Option<Retention>) -> Self {
        let first_day = retention.map(|retention| FirstDay {
            day: retention.first_day(now),
            retention: Some(retention),
        });
        Self { now, first_day }
    }

    /// Where days (since 1970-01-01) before this one were sealed, whatever the retention is now; 0: none was.
    #[must_use]
    pub fn after_sealing(self, sealed_before: i64) -> Self {
        let is_later = self.first_day.is_none_or(|first| first.day < sealed_before);
        let sealed = (sealed_before > 0 && is_later).then_some(FirstDay {
            day: sealed_before,
            retention: None,
        });
        Self {
            first_day: sealed.or(self.first_day),
            ..self
        }
    }

    /// The moment, in Unix milliseconds.
    pub fn now(self) -> Millis {
        self.now
    }

    /// Checks a start, in Unix milliseconds.
    ///
    /// # Errors
    /// The limit that it breaks.
    pub fn check_start(self, started_at: Millis) -> Result<(), SessionError> {
        if started_at < EARLIEST_START {
            return Err(SessionError::TooEarly);
        }
        if started_at > self.now.saturating_add(MILLIS_PER_DAY) {
            return Err(SessionError::TooLate);
        }
        self.too_old(started_at)
            .map_or(Ok(()), |first| Err(SessionError::TooOld(first)))
    }

    /// Checks the end of a session whose start is not known, in Unix milliseconds. It may be as late as the end of any session;
    /// if its own day is too old, so is that of the start.
    ///
    /// # Errors
    /// The limit that it breaks.
    pub fn check_end(self, at: Millis) -> Result<(), SessionError> {
        if at < EARLIEST_START {
            return Err(SessionError::EndsTooEarly);
        }
        if at > self.now.saturating_add(MILLIS_PER_DAY + MAX_DURATION_MILLIS) {
            return Err(SessionError::EndsTooLate);
        }
        self.too_old(at)
            .map_or(Ok(()), |first| Err(SessionError::EndsTooOld(first)))
    }

    /// The first day that is taken, where the day of an instant is an older one.
    fn too_old(self, at: Millis) -> Option<FirstDay> {
        let first = self.first_day?;
        (at.div_euclid(MILLIS_PER_DAY) < first.day).then_some(first)
    }
}

impl From<Millis> for StartLimits {
    /// Those at a moment in a workspace that keeps sessions for ever.
    fn from(now: Millis) -> Self {
        Self::new(now, None)
    }
}

/// The first UTC day of which a workspace takes sessions, and why it is that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstDay {
    /// Days since 1970-01-01.
    day: i64,
    /// `None`: the days before were sealed.
    retention: Option<Retention>,
}

impl fmt::Display for FirstDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.day.saturating_mul(MILLIS_PER_DAY)) {
            Ok(midnight) => write!(f, "{}", midnight.strftime("%F"))?,
            Err(_) => write!(f, "the day {} of Unix time", self.day)?,
        }
        match self.retention {
            Some(retention) => write!(f, " (UTC), since the workspace keeps sessions for {retention}"),
            None => f.write_str(" (UTC), since sessions of the days before were removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z
    const NOW: Millis = 1_700_000_000_000;

    #[test]
    fn each_limit_of_a_start_holds_to_the_last_value() {
        let check = |at| StartLimits::new(NOW, None).check_start(at);
        assert_eq!(check(EARLIEST_START), Ok(()));
        assert_eq!(check(EARLIEST_START - 1), Err(SessionError::TooEarly));
        assert_eq!(check(NOW + MILLIS_PER_DAY), Ok(()));
        assert_eq!(check(NOW + MILLIS_PER_DAY + 1), Err(SessionError::TooLate));
        assert_eq!(check(i64::MIN), Err(SessionError::TooEarly));
    }

    #[test]
    fn the_first_day_of_a_retention_is_taken_whole_and_the_day_before_is_not() {
        let retention = Retention::new(30);
        let limits = StartLimits::new(NOW, retention);
        // 2023-10-15T00:00:00Z
        let first = 1_697_328_000_000;
        assert_eq!(limits.check_start(first), Ok(()));
        assert_eq!(limits.check_end(first), Ok(()));
        assert_eq!(
            limits.check_start(first - 1).unwrap_err().to_string(),
            "'started_at' must not be before 2023-10-15 (UTC), since the workspace keeps sessions for 30 days"
        );
        assert_eq!(
            limits.check_end(first - 1).unwrap_err().to_string(),
            "the end of a session must not be before 2023-10-15 (UTC), since the workspace keeps sessions for 30 days"
        );
        let tomorrow = StartLimits::new(NOW + MILLIS_PER_DAY, retention);
        assert!(tomorrow.check_start(first).is_err());
        assert_eq!(tomorrow.check_start(first + MILLIS_PER_DAY), Ok(()));
    }

    #[test]
    fn days_that_were_sealed_take_nothing_whatever_the_retention_is() {
        // 2023-10-15
        let day = 19_645;
        let first = day * MILLIS_PER_DAY;
        for retention in [None, Retention::new(100)] {
            let limits = StartLimits::new(NOW, retention).after_sealing(day);
            assert_eq!(limits.check_start(first), Ok(()));
            assert_eq!(
                limits.check_start(first - 1).unwrap_err().to_string(),
                "'started_at' must not be before 2023-10-15 (UTC), since sessions of the days before were removed"
            );
        }
        let shorter = StartLimits::new(NOW, Retention::new(10)).after_sealing(day);
        assert_eq!(shorter, StartLimits::new(NOW, Retention::new(10)));
        assert_eq!(StartLimits::new(NOW, None).after_sealing(0), NOW.into());
    }

    #[test]
    fn no_retention_takes_what_is_before_2000() {
        let limits = StartLimits::new(NOW, Retention::new(Retention::MAX_DAYS));
        assert_eq!(limits.check_start(EARLIEST_START), Ok(()));
        assert_eq!(
            limits.check_start(EARLIEST_START - 1),
            Err(SessionError::TooEarly)
        );
    }
}
