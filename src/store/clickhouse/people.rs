//! Persons: their numbers, and whose first session it is.
//!
//! A person is a keyed hash of kind and id. Its row names its first session, so that a delivery that is repeated, by whatever
//! process, finds out the same about itself. A generation is raised where a person is forgotten: the same id is another
//! person from then on.

use std::collections::BTreeMap;

use clickhouse::Row;
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::ids::{self, Key, WireId};
use super::literals::list;
use super::tables::Table;
use crate::model::WorkspaceId;
use crate::store::StoreError;
use crate::store::recent::Recent;

/// A workspace, 1 for a user or 2 for a device, and its id.
pub(super) type Person<'a> = (WorkspaceId, u8, &'a str);
pub(super) const USER: u8 = 1;
pub(super) const DEVICE: u8 = 2;
/// Stands for the first session of a person who has had none.
const NONE: u64 = 0;
/// Stands for one that is not there any more.
const GONE: u64 = 1;

#[derive(Row, Serialize, Deserialize)]
pub(super) struct PersonRow {
    workspace: WireId,
    /// The number of the first generation.
    id: u64,
    generation: u32,
    /// A hash of the key of its first session.
    first: u64,
    precedence: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct SeenRow {
    id: u64,
    generation: u32,
    earliest: u64,
}

/// A person as its row has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    number: u64,
    generation: u32,
    first: u64,
}

/// Makes numbers of persons. The same for all processes that use a store.
#[derive(Debug, Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// From the text that the store keeps.
    pub(super) fn new(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// A text for a new store.
    pub(super) fn random() -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }

    /// The number of a person.
    fn number(&self, kind: u8, id: &str, generation: u32) -> u64 {
        let mut text = self.0.clone();
        if generation == 0 {
            text.push(char::from(b'0' + kind));
        } else {
            // No id of the first generation begins like this, since its kind does not.
            text.push(char::from(b'2' + kind));
            text.push_str(&format!("{generation}:"));
        }
        text.push_str(id);
        ids::hash(text.as_bytes())
    }

    /// What the server computes for rows that have no number: that of the first generation.
    pub(super) fn in_sql(key: &str) -> String {
        format!(
            "multiIf(user_id != '', sipHash64(concat('{key}{USER}', user_id)), device_id != '', \
             sipHash64(concat('{key}{DEVICE}', device_id)), toUInt64(0))"
        )
    }
}

/// What is known of persons. Owned by the store.
pub(super) struct People {
    secret: Secret,
    seen: Mutex<Recent<Seen>>,
}

impl People {
    pub(super) fn new(secret: Secret) -> Self {
        Self {
            secret,
            seen: Mutex::default(),
        }
    }

    /// Of these persons, those that are known, or have a session that is being recorded.
    pub(super) async fn seen<'a>(
        &self,
        engine: &Engine,
        people: HashSet<Person<'a>>,
    ) -> Result<HashMap<Person<'a>, Seen>, StoreError> {
        let (mut seen, mut asked) = (HashMap::default(), HashSet::default());
        {
            let mut held = self.seen.lock();
            for person in people {
                match held.get(person) {
                    Some(known) => _ = seen.insert(person, known),
                    None => _ = asked.insert(person),
                }
            }
        }
        for (workspace, people) in grouped(&asked) {
            let number = |(kind, id): &(u8, &'a str)| (self.secret.number(*kind, id, 0), (*kind, *id));
            let numbers: HashMap<u64, (u8, &str)> = people.iter().map(number).collect();
            // Of thousands the server reads one text faster than numbers.
            let sql = format!(
                "SELECT id, generation, argMax(first, precedence) AS earliest FROM {}.{} WHERE workspace = \
                 toUUID('{workspace}') AND id IN (SELECT toUInt64(arrayJoin(splitByChar(',', '{}')))) GROUP BY id, generation",
                engine.address().database,
                Table::People.name(),
                list(numbers.keys())
            );
            let mut newest = HashMap::<u64, SeenRow>::default();
            for row in engine.rows::<SeenRow>(&sql).await? {
                let is_newer = newest
                    .get(&row.id)
                    .is_none_or(|known| known.generation < row.generation);
                if is_newer {
                    newest.insert(row.id, row);
                }
            }
            let mut held = self.seen.lock();
            for (base, row) in newest {
                let Some((kind, id)) = numbers.get(&base) else {
                    continue;
                };
                let known = Seen {
                    number: self.secret.number(*kind, id, row.generation),
                    generation: row.generation,
                    first: row.earliest,
                };
                held.set((workspace, *kind, *id), known);
                seen.insert((workspace, *kind, *id), known);
            }
        }
        Ok(seen)
    }

    /// The numbers of persons who had sessions that are gone: none that comes is their first.
    pub(super) async fn adopt<'a>(
        &self,
        engine: &Engine,
        people: HashSet<Person<'a>>,
    ) -> Result<Vec<(Person<'a>, u64)>, StoreError> {
        let seen = self.seen(engine, people.clone()).await?;
        let (mut rows, mut numbers) = (Vec::new(), Vec::with_capacity(people.len()));
        for person in people {
            let (workspace, kind, id) = person;
            let known = seen.get(&person);
            let generation = known.map_or(0, |seen| seen.generation);
            numbers.push((person, self.secret.number(kind, id, generation)));
            if known.is_none_or(|seen| seen.first == NONE) {
                rows.push(PersonRow {
                    workspace: ids::workspace(workspace),
                    id: self.secret.number(kind, id, 0),
                    generation,
                    first: GONE,
                    // Whichever session comes, it was delivered later.
                    precedence: u64::MAX,
                });
            }
        }
        engine.insert(Table::People, &rows).await?;
        self.forget_seen();
        Ok(numbers)
    }

    /// From now on these persons have a session that is being recorded.
    pub(super) fn claim(&self, claims: &Claims<'_>) {
        let mut held = self.seen.lock();
        for (person, _) in &claims.new {
            if let Some(seen) = claims.seen.get(person) {
                held.set(*person, *seen);
            }
        }
    }

    /// Has these persons end: the same ids are others from now on, once every process has forgotten what it has seen. The
    /// numbers of those.
    pub(super) async fn forget<'a>(
        &self,
        engine: &Engine,
        people: &HashSet<Person<'a>>,
    ) -> Result<Vec<(Person<'a>, u64)>, StoreError> {
        self.forget_seen();
        let seen = self.seen(engine, people.clone()).await?;
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for person in people {
            let (workspace, kind, id) = *person;
            let generation = match seen.get(person) {
                Some(seen) if seen.first == NONE => seen.generation,
                Some(seen) => seen.generation + 1,
                // Nobody's sessions were this person's, or they are just being recorded.
                None => 1,
            };
            rows.push(PersonRow {
                workspace: ids::workspace(workspace),
                id: self.secret.number(kind, id, 0),
                generation,
                first: NONE,
                // Whichever session comes, it was delivered before.
                precedence: 0,
            });
            numbers.push((*person, self.secret.number(kind, id, generation)));
        }
        engine.insert(Table::People, &rows).await?;
        self.forget_seen();
        Ok(numbers)
    }

    /// What was claimed may not be there, or somebody was forgotten.
    pub(super) fn forget_seen(&self) {
        self.seen.lock().clear();
    }
}

/// The persons of a batch.
#[derive(Default)]
pub(super) struct Claims<'a> {
    seen: HashMap<Person<'a>, Seen>,
    /// Those whose first session it has, with the numbers of their first generations.
    new: Vec<(Person<'a>, u64)>,
    precedence: u64,
}

impl<'a> Claims<'a> {
    pub(super) fn new(seen: HashMap<Person<'a>, Seen>, precedence: u64) -> Self {
        Self {
            seen,
            new: Vec::new(),
            precedence,
        }
    }

    /// Whether somebody of that id was forgotten and had no session since.
    pub(super) fn returns(&self, person: Person<'a>) -> bool {
        let seen = self.seen.get(&person);
        seen.is_some_and(|seen| seen.first == NONE)
    }

    /// The number of a person, whoever's first session there is.
    pub(super) fn number(&self, people: &People, (workspace, kind, id): Person<'a>) -> u64 {
        let seen = self.seen.get(&(workspace, kind, id));
        let generation = seen.map_or(0, |seen| seen.generation);
        people.secret.number(kind, id, generation)
    }

    /// The number of a session's person, and whether it is the person's first session.
    pub(super) fn of(&mut self, people: &People, person: Person<'a>, key: &Key<'_>) -> (u64, bool) {
        let session = ids::session(key);
        if let Some(seen) = self.seen.get(&person)
            && seen.first != NONE
        {
            return (seen.number, seen.first == session);
        }
        let (_, kind, id) = person;
        let generation = self.seen.get(&person).map_or(0, |seen| seen.generation);
        let number = self.number(people, person);
        let seen = Seen {
            number,
            generation,
            first: session,
        };
        self.seen.insert(person, seen);
        let base = if generation == 0 {
            number
        } else {
            people.secret.number(kind, id, 0)
        };
        self.new.push((person, base));
        (number, true)
    }

    /// The rows of those whose first session it has.
    pub(super) fn rows(&self) -> Vec<PersonRow> {
        let row = |(person, base): &(Person<'_>, u64)| {
            let seen = self.seen.get(person)?;
            Some(PersonRow {
                workspace: ids::workspace(person.0),
                id: *base,
                generation: seen.generation,
                first: seen.first,
                precedence: self.precedence,
            })
        };
        self.new.iter().filter_map(row).collect()
    }
}

/// Kinds and ids by workspace.
pub(super) fn grouped<'a>(people: &HashSet<Person<'a>>) -> BTreeMap<WorkspaceId, Vec<(u8, &'a str)>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (workspace, kind, id) in people {
        groups.entry(*workspace).or_default().push((*kind, *id));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_that_was_forgotten_gets_another_number_and_has_a_first_session_again() {
        let people = People::new(Secret::new("key"));
        let workspace = WorkspaceId::random();
        let person = (workspace, USER, "u1");
        let app = crate::model::AppId::random();
        let (one, two) = ((app, 7, "one"), (app, 7, "two"));
        let mut claims = Claims::default();
        let (number, first) = claims.of(&people, person, &one);
        assert!(first);
        assert_eq!(claims.of(&people, person, &two), (number, false));
        // Delivered once more, it is what it was.
        assert_eq!(claims.of(&people, person, &one), (number, true));
        assert_ne!(claims.of(&people, (workspace, DEVICE, "u1"), &one).0, number);
        assert_eq!(claims.rows().len(), 2);
        let forgotten = Seen {
            number: 0,
            generation: 3,
            first: NONE,
        };
        let mut claims = Claims::new(HashMap::from_iter([(person, forgotten)]), 5);
        let (again, first) = claims.of(&people, person, &two);
        assert!(first && again != number);
        assert_eq!((claims.rows()[0].id, claims.rows()[0].generation), (number, 3));
    }

    #[test]
    fn numbers_are_what_the_server_makes_of_ids() {
        let secret = Secret::new("key");
        assert_eq!(secret.number(USER, "u1", 0), ids::hash(b"key1u1"));
        assert_eq!(secret.number(DEVICE, "u1", 0), ids::hash(b"key2u1"));
        assert_ne!(secret.number(USER, "1:u1", 0), secret.number(USER, "u1", 1));
    }
}
