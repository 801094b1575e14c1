//! When each day of an app was last written to: what tells whether a count of it still holds.
//!
//! Whoever is about to write sessions of a day first announces so, with the time; one announcement is good for a sixth
//! of the closing time. A day that nobody announced for the whole closing time is closed: nothing is on its way any
//! more, it can be counted once and the count kept, together with the time of the last announcement. A later one, for
//! a late session, makes that count void before the session is there.
//!
//! Once all that it announced is written, a process says so as well. As soon as all have, the day is settled: who
//! counts it may show that count again until the next announcement.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::ids::{self, WireId};
use super::schema::Table;
use super::writers::{self, Writers};
use crate::model::AppId;
use crate::store::StoreError;

/// An app and a UTC date, in days since 1970-01-01.
pub(super) type AppDay = (AppId, u16);

/// How old what is known of other processes' announcements may be.
const FRESH: Duration = Duration::from_millis(400);
/// How long a day is left alone after all have said that they are done: replicas that may be asked are at most two
/// seconds behind.
const SETTLING: Duration = Duration::from_secs(3);
/// Announcements are asked for anew this far back, in seconds: they take a moment to arrive, and clocks differ.
const OVERLAP: u32 = 120;

#[derive(Row, Serialize, Deserialize)]
struct Change {
    app: WireId,
    day: u16,
    at: u32,
}

#[derive(Row, Serialize, Deserialize)]
struct Writer {
    app: WireId,
    day: u16,
    writer: u64,
    at: u32,
}

/// What the server says of announcements.
#[derive(Row, Serialize, Deserialize)]
struct Answer {
    kind: u8,
    app: WireId,
    day: u16,
    writer: u64,
    latest: u32,
}

/// A day was announced, at any time.
const CHANGED: u8 = 0;
/// What a process said of a day lately.
const SAID: u8 = 1;
/// What time it is.
const NOW: u8 = 2;

/// What is known of the days. Owned by the store.
pub(super) struct Days {
    /// The number of this process.
    writer: u64,
    state: Mutex<State>,
    /// One at a time asks the server.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Unix seconds of the last announcement.
    changed: BTreeMap<AppDay, u32>,
    /// What processes said lately.
    writers: HashMap<AppDay, Writers>,
    /// When the server was asked, by this process's clock and by its own (Unix seconds).
    asked: Option<(Instant, u32)>,
    /// What this process announced, and did not take back.
    announced: HashMap<AppDay, Lease>,
    /// Batches that this process is writing.
    writing: HashMap<AppDay, u32>,
    /// When this process last failed to write.
    failed: HashMap<AppDay, Instant>,
    /// How often this process wrote.
    written: HashMap<AppDay, u64>,
}

/// An announcement of this process.
#[derive(Clone, Copy)]
struct Lease {
    begun: Instant,
    /// Unix seconds.
    at: u32,
}

impl State {
    /// By the server's clock.
    fn now(&self) -> u32 {
        self.asked.map_or(0, |(asked, server)| {
            server.saturating_add(u32::try_from(asked.elapsed().as_secs()).unwrap_or_default())
        })
    }
}

/// What a day is, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) of: AppDay,
    /// Unix seconds of the last announcement.
    pub(super) changed: u32,
    pub(super) is_closed: bool,
    /// Whether all that was announced is written, as far as processes have said so.
    pub(super) is_settled: bool,
    /// Grows with every announcement.
    pub(super) version: u64,
    /// How often this process wrote to it.
    pub(super) written: u64,
}

impl Default for Days {
    fn default() -> Self {
        Self {
            writer: writers::number(RandomState::new().hash_one(std::process::id())),
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }
}

impl Days {
    /// Asks the server for announcements, unless that was done a moment ago.
    pub(super) async fn refresh(&self, engine: &Engine) -> Result<(), StoreError> {
        match Instant::now().checked_sub(FRESH) {
            Some(since) => self.refresh_since(engine, since).await,
            None => self.refresh_since(engine, Instant::now()).await,
        }
    }

    /// Asks the server for announcements, unless that was done since then.
    pub(super) async fn refresh_since(&self, engine: &Engine, oldest: Instant) -> Result<(), StoreError> {
        let is_fresh = || {
            let asked = self.state.lock().asked;
            asked.is_some_and(|(asked, _)| asked >= oldest)
        };
        if is_fresh() {
            return Ok(());
        }
        let _asking = self.asking.lock().await;
        if is_fresh() {
            return Ok(());
        }
        let since = self
            .state
            .lock()
            .asked
            .map_or(0, |(_, server)| server.saturating_sub(OVERLAP));
        let begun = Instant::now();
        let database = &engine.address().database;
        // What was announced before nobody is writing any more.
        let lately = match since {
            0 => format!("toUInt32(now()) - {}", engine.close_after() + OVERLAP),
            _ => since.saturating_sub(engine.close_after()).to_string(),
        };
        let sql = format!(
            "SELECT toUInt8({CHANGED}) AS kind, app, day, toUInt64(0) AS writer, max(at) AS latest \
             FROM {database}.changes WHERE at >= {since} GROUP BY app, day \
             UNION ALL SELECT toUInt8({SAID}) AS kind, app, day, writer, max(at) AS latest FROM {database}.writers \
             WHERE at >= {lately} GROUP BY app, day, writer \
             UNION ALL SELECT toUInt8({NOW}) AS kind, toUUID('00000000-0000-0000-0000-000000000000') AS app, \
             toUInt16(0) AS day, toUInt64(0) AS writer, toUInt32(now()) AS latest"
        );
        let rows: Vec<Answer> = engine.rows_soon(&sql).await?;
        let mut state = self.state.lock();
        for writers in state.writers.values_mut() {
            writers.forget_before(since.saturating_sub(engine.close_after() + OVERLAP));
        }
        for row in rows {
            let of = (ids::app_of(row.app), row.day);
            match row.kind {
                NOW => state.asked = Some((begun, row.latest)),
                SAID => state.writers.entry(of).or_default().note(row.writer, row.latest),
                _ => {
                    let changed = state.changed.entry(of).or_default();
                    *changed = row.latest.max(*changed);
                }
            }
        }
        Ok(())
    }

    /// Announces that sessions of these days are about to be written, where that was not done a moment ago.
    pub(super) async fn announce(
        &self,
        engine: &Engine,
        days: &BTreeSet<AppDay>,
    ) -> Result<Writing<'_>, StoreError> {
        let lease = lease(engine);
        // From here on what was announced is not taken back.
        let writing = Writing::begin(self, days);
        let due: BTreeSet<AppDay> = {
            let state = self.state.lock();
            let is_due = |day: &&AppDay| {
                let announced = state.announced.get(day);
                announced.is_none_or(|announced| announced.begun.elapsed() > lease)
            };
            days.iter().filter(is_due).copied().collect()
        };
        self.announce_all(engine, &due).await?;
        Ok(writing)
    }

    /// The same, whatever was announced before.
    pub(super) async fn announce_all(
        &self,
        engine: &Engine,
        days: &BTreeSet<AppDay>,
    ) -> Result<(), StoreError> {
        if days.is_empty() {
            return Ok(());
        }
        self.refresh(engine).await?;
        let begun = Instant::now();
        let rows: Vec<Change> = {
            let state = self.state.lock();
            let now = state.now();
            let row = |day: &AppDay| {
                let changed = state.changed.get(day).copied().unwrap_or_default();
                let own = state
                    .writers
                    .get(day)
                    .map_or(0, |writers| writers.latest_of(self.writer));
                Change {
                    app: ids::app(day.0),
                    day: day.1,
                    // Not before what others announced, also where the servers' clocks differ; and later than what this
                    // process announced before, which it may have said is done.
                    at: now.max(changed).max(own.saturating_add(1)),
                }
            };
            days.iter().map(row).collect()
        };
        let writer = |row: &Change| Writer {
            app: row.app,
            day: row.day,
            writer: self.writer,
            at: row.at,
        };
        let writers: Vec<Writer> = rows.iter().map(writer).collect();
        tokio::try_join!(
            engine.insert(Table::Changes, &rows),
            engine.insert(Table::Writers, &writers),
        )?;
        let mut state = self.state.lock();
        for Change { app, day, at } in rows {
            let of = (ids::app_of(app), day);
            let changed = state.changed.entry(of).or_default();
            *changed = at.max(*changed);
            state.writers.entry(of).or_default().note(self.writer, at);
            state.announced.insert(of, Lease { begun, at });
        }
        Ok(())
    }

    /// Says of days that this process announced, and whose time to write is over, that all is written. `at_once`: of all
    /// others as well.
    pub(super) async fn settle(&self, engine: &Engine, at_once: bool) -> Result<(), StoreError> {
        let over = match at_once {
            true => Duration::ZERO,
            false => lease(engine),
        };
        // A statement that failed may still be carried out.
        let landed = Duration::from_secs(engine.close_after().into());
        let rows: Vec<Writer> = {
            let state = &mut *self.state.lock();
            state.failed.retain(|_, at| at.elapsed() <= landed);
            let is_over = |day: &AppDay, announced: &Lease| {
                announced.begun.elapsed() >= over
                    && !state.writing.contains_key(day)
                    && !state.failed.contains_key(day)
            };
            let done = state
                .announced
                .extract_if(|day, announced| is_over(day, announced));
            let row = |(day, announced): (AppDay, Lease)| Writer {
                app: ids::app(day.0),
                day: day.1,
                writer: writers::done(self.writer),
                at: announced.at,
            };
            done.map(row).collect()
        };
        engine.insert(Table::Writers, &rows).await?;
        let mut state = self.state.lock();
        for row in rows {
            let of = (ids::app_of(row.app), row.day);
            state.writers.entry(of).or_default().note(row.writer, row.at);
        }
        Ok(())
    }

    /// When other processes last announced a day, in Unix seconds; 0: not lately. `None`: nobody ever wrote to it.
    pub(super) fn others(&self, day: AppDay) -> Option<u32> {
        let state = self.state.lock();
        state.changed.get(&day)?;
        let writers = state.writers.get(&day);
        Some(writers.map_or(0, |writers| writers.latest_but(self.writer)))
    }

    /// Whether somebody else may be writing to a day, as far as is known: another process, or a statement of this one
    /// that failed and may be carried out later.
    pub(super) fn is_shared(&self, day: AppDay, engine: &Engine) -> bool {
        let others = self.others(day).unwrap_or_default();
        others >= self.now().saturating_sub(engine.close_after())
            || self.state.lock().failed.contains_key(&day)
    }

    /// Unix seconds by the server's clock.
    pub(super) fn now(&self) -> u32 {
        self.state.lock().now()
    }

    /// The days of an app that anybody ever wrote to.
    pub(super) fn of(&self, app: AppId, days: std::ops::RangeInclusive<u16>, close_after: u32) -> Vec<Day> {
        if days.is_empty() {
            return Vec::new();
        }
        let state = self.state.lock();
        let now = state.now();
        let range = (app, *days.start())..=(app, *days.end());
        state
            .changed
            .range(range)
            .map(|(of, changed)| {
                let writers = state.writers.get(of);
                let oldest = now.saturating_sub(close_after);
                Day {
                    of: *of,
                    changed: *changed,
                    is_closed: *changed < oldest,
                    is_settled: writers.is_some_and(|writers| {
                        writers.are_done(*changed, oldest) && writers.are_quiet_for(SETTLING)
                    }),
                    version: writers.map_or(0, Writers::version),
                    written: state.written.get(of).copied().unwrap_or_default(),
                }
            })
            .collect()
    }
}

/// How long an announcement is good for. Not less than a second, by which the times of two announcements differ.
fn lease(engine: &Engine) -> Duration {
    (Duration::from_secs(engine.close_after().into()) / 6).max(Duration::from_secs(1))
}

/// Sessions of announced days are being written.
pub(super) struct Writing<'a> {
    days: &'a Days,
    of: BTreeSet<AppDay>,
    is_done: bool,
}

impl<'a> Writing<'a> {
    fn begin(days: &'a Days, of: &BTreeSet<AppDay>) -> Self {
        let mut state = days.state.lock();
        for day in of {
            *state.writing.entry(*day).or_default() += 1;
        }
        Self {
            days,
            of: of.clone(),
            is_done: false,
        }
    }

    /// They are written.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let state = &mut *self.days.state.lock();
        for day in &self.of {
            match state.writing.get_mut(day) {
                Some(batches @ 2..) => *batches -= 1,
                _ => _ = state.writing.remove(day),
            }
            match self.is_done {
                true => *state.written.entry(*day).or_default() += 1,
                false => _ = state.failed.insert(*day, Instant::now()),
            }
        }
    }
}
