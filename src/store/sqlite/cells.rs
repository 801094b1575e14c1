//! The rows of `counters`: how many sessions of an app started in a quarter hour, everyone's and each segment's.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::StoreError;

/// Numbers a segment's counters; given out anew whenever a segment is counted from the start.
pub(super) type SeriesNumber = u32;

/// A series and a number of sessions.
pub(super) type Cell = (SeriesNumber, u32);

/// What one transaction adds to one row.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    /// Ordinal of the app's workspace.
    pub(super) workspace: i64,
    /// Ordinal of the app.
    pub(super) app: i64,
    /// Unix seconds / 900.
    pub(super) quarter: i64,
    /// New sessions.
    pub(super) sessions: u32,
    /// New sessions of segments, by series, ascending.
    pub(super) segments: Vec<Cell>,
}

/// The cells of the column `segments`.
pub(super) fn read(blob: &[u8]) -> impl Iterator<Item = Cell> + '_ {
    blob.as_chunks::<8>()
        .0
        .iter()
        .map(|&[a, b, c, d, e, f, g, h]| (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

/// Adds cells, ascending, to a column; leaves out series that no segment has any more.
fn merged(blob: &[u8], added: &[Cell], is_live: impl Fn(SeriesNumber) -> bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(blob.len() + added.len() * 8);
    let mut push = |(series, sessions): Cell| {
        if is_live(series) {
            bytes.extend_from_slice(&series.to_le_bytes());
            bytes.extend_from_slice(&sessions.to_le_bytes());
        }
    };
    let mut added = added.iter().copied().peekable();
    for (series, sessions) in read(blob) {
        while let Some(new) = added.next_if(|(new, _)| *new < series) {
            push(new);
        }
        let more = added
            .next_if(|(new, _)| *new == series)
            .map_or(0, |(_, more)| more);
        push((series, sessions.saturating_add(more)));
    }
    added.for_each(push);
    bytes
}

/// Writes what a transaction adds.
pub(super) fn add(
    connection: &Connection,
    deltas: &[Delta],
    is_live: impl Fn(SeriesNumber) -> bool,
) -> Result<(), StoreError> {
    let mut add = connection.prepare_cached(include_str!("sql/add_to_counter.sql"))?;
    let mut look =
        connection.prepare_cached("SELECT segments FROM counters WHERE app = ?1 AND quarter = ?2")?;
    let mut replace = connection.prepare_cached(include_str!("sql/add_to_segments.sql"))?;
    for delta in deltas {
        let Delta {
            app,
            quarter,
            sessions,
            segments,
            ..
        } = delta;
        if segments.is_empty() {
            add.execute(params![app, quarter, sessions])?;
            continue;
        }
        let cells = look
            .query_row(params![app, quarter], |row| {
                let blob = row.get_ref(0)?.as_blob()?;
                Ok(merged(blob, segments, &is_live))
            })
            .optional()?;
        let cells = cells.unwrap_or_else(|| merged(&[], segments, &is_live));
        replace.execute(params![app, quarter, sessions, cells])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_add_up_and_dead_series_go(
            old in prop::collection::btree_map(0_u32..20, 1_u32..1000, 0..12),
            new in prop::collection::btree_map(0_u32..20, 1_u32..1000, 0..12),
            live in 0_u32..1 << 20,
        ) {
            let is_live = |series: u32| live >> series & 1 == 1;
            let cells = |map: &BTreeMap<u32, u32>| map.iter().map(|(series, n)| (*series, *n)).collect::<Vec<_>>();
            let blob = merged(&[], &cells(&old), |_| true);
            let sum: BTreeMap<u32, u32> = (0..20)
                .filter(|series| is_live(*series))
                .map(|series| (series, old.get(&series).unwrap_or(&0) + new.get(&series).unwrap_or(&0)))
                .filter(|(_, sum)| *sum > 0)
                .collect();
            prop_assert_eq!(read(&merged(&blob, &cells(&new), is_live)).collect::<Vec<_>>(), cells(&sum));
        }
    }
}
