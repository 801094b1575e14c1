//! Sealing: sessions of days that are older than the retention go, their rollups stay.
//!
//! First the catalog says that sessions of these days are refused, and every process has the time to learn of it. A recorder
//! looks at the catalog once more between writing and acknowledging, so whatever was acknowledged is visible by then. Then
//! each day is counted and gets its row (`sealed`), and in the end its sessions are removed. Where that breaks off, the next
//! try goes on with it: a day that has a row is never counted again.

use std::collections::BTreeMap;

use super::contents::{self, Hash};
use super::counting;
use super::ids::AppDay;
use super::literals::literals;
use super::mutations::Rows;
use super::sealed::{self, SealedRow};
use super::tables::Table;
use super::{Inner, SEEN, catalog, lock, now};
use crate::catalog::Change;
use crate::model::{AppId, WorkspaceId};
use crate::rollup::Builder;
use crate::store::{Progress, Sealing, StoreError};

/// Held while days get their rows, and while ids of persons are removed.
pub(super) const LOCK: &str = "sealing";

/// As [`Administration::seal`](crate::store::Administration::seal).
pub(super) async fn seal(
    store: &Inner,
    workspace: WorkspaceId,
    progress: &Progress,
) -> Result<Sealing, StoreError> {
    let Some(due) = Due::of(store, workspace).await? else {
        return Ok(Sealing::default());
    };
    if due.with_sessions(store).await?.is_empty() {
        return Ok(Sealing::default());
    }
    due.announce(store).await?;
    let (mut sealing, mut rows, mut total) = (Sealing::default(), 0, 0);
    loop {
        // What was accepted before the announcement is among them now.
        let open = due.open(store).await?;
        if open.is_empty() {
            break;
        }
        total += open.values().map(|hash| hash.rows).sum::<u64>();
        for chunk in counting::chunks(&open) {
            let sealed = lock::with(&store.engine, LOCK, async |_| {
                write(store, workspace, &chunk).await
            })
            .await?;
            sealing.days += sealed.days;
            sealing.sessions += sealed.sessions;
            rows += chunk.values().map(|hash| hash.rows).sum::<u64>();
            progress(rows * 100 / total.max(1));
        }
    }
    due.remove(store).await?;
    Ok(sealing)
}

/// The days of a workspace that are to be sealed.
struct Due {
    workspace: WorkspaceId,
    apps: Vec<AppId>,
    /// The first day that is not.
    until: u16,
}

impl Due {
    /// `None` where there is no such day.
    async fn of(store: &Inner, workspace: WorkspaceId) -> Result<Option<Self>, StoreError> {
        store.take_over(catalog::version(&store.engine).await?).await?;
        let snapshot = store.snapshot();
        let entry = snapshot.catalog.workspace(workspace);
        let entry = entry.ok_or_else(|| StoreError::unknown("workspace", workspace))?;
        let until = entry.workspace.due_before(now());
        let until = u16::try_from(until.clamp(0, u16::MAX.into())).unwrap_or(u16::MAX);
        let apps: Vec<AppId> = snapshot.apps_of(workspace).collect();
        let is_any = until > 0 && !apps.is_empty();
        Ok(is_any.then_some(Self {
            workspace,
            apps,
            until,
        }))
    }

    fn condition(&self) -> String {
        let apps = literals(self.apps.iter().copied());
        format!("app IN ({apps}) AND day < {}", self.until)
    }

    /// Those that have sessions.
    async fn with_sessions(&self, store: &Inner) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
        contents::of_sessions(&store.engine, &self.condition()).await
    }

    /// Those of them that have no row yet.
    async fn open(&self, store: &Inner) -> Result<BTreeMap<AppDay, Hash>, StoreError> {
        let mut days = self.with_sessions(store).await?;
        if !days.is_empty() {
            let sealed = sealed::hashes(&store.engine, &self.condition()).await?;
            days.retain(|day, _| !sealed.contains_key(day));
        }
        Ok(days)
    }

    /// Has sessions of these days refused, by every process when this returns.
    async fn announce(&self, store: &Inner) -> Result<(), StoreError> {
        let change = Change::Seal(self.workspace, self.until.into());
        let (_, after) = catalog::change(&store.engine, change).await?;
        store.publish(after);
        tokio::time::sleep(SEEN).await;
        Ok(())
    }

    /// Removes the sessions of sealed days, and what landed there since: it was never acknowledged.
    async fn remove(&self, store: &Inner) -> Result<(), StoreError> {
        for table in [Table::Sessions, Table::Ends] {
            let condition = self.condition();
            let rows = Rows { table, condition };
            rows.remove(&store.engine).await?;
        }
        Ok(())
    }
}

/// Counts days and writes their rows, those that nobody else has sealed meanwhile.
async fn write(
    store: &Inner,
    workspace: WorkspaceId,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<Sealing, StoreError> {
    let engine = &store.engine;
    let sealed = sealed::among(engine, days.keys().copied()).await?;
    let open: BTreeMap<AppDay, Hash> = days
        .iter()
        .filter(|(day, _)| !sealed.contains_key(day))
        .map(|(day, hash)| (*day, *hash))
        .collect();
    if open.is_empty() {
        return Ok(Sealing::default());
    }
    let mut sealing = Sealing::default();
    let mut rows = Vec::with_capacity(open.len());
    for (day, counted) in counting::count::<Builder>(engine, &open).await? {
        sealing.days += 1;
        sealing.sessions += counted.origin.content.rows;
        let rollup = (&counted.what.cells, &counted.what.people);
        rows.push(SealedRow::new(day, counted.origin.content, rollup)?);
    }
    write_names(store, workspace, &open).await?;
    sealed::write(engine, &rows).await?;
    Ok(sealing)
}

/// Who the persons of days are: nothing else says it once their sessions are gone.
async fn write_names(
    store: &Inner,
    workspace: WorkspaceId,
    days: &BTreeMap<AppDay, Hash>,
) -> Result<(), StoreError> {
    let names = days.keys().copied().collect();
    let query = format!(
        "SELECT toUUID('{workspace}') AS workspace, person, toUInt8(if(user_id != '', 1, 2)) AS kind, \
         if(user_id != '', user_id, device_id) AS name, toUInt64(1) AS version FROM {}.{} \
         WHERE {} AND person != 0 AND (user_id != '' OR device_id != '') GROUP BY person, kind, name",
        store.engine.address().database,
        Table::Sessions.name(),
        counting::condition(&names)
    );
    store.engine.insert_selected(Table::Names, &query).await
}
