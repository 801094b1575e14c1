//! Changes of workspaces, apps, keys and segments.
//!
//! What is deleted goes with what is in it: first the sessions, then the entry, and then what other processes recorded before
//! they learnt of that, which takes them a second at most. Where that breaks off, the same command goes on with it.

use futures_util::future::try_join_all;

use super::literals::literals;
use super::mutations::Rows;
use super::tables::Table;
use super::{Inner, SEEN, catalog};
use crate::catalog::Change;
use crate::model::{AppId, WorkspaceId};
use crate::store::StoreError;

/// Makes a change; whether anything is different now.
pub(super) async fn change(inner: &Inner, change: Change) -> Result<bool, StoreError> {
    let doomed = change.doomed(&inner.snapshot().catalog);
    let workspace = match &change {
        Change::DeleteWorkspace(workspace) => Some(*workspace),
        _ => None,
    };
    remove(inner, doomed.as_deref().unwrap_or_default(), workspace).await?;
    let (changed, after) = catalog::change(&inner.engine, change).await?;
    inner.publish(after);
    if doomed.is_some() && !changed.is_empty() {
        tokio::time::sleep(SEEN).await;
        // An app may have been made since the first look.
        let apps = changed.removed.apps.iter().filter_map(|app| app.id.parse().ok());
        let apps: Vec<AppId> = apps.collect();
        remove(inner, &apps, workspace)
            .await
            .map_err(StoreError::partly)?;
    }
    Ok(!changed.is_empty())
}

/// Removes what refers to apps, and what a workspace's users are known by.
async fn remove(inner: &Inner, apps: &[AppId], workspace: Option<WorkspaceId>) -> Result<(), StoreError> {
    let engine = &inner.engine;
    let mut rows = Vec::new();
    if !apps.is_empty() {
        let condition = format!("app IN ({})", literals(apps.iter().copied()));
        rows.extend(
            [Table::Sessions, Table::Ends, Table::Rollups, Table::Sealed]
                .map(|table| (table, condition.clone())),
        );
    }
    if let Some(workspace) = workspace {
        inner.users.keep_version(engine).await?;
        let condition = format!("workspace = toUUID('{workspace}')");
        rows.extend([Table::Users, Table::People, Table::Names].map(|table| (table, condition.clone())));
    }
    let removals = rows.into_iter().map(|(table, condition)| async move {
        let rows = Rows { table, condition };
        rows.remove(engine).await
    });
    try_join_all(removals).await.map(|_| ())
}
