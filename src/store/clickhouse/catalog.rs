//! Workspaces, apps, keys and segments: read whole into memory; changed one at a time, under a lock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use clickhouse::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::literals::{list, quoted};
use super::tables::Table;
use super::{lock, now};
use crate::catalog::{
    AppRecord, Catalog, Change, Changed, KeyRecord, LeftOut, Record, Records, SegmentRecord, WorkspaceRecord,
};
use crate::model::{AppId, Filter, KeyId, SegmentId, WorkspaceId};
use crate::store::StoreError;
use crate::store::published::State;

/// A kind of record, as rows name it.
trait Kind: Record + Serialize + DeserializeOwned {
    const KIND: u8;
}

impl Kind for WorkspaceRecord {
    const KIND: u8 = 1;
}

impl Kind for AppRecord {
    const KIND: u8 = 2;
}

impl Kind for KeyRecord {
    const KIND: u8 = 3;
}

impl Kind for SegmentRecord {
    const KIND: u8 = 4;
}

/// Not one of the catalog's kinds: no such row is ever there.
const FORGETTING: u8 = 0;

#[derive(Debug, Row, Serialize, Deserialize)]
struct CatalogRow {
    kind: u8,
    id: String,
    version: u64,
    deleted: u8,
    content: String,
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct KeyUse {
    id: String,
    at: i64,
}

/// What every stored item has besides its record.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<R> {
    /// The version with which it was created: the order of creation.
    since: u64,
    #[serde(flatten)]
    record: R,
    /// What alone says in rows of earlier versions that a segment is tracked.
    #[serde(default, skip_serializing)]
    series: Option<u64>,
}

/// A segment that is tracked, as far as counting goes.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) segment: SegmentId,
    pub(super) filter: Filter,
}

/// The catalog at one moment, as the store's other rooms need it.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) catalog: Arc<Catalog>,
    /// Workspaces by app.
    pub(super) apps: BTreeMap<AppId, WorkspaceId>,
    pub(super) rules: Vec<Rule>,
    pub(super) left_out: Vec<LeftOut>,
    /// The highest version of a row.
    pub(super) version: u64,
}

impl State for Snapshot {
    type Version = u64;

    fn version(&self) -> u64 {
        self.version
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Snapshot {
    /// The rule of a segment that is tracked.
    pub(super) fn rule(&self, id: SegmentId) -> Result<&Rule, StoreError> {
        let rule = self.rules.iter().find(|rule| rule.segment == id);
        rule.ok_or_else(|| StoreError::unknown("tracked segment", id))
    }

    /// The apps of a workspace, in the order in which they were created.
    pub(super) fn apps_of(&self, workspace: WorkspaceId) -> impl Iterator<Item = AppId> + '_ {
        let apps = self.catalog.workspace(workspace).map(|entry| &entry.apps);
        apps.into_iter().flatten().map(|app| app.id)
    }
}

/// The rows of the catalog.
#[derive(Debug, Default)]
struct Rows {
    records: Records,
    /// When each record was created, by id.
    since: HashMap<String, u64>,
    /// Segments of which rows of earlier versions say that they are tracked.
    tracked: HashSet<String>,
    /// The highest version of a row.
    version: u64,
    /// Rows to be written.
    written: Vec<CatalogRow>,
}

impl Rows {
    async fn load(engine: &Engine) -> Result<Self, StoreError> {
        let database = &engine.address().database;
        let sql = format!(
            "SELECT kind, id, max(version) AS newest, argMax(deleted, version), argMax(content, version) \
             FROM {database}.catalog GROUP BY kind, id"
        );
        let stored: Vec<CatalogRow> = engine.rows(&sql).await?;
        let uses: Vec<KeyUse> = engine
            .rows(&format!(
                "SELECT id, max(at) AS latest FROM {database}.key_uses GROUP BY id"
            ))
            .await?;
        let mut rows = Self {
            version: stored.iter().map(|row| row.version).max().unwrap_or(0),
            ..Self::default()
        };
        let (live, _): (Vec<_>, Vec<_>) = stored.into_iter().partition(|row| row.deleted == 0);
        rows.read::<WorkspaceRecord>(&live);
        rows.read::<AppRecord>(&live);
        rows.read::<KeyRecord>(&live);
        rows.read::<SegmentRecord>(&live);
        let unknown = live.iter().filter(|row| row.kind > SegmentRecord::KIND);
        rows.records.unreadable.extend(unknown.map(|row| LeftOut {
            noun: "entry",
            id: row.id.clone(),
            why: format!("it has the unknown kind {}", row.kind),
        }));
        for segment in &mut rows.records.segments {
            segment.tracked |= rows.tracked.contains(&segment.id);
        }
        let uses: HashMap<String, i64> = uses.into_iter().map(|item| (item.id, item.at)).collect();
        for key in &mut rows.records.keys {
            key.last_used_at = key.last_used_at.max(uses.get(&key.id).copied());
        }
        Ok(rows)
    }

    /// Reads the records of one kind, in the order of their creation. What is no record to this version is left out.
    fn read<R: Kind>(&mut self, live: &[CatalogRow]) {
        let mut items = Vec::new();
        for row in live.iter().filter(|row| row.kind == R::KIND) {
            match serde_json::from_str::<Stored<R>>(&row.content) {
                Ok(item) => items.push(item),
                Err(error) => self.records.unreadable.push(LeftOut {
                    noun: R::NOUN,
                    id: row.id.clone(),
                    why: error.to_string(),
                }),
            }
        }
        items.sort_by_key(|item| item.since);
        for item in items {
            let id = item.record.id();
            self.since.insert(id.to_owned(), item.since);
            self.tracked.extend(item.series.map(|_| id.to_owned()));
            R::all_mut(&mut self.records).push(item.record);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (catalog, left_out) = Catalog::new(&self.records);
        let entries = || catalog.workspaces().iter();
        let apps = entries().flat_map(|entry| entry.apps.iter().map(|app| (app.id, entry.workspace.id)));
        let tracked = entries()
            .flat_map(|entry| &entry.segments)
            .filter(|segment| segment.tracked);
        let rules = tracked.map(|segment| Rule {
            segment: segment.id,
            filter: segment.filter.clone(),
        });
        Snapshot {
            apps: apps.collect(),
            rules: rules.collect(),
            catalog: Arc::new(catalog),
            left_out,
            version: self.version,
        }
    }

    /// Makes a change, which is still to be written.
    fn change(&mut self, change: Change) -> Result<Changed, StoreError> {
        let (records, changed) = change.apply(std::mem::take(&mut self.records), now())?;
        self.records = records;
        self.save(&changed.saved.workspaces)?;
        self.save(&changed.saved.apps)?;
        self.save(&changed.saved.keys)?;
        self.save(&changed.saved.segments)?;
        self.remove(&changed.removed.segments);
        self.remove(&changed.removed.keys);
        self.remove(&changed.removed.apps);
        self.remove(&changed.removed.workspaces);
        Ok(changed)
    }

    fn save<R: Kind>(&mut self, records: &[R]) -> Result<(), StoreError> {
        for record in records {
            let id = record.id();
            let next = self.version + 1;
            let item = Stored {
                since: *self.since.entry(id.to_owned()).or_insert(next),
                record: record.clone(),
                series: None,
            };
            let content =
                serde_json::to_string(&item).map_err(|error| StoreError::Unusable(error.to_string()))?;
            self.write(R::KIND, id, Some(content));
        }
        Ok(())
    }

    fn remove<R: Kind>(&mut self, records: &[R]) {
        for record in records {
            self.write(R::KIND, record.id(), None);
        }
    }

    fn write(&mut self, kind: u8, id: &str, content: Option<String>) {
        self.version += 1;
        self.written.push(CatalogRow {
            kind,
            id: id.to_owned(),
            version: self.version,
            deleted: content.is_none().into(),
            content: content.unwrap_or_default(),
        });
    }
}

/// Reads the catalog.
pub(super) async fn load(engine: &Engine) -> Result<Snapshot, StoreError> {
    Ok(Rows::load(engine).await?.snapshot())
}

/// Reads everything in it.
pub(super) async fn records(engine: &Engine) -> Result<Records, StoreError> {
    Ok(Rows::load(engine).await?.records)
}

/// Rows as columns of literals.
fn columns(rows: &[CatalogRow]) -> [(&'static str, String); 5] {
    let column = |column: &dyn Fn(&CatalogRow) -> String| list(rows.iter().map(column));
    [
        ("kind", column(&|row| format!("toUInt8({})", row.kind))),
        ("id", column(&|row| quoted(&row.id))),
        ("version", column(&|row| format!("toUInt64({})", row.version))),
        ("deleted", column(&|row| format!("toUInt8({})", row.deleted))),
        ("content", column(&|row| quoted(&row.content))),
    ]
}

/// Changes the catalog, one process at a time; what is different, and the state after it.
pub(super) async fn change(engine: &Engine, change: Change) -> Result<(Changed, Snapshot), StoreError> {
    lock::with(engine, "catalog", async |held| {
        let mut rows = Rows::load(engine).await?;
        let before = rows.version;
        let changed = rows.change(change)?;
        if !rows.written.is_empty() {
            let versions = (before, rows.version);
            held.write(Table::Catalog, versions, &columns(&rows.written))
                .await?;
        }
        Ok((changed, rows.snapshot()))
    })
    .await
}

/// Has every process forget what it remembers of persons. A row that is gone already changes nothing but the version.
pub(super) async fn note_forgetting(engine: &Engine) -> Result<(), StoreError> {
    lock::with(engine, "catalog", async |held| {
        let mut rows = Rows::load(engine).await?;
        let before = rows.version;
        rows.write(FORGETTING, "forgetting", None);
        let versions = (before, rows.version);
        held.write(Table::Catalog, versions, &columns(&rows.written))
            .await
    })
    .await
}

/// Notes when keys were last used.
pub(super) async fn note_key_use(engine: &Engine, uses: Vec<(KeyId, i64)>) -> Result<(), StoreError> {
    let uses = uses.into_iter();
    let rows: Vec<KeyUse> = uses
        .map(|(key, at)| KeyUse {
            id: key.to_string(),
            at,
        })
        .collect();
    engine.insert(Table::KeyUses, &rows).await
}

/// The highest version of the catalog: a small table, unlike that of users.
pub(super) async fn version(engine: &Engine) -> Result<u64, StoreError> {
    let database = &engine.address().database;
    let sql = format!("SELECT max(version) AS newest FROM {database}.catalog");
    let rows: Vec<u64> = engine.rows_soon(&sql).await?;
    Ok(rows.first().copied().unwrap_or_default())
}

/// The highest versions of the catalog and of users' attributes.
pub(super) async fn versions(engine: &Engine) -> Result<(u64, u64), StoreError> {
    let database = &engine.address().database;
    let sql = format!(
        "SELECT toUInt8(1) AS what, max(version) AS newest FROM {database}.catalog \
         UNION ALL SELECT toUInt8(2) AS what, max(version) AS newest FROM {database}.users"
    );
    let rows: Vec<(u8, u64)> = engine.rows_soon(&sql).await?;
    let newest = |what| rows.iter().find(|row| row.0 == what).map_or(0, |row| row.1);
    Ok((newest(1), newest(2)))
}
