//! What can go wrong in a store, sorted by what the caller can do about it.

use std::fmt::Display;
use std::path::Path;

use crate::catalog::Refusal;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not now: disk full, engine down, another process holds the store. Nothing was changed; try again.
    #[error("the store can't do this right now: {0}")]
    Unavailable(String),
    /// The answer needs more counting than anybody should wait for; this many percent are done, and the work goes on.
    #[error("counting sessions ({0} %)")]
    Counting(u64),
    /// Not now, and a part of it may be done. The same once more completes it, and does nothing twice.
    #[error("the store can't do this right now, and may have done a part of it: {0}")]
    Partial(String),
    /// An id or name is taken, or the like. Trying again does not help.
    #[error("{0}")]
    Conflict(String),
    /// What the call refers to does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The store itself is not usable: wrong version, damaged, not a store, deleted while it was open. Only its operator can
    /// help.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// The same error of something of which a part may be done.
    pub(super) fn partly(self) -> Self {
        match self {
            Self::Unavailable(why) => Self::Partial(why),
            other => other,
        }
    }

    /// Somebody else deleted what the call refers to while it was under way, or sealed its days.
    pub(super) fn changed_meanwhile() -> Self {
        Self::Unavailable("an app or workspace was changed or deleted meanwhile; try again".into())
    }

    /// There is no such thing.
    pub(super) fn unknown(noun: &str, id: impl Display) -> Self {
        Self::NotFound(format!("unknown {noun} {id}"))
    }

    /// What sessions name is not there.
    pub(super) fn no_combination(number: u64) -> Self {
        Self::damaged(format!("there is no combination of properties {number}"))
    }

    /// The store is about to end, or has.
    pub(super) fn closed() -> Self {
        Self::Unavailable("the store is closed".into())
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

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown { .. } => Self::NotFound(refusal.to_string()),
            _ => Self::Conflict(refusal.to_string()),
        }
    }
}
