//! Hands out recorded sessions by app, day and session id, as the embedded store does.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use super::Inner;
use super::days::AppDay;
use super::engine::{Engine, quoted};
use super::known::NO_DURATION;
use super::recording;
use crate::model::{AppId, MAX_DURATION_MILLIS, Millis, Properties, Session, StoredSession};
use crate::store::records::SessionRecord;
use crate::store::{Selection, StoreError};

/// Sessions handed out at a time.
const BATCH: usize = 5_000;
/// Sessions of a day that are held at a time, about.
const HELD: usize = 500_000;
/// Sessions by which so many are measured.
const SAMPLES: usize = 100;
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
    let (from, to) = (
        selection.from.unwrap_or(i64::MIN),
        selection.to.unwrap_or(i64::MAX),
    );
    let mut batch = Vec::with_capacity(BATCH);
    let mut days_of = BTreeMap::<AppId, Vec<u16>>::new();
    for (app, day) in recording::days(&store.engine).await? {
        days_of.entry(app).or_default().push(day);
    }
    let apps = snapshot.apps_of(selection.workspace);
    let apps = apps.filter(|app| selection.app.is_none_or(|selected| selected == *app));
    let days = apps.flat_map(|app| {
        let days = days_of.remove(&app).unwrap_or_default();
        days.into_iter().map(move |day| (app, day))
    });
    for of in days {
        let midnight = i64::from(of.1) * MILLIS_PER_DAY;
        if midnight.saturating_add(MILLIS_PER_DAY) <= from || midnight >= to {
            continue;
        }
        for part in parts(&store.engine, of).await? {
            for record in part.read(store, until).await? {
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

#[derive(Row, Serialize, Deserialize)]
struct IdRow {
    session_id: String,
}

/// Cuts a day into parts of about [`HELD`] sessions, in the order of their ids.
async fn parts(engine: &Engine, of: AppDay) -> Result<Vec<Part>, StoreError> {
    let (app, day) = of;
    // Every few thousandth session tells where the cuts are; not by the hash that spreads sessions over shards.
    let sql = format!(
        "SELECT DISTINCT session_id FROM {}.sessions WHERE app = toUUID('{app}') AND day = {day} \
         AND sipHash64(session_id) % {} = 0 ORDER BY session_id",
        engine.address().database,
        HELD / SAMPLES
    );
    let sample: Vec<IdRow> = engine.rows(&sql).await?;
    Ok(cut(of, sample.into_iter().map(|row| row.session_id)))
}

/// Parts with [`SAMPLES`] of these ids each; the last one has what remains.
fn cut(of: AppDay, ids: impl Iterator<Item = String>) -> Vec<Part> {
    let mut after = None;
    let ends = ids.skip(SAMPLES - 1).step_by(SAMPLES).map(Some).chain([None]);
    let part = |up_to: Option<String>| Part {
        of,
        after: std::mem::replace(&mut after, up_to.clone()),
        up_to,
    };
    ends.map(part).collect()
}

/// Some of the sessions of a day.
struct Part {
    of: AppDay,
    /// The id before the first one.
    after: Option<String>,
    /// The last id.
    up_to: Option<String>,
}

impl Part {
    fn condition(&self) -> String {
        let (app, day) = self.of;
        let mut condition = format!("app = toUUID('{app}') AND day = {day}");
        for (id, is) in [(&self.after, ">"), (&self.up_to, "<=")] {
            if let Some(id) = id {
                condition += &format!(" AND session_id {is} {}", quoted(id));
            }
        }
        condition
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
                app: self.of.0,
                session_id: row.session_id.into(),
                started_at: Millis::from(self.of.1) * MILLIS_PER_DAY + i64::from(row.first_start),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_is_in_one_part() {
        let of = (AppId::from_bytes([1; 16]), 17_000);
        for ids in [0, 1, 99, 100, 101, 250, 300] {
            let ids: Vec<String> = (0..ids).map(|id| format!("{id:03}")).collect();
            let parts = cut(of, ids.iter().cloned());
            assert_eq!(parts.len(), ids.len() / SAMPLES + 1);
            for id in &ids {
                let holds = |part: &&Part| {
                    part.after.as_ref().is_none_or(|after| id > after)
                        && part.up_to.as_ref().is_none_or(|last| id <= last)
                };
                assert_eq!(parts.iter().filter(holds).count(), 1, "{id}");
            }
        }
    }

    #[test]
    fn a_part_is_between_two_ids() {
        let of = (AppId::from_bytes([0; 16]), 17_000);
        let ids = (0..250).map(|id| format!("{id:03}'"));
        let conditions: Vec<String> = cut(of, ids).iter().map(Part::condition).collect();
        let day = "app = toUUID('00000000-0000-0000-0000-000000000000') AND day = 17000";
        let expected = [
            format!("{day} AND session_id <= '099\\''"),
            format!("{day} AND session_id > '099\\'' AND session_id <= '199\\''"),
            format!("{day} AND session_id > '199\\''"),
        ];
        assert_eq!(conditions, expected);
    }
}
