//! What the store and the metrics say. Each fact is found out by itself, so that one that fails hides no other.

use std::time::Duration;

use crate::catalog::WorkspaceEntry;
use crate::metrics::Metrics;
use crate::model::Millis;
use crate::rollup::{DAY, QUARTER};
use crate::store::imports::{self, Import};
use crate::store::{Rollups, Scope, Store, StoreError, Usage, Whose, all_time};

/// How long the page waits for one fact of a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(4);
const QUARTERS_A_DAY: i64 = DAY / QUARTER;

/// All of them.
pub(super) struct Facts {
    /// What `/ready` says.
    pub(super) readiness: Result<(), StoreError>,
    pub(super) usage: Result<Usage, StoreError>,
    /// Of the workspace.
    pub(super) sessions: Result<Sessions, StoreError>,
    /// Imports into the workspace, of all processes.
    pub(super) imports: Result<Vec<Import>, StoreError>,
    /// Sessions that wait for a commit.
    pub(super) queued: u64,
    /// What the last commit of this process took; `None`: there was none.
    pub(super) last_commit: Option<Duration>,
    /// Commits of this process that failed.
    pub(super) commit_failures: u64,
}

/// How many sessions there are, and the quarter hours (Unix seconds of their beginnings) of the first and the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sessions {
    pub(super) count: u64,
    pub(super) ends: Option<(i64, i64)>,
}

impl Facts {
    pub(super) async fn of(
        store: &dyn Store,
        metrics: &Metrics,
        workspace: &WorkspaceEntry,
        now: Millis,
    ) -> Self {
        let (readiness, usage, sessions, imports) = tokio::join!(
            in_time(store.ready()),
            in_time(store.usage()),
            in_time(sessions(store, workspace)),
            in_time(imports::under_way(store, workspace.workspace.id, now)),
        );
        let last_commit = Duration::try_from_secs_f64(metrics.last_commit_seconds.get()).ok();
        Self {
            readiness: noted(readiness, "whether the store is ready"),
            usage: noted(usage, "how large the store is"),
            sessions: noted(sessions, "how many sessions there are"),
            imports: noted(imports, "which imports are under way"),
            queued: u64::try_from(metrics.queued_sessions.get()).unwrap_or(0),
            last_commit: last_commit.filter(|took| !took.is_zero()),
            commit_failures: metrics.commit_failures.get(),
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = || StoreError::Unavailable("the store does not answer".to_owned());
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| Err(silent()))
}

/// What the store said goes to the log: it may name files of the server.
fn noted<T>(fact: Result<T, StoreError>, what: &str) -> Result<T, StoreError> {
    fact.inspect_err(|error| match error {
        StoreError::Counting(_) => {}
        error => tracing::warn!(%error, "can't find out {what}"),
    })
}

/// Two questions, however many sessions there are: which days have some, and how many there are in the quarter hours of the
/// first and of the last of these days.
async fn sessions(store: &dyn Rollups, workspace: &WorkspaceEntry) -> Result<Sessions, StoreError> {
    let apps: Vec<_> = workspace.apps.iter().map(|app| app.id).collect();
    let (from, to) = all_time();
    let days = store
        .days(&apps, from.div_euclid(DAY)..=to.div_euclid(DAY))
        .await?;
    let with_sessions = || days.iter().filter(|day| day.sessions > 0).map(|day| day.day);
    let Some((first, last)) = with_sessions().min().zip(with_sessions().max()) else {
        return Ok(Sessions { count: 0, ends: None });
    };
    let mut edges: Vec<i64> = [first, last].into_iter().flat_map(quarters).collect();
    // Where both are one day, its quarter hours stand there once.
    edges.sort_unstable();
    edges.dedup();
    let scope = Scope::Workspace(workspace.workspace.id);
    let counts = store.count(scope, Whose::Everyone, &edges).await?;
    let begins = || edges.iter().zip(&counts).filter(|(_, count)| **count > 0);
    let ends = begins().next().zip(begins().next_back());
    Ok(Sessions {
        count: counts.iter().sum(),
        ends: ends.map(|((first, _), (last, _))| (*first, *last)),
    })
}

/// The edges of a UTC day's quarter hours, its end included.
fn quarters(day: i64) -> impl Iterator<Item = i64> {
    (0..=QUARTERS_A_DAY).map(move |quarter| day * DAY + quarter * QUARTER)
}
