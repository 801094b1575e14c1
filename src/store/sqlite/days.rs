//! The rows of `days`: sessions of a day of an app by quarter hour, and the commit that changed them last.

use rusqlite::{Connection, Row, params};

use super::in_range;
use super::log::Cell;
use crate::rollup::{Label, Totals};
use crate::store::StoreError;

/// Ordinal of an app, and days since 1970-01-01.
pub(super) type AppDay = (i64, i64);

/// A row.
#[derive(Debug, Clone, Copy)]
pub(super) struct DayRow {
    pub(super) day: i64,
    pub(super) seq: i64,
    /// Whether its sessions are gone, and its rollup is the truth.
    pub(super) is_sealed: bool,
    pub(super) totals: Totals,
}

impl DayRow {
    /// Of columns `app, day, seq, totals, sealed`.
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (app, day, seq) = (row.get(0)?, in_range::day(row.get(1)?)?, row.get(2)?);
        let blob = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let totals = Totals::decode(blob, Label { app, day, seq })
            .map_err(|error| StoreError::damaged(format!("day {day} of app number {app}: {error}")))?;
        Ok(Self {
            day,
            seq,
            is_sealed: row.get(4)?,
            totals,
        })
    }
}

/// Adds the new sessions of a transaction to a day's row and gives it the transaction's number; the number it had, 0 where
/// there was no row.
pub(super) fn add(
    connection: &Connection,
    (app, day): AppDay,
    cells: &[Cell],
    after: i64,
) -> Result<i64, StoreError> {
    let known = get(connection, (app, day))?;
    let mut totals = known.map_or_else(Totals::default, |row| row.totals);
    for cell in cells {
        totals.add(cell.quarter, cell.sessions);
    }
    let label = Label { app, day, seq: after };
    connection
        .prepare_cached(
            "INSERT INTO days (app, day, seq, totals) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, totals = excluded.totals",
        )?
        .execute(params![app, day, after, totals.encode(label)])?;
    Ok(known.map_or(0, |row| row.seq))
}

/// Whether the sessions of a day are gone, and its rollup is the truth.
pub(super) fn is_sealed(connection: &Connection, (app, day): AppDay) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM days WHERE app = ?1 AND day = ?2 AND sealed = 1")?;
    Ok(statement.exists([app, day])?)
}

/// Gives a day that another store has sealed its row, whatever it had.
pub(super) fn adopt_sealed(
    connection: &Connection,
    (app, day): AppDay,
    totals: &Totals,
    seq: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO days (app, day, seq, sealed, totals) VALUES (?1, ?2, ?3, 1, ?4)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, sealed = 1, totals = excluded.totals",
        )?
        .execute(params![app, day, seq, totals.encode(Label { app, day, seq })])?;
    Ok(())
}

/// The row of a day; none where it has no sessions.
pub(super) fn get(connection: &Connection, (app, day): AppDay) -> Result<Option<DayRow>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT app, day, seq, totals, sealed FROM days WHERE app = ?1 AND day = ?2")?;
    let mut rows = statement.query([app, day])?;
    rows.next()?.map(DayRow::read).transpose()
}

/// Hands over every row of an app, in the order of the days.
pub(super) fn each_of_app(
    connection: &Connection,
    app: i64,
    mut each: impl FnMut(DayRow),
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT app, day, seq, totals, sealed FROM days WHERE app = ?1 ORDER BY day")?;
    let mut rows = statement.query([app])?;
    while let Some(row) = rows.next()? {
        each(DayRow::read(row)?);
    }
    Ok(())
}

/// Days that were changed after a commit, with their numbers, and the newest commit that this state contains.
pub(super) fn changed_since(
    connection: &Connection,
    seq: i64,
) -> Result<(Vec<(AppDay, i64)>, i64), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let newest = transaction.query_row("SELECT commit_seq FROM meta", [], |row| row.get(0))?;
    let mut statement = transaction.prepare_cached("SELECT app, day, seq FROM days WHERE seq > ?1")?;
    let rows = statement.query_map([seq], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok((rows.collect::<Result<_, _>>()?, newest))
}
