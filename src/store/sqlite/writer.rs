//! The one writer: a thread that owns the writing connection and runs one job after the other.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::batch::Batch;
use super::catalog::Published;
use super::cells;
use super::counters::Counters;
use super::interning::Interned;
use super::past::{self, Step};
use super::tagging::Tagging;
use super::{people, recording};
use crate::model::{AppId, SessionEnd, UserUpdate, WorkspaceId};
use crate::store::records::UserRecord;
use crate::store::{Recorded, StoreError, Updated};

/// Owned by the writer thread, from [`super::SqliteStore::open`] to its close.
pub(super) struct Writer {
    connection: Connection,
    published: Arc<Published>,
    counters: Arc<Counters>,
    interned: Interned,
    tagging: Tagging,
    /// Set in processes that share the store with a server: lets its writer in between two transactions.
    yields: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        published: Arc<Published>,
        counters: Arc<Counters>,
        yields: bool,
    ) -> Self {
        Self {
            connection,
            published,
            counters,
            interned: Interned::default(),
            tagging: Tagging::default(),
            yields,
        }
    }

    /// Records a batch in one transaction. After an error nothing of it is recorded.
    pub(super) fn record(&mut self, batch: &Batch) -> Result<Vec<Recorded>, StoreError> {
        let (outcomes, commit) = self.in_turn(|transaction, interned, tagging| {
            let (outcomes, deltas) = recording::record(transaction, interned, tagging, batch)?;
            if deltas.is_empty() {
                // Ends may have been added; no counter changed, so no number is needed.
                return Ok((outcomes, None));
            }
            cells::add(transaction, &deltas, |series| tagging.is_live(series))?;
            let seq: i64 = transaction
                .prepare_cached("UPDATE meta SET commit_seq = commit_seq + 1 RETURNING commit_seq")?
                .query_row([], |row| row.get(0))?;
            Ok((outcomes, Some((seq, deltas))))
        })?;
        if let Some((seq, deltas)) = commit {
            self.counters.apply(seq, &deltas);
        }
        Ok(outcomes)
    }

    /// Extends sessions in one transaction; no counter changes.
    pub(super) fn end_sessions(
        &mut self,
        ends: &[SessionEnd],
        apps: &HashMap<AppId, (i64, i64)>,
    ) -> Result<Vec<bool>, StoreError> {
        self.in_turn(|transaction, _, _| recording::end(transaction, ends, apps))
    }

    /// Changes users' attributes in one transaction. After an error nothing has changed.
    pub(super) fn update_users(
        &mut self,
        workspace: WorkspaceId,
        updates: &[UserUpdate],
    ) -> Result<Vec<Updated>, StoreError> {
        let workspace = self.published.load().workspace(workspace)?;
        self.change_people(|transaction, interned| people::update(transaction, interned, workspace, updates))
    }

    /// Takes over users of another store in one transaction.
    pub(super) fn adopt_users(&mut self, users: &[UserRecord]) -> Result<(), StoreError> {
        let snapshot = self.published.load_full();
        self.change_people(|transaction, interned| people::adopt(transaction, interned, &snapshot, users))
    }

    fn change_people<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, &mut Interned) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_turn(|transaction, interned, _| {
            let outcomes = change(transaction, interned)?;
            let seq = transaction.query_row(
                "UPDATE meta SET people_seq = people_seq + 1 RETURNING people_seq",
                [],
                |row| row.get(0),
            )?;
            interned.advance(seq);
            Ok(outcomes)
        })
    }

    /// Takes one step in counting the past.
    pub(super) fn count_some(&mut self) -> Result<Step, StoreError> {
        let step = self.in_turn(|transaction, _, tagging| {
            let step = past::step(transaction, tagging)?;
            match step {
                Step::Idle | Step::More => {}
                Step::Begun => {
                    transaction.execute("UPDATE meta SET segments_seq = segments_seq + 1", [])?;
                }
                Step::Ended => {
                    let bump =
                        "UPDATE meta SET segments_seq = segments_seq + 1, catalog_seq = catalog_seq + 1";
                    transaction.execute(bump, [])?;
                }
            }
            Ok(step)
        })?;
        if step == Step::Ended {
            self.publish()?;
        }
        Ok(step)
    }

    /// Runs a transaction that records or counts, over caches that are as new as the state it sees. When it fails they
    /// are void: they may hold what was never committed.
    fn in_turn<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Interned, &mut Tagging) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (connection, interned, tagging) = (&mut self.connection, &mut self.interned, &mut self.tagging);
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (segments, people) = transaction
                .prepare_cached("SELECT segments_seq, people_seq FROM meta")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            tagging.refresh(&transaction, segments)?;
            interned.refresh(people);
            let value = work(&transaction, interned, tagging)?;
            transaction.commit()?;
            Ok(value)
        };
        let result = run();
        if result.is_err() {
            self.interned.forget();
            self.tagging.forget();
        } else if self.yields {
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        result
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
        self.publish()?;
        Ok(value)
    }

    fn publish(&self) -> Result<(), StoreError> {
        self.published.reload(&self.connection, &self.counters)
    }
}
