//! What the store promises, handed to the parts that do it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::background::Background;
use super::batch::Adopted;
use super::sealing::{self, Due};
use super::upkeep::Upkeep;
use super::writer::Writer;
use super::{
    SqliteStore, administration, backup, beside, copying, counting, days, derived, export, now, rows, verify,
    watch,
};
use crate::catalog::{Catalog, Change, Records};
use crate::model::{AppId, Identities, KeyId, Millis, Session, SessionEnd, UserUpdate, WorkspaceId};
use crate::rollup::{Cells, People};
use crate::store::records::{SessionRecord, UserRecord};
use crate::store::sealed::SealedDay;
use crate::store::{
    Administration, DayVersion, Progress, Recorded, Rollups, Scope, Sealing, Selection, Sessions, StoreError,
    Updated, Usage, Users, Verification, Whose,
};

impl SqliteStore {
    /// Without those whose day is sealed here: its rollup has them.
    async fn without_sealed(&self, sessions: Vec<SessionRecord>) -> Result<Vec<SessionRecord>, StoreError> {
        let snapshot = self.published.load_full();
        let mut workspaces = snapshot.catalog.workspaces().iter();
        if workspaces.all(|entry| entry.workspace.sealed_before == 0) {
            return Ok(sessions);
        }
        self.on_reader(move |connection| {
            let mut left = Vec::with_capacity(sessions.len());
            for record in sessions {
                let app = snapshot.apps.get(&record.session.app());
                let day = record.session.utc_day();
                let is_sealed = app.map_or(Ok(false), |(app, _)| days::is_sealed(connection, (*app, day)))?;
                if !is_sealed {
                    left.push(record);
                }
            }
            Ok(left)
        })
        .await
    }
}

#[async_trait]
impl Sessions for SqliteStore {
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

    async fn forget(&self, workspace: WorkspaceId, people: Identities) -> Result<u64, StoreError> {
        self.on_writer(move |writer| writer.forget(workspace, &people))
            .await
    }

    async fn export(
        &self,
        selection: Selection,
        batches: mpsc::Sender<Vec<Session>>,
    ) -> Result<(), StoreError> {
        self.on_reader(move |connection| {
            export::export(connection, &selection, &batches, |session, _, _| session)
        })
        .await
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
        let item = |session, recorded: &str, forgotten| SessionRecord {
            session,
            recorded: recorded.to_owned(),
            forgotten,
        };
        self.on_reader(move |connection| export::export(connection, &selection, &batches, item))
            .await
    }

    async fn adopt_users(&self, users: Vec<UserRecord>) -> Result<(), StoreError> {
        self.on_writer(move |writer| writer.adopt_users(&users)).await
    }

    async fn adopt_sessions(&self, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
        let sessions = self.without_sealed(sessions).await?.into_iter();
        self.record_all(sessions.map(|record| {
            let adopted = Adopted::new(record.recorded, record.forgotten);
            (record.session, Some(adopted))
        }))
        .await
        .map(|_| ())
    }

    async fn dump_sealed(
        &self,
        workspace: WorkspaceId,
        days: mpsc::Sender<Vec<SealedDay>>,
    ) -> Result<(), StoreError> {
        self.on_reader(move |connection| copying::sealed(connection, workspace, &days))
            .await
    }

    async fn adopt_sealed(&self, days: Vec<SealedDay>) -> Result<(), StoreError> {
        self.on_writer(move |writer| writer.adopt_sealed(&days)).await
    }
}

#[async_trait]
impl Rollups for SqliteStore {
    async fn count(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Vec<u64>, StoreError> {
        let asked = self.asked(scope, whose, edges)?;
        self.counting.count(asked).await
    }

    async fn users(&self, scope: Scope, whose: Whose<'_>, edges: &[i64]) -> Result<Users, StoreError> {
        let asked = self.asked(scope, whose, edges)?;
        self.counting.users(asked).await
    }

    async fn prepare_answers(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), StoreError> {
        let (published, seq) = (self.published.clone(), self.opened_at);
        let days = self
            .on_reader(move |connection| {
                counting::complete_days_without_rollup(connection, seq, &published.load().app_ids())
            })
            .await?;
        let total = days.iter().map(|day| day.sessions).sum();
        self.counting.build_now(days, &|done| progress(done, total)).await
    }

    async fn days(&self, apps: &[AppId], days: RangeInclusive<i64>) -> Result<Vec<DayVersion>, StoreError> {
        let apps = {
            let snapshot = self.published.load();
            let ordinal = |app: &AppId| snapshot.apps.get(app).map(|(ordinal, _)| (*ordinal, *app));
            apps.iter().filter_map(ordinal).collect()
        };
        self.counting.days(apps, days).await
    }

    async fn cells(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<Cells>)>, StoreError> {
        self.counting.parts(self.days_of(days)?).await
    }

    async fn people(&self, days: &[(AppId, i64)]) -> Result<Vec<(DayVersion, Arc<People>)>, StoreError> {
        self.counting.parts(self.days_of(days)?).await
    }

    async fn properties(&self, _: WorkspaceId, combinations: &[u64]) -> Result<Vec<Arc<str>>, StoreError> {
        self.counting.properties(combinations.to_vec()).await
    }

    fn prepare(&self, days: &[(AppId, i64)]) {
        if let Ok(days) = self.days_of(days) {
            self.counting.build(days);
        }
    }
}

#[async_trait]
impl Administration for SqliteStore {
    fn catalog(&self) -> Arc<Catalog> {
        self.published.load().catalog.clone()
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let (published, log) = (self.published.clone(), self.log.clone());
        self.on_reader(move |connection| watch::look(connection, &published, &log))
            .await
    }

    async fn change(&self, change: Change) -> Result<bool, StoreError> {
        let file = self.file.clone();
        let makes_first = matches!(change, Change::First(..));
        let doomed = change.doomed(&self.catalog());
        for app in doomed.iter().flatten() {
            self.empty(*app).await?;
        }
        let deletes = doomed.is_some();
        self.on_writer(move |writer| {
            let make = |writer: &mut Writer| {
                writer.change_catalog(|transaction| administration::change(transaction, change, &file))
            };
            let is_changed = if deletes {
                writer.securely(make)?
            } else {
                make(writer)?
            };
            if is_changed && (makes_first || deletes) {
                // Whatever becomes of the journal, the key that is shown now goes on to work. And what was deleted is gone.
                writer.empty_journal();
            }
            Ok(is_changed)
        })
        .await
    }

    async fn seal(&self, workspace: WorkspaceId, progress: Progress) -> Result<Sealing, StoreError> {
        self.refresh().await?;
        let (due, announced) = {
            let snapshot = self.published.load();
            let entry = snapshot.catalog.workspace(workspace);
            let entry = entry.ok_or_else(|| StoreError::unknown("workspace", workspace))?;
            let due = Due {
                workspace: snapshot.workspace(workspace)?,
                until: entry.workspace.due_before(now()),
                after: derived::FIRST,
            };
            (due, entry.workspace.sealed_before)
        };
        let total = self
            .on_reader(move |connection| sealing::count(connection, due))
            .await?;
        let mut sealing = Sealing::default();
        if total == 0 {
            return Ok(sealing);
        }
        if due.until > announced {
            self.change(Change::Seal(workspace, due.until)).await?;
        }
        let (mut rest, mut damage) = (due, None);
        while let Some(mut step) = self
            .on_reader(move |connection| sealing::prepare(connection, rest))
            .await?
        {
            rest = step.rest;
            damage = damage.or(step.damage.take());
            let sealed = self.on_writer(move |writer| writer.seal(&step)).await?;
            sealing.days += sealed.days;
            sealing.sessions += sealed.sessions;
            progress((sealing.days * 100 / total).min(100));
        }
        damage.map_or(Ok(sealing), Err)
    }

    async fn note_key_use(&self, uses: Vec<(KeyId, Millis)>) -> Result<(), StoreError> {
        self.on_writer(move |writer| {
            writer
                .change_catalog(|transaction| administration::note_key_use(transaction, &uses).map(|()| true))
        })
        .await
        .map(|_| ())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.on_reader(|connection| {
            connection.query_row("SELECT commit_seq FROM meta", [], |_| Ok(()))?;
            Ok(())
        })
        .await?;
        self.condition.check_all()
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let bytes = ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| std::fs::metadata(beside(&self.file, suffix)).ok())
            .map(|metadata| metadata.len())
            .sum();
        Ok(Usage {
            bytes,
            being_counted: self.counting.sessions_left(),
            ..self.condition.usage()
        })
    }

    async fn verify(&self, progress: Progress) -> Result<Verification, StoreError> {
        let file = self.file.clone();
        self.on_reader(move |connection| verify::verify(connection, &file, progress.as_ref()))
            .await
    }

    async fn backup(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_owned();
        self.on_reader(move |connection| backup::backup(connection, &file, &|_| {}))
            .await
    }

    async fn records(&self) -> Result<Records, StoreError> {
        self.on_reader(|connection| {
            let transaction = connection.unchecked_transaction()?;
            rows::read(&transaction)
        })
        .await
    }

    async fn close(&self) {
        self.jobs.lock().take();
        let threads = self.threads.lock().take();
        if let Some(threads) = threads {
            let counting = self.counting.clone();
            let (readers, condition) = (self.readers.clone(), self.condition.clone());
            let ended = tokio::task::spawn_blocking(move || {
                threads.upkeep.into_iter().for_each(Upkeep::stop);
                if condition.check_writing().is_err() {
                    readers.abandon();
                }
                threads.watch.stop();
                threads.background.into_iter().for_each(Background::stop);
                counting.stop();
                threads.writer.join().is_ok()
            });
            if !ended.await.unwrap_or(false) {
                tracing::error!("the store's writer did not end cleanly");
            }
        }
    }
}
