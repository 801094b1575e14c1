//! What is known of combinations of properties: for which of them a filter holds, and which value a field has. Each is
//! evaluated once for a combination, when a day is counted that has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::answer::{GroupKey, GroupValue};
use super::recent::Recent;
use crate::model::{AppId, Facts, Field, Filter, WorkspaceId};
use crate::rollup::Bitmap;
use crate::store::{Store, StoreError};

/// Memory for all of it, about.
const HELD: usize = 96 << 20;
/// Combinations that are asked for and evaluated at a time.
const STEP: usize = 5_000;

/// A filter and the combinations for which it was evaluated.
#[derive(Debug)]
pub(super) struct KnownFilter {
    filter: Filter,
    /// By app where the filter asks for the app, else one for all apps.
    maps: RwLock<BTreeMap<Option<AppId>, Bitmap>>,
}

impl KnownFilter {
    fn key(&self, app: AppId) -> Option<AppId> {
        self.filter.asks_for_the_app().then_some(app)
    }

    /// Evaluates it for combinations of sessions of an app, as far as that was not done.
    pub(super) async fn learn(
        &self,
        store: &dyn Store,
        workspace: WorkspaceId,
        app: AppId,
        combinations: &[u64],
    ) -> Result<(), StoreError> {
        let key = self.key(app);
        let unknown: Vec<u64> = {
            let maps = self.maps.read();
            let map = maps.get(&key);
            let is_known = |of: u64| map.is_some_and(|map| map.get(of).is_some());
            combinations.iter().copied().filter(|of| !is_known(*of)).collect()
        };
        for some in unknown.chunks(STEP) {
            let contents = store.properties(workspace, some).await?;
            let mut holds = Vec::with_capacity(some.len());
            for (of, content) in some.iter().zip(&contents) {
                holds.push((*of, self.filter.matches(&facts(app, *of, content)?)));
            }
            {
                let mut maps = self.maps.write();
                let map = maps.entry(key).or_default();
                holds.into_iter().for_each(|(of, holds)| map.set(of, holds));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The same for equal filters.
    pub(super) fn name(&self) -> String {
        self.filter.to_json()
    }

    /// What is known, while it is looked at.
    pub(super) fn look(&self) -> KnownNow<'_> {
        KnownNow {
            filter: self,
            maps: self.maps.read(),
        }
    }

    fn bytes(&self) -> usize {
        self.maps.read().values().map(Bitmap::bytes).sum::<usize>() + 1_000
    }
}

/// A filter while it is looked at.
pub(super) struct KnownNow<'a> {
    filter: &'a KnownFilter,
    maps: RwLockReadGuard<'a, BTreeMap<Option<AppId>, Bitmap>>,
}

impl KnownNow<'_> {
    /// What is known of each of these apps' combinations, in their order.
    pub(super) fn of(&self, apps: &[AppId]) -> Vec<Option<&Bitmap>> {
        let map = |app: &AppId| self.maps.get(&self.filter.key(*app));
        apps.iter().map(map).collect()
    }
}

/// A field and the groups that its values make.
#[derive(Debug)]
pub(super) struct KnownField {
    field: Field,
    groups: RwLock<Groups>,
}

/// The groups of a field, numbered in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Groups {
    numbers: HashMap<GroupKey, u32>,
    keys: Vec<GroupKey>,
    of: HashMap<u64, u32>,
}

impl Groups {
    /// The number of a combination's group.
    pub(super) fn of(&self, combination: u64) -> Option<u32> {
        self.of.get(&combination).copied()
    }

    /// The group with a number.
    pub(super) fn key(&self, number: u32) -> Option<&GroupKey> {
        self.keys.get(usize::try_from(number).ok()?)
    }

    fn put(&mut self, combination: u64, key: GroupKey) {
        let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(key.clone()).or_insert(next);
        if number == next {
            self.keys.push(key);
        }
        self.of.insert(combination, number);
    }
}

impl KnownField {
    /// Finds the groups of combinations, as far as that was not done.
    pub(super) async fn learn(
        &self,
        store: &dyn Store,
        workspace: WorkspaceId,
        app: AppId,
        combinations: &[u64],
    ) -> Result<(), StoreError> {
        let unknown: Vec<u64> = {
            let groups = self.groups.read();
            let is_unknown = |of: &u64| !groups.of.contains_key(of);
            combinations.iter().copied().filter(is_unknown).collect()
        };
        for some in unknown.chunks(STEP) {
            let contents = store.properties(workspace, some).await?;
            let mut found = Vec::with_capacity(some.len());
            for (of, content) in some.iter().zip(&contents) {
                let facts = facts(app, *of, content)?;
                let value = facts.get(&self.field).map(GroupValue::from);
                found.push((*of, GroupKey::Value(value)));
            }
            {
                let mut groups = self.groups.write();
                found.into_iter().for_each(|(of, key)| groups.put(of, key));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// What is known, while it is looked at.
    pub(super) fn look(&self) -> RwLockReadGuard<'_, Groups> {
        self.groups.read()
    }

    fn bytes(&self) -> usize {
        let groups = self.groups.read();
        groups.of.capacity() * 17 + groups.keys.len() * 150 + 1_000
    }
}

fn facts(app: AppId, combination: u64, content: &str) -> Result<Facts, StoreError> {
    Facts::read(app, content).map_err(|error| {
        StoreError::Unusable(format!("the store is damaged: properties {combination}: {error}"))
    })
}

/// Filters and fields that were asked for lately.
#[derive(Debug, Default)]
pub(super) struct Known {
    filters: Mutex<Recent<(WorkspaceId, String), KnownFilter>>,
    fields: Mutex<Recent<(WorkspaceId, Field), KnownField>>,
}

impl Known {
    /// What is known of a filter.
    pub(super) fn filter(&self, workspace: WorkspaceId, filter: &Filter) -> Arc<KnownFilter> {
        let new = || KnownFilter {
            filter: filter.clone(),
            maps: RwLock::default(),
        };
        self.filters
            .lock()
            .get_or_insert((workspace, filter.to_json()), new)
    }

    /// What is known of a field.
    pub(super) fn field(&self, workspace: WorkspaceId, field: &Field) -> Arc<KnownField> {
        let new = || KnownField {
            field: field.clone(),
            groups: RwLock::default(),
        };
        self.fields.lock().get_or_insert((workspace, field.clone()), new)
    }

    /// Forgets what was not asked for longest until the rest takes no more memory than it may.
    pub(super) fn shrink(&self) {
        self.filters.lock().shrink_to(HELD / 2, KnownFilter::bytes);
        self.fields.lock().shrink_to(HELD / 2, KnownField::bytes);
    }
}
