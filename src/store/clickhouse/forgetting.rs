//! Forgetting users and devices: their sessions keep the number of their person, and lose the ids.

use std::collections::BTreeSet;

use foldhash::HashSet;

use super::literals::{array, list, literals, quoted};
use super::mutations::Rows;
use super::people::{DEVICE, Person, USER};
use super::tables::Table;
use super::{Inner, SEEN, catalog, lock, sealing};
use crate::model::{Identities, IdentityKind, WorkspaceId};
use crate::store::StoreError;

/// Forgets them; how many of them were known.
pub(super) async fn forget(
    store: &Inner,
    workspace: WorkspaceId,
    people: &Identities,
) -> Result<u64, StoreError> {
    let engine = &store.engine;
    let apps: Vec<_> = store.snapshot().apps_of(workspace).collect();
    let (kind, column) = match people.kind() {
        IdentityKind::User => (USER, "user_id"),
        IdentityKind::Device => (DEVICE, "device_id"),
    };
    let mut asked: HashSet<Person<'_>> = people.ids().map(|id| (workspace, kind, id)).collect();
    let mut known = BTreeSet::new();
    if !apps.is_empty() {
        let sql = format!(
            "SELECT DISTINCT {column} FROM {}.{} WHERE app IN ({}) AND {column} IN (SELECT arrayJoin({}))",
            engine.address().database,
            Table::Sessions.name(),
            literals(apps.iter().copied()),
            array(people.ids())
        );
        known.extend(engine.rows::<String>(&sql).await?);
    }
    known.extend(named(store, workspace, kind, people).await?);
    if kind == USER {
        known.extend(store.users.forget(engine, workspace, &asked).await?);
    }
    if known.is_empty() {
        return Ok(0);
    }
    asked.retain(|(.., id)| known.contains(*id));
    let numbers = store.people.forget(engine, &asked).await?;
    catalog::note_forgetting(engine).await?;
    // From then on every process gives whoever comes back another number.
    tokio::time::sleep(SEEN).await;
    if apps.is_empty() {
        forget_names(store, workspace, kind, people).await?;
        return Ok(known.len() as u64);
    }
    let now = store.clock.precedence(engine).await?;
    let earlier = numbers
        .iter()
        .map(|((.., id), new)| format!("({column} = {} AND person != {new})", quoted(id)));
    let rows = Rows {
        table: Table::Sessions,
        condition: format!(
            "app IN ({}) AND precedence >= {now} AND ({})",
            literals(apps),
            earlier.collect::<Vec<_>>().join(" OR ")
        ),
    };
    // The number is written down, where the server computed it of the id. Nobody shall be found by the device of a user who
    // was forgotten.
    let values = match people.kind() {
        IdentityKind::User => "user_id = '', device_id = '', person = person",
        IdentityKind::Device => "device_id = '', person = person",
    };
    rows.set(engine, values).await?;
    // Whoever was sealing days meanwhile may have written ids that are gone now.
    forget_names(store, workspace, kind, people)
        .await
        .map_err(StoreError::partly)?;
    Ok(known.len() as u64)
}

/// Removes the ids of those who have visits on sealed days, while nobody writes any.
async fn forget_names(
    store: &Inner,
    workspace: WorkspaceId,
    kind: u8,
    people: &Identities,
) -> Result<(), StoreError> {
    lock::with(&store.engine, sealing::LOCK, async |_| {
        let rows = Rows {
            table: Table::Names,
            condition: of_names(workspace, kind, people),
        };
        rows.remove(&store.engine).await
    })
    .await
}

/// Those of these who have visits on sealed days.
async fn named(
    store: &Inner,
    workspace: WorkspaceId,
    kind: u8,
    people: &Identities,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT id FROM {}.{} WHERE {}",
        store.engine.address().database,
        Table::Names.name(),
        of_names(workspace, kind, people)
    );
    store.engine.rows(&sql).await
}

fn of_names(workspace: WorkspaceId, kind: u8, people: &Identities) -> String {
    let ids = list(people.ids().map(quoted));
    format!("workspace = toUUID('{workspace}') AND kind = {kind} AND id IN ({ids})")
}
