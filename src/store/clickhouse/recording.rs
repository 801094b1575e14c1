//! Recording: what is new is added, what is not may only add its end.
//!
//! Rows of one session, from whatever process and delivery, have the same key and lie on the same shard; the one that
//! was delivered first has the highest precedence. So a session that is written twice is still counted once, and
//! looking for it first only serves the answer and keeps the tables small.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::Inner;
use super::catalog::Snapshot;
use super::counting;
use super::days::AppDay;
use super::engine::{Engine, list, quoted};
use super::ids::{self, WireId};
use super::people::{DEVICE, Person, USER};
use super::properties::NewCombinations;
use super::schema::Table;
use crate::model::{AppId, MAX_DURATION_MILLIS, Session, SessionEnd, UserAttributes, WorkspaceId};
use crate::store::records::SessionRecord;
use crate::store::{Recorded, StoreError};

/// With as many sessions of a day, an app's whole day is looked through.
const MANY: usize = 200;
/// What stands for an end that is not known.
pub(super) const NO_DURATION: i32 = -1;

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

#[derive(Row, Serialize, Deserialize)]
struct EndRow {
    app: WireId,
    day: u16,
    session_id: String,
    at: i64,
}

/// A session that was recorded before.
#[derive(Row, Serialize, Deserialize)]
struct KnownRow {
    app: WireId,
    day: u16,
    session_id: String,
    first_start: u32,
    user: String,
    device: String,
}

/// App, UTC date and session id.
type Key<'a> = (AppId, u16, &'a str);

struct Known {
    start: i64,
    person: Option<(u8, String)>,
}

type KnownSessions = HashMap<(AppId, u16), HashMap<String, Known>>;

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
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(since.as_micros()).unwrap_or_default();
    let mut bytes = [0; 2];
    let _ = getrandom::fill(&mut bytes);
    u64::MAX - ((micros << 12) | u64::from(u16::from_le_bytes(bytes) >> 4))
}

fn key(session: &Session) -> Key<'_> {
    // From 2000 to tomorrow: fits.
    let day = u16::try_from(session.utc_day()).unwrap_or(u16::MAX);
    (session.app(), day, session.session_id())
}

fn person(session: &Session, workspace: WorkspaceId) -> Option<Person> {
    let user = session.user_id().map(|id| (workspace, USER, id.to_owned()));
    user.or_else(|| session.device_id().map(|id| (workspace, DEVICE, id.to_owned())))
}

/// Records sessions as they are delivered.
pub(super) async fn record(store: &Inner, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
    write(store, &Source::Delivered(sessions)).await
}

/// Takes over sessions of another store, as they were recorded there.
pub(super) async fn adopt(store: &Inner, sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
    write(store, &Source::Copied(sessions)).await.map(|_| ())
}

async fn write(store: &Inner, source: &Source) -> Result<Vec<Recorded>, StoreError> {
    let snapshot = store.snapshot();
    let sessions = source.sessions();
    let owners = sessions
        .iter()
        .map(|session| owner(&snapshot, session.app()))
        .collect::<Result<Vec<_>, _>>()?;
    // Which session is the first of its person must not depend on how two batches of one process interleave.
    let _turn = store.recording.lock().await;
    store.days.refresh(&store.engine).await?;
    let people: BTreeSet<Person> = sessions
        .iter()
        .zip(&owners)
        .filter_map(|(session, owner)| person(session, *owner))
        .collect();
    let users = match source {
        Source::Delivered(_) => people.iter().filter(|person| person.1 == USER).cloned().collect(),
        Source::Copied(_) => BTreeSet::new(),
    };
    let keys: Vec<Key<'_>> = sessions.iter().map(|session| key(session)).collect();
    let (known, seen, attributes) = tokio::try_join!(
        known_sessions(store, &keys),
        store.people.seen(&store.engine, people),
        store.people.attributes(&store.engine, &users),
    )?;
    let mut batch = Batch {
        known,
        seen,
        ..Batch::default()
    };
    let precedence = precedence();
    for (index, (session, owner)) in sessions.iter().zip(&owners).enumerate() {
        if !batch.is_new(session, *owner) {
            batch.extend(session);
            continue;
        }
        let first = batch.see(session, *owner);
        let properties = match source {
            Source::Delivered(_) => {
                let user = session.user_id().map(|id| (*owner, USER, id.to_owned()));
                let none = UserAttributes::default();
                let user = user.and_then(|user| attributes.get(&user)).unwrap_or(&none);
                store
                    .combinations
                    .number(session.properties(), user, first, &mut batch.combinations)
            }
            Source::Copied(records) => {
                let recorded = records.get(index).map(|record| record.recorded.clone());
                batch.combinations.add(recorded.unwrap_or_default())
            }
        };
        batch.add(session, properties, precedence);
    }
    batch.write(store).await
}

fn owner(snapshot: &Snapshot, app: AppId) -> Result<WorkspaceId, StoreError> {
    let owner = snapshot.apps.get(&app).copied();
    owner.ok_or_else(|| StoreError::unknown("app", app))
}

/// What is to be written.
#[derive(Default)]
struct Batch {
    outcomes: Vec<Recorded>,
    known: KnownSessions,
    seen: BTreeSet<Person>,
    /// Who is seen for the first time.
    people: BTreeSet<Person>,
    combinations: NewCombinations,
    days: BTreeSet<AppDay>,
    rows: Vec<SessionRow>,
    ends: Vec<EndRow>,
}

impl Batch {
    /// Whether a session is recorded now. One that was recorded by somebody who did not live to note its person is
    /// made good for.
    fn is_new(&mut self, session: &Session, owner: WorkspaceId) -> bool {
        let (app, day, id) = key(session);
        let known = self.known.get(&(app, day)).and_then(|known| known.get(id));
        let is_new = known.is_none();
        if let Some(Known {
            person: Some((kind, id)),
            ..
        }) = known
        {
            let person = (owner, *kind, id.clone());
            if self.asked_for(&person, session, owner) && !self.seen.contains(&person) {
                self.people.insert(person);
            }
        }
        self.outcomes.push(if is_new {
            Recorded::New
        } else {
            Recorded::Duplicate
        });
        is_new
    }

    /// Whether it was looked up if a person was seen: only those whom the batch names were.
    fn asked_for(&self, one: &Person, session: &Session, owner: WorkspaceId) -> bool {
        person(session, owner).as_ref() == Some(one)
    }

    /// Whether it is the first session of its person, if it has one.
    fn see(&mut self, session: &Session, owner: WorkspaceId) -> Option<bool> {
        let person = person(session, owner)?;
        let first = !self.seen.contains(&person);
        if first {
            self.people.insert(person.clone());
            self.seen.insert(person);
        }
        Some(first)
    }

    fn add(&mut self, session: &Session, properties: u64, precedence: u64) {
        let (app, day, id) = key(session);
        let start = session.millis_of_day();
        self.days.insert((app, day));
        let known = Known { start, person: None };
        self.known
            .entry((app, day))
            .or_default()
            .insert(id.to_owned(), known);
        self.rows.push(SessionRow {
            app: ids::app(app),
            day,
            session_id: id.to_owned(),
            start: u32::try_from(start).unwrap_or_default(),
            precedence,
            properties,
            user_id: session.user_id().unwrap_or_default().to_owned(),
            device_id: session.device_id().unwrap_or_default().to_owned(),
            duration: session
                .duration()
                .and_then(|duration| i32::try_from(duration).ok())
                .unwrap_or(NO_DURATION),
        });
    }

    /// A session that was delivered again may only add its end, within the longest duration from its own start.
    fn extend(&mut self, session: &Session) {
        let Some(duration) = session.duration() else {
            return;
        };
        let (app, day, id) = key(session);
        let at = session.millis_of_day() + i64::from(duration);
        let known = self.known.get(&(app, day)).and_then(|known| known.get(id));
        if known.is_some_and(|known| (0..=MAX_DURATION_MILLIS).contains(&(at - known.start))) {
            self.ends.push(EndRow {
                app: ids::app(app),
                day,
                session_id: id.to_owned(),
                at,
            });
        }
    }

    /// In an order in which nothing that is written refers to something that is not, and a day is announced before it
    /// changes.
    async fn write(self, store: &Inner) -> Result<Vec<Recorded>, StoreError> {
        let engine = &store.engine;
        tokio::try_join!(
            store.combinations.store(engine, self.combinations),
            store.days.announce(engine, &self.days),
        )?;
        let begun = Instant::now();
        engine.insert(Table::Sessions, &self.rows).await?;
        let half = Duration::from_secs(engine.address().close_after.into()) / 2;
        if begun.elapsed() > half {
            // Somebody may have found the day closed, and counted it, while this was under way.
            store.days.announce_all(engine, &self.days).await?;
        }
        store.days.wrote(&self.days);
        tokio::try_join!(
            store.people.see(engine, self.people),
            engine.insert(Table::Ends, &self.ends),
        )?;
        Ok(self.outcomes)
    }
}

/// Those of the sessions that were recorded before.
async fn known_sessions(store: &Inner, keys: &[Key<'_>]) -> Result<KnownSessions, StoreError> {
    let mut days = BTreeMap::<AppDay, Vec<&str>>::new();
    for (app, day, id) in keys {
        // What nobody wrote to has nothing that could be delivered again.
        if store.days.is_known((*app, *day)) {
            days.entry((*app, *day)).or_default().push(id);
        }
    }
    let (many, few): (Vec<_>, Vec<_>) = days.into_iter().partition(|(_, ids)| ids.len() >= MANY);
    let (many, few) = tokio::try_join!(
        find(store, (!many.is_empty()).then(|| of_days(&many))),
        find(store, (!few.is_empty()).then(|| one_by_one(&few))),
    )?;
    let mut known = KnownSessions::new();
    for row in many.into_iter().chain(few) {
        let user = Some((USER, row.user)).filter(|(_, id)| !id.is_empty());
        let device = Some((DEVICE, row.device)).filter(|(_, id)| !id.is_empty());
        let session = Known {
            start: row.first_start.into(),
            person: user.or(device),
        };
        known
            .entry((ids::app_of(row.app), row.day))
            .or_default()
            .insert(row.session_id, session);
    }
    Ok(known)
}

async fn find(store: &Inner, condition: Option<String>) -> Result<Vec<KnownRow>, StoreError> {
    let Some(condition) = condition else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT app, day, session_id, argMax(start, precedence) AS first_start, argMax(user_id, precedence) AS user, \
         argMax(device_id, precedence) AS device FROM {}.sessions WHERE {condition} GROUP BY app, day, session_id",
        store.engine.address().database
    );
    store.engine.rows(&sql).await
}

/// Sessions with any of these ids on any of these days; one that was not asked for does no harm.
fn of_days(days: &[(AppDay, Vec<&str>)]) -> String {
    let apps: BTreeSet<AppId> = days.iter().map(|((app, _), _)| *app).collect();
    let dates: BTreeSet<u16> = days.iter().map(|((_, day), _)| *day).collect();
    let ids = days.iter().flat_map(|(_, ids)| ids.iter().copied());
    format!(
        "app IN ({}) AND day IN ({}) AND session_id IN (SELECT arrayJoin({}))",
        counting::literals(apps),
        list(dates),
        array(ids)
    )
}

/// Sessions with exactly these keys.
fn one_by_one(days: &[(AppDay, Vec<&str>)]) -> String {
    let keys = || {
        days.iter()
            .flat_map(|((app, day), ids)| ids.iter().map(move |id| (app, day, *id)))
    };
    let apps: Vec<String> = keys().map(|(app, ..)| app.to_string()).collect();
    let dates: Vec<String> = keys().map(|(_, day, _)| day.to_string()).collect();
    format!(
        "(app, day, session_id) IN (SELECT toUUID(a), toUInt16(d), s FROM (SELECT 1) ARRAY JOIN {} AS a, {} AS d, {} AS s)",
        array(apps.iter().map(String::as_str)),
        array(dates.iter().map(String::as_str)),
        array(keys().map(|(.., id)| id))
    )
}

/// An array of texts without control characters. The server reads one long literal several times as fast as many short
/// ones.
fn array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.collect();
    format!("splitByChar('\\n', {})", quoted(&texts.join("\n")))
}

/// Adds ends that came on their own; whether each found its session.
pub(super) async fn end(store: &Inner, ends: &[SessionEnd]) -> Result<Vec<bool>, StoreError> {
    let snapshot = store.snapshot();
    let mut keys = Vec::new();
    store.days.refresh(&store.engine).await?;
    for end in ends.iter().filter(|end| snapshot.apps.contains_key(&end.app())) {
        for (day, _) in end.possible_days() {
            keys.extend(u16::try_from(day).map(|day| (end.app(), day, end.session_id())));
        }
    }
    let known = known_sessions(store, &keys).await?;
    let mut rows = Vec::new();
    let mut outcomes = Vec::with_capacity(ends.len());
    for end in ends {
        let found = end.possible_days().find_map(|(day, at)| {
            let day = u16::try_from(day).ok()?;
            let start = known.get(&(end.app(), day))?.get(end.session_id())?.start;
            (0..=MAX_DURATION_MILLIS)
                .contains(&(at - start))
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
