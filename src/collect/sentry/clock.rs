//! The clock of the device that sent an envelope, as far as it can be compared with the server's.

use super::instant;
use crate::collect::scalar::Scalar;
use crate::model::{Millis, StartLimits};

/// What takes less is the way of an envelope, not a clock that is off.
const MIN_DRIFT_MILLIS: i64 = 60_000;

/// Turns times of a device into times of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The server's, and which starts it allows.
    pub(super) limits: StartLimits,
    /// By how much the server's is ahead of the device's.
    drift: Millis,
}

impl Clock {
    /// SDKs write `sent_at` right before they send, whenever an envelope was made. One that can't be read says nothing.
    pub(super) fn of(sent_at: Option<&Scalar<'_>>, limits: StartLimits) -> Self {
        let sent_at = instant("sent_at", sent_at).ok().flatten();
        let drift = sent_at.map_or(0, |sent_at| limits.now().saturating_sub(sent_at));
        let is_off = drift.unsigned_abs() >= MIN_DRIFT_MILLIS.unsigned_abs();
        let drift = if is_off { drift } else { 0 };
        Self { limits, drift }
    }

    /// The server's time of an instant of the device, which is not after the envelope arrived.
    pub(super) fn corrected(self, at: Millis) -> Millis {
        match self.drift {
            0 => at,
            drift => at.saturating_add(drift).min(self.limits.now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_704_110_400_000;

    fn corrected(sent_at: i64, at: Millis) -> Millis {
        let sent_at = Scalar::Number(sent_at.into());
        Clock::of(Some(&sent_at), NOW.into()).corrected(at)
    }

    #[test]
    fn times_are_moved_by_what_the_clock_is_off() {
        let second = NOW / 1000;
        for (sent_at, at, expected) in [
            (second - 59, NOW - 90_000, NOW - 90_000),
            (second - 60, NOW - 90_000, NOW - 30_000),
            (second - 172_800, NOW - 172_800_000 - 5_000, NOW - 5_000),
            (second + 172_800, NOW + 172_800_000 - 5_000, NOW - 5_000),
            (second + 172_800, NOW + 172_800_000 + 5_000, NOW),
            (60, 1_000, NOW - 59_000),
            (i64::MAX, i64::MIN, i64::MIN),
        ] {
            assert_eq!(corrected(sent_at, at), expected, "{sent_at} {at}");
        }
        assert_eq!(Clock::of(None, NOW.into()).corrected(NOW + 7), NOW + 7);
        let unreadable = Scalar::Text("soon".into());
        assert_eq!(Clock::of(Some(&unreadable), NOW.into()).corrected(7), 7);
    }
}
