//! The sessions of a store, and the users' attributes that they carry: recorded, ended, handed out.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::StoreError;
use super::records::{SessionRecord, UserRecord};
use super::sealed::SealedDay;
use crate::model::{AppId, Identities, Millis, Session, SessionEnd, UserUpdate, WorkspaceId};

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

/// Records sessions and hands them out again.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
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

    /// Changes attributes of users, in this order; sessions that are recorded from now on carry them. The outcomes
    /// stand in the order of the updates.
    async fn update_users(
        &self,
        workspace: WorkspaceId,
        updates: Vec<UserUpdate>,
    ) -> Result<Vec<Updated>, StoreError>;

    /// Forgets users or devices: their ids and attributes are gone, from what [`Sessions::export`] hands out as well. Counts stay,
    /// those of distinct users among them; the same id is a new user's from now on. Returns how many of them were known.
    ///
    /// [`StoreError::Partial`] where that goes on after the call.
    async fn forget(&self, workspace: WorkspaceId, people: Identities) -> Result<u64, StoreError>;

    /// Hands out all sessions that are recorded when this begins, in an order in which they are recorded fast again; those
    /// that are recorded meanwhile may be among them. Memory stays small however many there are; when nobody receives
    /// batches any more, this ends.
    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError>;

    /// Hands out users' attributes; when nobody receives batches any more, this ends.
    async fn dump_users(&self, batches: mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError>;

    /// Like [`Sessions::export`], with what was recorded besides what was delivered.
    async fn dump_sessions(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<SessionRecord>>,
    ) -> Result<(), StoreError>;

    /// Takes over users' attributes of another store: who is there already becomes as it is there, nobody is removed. Their
    /// workspaces must be there.
    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError>;

    /// Takes over sessions of another store, with the properties that they were recorded with; durable and counted when this
    /// returns. Their apps must be there.
    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError>;

    /// Hands out the sealed days of a workspace, some at a time; when nobody receives any more, this ends.
    async fn dump_sealed(
        &self,
        workspace: WorkspaceId,
        days: mpsc::Sender<Vec<SealedDay>>,
    ) -> Result<(), StoreError>;

    /// Takes over sealed days of one workspace of another store, in the place of whatever is there of these days; durable and
    /// counted when this returns. Their apps must be there.
    async fn adopt_sealed(&self, days: Vec<SealedDay>) -> Result<(), StoreError>;
}
