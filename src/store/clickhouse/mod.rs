//! A ClickHouse server or cluster as the store, for any number of processes.
//!
//! `engine` sends statements (`literals`, `failure`), `tables` says which tables there are, `schema` makes them, and `lock` keeps processes apart where they change the same
//! thing; `mutations` rewrite what is stored. `catalog` and `administration` are workspaces, apps, keys and segments. `recording` writes sessions, with
//! `people`, `users` and `properties`; `clock` tells who was first, `lately` what was recorded a moment ago. `parts` and `contents` know what days
//! hold, `counting` counts days, `kept` keeps what was counted, `rollups` does the one or the other, `held` has series in memory,
//! `filters` evaluates filters, and `answers` answers from all of them. `handing_out` hands out cells and people of days, `export` sessions.
//! `forgetting` takes the names of users and devices. `sealing` removes sessions that are older than the retention, whose rollups stay in `sealed`;
//! `copying` hands these to other stores.

mod access;
mod address;
mod administration;
mod answers;
mod catalog;
mod clock;
mod contents;
mod copying;
mod counting;
mod engine;
mod export;
mod failure;
mod filters;
mod forgetting;
mod handing_out;
mod held;
mod ids;
mod kept;
mod lately;
mod literals;
mod lock;
mod mutations;
mod parts;
mod people;
mod properties;
mod quorum;
mod recording;
mod rollups;
mod schema;
mod sealed;
mod sealing;
mod tables;
mod users;
mod verify;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use self::address::{Address, AddressError};
use self::answers::{Asked, Works};
use self::catalog::Snapshot;
use self::clock::Clock;
use self::contents::Contents;
use self::engine::Engine;
use self::filters::Filters;
use self::held::Held;
use self::lately::Lately;
use self::people::{People, Secret};
use self::properties::Combinations;
use self::users::Users as Attributes;
use super::published::Published;
use super::records::{SessionRecord, UserRecord};
use super::sealed::SealedDay;
use super::{
    Administration, DayVersion, Progress, Recorded, Role, Rollups, Scope, Sealing, Selection, Sessions,
    StoreError, Updated, Usage, Users, Verification, Whose, now,
};
use crate::catalog::{Catalog, Change, Records};
use crate::model::{AppId, Identities, KeyId, Millis, Session, SessionEnd, UserUpdate, WorkspaceId};
use crate::rollup::folds::Distinct;
use crate::rollup::{Cells, People as DayPeople};

/// How often other processes' changes are looked for; they must be honoured within a second.
const INTERVAL: Duration = Duration::from_millis(250);
/// Within which every process has seen a change of the catalog and written what it was writing.
const SEEN: Duration = Duration::from_millis(1_500);
/// How often a server looks for days that it wrote to and left alone.
const QUIET: Duration = Duration::from_secs(2);

/// A store in ClickHouse, open. Owned by whoever opened it; [`Administration::close`] ends its tasks.
pub struct ClickHouseStore {
    inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the rooms share.
struct Inner {
    engine: Engine,
    published: Published<Snapshot>,
    contents: Contents,
    held: Held,
    combinations: Combinations,
    clock: Clock,
    lately: Lately,
    people: People,
    users: Attributes,
    /// Held while a batch is prepared.
    recording: tokio::sync::Mutex<()>,
    filters: Filters,
    works: Works,
}

impl Inner {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Publishes a catalog, unless a newer one was published meanwhile.
    fn publish(&self, snapshot: Snapshot) {
        let before = self.snapshot();
        let has_other_apps = !before.apps.keys().eq(snapshot.apps.keys());
        let is_newer = snapshot.version > before.version;
        self.published.publish(snapshot);
        if is_newer {
            // Somebody may have been forgotten.
            self.people.forget_seen();
        }
        if has_other_apps {
            // An app that is made again has none of the sessions that it had before.
            self.lately.forget();
        }
    }

    /// Looks for changes that other processes made.
    async fn look(&self) -> Result<(), StoreError> {
        let ((catalog, users), ()) =
            tokio::try_join!(catalog::versions(&self.engine), self.clock.look(&self.engine))?;
        self.users.refresh(users);
        self.take_over(catalog).await
    }

    /// Reads the catalog, if it has this version and we have an older one.
    async fn take_over(&self, version: u64) -> Result<(), StoreError> {
        if version > self.snapshot().version {
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
        let secret = schema::prepare(&engine, role).await?;
        let inner = Arc::new(Inner {
            published: Published::new(catalog::load(&engine).await?),
            engine,
            contents: Contents::default(),
            held: Held::default(),
            combinations: Combinations::default(),
            clock: Clock::default(),
            lately: Lately::default(),
            people: People::new(Secret::new(&secret)),
            users: Attributes::default(),
            recording: tokio::sync::Mutex::default(),
            filters: Filters::default(),
            works: Works::default(),
        });
        inner.look().await?;
        let mut tasks = vec![tokio::spawn(watch(inner.clone()))];
        if role == Role::Server {
            if address.has_close_after {
                tracing::warn!(
                    "'close_after' in the store's address has no meaning any more: days are no longer closed"
                );
            }
            tasks.push(tokio::spawn(build_quiet_days(inner.clone())));
        }
        Ok(Self {
            inner,
            tasks: Mutex::new(tasks),
        })
    }

    /// Whose sessions are meant; `None` where there is no app.
    fn asked(&self, scope: Scope, whose: Whose<'_>) -> Result<Option<Asked>, StoreError> {
        let snapshot = self.inner.snapshot();
        let filter = match whose {
            Whose::Everyone => None,
            Whose::Segment(segment) => Some(&snapshot.rule(segment)?.filter),
            Whose::Filter(filter) => Some(filter),
        };
        let apps = apps_of(&snapshot, scope)?;
        let workspace = apps.first().and_then(|app| snapshot.apps.get(app).copied());
        Ok(workspace.map(|workspace| Asked {
            workspace,
            apps: apps.into(),
            filter: filter.map(|filter| self.inner.filters.get(filter)),
        }))
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

async fn build_quiet_days(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(QUIET).await;
        if let Err(error) = rollups::build_quiet_days(&inner).await {
            tracing::warn!(%error, "can't build rollups of days beforehand; they are built when somebody asks");
        }
    }
}

fn apps_of(snapshot: &Snapshot, scope: Scope) -> Result<Vec<AppId>, StoreError> {
    match scope {
        Scope::App(app) if !snapshot.apps.contains_key(&app) => Err(StoreError::unknown("app", app)),
        Scope::App(app) => Ok(vec![app]),
        Scope::Workspace(workspace) => Ok(snapshot.apps_of(workspace).collect()),
    }
}

#[async_trait]
impl Sessions for ClickHouseStore {
    async fn update_users(
        &self,
        workspace: WorkspaceId,
        updates: Vec<UserUpdate>,
    ) -> Result<Vec<Updated>, StoreError> {
        let inner = &self.inner;
        inner.users.update(&inner.engine, workspace, &updates).await
    }

    async fn record(&self, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
        recording::record(&self.inner, sessions).await
    }

    async fn end_sessions(&self, ends: Vec<SessionEnd>) -> Result<Vec<bool>, StoreError> {
        recording::end(&self.inner, &ends).await
    }

    async fn forget(&self, workspace: WorkspaceId, people: Identities) -> Result<u64, StoreError> {
        forgetting::forget(&self.inner, workspace, &people).await
    }

    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError> {
        export::sessions(&self.inner, selection, &batches, |session, _, _| session).await
    }

    async fn dump_users(&self, batches: mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
        let catalog = self.catalog();
        let workspaces = catalog
            .workspaces()
            .iter()
            .map(|entry| entry.workspace.id)
            .collect();
        users::dump(&self.inner.engine, &workspaces, &batches).await
    }

    async fn dump_sessions(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<SessionRecord>>,
    ) -> Result<(), StoreError> {
        let record = |session, recorded: &str, forgotten| SessionRecord {
            session,
            recorded: recorded.to_owned(),
            forgotten,
        };
        export::sessions(&self.inner, selection, &batches, record).await
    }

    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError> {
        self.inner.users.adopt(&self.inner.engine, users).await
    }

    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
        recording::adopt(&self.inner, sessions).await
    }

    async fn dump_sealed(
        &self,
        workspace: WorkspaceId,
        days: mpsc::Sender<Vec<SealedDay>>,
    ) -> Result<(), StoreError> {
        copying::dump(&self.inner, workspace, &days).await
    }

    async fn adopt_sealed(&self, days: Vec<SealedDay>) -> Result<(), StoreError> {
        copying::adopt(&self.inner, &days).await
    }
}

#[async_trait]
impl Rollups for ClickHouseStore {
    async fn count(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        match self.asked(scope, whose)? {
            Some(asked) => answers::count(&self.inner, &asked, edges).await,
            None => Ok(vec![0; edges.len().saturating_sub(1)]),
        }
    }

    async fn users(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Users, StoreError> {
        match self.asked(scope, whose)? {
            Some(asked) => answers::users(&self.inner, &asked, edges).await,
            None => Ok(Distinct::new(edges).into()),
        }
    }

    async fn days(&self, apps: &[AppId], days: RangeInclusive<i64>) -> Result<Vec<DayVersion>, StoreError> {
        handing_out::days(&self.inner, apps, days).await
    }

    async fn cells(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<Cells>)>, StoreError> {
        handing_out::cells(&self.inner, days).await
    }

    async fn people(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<DayPeople>)>, StoreError> {
        handing_out::people(&self.inner, days).await
    }

    async fn properties(&self, _: WorkspaceId, combinations: &[u64]) -> Result<Vec<Arc<str>>, StoreError> {
        handing_out::properties(&self.inner, combinations).await
    }

    fn prepare(&self, days: &[(AppId, i64)]) {
        handing_out::prepare(&self.inner, days);
    }
}

#[async_trait]
impl Administration for ClickHouseStore {
    fn catalog(&self) -> Arc<Catalog> {
        self.inner.published.load().catalog.clone()
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let version = catalog::version(&self.inner.engine).await?;
        self.inner.take_over(version).await
    }

    async fn change(&self, change: Change) -> Result<bool, StoreError> {
        administration::change(&self.inner, change).await
    }

    async fn seal(&self, workspace: WorkspaceId, progress: Progress) -> Result<Sealing, StoreError> {
        sealing::seal(&self.inner, workspace, &progress).await
    }

    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError> {
        catalog::note_key_use(&self.inner.engine, uses).await
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
        Ok(Usage {
            bytes,
            being_counted: self.inner.works.rows_left(),
            ..Usage::default()
        })
    }

    async fn verify(&self, progress: Progress) -> Result<Verification, StoreError> {
        verify::verify(&self.inner, progress.as_ref()).await
    }

    async fn backup(&self, file: &Path) -> Result<(), StoreError> {
        super::copy::into_file(self, file).await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        catalog::records(&self.inner.engine).await
    }

    async fn close(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
        }
    }
}
