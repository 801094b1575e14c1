//! A workspace: the tenant.

use super::{Name, WorkspaceId};

/// Requests per clock hour that a workspace has where nothing else is configured.
pub const DEFAULT_RATE_LIMIT: u64 = 250_000;

/// Requests per clock hour; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Shared by all export endpoints.
    pub export: u64,
    /// Shared by all recording endpoints.
    pub recording: u64,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            export: DEFAULT_RATE_LIMIT,
            recording: DEFAULT_RATE_LIMIT,
        }
    }
}

/// The tenant: a name, a time zone and limits; apps and keys belong to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Unique on the server.
    pub id: WorkspaceId,
    /// Unique among workspaces.
    pub name: Name,
    /// IANA name of the zone whose days and hours its series count.
    pub time_zone: String,
    /// Requests per clock hour.
    pub rate_limits: RateLimits,
    /// Segments that may have analytics tracking on.
    pub segment_limit: u32,
}

/// What is needed to create a workspace.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Chosen by the caller, or random.
    pub id: WorkspaceId,
    /// Must not be taken.
    pub name: Name,
    /// IANA name, known to the bundled database.
    pub time_zone: String,
}
