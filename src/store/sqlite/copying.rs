//! Users and sealed days as another store takes them over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, Row, Transaction};
use tokio::sync::mpsc::Sender;

use super::administration;
use super::catalog::Snapshot;
use super::days::{self, AppDay};
use super::in_range;
use super::interning::{IdentityKind, Interned, Interner};
use super::rollups::{self, KeptRollup};
use crate::model::{AppId, WorkspaceId, is_stored_properties};
use crate::rollup::{Rollup, Totals};
use crate::store::StoreError;
use crate::store::records::UserRecord;
use crate::store::sealed::{SealedBatch, SealedDay, SealedPerson};

/// Users handed out at a time.
const BATCH: usize = 5_000;
/// Combinations and persons that are remembered from one sealed day to the next.
const KNOWN: usize = 200_000;

/// Returns when everything is handed out, or nobody receives any more.
pub(super) fn users(connection: &Connection, batches: &Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare(include_str!("sql/users_with_attributes.sql"))?;
    let mut rows = statement.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        batch.push(UserRecord {
            workspace: in_range::id(row.get_ref("workspace")?)?,
            user_id: row.get("user_id")?,
            attributes: row.get("attributes")?,
        });
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// Hands out the sealed days of a workspace in batches, each day in one state of the store, until nobody receives any more.
pub(super) fn sealed(
    connection: &Connection,
    workspace: WorkspaceId,
    output: &Sender<Vec<SealedDay>>,
) -> Result<(), StoreError> {
    let mut known = Known::default();
    let mut batch = SealedBatch::default();
    for (of, app) in sealed_days(connection, workspace)? {
        let transaction = connection.unchecked_transaction()?;
        // Its app may have been deleted meanwhile.
        let Some(row) = days::get(&transaction, of)?.filter(|row| row.is_sealed) else {
            continue;
        };
        let Rollup { cells, people } = rollups::sealed(&transaction, of, row.seq)?;
        let combinations = cells.combinations().iter().chain(people.combinations());
        known.learn_combinations(&transaction, combinations.copied())?;
        known.learn_persons(&transaction, people.iter().map(|(person, _)| person))?;
        let day = SealedDay::new(
            (app, of.1),
            (&cells, &people),
            &known.combinations,
            &known.persons,
        )?;
        drop(transaction);
        known.shrink();
        if let Some(full) = batch.push(day)
            && output.blocking_send(full).is_err()
        {
            return Ok(());
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = output.blocking_send(batch.take());
    Ok(())
}

fn sealed_days(connection: &Connection, workspace: WorkspaceId) -> Result<Vec<(AppDay, AppId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.app, d.day, a.id FROM workspaces w JOIN apps a ON a.workspace = w.ordinal JOIN days d ON d.app = a.ordinal
         WHERE w.id = ?1 AND d.sealed = 1 ORDER BY d.app, d.day",
    )?;
    let mut rows = statement.query([workspace.to_string()])?;
    let mut days = Vec::new();
    while let Some(row) = rows.next()? {
        days.push(((row.get(0)?, row.get(1)?), in_range::id(row.get_ref(2)?)?));
    }
    Ok(days)
}

/// Combinations and persons by their numbers.
#[derive(Default)]
struct Known {
    combinations: HashMap<u64, String>,
    persons: HashMap<u64, SealedPerson>,
}

impl Known {
    fn learn_combinations(
        &mut self,
        connection: &Connection,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT content FROM properties WHERE ordinal = ?1";
        learn(&mut self.combinations, connection, sql, numbers, |number, row| {
            let text: Option<String> = row.map(|row| row.get(0)).transpose()?;
            text.ok_or_else(|| StoreError::no_combination(number))
        })
    }

    fn learn_persons(
        &mut self,
        connection: &Connection,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT kind, value FROM identities WHERE ordinal = ?1";
        learn(&mut self.persons, connection, sql, numbers, |number, row| {
            let row = row.ok_or_else(|| StoreError::damaged(format!("there is no person {number}")))?;
            person(row.get(0)?, row.get(1)?)
        })
    }

    fn shrink(&mut self) {
        if self.combinations.len() > KNOWN {
            self.combinations.clear();
        }
        if self.persons.len() > KNOWN {
            self.persons.clear();
        }
    }
}

/// Looks up what is not known yet. `read` makes it of its row, if there is one.
fn learn<T>(
    known: &mut HashMap<u64, T>,
    connection: &Connection,
    sql: &str,
    numbers: impl Iterator<Item = u64>,
    read: impl Fn(u64, Option<&Row<'_>>) -> Result<T, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    for number in numbers {
        if let Entry::Vacant(place) = known.entry(number) {
            let mut rows = statement.query([i64::try_from(number).unwrap_or(i64::MAX)])?;
            place.insert(read(number, rows.next()?)?);
        }
    }
    Ok(())
}

fn person(kind: i64, value: String) -> Result<SealedPerson, StoreError> {
    const USER: i64 = IdentityKind::User as i64;
    const DEVICE: i64 = IdentityKind::Device as i64;
    match kind {
        USER => Ok(SealedPerson::User(value)),
        DEVICE => Ok(SealedPerson::Device(value)),
        _ => {
            let number = value.parse().map_err(|_| {
                StoreError::damaged(format!("'{value}' stands for somebody who was forgotten"))
            })?;
            Ok(SealedPerson::Forgotten(number))
        }
    }
}

/// Takes over sealed days with the number `after`, each in the place of whatever is there of it; those that are different now.
pub(super) fn adopt_sealed(
    transaction: &Transaction<'_>,
    interned: &mut Interned,
    snapshot: &Snapshot,
    days: &[SealedDay],
    after: i64,
) -> Result<Vec<AppDay>, StoreError> {
    let mut interner = Interner::new(transaction, interned)?;
    let mut changed = Vec::with_capacity(days.len());
    for day in days {
        changed.extend(adopt_day(transaction, &mut interner, snapshot, day, after)?);
    }
    Ok(changed)
}

fn adopt_day(
    transaction: &Transaction<'_>,
    interner: &mut Interner<'_>,
    snapshot: &Snapshot,
    day: &SealedDay,
    after: i64,
) -> Result<Option<AppDay>, StoreError> {
    let found = snapshot.apps.get(&day.app).copied();
    let (app, workspace) = found.ok_or_else(|| StoreError::unknown("app", day.app))?;
    administration::check_app(transaction, day.app, app)?;
    let of = (app, in_range::day(day.day)?);
    let mut combinations = Vec::with_capacity(day.combinations.len());
    for content in &day.combinations {
        if !is_stored_properties(content) {
            return Err(StoreError::damaged("a combination of properties can't be read"));
        }
        combinations.push(number(interner.recorded_as(content)?)?);
    }
    let mut persons = HashMap::with_capacity(day.people.len());
    for (person, _) in &day.people {
        let forgotten;
        let (kind, id) = match person {
            SealedPerson::User(id) => (IdentityKind::User, id),
            SealedPerson::Device(id) => (IdentityKind::Device, id),
            SealedPerson::Forgotten(number) => {
                forgotten = number.to_string();
                (IdentityKind::ForgottenUser, &forgotten)
            }
        };
        let identity = interner.identity((workspace, kind, id))?;
        if !identity.seen {
            interner.set_seen(identity.ordinal, true)?;
        }
        persons.insert(person.clone(), number(identity.ordinal)?);
    }
    let (cells, people) = day.rollup(&combinations, &persons)?;
    if let Some(row) = days::get(transaction, of)?.filter(|row| row.is_sealed)
        && rollups::kept_cells(transaction, of, row.seq)?.as_ref() == Some(&cells)
        && rollups::kept_people(transaction, of, row.seq)?.as_ref() == Some(&people)
    {
        return Ok(None);
    }
    transaction
        .prepare_cached("DELETE FROM sessions WHERE app = ?1 AND day = ?2")?
        .execute([app, day.day])?;
    days::adopt_sealed(transaction, of, &Totals(cells.sum(|_| true)), after)?;
    let rollup = KeptRollup::new(of, after, &Rollup { cells, people })?;
    rollups::replace(transaction, &rollup)?;
    Ok(Some(of))
}

/// Ordinals are numbers from 1.
fn number(ordinal: i64) -> Result<u64, StoreError> {
    u64::try_from(ordinal).map_err(|_| StoreError::damaged(format!("{ordinal} is no number of a row")))
}
