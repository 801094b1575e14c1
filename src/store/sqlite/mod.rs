//! The embedded store: one SQLite file in a directory.
//!
//! `writer` records and changes, on a thread of its own; readers use connections of their own and never wait for it;
//! `counters` answers from memory; `watch` notices what other processes changed. Segments: `tagging` says which ones a
//! new session counts for, `past` counts what was recorded before, and `background` does that beside a server's work.

mod background;
mod backup;
mod batch;
mod catalog;
mod cells;
mod connection;
mod copying;
mod counters;
mod export;
mod interning;
mod past;
mod people;
mod readers;

mod recording;
mod schema;
mod segments;
mod tagging;
mod verify;
mod watch;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use self::background::Background;
use self::batch::Batch;
use self::catalog::{Published, Snapshot};
use self::counters::{Counters, Owner, Series, SeriesKey};
use self::past::Step;
use self::readers::Readers;
use self::watch::Watch;
use self::writer::Writer;
use super::records::{Records, SessionRecord, UserRecord};
use super::{
    Catalog, Counting, RateLimitChange, Recorded, Role, Scope, Selection, Store, StoreError, Updated, Usage,
    Verification,
};
use crate::model::{
    App, KeyId, Millis, NewApp, NewKey, NewSegment, NewWorkspace, SegmentChange, SegmentId, Session,
    SessionEnd, UserUpdate, Workspace, WorkspaceId,
};

pub use self::backup::{check_backup, restore};

/// The database's name in the store's directory.
const FILE: &str = "sessions.sqlite";
/// Held by the process that serves the store.
const LOCK: &str = "serve.lock";
/// Jobs that may wait for the writer; callers queue in front of it.
const JOBS: usize = 16;

type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The embedded store, open. Owned by whoever opened it; [`Store::close`] ends its threads.
pub struct SqliteStore {
    file: PathBuf,
    published: Arc<Published>,
    counters: Arc<Counters>,
    readers: Arc<Readers>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Option<Threads>>,
    /// Held, not read: dropping it lets another server start.
    _lock: Option<File>,
}

struct Threads {
    writer: JoinHandle<()>,
    watch: Watch,
    /// Only in a server: a command counts when it is asked to.
    background: Option<Background>,
}

impl SqliteStore {
    /// Opens the store in `directory`, creating or migrating it where needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another server has it, [`StoreError::NotFound`] if there is none and the
    /// role needs one, [`StoreError::Unusable`] if the file is not ours or too new.
    pub fn open(directory: &Path, role: Role) -> Result<Self, StoreError> {
        let file = directory.join(FILE);
        if role == Role::Existing && !file.exists() {
            return Err(StoreError::NotFound(format!(
                "there is no store in {}; 'sessionmeter serve' makes one, --data names another directory",
                directory.display()
            )));
        }
        create_directory(directory)?;
        let (lock, served) = lock(directory, role)?;
        let mut connection = connection::open_writer(&file)?;
        schema::check(&connection, &file)?;
        connection::prepare_writer(&connection, &file)?;
        schema::prepare(&mut connection, &file, now())?;
        let published = Arc::new(Published::new(Snapshot::load(&connection)?));
        let counters = Arc::new(Counters::default());
        let readers = Arc::new(Readers::new(file.clone()));
        let watch = Watch::start(readers.clone(), published.clone(), counters.clone());
        let (jobs, queue) = mpsc::channel(JOBS);
        let writer = Writer::new(connection, published.clone(), counters.clone(), served);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(writer, queue))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let background =
            (role == Role::Server).then(|| Background::start(published.clone(), jobs.downgrade()));
        Ok(Self {
            file,
            published,
            counters,
            readers,
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(Some(Threads {
                writer,
                watch,
                background,
            })),
            _lock: lock,
        })
    }

    async fn on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".into());
        let (done, result) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or_else(closed)?;
        let job: Job = Box::new(move |writer| {
            // The caller may be gone; what it asked for is done all the same.
            let _ = done.send(job(writer));
        });
        jobs.send(job).await.map_err(|_| closed())?;
        drop(jobs);
        result.await.map_err(|_| closed())?
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.on_writer(move |writer| writer.change_catalog(change)).await
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

    /// A change after which a segment's past may have to be counted.
    async fn change_segments(
        &self,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.change(change).await?;
        let threads = self.threads.lock();
        if let Some(background) = threads.as_ref().and_then(|threads| threads.background.as_ref()) {
            background.nudge();
        }
        Ok(())
    }

    async fn record_all(
        &self,
        sessions: impl IntoIterator<Item = (Session, Option<String>)>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let batch = Batch::new(sessions, &self.published.load().apps)?;
        // The batch comes back to be freed here, not by the writer.
        let recorded = self.on_writer(move |writer| writer.record(&batch).map(|outcomes| (outcomes, batch)));
        recorded.await.map(|(outcomes, _)| outcomes)
    }

    fn series_key(&self, scope: Scope, segment: Option<SegmentId>) -> Result<SeriesKey, StoreError> {
        let snapshot = self.published.load();
        let owner = match scope {
            Scope::Workspace(id) => Owner::Workspace(snapshot.workspace(id)?),
            Scope::App(id) => match snapshot.apps.get(&id) {
                Some((ordinal, _)) => Owner::App(*ordinal),
                None => return Err(StoreError::unknown("app", id)),
            },
        };
        Ok((owner, segment.map(|id| snapshot.series(id)).transpose()?))
    }
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
    let file = File::create(&path).map_err(failed)?;
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

fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

#[async_trait]
impl Store for SqliteStore {
    fn catalog(&self) -> Arc<Catalog> {
        self.published.load().catalog.clone()
    }

    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        self.change(move |transaction| catalog::create_workspace(transaction, &new, now()))
            .await
    }

    async fn set_time_zone(&self, workspace: WorkspaceId, time_zone: String) -> Result<(), StoreError> {
        self.change(move |transaction| catalog::set_time_zone(transaction, workspace, &time_zone))
            .await
    }

    async fn set_rate_limits(
        &self,
        workspace: WorkspaceId,
        change: RateLimitChange,
    ) -> Result<(), StoreError> {
        self.change(move |transaction| catalog::set_rate_limits(transaction, workspace, change))
            .await
    }

    async fn create_app(&self, workspace: WorkspaceId, new: NewApp) -> Result<App, StoreError> {
        self.change(move |transaction| {
            catalog::create_app(transaction, workspace, &new, now())?;
            Ok(new)
        })
        .await
    }

    async fn create_key(&self, workspace: WorkspaceId, new: NewKey) -> Result<(), StoreError> {
        self.change(move |transaction| catalog::create_key(transaction, workspace, &new, now()))
            .await
    }

    async fn revoke_key(&self, key: KeyId) -> Result<(), StoreError> {
        self.change(move |transaction| catalog::revoke_key(transaction, key, now()))
            .await
    }

    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError> {
        self.change(move |transaction| catalog::note_key_use(transaction, &uses))
            .await
    }

    async fn set_segment_limit(&self, workspace: WorkspaceId, limit: u32) -> Result<(), StoreError> {
        self.change(move |transaction| segments::set_limit(transaction, workspace, limit))
            .await
    }

    async fn create_segment(&self, workspace: WorkspaceId, new: NewSegment) -> Result<(), StoreError> {
        self.change_segments(move |transaction| segments::create(transaction, workspace, &new, now()))
            .await
    }

    async fn change_segment(&self, segment: SegmentId, change: SegmentChange) -> Result<(), StoreError> {
        self.change_segments(move |transaction| segments::change(transaction, segment, &change, now()))
            .await
    }

    async fn delete_segment(&self, segment: SegmentId) -> Result<(), StoreError> {
        self.change_segments(move |transaction| segments::delete(transaction, segment))
            .await
    }

    async fn counting(&self, segment: Option<SegmentId>) -> Result<Counting, StoreError> {
        self.on_reader(move |connection| segments::counting(connection, segment))
            .await
    }

    async fn count_some(&self) -> Result<bool, StoreError> {
        let step = self.on_writer(Writer::count_some).await?;
        Ok(step != Step::Idle)
    }

    async fn update_users(
        &self,
        workspace: WorkspaceId,
        updates: Vec<UserUpdate>,
    ) -> Result<Vec<Updated>, StoreError> {
        self.on_writer(move |writer| writer.update_users(workspace, &updates))
            .await
    }

    async fn record(&self, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
        self.record_all(sessions.into_iter().map(|session| (session, None)))
            .await
    }

    async fn end_sessions(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, StoreError> {
        let snapshot = self.published.load_full();
        self.on_writer(move |writer| writer.end_sessions(&ends, &snapshot.apps))
            .await
    }

    async fn count(
        &self,
        scope: Scope,
        segment: Option<SegmentId>,
        edges: &[i64],
    ) -> Result<Vec<u64>, StoreError> {
        let key = self.series_key(scope, segment)?;
        if let Some(counts) = self.counters.count(key, edges) {
            return Ok(counts);
        }
        let (seq, series) = self
            .on_reader(move |connection| load_series(connection, key))
            .await?;
        let counts = series.count(edges);
        self.counters.keep(key, seq, series);
        Ok(counts)
    }

    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError> {
        self.on_reader(move |connection| {
            export::export(connection, &selection, &batches, |session, _| session)
        })
        .await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.on_reader(|connection| {
            connection.query_row("SELECT commit_seq FROM meta", [], |_| Ok(()))?;
            Ok(())
        })
        .await
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let bytes = ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| std::fs::metadata(beside(&self.file, suffix)).ok())
            .map(|metadata| metadata.len())
            .sum();
        Ok(Usage { bytes })
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.on_reader(verify::verify).await
    }

    async fn backup(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_owned();
        self.on_reader(move |connection| backup::backup(connection, &file))
            .await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        self.on_reader(copying::records).await
    }

    async fn dump_users(&self, batches: mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
        self.on_reader(move |connection| copying::users(connection, &batches))
            .await
    }

    async fn dump_sessions(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<SessionRecord>>,
    ) -> Result<(), StoreError> {
        let item = |session, recorded: &str| SessionRecord {
            session,
            recorded: recorded.to_owned(),
        };
        self.on_reader(move |connection| export::export(connection, &selection, &batches, item))
            .await
    }

    async fn adopt(&self, records: Records) -> Result<(), StoreError> {
        self.change_segments(move |transaction| copying::adopt(transaction, &records))
            .await
    }

    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError> {
        self.on_writer(move |writer| writer.adopt_users(&users)).await
    }

    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
        let sessions = sessions.into_iter();
        self.record_all(sessions.map(|record| (record.session, Some(record.recorded))))
            .await
            .map(|_| ())
    }

    async fn close(&self) {
        self.jobs.lock().take();
        let threads = self.threads.lock().take();
        if let Some(threads) = threads {
            let ended = tokio::task::spawn_blocking(move || {
                threads.watch.stop();
                threads.background.into_iter().for_each(Background::stop);
                threads.writer.join().is_ok()
            });
            if !ended.await.unwrap_or(false) {
                tracing::error!("the store's writer did not end cleanly");
            }
        }
    }
}

fn load_series(
    connection: &rusqlite::Connection,
    (owner, number): SeriesKey,
) -> Result<(i64, Series), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    if let Some(number) = number
        && !segments::is_counted(&transaction, number)?
    {
        return Err(StoreError::not_counted());
    }
    let seq = transaction.query_row("SELECT commit_seq FROM meta", [], |row| row.get(0))?;
    let (sql, ordinal) = match owner {
        Owner::App(ordinal) => (include_str!("sql/load_app_counters.sql"), ordinal),
        Owner::Workspace(ordinal) => (include_str!("sql/load_workspace_counters.sql"), ordinal),
    };
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([ordinal])?;
    let mut series = Series::default();
    while let Some(row) = rows.next()? {
        let sessions = match number {
            None => row.get(1)?,
            Some(number) => {
                let cells = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
                cells::read(cells)
                    .find(|(of, _)| *of == number)
                    .map_or(0, |(_, sessions)| sessions)
            }
        };
        if sessions > 0 {
            series.add(row.get(0)?, sessions);
        }
    }
    Ok((seq, series))
}
