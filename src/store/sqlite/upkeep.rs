//! The thread that looks after a served store: are the files still there, can the journal be moved, is what is stored whole?

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc as jobs;

use super::Job;
use super::condition::Condition;
use super::connection::open_reader;
use super::forgetting;
use super::integrity::Integrity;
use super::opening::{Access, Opening};
use crate::store::StoreError;

/// How soon it is noticed that a file was replaced.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked for what nobody needs any more.
const TIDY: Duration = Duration::from_secs(3_600);
/// The longest that a check may hold a state of the store, which keeps the journal from being moved.
const LONGEST: Duration = Duration::from_secs(5);
/// Instructions of SQLite between two looks at the clock: about a millisecond.
const INSTRUCTIONS: i32 = 50_000;

/// The thread. Owned by the store, which stops it when it closes.
pub(super) struct Upkeep {
    stop: Sender<()>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(super) fn start(
        file: PathBuf,
        condition: Arc<Condition>,
        writer: jobs::WeakSender<Job>,
        opening: &Opening,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            file: file.clone(),
            tidied: None,
            condition,
            writer,
            journal_limit: opening.journal_limit,
            said: false,
        };
        let pause =
            (opening.checks_per_minute > 0).then(|| Duration::from_secs(60) / opening.checks_per_minute);
        let checks = pause.map(|pause| Checks::new(file, pause, stopping.clone()));
        let thread = std::thread::Builder::new()
            .name("store-upkeep".into())
            .spawn(move || run(keeper, checks, &stopped));
        let thread = thread
            .inspect_err(|error| tracing::error!(%error, "can't look after the store"))
            .ok();
        Self {
            stop,
            stopping,
            thread,
        }
    }

    /// Ends at once, in the middle of a check.
    pub(super) fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(self.stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

fn run(mut keeper: Keeper, mut checks: Option<Checks>, stopped: &Receiver<()>) {
    let mut looked = Instant::now();
    loop {
        let due = checks.as_ref().map_or(INTERVAL, |checks| checks.due());
        if stopped.recv_timeout(due.min(INTERVAL)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        if looked.elapsed() >= INTERVAL {
            keeper.look();
            looked = Instant::now();
        }
        if let Some(checks) = &mut checks {
            checks.step(&keeper.condition);
        }
    }
}

struct Keeper {
    file: PathBuf,
    /// When nothing was left to be tidied.
    tidied: Option<Instant>,
    condition: Arc<Condition>,
    writer: jobs::WeakSender<Job>,
    journal_limit: u64,
    /// Whether it was said that the files are not those that were opened.
    said: bool,
}

impl Keeper {
    fn look(&mut self) {
        match self.condition.check_files() {
            Ok(()) => self.said = false,
            Err(error) => {
                if !self.said {
                    tracing::error!(%error, "nothing can be recorded");
                }
                self.said = true;
            }
        }
        let grown = self.condition.usage().journal_bytes >= self.journal_limit;
        if (self.condition.is_stuck() || grown)
            && let Some(writer) = self.writer.upgrade()
        {
            // If the queue is full, somebody records, and that tries as well.
            let _ = writer.try_send(Box::new(|writer| writer.retry_journal()));
        }
        if self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY)
            && let Err(error) = self.tidy()
        {
            tracing::warn!(%error, "what nobody needs could not be removed; it is tried again in an hour");
            self.tidied = Some(Instant::now());
        }
    }

    /// Has combinations of attributes removed that no user has any more, some at a time.
    fn tidy(&mut self) -> Result<(), StoreError> {
        let connection = open_reader(&self.file, Access::Write)?;
        match (
            forgetting::has_unused_attributes(&connection)?,
            self.writer.upgrade(),
        ) {
            (true, Some(writer)) => {
                // If the queue is full, the next look tries again.
                let _ = writer.try_send(Box::new(|writer| {
                    if let Err(error) = writer.remove_unused_attributes() {
                        tracing::warn!(%error, "combinations of attributes could not be removed");
                    }
                }));
            }
            _ => self.tidied = Some(Instant::now()),
        }
        Ok(())
    }
}

/// The check of the store and when it goes on.
struct Checks {
    file: PathBuf,
    pause: Duration,
    last: Instant,
    integrity: Integrity,
    connection: Option<Connection>,
    until: Arc<Mutex<Instant>>,
    stopping: Arc<AtomicBool>,
}

impl Checks {
    fn new(file: PathBuf, pause: Duration, stopping: Arc<AtomicBool>) -> Self {
        Self {
            file,
            pause,
            last: Instant::now(),
            integrity: Integrity::new(),
            connection: None,
            until: Arc::new(Mutex::new(Instant::now())),
            stopping,
        }
    }

    fn due(&self) -> Duration {
        self.pause.saturating_sub(self.last.elapsed())
    }

    fn step(&mut self, condition: &Condition) {
        if self.due() > Duration::ZERO {
            return;
        }
        if let Err(error) = self.check(condition)
            && !self.stopping.load(Ordering::Relaxed)
        {
            tracing::warn!(%error, "the store could not be checked right now");
            self.connection = None;
        }
        self.last = Instant::now();
    }

    fn check(&mut self, condition: &Condition) -> Result<(), StoreError> {
        condition.check_files()?;
        let connection = match &self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.open()?),
        };
        *self.until.lock() = Instant::now() + LONGEST;
        self.integrity.step(connection, condition)
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let mut connection = open_reader(&self.file, Access::Write)?;
        let (until, stopping) = (self.until.clone(), self.stopping.clone());
        let is_over = move || stopping.load(Ordering::Relaxed) || Instant::now() > *until.lock();
        connection.progress_handler(INSTRUCTIONS, Some(is_over))?;
        Ok(connection)
    }
}
