//! Rollups of days that are kept in the store, with the hash of what was counted: each holds as long as the day holds that,
//! and is of no use otherwise. Losing them costs time, never a number.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::contents::Hash;
use super::counting::{Counted, Origin};
use super::engine::Engine;
use super::ids::{self, AppDay, WireId};
use super::literals::literals;
use super::sealed;
use super::tables::Table;
use crate::model::AppId;
use crate::rollup::{Cells, Label, People, Totals};
use crate::store::StoreError;

/// What is kept of a day.
pub(super) trait Kept: Sized {
    /// Its number in the table.
    const KIND: u8;
    /// Its column in the table of sealed days.
    const COLUMN: &'static str;

    fn encode(&self, label: Label) -> std::io::Result<Vec<u8>>;
    /// Why it can't be read, in words.
    fn decode(bytes: &[u8], label: Label) -> Result<Self, String>;
}

impl Kept for Totals {
    const KIND: u8 = 1;
    const COLUMN: &'static str = "totals";

    fn encode(&self, label: Label) -> std::io::Result<Vec<u8>> {
        Ok(self.encode(label))
    }

    fn decode(bytes: &[u8], label: Label) -> Result<Self, String> {
        Self::decode(bytes, label).map_err(|error| error.to_string())
    }
}

impl Kept for Cells {
    const KIND: u8 = 2;
    const COLUMN: &'static str = "cells";

    fn encode(&self, _: Label) -> std::io::Result<Vec<u8>> {
        self.encode()
    }

    fn decode(bytes: &[u8], _: Label) -> Result<Self, String> {
        Self::decode(bytes).map_err(|error| error.to_string())
    }
}

impl Kept for People {
    const KIND: u8 = 3;
    const COLUMN: &'static str = "people";

    fn encode(&self, _: Label) -> std::io::Result<Vec<u8>> {
        self.encode()
    }

    fn decode(bytes: &[u8], _: Label) -> Result<Self, String> {
        Self::decode(bytes).map_err(|error| error.to_string())
    }
}

#[derive(Row, Serialize, Deserialize)]
pub(super) struct KeptRow {
    kind: u8,
    app: WireId,
    day: u16,
    sessions: u64,
    content: u64,
    rows: u64,
    hash: u64,
    /// On the wire a text is what its bytes are as an array.
    body: Vec<u8>,
}

#[derive(Row, Serialize, Deserialize)]
struct OriginRow {
    app: WireId,
    day: u16,
    sessions: u64,
    content: u64,
    rows: u64,
    hash: u64,
}

/// Of whose day it is, and what was counted.
pub(super) fn label((app, day): AppDay, origin: &Origin) -> Label {
    let number = |bits: u64| i64::from_ne_bytes(bits.to_ne_bytes());
    Label {
        app: number(ids::app(app).1),
        day: day.into(),
        seq: number(origin.content.sum),
    }
}

impl KeptRow {
    pub(super) fn new<T: Kept>(day: AppDay, origin: Origin, what: &T) -> Result<Self, StoreError> {
        let body = what.encode(label(day, &origin));
        Ok(Self {
            kind: T::KIND,
            app: ids::app(day.0),
            day: day.1,
            sessions: origin.content.rows,
            content: origin.content.sum,
            rows: origin.rows.rows,
            hash: origin.rows.sum,
            body: body.map_err(|error| StoreError::Unavailable(error.to_string()))?,
        })
    }
}

/// What is kept of days that hold these rows, of two of a day the later one, as merges leave it. What can't be read is left
/// out, and counted again. Of a sealed day it is always kept.
pub(super) async fn read<T: Kept>(
    engine: &Engine,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<HashMap<AppDay, Counted<T>>, StoreError> {
    let mut kept = HashMap::new();
    let begun = Instant::now();
    let Some(condition) = condition(T::KIND, days) else {
        return Ok(kept);
    };
    let sql = format!(
        "SELECT kind, app, day, sessions, content, rows, hash, body FROM {}.{} WHERE {condition} ORDER BY at",
        engine.address().database,
        Table::Rollups.name(),
    );
    for row in engine.rows::<KeptRow>(&sql).await? {
        let day = (ids::app_of(row.app), row.day);
        let origin = origin((row.sessions, row.content), (row.rows, row.hash));
        if !days.get(&day).is_some_and(|rows| origin.is_of(*rows)) {
            continue;
        }
        match T::decode(&row.body, label(day, &origin)) {
            Ok(what) => _ = kept.insert(day, Counted { origin, begun, what }),
            Err(error) => {
                kept.remove(&day);
                tracing::warn!(%error, app = %day.0, day = day.1, "the rollup of a day can't be read; it is built again");
            }
        }
    }
    let missing = days.keys().filter(|day| !kept.contains_key(day)).copied();
    let sealed = sealed::read::<T>(engine, missing.collect::<Vec<_>>()).await?;
    kept.extend(sealed);
    Ok(kept)
}

/// Of which of these days, with these rows, it is kept.
pub(super) async fn known<T: Kept>(
    engine: &Engine,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<BTreeSet<AppDay>, StoreError> {
    let Some(condition) = condition(T::KIND, days) else {
        return Ok(BTreeSet::new());
    };
    let sql = format!(
        "SELECT app, day, sessions, content, rows, hash FROM {}.{} WHERE {condition}",
        engine.address().database,
        Table::Rollups.name(),
    );
    let rows: Vec<OriginRow> = engine.rows(&sql).await?;
    let is_valid = |row: &OriginRow| {
        let day = (ids::app_of(row.app), row.day);
        let origin = origin((row.sessions, row.content), (row.rows, row.hash));
        days.get(&day)
            .is_some_and(|rows| origin.is_of(*rows))
            .then_some(day)
    };
    let mut known: BTreeSet<AppDay> = rows.iter().filter_map(is_valid).collect();
    let missing = days.keys().filter(|day| !known.contains(day)).copied();
    let sealed = sealed::among(engine, missing.collect::<Vec<_>>()).await?;
    known.extend(sealed.into_keys());
    Ok(known)
}

fn origin(content: (u64, u64), rows: (u64, u64)) -> Origin {
    let hash = |(rows, sum)| Hash { rows, sum };
    Origin {
        content: hash(content),
        rows: hash(rows),
    }
}

/// `None` where there is no day.
fn condition(kind: u8, days: &BTreeMap<AppDay, Hash>) -> Option<String> {
    let dates = || days.keys().map(|(_, day)| *day);
    let (first, last) = (dates().min()?, dates().max()?);
    let apps: BTreeSet<AppId> = days.keys().map(|(app, _)| *app).collect();
    Some(format!(
        "kind = {kind} AND app IN ({}) AND day BETWEEN {first} AND {last}",
        literals(apps)
    ))
}

/// Keeps rollups; of two of a day the later one stays.
pub(super) async fn keep(engine: &Engine, rows: &[KeptRow]) -> Result<(), StoreError> {
    engine.insert(Table::Rollups, rows).await
}
