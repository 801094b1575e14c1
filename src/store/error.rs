//! What can go wrong in a store, sorted by what the caller can do about it.

use std::fmt::Display;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not now: disk full, engine down, another process holds the store. Nothing was changed; try again.
    #[error("the store can't do this right now: {0}")]
    Unavailable(String),
    /// An id or name is taken, or the like. Trying again does not help.
    #[error("{0}")]
    Conflict(String),
    /// What the call refers to does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The store itself is not usable: wrong version, damaged, not a store.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// The store holds what this program would never have written.
    pub(super) fn damaged(what: impl Display) -> Self {
        Self::Unusable(format!("the store is damaged: {what}"))
    }
}
