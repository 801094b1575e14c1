//! Everything that a store holds, as plain rows: how one store becomes another.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::{
    ApiKey, App, KeyHash, Millis, Permissions, RateLimits, Segment, SegmentNotes, Session, Tracking,
    Workspace,
};

/// A workspace. Times are Unix milliseconds, here and below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    /// Requests per clock hour, export endpoints; 0: no limit.
    pub export_limit: u64,
    /// The same, recording endpoints.
    pub recording_limit: u64,
    /// Segments that may be tracked.
    pub segment_limit: u32,
    /// When it was created.
    pub created_at: Millis,
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// What it runs on, possibly nothing.
    pub platform: String,
    /// When it was created.
    pub created_at: Millis,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
    /// Names, or `all`.
    pub permissions: Vec<String>,
    /// Networks it may be used from; empty: any.
    pub allow: Vec<IpNet>,
    /// When it was created.
    pub created_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
}

/// A segment, without its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// What its maker wrote.
    pub description: String,
    /// In their order.
    pub tags: Vec<String>,
    /// JSON.
    pub filter: String,
    /// Whether analytics tracking is on.
    pub tracked: bool,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Workspaces and what belongs to them, each kind in the order of creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// All of them.
    pub workspaces: Vec<WorkspaceRecord>,
    /// All of them.
    pub apps: Vec<AppRecord>,
    /// Revoked ones too.
    pub keys: Vec<KeyRecord>,
    /// All of them.
    pub segments: Vec<SegmentRecord>,
}

/// A user's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Id of the workspace.
    pub workspace: crate::model::WorkspaceId,
    /// The user.
    pub user_id: String,
    /// In canonical form, see [`UserAttributes`](crate::model::UserAttributes).
    pub attributes: String,
}

/// A session as it was recorded.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// With its properties as [`Store::export`](super::Store::export) hands them out.
    pub session: Session,
    /// Its properties in canonical form, with the attributes that its user had and whether it was the first.
    pub recorded: String,
}

fn read<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::damaged(format!("'{text}' is no id, name or filter")))
}

impl WorkspaceRecord {
    pub(super) fn workspace(&self) -> Result<Workspace, StoreError> {
        Ok(Workspace {
            id: read(&self.id)?,
            name: read(&self.name)?,
            time_zone: self.time_zone.clone(),
            rate_limits: RateLimits {
                export: self.export_limit,
                recording: self.recording_limit,
            },
            segment_limit: self.segment_limit,
        })
    }
}

impl AppRecord {
    pub(super) fn app(&self) -> Result<App, StoreError> {
        Ok(App {
            id: read(&self.id)?,
            name: read(&self.name)?,
            platform: self.platform.clone(),
        })
    }
}

impl KeyRecord {
    pub(super) fn key(&self) -> Result<(ApiKey, KeyHash), StoreError> {
        let hash = KeyHash::from_bytes(&self.hash)
            .ok_or_else(|| StoreError::damaged("a key's hash is not 32 bytes long"))?;
        let permissions = self.permissions.iter().map(String::as_str);
        let key = ApiKey {
            id: read(&self.id)?,
            name: read(&self.name)?,
            permissions: Permissions::parse(permissions).map_err(StoreError::damaged)?,
            allow: self.allow.clone(),
            revoked: self.revoked_at.is_some(),
            last_used_at: self.last_used_at,
        };
        Ok((key, hash))
    }
}

impl SegmentRecord {
    pub(super) fn segment(&self, tracking: Tracking) -> Result<Segment, StoreError> {
        Ok(Segment {
            id: read(&self.id)?,
            name: read(&self.name)?,
            notes: SegmentNotes::new(self.description.clone(), self.tags.clone())
                .map_err(StoreError::damaged)?,
            filter: read(&self.filter)?,
            tracking,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}
