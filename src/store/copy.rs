//! One store into another: how users move, and how a store without files is backed up into one.

use std::path::Path;

use tokio::sync::mpsc;

use super::records::{SessionRecord, UserRecord};
use super::sealed::SealedDay;
use super::sqlite::{self, SqliteStore};
use super::{Administration, Role, Scope, Selection, Store, StoreError, Whose, all_time, count_patiently};
use crate::catalog::{Catalog, Change, LeftOut, Records};
use crate::model::{AppId, SegmentId};
use crate::rollup::QUARTER;

/// Batches that wait to be written.
const WAITING: usize = 4;

/// How far copying has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Users whose attributes were copied so far.
    Users(u64),
    /// Sealed days that were copied so far.
    Sealed(u64),
    /// Sessions that were copied so far.
    Sessions(u64),
    /// A series that needs counting first is counted, this many percent.
    Counting(u64),
    /// Series that were compared so far.
    Series(u64),
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Users with attributes.
    pub users: u64,
    /// Sealed days, whose sessions are not there any more.
    pub sealed_days: u64,
    /// Sessions that were handed over; those that were there already included.
    pub sessions: u64,
    /// Series that were compared: each app's, everyone's and each tracked segment's.
    pub series: u64,
    /// Those that differ, the first hundred.
    pub differences: Vec<Difference>,
}

/// A series of which the two stores have different numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of this app.
    pub app: AppId,
    /// Of this segment; `None`: of everyone.
    pub segment: Option<SegmentId>,
    /// Unix seconds at which the first quarter hour begins that differs.
    pub quarter: i64,
    /// Sessions in the old store.
    pub from: u64,
    /// Sessions in the new store.
    pub to: u64,
}

/// Copies everything, then compares every series of both, quarter hour by quarter hour.
///
/// May be run again: what was copied before stays, what came since is added.
///
/// # Errors
/// What either store says; [`StoreError::Conflict`] if the new one holds workspaces that the old one has not.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Copied, StoreError> {
    let mut copied = transfer(from, to, progress).await?;
    compare(from, to, progress, &mut copied).await?;
    Ok(copied)
}

/// Copies everything and compares nothing.
async fn transfer(
    from: &dyn Store,
    to: &dyn Store,
    progress: &(dyn Fn(Step) + Sync),
) -> Result<Copied, StoreError> {
    let records = from.records().await?;
    let (_, left_out) = Catalog::new(&records);
    let lost = |entry: &&LeftOut| entry.hides_sessions() || records.unreadable.contains(entry);
    if let Some(entry) = left_out.iter().find(lost) {
        return Err(StoreError::Unusable(format!(
            "{entry}; copy the store with the version that wrote it"
        )));
    }
    let stranger = to.catalog().workspaces().iter().find_map(|there| {
        let id = there.workspace.id.to_string();
        let known = records.workspaces.iter().any(|workspace| workspace.id == id);
        (!known).then(|| there.workspace.name.clone())
    });
    if let Some(name) = stranger {
        return Err(StoreError::Conflict(format!(
            "the new store has a workspace '{name}' of its own; migrate into an empty store, or one that was migrated \
             from the same store before"
        )));
    }
    let workspaces: Vec<_> = from
        .catalog()
        .workspaces()
        .iter()
        .map(|entry| entry.workspace.id)
        .collect();
    to.change(Change::Adopt(without_retention(&records, to))).await?;
    let mut copied = Copied::default();

    let (sender, mut batches) = mpsc::channel::<Vec<UserRecord>>(WAITING);
    let write = async {
        while let Some(batch) = batches.recv().await {
            copied.users += batch.len() as u64;
            to.adopt_users(batch).await?;
            progress(Step::Users(copied.users));
        }
        Ok(())
    };
    both(from.dump_users(sender), write).await?;

    for workspace in &workspaces {
        let selection = Selection {
            workspace: *workspace,
            app: None,
            from: None,
            to: None,
        };
        let (sender, mut batches) = mpsc::channel::<Vec<SessionRecord>>(WAITING);
        let write = async {
            while let Some(batch) = batches.recv().await {
                copied.sessions += batch.len() as u64;
                to.adopt_sessions(batch).await?;
                progress(Step::Sessions(copied.sessions));
            }
            Ok(())
        };
        both(from.dump_sessions(selection, sender), write).await?;
    }
    to.change(Change::Adopt(with_retention(records, &from.records().await?)))
        .await?;
    // Days may have been sealed since their sessions were read, or before: their rollups have all of them.
    for workspace in workspaces {
        let (sender, mut batches) = mpsc::channel::<Vec<SealedDay>>(WAITING);
        let write = async {
            while let Some(batch) = batches.recv().await {
                copied.sealed_days += batch.len() as u64;
                to.adopt_sealed(batch).await?;
                progress(Step::Sealed(copied.sealed_days));
            }
            Ok(())
        };
        both(from.dump_sealed(workspace, sender), write).await?;
    }
    Ok(copied)
}

/// The records as the new store takes them at first: whoever serves it must not seal days that are half copied.
fn without_retention(records: &Records, to: &dyn Store) -> Records {
    let there = to.catalog();
    let mut records = records.clone();
    for workspace in &mut records.workspaces {
        let known = workspace.id.parse().ok().and_then(|id| there.workspace(id));
        workspace.retention_days = 0;
        // Days that were copied before stay closed.
        workspace.sealed_before = known.map_or(0, |known| known.workspace.sealed_before);
    }
    records
}

/// The records with what the old store keeps and has sealed by now.
fn with_retention(mut records: Records, newest: &Records) -> Records {
    for workspace in &mut records.workspaces {
        if let Some(newest) = newest.workspaces.iter().find(|newest| newest.id == workspace.id) {
            workspace.retention_days = newest.retention_days;
            workspace.sealed_before = newest.sealed_before;
        }
    }
    records
}

/// Runs both, until both have ended or one fails: a reader waits for whoever writes, and would for ever.
async fn both(
    read: impl Future<Output = Result<(), StoreError>>,
    write: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    tokio::try_join!(read, write).map(|_| ())
}

async fn compare(
    from: &dyn Store,
    to: &dyn Store,
    progress: &(dyn Fn(Step) + Sync),
    copied: &mut Copied,
) -> Result<(), StoreError> {
    let (first, last) = all_time();
    let edges: Vec<i64> = (0..=(last - first) / QUARTER)
        .map(|quarter| first + quarter * QUARTER)
        .collect();
    let catalog = to.catalog();
    for entry in catalog.workspaces() {
        let tracked = entry.segments.iter().filter(|segment| segment.tracked);
        let segments: Vec<Option<SegmentId>> = std::iter::once(None)
            .chain(tracked.map(|segment| Some(segment.id)))
            .collect();
        // A store that counts many apps at once has all of these counts then.
        let scope = Scope::Workspace(entry.workspace.id);
        for segment in &segments {
            let asked = (scope, segment.map_or(Whose::Everyone, Whose::Segment));
            let counting = |percent| progress(Step::Counting(percent));
            let counts = |store| count_patiently(store, asked, &edges, &counting);
            tokio::try_join!(counts(from), counts(to))?;
        }
        for app in &entry.apps {
            for segment in &segments {
                let whose = segment.map_or(Whose::Everyone, Whose::Segment);
                let asked = (Scope::App(app.id), whose);
                let counting = |percent| progress(Step::Counting(percent));
                let counts = |store| count_patiently(store, asked, &edges, &counting);
                let (old, new) = tokio::try_join!(counts(from), counts(to))?;
                let differs = old
                    .iter()
                    .zip(&new)
                    .zip(&edges)
                    .find(|((old, new), _)| old != new);
                if let Some(((from, to), quarter)) = differs
                    && copied.differences.len() < 100
                {
                    copied.differences.push(Difference {
                        app: app.id,
                        segment: *segment,
                        quarter: *quarter,
                        from: *from,
                        to: *to,
                    });
                }
                copied.series += 1;
                progress(Step::Series(copied.series));
            }
        }
    }
    Ok(())
}

/// Backs up a store into one file, a store of the embedded kind; `file` must not exist.
pub(super) async fn into_file(store: &dyn Store, file: &Path) -> Result<(), StoreError> {
    let failed =
        |error: std::io::Error| StoreError::Unavailable(format!("can't write {}: {error}", file.display()));
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if file.exists() {
        return Err(StoreError::file_exists(file));
    }
    let directory = tempfile::Builder::new()
        .prefix(".sessionmeter-backup-")
        .tempdir_in(beside.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    let embedded = SqliteStore::open(directory.path(), Role::Command)?;
    let copied = async {
        transfer(store, &embedded, &|_| {}).await?;
        embedded.backup(file).await
    }
    .await;
    embedded.close().await;
    copied
}

/// Makes an empty store what `file` holds a backup of.
///
/// # Errors
/// [`StoreError::Conflict`] if the store is not empty, [`StoreError::Unusable`] if it counts something else in the end; as
/// [`sqlite::restore`] and [`copy`].
pub async fn from_file(file: &Path, store: &dyn Store) -> Result<(), StoreError> {
    if !store.catalog().workspaces().is_empty() {
        return Err(StoreError::Conflict(
            "the store is not empty; restore into an empty one, chosen with --store or --data".into(),
        ));
    }
    let failed =
        |error: std::io::Error| StoreError::Unavailable(format!("can't make a temporary directory: {error}"));
    let directory = tempfile::tempdir().map_err(failed)?;
    sqlite::restore(file, directory.path())?;
    let embedded = SqliteStore::open(directory.path(), Role::Existing)?;
    let copied = copy(&embedded, store, &|_| {}).await;
    embedded.close().await;
    match copied?.differences.len() {
        0 => Ok(()),
        series => Err(StoreError::Unusable(format!(
            "the restored store does not count what the backup counts, in {series} series at least: was somebody \
             recording into it? Restore into an empty one"
        ))),
    }
}
