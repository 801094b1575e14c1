//! Hands out recorded sessions by app, day and session id, as the embedded store does: a statement streams a large
//! stretch of them, after another one that has fetched their ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use super::Inner;
use super::engine::Engine;
use super::failure;
use super::ids::{self, WireId};
use super::literals::literals;
use super::recording::NO_DURATION;
use super::sealed;
use super::tables::Table;
use crate::model::{AppId, MAX_DURATION_MILLIS, Millis, Properties, Session, StoredSession};
use crate::store::records::{Forgotten, handed_out};
use crate::store::{Selection, StoreError};

/// Sessions handed out at a time.
const BATCH: usize = 5_000;
/// Rows that one statement streams, about. A server sorts as many, on disk if they are large; one day of an app is never
/// divided.
const STRETCH: u64 = 1_000_000;
/// Apps that one statement names.
const APPS: usize = 200;
/// Combinations of properties held in memory.
const KEPT: usize = 50_000;
/// How often a stretch is begun again where the last answer broke off without a single new row, and after which pause.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
const MILLIS_PER_DAY: i64 = 86_400_000;

#[derive(Row, Serialize, Deserialize)]
struct DayRow {
    app: WireId,
    day: u16,
    rows: u64,
    latest: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct SessionRow {
    /// Which of the stretch's apps, from 1.
    place: u16,
    day: u16,
    session_id: String,
    start: u32,
    properties: u64,
    user_id: String,
    device_id: String,
    duration: i32,
    /// 0: nobody.
    person: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct EndRow {
    place: u16,
    day: u16,
    /// A hash of the session's id.
    id: u64,
    /// Milliseconds since the start of the day.
    at: i64,
}

/// The order in which rows are streamed.
type Position<'a> = (u16, u16, &'a str);

impl SessionRow {
    fn position(&self) -> Position<'_> {
        (self.place, self.day, &self.session_id)
    }

    /// Its person, where that one has no id any more.
    fn forgotten(&self) -> Option<Forgotten> {
        let is_named = !self.user_id.is_empty() || !self.device_id.is_empty();
        (self.person != 0 && !is_named).then_some(self.person)
    }
}

/// Ends by place, day and the hash of the session's id.
type Ends = HashMap<(u16, u16, u64), i64>;

/// Apps in their order, each with its first and last day.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stretch(Vec<(AppId, u16, u16)>);

impl Stretch {
    fn sessions(&self, database: &str, until: u64) -> String {
        format!(
            "SELECT {} AS place, day, session_id, start, properties, user_id, device_id, duration, person \
             FROM {database}.sessions FINAL WHERE ({}) AND precedence >= {until} ORDER BY {}, day, session_id",
            self.place(),
            self.condition(),
            self.first_column(),
        )
    }

    fn ends(&self, database: &str) -> String {
        format!(
            "SELECT {} AS place, day, id, at FROM {database}.{} FINAL WHERE {}",
            self.place(),
            Table::Ends.name(),
            self.condition(),
        )
    }

    fn place(&self) -> String {
        let apps = self.0.iter().map(|(app, ..)| *app);
        match self.0.len() {
            1 => "toUInt16(1)".into(),
            _ => format!("toUInt16(indexOf([{}], app))", literals(apps)),
        }
    }

    /// Servers that can read a table in its own order need not sort one app.
    fn first_column(&self) -> &'static str {
        match self.0.len() {
            1 => "app",
            _ => "place",
        }
    }

    fn condition(&self) -> String {
        let of_app = |(app, first, last): &(AppId, u16, u16)| {
            format!("(app = toUUID('{app}') AND day BETWEEN {first} AND {last})")
        };
        self.0.iter().map(of_app).collect::<Vec<_>>().join(" OR ")
    }

    fn app(&self, place: u16) -> Option<AppId> {
        let place = usize::from(place).checked_sub(1)?;
        self.0.get(place).map(|(app, ..)| *app)
    }

    /// Whether a row follows another one. What an old server says when it fails in the middle stands where the next row
    /// should be, and is none.
    fn check(&self, before: Option<Position<'_>>, next: Position<'_>) -> Result<(), StoreError> {
        if self.app(next.0).is_some() && before.is_none_or(|before| before < next) {
            return Ok(());
        }
        Err(failure::broken_off())
    }
}

/// Hands out the sessions of a selection that were recorded before now, until nobody receives them any more. `item` makes
/// what is handed out of a session, the text of its recorded properties and its person, where that one was forgotten.
pub(super) async fn sessions<T>(
    store: &Inner,
    selection: Selection,
    batches: &Sender<Vec<T>>,
    item: impl Fn(Session, &str, Option<Forgotten>) -> T,
) -> Result<(), StoreError> {
    let snapshot = store.snapshot();
    let apps = snapshot.apps_of(selection.workspace);
    let apps: Vec<AppId> = apps
        .filter(|app| selection.app.is_none_or(|selected| selected == *app))
        .collect();
    let (stretches, until) = plan(&store.engine, &apps, &selection).await?;
    let mut output = Output {
        store,
        selection,
        batches,
        item,
        known: HashMap::new(),
        waiting: Vec::with_capacity(BATCH),
        done: None,
        is_wanted: true,
    };
    for stretch in &stretches {
        output.stretch(stretch, until).await?;
        if !output.is_wanted {
            break;
        }
    }
    Ok(())
}

/// The stretches of a selection, and the lowest precedence of what was recorded before now, whatever the clocks of those
/// who recorded it say.
async fn plan(
    engine: &Engine,
    apps: &[AppId],
    selection: &Selection,
) -> Result<(Vec<Stretch>, u64), StoreError> {
    let (first, last) = (
        selection.from.map_or(0, day_of),
        selection.to.map_or(u16::MAX, day_of),
    );
    if apps.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let sql = format!(
        "SELECT app, day, count() AS n, min(precedence) AS latest FROM {}.sessions \
         WHERE app IN ({}) AND day BETWEEN {first} AND {last} GROUP BY app, day",
        engine.address().database,
        literals(apps.iter().copied())
    );
    let rows: Vec<DayRow> = engine.rows(&sql).await?;
    let sealed = sealed::among(engine, rows.iter().map(|row| (ids::app_of(row.app), row.day))).await?;
    let rows = rows
        .iter()
        .filter(|row| !sealed.contains_key(&(ids::app_of(row.app), row.day)));
    let rows: Vec<&DayRow> = rows.collect();
    let until = rows.iter().map(|row| row.latest).min().unwrap_or_default();
    let order: HashMap<AppId, usize> = apps.iter().copied().zip(0..).collect();
    let mut days: Vec<(AppId, u16, u64)> = rows
        .iter()
        .map(|row| (ids::app_of(row.app), row.day, row.rows))
        .collect();
    days.sort_unstable_by_key(|(app, day, _)| (order.get(app).copied(), *day));
    Ok((divided(&days), until))
}

fn day_of(millis: Millis) -> u16 {
    let day = millis.div_euclid(MILLIS_PER_DAY).clamp(0, u16::MAX.into());
    u16::try_from(day).unwrap_or(u16::MAX)
}

/// Days in their order, with their rows, as stretches.
fn divided(days: &[(AppId, u16, u64)]) -> Vec<Stretch> {
    let (mut stretches, mut stretch, mut rows) = (Vec::new(), Stretch::default(), 0);
    for (app, day, more) in days {
        let continues = stretch.0.last().is_some_and(|(last, ..)| last == app);
        let is_full = rows + more > STRETCH || (!continues && stretch.0.len() == APPS);
        if is_full && !stretch.0.is_empty() {
            stretches.push(std::mem::take(&mut stretch));
            rows = 0;
        }
        rows += more;
        match stretch.0.last_mut() {
            Some((last, _, until)) if last == app => *until = *day,
            _ => stretch.0.push((*app, *day, *day)),
        }
    }
    if !stretch.0.is_empty() {
        stretches.push(stretch);
    }
    stretches
}

/// Makes what is handed out of what is read.
struct Output<'a, T, F> {
    store: &'a Inner,
    selection: Selection,
    batches: &'a Sender<Vec<T>>,
    item: F,
    /// Combinations of properties as they are recorded, and as they were delivered.
    known: HashMap<u64, (Arc<str>, Properties)>,
    /// Sessions that are not handed out yet, with their later ends in milliseconds since the start of the day.
    waiting: Vec<(SessionRow, Option<i64>)>,
    /// The last row of the stretch that was handed out.
    done: Option<(u16, u16, String)>,
    is_wanted: bool,
}

impl<T, F: Fn(Session, &str, Option<Forgotten>) -> T> Output<'_, T, F> {
    /// Hands out a stretch, beginning again behind what is done where an answer breaks off.
    async fn stretch(&mut self, stretch: &Stretch, until: u64) -> Result<(), StoreError> {
        self.done = None;
        let mut tries = 0;
        loop {
            let before = self.done.clone();
            match self.read(stretch, until).await {
                Err(StoreError::Unavailable(why)) if tries < TRIES => {
                    tracing::warn!(%why, "reading sessions was interrupted; going on where it was");
                    tries = if self.done == before { tries + 1 } else { 0 };
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn read(&mut self, stretch: &Stretch, until: u64) -> Result<(), StoreError> {
        self.waiting.clear();
        let (engine, database) = (&self.store.engine, &self.store.engine.address().database);
        let ends = ends(engine, stretch).await?;
        let mut rows = engine.stream::<SessionRow>(&stretch.sessions(database, until))?;
        let mut before: Option<(u16, u16, String)> = None;
        while let Some(row) = rows.next().await? {
            stretch.check(before.as_ref().map(position), row.position())?;
            let (place, day, id) = before.get_or_insert_default();
            (*place, *day) = (row.place, row.day);
            id.clone_from(&row.session_id);
            if self
                .done
                .as_ref()
                .is_some_and(|done| position(done) >= row.position())
            {
                continue;
            }
            let end = ends.get(&(row.place, row.day, ids::hash(row.session_id.as_bytes())));
            self.waiting.push((row, end.copied()));
            if self.waiting.len() == BATCH {
                self.hand_out(stretch).await?;
                if !self.is_wanted {
                    return Ok(());
                }
            }
        }
        self.hand_out(stretch).await
    }

    /// Hands out what waits.
    async fn hand_out(&mut self, stretch: &Stretch) -> Result<(), StoreError> {
        self.learn().await?;
        let (from, to) = (
            self.selection.from.unwrap_or(i64::MIN),
            self.selection.to.unwrap_or(i64::MAX),
        );
        let last = self
            .waiting
            .last()
            .map(|(row, _)| (row.place, row.day, row.session_id.clone()));
        let mut batch = Vec::with_capacity(self.waiting.len());
        for (row, end) in self.waiting.drain(..) {
            let app = stretch.app(row.place);
            let (Some(app), Some((recorded, own))) = (app, self.known.get(&row.properties)) else {
                return Err(StoreError::damaged("a combination of properties is missing"));
            };
            let forgotten = row.forgotten();
            let session = session(app, row, end, handed_out(own, forgotten));
            if (from..to).contains(&session.started_at()) {
                batch.push((self.item)(session, recorded, forgotten));
            }
        }
        // What nobody receives nobody wants.
        self.is_wanted = batch.is_empty() || self.batches.send(batch).await.is_ok();
        self.done = last.or(self.done.take());
        Ok(())
    }

    /// Learns the combinations of what waits.
    async fn learn(&mut self) -> Result<(), StoreError> {
        let wanted = || self.waiting.iter().map(|(row, _)| row.properties);
        let mut missing: BTreeSet<u64> = wanted().filter(|id| !self.known.contains_key(id)).collect();
        if self.known.len() + missing.len() > KEPT {
            missing = wanted().collect();
            self.known.clear();
        }
        if missing.is_empty() {
            return Ok(());
        }
        let contents = self
            .store
            .combinations
            .contents(&self.store.engine, &missing)
            .await?;
        let known = contents.into_iter().map(|(id, content)| {
            let own = Properties::from_stored(&content);
            (id, (content, own))
        });
        self.known.extend(known);
        Ok(())
    }
}

/// The latest ends of a stretch's sessions.
async fn ends(engine: &Engine, stretch: &Stretch) -> Result<Ends, StoreError> {
    let mut rows = engine.stream::<EndRow>(&stretch.ends(&engine.address().database))?;
    let mut ends = Ends::new();
    while let Some(EndRow { place, day, id, at }) = rows.next().await? {
        if stretch.app(place).is_none() {
            return Err(failure::broken_off());
        }
        let latest = ends.entry((place, day, id)).or_insert(at);
        *latest = at.max(*latest);
    }
    Ok(ends)
}

fn position((place, day, id): &(u16, u16, String)) -> Position<'_> {
    (*place, *day, id)
}

/// A session as it is now: with its own end, or a later one within the longest duration.
fn session(app: AppId, row: SessionRow, end: Option<i64>, properties: Properties) -> Session {
    let later = end.map(|at| at - i64::from(row.start));
    let later = later.filter(|duration| (0..=MAX_DURATION_MILLIS).contains(duration));
    let own = Some(i64::from(row.duration)).filter(|_| row.duration != NO_DURATION);
    Session::from_stored(StoredSession {
        app,
        session_id: row.session_id.into(),
        started_at: Millis::from(row.day) * MILLIS_PER_DAY + i64::from(row.start),
        duration: later.max(own).and_then(|duration| u32::try_from(duration).ok()),
        user_id: Some(row.user_id).filter(|id| !id.is_empty()).map(Into::into),
        device_id: Some(row.device_id).filter(|id| !id.is_empty()).map(Into::into),
        properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(number: u8) -> AppId {
        AppId::from_bytes([number; 16])
    }

    #[test]
    fn days_are_divided_in_their_order_and_none_is_cut() {
        let days = [
            (app(2), 10, 1),
            (app(2), 12, STRETCH - 1),
            (app(2), 13, 1),
            (app(1), 5, STRETCH * 3),
            (app(3), 1, 1),
            (app(3), 9, 1),
        ];
        let expected = [
            Stretch(vec![(app(2), 10, 12)]),
            Stretch(vec![(app(2), 13, 13)]),
            Stretch(vec![(app(1), 5, 5)]),
            Stretch(vec![(app(3), 1, 9)]),
        ];
        assert_eq!(divided(&days), expected);
        assert_eq!(divided(&[]), []);
        let many: Vec<_> = (0..=250).map(|number| (app(number), 7, 1)).collect();
        let apps: Vec<usize> = divided(&many).iter().map(|stretch| stretch.0.len()).collect();
        assert_eq!(apps, [APPS, 51]);
    }

    #[test]
    fn one_statement_reads_a_stretch() {
        let one = Stretch(vec![(app(0), 7, 9)]);
        let condition = "(app = toUUID('00000000-0000-0000-0000-000000000000') AND day BETWEEN 7 AND 9)";
        assert_eq!(
            one.ends("db"),
            format!("SELECT toUInt16(1) AS place, day, id, at FROM db.session_ends FINAL WHERE {condition}")
        );
        let two = Stretch(vec![(app(0), 7, 9), (app(1), 1, 2)]);
        let sql = two.sessions("db", 5);
        assert!(
            sql.contains("indexOf([toUUID('00000000-0000-0000-0000-000000000000'),toUUID("),
            "{sql}"
        );
        assert!(sql.contains(&format!("WHERE ({condition} OR (app = ")), "{sql}");
        assert!(
            sql.ends_with("AND precedence >= 5 ORDER BY place, day, session_id"),
            "{sql}"
        );
    }

    #[test]
    fn what_is_no_next_row_is_noticed() {
        let stretch = Stretch(vec![(app(0), 7, 9), (app(1), 1, 2)]);
        assert!(stretch.check(None, (1, 7, "a")).is_ok());
        assert!(stretch.check(Some((1, 9, "z")), (2, 1, "a")).is_ok());
        for wrong in [(1, 7, "a"), (0, 8, "a"), (3, 8, "a"), (28_483, 25_956, "159")] {
            assert!(stretch.check(Some((1, 7, "a")), wrong).is_err(), "{wrong:?}");
        }
    }
}
