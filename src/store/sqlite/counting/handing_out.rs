//! Hands out cells and people of days: kept ones, those in memory, or built ones.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use tokio::time::Instant;

use super::super::SqliteStore;
use super::super::days::{self, AppDay};
use super::super::held::Current;
use super::super::pool::Day;
use super::super::rollups::{self, KeptRollup, WORTHWHILE};
use super::{Counting, Shared};
use crate::model::AppId;
use crate::rollup::{Cells, People, Rollup};
use crate::store::{DayVersion, StoreError, Version};

/// Memory for rollups that can't be kept yet, as they would be kept.
const UNKEPT: usize = 64 << 20;
/// Threads that read for one request.
const THREADS: usize = 4;

/// Rollups of days that change too often to be kept on disk, or that changed a moment ago.
#[derive(Debug, Default)]
pub(super) struct Unkept {
    held: HashMap<AppDay, Arc<KeptRollup>>,
    /// The oldest first.
    order: VecDeque<AppDay>,
    bytes: usize,
}

impl Unkept {
    pub(super) fn put(&mut self, rollup: KeptRollup) {
        let of = rollup.of;
        self.bytes += rollup.bytes();
        if let Some(before) = self.held.insert(of, Arc::new(rollup)) {
            self.bytes -= before.bytes();
            self.order.retain(|other| *other != of);
        }
        self.order.push_back(of);
        while self.bytes > UNKEPT
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(rollup) = self.held.remove(&oldest) {
                self.bytes -= rollup.bytes();
            }
        }
    }

    pub(super) fn get(&self, of: AppDay, seq: i64) -> Option<Arc<KeptRollup>> {
        self.held.get(&of).filter(|rollup| rollup.seq == seq).cloned()
    }
}

/// A part of a rollup that is handed out.
pub(in super::super) trait Part: Default + Send + Sync + 'static {
    /// As it is kept in a state; none where it is not, or can't be read.
    fn kept(connection: &Connection, of: AppDay, seq: i64) -> Result<Option<Self>, StoreError>;
    /// Of one that is in memory as it would be kept.
    fn unkept(rollup: &KeptRollup) -> Option<Self>;
    /// Of one that was just built.
    fn of(rollup: Rollup) -> Self;
}

impl Part for Cells {
    fn kept(connection: &Connection, of: AppDay, seq: i64) -> Result<Option<Self>, StoreError> {
        rollups::kept_cells(connection, of, seq)
    }

    fn unkept(rollup: &KeptRollup) -> Option<Self> {
        Self::decode(&rollup.cells).ok()
    }

    fn of(rollup: Rollup) -> Self {
        rollup.cells
    }
}

impl Part for People {
    fn kept(connection: &Connection, of: AppDay, seq: i64) -> Result<Option<Self>, StoreError> {
        rollups::kept_people(connection, of, seq)
    }

    fn unkept(rollup: &KeptRollup) -> Option<Self> {
        Self::decode(&rollup.people).ok()
    }

    fn of(rollup: Rollup) -> Self {
        rollup.people
    }
}

/// What came of looking for a day.
enum Found<T> {
    Here(DayVersion, Arc<T>),
    /// It has to be built of so many sessions.
    Missing(u64),
}

/// A place in the order of the days that were asked for, and what was found.
type Looked<T> = (usize, Found<T>);

impl Counting {
    /// Days of apps that have sessions, ordered by day and app.
    pub(in super::super) async fn days(
        &self,
        apps: Arc<[(i64, AppId)]>,
        range: RangeInclusive<i64>,
    ) -> Result<Vec<DayVersion>, StoreError> {
        if let Some(days) = self.shared.days(&apps, &range, None)? {
            return Ok(days);
        }
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = |connection: &Connection| loop {
                if let Some(days) = shared.days(&apps, &range, Some(connection))? {
                    return Ok(days);
                }
            };
            shared.readers.with(read)
        });
        read.await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// A part of the rollup of each of these days, in their order.
    pub(in super::super) async fn parts<T: Part>(
        &self,
        asked: Vec<Day>,
    ) -> Result<Vec<(DayVersion, Arc<T>)>, StoreError> {
        let deadline = Instant::now() + self.patience;
        let mut found: Vec<Option<(DayVersion, Arc<T>)>> = asked.iter().map(|_| None).collect();
        let mut open: Vec<(usize, Day)> = asked.into_iter().enumerate().collect();
        let mut may_build = false;
        while !open.is_empty() {
            let mut missing = Vec::new();
            let mut done = 0;
            for (place, result) in self.look(open.clone(), may_build).await? {
                match (result, found.get_mut(place)) {
                    (Found::Here(version, part), Some(slot)) => {
                        done += version.sessions;
                        *slot = Some((version, part));
                    }
                    (Found::Missing(sessions), _) => missing.push((place, sessions)),
                    (Found::Here(..), None) => {}
                }
            }
            open.retain_mut(|(place, day)| {
                let sessions = missing.iter().find(|(missing, _)| missing == place);
                day.sessions = sessions.map_or(day.sessions, |(_, sessions)| *sessions);
                sessions.is_some()
            });
            if open.is_empty() {
                break;
            }
            let total = done + missing.iter().map(|(_, sessions)| sessions).sum::<u64>();
            let ticket = self.pool.submit(open.iter().map(|(_, day)| *day), None);
            ticket.all_done_by(deadline, (done, total)).await?;
            // A day that has changed since the pool built it is built where it is read, so that this ends.
            may_build = true;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Looks for days with a few threads.
    async fn look<T: Part>(
        &self,
        days: Vec<(usize, Day)>,
        may_build: bool,
    ) -> Result<Vec<Looked<T>>, StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = days.len().div_ceil(threads.clamp(1, THREADS)).max(1);
        let tasks: Vec<_> = days
            .chunks(share)
            .map(|chunk| {
                let (shared, chunk) = (self.shared.clone(), chunk.to_vec());
                tokio::task::spawn_blocking(move || {
                    shared.readers.with(|connection| {
                        let look = |(place, day): (usize, Day)| {
                            let found = shared.look_for(connection, day.of(), day.app.1, may_build);
                            found.map(|found| (place, found))
                        };
                        chunk.into_iter().map(look).collect::<Result<Vec<_>, _>>()
                    })
                })
            })
            .collect();
        let mut looked = Vec::with_capacity(days.len());
        for task in tasks {
            let result = task
                .await
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            looked.extend(result?);
        }
        Ok(looked)
    }

    /// The recorded properties of combinations, in their order.
    pub(in super::super) async fn properties(
        &self,
        combinations: Vec<u64>,
    ) -> Result<Vec<Arc<str>>, StoreError> {
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || {
            shared.readers.with(|connection| {
                let mut content =
                    connection.prepare_cached("SELECT content FROM properties WHERE ordinal = ?1")?;
                let mut read = |combination: u64| {
                    let ordinal = i64::try_from(combination).unwrap_or(i64::MAX);
                    let text: Option<String> = content.query_row([ordinal], |row| row.get(0)).optional()?;
                    let text = text.ok_or_else(|| StoreError::no_combination(combination))?;
                    Ok(Arc::from(text))
                };
                combinations.into_iter().map(&mut read).collect()
            })
        });
        read.await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Shared {
    /// `None` where the store has to be read for that.
    fn days(
        &self,
        apps: &[(i64, AppId)],
        range: &RangeInclusive<i64>,
        connection: Option<&Connection>,
    ) -> Result<Option<Vec<DayVersion>>, StoreError> {
        let mut days = Vec::new();
        for (ordinal, app) in apps {
            let (everyone, current) = self.cache.everyone(&self.log, *ordinal, connection)?;
            if current == Current::NotWithoutReading {
                return Ok(None);
            }
            let held = everyone.held.read();
            let version = |(day, seq, sessions)| DayVersion {
                day,
                app: *app,
                version: version(seq),
                sessions,
            };
            days.extend(held.days.range(range.clone()).map(version));
        }
        days.sort_unstable();
        Ok(Some(days))
    }

    /// A part of the rollup of a day, in one state of the store.
    fn look_for<T: Part>(
        &self,
        connection: &Connection,
        of: AppDay,
        app: AppId,
        may_build: bool,
    ) -> Result<Found<T>, StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let row = days::get(&transaction, of)?;
        let (seq, sessions) = row.map_or((0, 0), |row| (row.seq, row.totals.sessions()));
        let is_sealed = row.is_some_and(|row| row.is_sealed);
        let here = |part: T| {
            let version = DayVersion {
                day: of.1,
                app,
                version: version(seq),
                sessions,
            };
            Ok(Found::Here(version, Arc::new(part)))
        };
        if sessions == 0 {
            return here(T::default());
        }
        let unkept = self.unkept.lock().get(of, seq);
        if let Some(part) = unkept.and_then(|rollup| T::unkept(&rollup)) {
            return here(part);
        }
        if sessions >= WORTHWHILE || is_sealed {
            if let Some(part) = T::kept(&transaction, of, seq)? {
                return here(part);
            }
            if !may_build && !is_sealed {
                return Ok(Found::Missing(sessions));
            }
        }
        let rollup = rollups::build(&transaction, of)?;
        if sessions >= WORTHWHILE {
            self.unkept.lock().put(KeptRollup::new(of, seq, &rollup)?);
        }
        here(T::of(rollup))
    }
}

fn version(seq: i64) -> Version {
    Version(u128::from(seq.cast_unsigned()))
}

impl SqliteStore {
    pub(in crate::store::sqlite) fn days_of(&self, days: &[(AppId, i64)]) -> Result<Vec<Day>, StoreError> {
        let snapshot = self.published.load();
        let day = |(app, day): &(AppId, i64)| {
            let (ordinal, workspace) = snapshot
                .apps
                .get(app)
                .ok_or_else(|| StoreError::unknown("app", app))?;
            Ok(Day {
                workspace: *workspace,
                app: (*ordinal, *app),
                day: *day,
                sessions: 0,
                is_complete: false,
            })
        };
        days.iter().map(day).collect()
    }
}
