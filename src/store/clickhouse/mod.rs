//! A ClickHouse server or cluster as the store, for any number of processes.
//!
//! `engine` sends statements, `schema` makes the tables and `lock` keeps processes apart where they change the same
//! thing. `catalog` and `administration` are workspaces, apps, keys and segments. `recording` writes sessions, with
//! `people` and `properties`; `known` and `remembered` tell which were recorded before. `days` and `writers` know which days
//! are closed or settled, `counting` counts days and keeps counts, `series`
//! answers from both, and `past` counts what was recorded before a segment was tracked.

mod address;
mod administration;
mod catalog;
mod counting;
mod days;
mod engine;
mod export;
mod ids;
mod known;
mod lock;
mod past;
mod people;
mod properties;
mod recording;
mod remembered;
mod schema;
mod series;
mod verify;
mod writers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use self::address::{Address, AddressError};
use self::catalog::{Draft, Snapshot};
use self::counting::Held;
use self::days::{AppDay, Days};
use self::engine::Engine;
use self::people::People;
use self::properties::Combinations;
use self::remembered::Remembered;
use super::records::{Records, SessionRecord, UserRecord};
use super::{
    Catalog, Counting, RateLimitChange, Recorded, Role, Scope, Selection, Store, StoreError, Updated, Usage,
    Verification,
};
use crate::model::{
    App, AppId, KeyId, Millis, NewApp, NewKey, NewSegment, NewWorkspace, SegmentChange, SegmentId, Session,
    SessionEnd, UserUpdate, Workspace, WorkspaceId,
};

/// How often other processes' changes are looked for; they must be honoured within a second.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often a server looks for days that have been closed.
const CLOSING: Duration = Duration::from_secs(5);
/// How long a process that ends takes to say that it has written everything.
const FAREWELL: Duration = Duration::from_secs(3);
/// Batches that wait for whoever receives them.
const WAITING: usize = 2;

/// A store in ClickHouse, open. Owned by whoever opened it; [`Store::close`] ends its tasks.
pub struct ClickHouseStore {
    inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the rooms share.
struct Inner {
    engine: Engine,
    published: ArcSwap<Snapshot>,
    days: Days,
    held: Held,
    combinations: Combinations,
    people: People,
    remembered: Remembered,
    /// Held while a batch is prepared, and until it may be written.
    recording: tokio::sync::Mutex<()>,
    /// Held while a batch is written.
    writing: tokio::sync::Mutex<()>,
    /// Batches that could not be written.
    failures: AtomicU64,
    /// Held while days are counted for an answer.
    counting: tokio::sync::Mutex<()>,
    /// Closed days that were found counted, with the time of their last announcement.
    settled: Mutex<HashMap<AppDay, u32>>,
}

impl Inner {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Publishes a catalog, unless a newer one was published meanwhile.
    fn publish(&self, snapshot: Snapshot) {
        let newer = Arc::new(snapshot);
        self.published.rcu(|held| match held.version < newer.version {
            true => newer.clone(),
            false => held.clone(),
        });
    }

    /// Looks for changes that other processes made.
    async fn look(&self) -> Result<(), StoreError> {
        let (catalog, users) = catalog::versions(&self.engine).await?;
        self.people.refresh(users);
        if catalog > self.snapshot().version {
            self.publish(catalog::load(&self.engine).await?);
        }
        Ok(())
    }
}

impl ClickHouseStore {
    /// Opens the store at an address, making or migrating its tables where needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if ClickHouse does not answer, [`StoreError::NotFound`] if there is no store and the
    /// role needs one, [`StoreError::Unusable`] if its form is too new or ClickHouse refuses.
    pub async fn open(address: &Address, role: Role) -> Result<Self, StoreError> {
        let engine = Engine::new(address);
        engine.look_around().await?;
        schema::prepare(&engine, role).await?;
        let inner = Arc::new(Inner {
            published: ArcSwap::from_pointee(catalog::load(&engine).await?),
            remembered: Remembered::new(engine.close_after()),
            engine,
            days: Days::default(),
            held: Held::default(),
            combinations: Combinations::default(),
            people: People::default(),
            recording: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            failures: AtomicU64::default(),
            counting: tokio::sync::Mutex::default(),
            settled: Mutex::default(),
        });
        inner.look().await?;
        let mut tasks = vec![
            tokio::spawn(watch(inner.clone())),
            tokio::spawn(settle(inner.clone())),
        ];
        if role == Role::Server {
            tasks.push(tokio::spawn(count_in_background(inner.clone())));
            tasks.push(tokio::spawn(close_in_background(inner.clone())));
        }
        Ok(Self {
            inner,
            tasks: Mutex::new(tasks),
        })
    }

    async fn change<T: Send>(
        &self,
        change: impl FnOnce(&mut Draft) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let (value, after) = catalog::change(&self.inner.engine, change).await?;
        self.inner.publish(after);
        Ok(value)
    }
}

async fn watch(inner: Arc<Inner>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        match inner.look().await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "can't look for changes by other processes");
            }
            Err(_) => {}
        }
    }
}

/// Tells other processes what is written.
async fn settle(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // If that fails, it takes until the days are closed.
        let _ = inner.days.settle(&inner.engine, false).await;
    }
}

async fn count_in_background(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        while let Some(true) = logged(
            past::step(&inner).await,
            "can't count segments right now; trying again",
        ) {}
    }
}

async fn close_in_background(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(CLOSING).await;
        while let Some(true) = logged(
            past::close_days(&inner).await,
            "can't count closed days right now; trying again",
        ) {}
    }
}

fn logged(result: Result<bool, StoreError>, message: &str) -> Option<bool> {
    result
        .inspect_err(|error| tracing::warn!(%error, "{message}"))
        .ok()
}

fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

#[async_trait]
impl Store for ClickHouseStore {
    fn catalog(&self) -> Arc<Catalog> {
        self.inner.published.load().catalog.clone()
    }

    async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        self.change(|draft| administration::create_workspace(draft, new, now()))
            .await
    }

    async fn set_time_zone(&self, workspace: WorkspaceId, time_zone: String) -> Result<(), StoreError> {
        self.change(|draft| administration::set_time_zone(draft, workspace, time_zone))
            .await
    }

    async fn set_rate_limits(
        &self,
        workspace: WorkspaceId,
        change: RateLimitChange,
    ) -> Result<(), StoreError> {
        self.change(|draft| administration::set_rate_limits(draft, workspace, change))
            .await
    }

    async fn create_app(&self, workspace: WorkspaceId, new: NewApp) -> Result<App, StoreError> {
        self.change(|draft| {
            administration::create_app(draft, workspace, &new, now())?;
            Ok(new)
        })
        .await
    }

    async fn create_key(&self, workspace: WorkspaceId, new: NewKey) -> Result<(), StoreError> {
        self.change(|draft| administration::create_key(draft, workspace, new, now()))
            .await
    }

    async fn revoke_key(&self, key: KeyId) -> Result<(), StoreError> {
        self.change(|draft| administration::revoke_key(draft, &key.to_string(), now()))
            .await
    }

    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError> {
        let uses = uses.into_iter().map(|(key, at)| (key.to_string(), at)).collect();
        catalog::note_key_use(&self.inner.engine, uses).await
    }

    async fn set_segment_limit(&self, workspace: WorkspaceId, limit: u32) -> Result<(), StoreError> {
        self.change(|draft| administration::set_segment_limit(draft, workspace, limit))
            .await
    }

    async fn create_segment(&self, workspace: WorkspaceId, new: NewSegment) -> Result<(), StoreError> {
        self.change(|draft| administration::create_segment(draft, workspace, new, now()))
            .await
    }

    async fn change_segment(&self, segment: SegmentId, change: SegmentChange) -> Result<(), StoreError> {
        self.change(|draft| administration::change_segment(draft, &segment.to_string(), change, now()))
            .await
    }

    async fn delete_segment(&self, segment: SegmentId) -> Result<(), StoreError> {
        self.change(|draft| draft.delete_segment(&segment.to_string()))
            .await
    }

    async fn counting(&self, segment: Option<SegmentId>) -> Result<Counting, StoreError> {
        past::counting(&self.inner, segment).await
    }

    async fn count_some(&self) -> Result<bool, StoreError> {
        past::step(&self.inner).await
    }

    async fn update_users(
        &self,
        workspace: WorkspaceId,
        updates: Vec<UserUpdate>,
    ) -> Result<Vec<Updated>, StoreError> {
        let inner = &self.inner;
        inner.people.update(&inner.engine, workspace, &updates).await
    }

    async fn record(&self, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
        recording::record(&self.inner, sessions).await
    }

    async fn end_sessions(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, StoreError> {
        recording::end(&self.inner, &ends).await
    }

    async fn count(
        &self,
        scope: Scope,
        segment: Option<SegmentId>,
        edges: &[i64],
    ) -> Result<Vec<u64>, StoreError> {
        let snapshot = self.inner.snapshot();
        let apps: Vec<AppId> = match scope {
            Scope::App(app) if !snapshot.apps.contains_key(&app) => {
                return Err(StoreError::unknown("app", app));
            }
            Scope::App(app) => vec![app],
            Scope::Workspace(workspace) => snapshot.apps_of(workspace).collect(),
        };
        let rule = segment.map(|segment| snapshot.counted(segment)).transpose()?;
        series::count(&self.inner, &apps, rule, edges).await
    }

    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError> {
        let (sender, mut records) = mpsc::channel::<Vec<SessionRecord>>(WAITING);
        let hand_over = async move {
            while let Some(records) = records.recv().await {
                let sessions = records.into_iter().map(|record| record.session).collect();
                if batches.send(sessions).await.is_err() {
                    break;
                }
            }
        };
        let dump = async {
            export::sessions(&self.inner, selection, &sender)
                .await
                .inspect(|()| drop(sender))
        };
        let (dumped, ()) = tokio::join!(dump, hand_over);
        dumped
    }

    async fn ready(&self) -> Result<(), StoreError> {
        catalog::versions(&self.inner.engine).await.map(|_| ())
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let engine = &self.inner.engine;
        let parts = match &engine.address().cluster {
            Some(cluster) => format!("cluster('{cluster}', system, parts)"),
            None => "system.parts".into(),
        };
        let sql = format!(
            "SELECT toUInt64(sum(bytes_on_disk)) FROM {parts} WHERE active AND database = '{}'",
            engine.address().database
        );
        let bytes = engine.rows(&sql).await?.first().copied().unwrap_or_default();
        Ok(Usage { bytes })
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        verify::verify(&self.inner).await
    }

    async fn backup(&self, file: &Path) -> Result<(), StoreError> {
        super::copy::into_file(self, file).await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        catalog::records(&self.inner.engine).await
    }

    async fn dump_users(&self, batches: mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
        people::dump(&self.inner.engine, &batches).await
    }

    async fn dump_sessions(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<SessionRecord>>,
    ) -> Result<(), StoreError> {
        export::sessions(&self.inner, selection, &batches).await
    }

    async fn adopt(&self, records: Records) -> Result<(), StoreError> {
        self.change(|draft| administration::adopt(draft, records)).await
    }

    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError> {
        self.inner.people.adopt(&self.inner.engine, users).await
    }

    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
        recording::adopt(&self.inner, sessions).await
    }

    async fn close(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
        }
        // If nobody can be told, days take longer to be settled.
        let _ = tokio::time::timeout(FAREWELL, self.inner.days.settle(&self.inner.engine, true)).await;
    }
}
