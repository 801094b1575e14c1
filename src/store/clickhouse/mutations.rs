//! Statements that rewrite what is stored, which the server carries out in the background: begun here, and waited for.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::engine::Engine;
use super::failure;
use super::tables::Table;
use crate::store::StoreError;

/// How long it is waited for them.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After which time a statement is sent again for rows that landed behind it, such as rollups that a process was just
/// building; three times that later once more, and so on.
const AGAIN: Duration = Duration::from_secs(10);
/// After how many looks old servers are given a reason to go on once more.
const NUDGE: u32 = 12;
/// Rows that are enough for each shard to get one.
const ROWS: u32 = 32;
/// No app and no workspace has this id: random ones never are.
pub(super) const NOBODY: Uuid = Uuid::nil();

/// Rows of a table.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) table: Table,
    /// Which of them. Rows that are rewritten fulfil it no longer.
    pub(super) condition: String,
}

impl Rows {
    /// How many there are.
    async fn count(&self, engine: &Engine) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT count() AS n FROM {}.{} WHERE {}",
            engine.address().database,
            self.table.name(),
            self.condition
        );
        // An aggregate without groups has one row, of an empty table too.
        engine
            .rows(&sql)
            .await?
            .first()
            .copied()
            .ok_or_else(failure::broken_off)
    }

    /// Removes them; returns when none is left, wherever it is looked for.
    pub(super) async fn remove(&self, engine: &Engine) -> Result<(), StoreError> {
        self.rewrite(engine, "DELETE").await
    }

    /// Gives columns other values, `NAME = VALUE, …`; returns when all of them have these.
    pub(super) async fn set(&self, engine: &Engine, values: &str) -> Result<(), StoreError> {
        self.rewrite(engine, &format!("UPDATE {values}")).await
    }

    async fn rewrite(&self, engine: &Engine, what: &str) -> Result<(), StoreError> {
        if self.count(engine).await? == 0 {
            return Ok(());
        }
        let address = engine.address();
        let statement = format!("{} {what} WHERE {}", self.table.alter(address), self.condition);
        engine.execute(&statement).await?;
        let begun = Instant::now();
        let (mut pause, mut again) = (PAUSE, AGAIN);
        for attempt in 0_u32.. {
            if engine.is_old() && address.cluster.is_some() && attempt.is_multiple_of(NUDGE) {
                // These servers leave the part alone that was inserted last with a quorum, until there is another one.
                let rows = nobodys_rows(self.table).map_err(StoreError::partly)?;
                let nudged = engine.insert_selected(self.table, &rows).await;
                nudged.map_err(StoreError::partly)?;
            }
            let left = self.count(engine).await.map_err(StoreError::partly)?;
            if left == 0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(StoreError::Partial(format!(
                    "ClickHouse is still rewriting {left} rows of {}, and goes on with that by itself",
                    self.table.name()
                )));
            }
            if begun.elapsed() > again {
                engine.execute(&statement).await.map_err(StoreError::partly)?;
                again *= 3;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }
}

/// A few rows that refer to nothing, for each shard: the same ones each time, so that they are merged into one another.
fn nobodys_rows(table: Table) -> Result<String, StoreError> {
    let nobody = format!("toUUID('{NOBODY}')");
    let columns = match table {
        Table::Sessions => format!(
            "{nobody}, toUInt16(0), toString(number), toUInt32(0), toUInt64(0), toUInt64(0), '', '', toInt32(-1), toUInt64(0)"
        ),
        Table::Ends => format!("{nobody}, toUInt16(0), number, toInt64(0)"),
        Table::Rollups => format!(
            "toUInt8(0), {nobody}, toUInt16(number), toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), toUInt32(0), ''"
        ),
        Table::People => format!("{nobody}, number, toUInt32(0), toUInt64(0), toUInt64(0)"),
        Table::Users => format!("{nobody}, toString(number), toUInt64(0), '{{}}'"),
        Table::Sealed => {
            format!("{nobody}, toUInt16(number), toUInt64(0), toUInt64(0), toUInt64(0), '', '', ''")
        }
        Table::Names => format!("{nobody}, number, toUInt8(0), '', toUInt64(0)"),
        other => {
            return Err(StoreError::Unusable(format!(
                "rows of the table {} are never rewritten",
                other.name()
            )));
        }
    };
    Ok(format!("SELECT {columns} FROM system.numbers LIMIT {ROWS}"))
}
