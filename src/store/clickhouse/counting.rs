//! Counts of whole days by quarter hour: made of the sessions, kept for days that are closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::catalog::{EVERYONE, Rule, SeriesNumber};
use super::days::{AppDay, Day};
use super::engine::{Engine, list};
use super::ids::{self, WireId};
use super::properties::Combinations;
use super::schema::Table;
use crate::model::{AppId, Facts};
use crate::store::StoreError;

/// Quarter hours of a UTC day.
pub(super) const QUARTERS: usize = 96;
/// Sessions by quarter hour.
pub(super) type Quarters = [u32; QUARTERS];
/// Counts by day and series.
pub(super) type DayCounts = HashMap<(AppDay, SeriesNumber), Quarters>;

/// Sessions counted by one statement, about, so that none takes too long.
const COUNTED: u64 = 5_000_000;
/// Days of apps that are counted without asking first how large they are.
const FEW: usize = 20;
/// Days of apps that are counted by one statement.
const MANY: usize = 2_000;
/// Counts held in memory, about 450 bytes each.
const HELD: usize = 100_000;
/// How long a count of a day that is being written to may be shown again.
const FRESH: Duration = Duration::from_millis(500);

#[derive(Row, Serialize, Deserialize)]
struct CountRow {
    app: WireId,
    series: SeriesNumber,
    day: u16,
    changed: u32,
    quarters: Vec<u32>,
}

#[derive(Row, Serialize, Deserialize)]
struct QuarterRow {
    app: WireId,
    day: u16,
    quarter: u32,
    sessions: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct CombinationRow {
    app: WireId,
    day: u16,
    quarter: u32,
    combination: u64,
    sessions: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct SizeRow {
    app: WireId,
    day: u16,
    sessions: u64,
}

/// Counts that may be shown again. Owned by the store.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<(AppDay, SeriesNumber), HeldCount>>);

struct HeldCount {
    quarters: Arc<Quarters>,
    until: Until,
}

/// How long a count holds.
enum Until {
    /// The day is announced again.
    Announced { changed: u32 },
    /// Anybody announces the day, or it is closed: what is kept is counted then.
    Settled { version: u64, changed: u32 },
    /// A moment has gone by, or this process has written to the day.
    Written { begun: Instant, written: u64 },
}

impl Held {
    /// The count of a day, if it still holds.
    pub(super) fn get(&self, day: &Day, series: SeriesNumber) -> Option<Arc<Quarters>> {
        let held = self.0.lock();
        let count = held.get(&(day.of, series))?;
        let holds = match count.until {
            Until::Announced { changed } => changed == day.changed,
            Until::Settled { version, changed } => {
                (version, changed, false) == (day.version, day.changed, day.is_closed)
            }
            Until::Written { begun, written } => written == day.written && begun.elapsed() < FRESH,
        };
        holds.then(|| count.quarters.clone())
    }

    /// `day` as it was before counting began, which was at `begun`.
    pub(super) fn put(
        &self,
        day: &Day,
        series: SeriesNumber,
        quarters: Quarters,
        begun: Instant,
    ) -> Arc<Quarters> {
        let quarters = Arc::new(quarters);
        let until = match (day.is_closed, day.is_settled) {
            (true, _) => Until::Announced { changed: day.changed },
            (_, true) => Until::Settled {
                version: day.version,
                changed: day.changed,
            },
            _ => Until::Written {
                begun,
                written: day.written,
            },
        };
        let mut held = self.0.lock();
        if held.len() >= HELD {
            held.clear();
        }
        held.insert(
            (day.of, series),
            HeldCount {
                quarters: quarters.clone(),
                until,
            },
        );
        quarters
    }
}

/// Counts of closed days that were kept in the store and still hold.
pub(super) async fn kept(
    engine: &Engine,
    days: &[Day],
    series: &[SeriesNumber],
) -> Result<DayCounts, StoreError> {
    let mut counts = DayCounts::new();
    let closed: HashMap<AppDay, u32> = days
        .iter()
        .filter(|day| day.is_closed)
        .map(|day| (day.of, day.changed))
        .collect();
    let dates = || closed.keys().map(|(_, day)| *day);
    let (Some(first), Some(last)) = (dates().min(), dates().max()) else {
        return Ok(counts);
    };
    let apps: BTreeSet<AppId> = closed.keys().map(|(app, _)| *app).collect();
    let sql = format!(
        "SELECT app, series, day, changed, quarters FROM {}.counts \
         WHERE series IN ({}) AND app IN ({}) AND day BETWEEN {first} AND {last}",
        engine.address().database,
        list(series),
        literals(apps),
    );
    for row in engine.rows::<CountRow>(&sql).await? {
        let of = (ids::app_of(row.app), row.day);
        let quarters = Quarters::try_from(row.quarters)
            .map_err(|_| StoreError::damaged("a kept count has not one number for each quarter hour"))?;
        if closed.get(&of) == Some(&row.changed) {
            counts.insert((of, row.series), quarters);
        }
    }
    Ok(counts)
}

/// Keeps counts of closed days in the store.
pub(super) async fn keep(engine: &Engine, days: &[Day], counts: &DayCounts) -> Result<(), StoreError> {
    let closed = days.iter().filter(|day| day.is_closed);
    let changed: HashMap<AppDay, u32> = closed.map(|day| (day.of, day.changed)).collect();
    let row = |((of, series), quarters): (&(AppDay, SeriesNumber), &Quarters)| {
        Some(CountRow {
            app: ids::app(of.0),
            series: *series,
            day: of.1,
            changed: *changed.get(of)?,
            quarters: quarters.to_vec(),
        })
    };
    let rows: Vec<CountRow> = counts.iter().filter_map(row).collect();
    engine.insert(Table::Counts, &rows).await
}

/// Counts the sessions of days, everyone's and those of rules. Each day has its counts, also where they are 0.
pub(super) async fn count(
    engine: &Engine,
    combinations: &Combinations,
    days: &[AppDay],
    rules: &[&Rule],
) -> Result<(DayCounts, Vec<u64>), StoreError> {
    let mut counts = DayCounts::new();
    for day in days {
        for series in std::iter::once(EVERYONE).chain(rules.iter().map(|rule| rule.series)) {
            counts.insert((*day, series), [0; QUARTERS]);
        }
    }
    let mut missing = BTreeSet::new();
    for chunk in chunks(engine, days).await? {
        let apps: BTreeSet<AppId> = chunk.iter().map(|(app, _)| *app).collect();
        let dates: BTreeSet<u16> = chunk.iter().map(|(_, day)| *day).collect();
        // Days of one app that were asked for of another only are passed over below.
        let wanted: BTreeSet<AppDay> = chunk.iter().copied().collect();
        // Of one session's rows FINAL leaves the one with the highest precedence. They are sorted by its key already: that
        // is several times as fast as grouping by it.
        let of_sessions = format!(
            "FROM {}.sessions FINAL WHERE app IN ({}) AND day IN ({}) GROUP BY app, day, quarter",
            engine.address().database,
            literals(apps),
            list(dates)
        );
        if rules.is_empty() {
            let sql =
                format!("SELECT app, day, intDiv(start, 900000) AS quarter, count() AS n {of_sessions}");
            for row in engine.rows::<QuarterRow>(&no_merge(engine, sql)).await? {
                let day = (ids::app_of(row.app), row.day);
                if wanted.contains(&day) {
                    add(&mut counts, day, EVERYONE, row.quarter, row.sessions);
                }
            }
            continue;
        }
        let sql = format!(
            "SELECT app, day, intDiv(start, 900000) AS quarter, properties AS combination, count() AS n {of_sessions}, combination"
        );
        let mut rows: Vec<CombinationRow> = engine.rows(&no_merge(engine, sql)).await?;
        rows.retain(|row| wanted.contains(&(ids::app_of(row.app), row.day)));
        let ids = rows.iter().map(|row| row.combination).collect();
        let contents = combinations.contents(engine, &ids).await?;
        let mut matches = HashMap::<(AppId, u64), Vec<SeriesNumber>>::new();
        for row in rows {
            let day = (ids::app_of(row.app), row.day);
            add(&mut counts, day, EVERYONE, row.quarter, row.sessions);
            let Some(content) = contents.get(&row.combination) else {
                missing.insert(row.combination);
                continue;
            };
            let series = match matches.get(&(day.0, row.combination)) {
                Some(series) => series,
                None => {
                    let facts = Facts::read(day.0, content).map_err(|error| {
                        StoreError::damaged(format!("properties {}: {error}", row.combination))
                    })?;
                    let matching = rules.iter().filter(|rule| rule.filter.matches(&facts));
                    let series = matching.map(|rule| rule.series).collect();
                    matches.entry((day.0, row.combination)).or_insert(series)
                }
            };
            for series in series {
                add(&mut counts, day, *series, row.quarter, row.sessions);
            }
        }
    }
    Ok((counts, missing.into_iter().collect()))
}

/// Each shard has all rows of its sessions: what it groups needs no merging.
fn no_merge(engine: &Engine, sql: String) -> String {
    match engine.address().cluster {
        Some(_) => format!("{sql} SETTINGS distributed_group_by_no_merge = 1"),
        None => sql,
    }
}

fn add(counts: &mut DayCounts, day: AppDay, series: SeriesNumber, quarter: u32, sessions: u64) {
    let place = usize::try_from(quarter).ok();
    let counts = counts.get_mut(&(day, series));
    if let Some(count) = counts
        .zip(place)
        .and_then(|(counts, place)| counts.get_mut(place))
    {
        *count = count.saturating_add(u32::try_from(sessions).unwrap_or(u32::MAX));
    }
}

/// As many days as one statement counts, from the beginning.
pub(super) async fn first_chunk(engine: &Engine, days: &[Day]) -> Result<Vec<Day>, StoreError> {
    let few = days.get(..days.len().min(MANY)).unwrap_or_default();
    let all: Vec<AppDay> = few.iter().map(|day| day.of).collect();
    let chunk: BTreeSet<AppDay> = chunks(engine, &all)
        .await?
        .into_iter()
        .next()
        .unwrap_or_default()
        .into_iter()
        .collect();
    Ok(few
        .iter()
        .filter(|day| chunk.contains(&day.of))
        .copied()
        .collect())
}

/// Days in groups that one statement counts, each day's apps together.
async fn chunks(engine: &Engine, days: &[AppDay]) -> Result<Vec<Vec<AppDay>>, StoreError> {
    if days.is_empty() {
        return Ok(Vec::new());
    }
    let sizes = match days.len() {
        ..=FEW => HashMap::new(),
        _ => sizes(engine, days).await?,
    };
    let mut days = days.to_vec();
    days.sort_unstable_by_key(|(app, day)| (*day, *app));
    let (mut chunks, mut chunk, mut sessions) = (Vec::new(), Vec::new(), 0);
    for day in days {
        let size = sizes.get(&day).copied().unwrap_or_default();
        if !chunk.is_empty() && (sessions + size > COUNTED || chunk.len() == MANY) {
            chunks.push(std::mem::take(&mut chunk));
            sessions = 0;
        }
        sessions += size;
        chunk.push(day);
    }
    chunks.push(chunk);
    Ok(chunks)
}

/// Rows of days.
pub(super) async fn sizes(engine: &Engine, days: &[AppDay]) -> Result<HashMap<AppDay, u64>, StoreError> {
    let apps: BTreeSet<AppId> = days.iter().map(|(app, _)| *app).collect();
    let dates: BTreeSet<u16> = days.iter().map(|(_, day)| *day).collect();
    let sql = format!(
        "SELECT app, day, count() AS n FROM {}.sessions WHERE app IN ({}) AND day IN ({}) GROUP BY app, day",
        engine.address().database,
        literals(apps),
        list(dates)
    );
    let rows: Vec<SizeRow> = engine.rows(&sql).await?;
    Ok(rows
        .into_iter()
        .map(|row| ((ids::app_of(row.app), row.day), row.sessions))
        .collect())
}

/// Apps as literals.
pub(super) fn literals(apps: impl IntoIterator<Item = AppId>) -> String {
    list(apps.into_iter().map(|app| format!("toUUID('{app}')")))
}
