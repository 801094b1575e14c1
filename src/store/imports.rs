//! Imports that are under way, whichever process makes them: each is a row that its process writes again and again, and that
//! expires soon after it was written last. So an import that ends badly vanishes by itself.
//!
//! Versions that don't know such rows never ask for their kind.

use serde::{Deserialize, Serialize};

use super::access::{AccessKind, AccessRow};
use super::{Store, StoreError};
use crate::model::{KeyHash, Millis, WorkspaceId};

/// How often an import says how far it is, in milliseconds. Over ClickHouse every time takes a lock and leaves a small row.
pub const EVERY: Millis = 10_000;
/// How long it is believed, in milliseconds: a commit may keep everybody waiting for a while.
const LASTS: Millis = 3 * EVERY;

/// An import that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Random; tells it from others.
    pub id: String,
    /// Into which workspace.
    pub workspace: WorkspaceId,
    /// Names of its files, shortened.
    pub files: String,
    /// Sessions that it has recorded.
    pub recorded: u64,
    /// Those that had been recorded before.
    pub duplicates: u64,
    /// How much of its files is read; `None` where their size is not known.
    pub percent: Option<u8>,
    /// When it began, in Unix milliseconds.
    pub started_at: Millis,
}

impl Import {
    /// One that has recorded nothing yet.
    pub fn begun(workspace: WorkspaceId, files: String, now: Millis) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            workspace,
            files,
            recorded: 0,
            duplicates: 0,
            percent: None,
            started_at: now,
        }
    }

    fn hash(&self) -> KeyHash {
        KeyHash::of(self.id.as_bytes())
    }
}

/// Says that an import is under way.
///
/// # Errors
/// Those of the store.
pub async fn note(store: &dyn Store, import: &Import, now: Millis) -> Result<(), StoreError> {
    let content = serde_json::to_string(import);
    let row = AccessRow {
        hash: import.hash(),
        content: content.map_err(|error| StoreError::Unavailable(error.to_string()))?,
        expires_at: now.saturating_add(LASTS),
    };
    store.put_access(AccessKind::Import, row, now).await
}

/// Says that it is not any more.
///
/// # Errors
/// Those of the store; then it expires soon.
pub async fn end(store: &dyn Store, import: &Import, now: Millis) -> Result<(), StoreError> {
    let taken = store.take_access(AccessKind::Import, import.hash(), now).await;
    taken.map(|_| ())
}

/// Imports into a workspace that are under way, the one that began first before the others.
///
/// # Errors
/// Those of the store.
pub async fn under_way(
    store: &dyn Store,
    workspace: WorkspaceId,
    now: Millis,
) -> Result<Vec<Import>, StoreError> {
    let rows = store.list_access(AccessKind::Import, now).await?;
    let imports = rows.iter().filter_map(read);
    let mut imports: Vec<Import> = imports.filter(|import| import.workspace == workspace).collect();
    imports.sort_by(|one, other| (one.started_at, &one.id).cmp(&(other.started_at, &other.id)));
    Ok(imports)
}

/// What a row says; `None` where another version wrote what this one can't read.
fn read(row: &AccessRow) -> Option<Import> {
    let import = serde_json::from_str(&row.content);
    import
        .inspect_err(|error| tracing::debug!(%error, "can't read what an import says of itself"))
        .ok()
}
