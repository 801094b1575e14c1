//! What is derived from the sessions of a day, compared with them: the one place that knows for `verify` and for the check in
//! the background what that is.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::days::{self, AppDay};
use super::{in_range, rollups};
use crate::model::AppId;
use crate::rollup::{Cells, DAY, Label, People, QUARTER, Quarters, Rollup, Totals};
use crate::store::{Mismatch, StoreError, Verification};

const REPORTED: usize = 100;

/// Before every day.
pub(super) const FIRST: AppDay = (i64::MIN, i64::MIN);

/// The next day that has sessions, or something derived.
pub(super) fn next_day(connection: &Connection, (app, day): AppDay) -> Result<Option<AppDay>, StoreError> {
    let mut next = None;
    for sql in [
        "SELECT app, day FROM sessions WHERE (app, day) > (?1, ?2) ORDER BY app, day LIMIT 1",
        "SELECT app, day FROM days WHERE (app, day) > (?1, ?2) ORDER BY app, day LIMIT 1",
        "SELECT app, day FROM day_cells WHERE (app, day) > (?1, ?2) ORDER BY app, day LIMIT 1",
        "SELECT app, day FROM day_people WHERE (app, day) > (?1, ?2) ORDER BY app, day LIMIT 1",
    ] {
        let mut statement = connection.prepare_cached(sql)?;
        let found: Option<AppDay> = statement
            .query_row([app, day], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        next = next.into_iter().chain(found).min();
    }
    Ok(next)
}

/// What is needed to compare, kept from day to day.
#[derive(Default)]
pub(super) struct Recount {
    /// `meta.catalog_seq` of the apps.
    seq: Option<i64>,
    apps: HashMap<i64, AppId>,
}

impl Recount {
    /// Compares a day, in one consistent state that is let go afterwards, so that the journal can be moved.
    pub(super) fn compare(
        &mut self,
        connection: &Connection,
        of: AppDay,
        found: &mut Verification,
    ) -> Result<(), StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let newest = self.refresh(&transaction)?;
        if let Err(error) = in_range::day(of.1) {
            found.damages.push(error.to_string());
            return Ok(());
        }
        let sessions = check_sessions(&transaction, of, &mut found.damages)?;
        let is_sealed = days::is_sealed(&transaction, of)?;
        let rollup = if is_sealed {
            sealed(&transaction, of)
        } else {
            rollups::build(&transaction, of)
        };
        let rollup = match rollup {
            Ok(rollup) => rollup,
            Err(StoreError::Unusable(damage)) => {
                found.damages.push(damage);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if is_sealed {
            found.sealed += rollup.cells.sessions();
        } else {
            found.sessions += sessions;
        }
        let mut check = Check {
            transaction: &transaction,
            app: self.apps.get(&of.0).copied(),
            of,
            found,
        };
        if is_sealed {
            check.sealed(sessions, &rollup)?;
        }
        let (seq, totals) = check.row(newest, rollup.cells.sessions() > 0)?;
        check.compare(&totals, &rollup.totals());
        check.kept(
            "day_cells",
            seq,
            |bytes| Ok(Cells::decode(bytes)? == rollup.cells),
        )?;
        check.kept("day_people", seq, |bytes| {
            Ok(People::decode(bytes)? == rollup.people)
        })
    }

    /// The newest commit of the state that is being read.
    fn refresh(&mut self, transaction: &Transaction<'_>) -> Result<i64, StoreError> {
        let (newest, catalog): (i64, i64) = transaction
            .prepare_cached("SELECT commit_seq, catalog_seq FROM meta")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if self.seq != Some(catalog) {
            self.apps = apps(transaction)?;
            self.seq = Some(catalog);
        }
        Ok(newest)
    }
}

/// The rollup of a sealed day, with which its counts are compared.
fn sealed(transaction: &Transaction<'_>, of: AppDay) -> Result<Rollup, StoreError> {
    let row = days::get(transaction, of)?.ok_or_else(|| rollups::lost(of))?;
    rollups::sealed(transaction, of, row.seq)
}

/// Whether every session of a day reads as one; how many there are.
fn check_sessions(
    transaction: &Transaction<'_>,
    (app, day): AppDay,
    damages: &mut Vec<String>,
) -> Result<u64, StoreError> {
    let mut statement = transaction
        .prepare_cached("SELECT start, duration, session_id FROM sessions WHERE app = ?1 AND day = ?2")?;
    let mut rows = statement.query([app, day])?;
    let (mut sessions, mut damage) = (0, None);
    while let Some(row) = rows.next()? {
        sessions += 1;
        let checked = in_range::start(row.get(0)?)
            .and(in_range::duration(row.get(1)?))
            .and(in_range::session_id(row.get_ref(2)?));
        if let Err(error) = checked {
            damage.get_or_insert(error.to_string());
        }
    }
    damages.extend(damage);
    Ok(sessions)
}

/// A day that is compared.
struct Check<'a> {
    transaction: &'a Transaction<'a>,
    app: Option<AppId>,
    of: AppDay,
    found: &'a mut Verification,
}

impl Check<'_> {
    /// The number and the totals of the day's row, 0 and nothing where there is none.
    fn row(&mut self, newest: i64, has_sessions: bool) -> Result<(i64, Totals), StoreError> {
        let (app, day) = self.of;
        let sql = "SELECT seq, totals FROM days WHERE app = ?1 AND day = ?2";
        let Some((seq, content)) = self.read(sql)? else {
            if has_sessions {
                self.damage("it has sessions and no row in the table of days");
            }
            return Ok((0, Totals::default()));
        };
        let totals = Totals::decode_unchecked(&content).unwrap_or_default();
        // An app that is being deleted has days that are empty already.
        if !has_sessions && totals.0.iter().any(|sessions| *sessions > 0) {
            self.damage("it has a row in the table of days and no sessions");
        }
        if !(1..=newest).contains(&seq) {
            self.damage(&format!(
                "it has the number {seq}, and the store's commits go from 1 to {newest}"
            ));
        }
        if let Err(error) = Totals::decode(&content, Label { app, day, seq }) {
            self.damage(&format!("its row was not written as it stands there: {error}"));
        }
        Ok((seq, totals))
    }

    /// The parts of a sealed day's rollup must fit together, and refer to what is there.
    fn sealed(&mut self, sessions: u64, rollup: &Rollup) -> Result<(), StoreError> {
        if sessions > 0 {
            self.damage("it is sealed and has sessions all the same");
        }
        if !rollup.cells.covers(&rollup.people) {
            self.damage("its persons have visits that are not among its sessions, which retention removed");
        }
        let combinations = rollup.cells.combinations().iter().copied();
        if !self.are_all("SELECT 1 FROM properties WHERE ordinal = ?1", combinations)? {
            self.damage("its rollup names a combination of properties that does not exist");
        }
        let persons = rollup.people.iter().map(|(person, _)| person);
        if !self.are_all("SELECT 1 FROM identities WHERE ordinal = ?1", persons)? {
            self.damage("its rollup names a user or device that does not exist");
        }
        Ok(())
    }

    /// Whether there is a row for each number.
    fn are_all(&self, sql: &str, mut numbers: impl Iterator<Item = u64>) -> Result<bool, StoreError> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let missing = numbers.try_fold(false, |missing, number| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            Ok::<_, StoreError>(missing || !statement.exists([number])?)
        })?;
        Ok(!missing)
    }

    /// A kept rollup, if there is one, and whether it is what the sessions say.
    fn kept(
        &mut self,
        table: &str,
        seq: i64,
        agrees: impl FnOnce(&[u8]) -> Result<bool, crate::rollup::FormError>,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT seq, content FROM {table} WHERE app = ?1 AND day = ?2");
        let Some((counted, content)) = self.read(&sql)? else {
            return Ok(());
        };
        match agrees(&content) {
            _ if counted > seq => self.damage(&format!(
                "its rollup has the number {counted}, and the day {seq}: there was no such state"
            )),
            Err(error) => self.damage(&format!("its rollup can't be read: {error}")),
            Ok(false) if counted == seq => self.damage("its rollup is not what its sessions say"),
            // An older one is built again before anybody reads it.
            Ok(_) => {}
        }
        Ok(())
    }

    fn read(&self, sql: &str) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let (app, day) = self.of;
        let read = statement.query_row([app, day], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(read.optional()?)
    }

    fn damage(&mut self, what: &str) {
        if self.found.damages.len() < REPORTED {
            let (app, day) = self.of;
            let app = self.app.map_or_else(
                || format!("number {app}, which does not exist"),
                |app| app.to_string(),
            );
            let day = date(day);
            self.found.damages.push(format!("day {day} of app {app}: {what}"));
        }
    }

    fn compare(&mut self, counted: &Totals, recorded: &Quarters) {
        let pairs = (0..).zip(counted.0.iter().zip(recorded));
        for (quarter, (counted, recorded)) in pairs.filter(|(_, (one, two))| **one > 0 || **two > 0) {
            self.found.counters += 1;
            if counted == recorded || self.found.mismatches.len() == REPORTED {
                continue;
            }
            match self.app {
                Some(app) => self.found.mismatches.push(Mismatch {
                    app,
                    segment: None,
                    quarter: self.of.1.saturating_mul(DAY).saturating_add(quarter * QUARTER),
                    counted: u64::from(*counted),
                    recorded: u64::from(*recorded),
                }),
                None => self.damage("its counts are not what its sessions say"),
            }
        }
    }
}

/// A UTC date, if it is one.
fn date(day: i64) -> String {
    let second = jiff::Timestamp::from_second(day.saturating_mul(DAY));
    second.map_or_else(
        |_| format!("number {day}"),
        |second| second.strftime("%Y-%m-%d").to_string(),
    )
}

fn apps(transaction: &Transaction<'_>) -> Result<HashMap<i64, AppId>, StoreError> {
    let mut statement = transaction.prepare("SELECT ordinal, id FROM apps")?;
    let mut rows = statement.query([])?;
    let mut apps = HashMap::new();
    while let Some(row) = rows.next()? {
        apps.insert(row.get(0)?, in_range::id(row.get_ref(1)?)?);
    }
    Ok(apps)
}
