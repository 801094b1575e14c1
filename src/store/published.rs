//! The newest state of the catalog that a process knows, for everybody who answers or records.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use super::NOTICES;
use crate::catalog::LeftOut;

/// A state of the catalog, as a store keeps it.
pub(super) trait State {
    /// What its versions are.
    type Version: PartialOrd;

    /// Grows with each change.
    fn version(&self) -> Self::Version;

    /// What this version can't read of it.
    fn left_out(&self) -> &[LeftOut];
}

/// Owned by the store that publishes.
#[derive(Debug)]
pub(super) struct Published<S> {
    newest: ArcSwap<S>,
    /// What was logged, so that it is logged once.
    logged: Mutex<HashSet<LeftOut>>,
}

impl<S: State> Published<S> {
    pub(super) fn new(state: S) -> Self {
        let published = Self {
            newest: ArcSwap::from_pointee(state),
            logged: Mutex::default(),
        };
        published.log(&published.load());
        published
    }

    pub(super) fn load(&self) -> Guard<Arc<S>> {
        self.newest.load()
    }

    /// For whoever keeps it longer.
    pub(super) fn load_full(&self) -> Arc<S> {
        self.newest.load_full()
    }

    /// Publishes a state, unless a newer one was published meanwhile.
    pub(super) fn publish(&self, state: S) {
        self.log(&state);
        let newer = Arc::new(state);
        self.newest.rcu(|held| {
            if held.version() < newer.version() {
                newer.clone()
            } else {
                held.clone()
            }
        });
    }

    fn log(&self, state: &S) {
        for entry in state.left_out() {
            if self.logged.lock().insert(entry.clone()) {
                tracing::warn!(target: NOTICES, "{entry}; it is left out");
            }
        }
    }
}
