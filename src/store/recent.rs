//! What is known of texts that were seen lately, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Texts in a generation: two generations are about 28 MB when full.
const GENERATION: usize = 220_000;

/// A hash of a text with a random key: 128 bits that nobody outside can foresee. Two texts with the same digest are
/// less likely than a disk that returns wrong data.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digest(u64, u64);

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// For numbers that are hashes already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u32(&mut self, hash: u32) {
        // Maps look at the highest bits and the lowest ones.
        self.0 = u64::from(hash) << 32 | u64::from(hash);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Generation<V> = HashMap<Digest, V, BuildHasherDefault<AsItIs>>;

/// Keeps what was used since the last change of generations, and what was used in the one before.
pub(super) struct Recent<V> {
    /// Has the key, and nothing else yet.
    hasher: SipHasher13,
    young: Generation<V>,
    old: Generation<V>,
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(random(), random()),
            young: Generation::default(),
            old: Generation::default(),
        }
    }
}

impl<V: Copy> Recent<V> {
    /// What is known of a text.
    pub(super) fn get(&mut self, text: impl Hash) -> Option<V> {
        self.get_or_else(text, || Err(())).ok()
    }

    /// What is known of a text, found with `look_up` if it was not used lately.
    pub(super) fn get_or_else<E>(
        &mut self,
        text: impl Hash,
        look_up: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        let digest = self.digest(text);
        if let Some(value) = self.young.get(&digest) {
            return Ok(*value);
        }
        let value = match self.old.get(&digest) {
            Some(value) => *value,
            None => look_up()?,
        };
        self.insert(digest, value);
        Ok(value)
    }

    /// From now on this is known of a text.
    pub(super) fn set(&mut self, text: impl Hash, value: V) {
        self.insert(self.digest(text), value);
    }

    fn insert(&mut self, digest: Digest, value: V) {
        if self.young.len() == GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, value);
    }

    fn digest(&self, text: impl Hash) -> Digest {
        let mut hasher = self.hasher;
        text.hash(&mut hasher);
        let hash = hasher.finish128();
        Digest(hash.h1, hash.h2)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut recent = Recent::default();
        let mut look_ups = 0;
        for number in 0..1_000_000 {
            let found: Result<i64, ()> = recent.get_or_else(("often", 1), || {
                look_ups += 1;
                Ok(-1)
            });
            assert_eq!(found, Ok(-1));
            assert_eq!(
                recent.get_or_else(("once", number), || Ok::<_, ()>(number)),
                Ok(number)
            );
        }
        assert_eq!(look_ups, 1);
        assert!(recent.young.len() + recent.old.len() <= 2 * GENERATION);
        assert_eq!(recent.get_or_else(("failed", 0), || Err("disk")), Err("disk"));
        assert_eq!(recent.get_or_else(("failed", 0), || Ok::<_, &str>(7)), Ok(7));
        recent.set(("failed", 0), 8);
        assert_eq!(recent.get_or_else(("failed", 0), || Ok::<_, &str>(9)), Ok(8));
        recent.clear();
        assert_eq!(recent.get_or_else(("often", 1), || Ok::<_, ()>(5)), Ok(5));
    }
}
