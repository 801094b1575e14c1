//! The server's clock, which says who delivered a session first: those of the machines that record may differ.
//!
//! All versions of the server tell their time in whole seconds. Each answer bounds the difference to the clock of this
//! machine, and what several answers have in common is narrower than a second soon.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::engine::Engine;
use crate::store::StoreError;

/// How old an answer may be that a time is derived from.
const FRESH: Duration = Duration::from_secs(10);
/// How much two clocks drift apart, in millionths.
const DRIFT: i64 = 200;
const SECOND: i64 = 1_000_000;
/// Low bits of a precedence that are random, so that no two batches have the same.
const RANDOM_BITS: u32 = 12;

/// What is known of the server's clock. Owned by the store.
#[derive(Default)]
pub(super) struct Clock(Mutex<State>);

#[derive(Default)]
struct State {
    known: Option<Bounds>,
    /// The last time that was given, in microseconds: none is given twice.
    last: u64,
}

/// Between which differences (server minus this machine, in microseconds) the clocks are, and when that was learned.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: i64,
    high: i64,
    wall: i64,
    at: Instant,
}

impl Bounds {
    /// The server said `second` at some moment between `sent` and `received`, by the clock of this machine.
    fn learned(second: u32, sent: i64, received: i64) -> Self {
        let second = i64::from(second) * SECOND;
        Self {
            low: second - received,
            high: second + SECOND - sent,
            wall: received,
            at: Instant::now(),
        }
    }

    /// What an earlier answer and this one have in common; this one alone where a clock was set meanwhile.
    fn narrowed_by(self, earlier: Self) -> Self {
        let drift = (self.wall - earlier.wall).abs() / SECOND * DRIFT + DRIFT;
        let low = self.low.max(earlier.low - drift);
        let high = self.high.min(earlier.high + drift);
        if low > high {
            return self;
        }
        Self { low, high, ..self }
    }

    /// Whether it still tells the time, as far as both clocks of this machine say: the one may have been set, and the other
    /// stands still while the machine does.
    fn is_fresh(&self, wall: i64) -> bool {
        let fresh = i64::try_from(FRESH.as_micros()).unwrap_or(i64::MAX);
        self.at.elapsed() < FRESH && (0..fresh).contains(&(wall - self.wall))
    }
}

impl Clock {
    /// Asks the server for its time.
    pub(super) async fn look(&self, engine: &Engine) -> Result<(), StoreError> {
        let sent = wall();
        let seconds: Vec<u32> = engine.rows_soon("SELECT toUInt32(now())").await?;
        let Some(second) = seconds.first() else {
            return Err(super::failure::broken_off());
        };
        let learned = Bounds::learned(*second, sent, wall());
        let mut state = self.0.lock();
        state.known = Some(match state.known {
            Some(earlier) => learned.narrowed_by(earlier),
            None => learned,
        });
        Ok(())
    }

    /// The precedence of what is recorded now: higher for what was recorded earlier, equal for no two batches.
    pub(super) async fn precedence(&self, engine: &Engine) -> Result<u64, StoreError> {
        let is_fresh = || self.0.lock().known.is_some_and(|known| known.is_fresh(wall()));
        if !is_fresh() {
            self.look(engine).await?;
        }
        let mut bytes = [0; 2];
        let _ = getrandom::fill(&mut bytes);
        let random = u64::from(u16::from_le_bytes(bytes)) & ((1 << RANDOM_BITS) - 1);
        let mut state = self.0.lock();
        let difference = state.known.map_or(0, |known| (known.low + known.high) / 2);
        let now = u64::try_from(wall() + difference).unwrap_or_default();
        state.last = now.max(state.last + 1);
        Ok(u64::MAX - ((state.last << RANDOM_BITS) | random))
    }
}

/// Microseconds since 1970, by the clock of this machine.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_narrow_the_difference_and_a_clock_that_was_set_is_noticed() {
        // The server is 60.3 seconds ahead; it is asked each quarter of a second, which takes 2 ms.
        let (begun, ahead) = (1_700_000_000 * SECOND, 60_300_000);
        let ask = |after: i64, ahead: i64| {
            let sent = begun + after;
            let second = u32::try_from((sent + 1_000 + ahead) / SECOND).unwrap();
            Bounds::learned(second, sent, sent + 2_000)
        };
        let mut known = ask(0, ahead);
        for number in 1..20 {
            known = ask(number * 261_000, ahead).narrowed_by(known);
            assert!(known.low <= ahead && ahead <= known.high, "{known:?}");
        }
        assert!(known.high - known.low < 150_000, "{known:?}");
        let set = ask(6_000_000, -ahead).narrowed_by(known);
        assert!(set.low <= -ahead && -ahead <= set.high, "{set:?}");
    }
}
