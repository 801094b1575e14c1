//! Attributes of users, as sessions that are recorded carry them.

use std::collections::BTreeMap;

use clickhouse::Row;
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::engine::Engine;
use super::failure;
use super::ids::{self, WireId};
use super::literals::{array, list, quoted};
use super::lock;
use super::mutations::{NOBODY, Rows};
use super::people::{Person, USER, grouped};
use super::tables::Table;
use crate::model::{UserAttributes, UserUpdate, WorkspaceId};
use crate::store::records::UserRecord;
use crate::store::{StoreError, Updated};

/// Users whose attributes are held in memory.
const HELD: usize = 200_000;
/// Of rows that keep the version.
const NO_WORKSPACE: WorkspaceId = WorkspaceId::from_bytes(NOBODY.into_bytes());
/// Users handed out at a time.
const BATCH: usize = 5_000;

#[derive(Row, Serialize, Deserialize)]
struct UserRow {
    workspace: WireId,
    user_id: String,
    version: u64,
    attributes: String,
}

/// What is known about users. Owned by the store.
#[derive(Default)]
pub(super) struct Users(Mutex<State>);

/// Attributes, as of a version of the table.
#[derive(Default)]
struct State {
    version: u64,
    held: HashMap<WorkspaceId, HashMap<String, UserAttributes>>,
    count: usize,
}

impl Users {
    /// Users' attributes were changed: those that are held are void.
    pub(super) fn refresh(&self, version: u64) {
        let mut state = self.0.lock();
        if version > state.version {
            *state = State {
                version,
                ..State::default()
            };
        }
    }

    /// What is known about these users; nobody stands for one without attributes.
    pub(super) async fn attributes<'a>(
        &self,
        engine: &Engine,
        users: &HashSet<Person<'a>>,
    ) -> Result<HashMap<Person<'a>, UserAttributes>, StoreError> {
        let (mut found, mut asked) = (HashMap::default(), HashSet::default());
        let version = {
            let state = self.0.lock();
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
        let mut state = self.0.lock();
        if state.count + asked.len() > HELD {
            *state = State {
                version: state.version,
                ..State::default()
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
            let version = version(engine).await?;
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
            let changed = changed.into_iter().map(|(user_id, attributes)| UserRecord {
                workspace,
                user_id,
                attributes: attributes.as_str().to_owned(),
            });
            self.write(held, version, changed.collect()).await?;
            Ok(outcomes)
        })
        .await
    }

    /// Removes what is known about these users of a workspace; those about whom anything was.
    pub(super) async fn forget(
        &self,
        engine: &Engine,
        workspace: WorkspaceId,
        users: &HashSet<Person<'_>>,
    ) -> Result<Vec<String>, StoreError> {
        let known = stored(engine, users).await?;
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let known = known.into_iter().filter(|(_, attributes)| !attributes.is_empty());
        let known: Vec<String> = known.map(|((.., id), _)| id.to_owned()).collect();
        let nothing = |user_id: &str| UserRecord {
            workspace,
            user_id: user_id.to_owned(),
            attributes: UserAttributes::default().as_str().to_owned(),
        };
        let records = known.iter().map(|id| nothing(id)).collect();
        let version = self.write_and_mark(engine, records).await?;
        let ids = users.iter().map(|(.., id)| *id);
        let rows = Rows {
            table: Table::Users,
            condition: format!(
                "workspace = toUUID('{workspace}') AND version <= {version} AND user_id IN ({})",
                list(ids.map(quoted))
            ),
        };
        rows.remove(engine).await?;
        Ok(known)
    }

    /// Keeps the version, whichever rows are removed next.
    pub(super) async fn keep_version(&self, engine: &Engine) -> Result<(), StoreError> {
        self.write_and_mark(engine, Vec::new()).await.map(|_| ())
    }

    /// Writes what is known about users, and a row of nobody that keeps the version when these are removed; the version.
    async fn write_and_mark(&self, engine: &Engine, mut users: Vec<UserRecord>) -> Result<u64, StoreError> {
        users.push(UserRecord {
            workspace: NO_WORKSPACE,
            user_id: String::new(),
            attributes: UserAttributes::default().as_str().to_owned(),
        });
        lock::with(engine, "users", async |held| {
            let version = version(engine).await?;
            self.write(held, version, users).await?;
            Ok(version + 1)
        })
        .await
    }

    /// Takes over users of another store.
    pub(super) async fn adopt(&self, engine: &Engine, users: Vec<UserRecord>) -> Result<(), StoreError> {
        lock::with(engine, "users", async |held| {
            let version = version(engine).await?;
            self.write(held, version, users).await
        })
        .await
    }

    /// Makes the next version of the table, after `version`.
    async fn write(
        &self,
        held: &lock::Held<'_>,
        version: u64,
        users: Vec<UserRecord>,
    ) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let column = |column: &dyn Fn(&UserRecord) -> String| list(users.iter().map(column));
        let columns = [
            (
                "workspace",
                column(&|user| format!("toUUID('{}')", user.workspace)),
            ),
            ("user_id", column(&|user| quoted(&user.user_id))),
            ("version", column(&|_| format!("toUInt64({})", version + 1))),
            ("attributes", column(&|user| quoted(&user.attributes))),
        ];
        held.write(Table::Users, (version, version + 1), &columns).await?;
        self.refresh(version + 1);
        Ok(())
    }
}

async fn version(engine: &Engine) -> Result<u64, StoreError> {
    let sql = format!("SELECT max(version) FROM {}.users", engine.address().database);
    let newest: Vec<u64> = engine.rows(&sql).await?;
    newest.first().copied().ok_or_else(failure::broken_off)
}

/// Attributes as the store has them.
async fn stored<'a>(
    engine: &Engine,
    users: &HashSet<Person<'a>>,
) -> Result<HashMap<Person<'a>, UserAttributes>, StoreError> {
    let mut known = HashMap::default();
    for (workspace, people) in grouped(users) {
        let sql = format!(
            "SELECT user_id, argMax(attributes, version) AS newest FROM {}.users \
             WHERE workspace = toUUID('{workspace}') AND user_id IN (SELECT arrayJoin({})) GROUP BY user_id",
            engine.address().database,
            array(people.iter().map(|(_, id)| *id))
        );
        let rows: Vec<(String, String)> = engine.rows(&sql).await?;
        let mut found: HashMap<String, String> = rows.into_iter().collect();
        for (kind, id) in people {
            let attributes = found.remove(id).map(UserAttributes::from_stored);
            known.extend(attributes.map(|attributes| ((workspace, kind, id), attributes)));
        }
    }
    Ok(known)
}

/// Hands out all users of these workspaces that have attributes.
pub(super) async fn dump(
    engine: &Engine,
    workspaces: &HashSet<WorkspaceId>,
    batches: &mpsc::Sender<Vec<UserRecord>>,
) -> Result<(), StoreError> {
    if workspaces.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT workspace, user_id, max(version) AS newest, argMax(attributes, version) AS text FROM {}.users \
         WHERE workspace IN ({}) GROUP BY workspace, user_id ORDER BY workspace, user_id",
        engine.address().database,
        list(workspaces.iter().map(|id| format!("toUUID('{id}')")))
    );
    let mut rows = engine.stream::<UserRow>(&sql)?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next().await? {
        if !workspaces.contains(&ids::workspace_of(row.workspace)) {
            return Err(failure::broken_off());
        }
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
