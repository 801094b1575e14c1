//! One call for everybody who waits for the same news.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::store::StoreError;

/// Between the beginnings of two calls: forty a second at most, however many ask.
const INTERVAL: Duration = Duration::from_millis(25);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a call, for all who waited for it.
pub(super) type Outcome = Result<(), Arc<StoreError>>;

/// Calls the store for many at once. A call answers everybody who came before it began, so that nobody gets news that
/// are older than their own question; whoever comes later waits for the next one.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// Before this instant no call begins.
    next: Option<Instant>,
    /// When the last one that came to an end began, and what it said.
    last: Option<(Instant, Outcome)>,
}

impl SingleFlight {
    /// Waits for the outcome of a call that began after this was asked for.
    pub(super) async fn run(&self, call: impl Future<Output = Result<(), StoreError>>) -> Outcome {
        let asked = Instant::now();
        let mut calls = self.0.lock().await;
        if let Some((begun, outcome)) = &calls.last
            && *begun >= asked
        {
            return outcome.clone();
        }
        if let Some(next) = calls.next {
            sleep_until(next).await;
        }
        let begun = Instant::now();
        // Said before the call, which ends early when the client that waits for it goes away.
        calls.next = Some(begun + INTERVAL);
        let outcome = match timeout(PATIENCE, call).await {
            Ok(outcome) => outcome.map_err(Arc::new),
            Err(_) => Err(Arc::new(StoreError::Unavailable(format!(
                "it did not answer within {} seconds",
                PATIENCE.as_secs()
            )))),
        };
        calls.last = Some((begun, outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Something that changes, and how often it was looked at.
    #[derive(Default)]
    struct World {
        now: AtomicU32,
        seen: AtomicU32,
        looks: AtomicU32,
        flight: SingleFlight,
    }

    impl World {
        /// What a look shows that is asked for now.
        async fn look(&self) -> u32 {
            let outcome = self.flight.run(async {
                self.looks.fetch_add(1, Ordering::Relaxed);
                let found = self.now.load(Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.seen.store(found, Ordering::Relaxed);
                Ok(())
            });
            outcome.await.unwrap();
            self.seen.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gets_news_that_are_older_than_their_question() {
        let world = Arc::new(World::default());
        let mut asking = Vec::new();
        for now in 1..=500 {
            world.now.store(now, Ordering::Relaxed);
            let world = world.clone();
            asking.push(tokio::spawn(async move { (now, world.look().await) }));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for asked in asking {
            let (now, seen) = asked.await.unwrap();
            assert!(seen >= now, "asked at {now}, saw {seen}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_there_are_some_tens_of_calls_a_second() {
        let world = Arc::new(World::default());
        let begun = Instant::now();
        let mut asking = Vec::new();
        while begun.elapsed() < Duration::from_secs(1) {
            for _ in 0..20 {
                let world = world.clone();
                asking.push(tokio::spawn(async move { world.look().await }));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for asked in asking {
            asked.await.unwrap();
        }
        let looks = world.looks.load(Ordering::Relaxed);
        assert!((20..=42).contains(&looks), "{looks}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_away_does_not_make_room_for_more_calls() {
        let world = World::default();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            let _ = timeout(Duration::from_millis(1), world.look()).await;
        }
        let looks = world.looks.load(Ordering::Relaxed);
        assert!((20..=42).contains(&looks), "{looks}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_or_hangs_fails_for_all_who_waited() {
        let flight = SingleFlight::default();
        let never = || flight.run(std::future::pending());
        let (one, other, third) = tokio::join!(never(), never(), never());
        for outcome in [one, other, third] {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains("did not answer within 3 seconds"), "{message}");
        }
        assert!(flight.run(async { Ok(()) }).await.is_ok());
    }
}
