//! The one writer: a thread that owns the writing connection and runs one job after the other.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::batch::Batch;
use super::catalog::{Published, Snapshot};
use super::condition::Condition;
use super::connection::abandon;
use super::interning::Interned;
use super::journal::Journal;
use super::log::{Commit, Log};
use super::rollups::{self, KeptRollup};
use super::{administration, copying, days, forgetting, people, recording, removing, sealing, watch};
use crate::model::{AppId, Identities, SessionEnd, UserUpdate, WorkspaceId};
use crate::store::recent::Digests;
use crate::store::records::UserRecord;
use crate::store::sealed::SealedDay;
use crate::store::{Recorded, Sealing, StoreError, Updated};

/// What a transaction returns, and its number with what it did to days, if it added sessions.
type Done<T> = (T, Option<(i64, Vec<Commit>)>);

/// Owned by the writer thread, from [`super::SqliteStore::open`] to its close.
pub(super) struct Writer {
    connection: Connection,
    published: Arc<Published>,
    log: Arc<Log>,
    interned: Interned,
    journal: Journal,
    condition: Arc<Condition>,
    /// Set in processes that share the store with a server: lets its writer in between two transactions.
    yields: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        published: Arc<Published>,
        log: Arc<Log>,
        (journal, condition): (Journal, Arc<Condition>),
        digests: Digests,
        yields: bool,
    ) -> Self {
        Self {
            connection,
            journal,
            condition,
            published,
            log,
            interned: Interned::new(digests),
            yields,
        }
    }

    /// Records a batch in one transaction. After an error nothing of it is recorded.
    pub(super) fn record(&mut self, batch: &Batch) -> Result<Vec<Recorded>, StoreError> {
        self.in_turn(|transaction, interned| {
            administration::check_apps(transaction, batch)?;
            let (outcomes, added) = recording::record(transaction, interned, batch)?;
            if added.is_empty() {
                // Ends may have been added; no day has other sessions, so no number is needed.
                return Ok((outcomes, None));
            }
            let after = next_commit(transaction)?;
            let commit = |(of, cells): (_, Vec<_>)| {
                let before = days::add(transaction, of, &cells, after)?;
                Ok(Commit {
                    of,
                    before: Some(before),
                    after,
                    cells: cells.into(),
                })
            };
            let commits = added.into_iter().map(commit).collect::<Result<_, StoreError>>()?;
            Ok((outcomes, Some((after, commits))))
        })
    }

    /// Keeps rollups of days. Nobody waits for them to be on disk: what is lost is built again.
    pub(super) fn keep(&mut self, rollups: &[KeptRollup]) -> Result<(), StoreError> {
        self.check_writing()?;
        let connection = &mut self.connection;
        let mut run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            rollups::keep(&transaction, rollups)?;
            Ok(transaction.commit()?)
        };
        let kept = run();
        self.committed(kept)?;
        self.give_way();
        Ok(())
    }

    /// Extends sessions in one transaction; no count changes.
    pub(super) fn end_sessions(
        &mut self,
        ends: &[SessionEnd],
        apps: &HashMap<AppId, (i64, i64)>,
    ) -> Result<Vec<bool>, StoreError> {
        self.in_turn(|transaction, _| Ok((recording::end(transaction, ends, apps)?, None)))
    }

    /// Changes users' attributes in one transaction. After an error nothing has changed.
    pub(super) fn update_users(
        &mut self,
        workspace: WorkspaceId,
        updates: &[UserUpdate],
    ) -> Result<Vec<Updated>, StoreError> {
        let ordinal = self.published.load().workspace(workspace)?;
        self.change_people(|transaction, interned| {
            administration::check_workspace(transaction, workspace, ordinal)?;
            people::update(transaction, interned, ordinal, updates)
        })
    }

    /// Takes over users of another store in one transaction.
    pub(super) fn adopt_users(&mut self, users: &[UserRecord]) -> Result<(), StoreError> {
        let snapshot = self.published.load_full();
        self.change_people(|transaction, interned| people::adopt(transaction, interned, &snapshot, users))
    }

    /// Forgets users or devices in one transaction, and overwrites what stood for them.
    pub(super) fn forget(&mut self, workspace: WorkspaceId, people: &Identities) -> Result<u64, StoreError> {
        let ordinal = self.published.load().workspace(workspace)?;
        let known = self.securely(|writer| {
            writer.change_people(|transaction, interned| {
                administration::check_workspace(transaction, workspace, ordinal)?;
                forgetting::forget(transaction, interned, ordinal, people)
            })
        })?;
        // The journal has the pages as they were before.
        self.empty_journal();
        Ok(known)
    }

    /// Removes some of the combinations of attributes that no user has.
    pub(super) fn remove_unused_attributes(&mut self) -> Result<(), StoreError> {
        self.change_people(|transaction, interned| {
            interned.forget();
            forgetting::remove_unused_attributes(transaction)
        })
    }

    /// Removes the sessions of some of an app's days; whether there were any.
    pub(super) fn empty_some_days(&mut self, app: i64) -> Result<bool, StoreError> {
        self.securely(|writer| {
            writer.in_turn(|transaction, _| {
                let after = next_commit(transaction)?;
                let emptied = removing::empty_some_days(transaction, app, after)?;
                let commits = emptied.iter().map(|of| Commit {
                    of: *of,
                    before: None,
                    after,
                    cells: Box::default(),
                });
                Ok((!emptied.is_empty(), Some((after, commits.collect()))))
            })
        })
    }

    /// Seals days that have not changed since their rollups were made.
    pub(super) fn seal(&mut self, step: &sealing::Step) -> Result<Sealing, StoreError> {
        self.securely(|writer| writer.in_turn(|transaction, _| Ok((sealing::seal(transaction, step)?, None))))
    }

    /// Takes over sealed days of another store in one transaction.
    pub(super) fn adopt_sealed(&mut self, days: &[SealedDay]) -> Result<(), StoreError> {
        let snapshot = self.published.load_full();
        self.in_turn(|transaction, interned| {
            let after = next_commit(transaction)?;
            let changed = copying::adopt_sealed(transaction, interned, &snapshot, days, after)?;
            let commit = |of| Commit {
                of,
                before: None,
                after,
                cells: Box::default(),
            };
            Ok(((), Some((after, changed.into_iter().map(commit).collect()))))
        })
    }

    /// Does something that overwrites what it removes.
    pub(super) fn securely<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection.pragma_update(None, "secure_delete", true)?;
        let done = work(self);
        self.connection.pragma_update(None, "secure_delete", false)?;
        done
    }

    fn change_people<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>, &mut Interned) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.in_turn(|transaction, interned| {
            let outcomes = change(transaction, interned)?;
            let seq = transaction.query_row(
                "UPDATE meta SET people_seq = people_seq + 1 RETURNING people_seq",
                [],
                |row| row.get(0),
            )?;
            interned.advance(seq);
            Ok((outcomes, None))
        })
    }

    /// Runs a transaction over caches that are as new as the state it sees, and puts what it did to days into the log before
    /// anybody hears of it. When it fails the caches are void: they may hold what was never committed.
    fn in_turn<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Interned) -> Result<Done<T>, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_writing()?;
        let (connection, interned, log) = (&mut self.connection, &mut self.interned, &self.log);
        let mut others_wrote = false;
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (people, newest): (_, i64) = transaction
                .prepare_cached("SELECT people_seq, commit_seq FROM meta")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            others_wrote = newest > log.complete_to();
            interned.refresh(people);
            let (value, commits) = work(&transaction, interned)?;
            let _order = log.in_order();
            transaction.commit()?;
            if let Some((seq, commits)) = commits {
                log.append(seq, commits);
            }
            Ok(value)
        };
        let result = run();
        let result = self.committed(result);
        if others_wrote && result.is_ok() {
            self.look();
        }
        match &result {
            Ok(_) => self.give_way(),
            Err(_) => self.interned.forget(),
        }
        result
    }

    /// What is a duplicate here may have been recorded by another process a moment ago: whoever hears that it is recorded
    /// finds it counted.
    fn look(&self) {
        if let Err(error) = watch::look(&self.connection, &self.published, &self.log) {
            tracing::warn!(%error, "can't look for changes by other processes; it is tried again within a second");
        }
    }

    fn give_way(&self) {
        if self.yields {
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    }

    /// Whether a transaction may begin.
    fn check_writing(&mut self) -> Result<(), StoreError> {
        self.condition.check_writing()?;
        self.journal.check_length(&self.connection)?;
        self.journal.check_room(&self.connection)
    }

    /// What a transaction came to: what went into a file that nobody will find again is not acknowledged.
    fn committed<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let value = self.condition.noting(result)?;
        self.condition.check_files()?;
        self.journal.after_commit(&self.connection);
        Ok(value)
    }

    /// Tries to move the journal where that failed before.
    pub(super) fn retry_journal(&mut self) {
        self.journal.retry(&self.connection);
    }

    /// Leaves one file without a journal behind. Beside a server that is the server's job: waiting for its readers
    /// would only make a command slow.
    pub(super) fn finish(&self) {
        if self.condition.is_only_the_journal_gone() {
            self.empty_journal();
        }
        let is_whole = self.journal.check_length(&self.connection);
        if is_whole.and_then(|()| self.condition.check_writing()).is_err() {
            abandon(&self.connection);
            return;
        }
        if !self.yields {
            self.empty_journal();
        }
    }

    /// Moves the journal into the database and leaves it empty, unless a reader or the disk prevents that.
    pub(super) fn empty_journal(&self) {
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the journal stays behind; it is moved into the database later");
        }
    }

    /// Runs a change in a transaction of its own.
    pub(super) fn transact<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_writing()?;
        let connection = &mut self.connection;
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let changed = run();
        self.committed(changed)
    }

    /// Runs a change of the catalog in a transaction of its own; whether it changed anything. Then the catalog is read again, so
    /// that this process sees it at once.
    pub(super) fn change_catalog(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let is_changed = self.transact(|transaction| {
            let is_changed = change(transaction)?;
            if is_changed {
                transaction.execute("UPDATE meta SET catalog_seq = catalog_seq + 1", [])?;
            }
            Ok(is_changed)
        })?;
        if is_changed {
            self.published.publish(Snapshot::load(&self.connection)?);
        }
        Ok(is_changed)
    }
}

/// The number of the transaction that is under way.
fn next_commit(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let number = transaction
        .prepare_cached("UPDATE meta SET commit_seq = commit_seq + 1 RETURNING commit_seq")?
        .query_row([], |row| row.get(0))?;
    Ok(number)
}
