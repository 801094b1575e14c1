//! What can go wrong in a store, sorted by what the caller can do about it.

use std::fmt::Display;
use std::path::Path;

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
    /// An id that something else has.
    pub(super) fn id_taken(id: &str, kind: &str) -> Self {
        Self::Conflict(format!(
            "the id {id} is taken by another {kind}; ids are unique on the whole server"
        ))
    }

    /// A name that something else of its kind has.
    pub(super) fn name_taken(noun: &str, name: &str) -> Self {
        Self::Conflict(format!(
            "there is a {noun} named '{name}' already; names are unique"
        ))
    }

    /// There is no such thing.
    pub(super) fn unknown(noun: &str, id: impl Display) -> Self {
        Self::NotFound(format!("unknown {noun} {id}"))
    }

    /// As many segments are tracked as may be.
    pub(super) fn too_many_tracked(tracked: u32, limit: u32) -> Self {
        Self::Conflict(format!(
            "analytics tracking is on for {tracked} segments of this workspace, and its limit is {limit}; turn it off for \
             one with 'sessionmeter segment untrack', or raise the limit with 'sessionmeter workspace set-segment-limit'"
        ))
    }

    /// Asked for in the moment in which it was counted anew.
    pub(super) fn not_counted() -> Self {
        Self::Conflict("segment is being counted (0 %)".into())
    }

    /// What is written would replace something.
    pub(super) fn file_exists(file: &Path) -> Self {
        Self::Conflict(format!("{} exists already; name a new file", file.display()))
    }

    /// The store holds what this program would never have written.
    pub(super) fn damaged(what: impl Display) -> Self {
        Self::Unusable(format!("the store is damaged: {what}"))
    }
}
