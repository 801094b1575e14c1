//! What is held of everybody, for some apps, to answer from: in bounded memory, and changed by one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::recent::Recent;
use crate::model::{AppId, WorkspaceId};

/// What is held of everybody.
pub(super) trait State: Default {
    /// Memory that it takes, about.
    fn bytes(&self) -> usize;
}

/// A workspace and some of its apps, in the order of their ids.
type Key = (WorkspaceId, Arc<[AppId]>);

/// A state of its own for each set of apps.
#[derive(Debug)]
pub(super) struct States<T>(Mutex<Recent<Key, Slot<T>>>);

impl<T> Default for States<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug, Default)]
struct Slot<T> {
    state: Arc<tokio::sync::Mutex<T>>,
    bytes: AtomicUsize,
}

impl<T: State> States<T> {
    /// The state of these apps, for whoever asks first; who comes meanwhile waits.
    pub(super) async fn of(&self, workspace: WorkspaceId, apps: &Arc<[AppId]>) -> Taken<'_, T> {
        let slot = self
            .0
            .lock()
            .get_or_insert((workspace, apps.clone()), Slot::default);
        Taken {
            states: self,
            state: slot.state.clone().lock_owned().await,
            slot,
        }
    }
}

/// A state while it is used.
pub(super) struct Taken<'a, T: State> {
    states: &'a States<T>,
    pub(super) state: tokio::sync::OwnedMutexGuard<T>,
    slot: Arc<Slot<T>>,
}

impl<T: State> Taken<'_, T> {
    /// Gives it back. States that were not used for longest are forgotten until the rest takes no more memory than
    /// `limit`.
    pub(super) fn give_back(self, limit: usize) {
        self.slot.bytes.store(self.state.bytes(), Ordering::Relaxed);
        drop(self.state);
        self.states
            .0
            .lock()
            .shrink_to(limit, |slot| slot.bytes.load(Ordering::Relaxed));
    }
}
