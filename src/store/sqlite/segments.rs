//! The segments' table.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::catalog::{as_json, claim_id, claim_name, json, ordinal, parsed, read, unsigned};
use super::cells::SeriesNumber;
use crate::model::{
    Filter, Millis, NewSegment, Segment, SegmentChange, SegmentId, SegmentNotes, Tracking, WorkspaceId,
};
use crate::store::{Counting, StoreError};

const OFF: i64 = 0;
const WAITING: i64 = 1;
const COUNTED: i64 = 3;

/// A segment as the store has it.
pub(super) struct StoredSegment {
    /// Ordinal of its workspace.
    pub(super) workspace: i64,
    pub(super) segment: Segment,
    /// Its counters, if they are complete.
    pub(super) series: Option<SeriesNumber>,
}

/// All segments, oldest first.
pub(super) fn load(connection: &Connection) -> Result<Vec<StoredSegment>, StoreError> {
    read(
        connection,
        "SELECT workspace, id, name, description, tags, filter, state, series, created_at, updated_at FROM segments ORDER BY ordinal",
        segment,
    )
}

fn segment(row: &Row<'_>) -> Result<StoredSegment, StoreError> {
    let state: i64 = row.get("state")?;
    let notes =
        SegmentNotes::new(row.get("description")?, json(row, "tags")?).map_err(StoreError::damaged)?;
    let segment = Segment {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        notes,
        filter: parsed(row, "filter")?,
        tracking: match state {
            OFF => Tracking::Off,
            COUNTED => Tracking::On,
            _ => Tracking::Counting,
        },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    };
    let series: Option<SeriesNumber> = row.get("series")?;
    Ok(StoredSegment {
        workspace: row.get("workspace")?,
        segment,
        series: series.filter(|_| state == COUNTED),
    })
}

/// Whether these counters are complete in the state that is being read.
pub(super) fn is_counted(connection: &Connection, series: SeriesNumber) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM segments WHERE series = ?1 AND state = 3")?;
    Ok(statement.exists([series])?)
}

/// How far counting has come: of one segment, or of all.
pub(super) fn counting(connection: &Connection, id: Option<SegmentId>) -> Result<Counting, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let (segments, begun): (i64, bool) = transaction
        .prepare_cached(
            "SELECT COUNT(*), COALESCE(MAX(state), 0) = 2 FROM segments WHERE state IN (1, 2) AND (?1 IS NULL OR id = ?1)",
        )?
        .query_row([id.map(|id| id.to_string())], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (done, total): (i64, i64) = transaction
        .prepare_cached("SELECT done, total FROM pass")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Counting {
        segments: unsigned(segments),
        done: if begun { unsigned(done) } else { 0 },
        total: unsigned(total),
    })
}

pub(super) fn create(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    new: &NewSegment,
    now: Millis,
) -> Result<(), StoreError> {
    let workspace = ordinal(transaction, workspace)?;
    let id = new.id.to_string();
    claim_id(transaction, &id)?;
    claim_segment_name(transaction, workspace, new.name.as_str())?;
    transaction.execute(
        "INSERT INTO segments (id, workspace, name, description, tags, filter, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        params![
            id,
            workspace,
            new.name.as_str(),
            new.notes.description(),
            as_json(&new.notes.tags())?,
            new.filter.to_json(),
            OFF,
            now
        ],
    )?;
    if new.track {
        track(transaction, workspace, &id)?;
    }
    Ok(())
}

pub(super) fn change(
    transaction: &Transaction<'_>,
    id: SegmentId,
    change: &SegmentChange,
    now: Millis,
) -> Result<(), StoreError> {
    let id = id.to_string();
    let found: Option<(i64, String, String, i64)> = transaction
        .query_row(
            "SELECT workspace, name, filter, state FROM segments WHERE id = ?1",
            [&id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let (workspace, name, filter, state) = found.ok_or_else(|| StoreError::unknown("segment", &id))?;
    if let Some(new) = change
        .name
        .as_ref()
        .map(|new| new.as_str())
        .filter(|new| *new != name)
    {
        claim_segment_name(transaction, workspace, new)?;
        transaction.execute("UPDATE segments SET name = ?2 WHERE id = ?1", params![id, new])?;
    }
    if let Some(notes) = &change.notes {
        transaction.execute(
            "UPDATE segments SET description = ?2, tags = ?3 WHERE id = ?1",
            params![id, notes.description(), as_json(&notes.tags())?],
        )?;
    }
    let new_filter = change
        .filter
        .as_ref()
        .map(Filter::to_json)
        .filter(|new| *new != filter);
    if let Some(new) = &new_filter {
        transaction.execute("UPDATE segments SET filter = ?2 WHERE id = ?1", params![id, new])?;
    }
    match (change.track, state != OFF) {
        (Some(false), true) => untrack(transaction, &id)?,
        (Some(true), false) => track(transaction, workspace, &id)?,
        (None | Some(true), true) if new_filter.is_some() => wait(transaction, &id)?,
        _ => {}
    }
    transaction.execute(
        "UPDATE segments SET updated_at = ?2 WHERE id = ?1",
        params![id, now],
    )?;
    Ok(())
}

pub(super) fn delete(transaction: &Transaction<'_>, id: SegmentId) -> Result<(), StoreError> {
    let id = id.to_string();
    if transaction.execute("DELETE FROM segments WHERE id = ?1", [&id])? == 0 {
        return Err(StoreError::unknown("segment", &id));
    }
    changed(transaction)
}

pub(super) fn set_limit(
    transaction: &Transaction<'_>,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<(), StoreError> {
    let workspace = ordinal(transaction, workspace)?;
    transaction.execute(
        "UPDATE workspaces SET segment_limit = ?2 WHERE ordinal = ?1",
        params![workspace, limit],
    )?;
    Ok(())
}

fn claim_segment_name(transaction: &Transaction<'_>, workspace: i64, name: &str) -> Result<(), StoreError> {
    let same_name = "SELECT 1 FROM segments WHERE workspace = ?1 AND name = ?2";
    claim_name(transaction, same_name, workspace, "segment", name)
}

/// Turns tracking on, if the workspace may have one more.
fn track(transaction: &Transaction<'_>, workspace: i64, id: &str) -> Result<(), StoreError> {
    let (limit, tracked): (u32, u32) = transaction.query_row(
        "SELECT segment_limit, (SELECT COUNT(*) FROM segments WHERE workspace = ?1 AND state > 0)
         FROM workspaces WHERE ordinal = ?1",
        [workspace],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if tracked >= limit {
        return Err(StoreError::too_many_tracked(tracked, limit));
    }
    wait(transaction, id)
}

/// The segment gets counters that nobody had before, and waits for its past to be counted.
pub(super) fn wait(transaction: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    let series: SeriesNumber = transaction.query_row(
        "UPDATE meta SET last_series = last_series + 1 RETURNING last_series",
        [],
        |row| row.get(0),
    )?;
    transaction.execute(
        "UPDATE segments SET state = ?2, series = ?3 WHERE id = ?1",
        params![id, WAITING, series],
    )?;
    changed(transaction)
}

pub(super) fn untrack(transaction: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE segments SET state = ?2, series = NULL WHERE id = ?1",
        params![id, OFF],
    )?;
    changed(transaction)
}

/// Writers read anew which sessions count for which segment.
pub(super) fn changed(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute("UPDATE meta SET segments_seq = segments_seq + 1", [])?;
    Ok(())
}
