//! Combinations of properties: each is stored once, and sessions carry its number.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::literals::list;
use super::tables::Table;
use crate::model::{Properties, UserAttributes};
use crate::store::StoreError;
use crate::store::recent::Recent;

/// Contents held in memory, about 15 MB.
const HELD: usize = 50_000;
/// Contents asked for at a time.
const ASKED: usize = 10_000;

#[derive(Row, Serialize, Deserialize)]
struct Combination {
    id: u64,
    content: String,
}

/// What is known of the combinations. Owned by the store.
#[derive(Default)]
pub(super) struct Combinations {
    /// Numbers by what makes a combination.
    numbers: Mutex<Recent<u64>>,
    /// Numbers of those that are stored.
    stored: Mutex<Recent<()>>,
    contents: Mutex<HashMap<u64, Arc<str>>>,
}

/// Combinations of a batch that may not be stored yet.
#[derive(Default)]
pub(super) struct NewCombinations(HashMap<u64, String>);

/// 64 bits of a cryptographic hash: of a million combinations two are equal once in 37 million stores.
fn number(content: &str) -> u64 {
    let digest = Sha256::digest(content.as_bytes());
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

impl Combinations {
    /// The number of the combination with which a session is recorded.
    pub(super) fn number(
        &self,
        own: &Properties,
        user: &UserAttributes,
        first_session: Option<bool>,
        new: &mut NewCombinations,
    ) -> u64 {
        let key = (own.as_str(), user.as_str(), first_session);
        let known = self.numbers.lock().get(key);
        if let Some(known) = known.filter(|known| self.stored.lock().get(known).is_some()) {
            return known;
        }
        let number = new.add(own.recorded(first_session, user));
        self.numbers.lock().set(key, number);
        number
    }

    /// Stores what is new.
    pub(super) async fn store(&self, engine: &Engine, new: NewCombinations) -> Result<(), StoreError> {
        let is_new = |id: &u64| self.stored.lock().get(id).is_none();
        let new = new.0.into_iter().filter(|(id, _)| is_new(id));
        let rows: Vec<Combination> = new.map(|(id, content)| Combination { id, content }).collect();
        engine.insert(Table::Properties, &rows).await?;
        let mut stored = self.stored.lock();
        for row in rows {
            stored.set(row.id, ());
        }
        Ok(())
    }

    /// The contents of combinations; one that is missing in the store is missing here.
    pub(super) async fn contents(
        &self,
        engine: &Engine,
        ids: &BTreeSet<u64>,
    ) -> Result<HashMap<u64, Arc<str>>, StoreError> {
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        {
            let held = self.contents.lock();
            for id in ids {
                match held.get(id) {
                    Some(content) => _ = found.insert(*id, content.clone()),
                    None => missing.push(*id),
                }
            }
        }
        for chunk in missing.chunks(ASKED) {
            let sql = format!(
                "SELECT id, any(content) AS text FROM {}.properties WHERE id IN ({}) GROUP BY id",
                engine.address().database,
                list(chunk)
            );
            let rows: Vec<Combination> = engine.rows(&sql).await?;
            let mut held = self.contents.lock();
            if held.len() + rows.len() > HELD {
                held.clear();
            }
            for Combination { id, content } in rows {
                let content: Arc<str> = content.into();
                held.insert(id, content.clone());
                found.insert(id, content);
            }
        }
        Ok(found)
    }
}

impl NewCombinations {
    /// The number of a combination that is to be stored.
    pub(super) fn add(&mut self, content: String) -> u64 {
        let id = number(&content);
        self.0.insert(id, content);
        id
    }
}
