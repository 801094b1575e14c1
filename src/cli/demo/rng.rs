//! Numbers that look random and are the same on every machine.

/// SplitMix64: eight lines, good enough for believable data, worthless for secrets.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// The sequence that belongs to `seed` and these numbers.
    pub(super) fn new(seed: u64, numbers: &[u64]) -> Self {
        let mut rng = Self(seed);
        for number in numbers {
            rng.0 = rng.next() ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        rng
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// From 0 to just below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to `bound` - 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.fraction() * bound as f64) as u64
    }

    /// Whether something happens that does so with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Mostly small, seldom large, `mean` on average.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.fraction()).ln()
    }

    /// One of the items, as often as its weight says; `None` only where there are none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [(T, f64)]) -> Option<&'a T> {
        let mut left = self.fraction() * items.iter().map(|(_, weight)| weight).sum::<f64>();
        for (item, weight) in items {
            left -= weight;
            if left < 0.0 {
                return Some(item);
            }
        }
        items.last().map(|(item, _)| item)
    }

    /// 16 bytes.
    pub(super) fn bytes(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // From the reference implementation, seed 1234567.
        let mut rng = Rng(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn picks_follow_the_weights() {
        let mut rng = Rng::new(1, &[]);
        let rare = (0..10_000)
            .filter(|_| rng.pick(&[("often", 9.0), ("seldom", 1.0)]) == Some(&"seldom"))
            .count();
        assert!((900..1_100).contains(&rare), "{rare}");
    }

    #[test]
    fn values_stay_in_their_ranges() {
        let mut rng = Rng::new(1, &[2, 3]);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&rng.fraction()));
            assert!(rng.below(3) < 3);
            assert!(rng.exponential(5.0) >= 0.0);
        }
    }
}
