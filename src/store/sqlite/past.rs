//! Counting the past: one pass over all recorded sessions for all segments that wait for it.
//!
//! The pass goes in the order of the sessions table, a few milliseconds at a time, each step a transaction of its own
//! that moves the cursor (`pass`) and adds what it walked to the counters. A session that is recorded meanwhile is
//! counted at once if its key lies before the cursor (see [`Tagging::is_past`]), and walked later if it lies behind.
//! So nothing is counted twice or missed, whichever process takes the next step, and a crash costs one step.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{CachedStatement, Transaction, params};

use super::cells::{self, Delta};
use super::tagging::{Cursor, Tagging};
use crate::store::StoreError;

/// Sessions in a step, about ten milliseconds.
const SESSIONS: u32 = 100_000;
/// Rows of counters that a step may touch: where sessions are few and far between, these are what takes time.
const QUARTERS: usize = 3_000;

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
    let mut sessions = transaction.prepare_cached(include_str!("sql/sessions_after.sql"))?;
    let mut walk = Walk::default();
    let ended = loop {
        if walk.is_enough() {
            break false;
        }
        if !walk.go(&mut sessions, &mut cursor)? {
            match next_app(transaction, cursor.app)? {
                Some(app) => {
                    cursor = Cursor {
                        app,
                        day: 0,
                        session_id: String::new().into(),
                    };
                }
                None => break true,
            }
        }
    };
    let deltas = walk.deltas(transaction, tagging)?;
    cells::add(transaction, &deltas, |series| tagging.is_live(series))?;
    transaction
        .prepare_cached("UPDATE pass SET app = ?1, day = ?2, session_id = ?3, done = done + ?4")?
        .execute(params![cursor.app, cursor.day, cursor.session_id, walk.sessions])?;
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

fn next_app(transaction: &Transaction<'_>, after: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = transaction.prepare_cached(include_str!("sql/next_app_to_count.sql"))?;
    Ok(statement.query_row([after], |row| row.get(0))?)
}

/// Sessions that were walked in one step.
#[derive(Default)]
struct Walk {
    sessions: u32,
    /// By app and quarter hour, then by combination of properties.
    counts: HashMap<(i64, i64), HashMap<i64, u32>>,
}

impl Walk {
    fn is_enough(&self) -> bool {
        self.sessions >= SESSIONS || self.counts.len() >= QUARTERS
    }

    /// Walks on in the cursor's app; `false` if there is nothing more in it.
    fn go(&mut self, statement: &mut CachedStatement<'_>, cursor: &mut Cursor) -> Result<bool, StoreError> {
        let app = cursor.app;
        let left = SESSIONS.saturating_sub(self.sessions);
        let mut rows = statement.query(params![app, cursor.day, cursor.session_id, left])?;
        let mut walked = 0;
        while let Some(row) = rows.next()? {
            walked += 1;
            let (day, quarter, properties): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let counts = self.counts.entry((app, day * 96 + quarter)).or_default();
            *counts.entry(properties).or_default() += 1;
            if walked == left || self.counts.len() >= QUARTERS {
                cursor.day = day;
                cursor.session_id = row.get(0)?;
                self.sessions += walked;
                return Ok(true);
            }
        }
        self.sessions += walked;
        Ok(false)
    }

    fn deltas(&self, transaction: &Transaction<'_>, tagging: &mut Tagging) -> Result<Vec<Delta>, StoreError> {
        let mut deltas = Vec::with_capacity(self.counts.len());
        for ((app, quarter), combinations) in &self.counts {
            let (workspace, _) = tagging.app(transaction, *app)?;
            let mut segments = BTreeMap::new();
            for (properties, sessions) in combinations {
                for series in tagging.series_of_past(transaction, *app, *properties)? {
                    *segments.entry(series).or_default() += sessions;
                }
            }
            if !segments.is_empty() {
                deltas.push(Delta {
                    workspace,
                    app: *app,
                    quarter: *quarter,
                    sessions: 0,
                    segments: segments.into_iter().collect(),
                });
            }
        }
        deltas.sort_unstable_by_key(|delta| (delta.app, delta.quarter));
        Ok(deltas)
    }
}
