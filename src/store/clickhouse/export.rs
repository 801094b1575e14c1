//! Hands out recorded sessions, day by day of each app.

use std::collections::{BTreeSet, HashMap};

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use super::Inner;
use super::engine::Engine;
use super::recording::{self, NO_DURATION};
use crate::model::{AppId, MAX_DURATION_MILLIS, Millis, Properties, Session, StoredSession};
use crate::store::records::SessionRecord;
use crate::store::{Selection, StoreError};

/// Sessions handed out at a time.
const BATCH: usize = 5_000;
/// Sessions of a day that are held at a time, about.
const HELD: u64 = 500_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

#[derive(Row, Serialize, Deserialize)]
struct SessionRow {
    session_id: String,
    first_start: u32,
    combination: u64,
    user: String,
    device: String,
    first_duration: i32,
}

#[derive(Row, Serialize, Deserialize)]
struct EndRow {
    session_id: String,
    latest: i64,
}

/// Hands out the sessions of a selection that were recorded before now, until nobody receives them any more.
pub(super) async fn sessions(
    store: &Inner,
    selection: Selection,
    batches: &Sender<Vec<SessionRecord>>,
) -> Result<(), StoreError> {
    let until = recording::precedence();
    let snapshot = store.snapshot();
    let apps: BTreeSet<AppId> = snapshot
        .apps_of(selection.workspace)
        .filter(|app| selection.app.is_none_or(|selected| selected == *app))
        .collect();
    let (from, to) = (
        selection.from.unwrap_or(i64::MIN),
        selection.to.unwrap_or(i64::MAX),
    );
    let mut batch = Vec::with_capacity(BATCH);
    for (app, day) in recording::days(&store.engine).await? {
        let midnight = i64::from(day) * MILLIS_PER_DAY;
        if !apps.contains(&app) || midnight.saturating_add(MILLIS_PER_DAY) <= from || midnight >= to {
            continue;
        }
        let parts = size(&store.engine, app, day).await? / HELD + 1;
        for part in 0..parts {
            let of_part = Part {
                app,
                day,
                part,
                parts,
            };
            for record in of_part.read(store, until).await? {
                if !(from..to).contains(&record.session.started_at()) {
                    continue;
                }
                batch.push(record);
                if batch.len() == BATCH {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                    if batches.send(full).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.send(batch).await;
    Ok(())
}

async fn size(engine: &Engine, app: AppId, day: u16) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT count() FROM {}.sessions WHERE app = toUUID('{app}') AND day = {day}",
        engine.address().database
    );
    Ok(engine.rows(&sql).await?.first().copied().unwrap_or_default())
}

/// Some of the sessions of a day.
struct Part {
    app: AppId,
    day: u16,
    part: u64,
    parts: u64,
}

impl Part {
    fn condition(&self) -> String {
        let Self {
            app,
            day,
            part,
            parts,
        } = self;
        // Not the hash by which sessions are spread over shards.
        format!("app = toUUID('{app}') AND day = {day} AND sipHash64(session_id) % {parts} = {part}")
    }

    async fn read(&self, store: &Inner, until: u64) -> Result<Vec<SessionRecord>, StoreError> {
        let (database, condition) = (&store.engine.address().database, self.condition());
        let sql = format!(
            "SELECT session_id, argMax(start, precedence) AS first_start, argMax(properties, precedence) AS combination, \
             argMax(user_id, precedence) AS user, argMax(device_id, precedence) AS device, \
             argMax(duration, precedence) AS first_duration \
             FROM {database}.sessions WHERE {condition} AND precedence >= {until} GROUP BY session_id ORDER BY session_id"
        );
        let rows: Vec<SessionRow> = store.engine.rows(&sql).await?;
        let sql = format!(
            "SELECT session_id, max(at) AS latest FROM {database}.ends WHERE {condition} GROUP BY session_id"
        );
        let ends: Vec<EndRow> = store.engine.rows(&sql).await?;
        let ends: HashMap<String, i64> = ends.into_iter().map(|end| (end.session_id, end.latest)).collect();
        let ids = rows.iter().map(|row| row.combination).collect();
        let contents = store.combinations.contents(&store.engine, &ids).await?;
        let record = |row: SessionRow| {
            let recorded = contents
                .get(&row.combination)
                .ok_or_else(|| StoreError::damaged("a combination of properties is missing"))?;
            let end = ends
                .get(&row.session_id)
                .map(|at| at - i64::from(row.first_start));
            let end = end.filter(|duration| (0..=MAX_DURATION_MILLIS).contains(duration));
            let duration =
                end.max(Some(row.first_duration.into()).filter(|_| row.first_duration != NO_DURATION));
            let session = Session::from_stored(StoredSession {
                app: self.app,
                session_id: row.session_id.into(),
                started_at: Millis::from(self.day) * MILLIS_PER_DAY + i64::from(row.first_start),
                duration: duration.and_then(|duration| u32::try_from(duration).ok()),
                user_id: Some(row.user).filter(|id| !id.is_empty()).map(Into::into),
                device_id: Some(row.device).filter(|id| !id.is_empty()).map(Into::into),
                properties: Properties::from_stored(recorded),
            });
            Ok(SessionRecord {
                session,
                recorded: recorded.to_string(),
            })
        };
        rows.into_iter().map(record).collect()
    }
}
