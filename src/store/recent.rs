//! What is known of texts that were seen lately, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Texts in a generation: two generations are about 28 MB when full.
const GENERATION: usize = 220_000;

/// A hash of a text with a random key: 128 bits that nobody outside can foresee. Two texts with the same digest are
/// less likely than a disk that returns wrong data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(u64, u64);

impl Digest {
    /// The digest of the text together with a number.
    pub(super) fn with(self, number: u64) -> Self {
        // Digests are random, and this only moves them: numbers of one text never meet, and those of two texts no more
        // likely than the texts themselves. Maps look at the first half, so that is stirred.
        Self(
            self.0 ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            self.1.wrapping_add(number),
        )
    }
}

/// Makes digests with one random key, wherever that is done.
#[derive(Clone)]
pub(super) struct Digests {
    /// Has the key, and nothing else yet.
    hasher: SipHasher13,
}

impl Default for Digests {
    fn default() -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(random(), random()),
        }
    }
}

impl Digests {
    /// The digest of a text.
    pub(super) fn of(&self, text: impl Hash) -> Digest {
        let mut hasher = self.hasher;
        text.hash(&mut hasher);
        let hash = hasher.finish128();
        Digest(hash.h1, hash.h2)
    }
}

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
    digests: Digests,
    young: Generation<V>,
    old: Generation<V>,
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self {
            digests: Digests::default(),
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
        let digest = self.digests.of(text);
        if let Some(value) = self.known(digest) {
            return Ok(value);
        }
        let value = look_up()?;
        self.note(digest, value);
        Ok(value)
    }

    /// What is known of the text that has this digest.
    pub(super) fn known(&mut self, digest: Digest) -> Option<V> {
        if let Some(value) = self.young.get(&digest) {
            return Some(*value);
        }
        let value = *self.old.get(&digest)?;
        self.note(digest, value);
        Some(value)
    }

    /// From now on this is known of a text.
    pub(super) fn set(&mut self, text: impl Hash, value: V) {
        self.note(self.digests.of(text), value);
    }

    /// The same of the text that has this digest.
    pub(super) fn note(&mut self, digest: Digest, value: V) {
        if self.young.len() == GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, value);
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
        let digests = Digests::default();
        let numbered: Vec<Digest> = (0..3).map(|number| digests.of("text").with(number)).collect();
        for (number, digest) in (0..).zip(&numbered) {
            assert_eq!(recent.known(*digest), None);
            recent.note(*digest, number);
        }
        assert_eq!(recent.known(digests.of("text")), Some(0));
        assert_eq!(recent.known(numbered[2]), Some(2));
        assert_eq!(recent.known(Digests::default().of("text")), None);
        recent.clear();
        assert_eq!(recent.get_or_else(("often", 1), || Ok::<_, ()>(5)), Ok(5));
    }
}
