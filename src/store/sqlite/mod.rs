//! The embedded store: one SQLite file in a directory.
//!
//! `writer` records and changes, on a thread of its own; readers use connections of their own and never wait for it;
//! `watch` notices what other processes changed.
//!
//! `days` are the rows that say how many sessions each day has and which commit changed it last; `log` remembers the commits
//! of late. `counting` answers: from series that are `held` in memory and brought up to date by the log, and where a filter
//! asks for days that are not held from the days' `rollups`, which the `pool` builds. `background` has them built before
//! anybody asks. `filters` says which combinations of properties fulfil a filter.

mod access;
mod administration;
mod background;
mod backup;
mod batch;
mod catalog;
mod condition;
mod connection;
mod copying;
mod counting;
mod days;
mod derived;
mod export;
mod file_identity;
mod filters;
mod forgetting;
mod held;
mod in_range;
mod integrity;
mod interface;
mod interning;
mod journal;
mod log;
mod opening;
mod people;
mod pool;
mod readers;
mod recording;
#[cfg(test)]
mod recording_tests;
mod recovery;
mod removing;
mod resolving;
mod rollups;
mod rows;
mod schema;
mod sealing;
#[cfg(test)]
mod tests;
mod upkeep;
mod verify;
mod watch;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use self::background::Background;
pub use self::backup::{Percent, backup_directory, check_backup, restore};
use self::batch::{Adopted, Batch};
use self::catalog::{Published, Snapshot};
use self::condition::Condition;
use self::counting::{Asked, Counting, Means};
use self::file_identity::FileIdentity;
use self::journal::Journal;
use self::log::Log;
use self::opening::Access;
pub use self::opening::Opening;
use self::readers::Readers;
use self::upkeep::Upkeep;
use self::watch::Watch;
use self::writer::Writer;
use super::recent::Digests;
use super::{Recorded, Role, Scope, StoreError, Whose, now};
use crate::model::{AppId, Session};

/// The database's name in the store's directory.
const FILE: &str = "sessions.sqlite";
/// Held by the process that serves the store.
const LOCK: &str = "serve.lock";
/// Sessions that are prepared for the writer where they come in; more would keep other requests waiting.
const PREPARED_AT_ONCE: usize = 1_000;
/// Jobs that may wait for the writer; callers queue in front of it.
const JOBS: usize = 16;

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The embedded store, open. Owned by whoever opened it; [`Administration::close`](super::Administration::close) ends its threads.
pub struct SqliteStore {
    file: PathBuf,
    published: Arc<Published>,
    counting: Arc<Counting>,
    log: Arc<Log>,
    /// The newest commit when it was opened.
    opened_at: i64,
    readers: Arc<Readers>,
    condition: Arc<Condition>,
    /// Those of the writer, for batches that are prepared for it.
    digests: Digests,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Option<Threads>>,
    /// Held, not read: dropping it lets another server start.
    _lock: Option<File>,
}

struct Threads {
    writer: JoinHandle<()>,
    watch: Watch,
    /// Only in a server: a command counts what it is asked for.
    background: Option<Background>,
    /// Only in a server: a command is over soon.
    upkeep: Option<Upkeep>,
}

/// What tests make smaller.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    limits: log::Limits,
    /// How long a request waits for days to be counted.
    patience: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            limits: log::Limits::default(),
            patience: counting::PATIENCE,
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
struct Manner<'a> {
    role: Role,
    opening: &'a Opening,
    tuning: Tuning,
}

impl SqliteStore {
    /// Opens the store in `directory`, creating or migrating it where needed.
    ///
    /// # Errors
    /// As [`SqliteStore::open_with`].
    pub fn open(directory: &Path, role: Role) -> Result<Self, StoreError> {
        Self::open_with(directory, role, &Opening::default())
    }

    /// The same, as `opening` says. Where the files can only be read, [`Role::Existing`] reads them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another server has it or permission is missing, [`StoreError::NotFound`] if there is
    /// none and the role needs one, [`StoreError::Unusable`] if the file is not ours, too new, or can't be a store any more.
    pub fn open_with(directory: &Path, role: Role, opening: &Opening) -> Result<Self, StoreError> {
        let tuning = Tuning::default();
        Self::open_as(
            directory,
            Manner {
                role,
                opening,
                tuning,
            },
        )
    }

    fn open_as(directory: &Path, manner: Manner<'_>) -> Result<Self, StoreError> {
        let Manner { role, .. } = manner;
        let file = directory.join(FILE);
        let access = opening::look(directory, &file, role)?;
        if role == Role::Existing && access.is_none() {
            return Err(no_store(directory));
        }
        create_directory(directory)?;
        match access {
            Some(access @ (Access::Read | Access::Frozen)) => Self::open_for_reading(file, access, manner),
            Some(Access::Write) | None => Self::open_for_writing(directory, file, manner),
        }
    }

    fn open_for_writing(directory: &Path, file: PathBuf, manner: Manner<'_>) -> Result<Self, StoreError> {
        let Manner { role, opening, .. } = manner;
        let (lock, served) = lock(directory, role)?;
        // A process that has it open has looked.
        let unread = if served {
            None
        } else {
            recovery::examine(&file, Access::Write)?
        };
        schema::create(&file, now())?;
        let mut connection = connection::open_writer(&file)?;
        schema::check(&connection, &file)?;
        connection::prepare_writer(&connection, &file)?;
        schema::prepare(&mut connection, &file, now(), opening.migration_copy)?;
        if let Some(unread) = unread {
            opening::warning(&unread.in_words());
            // What was read is safe in the database then, and what was not is not met again.
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        if role == Role::Server {
            opening::warn_if_open(directory, &file);
        }
        Self::start(file, connection, Access::Write, manner, (lock, served))
    }

    fn open_for_reading(file: PathBuf, access: Access, manner: Manner<'_>) -> Result<Self, StoreError> {
        let connection = connection::open_reader(&file, access)?;
        schema::check_current(&connection, &file).map_err(|error| match access {
            Access::Read => StoreError::Unavailable(format!(
                "{error}. The journal beside it can't be read where nothing can be written: copy the files into a directory \
                 of your own, and name that with --data"
            )),
            _ => error,
        })?;
        // Nothing is written, and so nothing is left to others.
        Self::start(file, connection, access, manner, (None, true))
    }

    fn start(
        file: PathBuf,
        mut connection: rusqlite::Connection,
        access: Access,
        Manner {
            role,
            opening,
            tuning,
        }: Manner<'_>,
        (lock, served): (Option<File>, bool),
    ) -> Result<Self, StoreError> {
        let published = Arc::new(Published::new(Snapshot::load(&connection)?));
        let newest = connection.query_row("SELECT commit_seq FROM meta", [], |row| row.get(0))?;
        let log = Arc::new(Log::new(newest, tuning.limits));
        let condition = Arc::new(Condition::new(FileIdentity::of(&file)));
        let readers = Arc::new(Readers::new(file.clone(), access, condition.clone()));
        let watch = Watch::start(readers.clone(), published.clone(), log.clone());
        let (jobs, queue) = mpsc::channel(JOBS);
        let journal = Journal::attach(&mut connection, condition.clone(), opening.journal_limit)?;
        let keeping = (journal, condition.clone());
        let digests = Digests::default();
        let writer = Writer::new(
            connection,
            published.clone(),
            log.clone(),
            keeping,
            digests.clone(),
            served,
        );
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(writer, queue))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        // Where nothing can be written, no rollup is kept.
        let keeper = match access {
            Access::Write => Some(jobs.downgrade()),
            Access::Read | Access::Frozen => None,
        };
        let is_server = role == Role::Server;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let means = Means {
            patience: tuning.patience,
            memory: opening.memory,
            // A server's recording has the other half.
            threads: if is_server || served { cores / 2 } else { cores },
        };
        let counting = Arc::new(Counting::new(log.clone(), readers.clone(), keeper, means));
        let background = is_server
            .then(|| Background::start(published.clone(), counting.clone(), log.clone(), readers.clone()));
        let upkeep =
            is_server.then(|| Upkeep::start(file.clone(), condition.clone(), jobs.downgrade(), opening));
        Ok(Self {
            file,
            published,
            counting,
            log,
            opened_at: newest,
            readers,
            condition,
            digests,
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(Some(Threads {
                writer,
                watch,
                background,
                upkeep,
            })),
            _lock: lock,
        })
    }

    async fn on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or_else(StoreError::closed)?;
        let job: Job = Box::new(move |writer| {
            // The caller may be gone; what it asked for is done all the same.
            let _ = done.send(job(writer));
        });
        jobs.send(job).await.map_err(|_| StoreError::closed())?;
        drop(jobs);
        result.await.map_err(|_| StoreError::closed())?
    }

    async fn on_reader<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || readers.with(read))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    async fn record_all(
        &self,
        sessions: impl ExactSizeIterator<Item = (Session, Option<Adopted>)> + Send + 'static,
    ) -> Result<Vec<Recorded>, StoreError> {
        let is_long = sessions.len() > PREPARED_AT_ONCE;
        let (snapshot, digests) = (self.published.load_full(), self.digests.clone());
        let prepare = move || Batch::new(sessions, &snapshot.apps, &digests);
        let batch = if is_long {
            let prepared = tokio::task::spawn_blocking(prepare).await;
            prepared.map_err(|error| StoreError::Unavailable(error.to_string()))??
        } else {
            prepare()?
        };
        // The batch comes back to be freed here, not by the writer.
        let recorded = self.on_writer(move |writer| writer.record(&batch).map(|outcomes| (outcomes, batch)));
        recorded.await.map(|(outcomes, _)| outcomes)
    }

    /// Removes the sessions of an app that is deleted next, while others record.
    async fn empty(&self, app: AppId) -> Result<(), StoreError> {
        let Some((app, _)) = self.published.load().apps.get(&app).copied() else {
            return Ok(());
        };
        while self.on_writer(move |writer| writer.empty_some_days(app)).await? {}
        Ok(())
    }

    fn asked(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Asked, StoreError> {
        let snapshot = self.published.load();
        let (workspace, apps) = match scope {
            Scope::Workspace(id) => snapshot.apps_of(id)?,
            Scope::App(id) => match snapshot.apps.get(&id) {
                Some((ordinal, workspace)) => (*workspace, Arc::from([(*ordinal, id)])),
                None => return Err(StoreError::unknown("app", id)),
            },
        };
        let filters = self.counting.filters();
        let filter = match whose {
            Whose::Everyone => None,
            Whose::Segment(id) => {
                let segment = snapshot.filter(id)?;
                Some(filters.get(&segment.json, &segment.filter))
            }
            Whose::Filter(filter) => Some(filters.get(&filter.to_json(), filter)),
        };
        Ok(Asked {
            workspace,
            apps,
            filter,
            edges: edges.into(),
        })
    }
}

fn no_store(directory: &Path) -> StoreError {
    StoreError::NotFound(format!(
        "there is no store in {}; 'sessionmeter serve' makes one, --data names another directory",
        directory.display()
    ))
}

fn create_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // User ids are in there: nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| StoreError::Unavailable(format!("can't create {}: {error}", directory.display())))
}

/// The lock, for a server; and whether another process serves the store.
fn lock(directory: &Path, role: Role) -> Result<(Option<File>, bool), StoreError> {
    let path = directory.join(LOCK);
    let failed =
        |error: std::io::Error| StoreError::Unavailable(format!("can't lock {}: {error}", path.display()));
    let file = opening::lock_file(&path).map_err(failed)?;
    let mut locked = file.try_lock();
    // A command holds the lock for an instant, to see whether there is a server.
    for _ in 0..50 {
        if role != Role::Server || !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        locked = file.try_lock();
    }
    match locked {
        Ok(()) if role == Role::Server => Ok((Some(file), false)),
        Ok(()) => Ok((None, false)),
        Err(TryLockError::WouldBlock) if role == Role::Server => Err(StoreError::Unavailable(format!(
            "another sessionmeter server uses {}; stop it first, or choose another directory with --data",
            directory.display()
        ))),
        Err(TryLockError::WouldBlock) => Ok((None, true)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn run(mut writer: Writer, mut queue: mpsc::Receiver<Job>) {
    while let Some(job) = queue.blocking_recv() {
        job(&mut writer);
    }
    writer.finish();
}

/// The file next to `file` whose name is longer by `suffix`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
