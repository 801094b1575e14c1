//! Hands out cells and people of days: kept ones, or built of the days' sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::answers::{self, Asked};
use super::contents::Hash;
use super::counting::{self, Counted};
use super::ids::AppDay;
use super::{Inner, rollups};
use crate::model::AppId;
use crate::rollup::{Cells, People};
use crate::store::{DayVersion, StoreError, Version};

fn version(hash: Hash) -> Version {
    Version(u128::from(hash.rows) << 64 | u128::from(hash.sum))
}

fn day_version((app, day): AppDay, hash: Hash) -> DayVersion {
    DayVersion {
        day: day.into(),
        app,
        version: version(hash),
        sessions: hash.rows,
    }
}

/// A day without sessions.
fn empty((app, day): (AppId, i64)) -> DayVersion {
    DayVersion {
        day,
        app,
        version: Version::default(),
        sessions: 0,
    }
}

/// What days hold, of those that have sessions.
async fn contents(
    store: &Inner,
    apps: &[AppId],
    days: RangeInclusive<i64>,
) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let (first, last) = ((*days.start()).max(0), (*days.end()).min(u16::MAX.into()));
    let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) else {
        return Ok(BTreeMap::new());
    };
    store.contents.of(&store.engine, apps, first..=last).await
}

/// What these days hold, of those that have sessions.
async fn held(store: &Inner, asked: &[(AppId, i64)]) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let dates = || asked.iter().map(|(_, day)| *day);
    let (Some(first), Some(last)) = (dates().min(), dates().max()) else {
        return Ok(BTreeMap::new());
    };
    let apps: BTreeSet<AppId> = asked.iter().map(|(app, _)| *app).collect();
    let apps: Vec<AppId> = apps.into_iter().collect();
    let wanted: BTreeSet<(AppId, i64)> = asked.iter().copied().collect();
    let mut held = contents(store, &apps, first..=last).await?;
    held.retain(|(app, day), _| wanted.contains(&(*app, i64::from(*day))));
    Ok(held)
}

/// Everyone's sessions of these days.
fn everyone(store: &Inner, asked: &[(AppId, i64)]) -> Option<Asked> {
    let snapshot = store.snapshot();
    let apps: BTreeSet<AppId> = asked.iter().map(|(app, _)| *app).collect();
    let workspace = apps.iter().find_map(|app| snapshot.apps.get(app).copied())?;
    Some(Asked {
        workspace,
        apps: apps.into_iter().collect(),
        filter: None,
    })
}

/// Parts of days in the order in which they were asked for. Those that hold no sessions any more have none.
fn in_order<T: Default>(
    asked: &[(AppId, i64)],
    days: &BTreeMap<AppDay, Hash>,
    found: HashMap<AppDay, Counted<T>>,
) -> Vec<(DayVersion, Arc<T>)> {
    let part = |(of, counted): (AppDay, Counted<T>)| {
        // Merging rows of one session changes what a day holds, and not its sessions.
        let named = days.get(&of).copied();
        let is_named = named.filter(|named| counted.origin.is_of(*named));
        let hash = is_named.unwrap_or(counted.origin.rows);
        let key = (of.0, i64::from(of.1));
        (key, (day_version(of, hash), Arc::new(counted.what)))
    };
    let parts: HashMap<(AppId, i64), (DayVersion, Arc<T>)> = found.into_iter().map(part).collect();
    // A day may be asked for twice.
    let of = |asked: &(AppId, i64)| {
        let part = parts.get(asked).cloned();
        part.unwrap_or_else(|| (empty(*asked), Arc::default()))
    };
    asked.iter().map(of).collect()
}

/// What these days hold, once the rollups of those that are over are kept.
async fn built(store: &Arc<Inner>, asked: &[(AppId, i64)]) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let days = Arc::new(held(store, asked).await?);
    if let Some(everyone) = everyone(store, asked) {
        answers::build(store, &everyone, &days).await?;
    }
    Ok(Arc::unwrap_or_clone(days))
}

/// As [`Rollups::days`](crate::store::Rollups::days).
pub(super) async fn days(
    store: &Inner,
    apps: &[AppId],
    days: RangeInclusive<i64>,
) -> Result<Vec<DayVersion>, StoreError> {
    let found = contents(store, apps, days).await?;
    let day = |(of, hash): (AppDay, Hash)| day_version(of, hash);
    let mut days: Vec<DayVersion> = found.into_iter().map(day).collect();
    days.sort_unstable();
    Ok(days)
}

/// As [`Rollups::cells`](crate::store::Rollups::cells).
pub(super) async fn cells(
    store: &Arc<Inner>,
    asked: &[(AppId, i64)],
) -> Result<Vec<(DayVersion, Arc<Cells>)>, StoreError> {
    let days = built(store, asked).await?;
    let mut found = HashMap::new();
    for chunk in counting::chunks(&days) {
        found.extend(rollups::cells(store, &chunk).await?);
    }
    Ok(in_order(asked, &days, found))
}

/// As [`Rollups::people`](crate::store::Rollups::people).
pub(super) async fn people(
    store: &Arc<Inner>,
    asked: &[(AppId, i64)],
) -> Result<Vec<(DayVersion, Arc<People>)>, StoreError> {
    let days = built(store, asked).await?;
    let mut found = HashMap::new();
    for chunk in counting::chunks(&days) {
        found.extend(rollups::people(store, &chunk).await?);
    }
    Ok(in_order(asked, &days, found))
}

/// As [`Rollups::properties`](crate::store::Rollups::properties).
pub(super) async fn properties(store: &Inner, combinations: &[u64]) -> Result<Vec<Arc<str>>, StoreError> {
    let wanted: BTreeSet<u64> = combinations.iter().copied().collect();
    let found = store.combinations.contents(&store.engine, &wanted).await?;
    let content = |number: &u64| {
        let content = found.get(number).cloned();
        content.ok_or_else(|| StoreError::no_combination(*number))
    };
    combinations.iter().map(content).collect()
}

/// As [`Rollups::prepare`](crate::store::Rollups::prepare).
pub(super) fn prepare(store: &Arc<Inner>, days: &[(AppId, i64)]) {
    let (store, days) = (store.clone(), days.to_vec());
    tokio::spawn(async move {
        // Whoever asks for the days is told what went wrong.
        built(&store, &days).await.ok();
    });
}
