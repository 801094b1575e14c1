//! Who may look: rows that stand for a secret or a name, kept by its SHA-256.
//!
//! What a row means is decided by whoever puts it there; a store keeps its content, and forgets it when it has expired.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{KeyHash, Millis};

/// What a row stands for. Rows of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A way in that opens once.
    Link,
    /// Somebody who is in.
    Session,
    /// A view that is shown to whoever has its address.
    Share,
    /// A person with a name.
    Account,
    /// Under which address a server is reached.
    Address,
    /// An import that is under way, until it is heard of no more; see [`imports`](super::imports).
    Import,
}

impl AccessKind {
    /// As stores write it.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Session => 2,
            Self::Share => 3,
            Self::Account => 4,
            Self::Address => 5,
            Self::Import => 6,
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Of the secret or the name that it stands for; unique among the rows of its kind.
    pub hash: KeyHash,
    /// JSON.
    pub content: String,
    /// Unix milliseconds; from then on there is no such row.
    pub expires_at: Millis,
}

/// What a store promises about such rows. Any number of processes share them: what one wrote the others find at once.
/// `now` (Unix milliseconds) says which rows have expired.
#[async_trait]
pub trait Access: Send + Sync {
    /// Adds a row, or puts it in the place of the one with its hash.
    async fn put_access(&self, kind: AccessKind, row: AccessRow, now: Millis) -> Result<(), StoreError>;

    /// Adds a row; `false`: there is one with its hash, which stays. Of callers at one time, in whatever process, one adds its own.
    async fn add_access(&self, kind: AccessKind, row: AccessRow, now: Millis) -> Result<bool, StoreError>;

    /// Puts a row in the place of the one with its hash; `false`: there is none, and none was added.
    async fn replace_access(&self, kind: AccessKind, row: AccessRow, now: Millis)
    -> Result<bool, StoreError>;

    /// The row with this hash.
    async fn find_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError>;

    /// Removes the row with this hash and hands it out: to one caller, however many ask at one time, in whatever process.
    async fn take_access(
        &self,
        kind: AccessKind,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<AccessRow>, StoreError>;

    /// All rows of a kind, the one that expires first before the others.
    async fn list_access(&self, kind: AccessKind, now: Millis) -> Result<Vec<AccessRow>, StoreError>;
}
