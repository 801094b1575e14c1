//! What a store counts between instants, and what it hands out of its rollups: days that are counted already, each with the
//! version of what it contains.
//!
//! Everything that is more than a series of sessions is answered of the latter: breakdowns, users over time, any filter. The
//! folds are the same for every store (`crate::count`).

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::model::{AppId, Filter, SegmentId, WorkspaceId};
use crate::rollup::folds::Distinct;
use crate::rollup::{Cells, People, QUARTER};

/// Whose sessions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All apps of a workspace.
    Workspace(WorkspaceId),
    /// One app.
    App(AppId),
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Whose<'a> {
    /// All.
    Everyone,
    /// Those of a segment.
    Segment(SegmentId),
    /// Those for which a filter holds, whether or not it is a segment's.
    Filter(&'a Filter),
}

/// Distinct users: a user of several apps is one, and a session that names nobody is nobody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Between each two neighbouring edges.
    pub by_gap: Vec<u64>,
    /// Between the first and the last edge.
    pub total: u64,
}

impl From<Distinct> for Users {
    fn from(distinct: Distinct) -> Self {
        Self {
            by_gap: distinct.counts(),
            total: distinct.total(),
        }
    }
}

/// Equal versions of a day mean equal sessions, and each change of its sessions gives it a version that it never had while
/// other sessions were in it. Over SQLite the day's `seq`, over ClickHouse a hash of the content. 0 is a day without sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u128);

impl Version {
    /// The version that no day ever has.
    pub const NONE: Self = Self(u128::MAX);
}

/// A UTC day of an app in the state that something was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayVersion {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Whose sessions.
    pub app: AppId,
    /// What it contains.
    pub version: Version,
    /// How many sessions that are, about: what says how long it takes to read them.
    pub sessions: u64,
}

/// Counts sessions and users, and hands out what was counted.
///
/// A store counts between instants and knows no calendar: a request becomes a list of edges (Unix seconds, multiples of 900,
/// ascending), and the store returns one number for each gap between two of them.
///
/// A person's number is one and the same in all apps of the workspace, whatever process or version of the store gave it; it is never
/// given to another person. So is a combination's.
#[async_trait]
pub trait Rollups: Send + Sync + 'static {
    /// The number of sessions that started between each two neighbouring edges (start included, end not). Fewer than two
    /// edges give no number.
    ///
    /// [`StoreError::Counting`] where more than a few seconds of reading sessions are needed first: the work goes on, and
    /// the same question is answered at once when it is done. See [`count_patiently`].
    async fn count(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Vec<u64>, StoreError>;

    /// Distinct users with such a session between each two neighbouring edges, and altogether. Errors as [`Rollups::count`].
    async fn users(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Users, StoreError>;

    /// Does now what the first questions about the days that this process has recorded would wait for; `progress` hears for
    /// how many of how many sessions that is done. A store that needs nothing of the kind returns at once.
    ///
    /// Losing it costs no number: on an error the questions wait.
    async fn prepare_answers(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), StoreError> {
        let _ = progress;
        Ok(())
    }

    /// The days of these apps in a range (days since 1970-01-01) that have sessions, ordered by day and app. All that was
    /// acknowledged before the call is in their versions. Cheap where nothing changed: every answer begins with it.
    async fn days(&self, apps: &[AppId], days: RangeInclusive<i64>) -> Result<Vec<DayVersion>, StoreError>;

    /// The cells of days, in the order in which they were asked for, each with the version that it contains: the one that
    /// [`Rollups::days`] named, or a later one. Rollups that are missing are built. All of them are in memory at one time,
    /// so whoever wants many days asks for some at a time.
    ///
    /// [`StoreError::Counting`] where building takes more than a few seconds; the work goes on.
    async fn cells(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<Cells>)>, StoreError>;

    /// The same of the days' people.
    async fn people(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<People>)>, StoreError>;

    /// The recorded properties of combinations that `cells` and `people` named, in the order in which they were asked for:
    /// canonical JSON, with what the store found out about the session, as [`Facts::read`](crate::model::Facts::read)
    /// takes it.
    ///
    /// [`StoreError::Unusable`] where one is not there.
    async fn properties(
        &self,
        workspace: WorkspaceId,
        combinations: &[u64],
    ) -> Result<Vec<Arc<str>>, StoreError>;

    /// Has the rollups of days built that are missing, without waiting for them.
    fn prepare(&self, _days: &[(AppId, i64)]) {}
}

/// No session is older than 2000, in Unix seconds.
const FIRST: i64 = 946_684_800;
/// How much newer than now one may be, in seconds.
const AHEAD: i64 = 2 * 86_400;

/// Edges between which all sessions are.
pub fn all_time() -> (i64, i64) {
    let last = jiff::Timestamp::now().as_second() + AHEAD;
    (FIRST, last - last.rem_euclid(QUARTER))
}

/// Asks [`Rollups::count`] until there is an answer, however long that takes; `progress` hears how many percent are counted.
///
/// # Errors
/// Those of the store, but [`StoreError::Counting`].
pub async fn count_patiently(
    store: &dyn Rollups,
    (scope, whose): (Scope, Whose<'_>),
    edges: &[i64],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<u64>, StoreError> {
    loop {
        match store.count(scope, whose, edges).await {
            Err(StoreError::Counting(percent)) => progress(percent),
            answer => return answer,
        }
    }
}
