//! Hands out recorded sessions in the order of their keys, from one consistent state.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use crate::model::{AppId, Properties, Session, StoredSession};
use crate::store::{Selection, StoreError};

/// Sessions handed out at a time.
const BATCH: usize = 5_000;
/// Combinations of properties held in memory.
const KEPT: usize = 50_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Returns when everything is handed out, or nobody receives any more. `item` makes what is handed out of a session and
/// the text of its recorded properties.
pub(super) fn export<T>(
    connection: &Connection,
    selection: &Selection,
    batches: &Sender<Vec<T>>,
    item: impl Fn(Session, &str) -> T,
) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut properties = KnownProperties::new(&transaction);
    let mut statement = transaction.prepare_cached(include_str!("sql/export_sessions.sql"))?;
    let day = |millis: i64| millis.div_euclid(MILLIS_PER_DAY);
    let (from, to) = (
        selection.from.unwrap_or(i64::MIN),
        selection.to.unwrap_or(i64::MAX),
    );
    let mut batch = Vec::with_capacity(BATCH);
    for (ordinal, app) in apps(&transaction, selection)? {
        let mut rows = statement.query(params![ordinal, day(from), day(to)])?;
        while let Some(row) = rows.next()? {
            let started_at = row.get::<_, i64>(0)? * MILLIS_PER_DAY + row.get::<_, i64>(2)?;
            if !(from..to).contains(&started_at) {
                continue;
            }
            let (recorded, own) = properties.get(row.get(6)?)?;
            let session = Session::from_stored(StoredSession {
                app,
                session_id: session_id(row.get_ref(1)?)?,
                started_at,
                duration: row.get(3)?,
                user_id: row.get(4)?,
                device_id: row.get(5)?,
                properties: own.clone(),
            });
            batch.push(item(session, recorded));
            if batch.len() == BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if batches.blocking_send(full).is_err() {
                    return Ok(());
                }
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.blocking_send(batch);
    Ok(())
}

fn apps(transaction: &Transaction<'_>, selection: &Selection) -> Result<Vec<(i64, AppId)>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT a.ordinal, a.id FROM apps a JOIN workspaces w ON w.ordinal = a.workspace WHERE w.id = ?1 ORDER BY 1",
    )?;
    let mut rows = statement.query([selection.workspace.to_string()])?;
    let mut apps = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(1)?;
        let id = id
            .parse()
            .map_err(|_| StoreError::damaged(format!("'{id}' is no id")))?;
        if selection.app.is_none_or(|app| app == id) {
            apps.push((row.get(0)?, id));
        }
    }
    Ok(apps)
}

fn session_id(value: ValueRef<'_>) -> Result<Box<str>, StoreError> {
    match value {
        ValueRef::Text(text) => String::from_utf8(text.to_vec())
            .map(String::into_boxed_str)
            .map_err(|_| StoreError::damaged("a session id is not UTF-8")),
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes)
            .map(|uuid| uuid.hyphenated().to_string().into_boxed_str())
            .map_err(|_| StoreError::damaged("a session id is neither a text nor a UUID")),
        _ => Err(StoreError::damaged("a session id is neither a text nor a UUID")),
    }
}

/// Combinations of properties by their ordinals.
struct KnownProperties<'a> {
    transaction: &'a Transaction<'a>,
    /// As they are recorded, and as they were delivered.
    known: HashMap<i64, (String, Properties)>,
}

impl<'a> KnownProperties<'a> {
    fn new(transaction: &'a Transaction<'a>) -> Self {
        Self {
            transaction,
            known: HashMap::new(),
        }
    }

    fn get(&mut self, ordinal: i64) -> Result<&(String, Properties), StoreError> {
        if self.known.len() >= KEPT && !self.known.contains_key(&ordinal) {
            self.known.clear();
        }
        match self.known.entry(ordinal) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let content: Option<String> = self
                    .transaction
                    .prepare_cached("SELECT content FROM properties WHERE ordinal = ?1")?
                    .query_row([ordinal], |row| row.get(0))
                    .optional()?;
                let content =
                    content.ok_or_else(|| StoreError::damaged("a combination of properties is missing"))?;
                let own = Properties::from_stored(&content);
                Ok(place.insert((content, own)))
            }
        }
    }
}
