//! How many replicas must have what is inserted before it is acknowledged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long fewer replicas suffice once one did not answer, before all are asked again.
const DEGRADED: Duration = Duration::from_secs(10);

/// How many replicas of a shard must have an insert before it is acknowledged.
pub(super) struct Quorum {
    /// Replicas of the smallest shard.
    all: AtomicU32,
    /// Fewer, since then.
    degraded: Mutex<Option<(u32, Instant)>>,
}

impl Quorum {
    /// Of that many replicas.
    pub(super) fn of(all: u32) -> Self {
        Self {
            all: AtomicU32::new(all),
            degraded: Mutex::new(None),
        }
    }

    pub(super) fn set(&self, all: u32) {
        self.all.store(all, Ordering::Relaxed);
    }

    pub(super) fn current(&self) -> u32 {
        let all = self.all.load(Ordering::Relaxed);
        let mut degraded = self.degraded.lock();
        match *degraded {
            Some((fewer, since)) if since.elapsed() < DEGRADED => fewer.min(all),
            _ => {
                *degraded = None;
                all
            }
        }
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.current() < self.all.load(Ordering::Relaxed)
    }

    /// At least half of the replicas.
    fn least(&self) -> u32 {
        self.all.load(Ordering::Relaxed).div_ceil(2).max(1)
    }

    /// One fewer than now, if that is still enough; whether it is.
    pub(super) fn degrade(&self) -> bool {
        let fewer = self.current().saturating_sub(1);
        if fewer < self.least() {
            return false;
        }
        tracing::warn!(
            replicas = fewer,
            "a replica does not answer: fewer of them acknowledge for the moment"
        );
        *self.degraded.lock() = Some((fewer, Instant::now()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_half_of_the_replicas_acknowledge() {
        let two = Quorum::of(2);
        assert!(two.degrade());
        assert_eq!(two.current(), 1);
        assert!(!two.degrade());
        let three = Quorum::of(3);
        assert!(three.degrade());
        assert_eq!(three.current(), 2);
        assert!(!three.degrade());
        assert!(!Quorum::of(1).degrade());
    }
}
