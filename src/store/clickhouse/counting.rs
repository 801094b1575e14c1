//! Counts days of their rows, with the hash of what was counted.
//!
//! FINAL leaves one row of each session, the first delivery, and is several times as fast as grouping. Where the rows that it
//! leaves have the hash that all rows of the day had, each was counted, and that is proven. Else some sessions have several
//! rows, or more came meanwhile: then the day is read once more grouped by session, which gives both hashes at one moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::contents::Hash;
use super::engine::Engine;
use super::failure;
use super::ids::{self, AppDay, WireId};
use super::literals::{list, literals};
use super::tables;
use crate::model::AppId;
use crate::rollup::{Builder, Cells, Rollup, Totals, quarter_of};
use crate::store::StoreError;

/// Rows counted by one statement, about, so that none takes too long.
const COUNTED: u64 = 1_000_000;
/// Days of apps that are counted by one statement.
const MANY: usize = 2_000;
/// Days of which a statement rather names the first and the last than each.
pub(super) const MANY_DAYS: u16 = 1_000;
/// How long a statement is begun again whose answer breaks off, and after which pause, at first.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What a count was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The rows that were counted, one of each session.
    pub(super) content: Hash,
    /// All rows that there were, before the server merged those of one session.
    pub(super) rows: Hash,
}

impl Origin {
    /// Whether a day that holds these rows has the same sessions. Merges turn the one into the other.
    pub(super) fn is_of(&self, rows: Hash) -> bool {
        rows == self.content || rows == self.rows
    }
}

/// A day as it was counted.
#[derive(Debug, Clone)]
pub(super) struct Counted<T> {
    pub(super) origin: Origin,
    /// All that was there before this is in it.
    pub(super) begun: Instant,
    pub(super) what: T,
}

/// Some sessions of a day that have something in common, or one.
#[derive(Row, Serialize, Deserialize)]
pub(super) struct CountRow {
    app: WireId,
    day: u16,
    /// Milliseconds since the start of the day, of the quarter hour where only that is counted.
    start: u32,
    person: u64,
    combination: u64,
    sessions: u64,
    content: u64,
    rows: u64,
    sum: u64,
}

/// What days are counted into.
pub(super) trait Tally: Default {
    /// What a row has to say, and with which others it is counted: the first of `start`, `properties` and `person` that
    /// are needed.
    const FORM: Form;
    type Result;

    fn add(&mut self, row: &CountRow);
    fn finish(self) -> Self::Result;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Sessions by quarter hour.
    Quarters,
    /// By quarter hour and combination of properties.
    Cells,
    /// One by one, in the order of their ids.
    Sessions,
}

impl Tally for Totals {
    const FORM: Form = Form::Quarters;
    type Result = Self;

    fn add(&mut self, row: &CountRow) {
        let sessions = u32::try_from(row.sessions).unwrap_or(u32::MAX);
        Totals::add(self, quarter_of(row.start), sessions);
    }

    fn finish(self) -> Self {
        self
    }
}

/// Makes the cells of a day.
#[derive(Default)]
pub(super) struct CellsTally(Vec<(u64, u8, u32)>);

impl Tally for CellsTally {
    const FORM: Form = Form::Cells;
    type Result = Cells;

    fn add(&mut self, row: &CountRow) {
        let sessions = u32::try_from(row.sessions).unwrap_or(u32::MAX);
        self.0.push((row.combination, quarter_of(row.start), sessions));
    }

    fn finish(mut self) -> Cells {
        self.0.sort_unstable();
        // Each shard tells its own.
        let same = self.0.chunk_by(|one, two| (one.0, one.1) == (two.0, two.1));
        Cells::from_sorted(same.filter_map(|same| {
            let (combination, quarter, _) = *same.first()?;
            Some((
                combination,
                quarter,
                same.iter().map(|(.., sessions)| sessions).sum(),
            ))
        }))
    }
}

impl Tally for Builder {
    const FORM: Form = Form::Sessions;
    type Result = Rollup;

    fn add(&mut self, row: &CountRow) {
        self.push(row.start, row.person, row.combination);
    }

    fn finish(self) -> Rollup {
        Builder::finish(self)
    }
}

/// What is counted of days so far, and of what.
type Tallies<T> = HashMap<AppDay, (Origin, T)>;

/// Counts days that hold these rows. Each has its count, also where it has no sessions any more.
pub(super) async fn count<T>(
    engine: &Engine,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<HashMap<AppDay, Counted<T::Result>>, StoreError>
where
    T: Tally + Send + 'static,
    T::Result: Send + 'static,
{
    if days.is_empty() {
        return Ok(HashMap::new());
    }
    let begun = Instant::now();
    let names: BTreeSet<AppDay> = days.keys().copied().collect();
    let mut tallies = tally::<T>(engine, &names, &merged(engine, &names, T::FORM)).await?;
    let is_open = |day: &&AppDay| {
        let counted = tallies.get(*day).map(|(origin, _)| origin.content);
        counted != days.get(*day).copied()
    };
    let open: BTreeSet<AppDay> = names.iter().filter(is_open).copied().collect();
    if !open.is_empty() {
        tallies.extend(tally::<T>(engine, &open, &grouped(engine, &open, T::FORM)).await?);
    }
    // A large day takes its time, which belongs to no thread that answers others.
    let finish = move || {
        let counted = |(day, (origin, tally)): (AppDay, (Origin, T))| {
            let what = tally.finish();
            (day, Counted { origin, begun, what })
        };
        tallies.into_iter().map(counted).collect()
    };
    let finished = tokio::task::spawn_blocking(finish).await;
    finished.map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Counts what a statement tells of days.
async fn tally<T: Tally>(
    engine: &Engine,
    days: &BTreeSet<AppDay>,
    sql: &str,
) -> Result<Tallies<T>, StoreError> {
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        match tally_once(engine, days, sql).await {
            Err(StoreError::Unavailable(_)) if begun.elapsed() + pause < PATIENCE => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}

async fn tally_once<T: Tally>(
    engine: &Engine,
    days: &BTreeSet<AppDay>,
    sql: &str,
) -> Result<Tallies<T>, StoreError> {
    let apps: BTreeSet<AppId> = days.iter().map(|(app, _)| *app).collect();
    let mut tallies: Tallies<T> = days.iter().map(|day| (*day, Default::default())).collect();
    let mut rows = engine.stream::<CountRow>(sql)?;
    while let Some(row) = rows.next().await? {
        let day = (ids::app_of(row.app), row.day);
        let Some((origin, tally)) = tallies.get_mut(&day) else {
            // It is another app's day of the same date, or no row but what an old server said when it failed.
            if apps.contains(&day.0) {
                continue;
            }
            return Err(failure::broken_off());
        };
        let (content, all) = (row.content, (row.rows, row.sum));
        origin.content.add(Hash {
            rows: row.sessions,
            sum: content,
        });
        origin.rows.add(Hash {
            rows: all.0,
            sum: all.1,
        });
        tally.add(&row);
    }
    Ok(tallies)
}

/// Counts what FINAL leaves of the rows of each session, the one with the highest precedence.
fn merged(engine: &Engine, days: &BTreeSet<AppDay>, form: Form) -> String {
    let (from, condition) = (tables::hashed_sessions(engine.address()), condition(days));
    let quarter = "toUInt32(intDiv(start, 900000) * 900000)";
    let hashes = "sum(row_hash) AS content, count() AS copies, sum(row_hash) AS hash";
    match form {
        Form::Quarters => no_merge(
            engine,
            format!(
                "SELECT app, day, {quarter} AS begin, toUInt64(0) AS who, toUInt64(0) AS combination, count() AS n, {hashes} \
                 FROM {from} FINAL WHERE {condition} GROUP BY app, day, begin"
            ),
        ),
        Form::Cells => no_merge(
            engine,
            format!(
                "SELECT app, day, {quarter} AS begin, toUInt64(0) AS who, properties, count() AS n, {hashes} \
                 FROM {from} FINAL WHERE {condition} GROUP BY app, day, begin, properties"
            ),
        ),
        Form::Sessions => format!(
            "SELECT app, day, start, person, properties, toUInt64(1) AS n, row_hash, toUInt64(1) AS copies, row_hash AS hash \
             FROM {from} FINAL WHERE {condition} ORDER BY app, day, session_id"
        ),
    }
}

/// Counts the same, and all rows, as they are at one moment.
fn grouped(engine: &Engine, days: &BTreeSet<AppDay>, form: Form) -> String {
    let sessions = format!(
        "SELECT app, day, session_id, argMax(start, precedence) AS first_start, argMax(person, precedence) AS first_person, \
         argMax(properties, precedence) AS first_properties, argMax(row_hash, precedence) AS first_hash, \
         count() AS copies, sum(row_hash) AS hashes FROM {} WHERE {} GROUP BY app, day, session_id",
        tables::hashed_sessions(engine.address()),
        condition(days)
    );
    let quarter = "toUInt32(intDiv(first_start, 900000) * 900000)";
    let hashes = "sum(first_hash) AS content, sum(copies) AS all_copies, sum(hashes) AS hash";
    match form {
        Form::Quarters => no_merge(
            engine,
            format!(
                "SELECT app, day, {quarter} AS begin, toUInt64(0) AS who, toUInt64(0) AS combination, count() AS n, {hashes} \
                 FROM ({sessions}) GROUP BY app, day, begin"
            ),
        ),
        Form::Cells => no_merge(
            engine,
            format!(
                "SELECT app, day, {quarter} AS begin, toUInt64(0) AS who, first_properties, count() AS n, {hashes} \
                 FROM ({sessions}) GROUP BY app, day, begin, first_properties"
            ),
        ),
        Form::Sessions => format!(
            "SELECT app, day, first_start, first_person, first_properties, toUInt64(1) AS n, first_hash, copies, hashes \
             FROM ({sessions}) ORDER BY app, day, session_id"
        ),
    }
}

/// More than these days where they are of several apps.
pub(super) fn condition(days: &BTreeSet<AppDay>) -> String {
    let apps: BTreeSet<AppId> = days.iter().map(|(app, _)| *app).collect();
    let dates: BTreeSet<u16> = days.iter().map(|(_, day)| *day).collect();
    format!("app IN ({}) AND day IN ({})", literals(apps), list(dates))
}

/// Each shard has all rows of its sessions: what it groups needs no merging.
fn no_merge(engine: &Engine, sql: String) -> String {
    match engine.address().cluster {
        Some(_) => format!("{sql} SETTINGS distributed_group_by_no_merge = 1"),
        None => sql,
    }
}

/// Days in groups that one statement counts, each date's apps together.
pub(super) fn chunks(days: &BTreeMap<AppDay, Hash>) -> Vec<BTreeMap<AppDay, Hash>> {
    let mut sorted: Vec<(AppDay, Hash)> = days.iter().map(|(day, hash)| (*day, *hash)).collect();
    sorted.sort_unstable_by_key(|((app, day), _)| (*day, *app));
    let (mut chunks, mut chunk, mut rows) = (Vec::new(), BTreeMap::new(), 0);
    for (day, hash) in sorted {
        if !chunk.is_empty() && (rows + hash.rows > COUNTED || chunk.len() == MANY) {
            chunks.push(std::mem::take(&mut chunk));
            rows = 0;
        }
        rows += hash.rows;
        chunk.insert(day, hash);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(rows: u64) -> Hash {
        Hash { rows, sum: rows }
    }

    #[test]
    fn a_count_is_of_what_was_counted_and_of_what_merges_make_of_it() {
        let origin = Origin {
            content: hash(4),
            rows: hash(6),
        };
        assert!(origin.is_of(hash(4)) && origin.is_of(hash(6)));
        assert!(!origin.is_of(hash(5)) && !origin.is_of(Hash { rows: 4, sum: 5 }));
    }

    #[test]
    fn one_statement_counts_days_up_to_its_size() {
        let app = |number: u8| AppId::from_bytes([number; 16]);
        let days = BTreeMap::from([
            ((app(1), 1), hash(COUNTED - 1)),
            ((app(1), 2), hash(1)),
            ((app(2), 1), hash(1)),
            ((app(2), 3), hash(COUNTED * 2)),
        ]);
        let expected = [
            vec![(app(1), 1), (app(2), 1)],
            vec![(app(1), 2)],
            vec![(app(2), 3)],
        ];
        let names = chunks(&days).into_iter().map(|chunk| chunk.into_keys().collect());
        assert_eq!(names.collect::<Vec<Vec<AppDay>>>(), expected);
        assert!(chunks(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn cells_of_several_shards_are_added_up() {
        let row = |start: u32, combination: u64, sessions: u64| CountRow {
            app: (0, 0),
            day: 0,
            start,
            person: 0,
            combination,
            sessions,
            content: 0,
            rows: 0,
            sum: 0,
        };
        let mut tally = CellsTally::default();
        for row in [row(900_000, 7, 2), row(0, 7, 1), row(900_000, 7, 3), row(0, 5, 1)] {
            tally.add(&row);
        }
        let cells: Vec<(u64, u8, u32)> = tally.finish().iter().collect();
        assert_eq!(cells, [(5, 0, 1), (7, 0, 1), (7, 1, 5)]);
    }
}
