//! Sealed days: their sessions are gone or about to go, and the day's row here has its rollup, which is the truth from then on.
//!
//! A row is written once the sessions of its day are refused everywhere and all that were accepted before are visible
//! (`sealing`), or by a copy of another store (`copying`). Whoever looks at sessions looks here afterwards: a day that has a
//! row holds what that says, whatever is left of its sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::contents::Hash;
use super::counting::{self, Counted, Origin};
use super::engine::Engine;
use super::ids::{self, AppDay, WireId};
use super::kept::{Kept, label};
use super::literals::literals;
use super::now;
use super::tables::Table;
use crate::model::AppId;
use crate::rollup::{Cells, DAY, People, Totals};
use crate::store::StoreError;

/// A retention has a day at least, and days are sealed a day later.
const YOUNGEST: i64 = 2;

#[derive(Row, Serialize, Deserialize)]
struct HashRow {
    app: WireId,
    day: u16,
    sessions: u64,
    content: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct PartRow {
    app: WireId,
    day: u16,
    sessions: u64,
    content: u64,
    body: Vec<u8>,
}

/// A day's rollup as it is stored.
#[derive(Row, Serialize, Deserialize)]
pub(super) struct SealedRow {
    app: WireId,
    day: u16,
    version: u64,
    sessions: u64,
    content: u64,
    totals: Vec<u8>,
    cells: Vec<u8>,
    people: Vec<u8>,
}

impl SealedRow {
    /// `content` names what was counted.
    pub(super) fn new(
        day: AppDay,
        content: Hash,
        (cells, people): (&Cells, &People),
    ) -> Result<Self, StoreError> {
        let label = label(day, &of(content));
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        Ok(Self {
            app: ids::app(day.0),
            day: day.1,
            version: now().unsigned_abs(),
            sessions: content.rows,
            content: content.sum,
            totals: Totals(cells.sum(|_| true)).encode(label),
            cells: cells.encode().map_err(failed)?,
            people: people.encode().map_err(failed)?,
        })
    }
}

/// What is counted of a sealed day is all that there is of it.
fn of(content: Hash) -> Origin {
    Origin {
        content,
        rows: content,
    }
}

/// Whether a day is old enough to be sealed.
pub(super) fn may_be(day: u16) -> bool {
    i64::from(day) <= now() / 1000 / DAY - YOUNGEST
}

/// What the sealed ones among these days hold.
pub(super) async fn among(
    engine: &Engine,
    days: impl IntoIterator<Item = AppDay>,
) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let old: BTreeSet<AppDay> = days.into_iter().filter(|(_, day)| may_be(*day)).collect();
    if old.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut found = hashes(engine, &stretch(&old)).await?;
    found.retain(|day, _| old.contains(day));
    Ok(found)
}

/// What sealed days hold, those for which a condition over app and day holds.
pub(super) async fn hashes(engine: &Engine, condition: &str) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
    let sql = format!(
        "SELECT app, day, argMax(sessions, version) AS counted, argMax(content, version) AS hash FROM {}.{} \
         WHERE {condition} GROUP BY app, day",
        engine.address().database,
        Table::Sealed.name()
    );
    let rows: Vec<HashRow> = engine.rows(&sql).await?;
    let hash = |row: HashRow| {
        let (rows, sum) = (row.sessions, row.content);
        ((ids::app_of(row.app), row.day), Hash { rows, sum })
    };
    Ok(rows.into_iter().map(hash).collect())
}

/// A part of the rollups of those of these days that are sealed.
///
/// # Errors
/// [`StoreError::Unusable`] where one can't be read: there is nothing that it could be built of again.
pub(super) async fn read<T: Kept>(
    engine: &Engine,
    days: impl IntoIterator<Item = AppDay>,
) -> Result<HashMap<AppDay, Counted<T>>, StoreError> {
    let old: BTreeSet<AppDay> = days.into_iter().filter(|(_, day)| may_be(*day)).collect();
    if old.is_empty() {
        return Ok(HashMap::new());
    }
    let begun = Instant::now();
    let sql = format!(
        "SELECT app, day, argMax(sessions, version) AS counted, argMax(content, version) AS hash, \
         argMax({}, version) AS body FROM {}.{} WHERE {} GROUP BY app, day",
        T::COLUMN,
        engine.address().database,
        Table::Sealed.name(),
        stretch(&old)
    );
    let mut found = HashMap::new();
    for row in engine.rows::<PartRow>(&sql).await? {
        let day = (ids::app_of(row.app), row.day);
        if !old.contains(&day) {
            continue;
        }
        let origin = of(Hash {
            rows: row.sessions,
            sum: row.content,
        });
        let what = T::decode(&row.body, label(day, &origin)).map_err(|error| unreadable(day, &error))?;
        found.insert(day, Counted { origin, begun, what });
    }
    Ok(found)
}

/// What `verify` says as well.
pub(super) fn unreadable((app, day): AppDay, why: &str) -> StoreError {
    StoreError::damaged(format!(
        "the rollup of app {app} on day {day} since 1970, whose sessions retention removed, can't be read: {why}"
    ))
}

/// These days, and others between them.
fn stretch(days: &BTreeSet<AppDay>) -> String {
    let apps: BTreeSet<AppId> = days.iter().map(|(app, _)| *app).collect();
    let dates = || days.iter().map(|(_, day)| *day);
    match (dates().min(), dates().max()) {
        (Some(first), Some(last)) if last - first > counting::MANY_DAYS => {
            format!("app IN ({}) AND day BETWEEN {first} AND {last}", literals(apps))
        }
        _ => counting::condition(days),
    }
}

/// Writes rows of days.
pub(super) async fn write(engine: &Engine, rows: &[SealedRow]) -> Result<(), StoreError> {
    engine.insert(Table::Sealed, rows).await
}
