//! What another store takes over, and how this one takes over another's.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use tokio::sync::mpsc::Sender;

use super::catalog::{as_json, json, parsed, read, signed, unsigned};
use super::segments;
use crate::store::StoreError;
use crate::store::records::{AppRecord, KeyRecord, Records, SegmentRecord, UserRecord, WorkspaceRecord};

/// Users handed out at a time.
const BATCH: usize = 5_000;

/// The catalog, as of one moment.
pub(super) fn records(connection: &Connection) -> Result<Records, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    Ok(Records {
        workspaces: read(
            &transaction,
            "SELECT * FROM workspaces ORDER BY ordinal",
            workspace,
        )?,
        apps: read(
            &transaction,
            "SELECT a.*, w.id AS owner FROM apps a JOIN workspaces w ON w.ordinal = a.workspace ORDER BY a.ordinal",
            app,
        )?,
        keys: read(
            &transaction,
            "SELECT k.*, w.id AS owner FROM api_keys k JOIN workspaces w ON w.ordinal = k.workspace ORDER BY k.ordinal",
            key,
        )?,
        segments: read(
            &transaction,
            "SELECT s.*, w.id AS owner FROM segments s JOIN workspaces w ON w.ordinal = s.workspace ORDER BY s.ordinal",
            segment,
        )?,
    })
}

fn workspace(row: &Row<'_>) -> Result<WorkspaceRecord, StoreError> {
    Ok(WorkspaceRecord {
        id: row.get("id")?,
        name: row.get("name")?,
        time_zone: row.get("time_zone")?,
        export_limit: unsigned(row.get("export_limit")?),
        recording_limit: unsigned(row.get("recording_limit")?),
        segment_limit: row.get("segment_limit")?,
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
    let state: i64 = row.get("state")?;
    Ok(SegmentRecord {
        id: row.get("id")?,
        workspace: row.get("owner")?,
        name: row.get("name")?,
        description: row.get("description")?,
        tags: json(row, "tags")?,
        filter: row.get("filter")?,
        tracked: state > 0,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Returns when everything is handed out, or nobody receives any more.
pub(super) fn users(connection: &Connection, batches: &Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare(include_str!("sql/users_with_attributes.sql"))?;
    let mut rows = statement.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        batch.push(UserRecord {
            workspace: parsed(row, "workspace")?,
            user_id: row.get("user_id")?,
            attributes: row.get("attributes")?,
        });
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// Takes over another store's catalog; what has the same id becomes what it is there.
pub(super) fn adopt(transaction: &Transaction<'_>, records: &Records) -> Result<(), StoreError> {
    for workspace in &records.workspaces {
        transaction.execute(
            include_str!("sql/adopt_workspace.sql"),
            params![
                workspace.id,
                workspace.name,
                workspace.time_zone,
                signed(workspace.export_limit),
                signed(workspace.recording_limit),
                workspace.segment_limit,
                workspace.created_at
            ],
        )?;
    }
    for app in &records.apps {
        transaction.execute(
            include_str!("sql/adopt_app.sql"),
            params![app.id, app.workspace, app.name, app.platform, app.created_at],
        )?;
    }
    for key in &records.keys {
        transaction.execute(
            include_str!("sql/adopt_key.sql"),
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
        adopt_segment(transaction, segment)?;
    }
    Ok(())
}

fn adopt_segment(transaction: &Transaction<'_>, segment: &SegmentRecord) -> Result<(), StoreError> {
    let known: Option<(String, bool)> = transaction
        .query_row(
            "SELECT filter, state > 0 FROM segments WHERE id = ?1",
            [&segment.id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    transaction.execute(
        include_str!("sql/adopt_segment.sql"),
        params![
            segment.id,
            segment.workspace,
            segment.name,
            segment.description,
            as_json(&segment.tags)?,
            segment.filter,
            segment.created_at,
            segment.updated_at
        ],
    )?;
    let was_tracked = known.as_ref().is_some_and(|(_, tracked)| *tracked);
    let is_same = known.is_some_and(|(filter, _)| filter == segment.filter);
    match segment.tracked {
        true if !(was_tracked && is_same) => segments::wait(transaction, &segment.id),
        false if was_tracked => segments::untrack(transaction, &segment.id),
        _ => Ok(()),
    }
}
