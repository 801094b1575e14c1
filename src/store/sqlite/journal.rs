//! The journal and its way into the database.
//!
//! SQLite can do that by itself after a commit, but then tells nobody when it fails: a database that can't be written any
//! more would show only when the disk is full of journal. So the writer does it, counts what fails and says so, and
//! stops recording from some size on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::condition::Condition;
use super::connection::{BUSY_TIMEOUT, wait_for_others};
use crate::store::StoreError;

/// Bytes before each page in the journal.
const FRAME_HEADER: u64 = 24;
/// Frames after which the journal is moved into the database: rarer cuts write amplification.
const FRAMES: u32 = 8_000;
/// Frames after which it is tried again where readers or a failing disk kept it from being moved whole.
const MORE: u32 = 1_000;
/// How long after a try that did not move everything the next one comes, where recording is refused.
const PAUSE: Duration = Duration::from_secs(1);
/// Where it has grown to so many times the frames of a first try, readers follow each other without a gap, and are waited
/// for, so that it begins anew.
const GROWN: u32 = 2;
/// How long they are waited for, and how long it is left alone where that was not enough.
const WAIT: Duration = Duration::from_millis(100);
const BETWEEN_WAITS: Duration = Duration::from_secs(2);

/// Owned by the writer.
pub(super) struct Journal {
    condition: Arc<Condition>,
    /// Of a page with its header; stores of early versions have other pages.
    frame_bytes: u64,
    /// Frames in the journal as of the last commit; counted by SQLite.
    frames: Arc<AtomicU32>,
    /// What `frames` was before that.
    before: u32,
    /// Frames with which the next try comes.
    next: u32,
    /// Frames after which the first try comes.
    first: u32,
    /// Frames from which on nothing is recorded.
    limit: u32,
    tried: Option<Instant>,
    /// Whether the connection waits for others no longer than [`WAIT`].
    is_hasty: Arc<AtomicBool>,
    /// When readers were waited for in vain.
    waited: Option<Instant>,
}

impl Journal {
    /// From now on the connection's journal is moved by [`Journal::after_commit`].
    pub(super) fn attach(
        connection: &mut Connection,
        condition: Arc<Condition>,
        limit_bytes: u64,
    ) -> Result<Self, StoreError> {
        let frames = Arc::new(AtomicU32::new(0));
        let counted = frames.clone();
        // This takes the place of the hook that would do it silently.
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            counted.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let is_hasty = Arc::new(AtomicBool::new(false));
        let hasty = is_hasty.clone();
        wait_for_others(connection, move || {
            if hasty.load(Ordering::Relaxed) {
                WAIT
            } else {
                BUSY_TIMEOUT
            }
        })?;
        let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let frame_bytes = u64::from(page) + FRAME_HEADER;
        let limit = u32::try_from(limit_bytes / frame_bytes)
            .unwrap_or(u32::MAX)
            .max(2);
        let first = FRAMES.min(limit / 2);
        Ok(Self {
            condition,
            frame_bytes,
            frames,
            before: 0,
            next: first,
            first,
            limit,
            tried: None,
            is_hasty,
            waited: None,
        })
    }

    /// Whether all is there that is to be moved into the database.
    ///
    /// What is missing in the middle would be moved as zeros, over pages that are whole.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if somebody has cut the journal.
    pub(super) fn check_length(&self, connection: &Connection) -> Result<(), StoreError> {
        let expected = u64::from(self.frames()) * self.frame_bytes;
        let is_whole = || {
            let length = self.condition.length_of_journal();
            length.is_none_or(|length| length >= expected)
        };
        if is_whole() {
            return Ok(());
        }
        // Another process may have moved all of it and begun it anew, which SQLite knows. If not, there is nothing to be
        // read where a frame should be.
        let moved = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
        let frames = match moved {
            Ok((frames, _)) => u64::try_from(frames).unwrap_or_default(),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                return Ok(());
            }
            Err(_) => u64::MAX,
        };
        let length = self.condition.length_of_journal().unwrap_or(u64::MAX);
        if frames.saturating_mul(self.frame_bytes) <= length {
            self.frames
                .store(u32::try_from(frames).unwrap_or(u32::MAX), Ordering::Relaxed);
            return Ok(());
        }
        let damage = "the journal was cut while it was open: what was recorded last is gone";
        self.condition.note_damage(damage);
        Err(StoreError::Unusable(damage.into()))
    }

    fn frames(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether one more transaction may be written into it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it has grown too large and can't be moved right now.
    pub(super) fn check_room(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.frames() < self.limit {
            return Ok(());
        }
        let is_worth_a_try = self.must_wait() || self.tried.is_none_or(|tried| tried.elapsed() >= PAUSE);
        if is_worth_a_try && self.move_into(connection) {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "the journal has grown to {} MB and can't be moved into the database: the disk fails, or another process has \
             been reading the store for long",
            u64::from(self.frames()) * self.frame_bytes / 1_000_000
        )))
    }

    /// Moves the journal into the database once it is large enough.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let frames = self.frames();
        if frames < self.before {
            // It began anew.
            self.next = self.first;
        }
        self.before = frames;
        self.condition
            .set_journal_bytes(u64::from(frames) * self.frame_bytes);
        if frames >= self.next {
            self.move_into(connection);
        }
    }

    /// Tries once more what failed; for a server in which nobody records.
    pub(super) fn retry(&mut self, connection: &Connection) {
        if self.condition.is_stuck() || self.frames() >= self.limit {
            self.move_into(connection);
        }
    }

    fn must_wait(&self) -> bool {
        self.frames() >= self.first.saturating_mul(GROWN)
            && self.waited.is_none_or(|waited| waited.elapsed() >= BETWEEN_WAITS)
    }

    /// Waits for readers of the journal, if that does not take long. Those that begin meanwhile read the database, so a
    /// stream of short ones, such as `verify` or an export, does not keep it.
    fn move_and_begin_anew(&mut self, connection: &Connection) -> rusqlite::Result<(i32, i32)> {
        self.is_hasty.store(true, Ordering::Relaxed);
        let moved = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        self.is_hasty.store(false, Ordering::Relaxed);
        self.waited = moved.is_err().then(Instant::now);
        moved
    }

    /// Moves what no reader needs any more; whether that was everything. Nobody waits for it but the next commit.
    fn move_into(&mut self, connection: &Connection) -> bool {
        self.next = self.frames().saturating_add(MORE);
        let moved = if self.must_wait() {
            self.move_and_begin_anew(connection)
        } else {
            connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)
        };
        let whole = match moved {
            Ok((frames, moved)) => {
                self.condition.note_moved();
                frames == moved
            }
            Err(error) => {
                let busy = rusqlite::ErrorCode::DatabaseBusy;
                if error.sqlite_error_code() != Some(busy) {
                    self.condition
                        .note_stuck(format!("the database can't be written: {error}"));
                }
                false
            }
        };
        self.tried = (!whole).then(Instant::now);
        if whole {
            // The next commit begins it anew, or says how large it is if a reader prevents that.
            self.frames.store(0, Ordering::Relaxed);
            self.condition.set_journal_bytes(0);
        }
        whole
    }
}
