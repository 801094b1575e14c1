//! Values in bounded memory: what was not used for longest goes first.

use std::hash::Hash;
use std::sync::Arc;

use foldhash::HashMap;

/// Values with the time of their last use.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    held: HashMap<K, (u64, Arc<V>)>,
    clock: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            held: HashMap::default(),
            clock: 0,
        }
    }
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    /// The value under a key.
    pub(super) fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.clock += 1;
        let (used, value) = self.held.get_mut(key)?;
        *used = self.clock;
        Some(value.clone())
    }

    /// The same, made where there is none.
    pub(super) fn get_or_insert(&mut self, key: K, new: impl FnOnce() -> V) -> Arc<V> {
        self.clock += 1;
        let (used, value) = self.held.entry(key).or_insert_with(|| (0, Arc::new(new())));
        *used = self.clock;
        value.clone()
    }

    /// Puts a value in the place of the one that may be there.
    pub(super) fn put(&mut self, key: K, value: Arc<V>) {
        self.clock += 1;
        self.held.insert(key, (self.clock, value));
    }

    /// Forgets what was not used for longest until the rest takes no more than this.
    pub(super) fn shrink_to(&mut self, limit: usize, bytes: impl Fn(&V) -> usize) {
        let size = |(key, (used, value)): (&K, &(u64, Arc<V>))| (*used, bytes(value), key.clone());
        let mut sizes: Vec<(u64, usize, K)> = self.held.iter().map(size).collect();
        let mut sum: usize = sizes.iter().map(|(_, bytes, _)| bytes).sum();
        sizes.sort_unstable_by_key(|(used, ..)| *used);
        for (_, bytes, key) in sizes {
            if sum <= limit {
                return;
            }
            self.held.remove(&key);
            sum -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays() {
        let mut recent = Recent::<u32, u32>::default();
        for key in 0..4 {
            assert_eq!(*recent.get_or_insert(key, || key * 10), key * 10);
        }
        assert_eq!(recent.get(&0).as_deref(), Some(&0));
        recent.put(1, Arc::new(11));
        recent.shrink_to(2, |_| 1);
        assert_eq!(recent.get(&0).as_deref(), Some(&0));
        assert_eq!(recent.get(&1).as_deref(), Some(&11));
        assert!(recent.get(&2).is_none() && recent.get(&3).is_none());
    }
}
