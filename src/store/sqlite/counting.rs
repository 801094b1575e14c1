//! Answers: everyone's sessions from the rows of days, those of a filter from the days' rollups, both from memory where
//! they are held.

mod handing_out;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc::WeakSender;
use tokio::time::Instant;

use self::handing_out::Unkept;
use super::Job;
use super::days::{self, AppDay};
use super::filters::{Filters, KnownFilter};
use super::held::{Cache, Current, no_counts};
use super::log::Log;
use super::pool::{Came, Day, Pool, Task};
use super::readers::Readers;
use super::rollups::{self, KeptRollup, WORTHWHILE};
use super::writer::Writer;
use crate::model::AppId;
use crate::rollup::folds::Distinct;
use crate::rollup::{Cells, People, days_of};
use crate::store::{StoreError, Users};

/// How long a request waits for days to be counted. The work goes on when it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long filters are evaluated for a day before it is the next workspace's turn.
const TURN: Duration = Duration::from_millis(300);
/// The part of the memory that filters may take; series have what they leave.
const FILTERS: usize = 4;
/// Less memory than this is not enough for an answer.
const LEAST_MEMORY: usize = 1 << 20;
/// How often it is said how far building has come.
const LOOK: Duration = Duration::from_millis(200);
/// Rollups are kept in transactions of about this many bytes, so that recording never waits long for one.
const KEPT_AT_ONCE: usize = 1 << 20;

/// What is asked: whose sessions, between which edges.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) workspace: i64,
    /// Ordinals and ids.
    pub(super) apps: Arc<[(i64, AppId)]>,
    /// `None` for everyone.
    pub(super) filter: Option<Arc<KnownFilter>>,
    pub(super) edges: Arc<[i64]>,
}

/// What came of trying to answer from memory.
enum Tried {
    Counted(Vec<u64>),
    /// The store has to be read.
    NotWithoutReading,
    /// These days have to be counted for the filter; with sessions that are counted, and all that must be.
    Missing {
        days: Vec<Day>,
        done: u64,
        total: u64,
    },
}

/// What answers need. Owned by the store; the pool's threads have handles.
pub(super) struct Counting {
    shared: Arc<Shared>,
    pool: Pool,
    patience: Duration,
}

struct Shared {
    log: Arc<Log>,
    cache: Cache,
    readers: Arc<Readers>,
    /// Where nothing can be written there is none.
    keeper: Option<WeakSender<Job>>,
    /// Rollups that are to be kept.
    built: Mutex<Vec<KeptRollup>>,
    /// Those that can't be kept yet.
    unkept: Mutex<Unkept>,
    filters: Filters,
    /// Bytes that series and filters may take, about.
    memory: usize,
}

/// How much counting may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// How long a request waits for days to be counted.
    pub(super) patience: Duration,
    /// Bytes that series and filters may take, about.
    pub(super) memory: usize,
    pub(super) threads: usize,
}

impl Counting {
    pub(super) fn new(
        log: Arc<Log>,
        readers: Arc<Readers>,
        keeper: Option<WeakSender<Job>>,
        means: Means,
    ) -> Self {
        let shared = Arc::new(Shared {
            log,
            cache: Cache::new(),
            readers,
            keeper,
            built: Mutex::default(),
            unkept: Mutex::default(),
            filters: Filters::default(),
            memory: means.memory.max(LEAST_MEMORY),
        });
        let (working, resting) = (shared.clone(), shared.clone());
        let pool = Pool::new(
            means.threads,
            move |task, is_over| working.work(task, is_over),
            move || resting.keep_built(0),
        );
        Self {
            shared,
            pool,
            patience: means.patience,
        }
    }

    pub(super) fn filters(&self) -> &Filters {
        &self.shared.filters
    }

    /// Sessions between each two neighbouring edges.
    pub(super) async fn count(&self, asked: Asked) -> Result<Vec<u64>, StoreError> {
        if let Tried::Counted(counts) = self.shared.try_to_count(&asked, None)? {
            return Ok(counts);
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let (days, done, total) = match self.read_and_count(asked.clone()).await? {
                Tried::Counted(counts) => return Ok(counts),
                Tried::NotWithoutReading => continue,
                Tried::Missing { days, done, total } => (days, done, total),
            };
            let ticket = self.pool.submit(days, asked.filter.as_ref());
            ticket.all_done_by(deadline, (done, total)).await?;
            // Days that change without pause might keep it here.
            if Instant::now() >= deadline {
                return Err(StoreError::Counting(99));
            }
        }
    }

    /// Distinct users between each two neighbouring edges.
    pub(super) async fn users(&self, asked: Asked) -> Result<Users, StoreError> {
        // Where days have to be counted first, that is done in turn, and what is built for it is kept.
        self.count(asked.clone()).await?;
        let shared = self.shared.clone();
        let counted = tokio::task::spawn_blocking(move || {
            shared
                .readers
                .with(|connection| shared.count_users(connection, &asked))
        });
        counted
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    async fn read_and_count(&self, asked: Asked) -> Result<Tried, StoreError> {
        let shared = self.shared.clone();
        let tried = tokio::task::spawn_blocking(move || {
            let tried = shared
                .readers
                .with(|connection| shared.try_to_count(&asked, Some(connection)));
            let filters = shared.filters.shrink_to(shared.memory / FILTERS);
            shared.cache.shrink_to(shared.memory.saturating_sub(filters));
            tried
        });
        tried
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Builds rollups of days in the background; an error is logged.
    pub(super) fn build(&self, days: impl IntoIterator<Item = Day>) {
        self.pool.submit(days, None);
    }

    /// Builds rollups of days and waits for it; `progress` hears how many sessions their days have that are done.
    pub(super) async fn build_now(
        &self,
        days: Vec<Day>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), StoreError> {
        let ticket = self.pool.submit(days, None);
        let all_done = ticket.all_done();
        tokio::pin!(all_done);
        loop {
            match tokio::time::timeout(LOOK, &mut all_done).await {
                Ok(result) => return result,
                Err(_) => progress(ticket.done.load(Ordering::Relaxed)),
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pool.is_idle()
    }

    /// Sessions, about, of the days that are counted right now or wait for it.
    pub(super) fn sessions_left(&self) -> u64 {
        self.pool.sessions_left()
    }

    /// Ends the pool's threads.
    pub(super) fn stop(&self) {
        self.pool.stop();
    }
}

impl Shared {
    fn try_to_count(&self, asked: &Asked, connection: Option<&Connection>) -> Result<Tried, StoreError> {
        let Some(filter) = &asked.filter else {
            let counts = self
                .cache
                .count_everyone(&self.log, &asked.apps, &asked.edges, connection)?;
            return Ok(counts.map_or(Tried::NotWithoutReading, Tried::Counted));
        };
        let mut counts = no_counts(&asked.edges);
        let (mut missing, mut done, mut total) = (Vec::new(), 0, 0);
        for app in asked.apps.iter() {
            let (everyone, current) = self.cache.everyone(&self.log, app.0, connection)?;
            if current == Current::NotWithoutReading {
                return Ok(Tried::NotWithoutReading);
            }
            let Some(range) = days_of(&asked.edges) else {
                continue;
            };
            let (filtered, current) = self.cache.of_filter(&self.log, *app, filter, connection)?;
            if current == Current::NotWithoutReading {
                return Ok(Tried::NotWithoutReading);
            }
            let (everyone, filtered) = (everyone.held.read(), filtered.held.read());
            let before = missing.len();
            let mut held = filtered.days.range(range.clone()).peekable();
            for (day, version, sessions) in everyone.days.range(range) {
                total += sessions;
                while held.next_if(|(other, ..)| *other < day).is_some() {}
                match held.peek() {
                    Some((other, contains, _)) if *other == day && *contains >= version => done += sessions,
                    _ => missing.push(Day {
                        workspace: asked.workspace,
                        app: *app,
                        day,
                        sessions,
                        is_complete: false,
                    }),
                }
            }
            if missing.len() == before {
                filtered.days.count(&asked.edges, &mut counts);
            }
        }
        if missing.is_empty() {
            Ok(Tried::Counted(counts))
        } else {
            Ok(Tried::Missing {
                days: missing,
                done,
                total,
            })
        }
    }

    fn count_users(&self, connection: &Connection, asked: &Asked) -> Result<Users, StoreError> {
        let mut distinct = Distinct::new(&asked.edges);
        let Some(range) = days_of(&asked.edges) else {
            return Ok(distinct.into());
        };
        for app in asked.apps.iter() {
            let (everyone, _) = self.cache.everyone(&self.log, app.0, Some(connection))?;
            let held = everyone
                .held
                .read()
                .days
                .range(range.clone())
                .map(|(day, ..)| day)
                .collect::<Vec<_>>();
            for day in held {
                let people = {
                    let transaction = connection.unchecked_transaction()?;
                    let row = days::get(&transaction, (app.0, day))?;
                    row.map(|row| self.people(&transaction, (app.0, day), row.seq))
                        .transpose()?
                };
                let people = people.unwrap_or_default();
                let Some(filter) = &asked.filter else {
                    distinct.add(day, &people, |_| true);
                    continue;
                };
                let unknown = filter.unknown(app.0, people.combinations().iter().copied());
                filter.evaluate(connection, *app, &unknown, || false)?;
                filter.with(app.0, |bitmap| {
                    distinct.add(day, &people, |combination| bitmap.get(combination) == Some(true));
                });
            }
        }
        Ok(distinct.into())
    }

    /// The people of a day in the state that is being read.
    fn people(&self, connection: &Connection, of: AppDay, seq: i64) -> Result<People, StoreError> {
        match rollups::kept_people(connection, of, seq)? {
            Some(people) => Ok(people),
            None => Ok(rollups::build(connection, of)?.people),
        }
    }

    /// What a thread of the pool does for a day.
    fn work(&self, task: &Task, is_over: &dyn Fn() -> bool) -> Result<Came, StoreError> {
        let result = self
            .readers
            .with(|connection| self.count_day(connection, task, is_over));
        self.keep_built(KEPT_AT_ONCE);
        if let Err(error) = &result
            && task.filters.is_empty()
            && !is_over()
        {
            tracing::warn!(%error, "the rollup of a day can't be built right now");
        }
        result
    }

    fn count_day(
        &self,
        connection: &Connection,
        task: &Task,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Came, StoreError> {
        let of = task.day.of();
        let place = self.log.head();
        let is_small = task.day.sessions < WORTHWHILE && !task.filters.is_empty();
        let (seq, cells) = if is_small {
            rollups::count_few(connection, of)?
        } else {
            self.read_day(connection, of, task)?
        };
        let begun = Instant::now();
        let must_end = || is_over() || begun.elapsed() > TURN;
        for filter in &task.filters {
            let unknown = filter.unknown(of.0, cells.combinations().iter().copied());
            if !filter.evaluate(connection, task.day.app, &unknown, must_end)? {
                return Ok(Came::ToTheEndOfItsTurn);
            }
            let counts = filter.with(of.0, |bitmap| {
                cells.sum(|combination| bitmap.get(combination) == Some(true))
            });
            let slot = self.cache.slot(of.0, filter.number, place);
            let mut held = slot.held.write();
            held.put(&self.log, of, filter, (seq, &counts), place);
        }
        Ok(Came::ToItsEnd)
    }

    /// A day's number and its cells. One state for a day, and another for the next: a long one would keep the journal from
    /// being reset.
    fn read_day(&self, connection: &Connection, of: AppDay, task: &Task) -> Result<(i64, Cells), StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let Some(row) = days::get(&transaction, of)? else {
            return Ok((0, Cells::default()));
        };
        let cells = self.cells(&transaction, of, row.seq, row.totals.sessions(), task)?;
        Ok((row.seq, cells))
    }

    /// The cells of a day in the state that is being read: kept ones, or built of the sessions.
    fn cells(
        &self,
        connection: &Connection,
        of: AppDay,
        seq: i64,
        sessions: u64,
        task: &Task,
    ) -> Result<Cells, StoreError> {
        let is_kept =
            || -> Result<bool, StoreError> { Ok(rollups::kept_people(connection, of, seq)?.is_some()) };
        let unkept = self.unkept.lock().get(of, seq);
        if let Some(cells) = unkept.and_then(|rollup| Cells::decode(&rollup.cells).ok()) {
            return Ok(cells);
        }
        if let Some(cells) = rollups::kept_cells(connection, of, seq)?
            && (!task.filters.is_empty() || is_kept()?)
        {
            return Ok(cells);
        }
        let rollup = rollups::build(connection, of)?;
        let is_quiet = task.day.is_complete || self.is_quiet(of);
        if sessions >= WORTHWHILE && (is_quiet || task.filters.is_empty()) {
            let kept = KeptRollup::new(of, seq, &rollup)?;
            if is_quiet {
                self.built.lock().push(kept.clone());
            }
            // Somebody may wait for it, and would have to build it once more until it is kept.
            if task.filters.is_empty() {
                self.unkept.lock().put(kept);
            }
        }
        Ok(rollup.cells)
    }

    fn is_quiet(&self, of: AppDay) -> bool {
        self.keeper.is_some() && is_over(of.1) && self.log.is_quiet(of)
    }

    /// Has the writer keep what was built if that is at least as many bytes.
    fn keep_built(&self, least: usize) {
        let rollups = {
            let mut built = self.built.lock();
            let bytes: usize = built.iter().map(KeptRollup::bytes).sum();
            if built.is_empty() || bytes < least {
                return;
            }
            std::mem::take(&mut *built)
        };
        let job: Job = Box::new(move |writer: &mut Writer| {
            if let Err(error) = writer.keep(&rollups) {
                tracing::warn!(%error, "rollups can't be kept right now; they are built again when somebody asks");
            }
        });
        // If the store is closing, they are built again.
        if let Some(writer) = self.keeper.as_ref().and_then(WeakSender::upgrade) {
            let _ = writer.blocking_send(job);
        }
    }
}

/// Whether a UTC day has ended. A running day is counted in memory only: what would be kept of it would not hold long.
pub(super) fn is_over(day: i64) -> bool {
    day < super::now().div_euclid(86_400_000)
}

/// Days of which no rollup is kept and that have not changed for a while, at most `limit`.
pub(super) fn quiet_days_without_rollup(
    connection: &Connection,
    log: &Log,
    apps: &HashMap<i64, AppId>,
    limit: usize,
) -> Result<Vec<Day>, StoreError> {
    let quiet = |of: AppDay| is_over(of.1) && log.is_quiet(of);
    let days = rollups::missing(connection, 0, limit, quiet)?;
    Ok(with_ids(days, apps, false))
}

/// Days that commits after `seq` changed, by whoever knows that these were the last ones for now, and of which no rollup is
/// kept.
pub(super) fn complete_days_without_rollup(
    connection: &Connection,
    seq: i64,
    apps: &HashMap<i64, AppId>,
) -> Result<Vec<Day>, StoreError> {
    let days = rollups::missing(connection, seq, usize::MAX, |(_, day)| is_over(day))?;
    Ok(with_ids(days, apps, true))
}

fn with_ids(days: Vec<rollups::Missing>, apps: &HashMap<i64, AppId>, is_complete: bool) -> Vec<Day> {
    let day = |missing: rollups::Missing| {
        let (app, day) = missing.of;
        Some(Day {
            workspace: missing.workspace,
            app: (app, *apps.get(&app)?),
            day,
            sessions: missing.sessions,
            is_complete,
        })
    };
    days.into_iter().filter_map(day).collect()
}
