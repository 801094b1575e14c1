//! Answers: days whose content is known to be that of a count are shown, the others are counted first.
//!
//! Counting goes on when nobody waits for it any more. The days of a workspace are counted by one statement at a time, and
//! the store has few at once, so that nobody waits for all that another asked for.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::Inner;
use super::contents::Hash;
use super::counting;
use super::filters::KnownFilter;
use super::held::EVERYONE;
use super::ids::AppDay;
use super::rollups;
use crate::model::{AppId, WorkspaceId};
use crate::rollup::days_of;
use crate::rollup::folds::Distinct;
use crate::store::{StoreError, Users};

/// How long a request waits for days to be counted. The work goes on when it gives up.
const PATIENCE: Duration = Duration::from_secs(3);
/// Statements that count at once.
const AT_ONCE: usize = 2;

/// Whose sessions are asked for.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) workspace: WorkspaceId,
    pub(super) apps: Arc<[AppId]>,
    /// `None` for everyone.
    pub(super) filter: Option<Arc<KnownFilter>>,
}

impl Asked {
    fn number(&self) -> u64 {
        self.filter.as_ref().map_or(EVERYONE, |filter| filter.number)
    }
}

/// What has to be there before an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Needed {
    /// Counts, in memory.
    Counts,
    /// The people of days that are over, kept.
    People,
}

/// The days that were asked for, with what they hold.
pub(super) type Days = Arc<BTreeMap<AppDay, Hash>>;

/// Counting that is under way.
#[derive(Clone)]
struct Work {
    done: Shared<BoxFuture<'static, Result<(), StoreError>>>,
    /// Rows of days that are counted, and of all that must be.
    progress: Arc<(AtomicU64, AtomicU64)>,
}

impl Work {
    fn rows_left(&self) -> u64 {
        let (done, total) = (&self.progress.0, &self.progress.1);
        let done = done.load(Ordering::Relaxed);
        total.load(Ordering::Relaxed).saturating_sub(done)
    }

    fn percent(&self) -> u64 {
        let (done, total) = (&self.progress.0, &self.progress.1);
        let percent = done.load(Ordering::Relaxed).saturating_mul(100) / total.load(Ordering::Relaxed).max(1);
        percent.min(99)
    }
}

/// Apps, number of the filter, and what is counted of them.
type WorkKey = (Arc<[AppId]>, u64, Needed);

/// Who counts what at the moment. Owned by the store.
pub(super) struct Works {
    under_way: Mutex<HashMap<WorkKey, Work>>,
    turns: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
    statements: Semaphore,
}

impl Default for Works {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            turns: Mutex::default(),
            statements: Semaphore::new(AT_ONCE),
        }
    }
}

impl Works {
    /// Rows of days that are counted right now or wait for it.
    pub(super) fn rows_left(&self) -> u64 {
        self.under_way.lock().values().map(Work::rows_left).sum()
    }

    /// The turn of a workspace's counting.
    fn turn(&self, workspace: WorkspaceId) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.lock().entry(workspace).or_default().clone()
    }
}

/// Sessions between each two neighbouring edges.
pub(super) async fn count(store: &Arc<Inner>, asked: &Asked, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
    let Some(range) = range_of(edges) else {
        return Ok(vec![0; edges.len().saturating_sub(1)]);
    };
    let since = Instant::now();
    let apps = &asked.apps;
    let days = Arc::new(store.contents.of(&store.engine, apps, range.clone()).await?);
    ensure(store, asked, Needed::Counts, &days, since).await?;
    Ok(store.held.count(apps, &days, range, asked.number(), edges))
}

/// Distinct users between each two neighbouring edges.
pub(super) async fn users(store: &Arc<Inner>, asked: &Asked, edges: &[i64]) -> Result<Users, StoreError> {
    let mut distinct = Distinct::new(edges);
    let Some(range) = range_of(edges) else {
        return Ok(distinct.into());
    };
    let days = Arc::new(store.contents.of(&store.engine, &asked.apps, range).await?);
    build(store, asked, &days).await?;
    for chunk in counting::chunks(&days) {
        for ((app, day), people) in rollups::people(store, &chunk).await? {
            let people = people.what;
            let Some(filter) = &asked.filter else {
                distinct.add(day.into(), &people, |_| true);
                continue;
            };
            let (engine, combinations) = (&store.engine, people.combinations());
            filter
                .evaluate(engine, &store.combinations, app, combinations)
                .await?;
            filter.with_members(app, |is_member| distinct.add(day.into(), &people, is_member));
        }
    }
    Ok(distinct.into())
}

/// Waits until the rollups of those days are kept that are over.
///
/// # Errors
/// [`StoreError::Counting`] where that takes more than a few seconds; the work goes on.
pub(super) async fn build(store: &Arc<Inner>, asked: &Asked, days: &Days) -> Result<(), StoreError> {
    ensure(store, asked, Needed::People, days, Instant::now()).await
}

/// The UTC days between the first and the last edge; none where there is no such stretch, or none that days are stored of.
fn range_of(edges: &[i64]) -> Option<RangeInclusive<u16>> {
    let days = days_of(edges)?;
    let (first, last) = ((*days.start()).max(0), (*days.end()).min(u16::MAX.into()));
    Some(u16::try_from(first).ok()?..=u16::try_from(last).ok()?)
}

/// Waits until everything that is needed is there.
async fn ensure(
    store: &Arc<Inner>,
    asked: &Asked,
    needed: Needed,
    days: &Days,
    since: Instant,
) -> Result<(), StoreError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let missing = missing(store, asked, needed, days, since).await?;
        if missing.is_empty() {
            return Ok(());
        }
        // What was begun for somebody else may not have all that was there when this was asked, so it is looked again.
        let work = join(store, asked, needed, days, since, &missing);
        match tokio::time::timeout_at(deadline, work.done.clone()).await {
            // Days that change without pause are built where they are needed.
            Ok(Ok(())) if needed == Needed::People => return Ok(()),
            Ok(result) => result?,
            Err(_) => return Err(StoreError::Counting(work.percent())),
        }
    }
}

/// The work that is under way for this, or a new one.
fn join(
    store: &Arc<Inner>,
    asked: &Asked,
    needed: Needed,
    days: &Days,
    since: Instant,
    missing: &BTreeMap<AppDay, Hash>,
) -> Work {
    let key = (asked.apps.clone(), asked.number(), needed);
    let mut under_way = store.works.under_way.lock();
    if let Some(work) = under_way.get(&key) {
        return work.clone();
    }
    let rows = missing.values().map(|hash| hash.rows).sum();
    let progress = Arc::new((AtomicU64::new(0), AtomicU64::new(rows)));
    let task = {
        let (store, asked, days, progress) = (store.clone(), asked.clone(), days.clone(), progress.clone());
        let key = key.clone();
        tokio::spawn(async move {
            let result = work(&store, &asked, needed, &days, since, &progress.0).await;
            store.works.under_way.lock().remove(&key);
            store.held.shrink();
            result
        })
    };
    let done = task.map(|ended| match ended {
        Ok(result) => result,
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    });
    let work = Work {
        done: done.boxed().shared(),
        progress,
    };
    under_way.insert(key, work.clone());
    work
}

/// What is missing for an answer to a question that was asked at that time.
async fn missing(
    store: &Inner,
    asked: &Asked,
    needed: Needed,
    days: &BTreeMap<AppDay, Hash>,
    since: Instant,
) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    match needed {
        Needed::Counts => Ok(store.held.missing(days, asked.number(), since)),
        Needed::People => rollups::without_people(store, days).await,
    }
}

/// Counts what is missing, some days at a time; what others have counted meanwhile is not counted again.
async fn work(
    store: &Inner,
    asked: &Asked,
    needed: Needed,
    days: &Days,
    since: Instant,
    done: &AtomicU64,
) -> Result<(), StoreError> {
    for chunk in counting::chunks(&missing(store, asked, needed, days, since).await?) {
        let turn = store.works.turn(asked.workspace);
        let _turn = turn.lock().await;
        let rows: u64 = chunk.values().map(|hash| hash.rows).sum();
        let chunk = missing(store, asked, needed, &chunk, since).await?;
        let permit = store.works.statements.acquire().await;
        let _permit = permit.map_err(|_| StoreError::closed())?;
        match (needed, &asked.filter) {
            (Needed::Counts, None) => {
                for (day, totals) in rollups::totals(store, &chunk).await? {
                    let counted = (totals.origin, totals.begun);
                    store.held.put(day, EVERYONE, counted, &totals.what.0);
                }
            }
            (Needed::Counts, Some(filter)) => count_filtered(store, filter, &chunk).await?,
            (Needed::People, _) => rollups::build(store, &chunk).await?,
        }
        done.fetch_add(rows, Ordering::Relaxed);
    }
    Ok(())
}

async fn count_filtered(
    store: &Inner,
    filter: &Arc<KnownFilter>,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<(), StoreError> {
    for (day, cells) in rollups::cells(store, days).await? {
        let (engine, combinations) = (&store.engine, cells.what.combinations());
        filter
            .evaluate(engine, &store.combinations, day.0, combinations)
            .await?;
        let quarters = filter.with_members(day.0, |is_member| cells.what.sum(is_member));
        let counted = (cells.origin, cells.begun);
        store.held.put(day, filter.number, counted, &quarters);
    }
    Ok(())
}
