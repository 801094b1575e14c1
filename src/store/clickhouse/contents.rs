//! What days hold, as hashes: what tells whether a count of a day still holds.
//!
//! Each row of a session has a hash of everything that is counted or identifies. The number of rows of a day and the sum of
//! their hashes name what the day holds, whoever wrote it, whenever it landed and whatever clocks say. A process asks for
//! them again where a new part has rows of the day, where it wrote to the day itself, and nowhere else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::ids::{self, AppDay, WireId};
use super::literals::{list, literals};
use super::parts::{self, Change, Parts};
use super::{sealed, tables};
use crate::model::AppId;
use crate::store::StoreError;

/// How old what is known of other processes' writing may be.
const FRESH: Duration = Duration::from_millis(400);
/// In a cluster another replica may have answered, which was behind for as long as it may be. What was read sooner after a
/// change is read once more.
const BEHIND: Duration = Duration::from_secs(3);
/// Days of apps that are held, about 100 bytes each.
const HELD: usize = 1_000_000;

/// The number of some rows and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hash {
    pub(super) rows: u64,
    pub(super) sum: u64,
}

impl Hash {
    /// Of two sets of rows together.
    pub(super) fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.sum = self.sum.wrapping_add(more.sum);
    }
}

#[derive(Row, Serialize, Deserialize)]
struct HashRow {
    app: WireId,
    day: u16,
    rows: u64,
    sum: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct TouchedRow {
    part: String,
    app: WireId,
    day: u16,
}

/// What is known of the days. Owned by the store.
#[derive(Default)]
pub(super) struct Contents {
    state: Mutex<State>,
    /// One at a time looks for what is new.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    parts: Option<Parts>,
    looked: Option<Instant>,
    /// Grows when nothing that is known holds any more.
    epoch: u64,
    apps: HashMap<AppId, AppState>,
    /// Days that this process wrote to, until somebody asks for them.
    written: HashMap<AppDay, Instant>,
}

#[derive(Default)]
struct AppState {
    /// The days of which it is known whether they have rows, and since when.
    covered: Option<(RangeInclusive<u16>, Reading)>,
    days: BTreeMap<u16, DayState>,
}

#[derive(Default)]
struct DayState {
    /// Grows with every change.
    version: u64,
    changed: Option<Instant>,
    known: Option<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    hash: Hash,
    /// Of the day, before it was read.
    version: u64,
    reading: Reading,
}

/// When something was read, and how soon after a change.
#[derive(Clone, Copy)]
struct Reading {
    changed: Instant,
    begun: Instant,
}

impl Reading {
    /// Whether a replica that was behind may have answered, and none can be by now.
    fn is_doubtful(&self) -> bool {
        self.begun.duration_since(self.changed) < BEHIND && self.changed.elapsed() >= BEHIND
    }
}

/// What is known, and what is to be read.
#[derive(Default)]
struct Wanted {
    known: BTreeMap<AppDay, Hash>,
    epoch: u64,
    /// All days of these apps in the range.
    whole: BTreeSet<AppId>,
    range: Option<(u16, u16)>,
    /// Single days.
    days: BTreeSet<AppDay>,
    versions: HashMap<AppDay, u64>,
}

impl State {
    fn forget(&mut self) {
        self.epoch += 1;
        self.apps.clear();
    }

    fn touch(&mut self, (app, day): AppDay, at: Instant) {
        let day = self.apps.entry(app).or_default().days.entry(day).or_default();
        day.version += 1;
        day.changed = Some(at);
    }

    fn wanted(&self, apps: &[AppId], range: &RangeInclusive<u16>, is_replicated: bool) -> Wanted {
        let mut wanted = Wanted {
            epoch: self.epoch,
            ..Wanted::default()
        };
        let none = AppState::default();
        for app in apps {
            let state = self.apps.get(app).unwrap_or(&none);
            let asked = Some((*range.start(), *range.end()));
            let missing = match &state.covered {
                None => asked,
                Some((covered, reading)) if is_replicated && reading.is_doubtful() => {
                    hull(asked, Some((*covered.start(), *covered.end())))
                }
                Some((covered, _)) => {
                    let before =
                        (range.start() < covered.start()).then(|| (*range.start(), covered.start() - 1));
                    let after = (range.end() > covered.end()).then(|| (covered.end() + 1, *range.end()));
                    hull(before, after)
                }
            };
            if let Some((first, last)) = missing {
                wanted.whole.insert(*app);
                wanted.range = hull(wanted.range, missing);
                let versions = state
                    .days
                    .range(first..=last)
                    .map(|(day, state)| ((*app, *day), state.version));
                wanted.versions.extend(versions);
            }
            for (day, state) in state.days.range(range.clone()) {
                let known = state.known.filter(|known| {
                    known.version == state.version && !(is_replicated && known.reading.is_doubtful())
                });
                match known {
                    Some(known) => _ = wanted.known.insert((*app, *day), known.hash),
                    None => {
                        wanted.days.insert((*app, *day));
                        wanted.versions.insert((*app, *day), state.version);
                    }
                }
            }
        }
        wanted
    }

    /// Takes over what was read, as far as it was not changed meanwhile.
    fn learn(
        &mut self,
        wanted: &Wanted,
        range: &RangeInclusive<u16>,
        found: &BTreeMap<AppDay, Hash>,
        begun: Instant,
    ) {
        if wanted.epoch != self.epoch {
            return;
        }
        if self.apps.values().map(|app| app.days.len()).sum::<usize>() > HELD {
            self.forget();
            return;
        }
        let mut read: BTreeSet<AppDay> = wanted.days.clone();
        read.extend(found.keys().copied());
        for app in &wanted.whole {
            let state = self.apps.entry(*app).or_default();
            let fresh = Reading {
                changed: begun,
                begun,
            };
            state.covered = match state.covered.take() {
                Some((covered, reading)) => {
                    let hull = *covered.start().min(range.start())..=*covered.end().max(range.end());
                    let is_confirmed = covered == hull;
                    let changed = if is_confirmed { reading.changed } else { begun };
                    Some((hull, Reading { changed, begun }))
                }
                None => Some((range.clone(), fresh)),
            };
            if let Some((first, last)) = wanted.range {
                read.extend(state.days.range(first..=last).map(|(day, _)| (*app, *day)));
            }
        }
        for of in read {
            let version = wanted.versions.get(&of).copied().unwrap_or_default();
            let day = self.apps.entry(of.0).or_default().days.entry(of.1).or_default();
            if day.version == version {
                day.known = Some(Known {
                    hash: found.get(&of).copied().unwrap_or_default(),
                    version,
                    reading: Reading {
                        changed: day.changed.unwrap_or(begun),
                        begun,
                    },
                });
                day.changed.get_or_insert(begun);
            }
        }
    }
}

fn hull(one: Option<(u16, u16)>, other: Option<(u16, u16)>) -> Option<(u16, u16)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

impl Contents {
    /// This process has written to days, before it says so to anybody.
    pub(super) fn note_written(&self, days: &BTreeSet<AppDay>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        for day in days {
            state.touch(*day, now);
            state.written.insert(*day, now);
        }
    }

    /// Days that this process wrote to and left alone for so long; they are not named again.
    pub(super) fn take_quiet(&self, quiet: Duration) -> Vec<AppDay> {
        let mut state = self.state.lock();
        let days = state.written.extract_if(|_, at| at.elapsed() >= quiet);
        days.map(|(day, _)| day).collect()
    }

    /// Whether this process wrote to a day lately.
    pub(super) fn is_being_written(&self, day: AppDay) -> bool {
        self.state.lock().written.contains_key(&day)
    }

    /// What days hold that have rows.
    pub(super) async fn of(
        &self,
        engine: &Engine,
        apps: &[AppId],
        range: RangeInclusive<u16>,
    ) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
        if apps.is_empty() || range.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.refresh(engine).await?;
        let is_replicated = engine.address().cluster.is_some();
        let mut wanted = self.state.lock().wanted(apps, &range, is_replicated);
        let mut days = std::mem::take(&mut wanted.known);
        if !(wanted.whole.is_empty() && wanted.days.is_empty()) {
            let begun = Instant::now();
            let found = read(engine, &wanted).await?;
            self.state.lock().learn(&wanted, &range, &found, begun);
            let is_read = |(app, day): &AppDay| {
                let (first, last) = wanted.range.unwrap_or((1, 0));
                wanted.whole.contains(app) && (first..=last).contains(day)
            };
            days.retain(|day, _| !is_read(day));
            days.extend(found);
            days.retain(|(app, day), _| apps.contains(app) && range.contains(day));
        }
        days.retain(|_, hash| hash.rows > 0);
        Ok(days)
    }

    /// Looks for what was written, unless that was done a moment ago.
    async fn refresh(&self, engine: &Engine) -> Result<(), StoreError> {
        let is_fresh = || {
            let looked = self.state.lock().looked;
            looked.is_some_and(|looked| looked.elapsed() < FRESH)
        };
        if is_fresh() {
            return Ok(());
        }
        let _looking = self.looking.lock().await;
        if is_fresh() {
            return Ok(());
        }
        let begun = Instant::now();
        let found = parts::look(engine).await?;
        let change = match (&found, &self.state.lock().parts) {
            (Some(found), Some(before)) => found.since(before),
            _ => Change::Anything,
        };
        let touched = match change {
            Change::Nothing => Some(BTreeSet::new()),
            Change::Came(names) => touched(engine, &names).await?,
            Change::Anything => None,
        };
        let mut state = self.state.lock();
        match touched {
            Some(days) => days.into_iter().for_each(|day| state.touch(day, begun)),
            None => state.forget(),
        }
        state.parts = found;
        state.looked = Some(begun);
        Ok(())
    }
}

/// What all days hold, of all apps.
pub(super) async fn all(engine: &Engine) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    hashes(engine, "1").await
}

async fn read(engine: &Engine, wanted: &Wanted) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let mut conditions = Vec::new();
    if let Some((first, last)) = wanted.range {
        conditions.push(format!(
            "(app IN ({}) AND day BETWEEN {first} AND {last})",
            literals(wanted.whole.iter().copied())
        ));
    }
    if !wanted.days.is_empty() {
        let apps: BTreeSet<AppId> = wanted.days.iter().map(|(app, _)| *app).collect();
        let days: BTreeSet<u16> = wanted.days.iter().map(|(_, day)| *day).collect();
        conditions.push(format!(
            "(app IN ({}) AND day IN ({}))",
            literals(apps),
            list(days)
        ));
    }
    let condition = conditions.join(" OR ");
    let oldest = wanted.range.map(|(first, _)| first).into_iter();
    let oldest = oldest.chain(wanted.days.iter().map(|(_, day)| *day)).min();
    if oldest.is_some_and(sealed::may_be) {
        hashes(engine, &condition).await
    } else {
        of_sessions(engine, &condition).await
    }
}

/// What days hold: sealed ones what their rows say, others their sessions. The former are looked for last, since a day's sessions
/// go when it has its row.
async fn hashes(engine: &Engine, condition: &str) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let mut days = of_sessions(engine, condition).await?;
    days.extend(sealed::hashes(engine, condition).await?);
    Ok(days)
}

/// What the sessions of days hold.
pub(super) async fn of_sessions(
    engine: &Engine,
    condition: &str,
) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let sql = format!(
        "SELECT app, day, count() AS n, sum(row_hash) AS hash FROM {} WHERE {condition} GROUP BY app, day",
        tables::hashed_sessions(engine.address()),
    );
    let rows: Vec<HashRow> = engine.rows(&sql).await?;
    let hash = |HashRow { app, day, rows, sum }| ((ids::app_of(app), day), Hash { rows, sum });
    Ok(rows.into_iter().map(hash).collect())
}

/// The days of which these parts have rows; `None` where one of them is nowhere any more.
async fn touched(engine: &Engine, names: &BTreeSet<String>) -> Result<Option<BTreeSet<AppDay>>, StoreError> {
    let sql = format!(
        "SELECT _part AS part, app, day FROM {} WHERE _part IN ({}) GROUP BY part, app, day",
        tables::hashed_sessions(engine.address()),
        list(names.iter().map(|name| format!("'{name}'")))
    );
    let rows: Vec<TouchedRow> = engine.rows(&sql).await?;
    let found: BTreeSet<&str> = rows.iter().map(|row| row.part.as_str()).collect();
    if found.len() < names.len() {
        return Ok(None);
    }
    Ok(Some(
        rows.into_iter()
            .map(|row| (ids::app_of(row.app), row.day))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: RangeInclusive<u16> = 10..=20;

    fn app(number: u8) -> AppId {
        AppId::from_bytes([number; 16])
    }

    fn hash(rows: u64) -> Hash {
        Hash { rows, sum: rows * 7 }
    }

    fn wanted(state: &State, range: RangeInclusive<u16>) -> (usize, Option<(u16, u16)>, Vec<u16>) {
        let wanted = state.wanted(&[app(1)], &range, false);
        let days = wanted.days.iter().map(|(_, day)| *day).collect();
        (wanted.whole.len(), wanted.range, days)
    }

    #[test]
    fn what_is_known_is_not_read_again_until_it_changes() {
        let mut state = State::default();
        assert_eq!(wanted(&state, RANGE), (1, Some((10, 20)), vec![]));
        let first = state.wanted(&[app(1)], &RANGE, false);
        let found = BTreeMap::from([((app(1), 12), hash(5)), ((app(1), 14), hash(6))]);
        state.learn(&first, &RANGE, &found, Instant::now());
        assert_eq!(wanted(&state, RANGE), (0, None, vec![]));
        assert_eq!(state.wanted(&[app(1)], &RANGE, false).known, found);
        assert_eq!(wanted(&state, 11..=25), (1, Some((21, 25)), vec![]));
        assert_eq!(wanted(&state, 5..=12), (1, Some((5, 9)), vec![]));
        state.touch((app(1), 12), Instant::now());
        state.touch((app(1), 15), Instant::now());
        state.touch((app(2), 15), Instant::now());
        assert_eq!(wanted(&state, RANGE), (0, None, vec![12, 15]));
        // One of them changes again while both are read.
        let both = state.wanted(&[app(1)], &RANGE, false);
        state.touch((app(1), 15), Instant::now());
        state.learn(&both, &RANGE, &BTreeMap::new(), Instant::now());
        assert_eq!(wanted(&state, RANGE), (0, None, vec![15]));
        state.forget();
        assert_eq!(wanted(&state, RANGE), (1, Some((10, 20)), vec![]));
        // What was read before holds no longer.
        state.learn(&both, &RANGE, &found, Instant::now());
        assert_eq!(wanted(&state, RANGE), (1, Some((10, 20)), vec![]));
    }

    #[test]
    fn in_a_cluster_what_was_read_soon_after_a_change_is_read_once_more() {
        let Some(before) = Instant::now().checked_sub(BEHIND) else {
            return;
        };
        let doubtful = Reading {
            changed: before,
            begun: before,
        };
        assert!(doubtful.is_doubtful());
        let again = Reading {
            changed: before,
            begun: Instant::now(),
        };
        assert!(!again.is_doubtful());
    }
}
