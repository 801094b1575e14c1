//! Rollups of days: kept ones where they hold what the days hold, else built of the sessions. Those of days that are over and
//! that nobody here writes to are kept, so that no other process builds them again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::contents::Hash;
use super::counting::{self, CellsTally, Counted, Tally};
use super::ids::AppDay;
use super::kept::{self, Kept, KeptRow};
use super::sealed;
use crate::model::{AppId, WorkspaceId};
use crate::rollup::{Builder, Cells, DAY, People, Rollup, Totals};
use crate::store::StoreError;

/// Days so long past are seldom written to.
const PAST_DAYS: i64 = 2;
/// How long a day that this process wrote to is left alone before it is counted.
const QUIET: Duration = Duration::from_secs(5);

type Found<T> = HashMap<AppDay, Counted<T>>;

/// Everyone's sessions of days.
pub(super) async fn totals(
    store: &Inner,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<Found<Totals>, StoreError> {
    kept_or_counted::<Totals, Totals>(store, days).await
}

/// The cells of days.
pub(super) async fn cells(store: &Inner, days: &BTreeMap<AppDay, Hash>) -> Result<Found<Cells>, StoreError> {
    kept_or_counted::<Cells, CellsTally>(store, days).await
}

async fn kept_or_counted<T, By>(store: &Inner, days: &BTreeMap<AppDay, Hash>) -> Result<Found<T>, StoreError>
where
    T: Kept + Send + 'static,
    By: Tally<Result = T> + Send + 'static,
{
    let mut found = kept::read::<T>(&store.engine, days).await?;
    let missing = without(days, |day| found.contains_key(day));
    if missing.is_empty() {
        return Ok(found);
    }
    let mut counted = counting::count::<By>(&store.engine, &missing).await?;
    // Sessions of days that were sealed meanwhile may be gone.
    let sealed = sealed::read::<T>(&store.engine, counted.keys().copied().collect::<Vec<_>>()).await?;
    counted.retain(|day, _| !sealed.contains_key(day));
    found.extend(sealed);
    let mut rows = Vec::new();
    for (day, counted) in counted.iter().filter(|(day, _)| is_over(store, **day)) {
        rows.push(KeptRow::new(*day, counted.origin, &counted.what)?);
    }
    if let Err(error) = kept::keep(&store.engine, &rows).await {
        tracing::warn!(%error, "can't keep counts of days; they are counted again");
    }
    found.extend(counted);
    Ok(found)
}

/// The people of days.
pub(super) async fn people(
    store: &Inner,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<Found<People>, StoreError> {
    let mut found = kept::read::<People>(&store.engine, days).await?;
    let missing = without(days, |day| found.contains_key(day));
    let built = counting::count::<Builder>(&store.engine, &missing).await?;
    let sealed = sealed::read::<People>(&store.engine, built.keys().copied().collect::<Vec<_>>()).await?;
    found.extend(built.into_iter().map(|(day, Counted { origin, begun, what })| {
        let what = what.people;
        (day, Counted { origin, begun, what })
    }));
    found.extend(sealed);
    Ok(found)
}

/// Those of these days whose people could be kept, and are not.
pub(super) async fn without_people(
    store: &Inner,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let over = without(days, |day| !is_over(store, *day));
    let known = kept::known::<People>(&store.engine, &over).await?;
    Ok(without(&over, |day| known.contains(day)))
}

/// Builds everything of days, and keeps it.
pub(super) async fn build(store: &Inner, days: &BTreeMap<AppDay, Hash>) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    let counted = counting::count::<Builder>(&store.engine, days).await?;
    let sealed = sealed::among(&store.engine, counted.keys().copied().collect::<Vec<_>>()).await?;
    for (day, counted) in counted.into_iter().filter(|(day, _)| !sealed.contains_key(day)) {
        let Rollup { cells, people } = counted.what;
        rows.push(KeptRow::new(day, counted.origin, &Totals(cells.sum(|_| true)))?);
        rows.push(KeptRow::new(day, counted.origin, &cells)?);
        rows.push(KeptRow::new(day, counted.origin, &people)?);
    }
    kept::keep(&store.engine, &rows).await
}

/// Builds the days that this process wrote to, once it has left them alone for a while, so that who asks need not wait.
pub(super) async fn build_quiet_days(store: &Arc<Inner>) -> Result<(), StoreError> {
    let snapshot = store.snapshot();
    let mut by_workspace = BTreeMap::<WorkspaceId, BTreeSet<AppDay>>::new();
    for day in store.contents.take_quiet(QUIET) {
        if let Some(workspace) = snapshot.apps.get(&day.0).filter(|_| is_over(store, day)) {
            by_workspace.entry(*workspace).or_default().insert(day);
        }
    }
    for written in by_workspace.into_values() {
        let apps: BTreeSet<AppId> = written.iter().map(|(app, _)| *app).collect();
        let apps: Vec<AppId> = apps.into_iter().collect();
        let dates = || written.iter().map(|(_, day)| *day);
        let (Some(first), Some(last)) = (dates().min(), dates().max()) else {
            continue;
        };
        let days = store.contents.of(&store.engine, &apps, first..=last).await?;
        let written = without(&days, |day| !written.contains(day));
        let missing = without_people(store, &written).await?;
        for chunk in counting::chunks(&missing) {
            build(store, &chunk).await?;
        }
    }
    Ok(())
}

/// Whether what is built of a day is likely to hold for long.
fn is_over(store: &Inner, day: AppDay) -> bool {
    let today = super::now() / 1000 / DAY;
    i64::from(day.1) <= today - PAST_DAYS && !store.contents.is_being_written(day)
}

fn without(days: &BTreeMap<AppDay, Hash>, is_left_out: impl Fn(&AppDay) -> bool) -> BTreeMap<AppDay, Hash> {
    let left = days.iter().filter(|(day, _)| !is_left_out(day));
    left.map(|(day, hash)| (*day, *hash)).collect()
}
