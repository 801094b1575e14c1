//! Deleting apps with their sessions: some days after the other, so that nobody waits for long and the journal stays small,
//! and in the end the app.

use rusqlite::{Connection, Transaction, params};

use super::days::AppDay;
use crate::rollup::{Label, Totals};
use crate::store::StoreError;

/// Sessions after which a transaction ends; a day is never divided.
const SESSIONS: usize = 20_000;
/// Days after which it ends.
const DAYS: usize = 500;
/// What lies in the store by app and day, sessions first.
const BY_DAY: [&str; 3] = ["sessions", "day_cells", "day_people"];

/// Removes what some of an app's days hold, sessions or a sealed rollup, and gives these days the number `after`; none where no day
/// holds anything any more.
/// The days' rows stay, so that other processes notice that they are empty now.
pub(super) fn empty_some_days(
    transaction: &Transaction<'_>,
    app: i64,
    after: i64,
) -> Result<Vec<AppDay>, StoreError> {
    let mut next = transaction.prepare_cached(
        "SELECT MIN(day) FROM (
             SELECT MIN(day) AS day FROM sessions WHERE app = ?1 AND day > ?2
             UNION ALL SELECT MIN(day) FROM days WHERE app = ?1 AND day > ?2 AND sealed = 1
         )",
    )?;
    let (mut emptied, mut sessions, mut last) = (Vec::new(), 0, i64::MIN);
    while sessions < SESSIONS && emptied.len() < DAYS {
        let day: Option<i64> = next.query_row([app, last], |row| row.get(0))?;
        let Some(day) = day else {
            break;
        };
        sessions += empty(transaction, (app, day), after)?;
        emptied.push((app, day));
        last = day;
    }
    Ok(emptied)
}

/// Removes the sessions of a day; how many.
fn empty(transaction: &Transaction<'_>, (app, day): AppDay, after: i64) -> Result<usize, StoreError> {
    let mut sessions = 0;
    for table in BY_DAY {
        let delete = format!("DELETE FROM {table} WHERE app = ?1 AND day = ?2");
        let removed = transaction.prepare_cached(&delete)?.execute([app, day])?;
        sessions = sessions.max(removed);
    }
    let label = Label { app, day, seq: after };
    transaction
        .prepare_cached("UPDATE days SET seq = ?3, totals = ?4, sealed = 0 WHERE app = ?1 AND day = ?2")?
        .execute(params![app, day, after, Totals::default().encode(label)])?;
    Ok(sessions)
}

/// Removes everything that refers to an app, and the app.
pub(super) fn remove_app(connection: &Connection, app: i64) -> Result<(), StoreError> {
    for table in BY_DAY.iter().chain(&["days"]) {
        connection.execute(&format!("DELETE FROM {table} WHERE app = ?1"), [app])?;
    }
    connection.execute("DELETE FROM apps WHERE ordinal = ?1", [app])?;
    Ok(())
}
