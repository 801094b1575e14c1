//! The catalog in memory, with the numbers by which sessions refer to it.

use std::collections::HashMap;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::Connection;

use super::rows;
use crate::catalog::{Catalog, LeftOut};
use crate::model::{AppId, Filter, SegmentId, WorkspaceId};
use crate::store::StoreError;
use crate::store::published::State;

/// The ordinal of a workspace, and its apps with theirs.
type WorkspaceApps = (i64, Arc<[(i64, AppId)]>);
/// The newest snapshot that this process has.
pub(super) type Published = crate::store::published::Published<Snapshot>;

/// The catalog with the ordinals by which sessions refer to it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) catalog: Arc<Catalog>,
    /// Ordinals of the app and of its workspace.
    pub(super) apps: HashMap<AppId, (i64, i64)>,
    workspaces: HashMap<WorkspaceId, WorkspaceApps>,
    segments: HashMap<SegmentId, SegmentFilter>,
    pub(super) left_out: Vec<LeftOut>,
    /// `meta.catalog_seq` of this state.
    pub(super) seq: i64,
}

impl Snapshot {
    /// Ids of apps by their ordinals.
    pub(super) fn app_ids(&self) -> HashMap<i64, AppId> {
        let apps = self.apps.iter();
        apps.map(|(id, (ordinal, _))| (*ordinal, *id)).collect()
    }
}

/// A segment's filter, and its JSON form, by which filters are known.
#[derive(Debug)]
pub(super) struct SegmentFilter {
    pub(super) json: Box<str>,
    pub(super) filter: Filter,
}

impl State for Snapshot {
    type Version = i64;

    fn version(&self) -> i64 {
        self.seq
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Snapshot {
    /// The ordinal of a workspace.
    pub(super) fn workspace(&self, id: WorkspaceId) -> Result<i64, StoreError> {
        self.apps_of(id).map(|(ordinal, _)| ordinal)
    }

    /// The ordinal of a workspace, and its apps.
    pub(super) fn apps_of(&self, id: WorkspaceId) -> Result<WorkspaceApps, StoreError> {
        let found = self.workspaces.get(&id).cloned();
        found.ok_or_else(|| StoreError::unknown("workspace", id))
    }

    /// The filter of a segment.
    pub(super) fn filter(&self, id: SegmentId) -> Result<&SegmentFilter, StoreError> {
        let found = self.segments.get(&id);
        found.ok_or_else(|| StoreError::unknown("segment", id))
    }

    /// Reads the catalog in one consistent state.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let seq = transaction.query_row("SELECT catalog_seq FROM meta", [], |row| row.get(0))?;
        let (catalog, left_out) = Catalog::new(&rows::read(&transaction)?);
        let workspace_ordinals: HashMap<WorkspaceId, i64> =
            ordinals(&transaction, "SELECT id, ordinal FROM workspaces")?;
        let app_ordinals: HashMap<AppId, i64> = ordinals(&transaction, "SELECT id, ordinal FROM apps")?;
        let mut snapshot = Self {
            catalog: Arc::new(catalog),
            apps: HashMap::new(),
            workspaces: HashMap::new(),
            segments: HashMap::new(),
            left_out,
            seq,
        };
        for entry in snapshot.catalog.workspaces() {
            let id = entry.workspace.id;
            let Some(workspace) = workspace_ordinals.get(&id).copied() else {
                continue;
            };
            let with_ordinal = |id: AppId| Some((*app_ordinals.get(&id)?, id));
            let apps: Arc<[_]> = entry.apps.iter().filter_map(|app| with_ordinal(app.id)).collect();
            let ordinals = apps.iter().map(|(app, id)| (*id, (*app, workspace)));
            snapshot.apps.extend(ordinals);
            snapshot.workspaces.insert(id, (workspace, apps));
            let filters = entry.segments.iter().map(|segment| {
                let filter = SegmentFilter {
                    json: segment.filter.to_json().into(),
                    filter: segment.filter.clone(),
                };
                (segment.id, filter)
            });
            snapshot.segments.extend(filters);
        }
        Ok(snapshot)
    }
}

/// Ordinals by id. What has an id that is none is left out of the catalog too.
fn ordinals<T: FromStr + Eq + Hash>(
    connection: &Connection,
    sql: &str,
) -> Result<HashMap<T, i64>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut ordinals = HashMap::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str().ok().and_then(|id| id.parse().ok());
        if let Some(id) = id {
            ordinals.insert(id, row.get(1)?);
        }
    }
    Ok(ordinals)
}
