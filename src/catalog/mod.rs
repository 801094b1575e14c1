//! Who exists: workspaces with their apps, keys and segments, and the rules of changing them. Pure: a store loads the rows,
//! saves those that a [`Change`] made different, and guards that nobody else changes them meanwhile.
//!
//! The catalog is read whole into memory: it is small, and every request needs it.

mod change;
mod records;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::change::{Change, Changed, WorkspaceChange};
pub use self::records::{AppRecord, KeyRecord, LeftOut, Record, Records, SegmentRecord, WorkspaceRecord};
pub use self::refusal::Refusal;
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
    /// What this version understands of the rows, and what it had to leave out: that is no reason to do without the rest. What
    /// belongs to a workspace that is left out is left out with it.
    pub fn new(records: &Records) -> (Self, Vec<LeftOut>) {
        let mut catalog = Self::default();
        let mut left_out = records.unreadable.clone();
        let mut entries = Vec::new();
        let mut places = HashMap::new();
        for record in &records.workspaces {
            if let Some((workspace, zone)) = keep(record, record.read(), &mut left_out) {
                places.insert(record.id.as_str(), entries.len());
                entries.push(WorkspaceEntry {
                    workspace,
                    zone,
                    apps: Vec::new(),
                    keys: Vec::new(),
                    segments: Vec::new(),
                });
            }
        }
        let place = |owner: &str| places.get(owner).copied();
        for record in &records.apps {
            if let Some((at, entry)) = owner(&mut entries, place(&record.workspace))
                && let Some(app) = keep(record, record.read(), &mut left_out)
            {
                catalog.by_app.insert(app.id, (at, entry.apps.len()));
                entry.apps.push(app);
            }
        }
        for record in &records.keys {
            if let Some((at, entry)) = owner(&mut entries, place(&record.workspace))
                && let Some((key, hash)) = keep(record, record.read(), &mut left_out)
            {
                if !key.revoked {
                    catalog.by_hash.insert(hash, (at, entry.keys.len()));
                }
                entry.keys.push(key);
            }
        }
        for record in &records.segments {
            if let Some((_, entry)) = owner(&mut entries, place(&record.workspace))
                && let Some(segment) = keep(record, record.read(), &mut left_out)
            {
                entry.segments.push(segment);
            }
        }
        catalog.workspaces = entries.into_iter().map(Arc::new).collect();
        (catalog, left_out)
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

/// What was read of a record, or `None` where that has to be left out.
fn keep<R: Record, T>(record: &R, read: Result<T, String>, left_out: &mut Vec<LeftOut>) -> Option<T> {
    read.map_err(|why| {
        left_out.push(LeftOut {
            noun: R::NOUN,
            id: record.id().to_owned(),
            why,
        });
    })
    .ok()
}

/// The workspace at a place, with that place.
fn owner(entries: &mut [WorkspaceEntry], at: Option<usize>) -> Option<(usize, &mut WorkspaceEntry)> {
    let at = at?;
    Some((at, entries.get_mut(at)?))
}
