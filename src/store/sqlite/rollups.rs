//! Rollups of days: built of the day's sessions, kept in tables of their own with the number of what they counted.

use std::cmp::Ordering;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows, Transaction, params};
use uuid::Uuid;

use super::days::{self, AppDay};
use crate::rollup::{Builder, Cells, People, Rollup};
use crate::store::StoreError;

/// Days of fewer sessions have no rollup: reading their rows is as fast.
pub(super) const WORTHWHILE: u64 = 256;

/// A rollup as it is kept.
#[derive(Debug, Clone)]
pub(super) struct KeptRollup {
    pub(super) of: AppDay,
    pub(super) seq: i64,
    pub(super) cells: Vec<u8>,
    pub(super) people: Vec<u8>,
}

impl KeptRollup {
    pub(super) fn new(of: AppDay, seq: i64, rollup: &Rollup) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        Ok(Self {
            of,
            seq,
            cells: rollup.cells.encode().map_err(failed)?,
            people: rollup.people.encode().map_err(failed)?,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.cells.len() + self.people.len()
    }
}

/// Keeps rollups, each only over one that is no newer.
pub(super) fn keep(transaction: &Transaction<'_>, rollups: &[KeptRollup]) -> Result<(), StoreError> {
    for rollup in rollups {
        let (app, day) = rollup.of;
        for (sql, content) in [
            (
                "INSERT INTO day_cells (app, day, seq, content) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, content = excluded.content WHERE excluded.seq >= seq",
                &rollup.cells,
            ),
            (
                "INSERT INTO day_people (app, day, seq, content) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, content = excluded.content WHERE excluded.seq >= seq",
                &rollup.people,
            ),
        ] {
            transaction
                .prepare_cached(sql)?
                .execute(params![app, day, rollup.seq, content])?;
        }
    }
    Ok(())
}

/// Keeps a rollup in the place of whatever is there, which only damage makes newer.
pub(super) fn replace(transaction: &Transaction<'_>, rollup: &KeptRollup) -> Result<(), StoreError> {
    let (app, day) = rollup.of;
    for sql in [
        "DELETE FROM day_cells WHERE app = ?1 AND day = ?2",
        "DELETE FROM day_people WHERE app = ?1 AND day = ?2",
    ] {
        transaction.prepare_cached(sql)?.execute([app, day])?;
    }
    keep(transaction, std::slice::from_ref(rollup))
}

const CELLS: &str = "SELECT content FROM day_cells WHERE app = ?1 AND day = ?2 AND seq = ?3";
const PEOPLE: &str = "SELECT content FROM day_people WHERE app = ?1 AND day = ?2 AND seq = ?3";

/// The kept cells of a day in a state; none where there are none of that state, or they can't be read: they are built
/// again then.
pub(super) fn kept_cells(connection: &Connection, of: AppDay, seq: i64) -> Result<Option<Cells>, StoreError> {
    kept(connection, CELLS, of, seq, |bytes| {
        Cells::decode(bytes).map_err(|error| error.to_string())
    })
}

/// The same of the day's people.
pub(super) fn kept_people(
    connection: &Connection,
    of: AppDay,
    seq: i64,
) -> Result<Option<People>, StoreError> {
    kept(connection, PEOPLE, of, seq, |bytes| {
        People::decode(bytes).map_err(|error| error.to_string())
    })
}

/// The rollup of a sealed day, which nothing else has.
///
/// # Errors
/// [`StoreError::Unusable`] where it is not there.
pub(super) fn sealed(connection: &Connection, of: AppDay, seq: i64) -> Result<Rollup, StoreError> {
    let cells = kept_cells(connection, of, seq)?;
    let people = kept_people(connection, of, seq)?;
    let (cells, people) = cells.zip(people).ok_or_else(|| lost(of))?;
    Ok(Rollup { cells, people })
}

fn kept<T>(
    connection: &Connection,
    sql: &str,
    (app, day): AppDay,
    seq: i64,
    decode: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([app, day, seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let blob = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
    match decode(blob) {
        Ok(content) => Ok(Some(content)),
        Err(error) => {
            tracing::warn!(%error, app, day, "the rollup of a day can't be read; it is built again if its sessions are there");
            Ok(None)
        }
    }
}

/// A day whose sessions are worth a rollup, and of which none is kept.
pub(super) struct Missing {
    /// Ordinal of the app's workspace.
    pub(super) workspace: i64,
    pub(super) of: AppDay,
    pub(super) sessions: u64,
}

/// Such days that were changed by a commit after `seq`, at most `limit` of those that `wanted` says yes to.
pub(super) fn missing(
    connection: &Connection,
    seq: i64,
    limit: usize,
    wanted: impl Fn(AppDay) -> bool,
) -> Result<Vec<Missing>, StoreError> {
    let mut statement = connection.prepare_cached(include_str!("sql/days_without_rollup.sql"))?;
    let mut rows = statement.query([seq])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()?
        && found.len() < limit
    {
        let of = (row.get(1)?, row.get(2)?);
        let blob = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        // A row that can't be read is a matter of whoever answers from it.
        let totals = crate::rollup::Totals::decode_unchecked(blob).unwrap_or_default();
        let sessions = totals.sessions();
        if sessions >= WORTHWHILE && wanted(of) {
            found.push(Missing {
                workspace: row.get(0)?,
                of,
                sessions,
            });
        }
    }
    Ok(found)
}

/// What is wrong with a sealed day that has no rollup.
pub(super) fn lost((app, day): AppDay) -> StoreError {
    StoreError::damaged(format!(
        "the rollup of day {day} of app number {app}, whose sessions retention removed, is missing or can't be read"
    ))
}

/// Builds the rollup of a day of its sessions.
///
/// # Errors
/// [`StoreError::Unusable`] for a sealed day, which has none.
pub(super) fn build(connection: &Connection, of: AppDay) -> Result<Rollup, StoreError> {
    if days::is_sealed(connection, of)? {
        return Err(lost(of));
    }
    let mut builder = Builder::default();
    each_session(connection, of, |session| {
        builder.push(session.start, session.person, session.combination);
        Ok(())
    })?;
    Ok(builder.finish())
}

/// The cells of a day that has too few sessions for a rollup, of its rows, and the day's number: one statement sees one
/// state, and there may be thousands of such days in an answer.
pub(super) fn count_few(connection: &Connection, (app, day): AppDay) -> Result<(i64, Cells), StoreError> {
    let mut builder = Builder::default();
    let mut statement = connection.prepare_cached(include_str!("sql/sessions_with_seq.sql"))?;
    let mut rows = statement.query([app, day])?;
    let mut seq = 0;
    while let Some(row) = rows.next()? {
        seq = row.get(3)?;
        if row.get(4)? {
            let cells = kept_cells(connection, (app, day), seq)?;
            return Ok((seq, cells.ok_or_else(|| lost((app, day)))?));
        }
        // A day that lost its sessions still has its row.
        if row.get_ref(0)? != ValueRef::Null {
            let session = Session::read(row)?;
            builder.push(session.start, session.person, session.combination);
        }
    }
    Ok((seq, builder.finish().cells))
}

/// A session as a rollup knows it.
struct Session {
    start: u32,
    person: u64,
    combination: u64,
}

impl Session {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let number = |at: usize| -> Result<i64, rusqlite::Error> { row.get(at) };
        let damaged = |_| StoreError::damaged("a session has a negative number");
        Ok(Self {
            start: u32::try_from(number(0)?).map_err(damaged)?,
            person: u64::try_from(number(1)?).map_err(damaged)?,
            combination: u64::try_from(number(2)?).map_err(damaged)?,
        })
    }
}

/// Hands over the sessions of a day in the order of their ids as texts, byte by byte. The table has texts before UUIDs, so
/// where a day has both they are merged.
fn each_session(
    connection: &Connection,
    (app, day): AppDay,
    mut each: impl FnMut(Session) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut texts = connection.prepare_cached(include_str!("sql/sessions_with_text_ids.sql"))?;
    let mut uuids = connection.prepare_cached(include_str!("sql/sessions_with_uuids.sql"))?;
    let (mut texts, mut uuids) = (texts.query([app, day])?, uuids.query([app, day])?);
    let mut text = with_id(&mut texts)?;
    if text.is_none() {
        while let Some(row) = uuids.next()? {
            each(Session::read(row)?)?;
        }
        return Ok(());
    }
    let mut uuid = with_id(&mut uuids)?;
    loop {
        let order = match (&text, &uuid) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let next = match order {
            Ordering::Less | Ordering::Equal => text.take(),
            Ordering::Greater => uuid.take(),
        };
        if let Some((_, session)) = next {
            each(session)?;
        }
        match order {
            Ordering::Less | Ordering::Equal => text = with_id(&mut texts)?,
            Ordering::Greater => uuid = with_id(&mut uuids)?,
        }
    }
}

/// The next session with its id as a text.
fn with_id(rows: &mut Rows<'_>) -> Result<Option<(Vec<u8>, Session)>, StoreError> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let id = match row.get_ref(3)? {
        ValueRef::Text(text) => text.to_vec(),
        ValueRef::Blob(bytes) => match Uuid::from_slice(bytes) {
            Ok(uuid) => uuid.hyphenated().to_string().into_bytes(),
            Err(_) => return Err(StoreError::damaged("a session id is neither a text nor a UUID")),
        },
        _ => return Err(StoreError::damaged("a session id is neither a text nor a UUID")),
    };
    Ok(Some((id, Session::read(row)?)))
}
