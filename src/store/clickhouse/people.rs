//! Users and devices: who had a session already, and what is known about users.

use std::collections::BTreeMap;

use clickhouse::Row;
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::engine::{self, Engine, array};
use super::ids::{self, WireId};
use super::lock;
use super::schema::Table;
use crate::model::{UserAttributes, UserUpdate, WorkspaceId};
use crate::store::recent::Recent;
use crate::store::records::UserRecord;
use crate::store::{StoreError, Updated};

/// Users whose attributes are held in memory.
const HELD: usize = 200_000;
/// Users handed out at a time.
const BATCH: usize = 5_000;

/// A workspace, 1 for a user or 2 for a device, and its id.
pub(super) type Person<'a> = (WorkspaceId, u8, &'a str);
pub(super) const USER: u8 = 1;
pub(super) const DEVICE: u8 = 2;

#[derive(Row, Serialize, Deserialize)]
struct PersonRow {
    workspace: WireId,
    kind: u8,
    id: String,
}

#[derive(Row, Serialize, Deserialize)]
struct UserRow {
    workspace: WireId,
    user_id: String,
    version: u64,
    attributes: String,
}

/// What is known of people. Owned by the store.
#[derive(Default)]
pub(super) struct People {
    /// Who had a session, for good.
    seen: Mutex<Recent<()>>,
    users: Mutex<Users>,
}

/// Attributes, as of a version of the table.
#[derive(Default)]
struct Users {
    version: u64,
    held: HashMap<WorkspaceId, HashMap<String, UserAttributes>>,
    count: usize,
}

impl People {
    /// Another process has changed users' attributes: those that are held are void.
    pub(super) fn refresh(&self, version: u64) {
        let mut users = self.users.lock();
        if version > users.version {
            *users = Users {
                version,
                ..Users::default()
            };
        }
    }

    /// Of these people, those that had a session, or have one that is being recorded.
    pub(super) async fn seen<'a>(
        &self,
        engine: &Engine,
        people: HashSet<Person<'a>>,
    ) -> Result<HashSet<Person<'a>>, StoreError> {
        let (mut seen, asked): (HashSet<Person<'_>>, HashSet<Person<'_>>) = {
            let mut held = self.seen.lock();
            people.into_iter().partition(|person| held.get(person).is_some())
        };
        for ((workspace, kind), ids) in grouped(&asked) {
            let sql = format!(
                "SELECT DISTINCT id FROM {}.persons WHERE workspace = toUUID('{workspace}') AND kind = {kind} \
                 AND id IN (SELECT arrayJoin({}))",
                engine.address().database,
                array(ids.iter().copied())
            );
            let found: HashSet<String> = engine.rows(&sql).await?.into_iter().collect();
            let mut held = self.seen.lock();
            for id in ids.into_iter().filter(|id| found.contains(*id)) {
                held.set((workspace, kind, id), ());
                seen.insert((workspace, kind, id));
            }
        }
        Ok(seen)
    }

    /// From now on these people have a session that is being recorded.
    pub(super) fn expect(&self, people: &HashSet<Person<'_>>) {
        let mut held = self.seen.lock();
        for person in people {
            held.set(person, ());
        }
    }

    /// Recording failed: what was expected may not be there.
    pub(super) fn forget_seen(&self) {
        self.seen.lock().clear();
    }

    /// Notes for good that these people had a session.
    pub(super) async fn see(&self, engine: &Engine, people: &HashSet<Person<'_>>) -> Result<(), StoreError> {
        let row = |(workspace, kind, id): &Person<'_>| PersonRow {
            workspace: ids::workspace(*workspace),
            kind: *kind,
            id: (*id).to_owned(),
        };
        let rows: Vec<PersonRow> = people.iter().map(row).collect();
        engine.insert(Table::Persons, &rows).await
    }

    /// What is known about these users; nobody stands for one without attributes.
    pub(super) async fn attributes<'a>(
        &self,
        engine: &Engine,
        users: &HashSet<Person<'a>>,
    ) -> Result<HashMap<Person<'a>, UserAttributes>, StoreError> {
        let (mut found, mut asked) = (HashMap::default(), HashSet::default());
        let version = {
            let state = self.users.lock();
            if state.version == 0 {
                return Ok(found);
            }
            for person in users {
                let held = state.held.get(&person.0).and_then(|held| held.get(person.2));
                match held {
                    Some(attributes) if attributes.is_empty() => {}
                    Some(attributes) => _ = found.insert(*person, attributes.clone()),
                    None => _ = asked.insert(*person),
                }
            }
            state.version
        };
        let mut stored = stored(engine, &asked).await?;
        let mut state = self.users.lock();
        if state.count + asked.len() > HELD {
            *state = Users {
                version: state.version,
                ..Users::default()
            };
        }
        for person in asked {
            let (workspace, _, id) = person;
            let attributes = stored.remove(&person).unwrap_or_default();
            // Otherwise somebody changed users while this was read.
            if state.version == version {
                state.count += 1;
                let held = state.held.entry(workspace).or_default();
                held.insert(id.to_owned(), attributes.clone());
            }
            if !attributes.is_empty() {
                found.insert(person, attributes);
            }
        }
        Ok(found)
    }

    /// Applies updates in their order, one process at a time; what would give a user too many attributes changes
    /// nothing.
    pub(super) async fn update(
        &self,
        engine: &Engine,
        workspace: WorkspaceId,
        updates: &[UserUpdate],
    ) -> Result<Vec<Updated>, StoreError> {
        lock::with(engine, "users", async |held| {
            let users = updates.iter().map(|update| (workspace, USER, update.user_id()));
            let users: HashSet<Person<'_>> = users.collect();
            let mut known = stored(engine, &users).await?;
            let mut outcomes = Vec::with_capacity(updates.len());
            let mut changed = BTreeMap::new();
            for update in updates {
                let person = (workspace, USER, update.user_id());
                let before = known.get(&person).cloned().unwrap_or_default();
                match before.updated(update) {
                    None => outcomes.push(Updated::TooMany),
                    Some(after) => {
                        outcomes.push(Updated::Done);
                        if after != before {
                            changed.insert(person.2.to_owned(), after.clone());
                            known.insert(person, after);
                        }
                    }
                }
            }
            held.check()?;
            let changed = changed.into_iter().map(|(user_id, attributes)| UserRecord {
                workspace,
                user_id,
                attributes: attributes.as_str().to_owned(),
            });
            self.write(engine, changed.collect()).await?;
            Ok(outcomes)
        })
        .await
    }

    /// Takes over users of another store.
    pub(super) async fn adopt(&self, engine: &Engine, users: Vec<UserRecord>) -> Result<(), StoreError> {
        lock::with(engine, "users", async |_| self.write(engine, users).await).await
    }

    /// Under the lock.
    async fn write(&self, engine: &Engine, users: Vec<UserRecord>) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let newest: Vec<u64> = engine
            .rows(&format!(
                "SELECT max(version) FROM {}.users",
                engine.address().database
            ))
            .await?;
        let version = newest.first().copied().unwrap_or_default() + 1;
        let row = |user: UserRecord| UserRow {
            workspace: ids::workspace(user.workspace),
            user_id: user.user_id,
            version,
            attributes: user.attributes,
        };
        let rows: Vec<UserRow> = users.into_iter().map(row).collect();
        engine.insert(Table::Users, &rows).await?;
        self.refresh(version);
        Ok(())
    }
}

/// Ids by workspace and kind.
fn grouped<'a>(people: &HashSet<Person<'a>>) -> BTreeMap<(WorkspaceId, u8), Vec<&'a str>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (workspace, kind, id) in people {
        groups.entry((*workspace, *kind)).or_default().push(*id);
    }
    groups
}

/// Attributes as the store has them.
async fn stored<'a>(
    engine: &Engine,
    users: &HashSet<Person<'a>>,
) -> Result<HashMap<Person<'a>, UserAttributes>, StoreError> {
    let mut known = HashMap::default();
    for ((workspace, kind), ids) in grouped(users) {
        let sql = format!(
            "SELECT user_id, argMax(attributes, version) AS newest FROM {}.users \
             WHERE workspace = toUUID('{workspace}') AND user_id IN (SELECT arrayJoin({})) GROUP BY user_id",
            engine.address().database,
            array(ids.iter().copied())
        );
        let rows: Vec<(String, String)> = engine.rows(&sql).await?;
        let mut found: HashMap<String, String> = rows.into_iter().collect();
        for id in ids {
            let attributes = found.remove(id).map(UserAttributes::from_stored);
            known.extend(attributes.map(|attributes| ((workspace, kind, id), attributes)));
        }
    }
    Ok(known)
}

/// Hands out all users that have attributes.
pub(super) async fn dump(engine: &Engine, batches: &mpsc::Sender<Vec<UserRecord>>) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT workspace, user_id, max(version) AS newest, argMax(attributes, version) AS text FROM {}.users \
         GROUP BY workspace, user_id ORDER BY workspace, user_id",
        engine.address().database
    );
    let mut rows = engine.stream::<UserRow>(&sql).await?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next().await.map_err(engine::failed)? {
        if row.attributes == UserAttributes::default().as_str() {
            continue;
        }
        batch.push(UserRecord {
            workspace: ids::workspace_of(row.workspace),
            user_id: row.user_id,
            attributes: row.attributes,
        });
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.send(full).await.is_err() {
                return Ok(());
            }
        }
    }
    // If nobody receives it, nobody wants it.
    let _ = batches.send(batch).await;
    Ok(())
}
