//! The parts that the tables of sessions and of sealed days consist of, as the servers name them: what tells cheaply whether anything was
//! written, and where.
//!
//! A part never changes. Its name says which blocks of rows it holds: `all_3_7_2` the blocks 3 to 7, and `all_3_7_2_9` the
//! same after mutation 9. So a part that replaces others and holds the same blocks is a merge, which adds nothing.

use std::collections::BTreeSet;

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::tables::Table;
use crate::store::StoreError;

/// Begins the shard of parts of sealed days.
const SEALED: &str = "sealed/";
/// With more parts that are new, everything is looked at anew.
const MANY: usize = 500;

#[derive(Row, Serialize, Deserialize)]
struct PartRow {
    shard: String,
    name: String,
    rows: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct DelayRow {
    delay: u64,
}

/// A part. The number of its rows makes up for names that begin again after everything was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    shard: String,
    name: String,
    rows: u64,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    first: u64,
    last: u64,
    /// How often it was merged.
    level: u64,
    mutation: u64,
}

impl Part {
    fn blocks(&self) -> Option<Blocks> {
        let mut numbers = self.name.strip_prefix("all_")?.split('_').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let (first, last, level): (u64, u64, u64) = (next()?, next()?, next()?);
        let mutation = match numbers.next() {
            None => 0,
            Some(number) => number.ok()?,
        };
        Some(Blocks {
            first,
            last,
            level,
            mutation,
        })
    }
}

/// The active parts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts(BTreeSet<Part>);

/// What happened between two looks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing, or merges alone.
    Nothing,
    /// Parts of these names came.
    Came(BTreeSet<String>),
    /// Something that names can't tell.
    Anything,
}

impl Parts {
    /// What happened since `before`.
    pub(super) fn since(&self, before: &Self) -> Change {
        let came: Vec<&Part> = self.0.difference(&before.0).collect();
        let gone: Vec<&Part> = before.0.difference(&self.0).collect();
        let mut replaced = 0;
        let mut new = BTreeSet::new();
        for part in came {
            let Some(blocks) = part.blocks() else {
                new.insert(part.name.clone());
                continue;
            };
            let mut inside: Vec<Blocks> = gone
                .iter()
                .filter(|old| old.shard == part.shard)
                .filter_map(|old| old.blocks())
                .filter(|old| blocks.first <= old.first && old.last <= blocks.last)
                .collect();
            // Rows that a mutation removed are in no new part, nor those of a table that was emptied and begins again.
            let is_merged = |old: &Blocks| old.level < blocks.level && old.mutation == blocks.mutation;
            if !inside.iter().all(is_merged) {
                return Change::Anything;
            }
            replaced += inside.len();
            inside.sort_unstable_by_key(|old| old.first);
            // A block that was never seen may lie in a gap.
            let mut next = blocks.first;
            for old in &inside {
                if old.first == next {
                    next = old.last + 1;
                }
            }
            if next != blocks.last + 1 {
                if part.shard.starts_with(SEALED) {
                    return Change::Anything;
                }
                new.insert(part.name.clone());
            }
        }
        if replaced < gone.len() || new.len() > MANY {
            return Change::Anything;
        }
        if new.is_empty() {
            return Change::Nothing;
        }
        Change::Came(new)
    }
}

/// Looks which parts there are; `None` where the replicas that would say so are behind those that are asked for sessions.
pub(super) async fn look(engine: &Engine) -> Result<Option<Parts>, StoreError> {
    let address = engine.address();
    let database = &address.database;
    let Some(cluster) = &address.cluster else {
        let sealed = Table::Sealed.name();
        let sql = format!(
            "SELECT if(table = '{sealed}', '{SEALED}', '') AS shard, name, rows FROM system.parts \
             WHERE database = '{database}' AND table IN ('{}', '{sealed}') AND active",
            Table::Sessions.name()
        );
        let rows: Vec<PartRow> = engine.rows_soon(&sql).await?;
        return Ok(Some(rows.into_iter().collect()));
    };
    // Names are unique on a shard: each server adds the name of its own.
    let (table, sealed) = (Table::Sessions.local_name(), Table::Sealed.local_name());
    let sql = format!(
        "SELECT concat(if(table = '{sealed}', '{SEALED}', ''), shard) AS shard, name, rows FROM cluster('{cluster}', system, parts) ANY LEFT JOIN (SELECT '{database}' AS database, \
         substitution AS shard FROM system.macros WHERE macro = 'shard') USING database \
         WHERE database = '{database}' AND table IN ('{table}', '{sealed}') AND active"
    );
    let delays = format!(
        "SELECT toUInt64(max(absolute_delay)) AS delay FROM cluster('{cluster}', system, replicas) \
         WHERE database = '{database}' AND table IN ('{table}', '{sealed}')"
    );
    let (rows, delays) = tokio::try_join!(
        engine.rows_soon::<PartRow>(&sql),
        engine.rows_soon::<DelayRow>(&delays)
    )?;
    let is_behind = delays.iter().any(|row| row.delay > 0);
    Ok((!is_behind).then(|| rows.into_iter().collect()))
}

impl FromIterator<PartRow> for Parts {
    fn from_iter<T: IntoIterator<Item = PartRow>>(rows: T) -> Self {
        let part = |PartRow { shard, name, rows }| Part { shard, name, rows };
        Self(rows.into_iter().map(part).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(names: &[&str]) -> Parts {
        let row = |name: &&str| PartRow {
            shard: "0".into(),
            name: (*name).into(),
            rows: 10,
        };
        names.iter().map(row).collect()
    }

    fn came(names: &[&str]) -> Change {
        Change::Came(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn merges_are_nothing_and_what_is_written_is_seen_also_where_it_was_merged_at_once() {
        let before = parts(&["all_1_4_1", "all_5_5_0", "all_6_6_0"]);
        assert_eq!(before.since(&before), Change::Nothing);
        assert_eq!(parts(&["all_1_6_2"]).since(&before), Change::Nothing);
        let more = parts(&["all_1_4_1", "all_5_5_0", "all_6_6_0", "all_7_7_0"]);
        assert_eq!(more.since(&before), came(&["all_7_7_0"]));
        assert_eq!(parts(&["all_1_7_2"]).since(&before), came(&["all_1_7_2"]));
        assert_eq!(
            parts(&["all_1_6_2", "all_8_9_1"]).since(&before),
            came(&["all_8_9_1"])
        );
        // What was written with a number between those that were seen.
        let gap = parts(&["all_1_1_0", "all_3_3_0"]);
        assert_eq!(parts(&["all_1_3_1"]).since(&gap), came(&["all_1_3_1"]));
    }

    #[test]
    fn mutations_and_removals_are_seen() {
        let before = parts(&["all_1_4_1", "all_5_5_0"]);
        let mutated = parts(&["all_1_4_1_6", "all_5_5_0_6"]);
        assert_eq!(mutated.since(&before), Change::Anything);
        assert_eq!(parts(&["all_1_5_2_6"]).since(&mutated), Change::Nothing);
        assert_eq!(parts(&[]).since(&before), Change::Anything);
        assert_eq!(parts(&["all_1_4_1"]).since(&before), Change::Anything);
        let mut again = parts(&["all_1_4_1", "all_5_5_0"]);
        again.0 = again
            .0
            .into_iter()
            .map(|part| Part { rows: 11, ..part })
            .collect();
        assert_eq!(again.since(&before), Change::Anything);
    }

    #[test]
    fn a_day_that_is_sealed_may_be_any() {
        let part = |shard: &str| Part {
            shard: shard.into(),
            name: "all_1_1_0".into(),
            rows: 1,
        };
        let before = Parts([part("a")].into());
        let after = Parts([part("a"), part("sealed/a")].into());
        assert_eq!(after.since(&before), Change::Anything);
    }

    #[test]
    fn each_shard_has_its_own_numbers_and_other_names_are_always_new() {
        let part = |shard: &str, name: &str| Part {
            shard: shard.into(),
            name: name.into(),
            rows: 1,
        };
        let before = Parts([part("a", "all_1_9_2"), part("b", "all_1_1_0")].into());
        let after = Parts([part("a", "all_1_9_2"), part("b", "all_1_2_1")].into());
        assert_eq!(after.since(&before), came(&["all_1_2_1"]));
        let strange = Parts(
            [
                part("a", "all_1_9_2"),
                part("b", "all_1_1_0"),
                part("b", "20180101_x"),
            ]
            .into(),
        );
        assert_eq!(strange.since(&before), came(&["20180101_x"]));
    }
}
