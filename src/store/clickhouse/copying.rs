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
use crate::model::WorkspaceId;
use crate::rollup::{Cells, People};
use crate::store::StoreError;
use crate::store::sealed::{SealedDay, SealedPerson};

/// Days that are read at once.
const DAYS: usize = 50;
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
    output: &Sender<SealedDay>,
) -> Result<(), StoreError> {
    let engine = &store.engine;
    let apps: Vec<_> = store.snapshot().apps_of(workspace).collect();
    if apps.is_empty() {
        return Ok(());
    }
    let days = sealed::hashes(engine, &format!("app IN ({})", literals(apps))).await?;
    let days: Vec<AppDay> = days.into_keys().collect();
    for days in days.chunks(DAYS) {
        let mut cells = sealed::read::<Cells>(engine, days.iter().copied()).await?;
        let mut people = sealed::read::<People>(engine, days.iter().copied()).await?;
        for day in days {
            // Whatever was deleted meanwhile is not handed out.
            let (Some(cells), Some(people)) = (cells.remove(day), people.remove(day)) else {
                continue;
            };
            let day = spell(store, workspace, *day, (&cells.what, &people.what)).await?;
            // What nobody receives nobody wants.
            if output.send(day).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn spell(
    store: &Inner,
    workspace: WorkspaceId,
    (app, day): AppDay,
    (cells, people): (&Cells, &People),
) -> Result<SealedDay, StoreError> {
    let combinations = cells.combinations().iter().chain(people.combinations());
    let combinations: BTreeSet<u64> = combinations.copied().collect();
    let properties = store.combinations.contents(&store.engine, &combinations).await?;
    let properties = properties.into_iter().map(|(id, text)| (id, text.to_string()));
    let numbers: Vec<u64> = people.iter().map(|(person, _)| person).collect();
    let persons = names(&store.engine, workspace, &numbers).await?;
    SealedDay::new(
        (app, day.into()),
        (cells, people),
        &properties.collect(),
        &persons,
    )
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
pub(super) async fn adopt(store: &Inner, day: &SealedDay) -> Result<(), StoreError> {
    let engine = &store.engine;
    let workspace = store.snapshot().apps.get(&day.app).copied();
    let workspace = workspace.ok_or_else(|| StoreError::unknown("app", day.app))?;
    let date =
        u16::try_from(day.day).map_err(|_| StoreError::damaged(format!("there is no day {}", day.day)))?;
    let of = (day.app, date);
    let mut new = NewCombinations::default();
    let combinations: Vec<u64> = day
        .combinations
        .iter()
        .map(|text| new.add(text.clone()))
        .collect();
    store.combinations.store(engine, new).await?;
    let persons = adopt_persons(store, workspace, day).await?;
    let (cells, people) = day.rollup(&combinations, &persons)?;
    let before = sealed::read::<Cells>(engine, [of]).await?;
    let before_people = sealed::read::<People>(engine, [of]).await?;
    let is_there = before.get(&of).is_some_and(|known| known.what == cells)
        && before_people.get(&of).is_some_and(|known| known.what == people);
    if !is_there {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let body = [cells.encode().map_err(failed)?, people.encode().map_err(failed)?].concat();
        let content = Hash {
            rows: cells.sessions(),
            sum: ids::hash(&body),
        };
        sealed::write(engine, &[SealedRow::new(of, content, (&cells, &people))?]).await?;
        store.contents.note_written(&BTreeSet::from([of]));
    }
    for table in [Table::Sessions, Table::Ends] {
        let condition = format!("app = toUUID('{}') AND day = {date}", day.app);
        Rows { table, condition }.remove(engine).await?;
    }
    Ok(())
}

/// The numbers of a day's persons, whom the store knows from then on.
async fn adopt_persons(
    store: &Inner,
    workspace: WorkspaceId,
    day: &SealedDay,
) -> Result<HashMap<SealedPerson, u64>, StoreError> {
    let mut known: BTreeMap<Person<'_>, &SealedPerson> = BTreeMap::new();
    let mut numbers = HashMap::new();
    for (who, _) in &day.people {
        match who {
            SealedPerson::User(id) => _ = known.insert((workspace, USER, id), who),
            SealedPerson::Device(id) => _ = known.insert((workspace, DEVICE, id), who),
            SealedPerson::Forgotten(number) => _ = numbers.insert(who.clone(), *number),
        }
    }
    let asked: HashSet<Person<'_>> = known.keys().copied().collect();
    let mut rows = Vec::with_capacity(known.len());
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
    Ok(numbers)
}
