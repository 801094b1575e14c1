//! Recording: every delivery is written, and of the rows of one session the first delivery counts.
//!
//! Rows of one session, from whatever process and delivery, have the same key and lie on the same shard; the one that was
//! delivered first, by the server's clock, has the highest precedence. So nothing is looked for before it is written, and a
//! statement that lands late, or twice, or after its process has died, adds nothing that counts twice.

use std::collections::BTreeSet;

use clickhouse::Row;
use foldhash::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use super::Inner;
use super::catalog::{self, Snapshot};
use super::ids::{self, Key, WireId};
use super::lately::Known;
use super::literals::array;
use super::people::{Claims, DEVICE, Person, USER};
use super::properties::NewCombinations;
use super::sealed;
use super::tables::Table;
use crate::model::{AppId, MAX_DURATION_MILLIS, Session, SessionEnd, UserAttributes, WorkspaceId};
use crate::store::records::SessionRecord;
use crate::store::{Recorded, StoreError};

/// What stands for an end that is not known.
pub(super) const NO_DURATION: i32 = -1;

/// The person of a session that names nobody.
const NOBODY: u64 = 0;

#[derive(Row, Serialize, Deserialize)]
struct SessionRow {
    app: WireId,
    day: u16,
    session_id: String,
    start: u32,
    precedence: u64,
    properties: u64,
    /// 0: nobody.
    person: u64,
    user_id: String,
    device_id: String,
    duration: i32,
}

#[derive(Row, Serialize, Deserialize)]
struct EndRow {
    app: WireId,
    day: u16,
    /// A hash of the session's id.
    id: u64,
    /// Milliseconds since the start of the day.
    at: i64,
}

impl EndRow {
    fn new((app, day, id): Key<'_>, at: i64) -> Self {
        Self {
            app: ids::app(app),
            day,
            id: ids::hash(id.as_bytes()),
            at,
        }
    }
}

#[derive(Row, Serialize, Deserialize)]
struct StartRow {
    app: WireId,
    day: u16,
    session_id: String,
    first_start: u32,
}

/// Where a batch comes from.
enum Source {
    /// Sessions as they were delivered: they get the attributes of their users.
    Delivered(Vec<Session>),
    /// Sessions as another store has them, with their recorded properties.
    Copied(Vec<SessionRecord>),
}

impl Source {
    /// The person of a session of another store, where that one was forgotten.
    fn forgotten(&self, index: usize) -> Option<u64> {
        match self {
            Self::Delivered(_) => None,
            Self::Copied(records) => records.get(index)?.forgotten,
        }
    }

    fn sessions(&self) -> Vec<&Session> {
        match self {
            Self::Delivered(sessions) => sessions.iter().collect(),
            Self::Copied(records) => records.iter().map(|record| &record.session).collect(),
        }
    }
}

fn key(session: &Session) -> Key<'_> {
    // From 2000 to tomorrow: fits.
    let day = u16::try_from(session.utc_day()).unwrap_or(u16::MAX);
    (session.app(), day, session.session_id())
}

fn person(session: &Session, workspace: WorkspaceId) -> Option<Person<'_>> {
    let user = session.user_id().map(|id| (workspace, USER, id));
    user.or_else(|| session.device_id().map(|id| (workspace, DEVICE, id)))
}

fn start(session: &Session) -> u32 {
    // Less than a day.
    u32::try_from(session.millis_of_day()).unwrap_or_default()
}

/// Records sessions as they are delivered.
pub(super) async fn record(store: &Inner, sessions: Vec<Session>) -> Result<Vec<Recorded>, StoreError> {
    write(store, &Source::Delivered(sessions)).await
}

/// Takes over sessions of another store, as they were recorded there.
pub(super) async fn adopt(store: &Inner, mut sessions: Vec<SessionRecord>) -> Result<(), StoreError> {
    let day = |session: &Session| Some((session.app(), u16::try_from(session.utc_day()).ok()?));
    let days: BTreeSet<_> = sessions
        .iter()
        .filter_map(|record| day(&record.session))
        .collect();
    // Those that are sealed here have these sessions in their rollups.
    let sealed = sealed::among(&store.engine, days).await?;
    sessions.retain(|record| day(&record.session).is_none_or(|day| !sealed.contains_key(&day)));
    write(store, &Source::Copied(sessions)).await.map(|_| ())
}

async fn write(store: &Inner, source: &Source) -> Result<Vec<Recorded>, StoreError> {
    let snapshot = store.snapshot();
    let sessions = source.sessions();
    let owners = sessions
        .iter()
        .map(|session| owner(&snapshot, session.app()))
        .collect::<Result<Vec<_>, _>>()?;
    // Batches are prepared one after the other, so that which session is the first of its person does not depend on how they
    // interleave, and written side by side.
    let turn = store.recording.lock().await;
    let mut batch = prepare(store, source, &sessions, &owners).await?;
    let under_way = UnderWay::begin(store, std::mem::take(&mut batch.written));
    store.people.claim(&batch.claims);
    drop(turn);
    let outcomes = batch.write(store).await?;
    check_days(store, source, &sessions, &owners).await?;
    under_way.succeed();
    Ok(outcomes)
}

/// Whether these days may still be written to: what lands on a day that another process is sealing may be in no count, so it is
/// not acknowledged. See `sealing`.
async fn check_days(
    store: &Inner,
    source: &Source,
    sessions: &[&Session],
    owners: &[WorkspaceId],
) -> Result<(), StoreError> {
    let is_old = |session: &&Session| u16::try_from(session.utc_day()).is_ok_and(sealed::may_be);
    if matches!(source, Source::Copied(_)) || !sessions.iter().any(is_old) {
        return Ok(());
    }
    store.take_over(catalog::version(&store.engine).await?).await?;
    let snapshot = store.snapshot();
    let is_sealed = |(session, owner): (&&Session, &WorkspaceId)| {
        let entry = snapshot.catalog.workspace(*owner);
        entry.is_none_or(|entry| session.utc_day() < entry.workspace.sealed_before)
    };
    if sessions.iter().zip(owners).any(is_sealed) {
        return Err(StoreError::changed_meanwhile().partly());
    }
    Ok(())
}

fn owner(snapshot: &Snapshot, app: AppId) -> Result<WorkspaceId, StoreError> {
    let owner = snapshot.apps.get(&app).copied();
    owner.ok_or_else(|| StoreError::unknown("app", app))
}

/// Sessions that are being written. Where that fails, or nobody waits for it any more, nothing is remembered of them.
struct UnderWay<'s, 'a> {
    store: &'s Inner,
    sessions: HashMap<Key<'a>, u32>,
    has_succeeded: bool,
}

impl<'s, 'a> UnderWay<'s, 'a> {
    fn begin(store: &'s Inner, sessions: HashMap<Key<'a>, u32>) -> Self {
        let this = Self {
            store,
            sessions,
            has_succeeded: false,
        };
        this.note(Some(false));
        this
    }

    fn note(&self, is_recorded: Option<bool>) {
        let known = |(key, start): (&Key<'a>, &u32)| {
            let start = *start;
            (*key, is_recorded.map(|is_recorded| Known { start, is_recorded }))
        };
        self.store.lately.set(self.sessions.iter().map(known));
    }

    fn succeed(mut self) {
        self.note(Some(true));
        self.has_succeeded = true;
    }
}

impl Drop for UnderWay<'_, '_> {
    fn drop(&mut self) {
        if !self.has_succeeded {
            self.note(None);
            self.store.people.forget_seen();
        }
    }
}

/// What is to be written.
struct Batch<'a> {
    outcomes: Vec<Recorded>,
    combinations: NewCombinations,
    claims: Claims<'a>,
    rows: Vec<SessionRow>,
    ends: Vec<EndRow>,
    /// Sessions of the rows with their starts.
    written: HashMap<Key<'a>, u32>,
    precedence: u64,
}

async fn prepare<'a>(
    store: &Inner,
    source: &'a Source,
    sessions: &[&'a Session],
    owners: &[WorkspaceId],
) -> Result<Batch<'a>, StoreError> {
    let mut batch = Batch {
        outcomes: Vec::with_capacity(sessions.len()),
        combinations: NewCombinations::default(),
        claims: Claims::default(),
        rows: Vec::with_capacity(sessions.len()),
        ends: Vec::new(),
        written: HashMap::default(),
        precedence: 0,
    };
    let new = batch.select(store, sessions, owners);
    let people: HashSet<Person<'_>> = new.iter().filter_map(|(.., person)| *person).collect();
    let users = match source {
        Source::Delivered(_) => people.iter().filter(|person| person.1 == USER).copied().collect(),
        Source::Copied(_) => HashSet::default(),
    };
    let (seen, attributes, precedence) = tokio::try_join!(
        store.people.seen(&store.engine, people),
        store.users.attributes(&store.engine, &users),
        store.clock.precedence(&store.engine),
    )?;
    batch.claims = Claims::new(seen, precedence);
    batch.precedence = precedence;
    // What was recorded before somebody was forgotten, and is delivered once more, is not the first session of whoever has
    // their id now.
    let returning = |person: &Option<Person<'_>>| person.is_some_and(|person| batch.claims.returns(person));
    let doubtful = new.iter().filter(|(.., person)| returning(person));
    let doubtful: Vec<Key<'_>> = doubtful.map(|(_, session, _)| key(session)).collect();
    let recorded = starts(store, &doubtful).await?;
    let recorded: HashSet<(AppId, u16, &str)> = recorded
        .iter()
        .map(|row| (ids::app_of(row.app), row.day, row.session_id.as_str()))
        .collect();
    let none = UserAttributes::default();
    for (index, session, person) in new {
        let key = key(session);
        let claimed = person.map(|person| {
            if recorded.contains(&key) {
                (batch.claims.number(&store.people, person), false)
            } else {
                batch.claims.of(&store.people, person, &key)
            }
        });
        let properties = match source {
            Source::Delivered(_) => {
                let user = person.and_then(|user| attributes.get(&user)).unwrap_or(&none);
                let first = claimed.map(|(_, first)| first);
                let own = session.properties();
                let new = &mut batch.combinations;
                store.combinations.number(own, user, first, new)
            }
            Source::Copied(records) => {
                let recorded = records.get(index).map(|record| record.recorded.clone());
                batch.combinations.add(recorded.unwrap_or_default())
            }
        };
        let number = claimed.map(|(number, _)| number).or(source.forgotten(index));
        batch.add(session, key, properties, number.unwrap_or(NOBODY));
    }
    Ok(batch)
}

impl<'a> Batch<'a> {
    /// Says of each session whether it is new, as far as this process remembers, and adds its end. Those that are to be
    /// written, with their places and persons.
    fn select(
        &mut self,
        store: &Inner,
        sessions: &[&'a Session],
        owners: &[WorkspaceId],
    ) -> Vec<(usize, &'a Session, Option<Person<'a>>)> {
        let mut new = Vec::with_capacity(sessions.len());
        for (index, (session, owner)) in sessions.iter().zip(owners).enumerate() {
            let key = key(session);
            let in_batch = self.written.get(&key).copied();
            let lately = match in_batch {
                Some(_) => None,
                None => store.lately.get(&key),
            };
            let known = in_batch.or(lately.map(|known| known.start));
            self.outcomes.push(match known {
                Some(_) => Recorded::Duplicate,
                None => Recorded::New,
            });
            self.end(session, key, known);
            if in_batch.is_none() && !lately.is_some_and(|known| known.is_recorded) {
                self.written.insert(key, start(session));
                new.push((index, *session, person(session, *owner)));
            }
        }
        new
    }

    /// Ends are written beside the sessions, whichever delivery they came with: of two deliveries one row stays, and the
    /// latest end wins. An end that is too far from a start that is known is none.
    fn end(&mut self, session: &Session, key: Key<'a>, known: Option<u32>) {
        let Some(duration) = session.duration() else {
            return;
        };
        let at = session.millis_of_day() + i64::from(duration);
        let from = known.map_or(session.millis_of_day(), i64::from);
        if (0..=MAX_DURATION_MILLIS).contains(&(at - from)) {
            self.ends.push(EndRow::new(key, at));
        }
    }

    fn add(&mut self, session: &Session, (app, day, id): Key<'a>, properties: u64, person: u64) {
        self.rows.push(SessionRow {
            app: ids::app(app),
            day,
            session_id: id.to_owned(),
            start: start(session),
            precedence: self.precedence,
            properties,
            person,
            user_id: session.user_id().unwrap_or_default().to_owned(),
            device_id: session.device_id().unwrap_or_default().to_owned(),
            duration: session
                .duration()
                .and_then(|duration| i32::try_from(duration).ok())
                .unwrap_or(NO_DURATION),
        });
    }

    /// First what sessions refer to, then all else at once: whatever of it is missing when a process dies, the same delivery
    /// adds once more, and with the same content, since persons name their first session.
    async fn write(self, store: &Inner) -> Result<Vec<Recorded>, StoreError> {
        let engine = &store.engine;
        store.combinations.store(engine, self.combinations).await?;
        let people = self.claims.rows();
        let written = tokio::try_join!(
            engine.insert(Table::Sessions, &self.rows),
            engine.insert(Table::Ends, &self.ends),
            engine.insert(Table::People, &people),
        );
        // What failed may be there as well.
        let days: BTreeSet<_> = self
            .rows
            .iter()
            .map(|row| (ids::app_of(row.app), row.day))
            .collect();
        store.contents.note_written(&days);
        written.map_err(StoreError::partly)?;
        Ok(self.outcomes)
    }
}

/// Adds ends that came on their own; whether each found its session, whoever recorded it.
pub(super) async fn end(store: &Inner, ends: &[SessionEnd]) -> Result<Vec<bool>, StoreError> {
    let snapshot = store.snapshot();
    let mut keys = Vec::new();
    for end in ends.iter().filter(|end| snapshot.apps.contains_key(&end.app())) {
        for (day, _) in end.possible_days() {
            keys.extend(u16::try_from(day).map(|day| (end.app(), day, end.session_id())));
        }
    }
    let rows = starts(store, &keys).await?;
    let known = |row: &StartRow| {
        (
            (ids::app_of(row.app), row.day, row.session_id.clone()),
            row.first_start,
        )
    };
    let known: HashMap<(AppId, u16, String), u32> = rows.iter().map(known).collect();
    let mut rows = Vec::new();
    let mut outcomes = Vec::with_capacity(ends.len());
    for end in ends {
        let found = end.possible_days().find_map(|(day, at)| {
            let day = u16::try_from(day).ok()?;
            let start = known.get(&(end.app(), day, end.session_id().to_owned()))?;
            (0..=MAX_DURATION_MILLIS)
                .contains(&(at - i64::from(*start)))
                .then_some((day, at))
        });
        outcomes.push(found.is_some());
        rows.extend(found.map(|(day, at)| EndRow::new((end.app(), day, end.session_id()), at)));
    }
    let written = store.engine.insert(Table::Ends, &rows).await;
    written.map_err(StoreError::partly)?;
    Ok(outcomes)
}

/// The starts of those of these sessions that are recorded.
async fn starts(store: &Inner, keys: &[Key<'_>]) -> Result<Vec<StartRow>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let texts = |text: fn(&Key<'_>) -> String| -> Vec<String> { keys.iter().map(text).collect() };
    let (apps, days) = (texts(|key| key.0.to_string()), texts(|key| key.1.to_string()));
    let sql = format!(
        "SELECT app, day, session_id, argMax(start, precedence) AS first_start FROM {}.sessions WHERE (app, day, session_id) \
         IN (SELECT toUUID(a), toUInt16(d), s FROM (SELECT 1) ARRAY JOIN {} AS a, {} AS d, {} AS s) \
         GROUP BY app, day, session_id",
        store.engine.address().database,
        array(apps.iter().map(String::as_str)),
        array(days.iter().map(String::as_str)),
        array(keys.iter().map(|key| key.2))
    );
    store.engine.rows(&sql).await
}
