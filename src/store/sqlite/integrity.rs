//! The check that goes on while a server runs: a flipped bit should be found by it and not by a reader of a wrong number.
//!
//! The structure of one table after the other, then one day after the other recounted, then from the beginning: a step is
//! short, and there are some in a minute.

use rusqlite::{Connection, ErrorCode};

use super::condition::Condition;
use super::days::AppDay;
use super::derived::{self, Recount};
use crate::store::{Mismatch, StoreError, Verification};

/// What is checked next.
enum Next {
    /// The tables that are left, last first.
    Structure(Vec<String>),
    /// The day after this one.
    Day(AppDay),
}

/// Owned by the thread that checks.
pub(super) struct Integrity {
    recount: Recount,
    next: Option<Next>,
}

impl Integrity {
    pub(super) fn new() -> Self {
        Self {
            recount: Recount::default(),
            next: None,
        }
    }

    /// Checks a little and notes what is wrong.
    pub(super) fn step(&mut self, connection: &Connection, condition: &Condition) -> Result<(), StoreError> {
        let checked = self.check(connection, condition);
        condition.note_check();
        condition.noting(checked)
    }

    fn check(&mut self, connection: &Connection, condition: &Condition) -> Result<(), StoreError> {
        match self.next.take() {
            None => {
                self.next = Some(Next::Structure(tables(connection)?));
                Ok(())
            }
            Some(Next::Structure(mut left)) => {
                let Some(table) = left.pop() else {
                    self.next = Some(Next::Day(derived::FIRST));
                    return Ok(());
                };
                self.next = Some(Next::Structure(left));
                check_table(connection, &table)
            }
            Some(Next::Day(last)) => {
                let Some(day) = derived::next_day(connection, last)? else {
                    return Ok(());
                };
                self.next = Some(Next::Day(day));
                self.check_day(connection, condition, day)
            }
        }
    }

    fn check_day(
        &mut self,
        connection: &Connection,
        condition: &Condition,
        day: AppDay,
    ) -> Result<(), StoreError> {
        let mut found = Verification::default();
        self.recount.compare(connection, day, &mut found)?;
        if let Some(mismatch) = found.mismatches.first() {
            condition.note_finding(&in_words(mismatch));
        }
        match found.damages.into_iter().next() {
            Some(damage) => Err(StoreError::Unusable(damage)),
            None => Ok(()),
        }
    }
}

fn tables(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name DESC",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// A table that takes too long is left to the recount, which reads it day by day.
fn check_table(connection: &Connection, table: &str) -> Result<(), StoreError> {
    let quoted = table.replace('"', "\"\"");
    let verdict = connection.query_row(&format!("PRAGMA quick_check(\"{quoted}\")"), [], |row| {
        row.get::<_, String>(0)
    });
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(damage) => Err(StoreError::damaged(damage.replace('\n', " "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::debug!(table, "checking the structure of a table takes too long");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn in_words(mismatch: &Mismatch) -> String {
    let Mismatch {
        app,
        segment,
        quarter,
        counted,
        recorded,
    } = mismatch;
    let whose = segment.map_or_else(String::new, |segment| format!(", segment {segment}"));
    format!("app {app}{whose}, quarter hour at Unix time {quarter}: {counted} counted, {recorded} recorded")
}
