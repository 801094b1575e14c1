//! Filters as bitmaps over combinations of properties: each is evaluated once for a combination, when that is first needed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension as _};

use crate::model::{AppId, Facts, Filter};
use crate::rollup::Bitmap;
use crate::store::StoreError;

/// Filters that are remembered.
const FILTERS: usize = 2_000;
/// Combinations that are evaluated before what was found is remembered, and before anybody may stop it.
const STEP: usize = 500;

/// Names everyone among the numbers of filters.
pub(super) const EVERYONE: u64 = 0;

/// A filter and what is known of it.
#[derive(Debug)]
pub(super) struct KnownFilter {
    /// Never given twice in this process.
    pub(super) number: u64,
    filter: Filter,
    /// By app where the filter asks for the app, else one for all apps, under 0.
    bitmaps: RwLock<HashMap<i64, Bitmap>>,
    /// When it was last asked for, in requests.
    used: AtomicU64,
}

impl KnownFilter {
    fn key(&self, app: i64) -> i64 {
        if self.filter.asks_for_the_app() { app } else { 0 }
    }

    /// Hands over what is known of the sessions of an app.
    pub(super) fn with<T>(&self, app: i64, look: impl FnOnce(&Bitmap) -> T) -> T {
        match self.bitmaps.read().get(&self.key(app)) {
            Some(bitmap) => look(bitmap),
            None => look(&Bitmap::default()),
        }
    }

    /// Those for which it was not evaluated yet.
    pub(super) fn unknown(&self, app: i64, combinations: impl IntoIterator<Item = u64>) -> Vec<u64> {
        self.with(app, |bitmap| {
            let unknown = |combination: &u64| bitmap.get(*combination).is_none();
            combinations.into_iter().filter(unknown).collect()
        })
    }

    /// Evaluates it for combinations of sessions of an app; whether it did for all, since it ends early where `is_over`
    /// says so.
    pub(super) fn evaluate(
        &self,
        connection: &Connection,
        (app, id): (i64, AppId),
        combinations: &[u64],
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let mut content = connection.prepare_cached("SELECT content FROM properties WHERE ordinal = ?1")?;
        for combinations in combinations.chunks(STEP) {
            if is_over() {
                return Ok(false);
            }
            let mut found = Vec::with_capacity(combinations.len());
            for combination in combinations {
                let ordinal = i64::try_from(*combination).unwrap_or(i64::MAX);
                let text: Option<String> = content.query_row([ordinal], |row| row.get(0)).optional()?;
                let text = text.ok_or_else(|| {
                    StoreError::damaged(format!("there is no combination of properties {ordinal}"))
                })?;
                let facts = Facts::read(id, &text)
                    .map_err(|error| StoreError::damaged(format!("properties {ordinal}: {error}")))?;
                found.push((*combination, self.filter.matches(&facts)));
            }
            let mut bitmaps = self.bitmaps.write();
            let bitmap = bitmaps.entry(self.key(app)).or_default();
            found
                .into_iter()
                .for_each(|(combination, holds)| bitmap.set(combination, holds));
        }
        Ok(true)
    }

    /// Memory that it takes, about.
    fn bytes(&self) -> usize {
        self.bitmaps.read().values().map(Bitmap::bytes).sum()
    }
}

/// The filters that were asked for lately. Owned by the store.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// By their JSON form, which is the same for equal filters.
    known: RwLock<HashMap<Arc<str>, Arc<KnownFilter>>>,
    last: AtomicU64,
    clock: AtomicU64,
    making: Mutex<()>,
}

impl Filters {
    /// What is known of a filter whose JSON form is `json`.
    pub(super) fn get(&self, json: &str, filter: &Filter) -> Arc<KnownFilter> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let known = || {
            let known = self.known.read().get(json).cloned();
            known.inspect(|known| known.used.store(now, Ordering::Relaxed))
        };
        if let Some(known) = known() {
            return known;
        }
        let _one_at_a_time = self.making.lock();
        if let Some(known) = known() {
            return known;
        }
        let made = Arc::new(KnownFilter {
            number: self.last.fetch_add(1, Ordering::Relaxed) + 1,
            filter: filter.clone(),
            bitmaps: RwLock::default(),
            used: AtomicU64::new(now),
        });
        let mut all = self.known.write();
        if all.len() >= FILTERS
            && let Some(oldest) = all
                .iter()
                .min_by_key(|(_, known)| known.used.load(Ordering::Relaxed))
                .map(|(json, _)| json.clone())
        {
            all.remove(&oldest);
        }
        all.insert(json.into(), made.clone());
        made
    }

    /// Forgets those that were not used for longest until they take no more memory than this; how much they take then.
    pub(super) fn shrink_to(&self, limit: usize) -> usize {
        let sizes: Vec<(u64, usize, Arc<str>)> = {
            let known = self.known.read();
            let size = |(json, known): (&Arc<str>, &Arc<KnownFilter>)| {
                (known.used.load(Ordering::Relaxed), known.bytes(), json.clone())
            };
            known.iter().map(size).collect()
        };
        let mut bytes: usize = sizes.iter().map(|(_, bytes, _)| bytes).sum();
        if bytes <= limit {
            return bytes;
        }
        let mut sizes = sizes;
        sizes.sort_unstable();
        let mut known = self.known.write();
        for (_, size, json) in sizes {
            if bytes <= limit {
                break;
            }
            known.remove(&json);
            bytes -= size;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn evaluating_ends_within_a_step_of_being_told_and_goes_on_from_there() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE properties (ordinal INTEGER PRIMARY KEY, content TEXT)")
            .unwrap();
        let count = 10 * STEP as u64;
        for ordinal in 1..=count {
            let content = format!(r#"{{"platform":"p{}"}}"#, ordinal % 7);
            let insert = "INSERT INTO properties VALUES (?1, ?2)";
            connection
                .execute(insert, rusqlite::params![ordinal as i64, content])
                .unwrap();
        }
        let filter: Filter = r#"{"field":"platform","op":"contains","value":"3"}"#.parse().unwrap();
        let filters = Filters::default();
        let known = filters.get(&filter.to_json(), &filter);
        let (app, mut turns) = ((1, AppId::random()), 0);
        loop {
            let unknown = known.unknown(app.0, 1..=count);
            // Each turn may look at its end three times, so it takes two steps.
            let looks = Cell::new(0);
            let is_over = || looks.replace(looks.get() + 1) == 2;
            let is_done = known.evaluate(&connection, app, &unknown, is_over).unwrap();
            let left = known.unknown(app.0, 1..=count).len();
            assert_eq!(unknown.len() - left, (2 * STEP).min(unknown.len()));
            turns += 1;
            if is_done {
                break;
            }
        }
        assert_eq!(turns, 5);
        let holds = known.with(1, |bitmap| {
            (1..=count)
                .filter(|ordinal| bitmap.get(*ordinal) == Some(true))
                .count()
        });
        assert_eq!(
            holds as u64,
            (1..=count).filter(|ordinal| ordinal % 7 == 3).count() as u64
        );
        // Nothing is evaluated twice.
        let none = known.unknown(app.0, 1..=count);
        assert!(none.is_empty());
        assert!(filters.shrink_to(usize::MAX) > 0);
        assert_eq!(filters.shrink_to(0), 0);
    }
}
