//! What is known to be wrong with the store while it is open, for everyone who would go on as if nothing were.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::file_identity::FileIdentity;
use crate::store::{StoreError, Usage};

/// One a process and store, shared by all its threads.
#[derive(Debug)]
pub(super) struct Condition {
    files: FileIdentity,
    /// The first damage that was met. It stays until the process ends: a file that was damaged once is not trusted.
    damage: Mutex<Option<String>>,
    /// Why the journal can't be moved into the database.
    stuck: Mutex<Option<String>>,
    findings: AtomicU64,
    checks: AtomicU64,
    checkpoint_failures: AtomicU64,
    journal_bytes: AtomicU64,
}

impl Condition {
    pub(super) fn new(files: FileIdentity) -> Self {
        Self {
            files,
            damage: Mutex::default(),
            stuck: Mutex::default(),
            findings: AtomicU64::default(),
            checks: AtomicU64::default(),
            checkpoint_failures: AtomicU64::default(),
            journal_bytes: AtomicU64::default(),
        }
    }

    /// Whether something may be written, and what was written may be acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the files are not those that were opened, or damaged.
    pub(super) fn check_writing(&self) -> Result<(), StoreError> {
        self.files.check()?;
        match &*self.damage.lock() {
            Some(damage) => Err(StoreError::Unusable(damage.clone())),
            None => Ok(()),
        }
    }

    /// Whether the files are those that were opened.
    pub(super) fn check_files(&self) -> Result<(), StoreError> {
        self.files.check()
    }

    /// How long the journal is, where that can be told.
    pub(super) fn length_of_journal(&self) -> Option<u64> {
        self.files.journal_bytes()
    }

    /// Whether what is in the journal can be moved into the database although its file has lost its name.
    pub(super) fn is_only_the_journal_gone(&self) -> bool {
        self.files.is_only_the_journal_gone() && self.damage.lock().is_none()
    }

    /// Whether everything is as it should be.
    ///
    /// # Errors
    /// As [`Condition::check_writing`], and [`StoreError::Unavailable`] while the journal can't be moved into the database.
    pub(super) fn check_all(&self) -> Result<(), StoreError> {
        self.check_writing()?;
        match &*self.stuck.lock() {
            Some(reason) => Err(StoreError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }

    /// Passes a result on, and remembers the damage if that is why it failed.
    pub(super) fn noting<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unusable(damage)) = &result
            && self.files.check().is_ok()
        {
            self.note_damage(damage);
        }
        result
    }

    /// From now on nothing is recorded.
    pub(super) fn note_damage(&self, damage: &str) {
        let mut known = self.damage.lock();
        if known.is_none() {
            *known = Some(damage.to_owned());
            self.findings.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                damage,
                "the store is damaged; nothing is recorded any more. Stop the server, keep a copy of its directory, look at \
                 what 'sessionmeter verify' says and restore the last backup that verifies"
            );
        }
    }

    /// Something derived is not what the sessions say. They are the truth, so recording goes on.
    pub(super) fn note_finding(&self, finding: &str) {
        self.findings.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            finding,
            "the background check found something wrong; run 'sessionmeter verify'"
        );
    }

    pub(super) fn note_check(&self) {
        self.checks.fetch_add(1, Ordering::Relaxed);
    }

    /// The journal can't be moved into the database; said when the reason is a new one.
    pub(super) fn note_stuck(&self, reason: String) {
        self.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
        let mut known = self.stuck.lock();
        if known.as_ref() != Some(&reason) {
            tracing::error!(
                reason,
                "the journal can't be moved into the database; what is recorded is safe in the journal, which grows"
            );
            *known = Some(reason);
        }
    }

    pub(super) fn note_moved(&self) {
        if self.stuck.lock().take().is_some() {
            tracing::info!("the journal could be moved into the database again");
        }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.lock().is_some()
    }

    pub(super) fn set_journal_bytes(&self, bytes: u64) {
        self.journal_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What is measured, but for the size.
    pub(super) fn usage(&self) -> Usage {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Usage {
            bytes: 0,
            journal_bytes: load(&self.journal_bytes),
            checkpoint_failures: load(&self.checkpoint_failures),
            checks: load(&self.checks),
            findings: load(&self.findings),
            being_counted: 0,
        }
    }
}
