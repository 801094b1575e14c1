//! Distinct users of stretches of time. What was counted of a stretch is remembered with the versions of its days, so that
//! only stretches are counted again of which a day has changed.

use std::collections::HashMap;

use parking_lot::Mutex;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::asked::{Asked, MONTH};
use super::question::Metric;
use super::versions::{Fingerprint, fingerprint, of_stretch};
use super::walk::Whose;
use crate::rollup::People;
use crate::rollup::folds::{Active, DistinctByGap};
use crate::store::{DayVersion, StoreError};

/// Numbers of a generation that are remembered, 80 bytes each.
const GENERATION: usize = 200_000;

/// Whose, from, to: Unix seconds.
type Stretch = (u128, i64, i64);

/// Numbers of stretches. Owned by the counter.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Stretch, (Fingerprint, u64)>,
    old: HashMap<Stretch, (Fingerprint, u64)>,
}

impl Remembered {
    /// The number of a stretch whose days have these versions.
    pub(super) fn get(&self, stretch: &Stretch, of: Fingerprint) -> Option<u64> {
        let held = self.0.lock();
        let found = held.young.get(stretch).or_else(|| held.old.get(stretch));
        found.filter(|(known, _)| *known == of).map(|(_, number)| *number)
    }

    pub(super) fn put(&self, stretch: Stretch, of: Fingerprint, number: u64) {
        let mut held = self.0.lock();
        if held.young.len() >= GENERATION {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(stretch, (of, number));
    }
}

/// Users of each unit, and of all of them where the metric has that.
pub(super) struct Users {
    pub(super) counts: Vec<u64>,
    pub(super) total: Option<u64>,
}

/// Counts the users that are asked for. The versions in `days` become those that were counted.
pub(super) async fn count(
    remembered: &Remembered,
    hasher: SipHasher13,
    whose: &Whose,
    asked: &Asked,
    days: &mut [DayVersion],
) -> Result<Users, StoreError> {
    let name = name(hasher, whose, asked);
    let stretches = stretches(asked);
    let whole = match (asked.edges.first(), asked.edges.last()) {
        (Some(first), Some(last)) if asked.metric == Metric::Users => Some((*first, *last)),
        _ => None,
    };
    let known = |(from, to): (i64, i64), days: &[DayVersion]| {
        let of = days.get(of_stretch(days, from, to)).unwrap_or_default();
        remembered.get(&(name, from, to), fingerprint(hasher, of))
    };
    let mut counts: Vec<Option<u64>> = stretches.iter().map(|stretch| known(*stretch, days)).collect();
    let mut total = whole.and_then(|whole| known(whole, days));
    let wants_total = whole.is_some() && total.is_none();
    let missing = stretches.iter().zip(&counts).filter(|(_, count)| count.is_none());
    let mut needed = vec![wants_total; days.len()];
    for ((from, to), _) in missing {
        let places = needed.get_mut(of_stretch(days, *from, *to));
        places.into_iter().flatten().for_each(|needed| *needed = true);
    }
    let places = days.iter().zip(&needed).filter(|(_, needed)| **needed);
    let mut read: Vec<DayVersion> = places.map(|(day, _)| *day).collect();
    let (found, all) = match asked.metric {
        Metric::Mau => (active(whose, asked, &mut read).await?, None),
        _ => distinct(whose, asked, &mut read, wants_total).await?,
    };
    let read_places = days.iter_mut().zip(&needed).filter(|(_, needed)| **needed);
    read_places.zip(read).for_each(|((day, _), read)| *day = read);
    let remember = |(from, to): (i64, i64), number: u64| {
        let of = days.get(of_stretch(days, from, to)).unwrap_or_default();
        remembered.put((name, from, to), fingerprint(hasher, of), number);
    };
    for ((stretch, count), found) in stretches.iter().zip(&mut counts).zip(found) {
        if count.is_none() {
            *count = Some(found);
            remember(*stretch, found);
        }
    }
    if wants_total && let (Some(whole), Some(all)) = (whole, all) {
        total = Some(all);
        remember(whole, all);
    }
    Ok(Users {
        counts: counts.into_iter().flatten().collect(),
        total,
    })
}

/// A name for whose users are counted: a number of one stretch is the same whatever metric asks for it.
fn name(mut hasher: SipHasher13, whose: &Whose, asked: &Asked) -> u128 {
    asked.hash_whose(&mut hasher);
    std::hash::Hash::hash(&whose.apps, &mut hasher);
    std::hash::Hash::hash(&whose.filter.as_ref().map(|filter| filter.name()), &mut hasher);
    hasher.finish128().as_u128()
}

/// What each number of the answer covers.
fn stretches(asked: &Asked) -> Vec<(i64, i64)> {
    let units = match asked.metric {
        Metric::Mau => MONTH,
        _ => 1,
    };
    let windows = asked.edges.windows(units + 1);
    windows
        .filter_map(|edges| Some((*edges.first()?, *edges.last()?)))
        .collect()
}

async fn distinct(
    whose: &Whose,
    asked: &Asked,
    days: &mut [DayVersion],
    with_total: bool,
) -> Result<(Vec<u64>, Option<u64>), StoreError> {
    let fold = DistinctByGap::new(&asked.edges, with_total);
    let fold = whose.walk::<People, _>(days, fold, |whose, fold, day, apps| {
        whose.with_members(|members| fold.add(day, apps, |app, of| members.has(app, of)));
        true
    });
    Ok(fold.await?.finish())
}

async fn active(whose: &Whose, asked: &Asked, days: &mut [DayVersion]) -> Result<Vec<u64>, StoreError> {
    let fold = Active::new(&asked.edges, MONTH);
    let fold = whose.walk::<People, _>(days, fold, |whose, fold, day, apps| {
        whose.with_members(|members| fold.add(day, apps, |app, of| members.has(app, of)));
        true
    });
    Ok(fold.await?.finish())
}
