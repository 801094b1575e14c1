//! Counting the past: one pass over all recorded sessions for all segments that wait for it.
//!
//! The pass goes in the order of the sessions table, a few milliseconds at a time, each step a transaction of its own
//! that moves the cursor (`pass`) and adds what it walked to the counters. A session that is recorded meanwhile is
//! counted at once if its key lies before the cursor (see [`Tagging::is_past`]), and walked later if it lies behind.
//! So nothing is counted twice or missed, whichever process takes the next step, and a crash costs one step.

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Transaction, params};

use super::cells::{self, Delta};
use super::tagging::{Cursor, SetNumber, Tagging};
use crate::store::StoreError;

/// Sessions in a step, about twenty milliseconds.
const SESSIONS: u32 = 200_000;
/// Rows of counters that a step may touch: where sessions are few and far between, these are what takes time.
const ROWS: usize = 3_000;
/// Quarter hours of a UTC day.
const QUARTERS: usize = 96;
const QUARTER_MILLIS: i64 = 900_000;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing to count.
    Idle,
    /// A pass has begun.
    Begun,
    /// There is more to do.
    More,
    /// The pass has ended: its segments are counted. Others may have begun to wait.
    Ended,
}

/// Takes one step. `tagging` is up to date; when a pass began or ended, the rules are others from then on.
pub(super) fn step(transaction: &Transaction<'_>, tagging: &mut Tagging) -> Result<Step, StoreError> {
    if !tagging.is_counting() {
        return begin(transaction);
    }
    let mut cursor = Cursor::load(transaction)?;
    let mut walk = Walk::new(transaction, tagging)?;
    let ended = loop {
        if walk.is_enough() {
            break false;
        }
        if walk.rest_of_day(&mut cursor)? {
            continue;
        }
        let next = match next_day(transaction, cursor.app, cursor.day)? {
            Some(day) => Some((cursor.app, day)),
            None => next_app(transaction, cursor.app)?.map(|app| (app, 0)),
        };
        match next {
            Some((app, day)) => {
                let session_id = Value::Text(String::new());
                cursor = Cursor { app, day, session_id };
            }
            None => break true,
        }
    };
    let Walk {
        sessions,
        deltas,
        tagging,
        ..
    } = walk;
    cells::add(transaction, &deltas, |series| tagging.is_live(series))?;
    transaction
        .prepare_cached("UPDATE pass SET app = ?1, day = ?2, session_id = ?3, done = done + ?4")?
        .execute(params![cursor.app, cursor.day, cursor.session_id, sessions])?;
    if !ended {
        return Ok(Step::More);
    }
    transaction.execute("UPDATE segments SET state = 3 WHERE state = 2", [])?;
    Ok(Step::Ended)
}

/// A new pass, for all segments that wait.
fn begin(transaction: &Transaction<'_>) -> Result<Step, StoreError> {
    if transaction.execute("UPDATE segments SET state = 2 WHERE state = 1", [])? == 0 {
        return Ok(Step::Idle);
    }
    transaction.execute(include_str!("sql/begin_pass.sql"), [])?;
    Ok(Step::Begun)
}

fn next_day(transaction: &Transaction<'_>, app: i64, after: i64) -> Result<Option<i64>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT MIN(day) FROM sessions WHERE app = ?1 AND day > ?2")?;
    Ok(statement.query_row([app, after], |row| row.get(0))?)
}

fn next_app(transaction: &Transaction<'_>, after: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = transaction.prepare_cached(include_str!("sql/next_app_to_count.sql"))?;
    Ok(statement.query_row([after], |row| row.get(0))?)
}

/// The sessions of one step. A row costs little more than what SQLite takes to hand it over: its combination leads to
/// its set of segments by an index, and sets are counted by quarter of the day in an array.
struct Walk<'a> {
    transaction: &'a Transaction<'a>,
    tagging: &'a mut Tagging,
    statement: CachedStatement<'a>,
    sessions: u32,
    deltas: Vec<Delta>,
    /// Of this app, by ordinal of the combination; `UNKNOWN` where it was not asked for yet.
    sets: Vec<SetNumber>,
    app: i64,
    /// Sessions of the day, by set and quarter of the day.
    counts: Vec<[u32; QUARTERS]>,
    /// Where `counts` is not 0.
    touched: Vec<(SetNumber, usize)>,
    /// Sessions of a quarter hour, by rule.
    by_rule: Vec<u32>,
}

const UNKNOWN: SetNumber = SetNumber::MAX;
/// Combinations that are found by index; those behind are looked up one by one.
const INDEXED: usize = 1 << 20;

impl<'a> Walk<'a> {
    fn new(transaction: &'a Transaction<'a>, tagging: &'a mut Tagging) -> Result<Self, StoreError> {
        Ok(Self {
            transaction,
            tagging,
            statement: transaction.prepare_cached(include_str!("sql/sessions_after.sql"))?,
            sessions: 0,
            deltas: Vec::new(),
            sets: Vec::new(),
            app: 0,
            counts: Vec::new(),
            touched: Vec::new(),
            by_rule: Vec::new(),
        })
    }

    fn is_enough(&self) -> bool {
        self.sessions >= SESSIONS || self.deltas.len() >= ROWS
    }

    /// Walks what is left of the cursor's day, as far as the step goes; whether it stopped in the middle.
    fn rest_of_day(&mut self, cursor: &mut Cursor) -> Result<bool, StoreError> {
        let left = SESSIONS.saturating_sub(self.sessions);
        if self.app != cursor.app {
            self.app = cursor.app;
            self.sets.clear();
        }
        let (mut walked, mut last) = (0, None);
        let parameters = params![cursor.app, cursor.day, cursor.session_id, left];
        let mut rows = self.statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            walked += 1;
            let (start, properties): (i64, i64) = (row.get(0)?, row.get(1)?);
            if walked == left {
                last = Some(row.get(2)?);
            }
            let index = usize::try_from(properties).unwrap_or(INDEXED);
            let known = self.sets.get(index).copied().unwrap_or(UNKNOWN);
            let set = match known {
                UNKNOWN => {
                    let set = self.tagging.set(self.transaction, self.app, properties)?;
                    remember(&mut self.sets, index, set);
                    set
                }
                known => known,
            };
            let quarter = usize::try_from(start / QUARTER_MILLIS).unwrap_or_default();
            let at = usize::try_from(set).unwrap_or_default();
            if at >= self.counts.len() {
                self.counts.resize(at + 1, [0; QUARTERS]);
            }
            if let Some(count) = self.counts.get_mut(at).and_then(|row| row.get_mut(quarter)) {
                if *count == 0 {
                    self.touched.push((set, quarter));
                }
                *count += 1;
            }
        }
        drop(rows);
        self.sessions += walked;
        self.end_day(cursor.day)?;
        match last {
            Some(last) => {
                cursor.session_id = last;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Turns sets into segments.
    fn end_day(&mut self, day: i64) -> Result<(), StoreError> {
        if self.touched.is_empty() {
            return Ok(());
        }
        let (workspace, _) = self.tagging.app(self.transaction, self.app)?;
        self.touched
            .sort_unstable_by_key(|(set, quarter)| (*quarter, *set));
        for group in self.touched.chunk_by(|(_, one), (_, two)| one == two) {
            let Some((_, quarter)) = group.first() else {
                continue;
            };
            for (set, _) in group {
                let index = usize::try_from(*set).unwrap_or_default();
                let count = self.counts.get_mut(index).and_then(|row| row.get_mut(*quarter));
                let sessions = count.map(std::mem::take).unwrap_or_default();
                self.tagging.add_past(*set, sessions, &mut self.by_rule);
            }
            let segments = self.tagging.take_cells(&mut self.by_rule);
            if !segments.is_empty() {
                self.deltas.push(Delta {
                    workspace,
                    app: self.app,
                    quarter: day * 96 + i64::try_from(*quarter).unwrap_or_default(),
                    sessions: 0,
                    segments,
                });
            }
        }
        self.touched.clear();
        Ok(())
    }
}

fn remember(sets: &mut Vec<SetNumber>, index: usize, set: SetNumber) {
    if index < INDEXED {
        if index >= sets.len() {
            sets.resize(index + 1, UNKNOWN);
        }
        if let Some(place) = sets.get_mut(index) {
            *place = set;
        }
    }
}
