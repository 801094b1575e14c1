//! Hands out recorded sessions in the order of their keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::mpsc::Sender;

use super::in_range;
use super::interning::IdentityKind;
use crate::model::{AppId, Properties, Session, StoredSession, is_stored_properties};
use crate::store::records::{Forgotten, handed_out};
use crate::store::{Selection, StoreError};

/// Sessions handed out at a time.
const BATCH: usize = 5_000;
/// Combinations of properties held in memory.
const KEPT: usize = 50_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Returns when everything is handed out, or nobody receives any more. `item` makes what is handed out of a session,
/// the text of its recorded properties, and its person where that one was forgotten.
///
/// A batch is read in one consistent state, which is let go before the batch is handed out: whoever receives it may take
/// its time, and the journal can't be moved into the database before. What was recorded when
/// this began is handed out, but for sessions that are removed meanwhile: those of an app that is deleted, and of days that are
/// sealed.
pub(super) fn export<T>(
    connection: &Connection,
    selection: &Selection,
    batches: &Sender<Vec<T>>,
    item: impl Fn(Session, &str, Option<Forgotten>) -> T,
) -> Result<(), StoreError> {
    let mut properties = KnownProperties::default();
    let mut batch = Vec::with_capacity(BATCH);
    for (ordinal, app) in apps(connection, selection)? {
        let mut walk = Walk::new(ordinal, app, selection);
        while walk.read(connection, &mut properties, &mut batch, &item)? {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// How far the sessions of an app were read.
struct Walk {
    ordinal: i64,
    app: AppId,
    /// Unix milliseconds, the end not included.
    range: Range<i64>,
    last_day: i64,
    day: i64,
    /// The last one that was read, as the table has it; before the first one, a text that is before every id.
    session_id: Value,
}

impl Walk {
    fn new(ordinal: i64, app: AppId, selection: &Selection) -> Self {
        let day = |millis: i64| millis.div_euclid(MILLIS_PER_DAY);
        let range = selection.from.unwrap_or(i64::MIN)..selection.to.unwrap_or(i64::MAX);
        Self {
            ordinal,
            app,
            // Without a limit also what can't be a day, so that it is met and not left out.
            day: selection.from.map_or(i64::MIN, day),
            last_day: selection.to.map_or(i64::MAX, day),
            session_id: Value::Text(String::new()),
            range,
        }
    }

    /// Fills a batch; `false` when the app has no more sessions.
    fn read<T>(
        &mut self,
        connection: &Connection,
        properties: &mut KnownProperties,
        batch: &mut Vec<T>,
        item: impl Fn(Session, &str, Option<Forgotten>) -> T,
    ) -> Result<bool, StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let mut statement = transaction.prepare_cached(include_str!("sql/export_sessions.sql"))?;
        let wanted = BATCH.saturating_sub(batch.len());
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![
            self.ordinal,
            self.day,
            self.session_id,
            self.last_day,
            limit
        ])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            self.day = in_range::day(row.get(0)?)?;
            self.session_id = row.get(1)?;
            let started_at = self.day * MILLIS_PER_DAY + in_range::start(row.get(2)?)?;
            if !self.range.contains(&started_at) {
                continue;
            }
            let (recorded, own) = properties.get(&transaction, row.get(4)?)?;
            let Named {
                user_id,
                device_id,
                forgotten,
            } = Named::read(row)?;
            let session = Session::from_stored(StoredSession {
                app: self.app,
                session_id: in_range::session_id(row.get_ref(1)?)?,
                started_at,
                duration: in_range::duration(row.get(3)?)?,
                user_id,
                device_id,
                properties: handed_out(own, forgotten),
            });
            batch.push(item(session, recorded, forgotten));
        }
        Ok(read == wanted)
    }
}

/// Who a session names.
#[derive(Default)]
struct Named {
    user_id: Option<Box<str>>,
    device_id: Option<Box<str>>,
    forgotten: Option<Forgotten>,
}

impl Named {
    /// Whoever was forgotten is not named, nor is the device of a user who was.
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (user, device): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(7)?);
        let mut named = Self::default();
        match user {
            None => {}
            Some(kind) if kind == IdentityKind::User as i64 => named.user_id = row.get(6)?,
            Some(_) => {
                named.forgotten = Some(number(row, 6)?);
                return Ok(named);
            }
        }
        match device {
            None => {}
            Some(kind) if kind == IdentityKind::Device as i64 => named.device_id = row.get(8)?,
            Some(_) if user.is_none() => named.forgotten = Some(number(row, 8)?),
            Some(_) => {}
        }
        Ok(named)
    }
}

fn number(row: &Row<'_>, column: usize) -> Result<Forgotten, StoreError> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_| StoreError::damaged(format!("'{text}' stands for somebody who was forgotten")))
}

fn apps(connection: &Connection, selection: &Selection) -> Result<Vec<(i64, AppId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT a.ordinal, a.id FROM apps a JOIN workspaces w ON w.ordinal = a.workspace WHERE w.id = ?1 ORDER BY 1",
    )?;
    let mut rows = statement.query([selection.workspace.to_string()])?;
    let mut apps = Vec::new();
    while let Some(row) = rows.next()? {
        let id = in_range::id(row.get_ref(1)?)?;
        if selection.app.is_none_or(|app| app == id) {
            apps.push((row.get(0)?, id));
        }
    }
    Ok(apps)
}

/// Combinations of properties by their ordinals: as they are recorded, and as they were delivered.
#[derive(Default)]
struct KnownProperties(HashMap<i64, (String, Properties)>);

impl KnownProperties {
    fn get(&mut self, connection: &Connection, ordinal: i64) -> Result<&(String, Properties), StoreError> {
        if self.0.len() >= KEPT && !self.0.contains_key(&ordinal) {
            self.0.clear();
        }
        match self.0.entry(ordinal) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let content: Option<String> = connection
                    .prepare_cached("SELECT content FROM properties WHERE ordinal = ?1")?
                    .query_row([ordinal], |row| row.get(0))
                    .optional()?;
                let content = content
                    .filter(|content| is_stored_properties(content))
                    .ok_or_else(|| {
                        StoreError::damaged(format!(
                            "combination of properties number {ordinal} can't be read"
                        ))
                    })?;
                let own = Properties::from_stored(&content);
                Ok(place.insert((content, own)))
            }
        }
    }
}
