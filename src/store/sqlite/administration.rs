//! Changes of workspaces, apps, keys and segments.

use std::path::Path;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::batch::Batch;
use super::{days, now, recovery, removing, rows};
use crate::catalog::{Change, Records};
use crate::model::{AppId, KeyId, Millis, WorkspaceId};
use crate::store::StoreError;

/// Makes a change in the store that lies in `file`; whether anything is different now.
pub(super) fn change(transaction: &Transaction<'_>, change: Change, file: &Path) -> Result<bool, StoreError> {
    let records = rows::read(transaction)?;
    let was_empty = records.workspaces.is_empty();
    let (_, changed) = change.apply(records, now())?;
    if was_empty && !changed.saved.workspaces.is_empty() {
        recovery::check_founding(file)?;
    }
    remove(transaction, &changed.removed)?;
    rows::save(transaction, &changed.saved)?;
    Ok(!changed.is_empty())
}

fn remove(transaction: &Transaction<'_>, removed: &Records) -> Result<(), StoreError> {
    for workspace in &removed.workspaces {
        remove_workspace(transaction, &workspace.id)?;
    }
    for app in &removed.apps {
        let ordinal = "SELECT ordinal FROM apps WHERE id = ?1";
        let found: Option<i64> = transaction
            .query_row(ordinal, [&app.id], |row| row.get(0))
            .optional()?;
        found.map_or(Ok(()), |app| removing::remove_app(transaction, app))?;
    }
    for key in &removed.keys {
        transaction.execute("DELETE FROM api_keys WHERE id = ?1", [&key.id])?;
    }
    for segment in &removed.segments {
        transaction.execute("DELETE FROM segments WHERE id = ?1", [&segment.id])?;
    }
    if !removed.workspaces.is_empty() || !removed.apps.is_empty() {
        // Writers remember people by numbers that may be given again.
        transaction.execute("UPDATE meta SET people_seq = people_seq + 1", [])?;
    }
    Ok(())
}

/// Removes a workspace with all that is in it, also what this version can't read.
fn remove_workspace(transaction: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    let ordinal: i64 =
        transaction.query_row("SELECT ordinal FROM workspaces WHERE id = ?1", [id], |row| {
            row.get(0)
        })?;
    let apps: Vec<i64> = {
        let mut statement = transaction.prepare("SELECT ordinal FROM apps WHERE workspace = ?1")?;
        let apps = statement.query_map([ordinal], |row| row.get(0))?;
        apps.collect::<Result<_, _>>()?
    };
    for app in apps {
        removing::remove_app(transaction, app)?;
    }
    // The number may be given again: nobody of this workspace must be found under it.
    let forget = "UPDATE identities SET value = NULL, attributes = NULL WHERE workspace = ?1";
    transaction.execute(forget, [ordinal])?;
    for table in ["segments", "api_keys"] {
        let delete = format!("DELETE FROM {table} WHERE workspace = ?1");
        transaction.execute(&delete, [ordinal])?;
    }
    transaction.execute("DELETE FROM workspaces WHERE ordinal = ?1", [ordinal])?;
    Ok(())
}

/// Notes when keys were last used.
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

/// What a batch refers to may have been deleted since it was prepared, and its number given to another app. Or its days are about
/// to be sealed, or are: then another process changed the retention a moment ago, and the same sessions are refused by their
/// date when they come again. Another store's sessions are taken as long as the day is not sealed.
pub(super) fn check_apps(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT a.id, w.sealed_before FROM apps a JOIN workspaces w ON w.ordinal = a.workspace WHERE a.ordinal = ?1",
    )?;
    let mut checked = None;
    for (row, delivery) in batch.by_key() {
        let (app, day) = row.of;
        let sealed_before = match checked {
            Some((known, sealed_before)) if known == app => sealed_before,
            _ => {
                let found: Option<(String, i64)> = statement
                    .query_row([app], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                let found = found.filter(|(id, _)| *id == delivery.session.app().to_string());
                let (_, sealed_before) = found.ok_or_else(StoreError::changed_meanwhile)?;
                checked = Some((app, sealed_before));
                sealed_before
            }
        };
        if day < sealed_before && (!row.is_adopted || days::is_sealed(transaction, row.of)?) {
            return Err(StoreError::changed_meanwhile());
        }
    }
    Ok(())
}

/// The same of an app whose sessions are not there.
pub(super) fn check_app(transaction: &Transaction<'_>, app: AppId, expected: i64) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached("SELECT 1 FROM apps WHERE ordinal = ?1 AND id = ?2")?;
    if statement.exists(params![expected, app.to_string()])? {
        return Ok(());
    }
    Err(StoreError::changed_meanwhile())
}

/// The same of a workspace.
pub(super) fn check_workspace(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    expected: i64,
) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT 1 FROM workspaces WHERE ordinal = ?1 AND id = ?2")?;
    if statement.exists(params![expected, workspace.to_string()])? {
        return Ok(());
    }
    Err(StoreError::changed_meanwhile())
}
