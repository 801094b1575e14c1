//! Recounts what is derived from the sessions.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};

use super::counters::QUARTER;
use crate::model::AppId;
use crate::store::{Mismatch, StoreError, Verification};

const REPORTED: usize = 100;

type Counter = (i64, i64, i64);

/// Walks every session in one consistent state, beside a writing server.
pub(super) fn verify(connection: &Connection) -> Result<Verification, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut found = Verification {
        damages: damages(&transaction)?,
        ..Verification::default()
    };
    compare_counters(&transaction, &mut found)?;
    Ok(found)
}

fn damages(transaction: &Transaction<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = transaction.prepare("PRAGMA integrity_check(100)")?;
    let mut damages = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    damages.retain(|line| line != "ok");
    let mut statement = transaction.prepare("PRAGMA foreign_key_check")?;
    let dangling = statement.query_map([], |row| Ok((row.get(0)?, row.get(2)?)))?;
    for row in dangling {
        let (table, parent): (String, String) = row?;
        damages.push(format!(
            "a row of {table} refers to a row of {parent} that does not exist"
        ));
    }
    let references = [
        (
            "app",
            "SELECT COUNT(*) FROM sessions WHERE app NOT IN (SELECT ordinal FROM apps)",
        ),
        (
            "user",
            "SELECT COUNT(*) FROM sessions WHERE user IS NOT NULL AND user NOT IN (SELECT ordinal FROM identities)",
        ),
        (
            "device",
            "SELECT COUNT(*) FROM sessions WHERE device IS NOT NULL AND device NOT IN (SELECT ordinal FROM identities)",
        ),
        (
            "combination of properties",
            "SELECT COUNT(*) FROM sessions WHERE properties NOT IN (SELECT ordinal FROM properties)",
        ),
    ];
    for (noun, sql) in references {
        let dangling: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
        if dangling > 0 {
            damages.push(format!("{dangling} sessions name a {noun} that does not exist"));
        }
    }
    Ok(damages)
}

/// Merges the two ordered lists: what the counters say and what the sessions say.
fn compare_counters(transaction: &Transaction<'_>, found: &mut Verification) -> Result<(), StoreError> {
    let apps = apps(transaction)?;
    let mut kept = transaction
        .prepare("SELECT app, quarter, sessions FROM counters WHERE segment = 0 ORDER BY app, quarter")?;
    let mut kept = kept.query_map([], counter)?;
    let mut actual = transaction.prepare(include_str!("sql/count_from_sessions.sql"))?;
    let mut actual = actual.query_map([], counter)?;
    let mut left = kept.next().transpose()?;
    let mut right = actual.next().transpose()?;
    loop {
        let key = |side: Option<Counter>| side.map(|(app, quarter, _)| (app, quarter));
        let Some(at) = [key(left), key(right)].into_iter().flatten().min() else {
            return Ok(());
        };
        let take = |side: &mut Option<Counter>, rows: &mut dyn Iterator<Item = rusqlite::Result<Counter>>| {
            let matches = key(*side) == Some(at);
            let sessions = side.filter(|_| matches).map_or(0, |(_, _, sessions)| sessions);
            if matches {
                *side = rows.next().transpose()?;
            }
            Ok::<u64, StoreError>(u64::try_from(sessions).unwrap_or_default())
        };
        let counted = take(&mut left, &mut kept)?;
        let recorded = take(&mut right, &mut actual)?;
        found.counters += 1;
        found.sessions += recorded;
        if counted != recorded && found.mismatches.len() < REPORTED {
            match apps.get(&at.0) {
                Some(app) => found.mismatches.push(Mismatch {
                    app: *app,
                    quarter: at.1 * QUARTER,
                    counted,
                    recorded,
                }),
                None => found
                    .damages
                    .push(format!("counters of app number {}, which does not exist", at.0)),
            }
        }
    }
}

fn counter(row: &rusqlite::Row<'_>) -> rusqlite::Result<Counter> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn apps(transaction: &Transaction<'_>) -> Result<HashMap<i64, AppId>, StoreError> {
    let mut statement = transaction.prepare("SELECT ordinal, id FROM apps")?;
    let mut rows = statement.query([])?;
    let mut apps = HashMap::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(1)?;
        let id = id
            .parse()
            .map_err(|_| StoreError::Unusable(format!("the store is damaged: '{id}' is no app id")))?;
        apps.insert(row.get(0)?, id);
    }
    Ok(apps)
}
