//! What recording does inside its transaction.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::batch::{Batch, Delivery, Row, StoredSessionId};
use super::days::AppDay;
use super::interning::{Interned, Interner};
use super::log::Cell;
use super::resolving::{People, Who};
use crate::model::{AppId, MAX_DURATION_MILLIS, SessionEnd};
use crate::rollup::quarter_of;
use crate::store::{Recorded, StoreError};

/// New sessions of each day.
type Added = Vec<(AppDay, Vec<Cell>)>;

/// Inserts what is new, extends what is not. Returns the outcomes in the order of delivery, and what is new of each day.
///
/// Most rows are inserted in the order of their keys. Those that wait are few: further deliveries of persons whose first
/// session is in the batch, and of sessions that are.
pub(super) fn record(
    connection: &Connection,
    interned: &mut Interned,
    batch: &Batch,
) -> Result<(Vec<Recorded>, Added), StoreError> {
    let mut interner = Interner::new(connection, interned)?;
    let mut people = People::resolve(&mut interner, batch)?;
    let who = people.of_rows();
    let mut recording = Recording {
        interner,
        people,
        record: connection.prepare_cached(include_str!("sql/record_session.sql"))?,
        extend: connection.prepare_cached(include_str!("sql/extend_session.sql"))?,
        outcomes: vec![Recorded::Duplicate; batch.deliveries().len()],
        tally: Tally::default(),
    };
    let mut waiting = Vec::new();
    for ((row, delivery), who) in batch.by_key().zip(who.iter().copied()) {
        if row.repeated || !recording.people.can_go_first(row.place, who) {
            waiting.push((row, delivery, who));
        } else {
            recording.insert(row, delivery, who)?;
        }
    }
    waiting.sort_unstable_by_key(|(row, ..)| row.place);
    for (row, delivery, who) in waiting {
        if row.repeated {
            recording.extend(row, delivery)?;
        } else {
            recording.insert(row, delivery, who)?;
        }
    }
    recording.finish(batch, &who)
}

/// A batch that is being recorded.
struct Recording<'a> {
    interner: Interner<'a>,
    people: People,
    record: CachedStatement<'a>,
    extend: CachedStatement<'a>,
    /// In the order of delivery.
    outcomes: Vec<Recorded>,
    tally: Tally,
}

impl Recording<'_> {
    fn insert(&mut self, row: &Row, delivery: &Delivery, who: Who) -> Result<(), StoreError> {
        let properties = if row.is_adopted
            && let Some(adopted) = &delivery.adopted
        {
            self.interner.recorded(row.properties, &adopted.recorded)?
        } else {
            self.interner.properties(
                row.properties,
                delivery.session.properties(),
                who.attributes,
                self.people.is_first(who),
            )?
        };
        let (app, day) = row.of;
        let inserted = self.record.execute(params![
            app,
            day,
            row.id(delivery),
            row.start,
            row.duration,
            who.user,
            who.device,
            properties
        ])?;
        if inserted == 0 {
            return self.extend(row, delivery);
        }
        if let Some(outcome) = self.outcomes.get_mut(row.place) {
            *outcome = Recorded::New;
        }
        self.people.see(who);
        self.tally.add(row.of, row.start, properties);
        Ok(())
    }

    fn extend(&mut self, row: &Row, delivery: &Delivery) -> Result<(), StoreError> {
        if let Some(duration) = row.duration {
            let (app, day) = row.of;
            let end = i64::from(row.start) + i64::from(duration);
            self.extend.execute(params![app, day, row.id(delivery), end])?;
        }
        Ok(())
    }

    fn finish(mut self, batch: &Batch, who: &[Who]) -> Result<(Vec<Recorded>, Added), StoreError> {
        let outcomes = &self.outcomes;
        let pairs = batch.by_key().zip(who);
        let pairs = pairs.filter_map(|((row, _), who)| Some((*who, *outcomes.get(row.place)?)));
        self.people.finish(&mut self.interner, pairs)?;
        Ok((self.outcomes, self.tally.finish()))
    }
}

/// Extends sessions by ends that came on their own; whether each found its session.
pub(super) fn end(
    connection: &Connection,
    ends: &[SessionEnd],
    apps: &HashMap<AppId, (i64, i64)>,
) -> Result<Vec<bool>, StoreError> {
    let mut extend = connection.prepare_cached(include_str!("sql/extend_session.sql"))?;
    let mut outcomes = Vec::with_capacity(ends.len());
    for end in ends {
        let Some((app, _)) = apps.get(&end.app()) else {
            outcomes.push(false);
            continue;
        };
        let id = StoredSessionId::from(end.session_id());
        let mut found = false;
        for (day, at) in end.possible_days() {
            let start = start_of(connection, *app, day, id)?;
            if start.is_some_and(|start| (0..=MAX_DURATION_MILLIS).contains(&(at - start))) {
                extend.execute(params![app, day, id, at])?;
                found = true;
                break;
            }
        }
        outcomes.push(found);
    }
    Ok(outcomes)
}

/// Milliseconds from the start of the day to the start of a recorded session.
fn start_of(
    connection: &Connection,
    app: i64,
    day: i64,
    id: StoredSessionId<'_>,
) -> Result<Option<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT start FROM sessions WHERE app = ?1 AND day = ?2 AND session_id = ?3")?;
    let start = statement.query_row(params![app, day, id], |row| row.get(0));
    Ok(start.optional()?)
}

/// New sessions, by day.
#[derive(Default)]
struct Tally {
    /// Combination and quarter hour of each new session.
    days: Vec<(AppDay, Vec<(i64, u8)>)>,
    /// Where a day is among them.
    places: HashMap<AppDay, usize>,
    /// The day that was added to last: most sessions come in the order of their days.
    last: usize,
}

impl Tally {
    fn add(&mut self, of: AppDay, start: u32, combination: i64) {
        let session = (combination, quarter_of(start));
        if let Some((day, sessions)) = self.days.get_mut(self.last)
            && *day == of
        {
            sessions.push(session);
            return;
        }
        let next = self.days.len();
        self.last = *self.places.entry(of).or_insert(next);
        match self.days.get_mut(self.last) {
            Some((_, sessions)) => sessions.push(session),
            None => self.days.push((of, vec![session])),
        }
    }

    fn finish(mut self) -> Added {
        self.days.sort_unstable_by_key(|(of, _)| *of);
        let cells = |mut sessions: Vec<(i64, u8)>| {
            sessions.sort_unstable();
            let cells = sessions.chunk_by(|one, two| one == two);
            let cells = cells.filter_map(|same| {
                same.first().map(|(combination, quarter)| Cell {
                    combination: *combination,
                    quarter: *quarter,
                    sessions: u32::try_from(same.len()).unwrap_or(u32::MAX),
                })
            });
            cells.collect()
        };
        let days = self.days.into_iter();
        days.map(|(of, sessions)| (of, cells(sessions))).collect()
    }
}
