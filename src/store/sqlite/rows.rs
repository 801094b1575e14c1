//! The catalog's tables as records: read whole, saved one by one.

use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::catalog::{AppRecord, KeyRecord, LeftOut, Record, Records, SegmentRecord, WorkspaceRecord};
use crate::store::StoreError;

/// Reads all of them, in the state that the connection sees.
pub(super) fn read(connection: &Connection) -> Result<Records, StoreError> {
    let mut records = Records::default();
    let workspaces = "SELECT * FROM workspaces ORDER BY ordinal";
    read_all(connection, workspaces, workspace, &mut records)?;
    read_all(connection, &owned("apps"), app, &mut records)?;
    read_all(connection, &owned("api_keys"), key, &mut records)?;
    read_all(connection, &owned("segments"), segment, &mut records)?;
    Ok(records)
}

/// Rows with the ids of their workspaces.
fn owned(table: &str) -> String {
    format!(
        "SELECT t.*, w.id AS owner FROM {table} t JOIN workspaces w ON w.ordinal = t.workspace ORDER BY t.ordinal"
    )
}

/// A row that is no record to this version is left out.
fn read_all<R: Record>(
    connection: &Connection,
    sql: &str,
    record: fn(&Row<'_>) -> Result<R, StoreError>,
    records: &mut Records,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match record(row) {
            Ok(record) => R::all_mut(records).push(record),
            Err(StoreError::Unusable(why)) => records.unreadable.push(LeftOut {
                noun: R::NOUN,
                id: row.get("id").unwrap_or_else(|_| "without an id".into()),
                why,
            }),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::damaged(format!("'{text}' in column {column}")))
}

fn limit(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    let limit: i64 = row.get(column)?;
    u64::try_from(limit).map_err(|_| StoreError::damaged(format!("{limit} in column {column}")))
}

fn workspace(row: &Row<'_>) -> Result<WorkspaceRecord, StoreError> {
    Ok(WorkspaceRecord {
        id: row.get("id")?,
        name: row.get("name")?,
        time_zone: row.get("time_zone")?,
        export_limit: limit(row, "export_limit")?,
        recording_limit: limit(row, "recording_limit")?,
        segment_limit: row.get("segment_limit")?,
        retention_days: row.get("retention_days")?,
        sealed_before: row.get("sealed_before")?,
        first_weekday: row.get("first_weekday")?,
        created_at: row.get("created_at")?,
    })
}

fn app(row: &Row<'_>) -> Result<AppRecord, StoreError> {
    Ok(AppRecord {
        id: row.get("id")?,
        workspace: row.get("owner")?,
        name: row.get("name")?,
        platform: row.get("platform")?,
        created_at: row.get("created_at")?,
    })
}

fn key(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        id: row.get("id")?,
        workspace: row.get("owner")?,
        name: row.get("name")?,
        hash: row.get("hash")?,
        permissions: json(row, "permissions")?,
        allow: json(row, "allow")?,
        created_at: row.get("created_at")?,
        revoked_at: row.get("revoked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}

fn segment(row: &Row<'_>) -> Result<SegmentRecord, StoreError> {
    Ok(SegmentRecord {
        id: row.get("id")?,
        workspace: row.get("owner")?,
        name: row.get("name")?,
        description: row.get("description")?,
        tags: json(row, "tags")?,
        filter: row.get("filter")?,
        tracked: row.get("tracked")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn as_json(list: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// What is greater than the column holds is no limit to anybody.
fn stored(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Adds records, or replaces those with their ids.
pub(super) fn save(connection: &Connection, records: &Records) -> Result<(), StoreError> {
    for workspace in &records.workspaces {
        connection.execute(
            include_str!("sql/save_workspace.sql"),
            params![
                workspace.id,
                workspace.name,
                workspace.time_zone,
                stored(workspace.export_limit),
                stored(workspace.recording_limit),
                workspace.segment_limit,
                workspace.retention_days,
                workspace.sealed_before,
                workspace.first_weekday,
                workspace.created_at
            ],
        )?;
    }
    for app in &records.apps {
        connection.execute(
            include_str!("sql/save_app.sql"),
            params![app.id, app.workspace, app.name, app.platform, app.created_at],
        )?;
        let last = "UPDATE meta SET last_app = MAX(last_app, (SELECT MAX(ordinal) FROM apps))";
        connection.execute(last, [])?;
    }
    for key in &records.keys {
        connection.execute(
            include_str!("sql/save_key.sql"),
            params![
                key.id,
                key.workspace,
                key.name,
                key.hash,
                as_json(&key.permissions)?,
                as_json(&key.allow)?,
                key.created_at,
                key.revoked_at,
                key.last_used_at
            ],
        )?;
    }
    for segment in &records.segments {
        connection.execute(
            include_str!("sql/save_segment.sql"),
            params![
                segment.id,
                segment.workspace,
                segment.name,
                segment.description,
                as_json(&segment.tags)?,
                segment.filter,
                segment.tracked,
                segment.created_at,
                segment.updated_at
            ],
        )?;
    }
    Ok(())
}
