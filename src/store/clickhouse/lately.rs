//! The sessions that this process recorded lately: what tells duplicates apart in answers, and what need not be written once
//! more. Nothing depends on it: what is forgotten, or was recorded by others, is written again and counts once.

use parking_lot::Mutex;

use super::ids::Key;
use crate::store::recent::Recent;

/// A session that this process records, or has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Milliseconds since the start of the day.
    pub(super) start: u32,
    /// Whether it was acknowledged by the server. Until then it is written by whoever else delivers it.
    pub(super) is_recorded: bool,
}

/// Owned by the store.
#[derive(Default)]
pub(super) struct Lately(Mutex<Recent<Option<Known>>>);

impl Lately {
    pub(super) fn get(&self, key: &Key<'_>) -> Option<Known> {
        self.0.lock().get(key).flatten()
    }

    /// Forgets all of them.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    /// Something is known of these sessions; `None`: no longer.
    pub(super) fn set<'a>(&self, sessions: impl Iterator<Item = (Key<'a>, Option<Known>)>) {
        let mut lately = self.0.lock();
        for (key, known) in sessions {
            lately.set(key, known);
        }
    }
}
