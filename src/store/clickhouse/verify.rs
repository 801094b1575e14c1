//! Recounts what was kept, and looks for what refers to nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Inner;
use super::catalog::{EVERYONE, Rule, SeriesNumber};
use super::counting::{self, QUARTERS};
use super::days::{AppDay, Day};
use super::recording;
use crate::model::WorkspaceId;
use crate::store::{Mismatch, StoreError, Verification};

const REPORTED: usize = 100;
/// Days of apps that are recounted at a time.
const STEP: usize = 1_000;

/// Walks every session. Days that are written to meanwhile are not compared: they have no kept counts.
pub(super) async fn verify(store: &Inner) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    let snapshot = store.snapshot();
    store.days.refresh(&store.engine).await?;
    let close_after = store.engine.close_after();
    let announced = snapshot
        .apps
        .keys()
        .flat_map(|app| store.days.of(*app, 0..=u16::MAX, close_after));
    // Days that were announced and have no sessions have counts nevertheless.
    let mut all: BTreeSet<AppDay> = announced.map(|day| day.of).collect();
    for day in recording::days(&store.engine).await? {
        if all.insert(day) && snapshot.apps.contains_key(&day.0) {
            found.damages.push(format!(
                "the sessions of app {} on day {} were not announced",
                day.0, day.1
            ));
        }
    }
    let mut by_workspace = BTreeMap::<WorkspaceId, Vec<AppDay>>::new();
    let mut strangers = BTreeSet::new();
    for day in all {
        match snapshot.apps.get(&day.0) {
            Some(workspace) => by_workspace.entry(*workspace).or_default().push(day),
            None => _ = strangers.insert(day.0),
        }
    }
    for app in strangers {
        found
            .damages
            .push(format!("there are sessions of app {app}, which does not exist"));
    }
    for (workspace, days) in by_workspace {
        let of_workspace = |rule: &&Rule| rule.workspace == workspace && rule.counted;
        let rules: Vec<&Rule> = snapshot.rules.iter().filter(of_workspace).collect();
        for days in days.chunks(STEP) {
            compare(store, days, &rules, &mut found).await?;
        }
    }
    Ok(found)
}

async fn compare(
    store: &Inner,
    days: &[AppDay],
    rules: &[&Rule],
    found: &mut Verification,
) -> Result<(), StoreError> {
    let close_after = store.engine.close_after();
    let states: Vec<Day> = days
        .iter()
        .flat_map(|(app, day)| store.days.of(*app, *day..=*day, close_after))
        .collect();
    let mut series: Vec<SeriesNumber> = rules.iter().map(|rule| rule.series).collect();
    series.push(EVERYONE);
    let kept = counting::kept(&store.engine, &states, &series).await?;
    let (counts, missing) = counting::count(&store.engine, &store.combinations, days, rules).await?;
    for combination in missing {
        found.damages.push(format!(
            "sessions name the combination of properties {combination}, which does not exist"
        ));
    }
    for day in days {
        if let Some(everyone) = counts.get(&(*day, EVERYONE)) {
            found.sessions += everyone.iter().map(|count| u64::from(*count)).sum::<u64>();
        }
        for series in &series {
            let (Some(kept), Some(recorded)) = (kept.get(&(*day, *series)), counts.get(&(*day, *series)))
            else {
                continue;
            };
            let segment = rules
                .iter()
                .find(|rule| rule.series == *series)
                .map(|rule| rule.segment);
            for quarter in 0..QUARTERS {
                let number =
                    |counts: &counting::Quarters| u64::from(counts.get(quarter).copied().unwrap_or_default());
                let (counted, recorded) = (number(kept), number(recorded));
                found.counters += u64::from(counted > 0 || recorded > 0);
                if counted != recorded && found.mismatches.len() < REPORTED {
                    let quarter = i64::try_from(quarter).unwrap_or_default();
                    found.mismatches.push(Mismatch {
                        app: day.0,
                        segment,
                        quarter: i64::from(day.1) * 86_400 + quarter * 900,
                        counted,
                        recorded,
                    });
                }
            }
        }
    }
    Ok(())
}
