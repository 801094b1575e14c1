//! Sealed days from one store into another: combinations and persons spelled out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clickhouse::Row;
use foldhash::HashSet;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use super::Inner;
use super::contents::Hash;
use super::engine::Engine;
use super::ids::{self, AppDay, WireId};
use super::literals::{list, literals};
use super::mutations::Rows;
use super::people::{DEVICE, Person, USER};
use super::properties::NewCombinations;
use super::sealed::{self, SealedRow};
use super::tables::Table;
use crate::model::{AppId, WorkspaceId};
use crate::rollup::{Cells, People};
use crate::store::StoreError;
use crate::store::sealed::{SealedBatch, SealedDay, SealedPerson};

/// Persons that are asked for at once.
const PERSONS: usize = 10_000;

/// Who a person is.
#[derive(Row, Serialize, Deserialize)]
struct NameRow {
    workspace: WireId,
    person: u64,
    kind: u8,
    id: String,
    version: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct NamedRow {
    person: u64,
    named: u8,
    name: String,
}

/// As [`Sessions::dump_sealed`](crate::store::Sessions::dump_sealed).
pub(super) async fn dump(
    store: &Inner,
    workspace: WorkspaceId,
    output: &Sender<Vec<SealedDay>>,
) -> Result<(), StoreError> {
    let engine = &store.engine;
    let apps: Vec<_> = store.snapshot().apps_of(workspace).collect();
    if apps.is_empty() {
        return Ok(());
    }
    let days = sealed::hashes(engine, &format!("app IN ({})", literals(apps))).await?;
    for days in chunks(&days) {
        let cells = sealed::read::<Cells>(engine, days.iter().copied()).await?;
        let mut people = sealed::read::<People>(engine, days.iter().copied()).await?;
        let parts = cells.into_iter().filter_map(|(day, cells)| {
            // What was deleted meanwhile is not handed out.
            Some((day, cells.what, people.remove(&day)?.what))
        });
        let parts: Vec<(AppDay, Cells, People)> = parts.collect();
        // What nobody receives nobody wants.
        if output.send(spell(store, workspace, &parts).await?).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Days in their order, so many at a time as stores hand on together.
fn chunks(days: &BTreeMap<AppDay, Hash>) -> Vec<Vec<AppDay>> {
    let (mut chunks, mut chunk, mut rows) = (Vec::new(), Vec::new(), 0);
    for (day, hash) in days {
        chunk.push(*day);
        rows += hash.rows;
        if chunk.len() == SealedBatch::DAYS || rows >= SealedBatch::WEIGHT as u64 {
            chunks.push(std::mem::take(&mut chunk));
            rows = 0;
        }
    }
    chunks.push(chunk);
    chunks
}

async fn spell(
    store: &Inner,
    workspace: WorkspaceId,
    days: &[(AppDay, Cells, People)],
) -> Result<Vec<SealedDay>, StoreError> {
    let (mut combinations, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (_, cells, people) in days {
        combinations.extend(cells.combinations());
        combinations.extend(people.combinations());
        numbers.extend(people.iter().map(|(person, _)| person));
    }
    let properties = store.combinations.contents(&store.engine, &combinations).await?;
    let properties = properties.into_iter().map(|(id, text)| (id, text.to_string()));
    let properties = properties.collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let persons = names(&store.engine, workspace, &numbers).await?;
    let day = |((app, day), cells, people): &(AppDay, Cells, People)| {
        SealedDay::new((*app, (*day).into()), (cells, people), &properties, &persons)
    };
    days.iter().map(day).collect()
}

/// Who persons are. Somebody without a name was forgotten.
async fn names(
    engine: &Engine,
    workspace: WorkspaceId,
    numbers: &[u64],
) -> Result<HashMap<u64, SealedPerson>, StoreError> {
    let mut persons: HashMap<u64, SealedPerson> = numbers
        .iter()
        .map(|number| (*number, SealedPerson::Forgotten(*number)))
        .collect();
    for numbers in numbers.chunks(PERSONS) {
        let sql = format!(
            "SELECT person, argMax(kind, version) AS named, argMax(id, version) AS name FROM {}.{} \
             WHERE workspace = toUUID('{workspace}') AND person IN (SELECT toUInt64(arrayJoin(splitByChar(',', '{}')))) \
             GROUP BY person",
            engine.address().database,
            Table::Names.name(),
            list(numbers)
        );
        for NamedRow { person, named, name } in engine.rows::<NamedRow>(&sql).await? {
            let who = match named {
                USER => SealedPerson::User(name),
                DEVICE => SealedPerson::Device(name),
                other => {
                    return Err(StoreError::damaged(format!(
                        "person {person} has the unknown kind {other}"
                    )));
                }
            };
            persons.insert(person, who);
        }
    }
    Ok(persons)
}

/// As [`Sessions::adopt_sealed`](crate::store::Sessions::adopt_sealed).
pub(super) async fn adopt(store: &Inner, days: &[SealedDay]) -> Result<(), StoreError> {
    let engine = &store.engine;
    let Some(first) = days.first() else {
        return Ok(());
    };
    let workspace = store.snapshot().apps.get(&first.app).copied();
    let workspace = workspace.ok_or_else(|| StoreError::unknown("app", first.app))?;
    let mut new = NewCombinations::default();
    let mut combinations: Vec<Vec<u64>> = Vec::with_capacity(days.len());
    for day in days {
        let numbers = day.combinations.iter().map(|text| new.add(text.clone()));
        combinations.push(numbers.collect());
    }
    store.combinations.store(engine, new).await?;
    let persons = adopt_persons(store, workspace, days).await?;
    let mut rollups = BTreeMap::new();
    for (day, combinations) in days.iter().zip(&combinations) {
        let date = u16::try_from(day.day);
        let date = date.map_err(|_| StoreError::damaged(format!("there is no day {}", day.day)))?;
        rollups.insert((day.app, date), day.rollup(combinations, &persons)?);
    }
    let there = sealed::read::<Cells>(engine, rollups.keys().copied().collect::<Vec<_>>()).await?;
    let people_there = sealed::read::<People>(engine, there.keys().copied().collect::<Vec<_>>()).await?;
    let is_new = |(of, (cells, people)): &(&AppDay, &(Cells, People))| {
        !(there.get(*of).is_some_and(|known| known.what == *cells)
            && people_there.get(*of).is_some_and(|known| known.what == *people))
    };
    let mut rows = Vec::with_capacity(rollups.len());
    let mut changed = BTreeSet::new();
    for (of, (cells, people)) in rollups.iter().filter(is_new) {
        rows.push(SealedRow::new(*of, content(cells, people)?, (cells, people))?);
        changed.insert(*of);
    }
    sealed::write(engine, &rows).await?;
    store.contents.note_written(&changed);
    for table in [Table::Sessions, Table::Ends] {
        let condition = of_days(rollups.keys().copied());
        Rows { table, condition }.remove(engine).await?;
    }
    Ok(())
}

/// What names a rollup whose sessions nobody has.
fn content(cells: &Cells, people: &People) -> Result<Hash, StoreError> {
    let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
    let body = [cells.encode().map_err(failed)?, people.encode().map_err(failed)?];
    Ok(Hash {
        rows: cells.sessions(),
        sum: ids::hash(&body.concat()),
    })
}

/// Rows of these days and of no others.
fn of_days(days: impl Iterator<Item = AppDay>) -> String {
    let mut by_app = BTreeMap::<AppId, Vec<u16>>::new();
    days.for_each(|(app, day)| by_app.entry(app).or_default().push(day));
    let of_app =
        |(app, days): (&AppId, &Vec<u16>)| format!("(app = toUUID('{app}') AND day IN ({}))", list(days));
    by_app.iter().map(of_app).collect::<Vec<_>>().join(" OR ")
}

/// The numbers of the persons of days, whom the store knows from then on.
async fn adopt_persons(
    store: &Inner,
    workspace: WorkspaceId,
    days: &[SealedDay],
) -> Result<HashMap<SealedPerson, u64>, StoreError> {
    let mut known: BTreeMap<Person<'_>, &SealedPerson> = BTreeMap::new();
    let mut numbers = HashMap::new();
    for (who, _) in days.iter().flat_map(|day| &day.people) {
        match who {
            SealedPerson::User(id) => _ = known.insert((workspace, USER, id), who),
            SealedPerson::Device(id) => _ = known.insert((workspace, DEVICE, id), who),
            SealedPerson::Forgotten(number) => _ = numbers.insert(who.clone(), *number),
        }
    }
    let all: Vec<Person<'_>> = known.keys().copied().collect();
    for some in all.chunks(PERSONS) {
        let asked: HashSet<Person<'_>> = some.iter().copied().collect();
        let mut rows = Vec::with_capacity(some.len());
        for (person, number) in store.people.adopt(&store.engine, asked).await? {
            let (_, kind, id) = person;
            rows.push(NameRow {
                workspace: ids::workspace(workspace),
                person: number,
                kind,
                id: id.to_owned(),
                version: 1,
            });
            if let Some(who) = known.get(&person) {
                numbers.insert((*who).clone(), number);
            }
        }
        store.engine.insert(Table::Names, &rows).await?;
    }
    Ok(numbers)
}
