//! Recording: what is new is added, what is not may only add its end.
//!
//! Rows of one session, from whatever process and delivery, have the same key and lie on the same shard; the one that
//! was delivered first has the highest precedence. So a session that is written twice is still counted once, and
//! looking for it first only serves the answer and keeps the tables small.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clickhouse::Row;
use foldhash::HashSet;
use serde::{Deserialize, Serialize};

use super::Inner;
use super::catalog::Snapshot;
use super::days::AppDay;
use super::engine::Engine;
use super::ids::{self, WireId};
use super::known::{self, Key, Known, KnownSessions, NO_DURATION};
use super::people::{DEVICE, Person, USER};
use super::properties::NewCombinations;
use super::schema::Table;
use crate::model::{AppId, MAX_DURATION_MILLIS, Session, SessionEnd, UserAttributes, WorkspaceId};
use crate::store::records::SessionRecord;
use crate::store::{Recorded, StoreError};

#[derive(Row, Serialize, Deserialize)]
struct SessionRow {
    app: WireId,
    day: u16,
    session_id: String,
    start: u32,
    precedence: u64,
    properties: u64,
    user_id: String,
    device_id: String,
    duration: i32,
}

impl SessionRow {
    fn key(&self) -> Key<'_> {
        (ids::app_of(self.app), self.day, &self.session_id)
    }

    fn known(&self) -> Known {
        Known {
            start: self.start,
            duration: self.duration,
        }
    }
}

#[derive(Clone, Row, Serialize, Deserialize)]
struct EndRow {
    app: WireId,
    day: u16,
    session_id: String,
    /// Milliseconds since the start of the day.
    at: i64,
}

impl EndRow {
    fn key(&self) -> Key<'_> {
        (ids::app_of(self.app), self.day, &self.session_id)
    }
}

/// Where a batch comes from.
enum Source {
    /// Sessions as they were delivered: they get the attributes of their users.
    Delivered(Vec<Session>),
    /// Sessions as another store has them, with their recorded properties.
    Copied(Vec<SessionRecord>),
}

impl Source {
    fn sessions(&self) -> Vec<&Session> {
        match self {
            Self::Delivered(sessions) => sessions.iter().collect(),
            Self::Copied(records) => records.iter().map(|record| &record.session).collect(),
        }
    }
}

/// Of what is recorded now: higher for what was recorded earlier, equal for no two batches.
pub(super) fn precedence() -> u64 {
    let mut bytes = [0; 2];
    let _ = getrandom::fill(&mut bytes);
    u64::MAX - ((micros() << 12) | u64::from(u16::from_le_bytes(bytes) >> 4))
}

/// The highest that nothing has that was recorded so many seconds ago or later.
fn precedence_before(seconds: u32) -> u64 {
    u64::MAX - (micros().saturating_sub(u64::from(seconds) * 1_000_000) << 12)
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

/// Stands for the precedence that a row gets when it is written.
const LATER: u64 = 0;

fn key(session: &Session) -> Key<'_> {
    // From 2000 to tomorrow: fits.
    let day = u16::try_from(session.utc_day()).unwrap_or(u16::MAX);
    (session.app(), day, session.session_id())
}

fn person(session: &Session, workspace: WorkspaceId) -> Option<Person<'_>> {
    let user = session.user_id().map(|id| (workspace, USER, id));
    user.or_else(|| session.device_id().map(|id| (workspace, DEVICE, id)))
}

/// Records sessions as they are delivered.
pub(super) async fn record(store: &Inner, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
    write(store, &Source::Delivered(sessions)).await
}

/// Takes over sessions of another store, as they were recorded there.
pub(super) async fn adopt(store: &Inner, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
    write(store, &Source::Copied(sessions)).await.map(|_| ())
}

/// While one batch is written, the next is prepared as if that had succeeded, and prepared again if it did not.
async fn write(store: &Inner, source: &Source) -> Result<Vec<Recorded>, StoreError> {
    let snapshot = store.snapshot();
    let sessions = source.sessions();
    let owners = sessions
        .iter()
        .map(|session| owner(&snapshot, session.app()))
        .collect::<Result<Vec<_>, _>>()?;
    // Which session is the first of its person must not depend on how two batches of one process interleave.
    let turn = store.recording.lock().await;
    store.days.refresh(&store.engine).await?;
    let keys: Vec<Key<'_>> = sessions.iter().map(|session| key(session)).collect();
    known::remember_days(store, &keys).await?;
    let failures = store.failures.load(Ordering::Acquire);
    let mut batch = prepare(store, source, &sessions, &keys, &owners).await?;
    let _writing = store.writing.lock().await;
    if store.failures.load(Ordering::Acquire) != failures {
        batch = prepare(store, source, &sessions, &keys, &owners).await?;
    }
    let expectation = batch.expect(store);
    drop(turn);
    let outcomes = batch.write(store).await?;
    expectation.fulfil();
    Ok(outcomes)
}

/// What the next batch is told of this one before it is written; void unless it is fulfilled.
struct Expectation<'a>(Option<&'a Inner>);

impl Expectation<'_> {
    fn fulfil(mut self) {
        self.0 = None;
    }
}

impl Drop for Expectation<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.0 {
            store.remembered.forget_sessions();
            store.people.forget_seen();
            // Afterwards: who sees this number finds nothing of what was expected.
            store.failures.fetch_add(1, Ordering::Release);
        }
    }
}

async fn prepare<'a>(
    store: &Inner,
    source: &'a Source,
    sessions: &[&'a Session],
    keys: &[Key<'a>],
    owners: &[WorkspaceId],
) -> Result<Batch<'a>, StoreError> {
    let people: HashSet<Person<'_>> = sessions
        .iter()
        .zip(owners)
        .filter_map(|(session, owner)| person(session, *owner))
        .collect();
    let users = match source {
        Source::Delivered(_) => people.iter().filter(|person| person.1 == USER).copied().collect(),
        Source::Copied(_) => HashSet::default(),
    };
    let (known, seen, attributes) = tokio::try_join!(
        known::known_sessions(store, keys),
        store.people.seen(&store.engine, people),
        store.people.attributes(&store.engine, &users),
    )?;
    let mut batch = Batch {
        known,
        seen,
        ..Batch::default()
    };
    // Twice the time that a delivery may take.
    let long_ago = precedence_before(2 * store.engine.close_after());
    let none = UserAttributes::default();
    for (index, ((session, key), owner)) in sessions.iter().zip(keys).zip(owners).enumerate() {
        let person = person(session, *owner);
        if let Some(known) = batch.known.of.get(key).copied() {
            batch.outcomes.push(Recorded::Duplicate);
            batch.make_good(key, known, person, long_ago);
            batch.extend(session, *key, known);
            continue;
        }
        batch.outcomes.push(Recorded::New);
        let first = person.map(|person| batch.see(person));
        let properties = match source {
            Source::Delivered(_) => {
                let user = person.and_then(|user| attributes.get(&user)).unwrap_or(&none);
                store
                    .combinations
                    .number(session.properties(), user, first, &mut batch.combinations)
            }
            Source::Copied(records) => {
                let recorded = records.get(index).map(|record| record.recorded.clone());
                batch.combinations.add(recorded.unwrap_or_default())
            }
        };
        batch.add(session, *key, properties);
    }
    Ok(batch)
}

fn owner(snapshot: &Snapshot, app: AppId) -> Result<WorkspaceId, StoreError> {
    let owner = snapshot.apps.get(&app).copied();
    owner.ok_or_else(|| StoreError::unknown("app", app))
}

/// What is to be written.
#[derive(Default)]
struct Batch<'a> {
    outcomes: Vec<Recorded>,
    known: KnownSessions<'a>,
    seen: HashSet<Person<'a>>,
    /// Who is seen for the first time.
    people: HashSet<Person<'a>>,
    combinations: NewCombinations,
    days: BTreeSet<AppDay>,
    rows: Vec<SessionRow>,
    ends: Vec<EndRow>,
}

impl<'a> Batch<'a> {
    /// Completes a first delivery by somebody who may not have come to its end: its person may not be noted, and what was
    /// recorded lately may not have its quorum, or may have come so late that its day was counted without it.
    fn make_good(&mut self, key: &Key<'a>, known: Known, named: Option<Person<'a>>, long_ago: u64) {
        let Some(first) = self.known.first.remove(key) else {
            return;
        };
        // It was looked up whether those were seen whom the batch names.
        if let Some(named) = named
            && first.person() == Some((named.1, named.2))
        {
            self.see(named);
        }
        if first.precedence < long_ago {
            let (app, day, id) = *key;
            self.days.insert((app, day));
            self.rows.push(SessionRow {
                app: ids::app(app),
                day,
                session_id: id.to_owned(),
                start: known.start,
                precedence: first.precedence,
                properties: first.properties,
                user_id: first.user_id,
                device_id: first.device_id,
                duration: known.duration,
            });
        }
    }

    /// Whether it is the first session of its person.
    fn see(&mut self, person: Person<'a>) -> bool {
        let first = self.seen.insert(person);
        if first {
            self.people.insert(person);
        }
        first
    }

    fn add(&mut self, session: &Session, key: Key<'a>, properties: u64) {
        let (app, day, id) = key;
        self.days.insert((app, day));
        let row = SessionRow {
            app: ids::app(app),
            day,
            session_id: id.to_owned(),
            start: u32::try_from(session.millis_of_day()).unwrap_or_default(),
            precedence: LATER,
            properties,
            user_id: session.user_id().unwrap_or_default().to_owned(),
            device_id: session.device_id().unwrap_or_default().to_owned(),
            duration: session
                .duration()
                .and_then(|duration| i32::try_from(duration).ok())
                .unwrap_or(NO_DURATION),
        };
        self.known.of.insert(key, row.known());
        self.rows.push(row);
    }

    /// A session that was delivered again may only add its end, within the longest duration from its own start.
    fn extend(&mut self, session: &Session, key: Key<'a>, known: Known) {
        let Some(duration) = session.duration() else {
            return;
        };
        let (app, day, id) = key;
        let at = session.millis_of_day() + i64::from(duration);
        let duration = at - i64::from(known.start);
        if (0..=MAX_DURATION_MILLIS).contains(&duration) && duration > known.duration.into() {
            let duration = i32::try_from(duration).unwrap_or(known.duration);
            self.known.of.insert(key, Known { duration, ..known });
            self.ends.push(EndRow {
                app: ids::app(app),
                day,
                session_id: id.to_owned(),
                at,
            });
        }
    }

    /// Lets the next batch be prepared as if this one were written.
    fn expect<'s>(&self, store: &'s Inner) -> Expectation<'s> {
        let rows = self.rows.iter().map(|row| (row.key(), row.known()));
        let extended = self.ends.iter().map(EndRow::key);
        let session = |key| self.known.of.get(&key).map(|known| (key, *known));
        store.remembered.expect(rows.chain(extended.filter_map(session)));
        store.people.expect(&self.people);
        Expectation(Some(store))
    }

    /// In an order in which nothing that is written refers to something that is not, and a day is announced before it
    /// changes.
    async fn write(mut self, store: &Inner) -> Result<Vec<Recorded>, StoreError> {
        let engine = &store.engine;
        let begun = Instant::now();
        let (_, writing) = tokio::try_join!(
            store
                .combinations
                .store(engine, std::mem::take(&mut self.combinations)),
            store.days.announce(engine, &self.days),
        )?;
        // Not before: who does not find the announcement below was first.
        let precedence = precedence();
        let new = self.rows.iter_mut().filter(|row| row.precedence == LATER);
        new.for_each(|row| row.precedence = precedence);
        engine.insert(Table::Sessions, &self.rows).await?;
        if begun.elapsed() > Duration::from_secs(engine.close_after().into()) / 3 {
            // Somebody may have found the day closed, and counted it, while this was under way.
            store.days.announce_all(engine, &self.days).await?;
        }
        writing.done();
        tokio::try_join!(store.people.see(engine, &self.people), self.write_ends(store))?;
        Ok(self.outcomes)
    }

    /// Ends that sessions got later, and those of new sessions that another process may have recorded at the same time:
    /// of two first deliveries only one stays, with its own end.
    async fn write_ends(&self, store: &Inner) -> Result<(), StoreError> {
        let engine = &store.engine;
        let ended = || self.rows.iter().filter(|row| row.duration != NO_DURATION);
        let is_shared = |row: &SessionRow| store.days.is_shared((ids::app_of(row.app), row.day), engine);
        if !ended().all(is_shared) {
            // Who announces from now on gives these sessions a lower precedence.
            store.days.refresh_since(engine, Instant::now()).await?;
        }
        let shared = ended().filter(|row| is_shared(row)).map(|row| EndRow {
            app: row.app,
            day: row.day,
            session_id: row.session_id.clone(),
            at: i64::from(row.start) + i64::from(row.duration),
        });
        let ends: Vec<EndRow> = shared.chain(self.ends.iter().cloned()).collect();
        engine.insert(Table::Ends, &ends).await
    }
}

/// Adds ends that came on their own; whether each found its session.
pub(super) async fn end(store: &Inner, ends: &[SessionEnd]) -> Result<Vec<bool>, StoreError> {
    let snapshot = store.snapshot();
    let mut keys = Vec::new();
    // Another process may have acknowledged the sessions a moment ago.
    store.days.refresh_since(&store.engine, Instant::now()).await?;
    for end in ends.iter().filter(|end| snapshot.apps.contains_key(&end.app())) {
        for (day, _) in end.possible_days() {
            keys.extend(u16::try_from(day).map(|day| (end.app(), day, end.session_id())));
        }
    }
    let known = known::known_sessions(store, &keys).await?;
    let mut rows = Vec::new();
    let mut outcomes = Vec::with_capacity(ends.len());
    for end in ends {
        let found = end.possible_days().find_map(|(day, at)| {
            let day = u16::try_from(day).ok()?;
            let known = known.of.get(&(end.app(), day, end.session_id()))?;
            (0..=MAX_DURATION_MILLIS)
                .contains(&(at - i64::from(known.start)))
                .then_some((day, at))
        });
        outcomes.push(found.is_some());
        rows.extend(found.map(|(day, at)| EndRow {
            app: ids::app(end.app()),
            day,
            session_id: end.session_id().to_owned(),
            at,
        }));
    }
    store.engine.insert(Table::Ends, &rows).await?;
    Ok(outcomes)
}

/// Apps and days that have sessions.
pub(super) async fn days(engine: &Engine) -> Result<Vec<AppDay>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT app, day FROM {}.sessions ORDER BY app, day",
        engine.address().database
    );
    let rows: Vec<DayRow> = engine.rows(&sql).await?;
    Ok(rows
        .into_iter()
        .map(|row| (ids::app_of(row.app), row.day))
        .collect())
}

#[derive(Row, Serialize, Deserialize)]
struct DayRow {
    app: WireId,
    day: u16,
}
