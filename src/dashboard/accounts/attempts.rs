//! How often somebody may try a password. Nobody is locked out: whoever guesses waits, and so does whoever is guessed at; a link
//! of the command line opens all the while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::api::{Client, Moment, RateLimiter};
use crate::model::KeyHash;

/// Attempts of an address in a minute.
const OF_AN_ADDRESS: u64 = 60;
/// Attempts for one name that are compared at one time, while none has failed.
const AT_ONE_TIME: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After how long without an attempt failures are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// Names that are remembered.
const MAX_NAMES: usize = 10_000;

/// Attempts of late, in this process.
#[derive(Default)]
pub(in crate::dashboard) struct Attempts {
    addresses: RateLimiter,
    names: Arc<Mutex<HashMap<[u8; 32], Tried>>>,
}

/// What was tried for a name, whether there is an account of it or not.
#[derive(Debug, Clone, Copy)]
struct Tried {
    failures: u32,
    running: u32,
    /// Until when nothing is tried.
    until: Instant,
}

/// An attempt that is being made.
pub(in crate::dashboard) struct Attempt {
    names: Arc<Mutex<HashMap<[u8; 32], Tried>>>,
    name: [u8; 32],
}

impl Attempts {
    /// Begins an attempt.
    ///
    /// # Errors
    /// The seconds to wait.
    pub(super) fn begin(&self, client: Option<Client>, name: KeyHash) -> Result<Attempt, u64> {
        let now = Moment::now();
        if let Some(wait) = client.and_then(|client| self.addresses.client(client, OF_AN_ADDRESS, now)) {
            return Err(wait);
        }
        self.begin_at(name, now.steady)
    }

    fn begin_at(&self, name: KeyHash, now: Instant) -> Result<Attempt, u64> {
        let mut names = self.names.lock();
        if names.len() >= MAX_NAMES {
            names.retain(|_, tried| tried.running > 0 || tried.until > now);
        }
        let tried = names.entry(*name.as_bytes()).or_insert(Tried {
            failures: 0,
            running: 0,
            until: now,
        });
        if now.saturating_duration_since(tried.until) > FORGOTTEN {
            tried.failures = 0;
        }
        if tried.until > now {
            let wait = tried.until.saturating_duration_since(now);
            return Err(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        }
        // Several at one time would be several guesses for one wait.
        let most = if tried.failures == 0 { AT_ONE_TIME } else { 1 };
        if tried.running >= most {
            return Err(1);
        }
        tried.running += 1;
        drop(names);
        Ok(Attempt {
            names: self.names.clone(),
            name: *name.as_bytes(),
        })
    }
}

impl Attempt {
    /// It was the right password.
    pub(super) fn succeeded(self) {
        if let Some(tried) = self.names.lock().get_mut(&self.name) {
            tried.failures = 0;
        }
    }

    /// It was not: the next one waits twice as long.
    pub(super) fn failed(self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(self, now: Instant) {
        if let Some(tried) = self.names.lock().get_mut(&self.name) {
            let wait = Duration::from_secs(1 << tried.failures.min(5));
            tried.failures = tried.failures.saturating_add(1);
            tried.until = now + wait.min(LONGEST_WAIT);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(tried) = self.names.lock().get_mut(&self.name) {
            tried.running = tried.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_half_a_minute() {
        let (attempts, name) = (Attempts::default(), KeyHash::of(b"ana"));
        let mut now = Instant::now();
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            attempts.begin_at(name, now).ok().unwrap().failed_at(now);
            assert_eq!(attempts.begin_at(name, now).err(), Some(wait));
            let other = attempts.begin_at(KeyHash::of(b"bob"), now);
            assert!(other.is_ok(), "others don't wait");
            now += Duration::from_secs(wait);
        }
        attempts.begin_at(name, now).ok().unwrap().succeeded();
        attempts.begin_at(name, now).ok().unwrap().failed_at(now);
        assert_eq!(attempts.begin_at(name, now).err(), Some(1));
        let later = now + FORGOTTEN + Duration::from_secs(2);
        attempts.begin_at(name, later).ok().unwrap().failed_at(later);
        assert_eq!(attempts.begin_at(name, later).err(), Some(1));
    }

    #[test]
    fn after_a_failure_one_is_tried_at_a_time() {
        let (attempts, name) = (Attempts::default(), KeyHash::of(b"ana"));
        let now = Instant::now();
        let begin = |now| attempts.begin_at(name, now);
        let mut running: Vec<Attempt> = (0..AT_ONE_TIME).map(|_| begin(now).ok().unwrap()).collect();
        assert_eq!(begin(now).err(), Some(1));
        running.pop().unwrap().failed_at(now);
        drop(running);
        let later = now + Duration::from_secs(1);
        let only = begin(later).ok().unwrap();
        assert_eq!(begin(later).err(), Some(1));
        drop(only);
        assert!(begin(later).is_ok());
    }

    #[test]
    fn an_address_may_try_so_often_a_minute() {
        let attempts = Attempts::default();
        let client = |text: &str| Some(Client::Address(text.parse().unwrap()));
        let begin = |address: &str, name: u64| {
            let name = KeyHash::of(&name.to_be_bytes());
            attempts.begin(client(address), name).is_ok()
        };
        // A minute may end meanwhile.
        let done = (0..2 * OF_AN_ADDRESS + 1)
            .filter(|nth| begin("2001:db8::1", *nth))
            .count();
        assert!((60..=120).contains(&done), "{done}");
        assert!(begin("2001:db8:0:1::1", 1_000));
    }

    #[test]
    fn many_names_are_not_remembered_for_long() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for name in 0..2 * MAX_NAMES as u64 {
            drop(attempts.begin_at(KeyHash::of(&name.to_be_bytes()), now));
        }
        assert!(attempts.names.lock().len() <= MAX_NAMES);
    }
}
