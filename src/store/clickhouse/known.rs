//! Which sessions were recorded before: what this process remembers, and else what the server says.

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::Row;
use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use super::Inner;
use super::counting;
use super::days::AppDay;
use super::engine::{array, list};
use super::ids::{self, WireId};
use super::people::{DEVICE, USER};
use super::remembered;
use crate::model::AppId;
use crate::store::StoreError;

/// With as many sessions of a day, an app's whole day is looked through.
const MANY: usize = 200;
/// With as many sessions it is worth remembering which ones there are.
const BULK: usize = 1_000;
/// When the server was asked for as many sessions of a day, asking for all of them would not have cost more.
const ASKED_OFTEN: u64 = 5_000;
/// Sessions that are fetched at a time to be remembered, about.
const FETCHED: u64 = 1_000_000;

/// App, UTC date and session id.
pub(super) type Key<'a> = (AppId, u16, &'a str);

/// A session that was recorded before.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Milliseconds since the start of the day.
    pub(super) start: u32,
    /// Milliseconds; [`NO_DURATION`] where no end is known, and perhaps less than what is recorded.
    pub(super) duration: i32,
}

/// What stands for an end that is not known.
pub(super) const NO_DURATION: i32 = -1;

/// Sessions of a batch that were recorded before.
#[derive(Default)]
pub(super) struct KnownSessions<'a> {
    pub(super) of: HashMap<Key<'a>, Known>,
    /// Their first deliveries, where the server was asked.
    pub(super) first: HashMap<Key<'a>, FirstDelivery>,
}

/// The delivery of a session that counts.
pub(super) struct FirstDelivery {
    pub(super) precedence: u64,
    pub(super) properties: u64,
    /// Empty: none.
    pub(super) user_id: String,
    pub(super) device_id: String,
}

impl FirstDelivery {
    /// Kind and id.
    pub(super) fn person(&self) -> Option<(u8, &str)> {
        let user = Some((USER, self.user_id.as_str())).filter(|(_, id)| !id.is_empty());
        user.or_else(|| Some((DEVICE, self.device_id.as_str())).filter(|(_, id)| !id.is_empty()))
    }
}

#[derive(Row, Serialize, Deserialize)]
struct KnownRow {
    app: WireId,
    day: u16,
    session_id: String,
    highest: u64,
    first_start: u32,
    first_duration: i32,
    first_properties: u64,
    user: String,
    device: String,
}

#[derive(Row, Serialize, Deserialize)]
struct MarksRow {
    app: WireId,
    day: u16,
    marks: Vec<u32>,
}

/// Those of the sessions that were recorded before.
pub(super) async fn known_sessions<'a>(
    store: &Inner,
    keys: &[Key<'a>],
) -> Result<KnownSessions<'a>, StoreError> {
    let mut known = KnownSessions::default();
    let mut asked = BTreeMap::<AppDay, Vec<&str>>::new();
    let mut others = HashMap::<AppDay, Option<u32>>::default();
    for key in keys {
        let (app, day, id) = *key;
        if let Some(session) = store.remembered.session(key) {
            known.of.insert(*key, session);
            continue;
        }
        let others = others
            .entry((app, day))
            .or_insert_with(|| store.days.others((app, day)));
        // What nobody wrote to has nothing that could be delivered again.
        if others.is_some_and(|others| !store.remembered.lacks(key, others)) {
            asked.entry((app, day)).or_default().push(id);
        }
    }
    for (day, ids) in &asked {
        store.remembered.was_asked(*day, ids.len() as u64);
    }
    let (many, few): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(_, ids)| ids.len() >= MANY);
    let (found, others) = tokio::try_join!(
        find(store, (!many.is_empty()).then(|| of_days(&many))),
        find(store, (!few.is_empty()).then(|| one_by_one(&few))),
    )?;
    let mut rows = HashMap::<AppDay, HashMap<String, KnownRow>>::default();
    for mut row in found.into_iter().chain(others) {
        let day = rows.entry((ids::app_of(row.app), row.day)).or_default();
        day.insert(std::mem::take(&mut row.session_id), row);
    }
    for ((app, day), ids) in many.into_iter().chain(few) {
        let Some(mut rows) = rows.remove(&(app, day)) else {
            continue;
        };
        for id in ids {
            let Some(row) = rows.remove(id) else { continue };
            let session = Known {
                start: row.first_start,
                duration: row.first_duration,
            };
            known.of.insert((app, day, id), session);
            let first = FirstDelivery {
                precedence: row.highest,
                properties: row.first_properties,
                user_id: row.user,
                device_id: row.device,
            };
            known.first.insert((app, day, id), first);
        }
    }
    Ok(known)
}

/// Remembers all sessions of a large batch's days, where that costs no more than asking for the batch's own again and
/// again. Only for whose turn it is to record.
pub(super) async fn remember_days(store: &Inner, keys: &[Key<'_>]) -> Result<(), StoreError> {
    if keys.len() < BULK {
        return Ok(());
    }
    let now = store.days.now();
    let mut due = Vec::new();
    for day in keys
        .iter()
        .map(|(app, day, _)| (*app, *day))
        .collect::<BTreeSet<_>>()
    {
        match store.days.others(day) {
            None => store.remembered.begin(day, now),
            Some(others) => {
                if store.remembered.asked(day) >= ASKED_OFTEN && store.remembered.is_readable(others, now) {
                    due.push(day);
                }
            }
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    // What is being written must be there.
    let _written = store.writing.lock().await;
    let sizes = counting::sizes(&store.engine, &due).await?;
    let mut fetched = 0;
    let mut wanted = BTreeSet::new();
    for day in due {
        let size = sizes.get(&day).copied().unwrap_or_default();
        if size > remembered::CAPACITY / 2 {
            // Too large; not to be looked at again too soon.
            store.remembered.put_off(day);
        } else if wanted.is_empty() || fetched + size <= FETCHED {
            fetched += size;
            wanted.insert(day);
        }
        // The rest follows with the next batch.
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut found = marks(store, &wanted).await?;
    tracing::info!(
        days = wanted.len(),
        sessions = fetched,
        "remembers whole days from now on"
    );
    for day in wanted {
        let marks = found.remove(&day).unwrap_or_default();
        store.remembered.remember(day, now, marks);
    }
    Ok(())
}

/// The marks of all sessions of days; days without sessions are missing.
async fn marks(store: &Inner, days: &BTreeSet<AppDay>) -> Result<HashMap<AppDay, Vec<u32>>, StoreError> {
    let days = days
        .iter()
        .map(|(app, day)| format!("(toUUID('{app}'),toUInt16({day}))"));
    let sql = format!(
        "SELECT app, day, groupArray({}) AS marks FROM {}.sessions WHERE (app, day) IN ({}) GROUP BY app, day",
        remembered::MARK,
        store.engine.address().database,
        list(days)
    );
    let rows: Vec<MarksRow> = store.engine.rows(&sql).await?;
    let rows = rows
        .into_iter()
        .map(|row| ((ids::app_of(row.app), row.day), row.marks));
    Ok(rows.collect())
}

async fn find(store: &Inner, condition: Option<String>) -> Result<Vec<KnownRow>, StoreError> {
    let Some(condition) = condition else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT app, day, session_id, max(precedence) AS highest, argMax(start, precedence) AS first_start, \
         argMax(duration, precedence) AS first_duration, argMax(properties, precedence) AS first_properties, \
         argMax(user_id, precedence) AS user, argMax(device_id, precedence) AS device FROM {}.sessions WHERE {condition} GROUP BY app, day, session_id",
        store.engine.address().database
    );
    store.engine.rows(&sql).await
}

/// Sessions with any of these ids on any of these days; one that was not asked for does no harm.
fn of_days(days: &[(AppDay, Vec<&str>)]) -> String {
    let apps: BTreeSet<AppId> = days.iter().map(|((app, _), _)| *app).collect();
    let dates: BTreeSet<u16> = days.iter().map(|((_, day), _)| *day).collect();
    let ids = days.iter().flat_map(|(_, ids)| ids.iter().copied());
    format!(
        "app IN ({}) AND day IN ({}) AND session_id IN (SELECT arrayJoin({}))",
        counting::literals(apps),
        list(dates),
        array(ids)
    )
}

/// Sessions with exactly these keys.
fn one_by_one(days: &[(AppDay, Vec<&str>)]) -> String {
    let keys = || {
        days.iter()
            .flat_map(|((app, day), ids)| ids.iter().map(move |id| (app, day, *id)))
    };
    let apps: Vec<String> = keys().map(|(app, ..)| app.to_string()).collect();
    let dates: Vec<String> = keys().map(|(_, day, _)| day.to_string()).collect();
    format!(
        "(app, day, session_id) IN (SELECT toUUID(a), toUInt16(d), s FROM (SELECT 1) ARRAY JOIN {} AS a, {} AS d, {} AS s)",
        array(apps.iter().map(String::as_str)),
        array(dates.iter().map(String::as_str)),
        array(keys().map(|(.., id)| id))
    )
}
