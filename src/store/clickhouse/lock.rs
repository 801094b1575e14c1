//! Mutual exclusion between processes, on a server that has no transactions.
//!
//! Whoever wants a lock writes that down, durably, and then reads who else wants it. Of two processes at least one sees
//! the other's claim, whatever their clocks and networks do, so never do both find themselves alone. The one whose
//! claim has the smallest name waits for the others to step back; the others step back and try again a little later.
//! Whoever holds a lock repeats its claim every few seconds; what a dead process claimed is void soon, by the server's clock.
//!
//! A holder that stood still for longer than that is taken for dead, and may write after another has. So what is written
//! under a lock is fenced: the server adds it only where the table still has the version that it was made from. What is
//! assumed: the server's clock does not jump by seconds, and between a statement's look at the version and its rows there is
//! no other such statement, which took ten seconds of standing still to come at that very moment.

use std::time::{Duration, Instant};

use clickhouse::Row;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::Engine;
use super::literals::quoted;
use super::schema;
use super::tables::Table;
use crate::store::StoreError;

/// Claims that nobody repeats are void after this many seconds.
const VOID: u32 = 10;
/// How often a claim is repeated.
const REPEAT: Duration = Duration::from_secs(2);
/// After this long without having repeated its claim a holder writes nothing any more.
const STALE: Duration = Duration::from_secs(5);
/// How long to try.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Row, Serialize, Deserialize)]
struct Claim {
    name: String,
    holder: String,
    released: u8,
}

/// A lock that is held.
pub(super) struct Held<'a> {
    engine: &'a Engine,
    name: &'static str,
    holder: String,
    /// When the claim was last written.
    claimed: Mutex<Instant>,
}

/// Waits for a lock, and does something while holding it.
pub(super) async fn with<T>(
    engine: &Engine,
    name: &'static str,
    work: impl AsyncFnOnce(&Held<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let held = hold(engine, name).await?;
    let repeat = async {
        loop {
            tokio::time::sleep(REPEAT).await;
            // If that fails for long, the work must not write any more, and finds out by itself.
            let _ = held.claim().await;
        }
    };
    let result = tokio::select! {
        result = work(&held) => result,
        never = repeat => never,
    };
    // What was changed is changed: who can't release the lock makes others wait until it is void, no more.
    if let Err(error) = held.put(true).await {
        tracing::warn!(%error, "a lock could not be released; it is void in {VOID} seconds");
    }
    if let Err(error) = schema::drop_old_claims(engine).await {
        tracing::warn!(%error, "claims of earlier days can't be removed; trying again after the next change");
    }
    result
}

async fn hold<'a>(engine: &'a Engine, name: &'static str) -> Result<Held<'a>, StoreError> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let held = Held {
            engine,
            name,
            holder: Uuid::new_v4().to_string(),
            claimed: Mutex::new(Instant::now()),
        };
        held.claim().await?;
        loop {
            let others = held.others().await?;
            if others.is_empty() {
                return Ok(held);
            }
            let first = others.iter().all(|other| *other > held.holder);
            if !first || held.is_stale() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        held.put(true).await?;
        let mut byte = [0];
        let _ = getrandom::fill(&mut byte);
        let [byte] = byte;
        tokio::time::sleep(Duration::from_millis(20 + u64::from(byte))).await;
    }
    Err(StoreError::Unavailable(
        "another process is changing the store".into(),
    ))
}

impl Held<'_> {
    fn is_stale(&self) -> bool {
        self.claimed.lock().elapsed() > STALE
    }

    /// Writes rows, given as columns of literals, that were made from the first of these versions of a table; their own go up
    /// to the second one. Fails where others may take this claim for that of a dead process, or have written a newer version.
    pub(super) async fn write(
        &self,
        table: Table,
        versions: (u64, u64),
        columns: &[(&str, String)],
    ) -> Result<(), StoreError> {
        if self.is_stale() {
            return Err(StoreError::Unavailable(
                "ClickHouse was too slow to change the store safely".into(),
            ));
        }
        self.engine.insert_after(table, versions, columns).await
    }

    async fn others(&self) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "SELECT holder FROM {}.{} WHERE name = {} AND at > toUInt32(now()) - {VOID} AND holder != {} \
             GROUP BY holder HAVING max(released) = 0",
            self.engine.address().database,
            Table::Locks.name(),
            quoted(self.name),
            quoted(&self.holder),
        );
        self.engine.rows(&sql).await
    }

    async fn claim(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.put(false).await?;
        *self.claimed.lock() = begun;
        Ok(())
    }

    async fn put(&self, released: bool) -> Result<(), StoreError> {
        let claim = Claim {
            name: self.name.into(),
            holder: self.holder.clone(),
            released: released.into(),
        };
        self.engine.insert(Table::Locks, &[claim]).await
    }
}
