//! Workspaces with their apps, keys and segments, read whole: there are few, and every request needs them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{ApiKey, App, AppId, KeyHash, KeyId, Segment, SegmentId, Workspace, WorkspaceId};
use crate::series::Zone;

/// A workspace and what belongs to it.
#[derive(Debug)]
pub struct WorkspaceEntry {
    /// The tenant.
    pub workspace: Workspace,
    /// Its time zone, resolved.
    pub zone: Zone,
    /// Its apps, oldest first.
    pub apps: Vec<App>,
    /// Its keys, revoked ones too, oldest first.
    pub keys: Vec<ApiKey>,
    /// Its segments, oldest first.
    pub segments: Vec<Segment>,
}

impl WorkspaceEntry {
    /// The app with this id, if it belongs to this workspace.
    pub fn app(&self, id: AppId) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    /// The app with this id or name.
    pub fn find_app(&self, id_or_name: &str) -> Option<&App> {
        match id_or_name.parse() {
            Ok(id) => self.app(id),
            Err(_) => self.apps.iter().find(|app| app.name.as_str() == id_or_name),
        }
    }

    /// The segment with this id, if it belongs to this workspace.
    pub fn segment(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// The segment with this id or name.
    pub fn find_segment(&self, id_or_name: &str) -> Option<&Segment> {
        match id_or_name.parse() {
            Ok(id) => self.segment(id),
            Err(_) => self
                .segments
                .iter()
                .find(|segment| segment.name.as_str() == id_or_name),
        }
    }

    /// The key with this id, or the key that is not revoked with this name.
    pub fn find_key(&self, id_or_name: &str) -> Option<&ApiKey> {
        match id_or_name.parse::<KeyId>() {
            Ok(id) => self.keys.iter().find(|key| key.id == id),
            Err(_) => self
                .keys
                .iter()
                .find(|key| !key.revoked && key.name.as_str() == id_or_name),
        }
    }
}

/// All workspaces at one moment.
#[derive(Debug, Default)]
pub struct Catalog {
    workspaces: Vec<Arc<WorkspaceEntry>>,
    by_hash: HashMap<KeyHash, (usize, usize)>,
    by_app: HashMap<AppId, (usize, usize)>,
}

impl Catalog {
    /// From entries, oldest first, and the hash of each key that is not revoked.
    pub(super) fn new(
        entries: Vec<WorkspaceEntry>,
        hashes: impl IntoIterator<Item = (KeyHash, KeyId)>,
    ) -> Self {
        let places: HashMap<KeyId, (usize, usize)> = entries
            .iter()
            .enumerate()
            .flat_map(|(at, entry)| {
                entry
                    .keys
                    .iter()
                    .enumerate()
                    .map(move |(key, item)| (item.id, (at, key)))
            })
            .collect();
        let by_hash = hashes
            .into_iter()
            .filter_map(|(hash, id)| places.get(&id).map(|place| (hash, *place)))
            .collect();
        let by_app = entries
            .iter()
            .enumerate()
            .flat_map(|(at, entry)| {
                entry
                    .apps
                    .iter()
                    .enumerate()
                    .map(move |(app, item)| (item.id, (at, app)))
            })
            .collect();
        Self {
            workspaces: entries.into_iter().map(Arc::new).collect(),
            by_hash,
            by_app,
        }
    }

    /// All workspaces, oldest first.
    pub fn workspaces(&self) -> &[Arc<WorkspaceEntry>] {
        &self.workspaces
    }

    /// The workspace with this id.
    pub fn workspace(&self, id: WorkspaceId) -> Option<&Arc<WorkspaceEntry>> {
        self.workspaces.iter().find(|entry| entry.workspace.id == id)
    }

    /// The app with this id, whatever workspace it belongs to, and that workspace: an app's id is unique on the server.
    pub fn app(&self, id: AppId) -> Option<(&Arc<WorkspaceEntry>, &App)> {
        let (workspace, app) = self.by_app.get(&id)?;
        let entry = self.workspaces.get(*workspace)?;
        Some((entry, entry.apps.get(*app)?))
    }

    /// The workspace with this id or name.
    pub fn find_workspace(&self, id_or_name: &str) -> Option<&Arc<WorkspaceEntry>> {
        match id_or_name.parse() {
            Ok(id) => self.workspace(id),
            Err(_) => self
                .workspaces
                .iter()
                .find(|entry| entry.workspace.name.as_str() == id_or_name),
        }
    }

    /// The live key whose secret has this hash, and its workspace.
    ///
    /// The map compares whole hashes in constant time; finding the bucket depends on the hash of a guess,
    /// which tells nothing about a secret of 256 random bits.
    pub fn authenticate(&self, hash: &KeyHash) -> Option<(Arc<WorkspaceEntry>, &ApiKey)> {
        let (workspace, key) = self.by_hash.get(hash)?;
        let entry = self.workspaces.get(*workspace)?;
        let key = entry.keys.get(*key).filter(|key| !key.revoked)?;
        Some((entry.clone(), key))
    }
}
