//! Filters as bitmaps over combinations of properties: each is evaluated once for a combination, when that is first needed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::HashMap as FastMap;
use parking_lot::{Mutex, RwLock};

use super::engine::Engine;
use super::properties::Combinations;
use crate::model::{AppId, Facts, Filter};
use crate::rollup::Bitmap;
use crate::store::StoreError;

/// Filters that are remembered, and memory for their bitmaps, about.
const FILTERS: usize = 2_000;
const LIMIT: usize = 64 << 20;
/// Combinations that are numbered, some 24 bytes each, before numbering begins anew.
const NUMBERED: usize = 4_000_000;
/// Combinations that are evaluated at a time.
const STEP: usize = 20_000;

/// Combinations are hashes; for bitmaps they are numbered densely.
type Numbers = RwLock<FastMap<u64, u64>>;

/// A filter and what is known of it.
#[derive(Debug)]
pub(super) struct KnownFilter {
    /// Never given twice in this process.
    pub(super) number: u64,
    filter: Filter,
    /// Those that its bitmaps are over.
    numbers: Arc<Numbers>,
    /// By app where the filter asks for the app, else one for all apps.
    bitmaps: RwLock<HashMap<Option<AppId>, Bitmap>>,
    /// When it was last asked for, in requests.
    used: AtomicU64,
}

impl KnownFilter {
    fn key(&self, app: AppId) -> Option<AppId> {
        self.filter.asks_for_the_app().then_some(app)
    }

    /// Hands over whether the filter holds for combinations of an app's sessions, as far as that was evaluated.
    fn with<T>(&self, app: AppId, look: impl FnOnce(&dyn Fn(u64) -> Option<bool>) -> T) -> T {
        let (numbers, bitmaps) = (self.numbers.read(), self.bitmaps.read());
        let bitmap = bitmaps.get(&self.key(app));
        look(&|combination| bitmap?.get(*numbers.get(&combination)?))
    }

    /// Hands over whether it holds for combinations for which it was evaluated, which is else not so.
    pub(super) fn with_members<T>(&self, app: AppId, look: impl FnOnce(&dyn Fn(u64) -> bool) -> T) -> T {
        self.with(app, |holds| look(&|combination| holds(combination) == Some(true)))
    }

    /// Evaluates it for those of these combinations of an app's sessions for which that was not done. One that is not in the
    /// store, since somebody else wrote its session, belongs to no filter.
    pub(super) async fn evaluate(
        self: &Arc<Self>,
        engine: &Engine,
        combinations: &Combinations,
        app: AppId,
        of: &[u64],
    ) -> Result<(), StoreError> {
        let unknown: Vec<u64> = self.with(app, |holds| {
            let unknown = of.iter().filter(|combination| holds(**combination).is_none());
            unknown.copied().collect()
        });
        for few in unknown.chunks(STEP) {
            let few: BTreeSet<u64> = few.iter().copied().collect();
            let contents = combinations.contents(engine, &few).await?;
            let this = self.clone();
            let evaluated = tokio::task::spawn_blocking(move || this.learn(app, &contents)).await;
            evaluated.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        }
        Ok(())
    }

    fn learn(&self, app: AppId, contents: &HashMap<u64, Arc<str>>) -> Result<(), StoreError> {
        let mut found = Vec::with_capacity(contents.len());
        for (combination, content) in contents {
            let facts = Facts::read(app, content)
                .map_err(|error| StoreError::damaged(format!("properties {combination}: {error}")))?;
            found.push((*combination, self.filter.matches(&facts)));
        }
        let (mut numbers, mut bitmaps) = (self.numbers.write(), self.bitmaps.write());
        let bitmap = bitmaps.entry(self.key(app)).or_default();
        for (combination, holds) in found {
            let next = numbers.len() as u64;
            bitmap.set(*numbers.entry(combination).or_insert(next), holds);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bitmaps.read().values().map(Bitmap::bytes).sum()
    }
}

/// The filters that were asked for lately. Owned by the store.
#[derive(Debug, Default)]
pub(super) struct Filters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By their JSON form, which is the same for equal filters.
    known: HashMap<String, Arc<KnownFilter>>,
    numbers: Arc<Numbers>,
    last: u64,
    /// Grows with every request.
    clock: u64,
}

impl Filters {
    /// What is known of a filter.
    pub(super) fn get(&self, filter: &Filter) -> Arc<KnownFilter> {
        let json = filter.to_json();
        let mut state = self.0.lock();
        state.clock += 1;
        if let Some(known) = state.known.get(&json) {
            known.used.store(state.clock, Ordering::Relaxed);
            return known.clone();
        }
        if state.numbers.read().len() > NUMBERED {
            state.known.clear();
            state.numbers = Arc::default();
        }
        state.forget_some();
        state.last += 1;
        let made = Arc::new(KnownFilter {
            number: state.last,
            filter: filter.clone(),
            numbers: state.numbers.clone(),
            bitmaps: RwLock::default(),
            used: AtomicU64::new(state.clock),
        });
        state.known.insert(json, made.clone());
        made
    }
}

impl State {
    /// Forgets those that were not used for longest until there is room for one more.
    fn forget_some(&mut self) {
        let mut bytes: usize = self.known.values().map(|known| known.bytes()).sum();
        while self.known.len() >= FILTERS || bytes > LIMIT {
            let used = |(json, known): (&String, &Arc<KnownFilter>)| {
                (known.used.load(Ordering::Relaxed), json.clone())
            };
            let Some((_, oldest)) = self.known.iter().map(used).min() else {
                return;
            };
            bytes -= self.known.remove(&oldest).map_or(0, |known| known.bytes());
        }
    }
}
