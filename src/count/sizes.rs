//! Users whose latest session is in a segment, at the end of each unit.
//!
//! Everybody's latest session is held as it was at a few instants, with the versions of the days before. From there the days
//! are folded in up to the window's end. A size is remembered with the versions of all days before it.

use std::hash::Hash as _;
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::asked::Asked;
use super::distinct::Remembered;
use super::states::State;
use super::versions::{Fingerprint, add, changed};
use super::walk::Whose;
use crate::rollup::folds::{Latest, Sizes};
use crate::rollup::{DAY, People, QUARTER};
use crate::store::{DayVersion, StoreError, Version};

/// Instants that are held for some apps: the window's begin, the running unit's, and one more.
const HELD: usize = 3;

/// Everybody's latest session before an instant.
#[derive(Debug, Clone)]
struct Snapshot {
    /// Unix seconds.
    at: i64,
    /// The days before it.
    days: Vec<DayVersion>,
    latest: Arc<Latest>,
}

/// Everybody's latest session at a few instants, the one that was used last at the end.
#[derive(Debug, Default)]
pub(super) struct Latests(Vec<Snapshot>);

impl State for Latests {
    fn bytes(&self) -> usize {
        let size =
            |snapshot: &Snapshot| snapshot.latest.bytes() + snapshot.days.len() * size_of::<DayVersion>();
        self.0.iter().map(size).sum()
    }
}

impl Latests {
    fn keep(&mut self, snapshot: Snapshot) {
        self.0.retain(|held| held.at != snapshot.at);
        self.0.push(snapshot);
        if self.0.len() > HELD {
            self.0.remove(0);
        }
    }
}

/// Sizes at the end of each unit. The versions in `days`, which are all up to the end of the window, become those that were
/// counted.
pub(super) async fn count(
    latests: &mut Latests,
    remembered: &Remembered,
    hasher: SipHasher13,
    whose: &Whose,
    asked: &Asked,
    days: &mut [DayVersion],
) -> Result<Vec<u64>, StoreError> {
    let name = {
        let mut hasher = hasher;
        "sizes".hash(&mut hasher);
        asked.hash_whose(&mut hasher);
        hasher.finish128().as_u128()
    };
    let ends = asked.edges.get(1..).unwrap_or_default();
    let known = {
        let fingerprints = fingerprints(hasher, days, ends);
        let known = ends.iter().zip(fingerprints);
        let known = known.map_while(|(end, of)| remembered.get(&(name, 0, *end), of));
        known.collect::<Vec<u64>>()
    };
    let edges = asked.edges.get(known.len()..).unwrap_or_default();
    let (Some(from), true) = (edges.first(), edges.len() > 1) else {
        return Ok(known);
    };
    let mut sizes = known;
    let mut snapshot = snapshot_at(latests, whose, days, *from).await?;
    // The last unit may be the one that runs, which is asked for again when it has grown.
    let (before_last, last) = edges.split_at(edges.len() - 2);
    for edges in [
        [before_last, last.get(..1).unwrap_or_default()].concat(),
        last.to_vec(),
    ] {
        if edges.len() > 1 {
            latests.keep(snapshot.clone());
            let (more, after) = forward(whose, days, snapshot, &edges).await?;
            sizes.extend(more);
            snapshot = after;
        }
    }
    for ((end, of), size) in ends.iter().zip(fingerprints(hasher, days, ends)).zip(&sizes) {
        remembered.put((name, 0, *end), of, *size);
    }
    Ok(sizes)
}

/// Of each instant the fingerprint of all days before it.
fn fingerprints(mut hasher: SipHasher13, days: &[DayVersion], ends: &[i64]) -> Vec<Fingerprint> {
    let mut days = days.iter().peekable();
    let fingerprint = |end: &i64| {
        while let Some(day) = days.next_if(|day| day.day.saturating_mul(DAY) < *end) {
            add(&mut hasher, day);
        }
        hasher.finish128().as_u128()
    };
    ends.iter().map(fingerprint).collect()
}

/// How many of the days begin before an instant.
fn before(days: &[DayVersion], at: i64) -> usize {
    days.partition_point(|day| day.day.saturating_mul(DAY) < at)
}

/// Everybody's latest session before an instant, from the nearest one that is held.
async fn snapshot_at(
    latests: &mut Latests,
    whose: &Whose,
    days: &mut [DayVersion],
    at: i64,
) -> Result<Snapshot, StoreError> {
    let mut held: Vec<Snapshot> = latests.0.clone();
    held.retain(|snapshot| snapshot.at <= at);
    held.sort_by_key(|snapshot| snapshot.at);
    while let Some(snapshot) = held.pop() {
        if let Some(snapshot) = brought_up_to_date(whose, days, snapshot).await? {
            return advance(whose, days, snapshot, at).await;
        }
    }
    let nothing = Snapshot {
        at: i64::MIN,
        days: Vec::new(),
        latest: Arc::default(),
    };
    advance(whose, days, nothing, at).await
}

/// The snapshot with what its days have become; none where that can't be said without all days.
async fn brought_up_to_date(
    whose: &Whose,
    days: &mut [DayVersion],
    mut snapshot: Snapshot,
) -> Result<Option<Snapshot>, StoreError> {
    let end = before(days, snapshot.at);
    let Some(now) = days.get_mut(..end) else {
        return Ok(None);
    };
    let changed = changed(&snapshot.days, now);
    if changed.is_empty() {
        return Ok(Some(snapshot));
    }
    let mut some: Vec<DayVersion> = now
        .iter()
        .filter(|day| changed.contains(&day.day))
        .copied()
        .collect();
    let fresh = fold(whose, &mut some, Latest::default(), snapshot.at).await?;
    let mut latest = Arc::unwrap_or_clone(snapshot.latest);
    if !latest.replace(&changed, &fresh) {
        return Ok(None);
    }
    let mut some = some.into_iter();
    for day in now.iter_mut().filter(|day| changed.contains(&day.day)) {
        if let Some(read) = some.next() {
            *day = read;
        }
    }
    snapshot.days = now.to_vec();
    snapshot.latest = Arc::new(latest);
    Ok(Some(snapshot))
}

/// Folds in what began from the snapshot's instant on and before another.
async fn advance(
    whose: &Whose,
    days: &mut [DayVersion],
    snapshot: Snapshot,
    at: i64,
) -> Result<Snapshot, StoreError> {
    if snapshot.at == at {
        return Ok(snapshot);
    }
    let (from, end) = (first_open(days, snapshot.at), before(days, at));
    let open = days.get_mut(from..end).unwrap_or_default();
    let expected = open.to_vec();
    let latest = Arc::unwrap_or_clone(snapshot.latest);
    let latest = fold(whose, open, latest, at).await?;
    note_cut(&expected, open, snapshot.at);
    Ok(Snapshot {
        at,
        days: days.get(..end).unwrap_or_default().to_vec(),
        latest: Arc::new(latest),
    })
}

/// The place of the first day of which a part lies behind an instant. That other parts are folded in once more changes
/// nothing.
fn first_open(days: &[DayVersion], at: i64) -> usize {
    days.partition_point(|day| day.day.saturating_add(1).saturating_mul(DAY) <= at)
}

/// A day that an instant cuts was folded in as it was expected, and then once more: where it has changed meanwhile, what is
/// held of it is not one state of it.
fn note_cut(expected: &[DayVersion], read: &mut [DayVersion], at: i64) {
    for (one, other) in expected.iter().zip(read) {
        if other.day.saturating_mul(DAY) < at && one.version != other.version {
            other.version = Version::NONE;
        }
    }
}

async fn fold(
    whose: &Whose,
    days: &mut [DayVersion],
    latest: Latest,
    before: i64,
) -> Result<Latest, StoreError> {
    let before = before.div_euclid(QUARTER);
    let folding = whose.walk::<People, _>(days, latest, move |_, latest, day, apps| {
        latest.add_all(day, apps, before);
        true
    });
    folding.await
}

/// Sizes at the end of each gap, and everybody's latest session at the end of the last.
async fn forward(
    whose: &Whose,
    days: &mut [DayVersion],
    snapshot: Snapshot,
    edges: &[i64],
) -> Result<(Vec<u64>, Snapshot), StoreError> {
    learn(whose, &snapshot.latest).await?;
    let end = edges.last().copied().unwrap_or(snapshot.at);
    let (from, to) = (first_open(days, snapshot.at), before(days, end));
    let open = days.get_mut(from..to).unwrap_or_default();
    let (expected, at) = (open.to_vec(), snapshot.at);
    let (start, edges) = (whose.clone(), edges.to_vec());
    let starting = tokio::task::spawn_blocking(move || {
        let latest = Latest::clone(&snapshot.latest);
        start.with_members(|members| Sizes::new(&edges, latest, |app, of| members.has(app, of)))
    });
    let sizes = starting
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let folding = whose.walk::<People, _>(open, sizes, |whose, sizes, day, apps| {
        whose.with_members(|members| sizes.add(day, apps, |app, of| members.has(app, of)));
        true
    });
    let (sizes, latest) = folding.await?.finish();
    note_cut(&expected, days.get_mut(from..to).unwrap_or_default(), at);
    let after = Snapshot {
        at: end,
        days: days.get(..to).unwrap_or_default().to_vec(),
        latest: Arc::new(latest),
    };
    Ok((sizes, after))
}

/// Learns whether everybody's latest session belongs.
async fn learn(whose: &Whose, latest: &Latest) -> Result<(), StoreError> {
    let mut of_apps = vec![foldhash::HashSet::default(); whose.apps.len()];
    for (_, app, combination) in latest.iter() {
        if let Some(combinations) = of_apps.get_mut(app) {
            combinations.insert(combination);
        }
    }
    for (app, combinations) in whose.apps.iter().zip(of_apps) {
        let combinations: Vec<u64> = combinations.into_iter().collect();
        whose.learn(*app, &combinations).await?;
    }
    Ok(())
}
