//! Workspaces, apps, keys and segments: read whole into memory; changed one at a time, under a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use clickhouse::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::lock;
use super::schema::Table;
use crate::model::{AppId, Filter, SegmentId, Tracking, WorkspaceId};
use crate::series::Zone;
use crate::store::records::{AppRecord, KeyRecord, Records, SegmentRecord, WorkspaceRecord};
use crate::store::{Catalog, StoreError, WorkspaceEntry};

/// Names a state of a segment's filter: counts of another state are of no use.
pub(super) type SeriesNumber = u64;
/// Everyone's.
pub(super) const EVERYONE: SeriesNumber = 0;

const WORKSPACE: u8 = 1;
const APP: u8 = 2;
const KEY: u8 = 3;
const SEGMENT: u8 = 4;

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
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored<T> {
    /// The version with which it was created: the order of creation.
    since: u64,
    #[serde(flatten)]
    record: T,
}

/// A segment with what is needed to count it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TrackedSegment {
    #[serde(flatten)]
    pub(super) record: SegmentRecord,
    /// Of its counts, while it is tracked.
    pub(super) series: Option<SeriesNumber>,
    /// Whether its past is counted.
    pub(super) counted: bool,
}

impl TrackedSegment {
    fn tracking(&self) -> Tracking {
        match (self.series, self.counted) {
            (None, _) => Tracking::Off,
            (Some(_), false) => Tracking::Counting,
            (Some(_), true) => Tracking::On,
        }
    }
}

/// A segment that is tracked, as far as counting goes.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) segment: SegmentId,
    pub(super) workspace: WorkspaceId,
    pub(super) series: SeriesNumber,
    pub(super) filter: Filter,
    pub(super) counted: bool,
}

/// The catalog at one moment, as the store's other rooms need it.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) catalog: Arc<Catalog>,
    /// Workspaces by app.
    pub(super) apps: BTreeMap<AppId, WorkspaceId>,
    pub(super) rules: Vec<Rule>,
    /// Segments that are not tracked as well.
    segments: HashMap<SegmentId, Option<SeriesNumber>>,
    /// The highest version of a row.
    pub(super) version: u64,
}

impl Snapshot {
    /// The rule of a segment whose past is counted.
    pub(super) fn counted(&self, id: SegmentId) -> Result<&Rule, StoreError> {
        if !self.segments.contains_key(&id) {
            return Err(StoreError::unknown("segment", id));
        }
        let rule = self.rules.iter().find(|rule| rule.segment == id && rule.counted);
        rule.ok_or_else(StoreError::not_counted)
    }

    /// The apps of a workspace, in the order in which they were created.
    pub(super) fn apps_of(&self, workspace: WorkspaceId) -> impl Iterator<Item = AppId> + '_ {
        let apps = self.catalog.workspace(workspace).map(|entry| &entry.apps);
        apps.into_iter().flatten().map(|app| app.id)
    }
}

/// The rows of the catalog, to be looked at and changed.
#[derive(Debug, Default)]
pub(super) struct Draft {
    workspaces: BTreeMap<String, Stored<WorkspaceRecord>>,
    apps: BTreeMap<String, Stored<AppRecord>>,
    keys: BTreeMap<String, Stored<KeyRecord>>,
    segments: BTreeMap<String, Stored<TrackedSegment>>,
    version: u64,
    written: Vec<CatalogRow>,
}

/// By creation.
fn in_order<T: Clone>(items: &BTreeMap<String, Stored<T>>) -> Vec<T> {
    let mut items: Vec<&Stored<T>> = items.values().collect();
    items.sort_by_key(|item| item.since);
    items.into_iter().map(|item| item.record.clone()).collect()
}

fn content<T: DeserializeOwned>(row: &CatalogRow) -> Result<T, StoreError> {
    serde_json::from_str(&row.content)
        .map_err(|error| StoreError::damaged(format!("row {} of the catalog: {error}", row.id)))
}

impl Draft {
    async fn load(engine: &Engine) -> Result<Self, StoreError> {
        let database = &engine.address().database;
        let sql = format!(
            "SELECT kind, id, max(version) AS newest, argMax(deleted, version), argMax(content, version) \
             FROM {database}.catalog GROUP BY kind, id"
        );
        let rows: Vec<CatalogRow> = engine.rows(&sql).await?;
        let uses: Vec<KeyUse> = engine
            .rows(&format!(
                "SELECT id, max(at) AS latest FROM {database}.key_uses GROUP BY id"
            ))
            .await?;
        let mut draft = Self::default();
        for row in &rows {
            draft.version = draft.version.max(row.version);
            let id = row.id.clone();
            match row.kind {
                _ if row.deleted == 1 => {}
                WORKSPACE => _ = draft.workspaces.insert(id, content(row)?),
                APP => _ = draft.apps.insert(id, content(row)?),
                KEY => _ = draft.keys.insert(id, content(row)?),
                SEGMENT => _ = draft.segments.insert(id, content(row)?),
                kind => {
                    return Err(StoreError::damaged(format!(
                        "a row of the catalog has the kind {kind}"
                    )));
                }
            }
        }
        for KeyUse { id, at } in uses {
            if let Some(key) = draft.keys.get_mut(&id) {
                key.record.last_used_at = key.record.last_used_at.max(Some(at));
            }
        }
        Ok(draft)
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let segments = in_order(&self.segments);
        let mut entries = Vec::new();
        for record in in_order(&self.workspaces) {
            let workspace = record.workspace()?;
            let zone = Zone::new(&workspace.time_zone).ok_or_else(|| {
                StoreError::Unusable(format!(
                    "workspace {} has the unknown time zone {}",
                    workspace.name, workspace.time_zone
                ))
            })?;
            let apps = in_order(&self.apps)
                .into_iter()
                .filter(|app| app.workspace == record.id);
            let keys = in_order(&self.keys)
                .into_iter()
                .filter(|key| key.workspace == record.id);
            let segments = segments
                .iter()
                .filter(|segment| segment.record.workspace == record.id);
            entries.push(WorkspaceEntry {
                workspace,
                zone,
                apps: apps.map(|app| app.app()).collect::<Result<_, _>>()?,
                keys: keys
                    .map(|key| Ok(key.key()?.0))
                    .collect::<Result<_, StoreError>>()?,
                segments: segments
                    .map(|segment| segment.record.segment(segment.tracking()))
                    .collect::<Result<_, _>>()?,
            });
        }
        let live = in_order(&self.keys)
            .into_iter()
            .filter(|key| key.revoked_at.is_none());
        let hashes = live
            .map(|key| key.key().map(|(key, hash)| (hash, key.id)))
            .collect::<Result<Vec<_>, _>>()?;
        let apps = entries
            .iter()
            .flat_map(|entry| entry.apps.iter().map(|app| (app.id, entry.workspace.id)))
            .collect();
        let mut rules = Vec::new();
        let mut known = HashMap::new();
        for entry in &entries {
            for segment in &entry.segments {
                let stored = self.segments.get(&segment.id.to_string());
                let series = stored.and_then(|stored| stored.record.series);
                known.insert(segment.id, series);
                rules.extend(series.map(|series| Rule {
                    segment: segment.id,
                    workspace: entry.workspace.id,
                    series,
                    filter: segment.filter.clone(),
                    counted: segment.tracking == Tracking::On,
                }));
            }
        }
        Ok(Snapshot {
            catalog: Arc::new(Catalog::new(entries, hashes)),
            apps,
            rules,
            segments: known,
            version: self.version,
        })
    }

    /// All of it, to be copied.
    pub(super) fn records(&self) -> Records {
        Records {
            workspaces: in_order(&self.workspaces),
            apps: in_order(&self.apps),
            keys: in_order(&self.keys),
            segments: in_order(&self.segments)
                .into_iter()
                .map(|segment| SegmentRecord {
                    tracked: segment.series.is_some(),
                    ..segment.record
                })
                .collect(),
        }
    }

    fn write<T: Serialize>(
        &mut self,
        kind: u8,
        id: &str,
        item: Option<&Stored<T>>,
    ) -> Result<(), StoreError> {
        self.version += 1;
        let content = match item {
            Some(item) => {
                serde_json::to_string(item).map_err(|error| StoreError::Unusable(error.to_string()))?
            }
            None => String::new(),
        };
        self.written.push(CatalogRow {
            kind,
            id: id.to_owned(),
            version: self.version,
            deleted: item.is_none().into(),
            content,
        });
        Ok(())
    }

    /// A series that nobody had before.
    pub(super) fn next_series(&self) -> SeriesNumber {
        // Versions are never given twice either, and 0 is everyone.
        self.version + 1
    }

    fn new_item<T>(&self, record: T) -> Stored<T> {
        Stored {
            since: self.version + 1,
            record,
        }
    }

    /// Ids are unique on the whole server, whatever they name.
    pub(super) fn claim_id(&self, id: &str) -> Result<(), StoreError> {
        let taken = [
            ("workspace", self.workspaces.contains_key(id)),
            ("app", self.apps.contains_key(id)),
            ("key", self.keys.contains_key(id)),
            ("segment", self.segments.contains_key(id)),
        ];
        match taken.iter().find(|(_, taken)| *taken) {
            Some((kind, _)) => Err(StoreError::id_taken(id, kind)),
            None => Ok(()),
        }
    }

    pub(super) fn workspaces(&self) -> impl Iterator<Item = &WorkspaceRecord> {
        self.workspaces.values().map(|item| &item.record)
    }

    pub(super) fn apps(&self) -> impl Iterator<Item = &AppRecord> {
        self.apps.values().map(|item| &item.record)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.values().map(|item| &item.record)
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &TrackedSegment> {
        self.segments.values().map(|item| &item.record)
    }

    /// The workspace, which must exist.
    pub(super) fn workspace(&self, id: &str) -> Result<WorkspaceRecord, StoreError> {
        let found = self.workspaces.get(id).map(|item| item.record.clone());
        found.ok_or_else(|| StoreError::unknown("workspace", id))
    }

    /// The key, which must exist.
    pub(super) fn key(&self, id: &str) -> Result<KeyRecord, StoreError> {
        let found = self.keys.get(id).map(|item| item.record.clone());
        found.ok_or_else(|| StoreError::unknown("key", id))
    }

    /// The segment, which must exist.
    pub(super) fn segment(&self, id: &str) -> Result<TrackedSegment, StoreError> {
        let found = self.segments.get(id).map(|item| item.record.clone());
        found.ok_or_else(|| StoreError::unknown("segment", id))
    }

    pub(super) fn put_workspace(&mut self, record: WorkspaceRecord) -> Result<(), StoreError> {
        let id = record.id.clone();
        let item = replaced(&self.workspaces, &id, self.new_item(record));
        self.write(WORKSPACE, &id, Some(&item))?;
        self.workspaces.insert(id, item);
        Ok(())
    }

    pub(super) fn put_app(&mut self, record: AppRecord) -> Result<(), StoreError> {
        let id = record.id.clone();
        let item = replaced(&self.apps, &id, self.new_item(record));
        self.write(APP, &id, Some(&item))?;
        self.apps.insert(id, item);
        Ok(())
    }

    pub(super) fn put_key(&mut self, record: KeyRecord) -> Result<(), StoreError> {
        let id = record.id.clone();
        let item = replaced(&self.keys, &id, self.new_item(record));
        self.write(KEY, &id, Some(&item))?;
        self.keys.insert(id, item);
        Ok(())
    }

    pub(super) fn put_segment(&mut self, segment: TrackedSegment) -> Result<(), StoreError> {
        let id = segment.record.id.clone();
        let item = replaced(&self.segments, &id, self.new_item(segment));
        self.write(SEGMENT, &id, Some(&item))?;
        self.segments.insert(id, item);
        Ok(())
    }

    pub(super) fn delete_segment(&mut self, id: &str) -> Result<(), StoreError> {
        self.segment(id)?;
        self.segments.remove(id);
        self.write::<TrackedSegment>(SEGMENT, id, None)
    }
}

/// What was there before keeps its place in the order.
fn replaced<T>(items: &BTreeMap<String, Stored<T>>, id: &str, new: Stored<T>) -> Stored<T> {
    let since = items.get(id).map_or(new.since, |old| old.since);
    Stored { since, ..new }
}

/// Reads the catalog.
pub(super) async fn load(engine: &Engine) -> Result<Snapshot, StoreError> {
    Draft::load(engine).await?.snapshot()
}

/// Reads everything in it.
pub(super) async fn records(engine: &Engine) -> Result<Records, StoreError> {
    Ok(Draft::load(engine).await?.records())
}

/// Changes the catalog, one process at a time; the state after it.
pub(super) async fn change<T>(
    engine: &Engine,
    change: impl FnOnce(&mut Draft) -> Result<T, StoreError> + Send,
) -> Result<(T, Snapshot), StoreError> {
    lock::with(engine, "catalog", async |held| {
        let mut draft = Draft::load(engine).await?;
        let value = change(&mut draft)?;
        let snapshot = draft.snapshot()?;
        held.check()?;
        engine.insert(Table::Catalog, &draft.written).await?;
        Ok((value, snapshot))
    })
    .await
}

/// Notes when keys were last used.
pub(super) async fn note_key_use(engine: &Engine, uses: Vec<(String, i64)>) -> Result<(), StoreError> {
    let rows: Vec<KeyUse> = uses.into_iter().map(|(id, at)| KeyUse { id, at }).collect();
    engine.insert(Table::KeyUses, &rows).await
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
