//! Forgetting users and devices: their sessions keep the number of their person, and lose the ids.

use std::collections::BTreeSet;

use foldhash::HashSet;

use super::literals::{array, literals, quoted};
use super::mutations::Rows;
use super::people::{DEVICE, Person, USER};
use super::tables::Table;
use super::{Inner, SEEN, catalog};
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
    Ok(known.len() as u64)
}
