//! Recounts what is derived from the sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::str::FromStr;

use rusqlite::{Connection, Transaction};

use super::cells::{self, SeriesNumber};
use super::counters::QUARTER;
use super::tagging::Tagging;
use crate::model::{AppId, SegmentId};
use crate::store::{Mismatch, StoreError, Verification};

const REPORTED: usize = 100;

/// Sessions of everyone (`None`) and of segments.
type Counts = BTreeMap<Option<SeriesNumber>, u64>;
/// Ordinal of an app, and a quarter hour (Unix seconds / 900).
type Row = (i64, i64);

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
    let dangling: i64 = transaction.query_row(
        "SELECT COUNT(*) FROM identities WHERE attributes IS NOT NULL AND attributes NOT IN (SELECT ordinal FROM attribute_sets)",
        [],
        |row| row.get(0),
    )?;
    if dangling > 0 {
        damages.push(format!("{dangling} users have attributes that do not exist"));
    }
    Ok(damages)
}

/// Merges two ordered lists: what the counters say and what the sessions say.
fn compare_counters(transaction: &Transaction<'_>, found: &mut Verification) -> Result<(), StoreError> {
    let mut recount = Recount::new(transaction)?;
    let mut kept =
        transaction.prepare("SELECT app, quarter, sessions, segments FROM counters ORDER BY app, quarter")?;
    let mut kept = kept.query([])?;
    let mut sessions =
        transaction.prepare("SELECT app, day, start / 900000, properties FROM sessions ORDER BY app, day")?;
    let mut sessions = sessions.query([])?;
    let mut day = None;
    let mut walked = HashMap::<(i64, i64), u64>::new();
    loop {
        let row = sessions.next()?;
        let next = row
            .map(|row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))
            .transpose()?;
        if next != day {
            if let Some((app, day)) = day {
                let actual = recount.by_quarter(app, day, walked.drain());
                recount.compare(&mut kept, actual, found)?;
            }
            day = next;
        }
        let Some(row) = row else { break };
        *walked.entry((row.get(2)?, row.get(3)?)).or_default() += 1;
        found.sessions += 1;
    }
    recount.rest(&mut kept, found)
}

/// What is needed to compare.
struct Recount<'a> {
    transaction: &'a Transaction<'a>,
    tagging: Tagging,
    apps: HashMap<i64, AppId>,
    /// Those that are counted.
    segments: HashMap<SeriesNumber, SegmentId>,
    /// A row of counters that was read and lies behind what was compared.
    held: Option<(Row, Counts)>,
}

impl<'a> Recount<'a> {
    fn new(transaction: &'a Transaction<'a>) -> Result<Self, StoreError> {
        let mut tagging = Tagging::default();
        let seq = transaction.query_row("SELECT segments_seq FROM meta", [], |row| row.get(0))?;
        tagging.refresh(transaction, seq)?;
        Ok(Self {
            transaction,
            tagging,
            apps: ids(transaction, "SELECT ordinal, id FROM apps")?,
            segments: ids(transaction, "SELECT series, id FROM segments WHERE state = 3")?,
            held: None,
        })
    }

    /// What the counters of a day must be; sessions come by quarter of the day and combination of properties.
    fn by_quarter(
        &mut self,
        app: i64,
        day: i64,
        walked: impl Iterator<Item = ((i64, i64), u64)>,
    ) -> BTreeMap<Row, Counts> {
        let mut rows = BTreeMap::<Row, Counts>::new();
        for ((quarter, properties), sessions) in walked {
            let counts = rows.entry((app, day * 96 + quarter)).or_default();
            *counts.entry(None).or_default() += sessions;
            // A combination that can't be read was reported as damage, and shows as missing here.
            let Ok(set) = self.tagging.set(self.transaction, app, properties) else {
                continue;
            };
            for series in self.tagging.series_of_new(set, false) {
                *counts.entry(Some(series)).or_default() += sessions;
            }
        }
        rows
    }

    fn compare(
        &mut self,
        kept: &mut rusqlite::Rows<'_>,
        actual: BTreeMap<Row, Counts>,
        found: &mut Verification,
    ) -> Result<(), StoreError> {
        for (at, recorded) in actual {
            loop {
                match self.next(kept)? {
                    Some((row, counted)) if row < at => self.report(row, &counted, &Counts::new(), found),
                    Some((row, counted)) if row == at => {
                        self.report(at, &counted, &recorded, found);
                        break;
                    }
                    behind => {
                        self.held = behind;
                        self.report(at, &Counts::new(), &recorded, found);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counters behind the last session.
    fn rest(&mut self, kept: &mut rusqlite::Rows<'_>, found: &mut Verification) -> Result<(), StoreError> {
        while let Some((row, counted)) = self.next(kept)? {
            self.report(row, &counted, &Counts::new(), found);
        }
        Ok(())
    }

    fn next(&mut self, kept: &mut rusqlite::Rows<'_>) -> Result<Option<(Row, Counts)>, StoreError> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        let Some(row) = kept.next()? else { return Ok(None) };
        let sessions: i64 = row.get(2)?;
        let mut counts = Counts::from([(None, u64::try_from(sessions).unwrap_or_default())]);
        let blob = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        counts.extend(
            cells::read(blob)
                .filter(|(series, _)| self.segments.contains_key(series))
                .map(|(series, sessions)| (Some(series), u64::from(sessions))),
        );
        Ok(Some(((row.get(0)?, row.get(1)?), counts)))
    }

    fn report(&self, (app, quarter): Row, counted: &Counts, recorded: &Counts, found: &mut Verification) {
        let all: BTreeSet<_> = counted.keys().chain(recorded.keys()).collect();
        for series in all {
            found.counters += 1;
            let number = |counts: &Counts| counts.get(series).copied().unwrap_or_default();
            let (counted, recorded) = (number(counted), number(recorded));
            if counted == recorded || found.mismatches.len() == REPORTED {
                continue;
            }
            match self.apps.get(&app) {
                Some(id) => found.mismatches.push(Mismatch {
                    app: *id,
                    segment: series.and_then(|series| self.segments.get(&series).copied()),
                    quarter: quarter * QUARTER,
                    counted,
                    recorded,
                }),
                None => found
                    .damages
                    .push(format!("counters of app number {app}, which does not exist")),
            }
        }
    }
}

/// A query's first column with the id in its second.
fn ids<K, V>(transaction: &Transaction<'_>, sql: &str) -> Result<HashMap<K, V>, StoreError>
where
    K: rusqlite::types::FromSql + Eq + Hash,
    V: FromStr,
{
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut ids = HashMap::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(1)?;
        let id = id
            .parse()
            .map_err(|_| StoreError::damaged(format!("'{id}' is no id")))?;
        ids.insert(row.get(0)?, id);
    }
    Ok(ids)
}
