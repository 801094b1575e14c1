//! What recording does inside its transaction.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::batch::{Batch, Item, StoredSessionId};
use super::cells::{Delta, SeriesNumber};
use super::counters::QUARTER;
use super::interning::{Identity, IdentityKey, IdentityKind, Interned, Interner};
use super::tagging::{NumberMap, SetNumber, Tagging};
use crate::model::{AppId, MAX_DURATION_MILLIS, SessionEnd};
use crate::store::{Recorded, StoreError};

/// Inserts what is new, extends what is not. Returns the outcomes in the order of delivery, and what is to be added to
/// the counters.
pub(super) fn record(
    connection: &Connection,
    interned: &mut Interned,
    tagging: &mut Tagging,
    batch: &Batch,
) -> Result<(Vec<Recorded>, Vec<Delta>), StoreError> {
    let mut interner = Interner::new(connection, interned)?;
    let who = batch
        .items()
        .iter()
        .map(|item| resolve(connection, &mut interner, item))
        .collect::<Result<Vec<_>, _>>()?;
    let mut record = connection.prepare_cached(include_str!("sql/record_session.sql"))?;
    let mut extend = connection.prepare_cached(include_str!("sql/extend_session.sql"))?;
    let mut outcomes = vec![Recorded::Duplicate; batch.items().len()];
    let mut tally = Tally::default();
    for (index, item) in batch.by_key() {
        let Some(who) = who.get(index) else { continue };
        let Item { session, app, .. } = item;
        let properties = match &item.recorded {
            Some(recorded) => interner.recorded(recorded)?,
            None => interner.properties(session.properties(), who.attributes, who.first_session)?,
        };
        let (day, start) = (session.utc_day(), session.millis_of_day());
        let inserted = record.execute(params![
            app,
            day,
            item.id(),
            start,
            session.duration(),
            who.user,
            who.device,
            properties
        ])?;
        if inserted == 1 {
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Recorded::New;
            }
            tally.add(connection, item, properties, tagging)?;
        } else if let Some(duration) = session.duration() {
            extend.execute(params![app, day, item.id(), start + i64::from(duration)])?;
        }
    }
    Ok((outcomes, tally.deltas(tagging)))
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

/// Whose session it is, and what that adds to it.
struct Who {
    user: Option<i64>,
    device: Option<i64>,
    attributes: u32,
    /// `None` where nobody is named.
    first_session: Option<bool>,
}

/// In the order of delivery: which session is the first of its person must not depend on how deliveries were grouped.
fn resolve(connection: &Connection, interner: &mut Interner<'_>, item: &Item) -> Result<Who, StoreError> {
    let session = &item.session;
    let key = |kind, id| (item.workspace, kind, id);
    let user = session.user_id().map(|id| key(IdentityKind::User, id));
    let device = session.device_id().map(|id| key(IdentityKind::Device, id));
    let mut known = |key: Option<IdentityKey<'_>>| key.map(|key| interner.identity(key)).transpose();
    let (user_identity, device_identity) = (known(user)?, known(device)?);
    let person = user.zip(user_identity).or(device.zip(device_identity));
    let first_session = match person {
        None => None,
        Some((_, Identity { seen: true, .. })) => Some(false),
        // Delivered again, it is not recorded and is nobody's first.
        Some(_) if item.repeated || is_recorded(connection, item)? => Some(false),
        Some((key, identity)) => Some(interner.see(key, identity)?),
    };
    Ok(Who {
        user: user_identity.map(|identity| identity.ordinal),
        device: device_identity.map(|identity| identity.ordinal),
        attributes: user_identity.map_or(0, |identity| identity.attributes),
        first_session,
    })
}

fn is_recorded(connection: &Connection, item: &Item) -> Result<bool, StoreError> {
    let start = start_of(connection, item.app, item.session.utc_day(), item.id())?;
    Ok(start.is_some())
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

/// Ordinals of workspace and app, and the quarter hour (Unix seconds / 900).
type Row = (i64, i64, i64);

/// New sessions, by where they count.
#[derive(Default)]
struct Tally {
    everyone: NumberMap<Row, u32>,
    /// By set of segments, and whether the pass over the past has gone by.
    tagged: NumberMap<(Row, SetNumber, bool), u32>,
}

impl Tally {
    fn add(
        &mut self,
        connection: &Connection,
        item: &Item,
        properties: i64,
        tagging: &mut Tagging,
    ) -> Result<(), StoreError> {
        let quarter = item.session.started_at().div_euclid(QUARTER * 1000);
        let row = (item.workspace, item.app, quarter);
        *self.everyone.entry(row).or_default() += 1;
        if tagging.concerns(item.workspace) {
            let set = tagging.set(connection, item.app, properties)?;
            let past = tagging.is_past(item.app, item.session.utc_day(), item.id());
            *self.tagged.entry((row, set, past)).or_default() += 1;
        }
        Ok(())
    }

    /// In the order of the rows.
    fn deltas(self, tagging: &Tagging) -> Vec<Delta> {
        let mut segments = NumberMap::<Row, BTreeMap<SeriesNumber, u32>>::default();
        for ((row, set, past), sessions) in self.tagged {
            let counts = segments.entry(row).or_default();
            for series in tagging.series_of_new(set, past) {
                *counts.entry(series).or_default() += sessions;
            }
        }
        let deltas = self.everyone.into_iter().map(|(row, sessions)| {
            let (workspace, app, quarter) = row;
            Delta {
                workspace,
                app,
                quarter,
                sessions,
                segments: segments.remove(&row).unwrap_or_default().into_iter().collect(),
            }
        });
        let mut deltas: Vec<Delta> = deltas.collect();
        deltas.sort_unstable_by_key(|delta| (delta.app, delta.quarter));
        deltas
    }
}
