//! Reads everything and recounts what is derived from the sessions, beside a writing server.
//!
//! Each part is read in one consistent state, and that is let go before the next: the journal can be moved into the
//! database meanwhile. The recount goes from day to day, and a day is consistent in itself.

use std::path::Path;

use rusqlite::Connection;

use super::catalog::Snapshot;
use super::derived::{self, Recount};
use super::{recovery, schema};
use crate::model::{is_stored_attributes, is_stored_properties};
use crate::store::{StoreError, Verification};

/// Damages of one kind that are listed.
const LISTED: usize = 20;
/// Texts that are read in one transaction.
const TEXTS: u32 = 20_000;

/// Reads one part of the store; what is damaged in it, in words.
type Part = fn(&Connection) -> Result<Vec<String>, StoreError>;
/// What a column holds, a query for it, and whether a text is one.
type Texts = (&'static str, &'static str, fn(&str) -> bool);

/// See the module. What can't be read is named, and the rest is read all the same.
pub(super) fn verify(
    connection: &Connection,
    file: &Path,
    progress: &dyn Fn(u64),
) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    found.damages.extend(kept_journals(file));
    let parts: [Part; 5] = [structure, schema::differences, catalog, references, texts];
    for part in parts {
        match part(connection) {
            Ok(damages) => found.damages.extend(damages),
            Err(error) => note(error, &mut found)?,
        }
    }
    if let Err(error) = recount(connection, &mut found, progress) {
        note(error, &mut found)?;
    }
    found.damages.dedup();
    Ok(found)
}

/// Damage is what is looked for; everything else ends it.
fn note(error: StoreError, found: &mut Verification) -> Result<(), StoreError> {
    match error {
        StoreError::Unusable(damage) => found.damages.push(damage),
        other => return Err(other),
    }
    Ok(())
}

fn kept_journals(file: &Path) -> impl Iterator<Item = String> {
    recovery::kept(file).into_iter().map(|kept| {
        format!(
            "{} is a journal that was damaged when the store was opened after a crash; transactions in it could not be \
             read. Remove it once what it held was delivered again or is not missed",
            kept.display()
        )
    })
}

fn structure(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut damages = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    damages.retain(|line| line != "ok");
    damages
        .iter_mut()
        .for_each(|line| *line = line.replace('\n', " "));
    Ok(damages)
}

/// What is there must read as what it is.
fn catalog(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let snapshot = Snapshot::load(connection)?;
    Ok(snapshot.left_out.iter().map(ToString::to_string).collect())
}

fn references(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut damages = Vec::new();
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let dangling = statement.query_map([], |row| Ok((row.get(0)?, row.get(2)?)))?;
    for row in dangling.take(LISTED) {
        let (table, parent): (String, String) = row?;
        damages.push(format!(
            "a row of {table} refers to a row of {parent} that does not exist"
        ));
    }
    let references = [
        (
            "sessions name an app that does not exist",
            "SELECT COUNT(*) FROM sessions WHERE app NOT IN (SELECT ordinal FROM apps)",
        ),
        (
            "sessions name a user that does not exist",
            "SELECT COUNT(*) FROM sessions WHERE user IS NOT NULL AND user NOT IN (SELECT ordinal FROM identities)",
        ),
        (
            "sessions name a device that does not exist",
            "SELECT COUNT(*) FROM sessions WHERE device IS NOT NULL AND device NOT IN (SELECT ordinal FROM identities)",
        ),
        (
            "sessions name a combination of properties that does not exist",
            "SELECT COUNT(*) FROM sessions WHERE properties NOT IN (SELECT ordinal FROM properties)",
        ),
        (
            "users have attributes that do not exist",
            "SELECT COUNT(*) FROM identities WHERE attributes IS NOT NULL AND attributes NOT IN (SELECT ordinal FROM attribute_sets)",
        ),
    ];
    for (what, sql) in references {
        let dangling: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if dangling > 0 {
            damages.push(format!("{dangling} {what}"));
        }
    }
    Ok(damages)
}

/// Combinations of properties and of attributes must be what this program writes.
fn texts(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut damages = Vec::new();
    let tables: [Texts; 3] = [
        (
            "user or device",
            "SELECT ordinal, COALESCE(value, 'forgotten') FROM identities WHERE ordinal > ?1 ORDER BY ordinal LIMIT ?2",
            |id| !id.is_empty(),
        ),
        (
            "combination of properties",
            "SELECT ordinal, content FROM properties WHERE ordinal > ?1 ORDER BY ordinal LIMIT ?2",
            is_stored_properties,
        ),
        (
            "combination of users' attributes",
            "SELECT ordinal, content FROM attribute_sets WHERE ordinal > ?1 ORDER BY ordinal LIMIT ?2",
            is_stored_attributes,
        ),
    ];
    for (noun, sql, is_readable) in tables {
        let mut last = i64::MIN;
        loop {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query((last, TEXTS))?;
            let mut more = false;
            while let Some(row) = rows.next()? {
                more = true;
                last = row.get(0)?;
                let readable = row.get_ref(1)?.as_str().is_ok_and(is_readable);
                if !readable && damages.len() < LISTED {
                    damages.push(format!("{noun} number {last} can't be read"));
                }
            }
            if !more {
                break;
            }
        }
    }
    Ok(damages)
}

fn recount(
    connection: &Connection,
    found: &mut Verification,
    progress: &dyn Fn(u64),
) -> Result<(), StoreError> {
    let mut recount = Recount::default();
    // More may come meanwhile.
    let days: i64 = connection.query_row("SELECT COUNT(*) FROM days", [], |row| row.get(0))?;
    let (mut day, mut compared) = (derived::FIRST, 0_i64);
    while let Some(next) = derived::next_day(connection, day)? {
        recount.compare(connection, next, found)?;
        day = next;
        compared += 1;
        let percent = (compared * 100 / days.max(1)).min(100);
        progress(percent.unsigned_abs());
    }
    Ok(())
}
