//! Builds every day anew, compares what is kept of it, and looks for what refers to nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Inner;
use super::contents::{self, Hash};
use super::counting::{self, Counted};
use super::ids::AppDay;
use super::kept::{self, Kept};
use super::mutations::NOBODY;
use super::sealed;
use crate::model::AppId;
use crate::rollup::{Builder, Cells, DAY, People, QUARTER, Totals};
use crate::store::{Mismatch, StoreError, Verification};

const REPORTED: usize = 100;

/// Walks every session. What is kept of days that were written to since is not compared: nobody is shown it.
pub(super) async fn verify(
    store: &Inner,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    let snapshot = store.snapshot();
    let nobody = AppId::from_bytes(NOBODY.into_bytes());
    let (mut days, mut strangers) = (BTreeMap::new(), BTreeSet::new());
    for (day, rows) in contents::all(&store.engine).await? {
        if snapshot.apps.contains_key(&day.0) {
            days.insert(day, rows);
        } else if day.0 != nobody {
            strangers.insert(day.0);
        }
    }
    for app in strangers {
        found
            .damages
            .push(format!("there are sessions of app {app}, which does not exist"));
    }
    let sealed = sealed::hashes(&store.engine, "1").await?;
    let (gone, days): (BTreeMap<_, _>, BTreeMap<_, _>) =
        days.into_iter().partition(|(day, _)| sealed.contains_key(day));
    let all = days.len() + gone.len();
    let mut known = BTreeSet::new();
    let mut compared = 0;
    for chunk in counting::chunks(&gone) {
        match compare_sealed(store, &chunk, &mut known, &mut found).await {
            Err(StoreError::Unusable(damage)) => found.damages.push(damage),
            other => other?,
        }
        compared += chunk.len();
        progress((compared * 100 / all.max(1)) as u64);
    }
    for chunk in counting::chunks(&days) {
        let mut rows = BTreeMap::new();
        let (mut totals, mut cells, mut people) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut named = BTreeSet::new();
        for (day, Counted { origin, what, .. }) in counting::count::<Builder>(&store.engine, &chunk).await? {
            found.sessions += origin.content.rows;
            named.extend(what.cells.combinations().iter().filter(|id| !known.contains(*id)));
            rows.insert(day, origin.rows);
            totals.insert(day, Totals(what.totals()));
            cells.insert(day, what.cells);
            people.insert(day, what.people);
        }
        check_combinations(store, named, &mut known, &mut found).await?;
        compare_totals(store, &rows, &totals, &mut found).await?;
        compare::<Cells>(store, &rows, &cells, "cells", &mut found).await?;
        compare::<People>(store, &rows, &people, "persons", &mut found).await?;
        compared += chunk.len();
        progress((compared * 100 / all.max(1)) as u64);
    }
    Ok(found)
}

/// Combinations that sessions name must be there.
async fn check_combinations(
    store: &Inner,
    named: BTreeSet<u64>,
    known: &mut BTreeSet<u64>,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let contents = store.combinations.contents(&store.engine, &named).await?;
    for missing in named.iter().filter(|id| !contents.contains_key(id)) {
        found.damages.push(format!(
            "sessions name the combination of properties {missing}, which does not exist"
        ));
    }
    known.extend(named);
    Ok(())
}

/// The parts of a sealed day's rollup must fit together: there is nothing else to compare them with.
async fn compare_sealed(
    store: &Inner,
    days: &BTreeMap<AppDay, Hash>,
    known: &mut BTreeSet<u64>,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let named = || days.keys().copied();
    let totals = sealed::read::<Totals>(&store.engine, named()).await?;
    let cells = sealed::read::<Cells>(&store.engine, named()).await?;
    let people = sealed::read::<People>(&store.engine, named()).await?;
    let mut combinations = BTreeSet::new();
    for (day, Counted { what: cells, .. }) in &cells {
        found.sealed += cells.sessions();
        combinations.extend(cells.combinations().iter().filter(|id| !known.contains(*id)));
        if let Some(totals) = totals.get(day) {
            compare_quarters(*day, &totals.what, &Totals(cells.sum(|_| true)), found);
        }
        let fits = people.get(day).is_some_and(|people| cells.covers(&people.what));
        if !fits && found.damages.len() < REPORTED {
            found.damages.push(format!(
                "the persons of app {} on day {} since 1970 have visits that are not among its sessions, which retention removed",
                day.0, day.1
            ));
        }
    }
    check_combinations(store, combinations, known, found).await
}

/// What is kept of days, as far as it can be read.
async fn readable<T: Kept>(
    store: &Inner,
    rows: &BTreeMap<AppDay, Hash>,
    what: &str,
    found: &mut Verification,
) -> Result<HashMap<AppDay, Counted<T>>, StoreError> {
    let known = kept::known::<T>(&store.engine, rows).await?;
    let kept = kept::read::<T>(&store.engine, rows).await?;
    for (app, day) in known.iter().filter(|day| !kept.contains_key(day)) {
        if found.damages.len() < REPORTED {
            found.damages.push(format!(
                "the kept {what} of app {app} on day {day} since 1970 can't be read"
            ));
        }
    }
    Ok(kept)
}

/// Kept counts, quarter hour by quarter hour.
async fn compare_totals(
    store: &Inner,
    rows: &BTreeMap<AppDay, Hash>,
    built: &BTreeMap<AppDay, Totals>,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for (day, kept) in readable::<Totals>(store, rows, "counts", found).await? {
        let Some(built) = built.get(&day) else { continue };
        compare_quarters(day, &kept.what, built, found);
    }
    Ok(())
}

fn compare_quarters(day: AppDay, kept: &Totals, built: &Totals, found: &mut Verification) {
    for (quarter, (counted, recorded)) in (0..).zip(kept.0.iter().zip(&built.0)) {
        found.counters += u64::from(*counted > 0 || *recorded > 0);
        if counted != recorded && found.mismatches.len() < REPORTED {
            found.mismatches.push(Mismatch {
                app: day.0,
                segment: None,
                quarter: i64::from(day.1) * DAY + quarter * QUARTER,
                counted: (*counted).into(),
                recorded: (*recorded).into(),
            });
        }
    }
}

/// What else is kept.
async fn compare<T: Kept + PartialEq>(
    store: &Inner,
    rows: &BTreeMap<AppDay, Hash>,
    built: &BTreeMap<AppDay, T>,
    what: &str,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for (day, kept) in readable::<T>(store, rows, what, found).await? {
        found.counters += 1;
        if built.get(&day) != Some(&kept.what) && found.damages.len() < REPORTED {
            let date = i64::from(day.1);
            found.damages.push(format!(
                "the kept {what} of app {} on day {date} since 1970 are not those of its sessions",
                day.0
            ));
        }
    }
    Ok(())
}
