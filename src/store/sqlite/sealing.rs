//! Sealing: sessions of days that are older than the retention go, their rollups stay.
//!
//! Sessions of these days are refused before, in whatever process (`administration::check_apps`). A day is sealed in one
//! transaction: its rollup is kept, the day is marked, its sessions go. Its number stays, so that whatever is held of it goes
//! on to be good. A sealed day never has sessions, and its rollup is never built again.

use rusqlite::{Connection, Transaction, params};

use super::days::{self, AppDay};
use super::rollups::{self, KeptRollup};
use crate::store::{Sealing, StoreError};

/// Sessions after which a transaction ends; a day is never divided.
const SESSIONS: u64 = 20_000;
/// Days after which it ends.
const DAYS: u32 = 500;

/// Days of a workspace that are not sealed yet, in the order of apps and days.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Its ordinal.
    pub(super) workspace: i64,
    /// The first day that is not due.
    pub(super) until: i64,
    /// The day before those that are left.
    pub(super) after: AppDay,
}

/// A day that can be sealed.
struct Ready {
    rollup: KeptRollup,
    sessions: u64,
}

/// Some days that can be sealed.
pub(super) struct Step {
    ready: Vec<Ready>,
    /// What is left.
    pub(super) rest: Due,
    /// What is wrong with a day. Its sessions are kept.
    pub(super) damage: Option<StoreError>,
}

/// How many days are due.
pub(super) fn count(connection: &Connection, due: Due) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM apps a JOIN days d ON d.app = a.ordinal
               WHERE a.workspace = ?1 AND d.day < ?2 AND d.sealed = 0";
    let count: i64 = connection.query_row(sql, [due.workspace, due.until], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The next of these days, each counted in the state in which it was read; `None` where there is none.
pub(super) fn prepare(connection: &Connection, due: Due) -> Result<Option<Step>, StoreError> {
    let mut step = Step {
        ready: Vec::new(),
        rest: due,
        damage: None,
    };
    let mut sessions = 0;
    for of in next(connection, due)? {
        step.rest.after = of;
        match count_day(connection, of) {
            Ok(Some(ready)) => {
                sessions += ready.sessions;
                step.ready.push(ready);
            }
            // Somebody else has sealed it, or deleted its app.
            Ok(None) => {}
            Err(StoreError::Unusable(damage)) => step.damage = Some(StoreError::Unusable(damage)),
            Err(error) => return Err(error),
        }
        if sessions >= SESSIONS {
            break;
        }
    }
    Ok((step.rest.after != due.after).then_some(step))
}

fn next(connection: &Connection, due: Due) -> Result<Vec<AppDay>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.app, d.day FROM apps a JOIN days d ON d.app = a.ordinal
         WHERE a.workspace = ?1 AND d.day < ?2 AND d.sealed = 0 AND (d.app, d.day) > (?3, ?4)
         ORDER BY d.app, d.day LIMIT ?5",
    )?;
    let (app, day) = due.after;
    let days = statement.query_map(params![due.workspace, due.until, app, day, DAYS], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(days.collect::<Result<_, _>>()?)
}

/// Counts a day of its sessions, whatever is kept of it: once they are gone, nothing is left to compare with.
fn count_day(connection: &Connection, of: AppDay) -> Result<Option<Ready>, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let Some(row) = days::get(&transaction, of)?.filter(|row| !row.is_sealed) else {
        return Ok(None);
    };
    let rollup = rollups::build(&transaction, of)?;
    if rollup.totals() != row.totals.0 {
        let (app, day) = of;
        return Err(StoreError::damaged(format!(
            "day {day} of app number {app} has other sessions than its counts say, so they are kept; 'sessionmeter verify' says \
             more"
        )));
    }
    Ok(Some(Ready {
        rollup: KeptRollup::new(of, row.seq, &rollup)?,
        sessions: row.totals.sessions(),
    }))
}

/// Seals those of these days that have not changed since, and of which sessions are refused.
pub(super) fn seal(transaction: &Transaction<'_>, step: &Step) -> Result<Sealing, StoreError> {
    let mut mark = transaction.prepare_cached(
        "UPDATE days SET sealed = 1 WHERE app = ?1 AND day = ?2 AND seq = ?3 AND sealed = 0 AND day < (
             SELECT w.sealed_before FROM apps a JOIN workspaces w ON w.ordinal = a.workspace WHERE a.ordinal = ?1
         )",
    )?;
    let mut remove = transaction.prepare_cached("DELETE FROM sessions WHERE app = ?1 AND day = ?2")?;
    let mut sealing = Sealing::default();
    for Ready { rollup, sessions } in &step.ready {
        let (app, day) = rollup.of;
        if mark.execute([app, day, rollup.seq])? == 0 {
            continue;
        }
        rollups::replace(transaction, rollup)?;
        remove.execute([app, day])?;
        sealing.days += 1;
        sealing.sessions += sessions;
    }
    Ok(sealing)
}
