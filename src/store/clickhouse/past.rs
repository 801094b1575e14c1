//! Counting the past of segments: every closed day that is not counted yet, a few at a time. Days that are still being
//! written to are counted when somebody asks.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Inner;
use super::administration;
use super::catalog::{self, EVERYONE, Rule, SeriesNumber};
use super::counting;
use super::days::{AppDay, Day};
use crate::model::{AppId, SegmentId, WorkspaceId};
use crate::store::{Counting, StoreError};

/// Every day that an app was ever used.
const ALL_DAYS: std::ops::RangeInclusive<u16> = 0..=u16::MAX;

/// The closed days of a workspace.
fn closed_days(store: &Inner, workspace: WorkspaceId) -> Vec<Day> {
    let close_after = store.engine.close_after();
    let snapshot = store.snapshot();
    snapshot
        .apps_of(workspace)
        .flat_map(|app| store.days.of(app, ALL_DAYS, close_after))
        .filter(|day| day.is_closed)
        .collect()
}

/// Counts a few days for the segments that wait; whether there is more to do.
pub(super) async fn step(store: &Inner) -> Result<bool, StoreError> {
    let snapshot = store.snapshot();
    let waiting: Vec<&Rule> = snapshot.rules.iter().filter(|rule| !rule.counted).collect();
    if waiting.is_empty() {
        return Ok(false);
    }
    store.days.refresh(&store.engine).await?;
    let mut by_workspace = BTreeMap::<WorkspaceId, Vec<&Rule>>::new();
    for rule in &waiting {
        by_workspace.entry(rule.workspace).or_default().push(rule);
    }
    for (workspace, rules) in by_workspace {
        if count_some(store, &closed_days(store, workspace), &rules).await? {
            return Ok(true);
        }
    }
    let done: Vec<SeriesNumber> = waiting.iter().map(|rule| rule.series).collect();
    let (_, after) = catalog::change(&store.engine, |draft| {
        administration::finish_counting(draft, &done)
    })
    .await?;
    store.publish(after);
    Ok(true)
}

/// Counts a few closed days that are not counted for all of these rules; whether there were any.
async fn count_some(store: &Inner, closed: &[Day], rules: &[&Rule]) -> Result<bool, StoreError> {
    let series: Vec<SeriesNumber> = rules.iter().map(|rule| rule.series).collect();
    let kept = counting::kept(&store.engine, closed, &series).await?;
    let is_open = |day: &&Day| series.iter().any(|series| !kept.contains_key(&(day.of, *series)));
    let todo: Vec<Day> = closed.iter().filter(is_open).copied().collect();
    count_first(store, &todo, rules).await
}

/// Counts as many of these days as one statement does, everyone's sessions and those of rules, and keeps that; whether
/// there were any.
async fn count_first(store: &Inner, days: &[Day], rules: &[&Rule]) -> Result<bool, StoreError> {
    let step = counting::first_chunk(&store.engine, days).await?;
    if step.is_empty() {
        return Ok(false);
    }
    let days: Vec<AppDay> = step.iter().map(|day| day.of).collect();
    let (counts, _) = counting::count(&store.engine, &store.combinations, &days, rules).await?;
    counting::keep(&store.engine, &step, &counts).await?;
    Ok(true)
}

/// Counts a few closed days that nobody has asked for yet, so that whoever does need not wait; whether there were any.
pub(super) async fn close_days(store: &Inner) -> Result<bool, StoreError> {
    store.days.refresh(&store.engine).await?;
    let snapshot = store.snapshot();
    let workspaces: BTreeSet<WorkspaceId> = snapshot.apps.values().copied().collect();
    for workspace in workspaces {
        let closed = closed_days(store, workspace);
        // Most were found counted the last time.
        let todo: Vec<Day> = {
            let settled = store.settled.lock();
            closed
                .into_iter()
                .filter(|day| settled.get(&day.of) != Some(&day.changed))
                .collect()
        };
        if todo.is_empty() {
            continue;
        }
        let rules: Vec<&Rule> = snapshot
            .rules
            .iter()
            .filter(|rule| rule.workspace == workspace && rule.counted)
            .collect();
        let mut series: Vec<SeriesNumber> = rules.iter().map(|rule| rule.series).collect();
        series.push(EVERYONE);
        let kept = counting::kept(&store.engine, &todo, &series).await?;
        let (done, open): (Vec<Day>, Vec<Day>) = todo
            .into_iter()
            .partition(|day| series.iter().all(|series| kept.contains_key(&(day.of, *series))));
        store
            .settled
            .lock()
            .extend(done.iter().map(|day| (day.of, day.changed)));
        if count_first(store, &open, &rules).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How far counting has come: of one segment, or of all.
pub(super) async fn counting(store: &Inner, segment: Option<SegmentId>) -> Result<Counting, StoreError> {
    let snapshot = store.snapshot();
    let asked = |rule: &&Rule| !rule.counted && segment.is_none_or(|id| rule.segment == id);
    let waiting: Vec<&Rule> = snapshot.rules.iter().filter(asked).collect();
    if waiting.is_empty() {
        return Ok(Counting::default());
    }
    store.days.refresh(&store.engine).await?;
    let mut counting = Counting {
        segments: waiting.len() as u64,
        ..Counting::default()
    };
    let workspaces: HashSet<WorkspaceId> = waiting.iter().map(|rule| rule.workspace).collect();
    for workspace in workspaces {
        let of_workspace = waiting.iter().filter(|rule| rule.workspace == workspace);
        let mut series: Vec<SeriesNumber> = of_workspace.map(|rule| rule.series).collect();
        let segments = series.len();
        series.push(EVERYONE);
        let closed = closed_days(store, workspace);
        let kept = counting::kept(&store.engine, &closed, &series).await?;
        let sessions = |day: &Day| -> u64 {
            let everyone = kept.get(&(day.of, EVERYONE));
            everyone.map_or(0, |quarters| quarters.iter().map(|count| u64::from(*count)).sum())
        };
        for day in &closed {
            let is_kept = |series: &&SeriesNumber| kept.contains_key(&(day.of, **series));
            // A day counts as done once it is for all of them; every pass takes all that wait.
            if series.iter().take(segments).filter(is_kept).count() == segments {
                counting.done += sessions(day);
            }
        }
        counting.total += recorded(store, &snapshot.apps_of(workspace).collect::<Vec<_>>()).await?;
    }
    Ok(counting)
}

/// Rows of these apps, those that the server has not merged yet included.
async fn recorded(store: &Inner, apps: &[AppId]) -> Result<u64, StoreError> {
    if apps.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "SELECT count() FROM {}.sessions WHERE app IN ({})",
        store.engine.address().database,
        counting::literals(apps.iter().copied())
    );
    Ok(store
        .engine
        .rows(&sql)
        .await?
        .first()
        .copied()
        .unwrap_or_default())
}
