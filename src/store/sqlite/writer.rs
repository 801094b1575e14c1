//! The one writer: a thread that owns the writing connection and runs one job after the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::catalog::Snapshot;
use super::counters::{Counters, Delta, QUARTER};
use super::interning::{IdentityKind, Interned, Interner};
use crate::model::{AppId, Session};
use crate::store::{Recorded, StoreError};

/// Owned by the writer thread, from [`super::SqliteStore::open`] to its close.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    counters: Arc<Counters>,
    interned: Interned,
    /// Set in processes that share the store with a server: lets its writer in between two transactions.
    yields: bool,
}

/// A session id as the store keeps it. Ordered as SQLite orders it: texts before blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StoredSessionId<'a> {
    Text(&'a str),
    Uuid([u8; 16]),
}

impl<'a> From<&'a str> for StoredSessionId<'a> {
    fn from(text: &'a str) -> Self {
        let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse(text) {
            Ok(uuid) if canonical => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(text),
        }
    }
}

impl rusqlite::ToSql for StoredSessionId<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Uuid(bytes) => Ok(rusqlite::types::ToSqlOutput::from(bytes.as_slice())),
        }
    }
}

/// Sessions with the order in which they are inserted. Made by whoever hands them over, so that the writer, which
/// everyone waits for, does nothing but write.
pub(super) struct Batch {
    sessions: Vec<Session>,
    places: Vec<Place>,
}

/// Ordinals of a session's app and workspace, and its index in the batch.
struct Place {
    app: i64,
    workspace: i64,
    index: usize,
}

impl Batch {
    /// Sorts by key: neighbours share pages, which is what keeps large stores fast. Equal keys keep the order in
    /// which they were delivered.
    pub(super) fn new(sessions: Vec<Session>, apps: &HashMap<AppId, (i64, i64)>) -> Result<Self, StoreError> {
        let mut keys = sessions
            .iter()
            .enumerate()
            .map(|(index, session)| {
                let (app, workspace) = apps
                    .get(&session.app())
                    .ok_or_else(|| StoreError::NotFound(format!("unknown app {}", session.app())))?;
                let id = StoredSessionId::from(session.session_id());
                Ok((*app, session.utc_day(), id, index, *workspace))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        keys.sort_unstable();
        let place = |(app, _, _, index, workspace)| Place {
            app,
            workspace,
            index,
        };
        let places = keys.into_iter().map(place).collect();
        Ok(Self { sessions, places })
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        snapshot: Arc<ArcSwap<Snapshot>>,
        counters: Arc<Counters>,
        yields: bool,
    ) -> Self {
        Self {
            connection,
            snapshot,
            counters,
            interned: Interned::default(),
            yields,
        }
    }

    /// Records a batch in one transaction. After an error nothing of it is recorded.
    pub(super) fn record(&mut self, batch: &Batch) -> Result<Vec<Recorded>, StoreError> {
        let result = self.record_in_transaction(batch);
        if result.is_err() {
            self.interned.forget();
        } else if self.yields {
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        result
    }

    fn record_in_transaction(&mut self, batch: &Batch) -> Result<Vec<Recorded>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes = vec![Recorded::Duplicate; batch.sessions.len()];
        let mut deltas = BTreeMap::<(i64, i64, i64), u32>::new();
        insert(&transaction, &mut self.interned, batch, |place, session| {
            if let Some(outcome) = outcomes.get_mut(place.index) {
                *outcome = Recorded::New;
            }
            let quarter = session.started_at().div_euclid(QUARTER * 1000);
            *deltas.entry((place.workspace, place.app, quarter)).or_default() += 1;
        })?;
        if deltas.is_empty() {
            // Ends may have been added; no counter changed, so no number is needed.
            transaction.commit()?;
            return Ok(outcomes);
        }
        let deltas: Vec<Delta> = deltas
            .into_iter()
            .map(|((workspace, app, quarter), sessions)| Delta {
                workspace,
                app,
                quarter,
                sessions,
            })
            .collect();
        let seq = add_to_counters(&transaction, &deltas)?;
        transaction.commit()?;
        self.counters.apply(seq, &deltas);
        Ok(outcomes)
    }

    /// Leaves one file without a journal behind. Beside a server that is the server's job: waiting for its readers
    /// would only make a command slow.
    pub(super) fn finish(&self) {
        if !self.yields
            && let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the journal stays behind; the next start reads it");
        }
    }

    /// Runs a change of the catalog in a transaction of its own and reloads the catalog, so that this
    /// process sees it at once.
    pub(super) fn change_catalog<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.execute("UPDATE meta SET catalog_seq = catalog_seq + 1", [])?;
        transaction.commit()?;
        self.snapshot.store(Arc::new(Snapshot::load(&self.connection)?));
        Ok(value)
    }
}

fn insert(
    transaction: &Transaction<'_>,
    interned: &mut Interned,
    batch: &Batch,
    mut on_new: impl FnMut(&Place, &Session),
) -> Result<(), StoreError> {
    let mut interner = Interner::new(transaction, interned)?;
    let mut record = transaction.prepare_cached(include_str!("sql/record_session.sql"))?;
    let mut extend = transaction.prepare_cached(include_str!("sql/extend_session.sql"))?;
    for place in &batch.places {
        let Some(session) = batch.sessions.get(place.index) else {
            continue;
        };
        let Place { app, workspace, .. } = place;
        let user = session
            .user_id()
            .map(|id| interner.identity(*workspace, IdentityKind::User, id))
            .transpose()?;
        let device = session
            .device_id()
            .map(|id| interner.identity(*workspace, IdentityKind::Device, id))
            .transpose()?;
        let properties = interner.properties(session.properties().as_str())?;
        let session_id = StoredSessionId::from(session.session_id());
        let (day, start) = (session.utc_day(), session.millis_of_day());
        let inserted = record.execute(params![
            app,
            day,
            session_id,
            start,
            session.duration(),
            user,
            device,
            properties
        ])?;
        if inserted == 1 {
            on_new(place, session);
        } else if let Some(duration) = session.duration() {
            extend.execute(params![app, day, session_id, start + i64::from(duration)])?;
        }
    }
    Ok(())
}

/// Writes the counters and takes the next commit number.
fn add_to_counters(transaction: &Transaction<'_>, deltas: &[Delta]) -> Result<i64, StoreError> {
    let mut add = transaction.prepare_cached(include_str!("sql/add_to_counter.sql"))?;
    for delta in deltas {
        add.execute(params![delta.app, delta.quarter, delta.sessions])?;
    }
    let seq = transaction
        .prepare_cached("UPDATE meta SET commit_seq = commit_seq + 1 RETURNING commit_seq")?
        .query_row([], |row| row.get(0))?;
    Ok(seq)
}
