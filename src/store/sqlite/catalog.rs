//! The catalog's tables: read whole into memory, changed one row at a time.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::de::DeserializeOwned;

use super::cells::SeriesNumber;
use super::counters::Counters;
use super::segments;
use crate::model::{
    ApiKey, App, AppId, DEFAULT_SEGMENT_LIMIT, KeyHash, KeyId, Millis, NewKey, NewWorkspace, Permissions,
    RateLimits, SegmentId, Tracking, Workspace, WorkspaceId,
};
use crate::series::Zone;
use crate::store::{Catalog, RateLimitChange, StoreError, WorkspaceEntry};

/// The catalog with the ordinals by which sessions refer to it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) catalog: Arc<Catalog>,
    /// Ordinals of the app and of its workspace.
    pub(super) apps: HashMap<AppId, (i64, i64)>,
    workspaces: HashMap<WorkspaceId, i64>,
    /// Counters of segments; `None` while they are not complete.
    segments: HashMap<SegmentId, Option<SeriesNumber>>,
    /// `meta.catalog_seq` of this state.
    pub(super) seq: i64,
}

/// The newest snapshot that this process has, for everyone who answers or records.
#[derive(Debug)]
pub(super) struct Published(ArcSwap<Snapshot>);

impl Published {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    pub(super) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// For whoever keeps it longer.
    pub(super) fn load_full(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Reads the catalog and publishes it, unless a newer one was published meanwhile.
    pub(super) fn reload(&self, connection: &Connection, counters: &Counters) -> Result<(), StoreError> {
        let newer = Arc::new(Snapshot::load(connection)?);
        self.0.rcu(|held| {
            if held.seq < newer.seq {
                newer.clone()
            } else {
                held.clone()
            }
        });
        let snapshot = self.load();
        counters.drop_dead(|series| snapshot.segments.values().any(|live| *live == Some(series)));
        Ok(())
    }
}

impl Snapshot {
    /// The ordinal of a workspace.
    pub(super) fn workspace(&self, id: WorkspaceId) -> Result<i64, StoreError> {
        let ordinal = self.workspaces.get(&id).copied();
        ordinal.ok_or_else(|| StoreError::unknown("workspace", id))
    }

    /// The counters of a segment, once they are complete.
    pub(super) fn series(&self, id: SegmentId) -> Result<SeriesNumber, StoreError> {
        match self.segments.get(&id) {
            Some(series) => series.ok_or_else(StoreError::not_counted),
            None => Err(StoreError::unknown("segment", id)),
        }
    }

    /// Whether a segment's past is to be counted.
    pub(super) fn waits_for_counting(&self) -> bool {
        self.catalog
            .workspaces()
            .iter()
            .flat_map(|entry| &entry.segments)
            .any(|segment| segment.tracking == Tracking::Counting)
    }

    /// Reads the catalog in one consistent state.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let seq = transaction.query_row("SELECT catalog_seq FROM meta", [], |row| row.get(0))?;
        let workspaces = read(
            &transaction,
            "SELECT ordinal, id, name, time_zone, export_limit, recording_limit, segment_limit FROM workspaces ORDER BY ordinal",
            workspace,
        )?;
        let apps = read(
            &transaction,
            "SELECT ordinal, workspace, id, name, platform FROM apps ORDER BY ordinal",
            app,
        )?;
        let keys = read(
            &transaction,
            "SELECT workspace, id, name, hash, permissions, allow, revoked_at, last_used_at FROM api_keys ORDER BY ordinal",
            key,
        )?;
        let segments = segments::load(&transaction)?;
        let app_ordinals = apps
            .iter()
            .map(|(ordinal, workspace, app)| (app.id, (*ordinal, *workspace)))
            .collect();
        let workspace_ordinals = workspaces
            .iter()
            .map(|(ordinal, workspace)| (workspace.id, *ordinal))
            .collect();
        let hashes: Vec<(KeyHash, KeyId)> = keys
            .iter()
            .filter(|(_, key, _)| !key.revoked)
            .map(|(_, key, hash)| (*hash, key.id))
            .collect();
        let series = segments
            .iter()
            .map(|stored| (stored.segment.id, stored.series))
            .collect();
        let mut segments_of = group(
            segments
                .into_iter()
                .map(|stored| (stored.workspace, stored.segment)),
        );
        let mut apps_of = group(apps.into_iter().map(|(_, workspace, app)| (workspace, app)));
        let mut keys_of = group(keys.into_iter().map(|(workspace, key, _)| (workspace, key)));
        let entries = workspaces
            .into_iter()
            .map(|(ordinal, workspace)| {
                let zone = Zone::new(&workspace.time_zone).ok_or_else(|| {
                    StoreError::Unusable(format!(
                        "workspace {} has the unknown time zone {}",
                        workspace.name, workspace.time_zone
                    ))
                })?;
                Ok(WorkspaceEntry {
                    workspace,
                    zone,
                    apps: apps_of.remove(&ordinal).unwrap_or_default(),
                    keys: keys_of.remove(&ordinal).unwrap_or_default(),
                    segments: segments_of.remove(&ordinal).unwrap_or_default(),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Self {
            catalog: Arc::new(Catalog::new(entries, hashes)),
            apps: app_ordinals,
            workspaces: workspace_ordinals,
            segments: series,
            seq,
        })
    }
}

fn group<T>(items: impl Iterator<Item = (i64, T)>) -> HashMap<i64, Vec<T>> {
    let mut groups: HashMap<i64, Vec<T>> = HashMap::new();
    for (owner, item) in items {
        groups.entry(owner).or_default().push(item);
    }
    groups
}

pub(super) fn read<T>(
    connection: &Connection,
    sql: &str,
    row: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut items = Vec::new();
    while let Some(found) = rows.next()? {
        items.push(row(found)?);
    }
    Ok(items)
}

/// A stored text as one of our types; what doesn't read is damage, not bad input.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_| StoreError::damaged(format!("'{text}' in column {column}")))
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::damaged(format!("'{text}' in column {column}")))
}

fn workspace(row: &Row<'_>) -> Result<(i64, Workspace), StoreError> {
    let workspace = Workspace {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        time_zone: row.get("time_zone")?,
        rate_limits: RateLimits {
            export: unsigned(row.get("export_limit")?),
            recording: unsigned(row.get("recording_limit")?),
        },
        segment_limit: row.get("segment_limit")?,
    };
    Ok((row.get("ordinal")?, workspace))
}

fn app(row: &Row<'_>) -> Result<(i64, i64, App), StoreError> {
    let app = App {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        platform: row.get("platform")?,
    };
    Ok((row.get("ordinal")?, row.get("workspace")?, app))
}

fn key(row: &Row<'_>) -> Result<(i64, ApiKey, KeyHash), StoreError> {
    let names: Vec<String> = json(row, "permissions")?;
    let hash: Vec<u8> = row.get("hash")?;
    let hash =
        KeyHash::from_bytes(&hash).ok_or_else(|| StoreError::damaged("a key's hash is not 32 bytes long"))?;
    let key = ApiKey {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        permissions: Permissions::parse(names.iter().map(String::as_str)).map_err(StoreError::damaged)?,
        allow: json(row, "allow")?,
        revoked: row.get::<_, Option<i64>>("revoked_at")?.is_some(),
        last_used_at: row.get("last_used_at")?,
    };
    Ok((row.get("workspace")?, key, hash))
}

pub(super) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

pub(super) fn signed(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn as_json(list: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Ids are unique on the whole server, whatever they name.
pub(super) fn claim_id(transaction: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    let taken: Option<String> = transaction
        .query_row(
            "SELECT 'workspace' FROM workspaces WHERE id = ?1
             UNION ALL SELECT 'app' FROM apps WHERE id = ?1
             UNION ALL SELECT 'key' FROM api_keys WHERE id = ?1
             UNION ALL SELECT 'segment' FROM segments WHERE id = ?1",
            [id],
            |row| row.get(0),
        )
        .optional()?;
    match taken {
        Some(kind) => Err(StoreError::id_taken(id, &kind)),
        None => Ok(()),
    }
}

pub(super) fn claim_name(
    transaction: &Transaction<'_>,
    sql: &str,
    workspace: i64,
    noun: &str,
    name: &str,
) -> Result<(), StoreError> {
    match transaction.prepare(sql)?.exists(params![workspace, name])? {
        true => Err(StoreError::name_taken(noun, name)),
        false => Ok(()),
    }
}

pub(super) fn ordinal(transaction: &Transaction<'_>, workspace: WorkspaceId) -> Result<i64, StoreError> {
    transaction
        .query_row(
            "SELECT ordinal FROM workspaces WHERE id = ?1",
            [workspace.to_string()],
            |row| row.get(0),
        )
        .optional()?
        .ok_or_else(|| StoreError::unknown("workspace", workspace))
}

pub(super) fn create_workspace(
    transaction: &Transaction<'_>,
    new: &NewWorkspace,
    now: Millis,
) -> Result<Workspace, StoreError> {
    let id = new.id.to_string();
    claim_id(transaction, &id)?;
    claim_name(
        transaction,
        "SELECT 1 FROM workspaces WHERE ?1 = 0 AND name = ?2",
        0,
        "workspace",
        new.name.as_str(),
    )?;
    let rate_limits = RateLimits::default();
    transaction.execute(
        "INSERT INTO workspaces (id, name, time_zone, export_limit, recording_limit, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            id,
            new.name.as_str(),
            new.time_zone,
            signed(rate_limits.export),
            signed(rate_limits.recording),
            now
        ],
    )?;
    Ok(Workspace {
        id: new.id,
        name: new.name.clone(),
        time_zone: new.time_zone.clone(),
        rate_limits,
        segment_limit: DEFAULT_SEGMENT_LIMIT,
    })
}

pub(super) fn set_time_zone(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    time_zone: &str,
) -> Result<(), StoreError> {
    let ordinal = ordinal(transaction, workspace)?;
    transaction.execute(
        "UPDATE workspaces SET time_zone = ?2 WHERE ordinal = ?1",
        params![ordinal, time_zone],
    )?;
    Ok(())
}

pub(super) fn set_rate_limits(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    change: RateLimitChange,
) -> Result<(), StoreError> {
    let ordinal = ordinal(transaction, workspace)?;
    transaction.execute(
        "UPDATE workspaces SET export_limit = COALESCE(?2, export_limit),
                               recording_limit = COALESCE(?3, recording_limit)
         WHERE ordinal = ?1",
        params![ordinal, change.export.map(signed), change.recording.map(signed)],
    )?;
    Ok(())
}

pub(super) fn create_app(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    new: &App,
    now: Millis,
) -> Result<(), StoreError> {
    let workspace = ordinal(transaction, workspace)?;
    let id = new.id.to_string();
    claim_id(transaction, &id)?;
    let same_name = "SELECT 1 FROM apps WHERE workspace = ?1 AND name = ?2";
    claim_name(transaction, same_name, workspace, "app", new.name.as_str())?;
    transaction.execute(
        "INSERT INTO apps (id, workspace, name, platform, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, workspace, new.name.as_str(), new.platform, now],
    )?;
    Ok(())
}

pub(super) fn create_key(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    new: &NewKey,
    now: Millis,
) -> Result<(), StoreError> {
    let workspace = ordinal(transaction, workspace)?;
    let id = new.id.to_string();
    claim_id(transaction, &id)?;
    let same_name = "SELECT 1 FROM api_keys WHERE workspace = ?1 AND name = ?2 AND revoked_at IS NULL";
    claim_name(transaction, same_name, workspace, "key", new.name.as_str())?;
    transaction.execute(
        "INSERT INTO api_keys (id, workspace, name, hash, permissions, allow, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            workspace,
            new.name.as_str(),
            new.hash.as_bytes(),
            as_json(&new.permissions.names())?,
            as_json(&new.allow)?,
            now
        ],
    )?;
    Ok(())
}

pub(super) fn revoke_key(transaction: &Transaction<'_>, key: KeyId, now: Millis) -> Result<(), StoreError> {
    let changed = transaction.execute(
        "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ?2) WHERE id = ?1",
        params![key.to_string(), now],
    )?;
    match changed {
        0 => Err(StoreError::unknown("key", key)),
        _ => Ok(()),
    }
}

pub(super) fn note_key_use(
    transaction: &Transaction<'_>,
    uses: &[(KeyId, Millis)],
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE api_keys SET last_used_at = MAX(COALESCE(last_used_at, 0), ?2) WHERE id = ?1",
    )?;
    for (key, used_at) in uses {
        statement.execute(params![key.to_string(), used_at])?;
    }
    Ok(())
}
