//! Which segments a session is counted for: each filter is evaluated once for each combination of properties.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::batch::StoredSessionId;
use super::cells::{Cell, SeriesNumber};
use crate::model::{AppId, Facts, Filter};
use crate::store::StoreError;

/// Combinations whose segments are remembered, about 10 MB.
const REMEMBERED: usize = 200_000;

/// A tracked segment, as far as counting goes.
struct Rule {
    workspace: i64,
    series: SeriesNumber,
    filter: Filter,
    /// Whether its past is not counted yet: then a new session counts only if the pass has gone by its key.
    counting: bool,
}

/// Numbers a set of rules that some combination of properties fulfils. There are few such sets, so whatever is counted
/// is counted by set first and by segment in the end.
pub(super) type SetNumber = u32;

/// For keys of small integers that nobody outside chooses.
#[derive(Default)]
pub(super) struct Mixing(u64);

impl Hasher for Mixing {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
}

/// A map by small integers.
pub(super) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Mixing>>;

/// How far the pass over the past has come: the last key that is counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cursor {
    pub(super) app: i64,
    pub(super) day: i64,
    /// A text or a blob, as the sessions table has it.
    pub(super) session_id: Value,
}

impl Cursor {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let read = |row: &Row<'_>| {
            Ok(Self {
                app: row.get(0)?,
                day: row.get(1)?,
                session_id: row.get(2)?,
            })
        };
        let mut statement = connection.prepare_cached("SELECT app, day, session_id FROM pass")?;
        Ok(statement.query_row([], read)?)
    }

    /// Whether a session with this key was walked, or would have been.
    fn is_past(&self, app: i64, day: i64, id: StoredSessionId<'_>) -> bool {
        let by_id = || match (id, &self.session_id) {
            (StoredSessionId::Text(id), Value::Text(last)) => id.cmp(last.as_str()),
            (StoredSessionId::Uuid(id), Value::Blob(last)) => id.as_slice().cmp(last.as_slice()),
            (StoredSessionId::Text(_), _) => Ordering::Less,
            (StoredSessionId::Uuid(_), _) => Ordering::Greater,
        };
        (app, day).cmp(&(self.app, self.day)).then_with(by_id).is_le()
    }
}

/// The rules that hold in a transaction. Owned by the writer; forgotten when a transaction fails.
#[derive(Default)]
pub(super) struct Tagging {
    /// `meta.segments_seq` of the rules; `None` before they were read.
    seq: Option<i64>,
    rules: Vec<Rule>,
    /// Workspaces that have rules.
    workspaces: HashSet<i64>,
    /// Workspace and id of apps.
    apps: HashMap<i64, (i64, AppId)>,
    /// By app and combination of properties.
    remembered: NumberMap<(i64, i64), SetNumber>,
    /// Indices of rules, by number of the set.
    sets: Vec<Arc<[usize]>>,
    set_numbers: HashMap<Arc<[usize]>, SetNumber>,
    /// Where the pass stands, if there is one.
    cursor: Option<Cursor>,
}

impl Tagging {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Brings the rules to the state `segments_seq`, which this transaction sees.
    pub(super) fn refresh(&mut self, connection: &Connection, segments_seq: i64) -> Result<(), StoreError> {
        if self.seq != Some(segments_seq) {
            self.forget();
            self.rules = rules(connection)?;
            self.workspaces = self.rules.iter().map(|rule| rule.workspace).collect();
            self.seq = Some(segments_seq);
        }
        // The pass moves without changing the rules, perhaps in another process.
        self.cursor = match self.is_counting() {
            true => Some(Cursor::load(connection)?),
            false => None,
        };
        Ok(())
    }

    /// Whether segments are being counted.
    pub(super) fn is_counting(&self) -> bool {
        self.rules.iter().any(|rule| rule.counting)
    }

    /// Whether any segment of a workspace is tracked.
    pub(super) fn concerns(&self, workspace: i64) -> bool {
        self.workspaces.contains(&workspace)
    }

    /// Whether a segment still has these counters.
    pub(super) fn is_live(&self, series: SeriesNumber) -> bool {
        self.rules.iter().any(|rule| rule.series == series)
    }

    /// Whether the pass has gone by this key.
    pub(super) fn is_past(&self, app: i64, day: i64, id: StoredSessionId<'_>) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.is_past(app, day, id))
    }

    /// The series for which a new session counts; `past` as [`Tagging::is_past`].
    pub(super) fn series_of_new(
        &self,
        set: SetNumber,
        past: bool,
    ) -> impl Iterator<Item = SeriesNumber> + '_ {
        let counts = move |rule: &&Rule| !rule.counting || past;
        self.rules_of(set).filter(counts).map(|rule| rule.series)
    }

    /// Adds recorded sessions to the segments that are being counted; `counts` has a place for each rule.
    pub(super) fn add_past(&self, set: SetNumber, sessions: u32, counts: &mut Vec<u32>) {
        counts.resize(self.rules.len(), 0);
        for index in self.indices(set) {
            if let Some(count) = counts.get_mut(*index)
                && self.rules.get(*index).is_some_and(|rule| rule.counting)
            {
                *count += sessions;
            }
        }
    }

    /// Takes what was added, ascending by series.
    pub(super) fn take_cells(&self, counts: &mut [u32]) -> Vec<Cell> {
        let counted = self.rules.iter().zip(counts).filter(|(_, count)| **count > 0);
        counted
            .map(|(rule, count)| (rule.series, std::mem::take(count)))
            .collect()
    }

    /// Ascending by series.
    fn rules_of(&self, set: SetNumber) -> impl Iterator<Item = &Rule> {
        self.indices(set)
            .iter()
            .filter_map(|index| self.rules.get(*index))
    }

    fn indices(&self, set: SetNumber) -> &[usize] {
        let set = usize::try_from(set).ok().and_then(|set| self.sets.get(set));
        set.map(AsRef::as_ref).unwrap_or_default()
    }

    /// The rules that sessions of an app and with a combination of properties fulfil.
    pub(super) fn set(
        &mut self,
        connection: &Connection,
        app: i64,
        properties: i64,
    ) -> Result<SetNumber, StoreError> {
        if let Some(set) = self.remembered.get(&(app, properties)) {
            return Ok(*set);
        }
        let set = self.evaluate(connection, app, properties)?;
        if self.remembered.len() == REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert((app, properties), set);
        Ok(set)
    }

    fn evaluate(
        &mut self,
        connection: &Connection,
        app: i64,
        properties: i64,
    ) -> Result<SetNumber, StoreError> {
        let content: String = connection
            .prepare_cached("SELECT content FROM properties WHERE ordinal = ?1")?
            .query_row([properties], |row| row.get(0))?;
        let (workspace, id) = self.app(connection, app)?;
        let facts = Facts::read(id, &content)
            .map_err(|error| StoreError::damaged(format!("properties {properties}: {error}")))?;
        let rules = self.rules.iter().enumerate();
        let set: Arc<[usize]> = rules
            .filter(|(_, rule)| rule.workspace == workspace && rule.filter.matches(&facts))
            .map(|(index, _)| index)
            .collect();
        if let Some(number) = self.set_numbers.get(&set) {
            return Ok(*number);
        }
        let number = SetNumber::try_from(self.sets.len())
            .map_err(|_| StoreError::Unavailable("too many sets of segments".into()))?;
        self.sets.push(set.clone());
        self.set_numbers.insert(set, number);
        Ok(number)
    }

    /// Ordinal of an app's workspace, and the app's id.
    pub(super) fn app(&mut self, connection: &Connection, ordinal: i64) -> Result<(i64, AppId), StoreError> {
        if let Some(known) = self.apps.get(&ordinal) {
            return Ok(*known);
        }
        let mut statement = connection.prepare_cached("SELECT workspace, id FROM apps WHERE ordinal = ?1")?;
        let found: Option<(i64, String)> = statement
            .query_row([ordinal], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (workspace, id) =
            found.ok_or_else(|| StoreError::damaged(format!("there is no app number {ordinal}")))?;
        let id = id
            .parse()
            .map_err(|_| StoreError::damaged(format!("'{id}' is no app id")))?;
        self.apps.insert(ordinal, (workspace, id));
        Ok((workspace, id))
    }
}

/// Ascending by series, so that whatever is collected rule by rule is in the order of the cells.
fn rules(connection: &Connection) -> Result<Vec<Rule>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT workspace, series, filter, state = 2 FROM segments WHERE state IN (2, 3) ORDER BY series",
    )?;
    let mut rows = statement.query([])?;
    let mut rules = Vec::new();
    while let Some(row) = rows.next()? {
        let filter: String = row.get(2)?;
        rules.push(Rule {
            workspace: row.get(0)?,
            series: row.get(1)?,
            filter: filter.parse().map_err(StoreError::damaged)?,
            counting: row.get(3)?,
        });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_the_table_orders_them() {
        let cursor = |session_id: Value| Cursor {
            app: 2,
            day: 10,
            session_id,
        };
        let text = cursor(Value::Text("m".into()));
        let blob = cursor(Value::Blob(vec![7; 16]));
        let past = |cursor: &Cursor, app, day, id| cursor.is_past(app, day, id);
        for both in [&text, &blob] {
            assert!(past(both, 1, 99, StoredSessionId::Text("z")));
            assert!(past(both, 2, 9, StoredSessionId::Uuid([9; 16])));
            assert!(past(both, 2, 10, StoredSessionId::Text("a")));
            assert!(!past(both, 2, 11, StoredSessionId::Text("a")));
            assert!(!past(both, 3, 1, StoredSessionId::Text("a")));
            assert!(!past(both, 2, 10, StoredSessionId::Uuid([9; 16])));
        }
        assert!(past(&text, 2, 10, StoredSessionId::Text("m")));
        assert!(!past(&text, 2, 10, StoredSessionId::Text("m1")));
        assert!(past(&blob, 2, 10, StoredSessionId::Text("zzz")));
        assert!(past(&blob, 2, 10, StoredSessionId::Uuid([7; 16])));
    }
}
