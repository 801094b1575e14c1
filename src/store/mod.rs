//! What a store promises, in the words of the contract; engines live in rooms of their own.
//!
//! A store counts between instants and knows no calendar: a request becomes a list of edges (Unix seconds,
//! multiples of 900, ascending), the store returns one number for each gap between two edges. What is derived
//! (counters) can be recounted from the sessions, and [`Store::verify`] does exactly that.

mod catalog;
pub mod clickhouse;
pub mod copy;
mod error;
mod recent;
pub mod records;
pub mod sqlite;
mod verification;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use catalog::{Catalog, WorkspaceEntry};
pub use error::StoreError;
pub use verification::{Mismatch, Verification};

use self::records::{Records, SessionRecord, UserRecord};
use crate::model::{
    App, AppId, KeyId, Millis, NewApp, NewKey, NewSegment, NewWorkspace, SegmentChange, SegmentId, Session,
    SessionEnd, UserUpdate, Workspace, WorkspaceId,
};

/// What the process is going to do with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Serve it: an embedded store has one server at a time.
    Server,
    /// Run a command, also beside a server. Where there is no store yet, one is made.
    Command,
    /// Run a command that needs an existing store.
    Existing,
}

/// Whose sessions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All apps of a workspace.
    Workspace(WorkspaceId),
    /// One app.
    App(AppId),
}

/// What became of one delivered session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is counted now.
    New,
    /// It had been recorded before; a later end was taken over.
    Duplicate,
}

/// What became of an update of a user's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// Later sessions of the user carry them.
    Done,
    /// The user would have more than [`MAX_USER_ATTRIBUTES`](crate::model::MAX_USER_ATTRIBUTES): nothing of this update
    /// was taken over.
    TooMany,
}

/// How far counting the past of segments has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counting {
    /// Segments that are not counted yet.
    pub segments: u64,
    /// Recorded sessions that were walked.
    pub done: u64,
    /// Sessions there were when it began.
    pub total: u64,
}

impl Counting {
    /// 0 to 99, and 100 when nothing is left to count.
    pub fn percent(&self) -> u64 {
        match self.segments {
            0 => 100,
            _ => (self.done.saturating_mul(100) / self.total.max(1)).min(99),
        }
    }
}

/// How large the store is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Bytes on disk, journals included.
    pub bytes: u64,
}

/// Changes to a workspace's limits; `None` leaves one as it is, 0 lifts it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateLimitChange {
    /// Export endpoints, requests per clock hour.
    pub export: Option<u64>,
    /// Recording endpoints, requests per clock hour.
    pub recording: Option<u64>,
}

/// Which sessions are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// Of one workspace.
    pub workspace: WorkspaceId,
    /// Of one of its apps.
    pub app: Option<AppId>,
    /// That started at this instant or later.
    pub from: Option<Millis>,
    /// That started before this instant.
    pub to: Option<Millis>,
}

/// A place for workspaces, apps, keys, segments and sessions.
///
/// Any number of processes may use the same store. What one of them changed, the others see within one second.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Workspaces with their apps, keys and segments, as of at most a second ago; own changes at once.
    fn catalog(&self) -> Arc<Catalog>;

    /// Adds a workspace.
    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError>;

    /// From now on, series of this workspace count days and hours of `time_zone` (an IANA name).
    async fn set_time_zone(&self, workspace: WorkspaceId, time_zone: String) -> Result<(), StoreError>;

    /// Changes a workspace's budgets.
    async fn set_rate_limits(
        &self,
        workspace: WorkspaceId,
        change: RateLimitChange,
    ) -> Result<(), StoreError>;

    /// Adds an app.
    async fn create_app(&self, workspace: WorkspaceId, new: NewApp) -> Result<App, StoreError>;

    /// Adds a key.
    async fn create_key(&self, workspace: WorkspaceId, new: NewKey) -> Result<(), StoreError>;

    /// The key never authenticates again. Revoking twice is no error.
    async fn revoke_key(&self, key: KeyId) -> Result<(), StoreError>;

    /// Notes when keys were last used; an older time than the noted one changes nothing.
    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError>;

    /// How many segments of a workspace may have analytics tracking on; those that have it keep it.
    async fn set_segment_limit(&self, workspace: WorkspaceId, limit: u32) -> Result<(), StoreError>;

    /// Adds a segment.
    async fn create_segment(&self, workspace: WorkspaceId, new: NewSegment) -> Result<(), StoreError>;

    /// Changes a segment. With tracking turned on, or another filter, its past is counted anew, see
    /// [`Store::counting`]; sessions that are recorded from now on count at once.
    async fn change_segment(&self, segment: SegmentId, change: SegmentChange) -> Result<(), StoreError>;

    /// The segment and its counts are gone; no session is.
    async fn delete_segment(&self, segment: SegmentId) -> Result<(), StoreError>;

    /// How far counting the past has come: of one segment, or of all. An unknown segment has nothing left to count.
    async fn counting(&self, segment: Option<SegmentId>) -> Result<Counting, StoreError>;

    /// Counts a little of the past, which a store that was opened by a server also does by itself; whether there is
    /// more to do.
    async fn count_some(&self) -> Result<bool, StoreError>;

    /// Changes attributes of users, in this order; sessions that are recorded from now on carry them. The outcomes
    /// stand in the order of the updates.
    async fn update_users(
        &self,
        workspace: WorkspaceId,
        updates: Vec<UserUpdate>,
    ) -> Result<Vec<Updated>, StoreError>;

    /// Records sessions as one unit: when this returns, all of them survive a power cut and are in every
    /// count that starts from now on; on an error none of them is recorded.
    ///
    /// The outcomes stand in the order of the sessions. A session that stands in the batch twice is
    /// recorded once, with the values that stand first.
    async fn record(&self, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError>;

    /// Adds ends that came on their own, durably: each extends the newest session of its app and id that started on
    /// the UTC date of the end or on one of the seven dates before; the latest end wins. `false` stands where there is
    /// no such session.
    async fn end_sessions(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, StoreError>;

    /// The number of sessions that started between each two neighbouring edges (start included, end not), everyone's
    /// or those of a segment. Fewer than two edges give no number.
    ///
    /// [`StoreError::Conflict`] where the segment is not tracked, or its past not counted yet.
    async fn count(
        &self,
        scope: Scope,
        segment: Option<SegmentId>,
        edges: &[i64],
    ) -> Result<Vec<u64>, StoreError>;

    /// Hands out recorded sessions, all as they were at one moment, in an order in which they are recorded fast again.
    /// Memory stays small however many there are; when nobody receives batches any more, this ends.
    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError>;

    /// Whether the store can be read right now.
    async fn ready(&self) -> Result<(), StoreError>;

    /// How large it is.
    async fn usage(&self) -> Result<Usage, StoreError>;

    /// Recounts everything derived from the recorded sessions and compares; changes nothing.
    async fn verify(&self) -> Result<Verification, StoreError>;

    /// Writes a consistent copy into one file while the store goes on; `file` must not exist.
    async fn backup(&self, file: &Path) -> Result<(), StoreError>;

    /// Workspaces, apps, keys and segments, all that is stored about them.
    async fn records(&self) -> Result<Records, StoreError>;

    /// Hands out users' attributes; when nobody receives batches any more, this ends.
    async fn dump_users(&self, batches: mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError>;

    /// Like [`Store::export`], with what was recorded besides what was delivered.
    async fn dump_sessions(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<SessionRecord>>,
    ) -> Result<(), StoreError>;

    /// Takes over what another store holds: what is there already becomes as it is there, nothing is removed. Tracked
    /// segments whose past is not counted here wait for that.
    async fn adopt(&self, records: Records) -> Result<(), StoreError>;

    /// The same of users' attributes. Their workspaces must be there.
    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError>;

    /// The same of sessions, with the properties that they were recorded with; durable and counted when this returns.
    /// Their apps must be there.
    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError>;

    /// Writes out what is buffered and releases the store. Later calls fail.
    async fn close(&self);
}
