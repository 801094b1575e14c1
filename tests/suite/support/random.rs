//! Random numbers that can be had again: a test prints its seed when it fails.
#![allow(dead_code, reason = "each test file uses its own part")]

/// A generator with a seed.
pub struct Random(fastrand::Rng);

impl Random {
    /// From the environment variable, so that a failure can be repeated, or from the clock.
    pub fn seed(variable: &str) -> u64 {
        match std::env::var(variable) {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => jiff::Timestamp::now().as_nanosecond() as u64,
        }
    }

    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// One of the integers from `from` to `to`, `to` not included.
    pub fn range(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from) as u64) as i64
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, cases: u64) -> bool {
        self.next().is_multiple_of(cases)
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A number from the environment, so that a test can be made to try harder.
pub fn from_environment(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}
