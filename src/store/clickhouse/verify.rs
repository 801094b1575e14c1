//! Builds every day anew, compares what is kept of it, and looks for what refers to nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Inner;
use super::contents::{self, Hash};
use super::counting::{self, Counted};
use super::ids::AppDay;
use super::kept::{self, Kept};
use super::mutations::NOBODY;
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
    let mut known = BTreeSet::new();
    let mut compared = 0;
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
        let contents = store.combinations.contents(&store.engine, &named).await?;
        for missing in named.iter().filter(|id| !contents.contains_key(id)) {
            found.damages.push(format!(
                "sessions name the combination of properties {missing}, which does not exist"
            ));
        }
        known.extend(named);
        compare_totals(store, &rows, &totals, &mut found).await?;
        compare::<Cells>(store, &rows, &cells, "cells", &mut found).await?;
        compare::<People>(store, &rows, &people, "persons", &mut found).await?;
        compared += chunk.len();
        progress((compared * 100 / days.len().max(1)) as u64);
    }
    Ok(found)
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
        for (quarter, (counted, recorded)) in (0..).zip(kept.what.0.iter().zip(&built.0)) {
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
    Ok(())
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
