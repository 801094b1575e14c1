//! When each day of an app was last written to: what tells whether a count of it that was kept still holds.
//!
//! Whoever is about to write sessions of a day first announces so, with the time; one announcement is good for a sixth
//! of the closing time. A day that nobody announced for the whole closing time is closed: nothing is on its way any
//! more, it can be counted once and the count kept, together with the time of the last announcement. A later one, for
//! a late session, makes that count void before the session is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::ids::{self, WireId};
use super::schema::Table;
use crate::model::AppId;
use crate::store::StoreError;

/// An app and a UTC date, in days since 1970-01-01.
pub(super) type AppDay = (AppId, u16);

/// How old what is known of other processes' announcements may be.
const FRESH: Duration = Duration::from_millis(400);
/// Announcements are asked for anew this far back, in seconds: they take a moment to arrive, and clocks differ.
const OVERLAP: u32 = 120;

#[derive(Row, Serialize, Deserialize)]
struct Change {
    app: WireId,
    day: u16,
    at: u32,
}

/// What is known of the days. Owned by the store.
#[derive(Default)]
pub(super) struct Days {
    state: Mutex<State>,
    /// One at a time asks the server.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Unix seconds of the last announcement.
    changed: BTreeMap<AppDay, u32>,
    /// When the server was asked, by this process's clock and by its own (Unix seconds).
    asked: Option<(Instant, u32)>,
    /// When this process announced.
    announced: HashMap<AppDay, Instant>,
    /// How often this process wrote.
    written: HashMap<AppDay, u64>,
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
    /// How often this process wrote to it.
    pub(super) written: u64,
}

impl Days {
    /// Asks the server for announcements, unless that was done a moment ago.
    pub(super) async fn refresh(&self, engine: &Engine) -> Result<(), StoreError> {
        let is_fresh = || {
            let asked = self.state.lock().asked;
            asked.is_some_and(|(asked, _)| asked.elapsed() < FRESH)
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
        let sql = format!(
            "SELECT app, day, max(at) AS latest FROM {}.changes WHERE at >= {since} GROUP BY app, day \
             UNION ALL SELECT toUUID('00000000-0000-0000-0000-000000000000') AS app, toUInt16(0) AS day, toUInt32(now()) AS latest",
            engine.address().database
        );
        let rows: Vec<Change> = engine.rows(&sql).await?;
        let mut state = self.state.lock();
        for Change { app, day, at } in rows {
            match (app, day) {
                ((0, 0), 0) => state.asked = Some((begun, at)),
                _ => {
                    let changed = state.changed.entry((ids::app_of(app), day)).or_default();
                    *changed = at.max(*changed);
                }
            }
        }
        Ok(())
    }

    /// Announces that sessions of these days are about to be written, where that was not done a moment ago.
    pub(super) async fn announce(&self, engine: &Engine, days: &BTreeSet<AppDay>) -> Result<(), StoreError> {
        let lease = Duration::from_secs(engine.address().close_after.into()) / 6;
        let due: BTreeSet<AppDay> = {
            let state = self.state.lock();
            let is_due = |day: &&AppDay| state.announced.get(day).is_none_or(|at| at.elapsed() > lease);
            days.iter().filter(is_due).copied().collect()
        };
        self.announce_all(engine, &due).await
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
            let row = |day: &AppDay| Change {
                app: ids::app(day.0),
                day: day.1,
                // Later than any before, also where the servers' clocks differ.
                at: now.max(
                    state
                        .changed
                        .get(day)
                        .map_or(0, |before| before.saturating_add(1)),
                ),
            };
            days.iter().map(row).collect()
        };
        engine.insert(Table::Changes, &rows).await?;
        let mut state = self.state.lock();
        for Change { app, day, at } in rows {
            let of = (ids::app_of(app), day);
            let changed = state.changed.entry(of).or_default();
            *changed = at.max(*changed);
            state.announced.insert(of, begun);
        }
        Ok(())
    }

    /// Notes that sessions of these days were written.
    pub(super) fn wrote(&self, days: &BTreeSet<AppDay>) {
        let mut state = self.state.lock();
        for day in days {
            *state.written.entry(*day).or_default() += 1;
        }
    }

    /// Whether anybody ever wrote to a day.
    pub(super) fn is_known(&self, day: AppDay) -> bool {
        self.state.lock().changed.contains_key(&day)
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
            .map(|(of, changed)| Day {
                of: *of,
                changed: *changed,
                is_closed: now.saturating_sub(*changed) > close_after,
                written: state.written.get(of).copied().unwrap_or_default(),
            })
            .collect()
    }
}
