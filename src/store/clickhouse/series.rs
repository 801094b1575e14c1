//! Answers: days that are closed come from what was kept, the others are counted.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Inner;
use super::catalog::{EVERYONE, Rule};
use super::counting::{self, QUARTERS, Quarters};
use super::days::{AppDay, Day};
use crate::model::AppId;
use crate::store::StoreError;

const SECONDS_PER_DAY: i64 = 86_400;
const SECONDS_PER_QUARTER: i64 = 900;

/// Sessions between each two edges (Unix seconds, ascending multiples of 900), of these apps, everyone's or a rule's.
pub(super) async fn count(
    store: &Inner,
    apps: &[AppId],
    rule: Option<&Rule>,
    edges: &[i64],
) -> Result<Vec<u64>, StoreError> {
    let mut counts = vec![0; edges.len().saturating_sub(1)];
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
        return Ok(counts);
    };
    let day_of = |second: i64| u16::try_from(second.div_euclid(SECONDS_PER_DAY).clamp(0, u16::MAX.into()));
    let (Ok(first), Ok(last)) = (day_of(*first), day_of(*last)) else {
        return Ok(counts);
    };
    for (day, quarters) in of_days(store, apps, first..=last, rule).await? {
        let midnight = i64::from(day) * SECONDS_PER_DAY;
        for (quarter, sessions) in (0..).zip(quarters.iter()).filter(|(_, sessions)| **sessions > 0) {
            let start = midnight + quarter * SECONDS_PER_QUARTER;
            // The gap that begins at the last edge that is not after it.
            let gap = edges.partition_point(|edge| *edge <= start).checked_sub(1);
            if let Some(count) = gap.and_then(|gap| counts.get_mut(gap)) {
                *count += *sessions;
            }
        }
    }
    Ok(counts)
}

/// Counts of days by quarter hour, all apps together; days without sessions may be left out.
async fn of_days(
    store: &Inner,
    apps: &[AppId],
    range: std::ops::RangeInclusive<u16>,
    rule: Option<&Rule>,
) -> Result<BTreeMap<u16, [u64; QUARTERS]>, StoreError> {
    let series = rule.map_or(EVERYONE, |rule| rule.series);
    store.days.refresh(&store.engine).await?;
    let days = || -> Vec<Day> {
        let close_after = store.engine.close_after();
        let of = |app: &AppId| store.days.of(*app, range.clone(), close_after);
        apps.iter().flat_map(of).collect()
    };
    let mut sum = BTreeMap::new();
    let mut missing = Vec::new();
    for day in days() {
        match store.held.get(&day, series) {
            Some(quarters) => add(&mut sum, day.of.1, &quarters),
            None => missing.push(day),
        }
    }
    if missing.is_empty() {
        return Ok(sum);
    }
    // One at a time counts; who waited finds what the one before has counted.
    let _turn = store.counting.lock().await;
    let begun = Instant::now();
    let mut sum = BTreeMap::new();
    let mut missing = Vec::new();
    for day in days() {
        match store.held.get(&day, series) {
            Some(quarters) => add(&mut sum, day.of.1, &quarters),
            None => missing.push(day),
        }
    }
    let kept = counting::kept(&store.engine, &missing, &[series]).await?;
    missing.retain(|day| match kept.get(&(day.of, series)) {
        Some(quarters) => {
            add(&mut sum, day.of.1, &store.held.put(day, series, *quarters, begun));
            false
        }
        None => true,
    });
    let asked: Vec<AppDay> = missing.iter().map(|day| day.of).collect();
    let rules: Vec<&Rule> = rule.into_iter().collect();
    let (counts, _) = counting::count(&store.engine, &store.combinations, &asked, &rules).await?;
    counting::keep(&store.engine, &missing, &counts).await?;
    for day in &missing {
        if let Some(quarters) = counts.get(&(day.of, series)) {
            add(&mut sum, day.of.1, &store.held.put(day, series, *quarters, begun));
        }
    }
    Ok(sum)
}

fn add(sum: &mut BTreeMap<u16, [u64; QUARTERS]>, day: u16, quarters: &Quarters) {
    let totals = sum.entry(day).or_insert([0; QUARTERS]);
    for (total, sessions) in totals.iter_mut().zip(quarters) {
        *total += u64::from(*sessions);
    }
}
