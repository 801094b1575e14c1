//! Workspaces, apps, keys and segments of a store, and what keeps the store itself in order.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{StoreError, Verification};
use crate::catalog::{Catalog, Change, Records};
use crate::model::{KeyId, Millis, WorkspaceId};

/// How large the store is, and what it is doing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Bytes on disk, journals included.
    pub bytes: u64,
    /// Bytes of the embedded store's journal that are not in the database yet.
    pub journal_bytes: u64,
    /// How often they could not be moved there since the store was opened.
    pub checkpoint_failures: u64,
    /// Checks that were made in the background since then.
    pub checks: u64,
    /// What they, and whoever else read the store, found wrong.
    pub findings: u64,
    /// Sessions, about, of days that this process counts right now or has waiting to be counted.
    pub being_counted: u64,
}

/// What sealing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealing {
    /// Days of apps that were sealed.
    pub days: u64,
    /// Sessions that were removed with them.
    pub sessions: u64,
}

/// Hears how many percent of a long work are done.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// Changes what a store holds besides sessions, and looks after it.
#[async_trait]
pub trait Administration: Send + Sync + 'static {
    /// Workspaces with their apps, keys and segments, as of at most a second ago; own changes at once.
    fn catalog(&self) -> Arc<Catalog>;

    /// Seals the days of a workspace that are older than its retention: their sessions go, their rollups stay and answer
    /// everything. Some days at a time, in steps that each survive a power cut and may be begun again; `progress` hears how many
    /// percent are done. A workspace without a retention has no such days.
    async fn seal(&self, workspace: WorkspaceId, progress: Progress) -> Result<Sealing, StoreError>;

    /// Looks for changes by other processes: after this, [`Administration::catalog`] has all that was committed before the call.
    /// Cheap where nothing changed.
    async fn refresh(&self) -> Result<(), StoreError>;

    /// Changes the catalog; whether anything is different now.
    ///
    /// [`StoreError::Conflict`] and [`StoreError::NotFound`] where the rules refuse the change, see [`Change`].
    async fn change(&self, change: Change) -> Result<bool, StoreError>;

    /// Notes when keys were last used; an older time than the noted one changes nothing.
    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError>;

    /// Whether the store can be read and written right now.
    ///
    /// [`StoreError::Unusable`] where it is damaged, or not the one any more that was opened.
    async fn ready(&self) -> Result<(), StoreError>;

    /// How large it is.
    async fn usage(&self) -> Result<Usage, StoreError>;

    /// Recounts everything derived from the recorded sessions and compares; changes nothing. `progress` hears how many percent
    /// of the days are compared.
    async fn verify(&self, progress: Progress) -> Result<Verification, StoreError>;

    /// Writes a consistent copy into one file while the store goes on; `file` must not exist.
    async fn backup(&self, file: &Path) -> Result<(), StoreError>;

    /// Workspaces, apps, keys and segments, all that is stored about them.
    async fn records(&self) -> Result<Records, StoreError>;

    /// Writes out what is buffered and releases the store. Later calls fail.
    async fn close(&self);
}
