//! Changes of workspaces, apps, keys and segments.
//!
//! Apps and workspaces that hold no session may be deleted. Another process may be recording a session of them at this moment.
//! Each learns of the deletion within a second, so sessions are looked for once more after that, and what turned out to hold
//! one is put back.

use std::time::Duration;

use super::literals::list;
use super::{Inner, catalog};
use crate::catalog::{AppRecord, Change, Record as _, Records, Refusal, WorkspaceRecord};
use crate::model::AppId;
use crate::store::StoreError;

/// Within which every process has seen a change of the catalog and written what it was writing.
const SEEN: Duration = Duration::from_millis(1_500);

/// Makes a change; whether anything is different now.
pub(super) async fn change(inner: &Inner, change: Change) -> Result<bool, StoreError> {
    let doomed = match &change {
        Change::DeleteApp(app) => vec![*app],
        Change::DeleteWorkspace(workspace) => inner.snapshot().apps_of(*workspace).collect(),
        _ => Vec::new(),
    };
    let noun = if matches!(change, Change::DeleteApp(_)) {
        AppRecord::NOUN
    } else {
        WorkspaceRecord::NOUN
    };
    refuse_sessions(inner, noun, &doomed).await?;
    let (changed, after) = catalog::change(&inner.engine, change).await?;
    inner.publish(after);
    let is_changed = !changed.is_empty();
    settle(inner, noun, changed.removed).await?;
    Ok(is_changed)
}

async fn settle(inner: &Inner, noun: &'static str, removed: Records) -> Result<(), StoreError> {
    // An app may have been made since the first look.
    let apps: Vec<AppId> = removed
        .apps
        .iter()
        .filter_map(|app| app.id.parse().ok())
        .collect();
    if apps.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(SEEN).await;
    let found = refuse_sessions(inner, noun, &apps).await;
    if found.is_err() {
        let (_, after) = catalog::change(&inner.engine, Change::Adopt(removed)).await?;
        inner.publish(after);
    }
    found
}

async fn refuse_sessions(inner: &Inner, noun: &'static str, apps: &[AppId]) -> Result<(), StoreError> {
    if apps.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT toUInt8(1) AS found FROM {}.sessions WHERE app IN ({}) LIMIT 1",
        inner.engine.address().database,
        list(apps.iter().map(|app| format!("toUUID('{app}')")))
    );
    let found: Vec<u8> = inner.engine.rows(&sql).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Refusal::HoldsSessions(noun).into())
}
