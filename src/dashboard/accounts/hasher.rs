//! Hashing of passwords: two at one time, so that a crowd at the door takes no more memory than two people.

use std::sync::Arc;
use std::time::Duration;

use argon2::Block;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::password::{Hashed, Password};
use crate::store::StoreError;

const AT_ONE_TIME: usize = 2;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Too many wait for their turn.
#[derive(Debug)]
pub(in crate::dashboard) struct Busy;

/// Hashes passwords in turns.
pub(in crate::dashboard) struct Hasher {
    turns: Arc<Semaphore>,
    /// Given back to the allocator it would stay with whichever thread had it, so the next one takes it instead.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONE_TIME)),
            memory: Arc::default(),
        }
    }
}

impl Hasher {
    /// Whether a password is the one that is kept; of nobody, it takes as long and is not.
    pub(super) async fn compare(&self, password: Password, kept: Option<Hashed>) -> Result<bool, Busy> {
        let compared = self.take_turn(move |memory| match kept {
            Some(kept) => kept.is_of(&password, memory),
            None => {
                if let Ok(blank) = Hashed::blank() {
                    blank.is_of(&password, memory);
                }
                false
            }
        });
        compared.await
    }

    /// What is to be kept of a new password.
    pub(super) async fn hash(&self, password: Password) -> Result<Result<Hashed, StoreError>, Busy> {
        self.take_turn(move |memory| Hashed::of(&password, memory)).await
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned());
        let turn = turn.await.ok().and_then(Result::ok).ok_or(Busy)?;
        let spare = self.memory.clone();
        // The turn goes with the work: whoever asked may be gone before it is done.
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut memory = spare.lock().pop().unwrap_or_default();
            let result = work(&mut memory);
            spare.lock().push(memory);
            result
        });
        task.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_turn_outlives_the_request_that_took_it() {
        let hasher = Hasher::default();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..AT_ONE_TIME {
            let held = held.clone();
            let work = hasher.take_turn(move |_| held.lock().recv().is_ok());
            // As if the client had gone right after it was let in.
            assert!(work.now_or_never().is_none());
        }
        assert_eq!(hasher.turns.available_permits(), 0);
        for _ in 0..AT_ONE_TIME {
            release.send(()).unwrap();
        }
        let both = hasher.turns.acquire_many(AT_ONE_TIME as u32).await;
        drop(both.unwrap());
        // One, where the second work began after the first was done.
        assert!((1..=AT_ONE_TIME).contains(&hasher.memory.lock().len()));
        assert!(hasher.take_turn(|_| ()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_so() {
        let hasher = Hasher::default();
        let held = hasher.turns.clone().acquire_many_owned(AT_ONE_TIME as u32).await;
        assert!(hasher.take_turn(|_| ()).await.is_err());
        drop(held);
        assert!(hasher.take_turn(|_| ()).await.is_ok());
    }
}
