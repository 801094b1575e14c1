//! Sealing: sessions of days that are older than the retention go, their rollups stay.
//!
//! Sessions of these days are refused before, in whatever process (`administration::check_apps`). A day is sealed in one
//! transaction: its rollup is kept, the day is marked, its sessions go. Its number stays, so that whatever is held of it goes
//! on to be good. A sealed day never has sessions, and its rollup is never built again.

use rusqlite::{Connection, Transaction, params};

use super::days::{self, AppDay};
use super::rollups::{self, KeptRollup};
use crate::rollup::Rollup;
use crate::store::{Sealing, StoreError};

/// Sessions after which a transaction ends; a day is never divided.
const SESSIONS: u64 = 20_000;
/// Days after which it ends.
const DAYS: u32 = 500;

/// A day that can be sealed.
pub(super) struct Ready {
    rollup: KeptRollup,
    sessions: u64,
}

/// How many days of a workspace before `until` are not sealed yet.
pub(super) fn count_due(connection: &Connection, workspace: i64, until: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM apps a JOIN days d ON d.app = a.ordinal
               WHERE a.workspace = ?1 AND d.day < ?2 AND d.sealed = 0";
    let count: i64 = connection.query_row(sql, [workspace, until], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The rollups of the next of these days, each in the state in which it was read.
pub(super) fn prepare(connection: &Connection, workspace: i64, until: i64) -> Result<Vec<Ready>, StoreError> {
    let due: Vec<AppDay> = {
        let mut statement = connection.prepare_cached(
            "SELECT d.app, d.day FROM apps a JOIN days d ON d.app = a.ordinal
             WHERE a.workspace = ?1 AND d.day < ?2 AND d.sealed = 0 ORDER BY d.app, d.day LIMIT ?3",
        )?;
        let rows = statement.query_map(params![workspace, until, DAYS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    let (mut ready, mut sessions) = (Vec::with_capacity(due.len()), 0);
    for of in due {
        let transaction = connection.unchecked_transaction()?;
        let Some(row) = days::get(&transaction, of)?.filter(|row| !row.is_sealed) else {
            continue;
        };
        let rollup = rollup(&transaction, of, row.seq)?;
        let counted = row.totals.sessions();
        // What would be wrong for ever is noticed while the sessions are there.
        if rollup.cells.sessions() != counted {
            let (app, day) = of;
            return Err(StoreError::damaged(format!(
                "day {day} of app number {app} has other sessions than its counts say; 'sessionmeter verify' says more, and \
                 its sessions are kept"
            )));
        }
        ready.push(Ready {
            rollup: KeptRollup::new(of, row.seq, &rollup)?,
            sessions: counted,
        });
        sessions += counted;
        if sessions >= SESSIONS {
            break;
        }
    }
    Ok(ready)
}

fn rollup(connection: &Connection, of: AppDay, seq: i64) -> Result<Rollup, StoreError> {
    let kept = rollups::kept_cells(connection, of, seq)?.zip(rollups::kept_people(connection, of, seq)?);
    match kept {
        Some((cells, people)) => Ok(Rollup { cells, people }),
        None => rollups::build(connection, of),
    }
}

/// Seals those of these days that have not changed since, and of which sessions are refused.
pub(super) fn seal(transaction: &Transaction<'_>, ready: &[Ready]) -> Result<Sealing, StoreError> {
    let mut mark = transaction.prepare_cached(
        "UPDATE days SET sealed = 1 WHERE app = ?1 AND day = ?2 AND seq = ?3 AND sealed = 0 AND day < (
             SELECT w.sealed_before FROM apps a JOIN workspaces w ON w.ordinal = a.workspace WHERE a.ordinal = ?1
         )",
    )?;
    let mut remove = transaction.prepare_cached("DELETE FROM sessions WHERE app = ?1 AND day = ?2")?;
    let mut sealing = Sealing::default();
    for Ready { rollup, sessions } in ready {
        let (app, day) = rollup.of;
        if mark.execute([app, day, rollup.seq])? == 0 {
            continue;
        }
        rollups::keep(transaction, std::slice::from_ref(rollup))?;
        remove.execute([app, day])?;
        sealing.days += 1;
        sealing.sessions += sessions;
    }
    Ok(sealing)
}
