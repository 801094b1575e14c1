//! What a server does by itself, whichever store it serves.

use std::sync::Arc;
use std::time::Duration;

use super::{Administration, Progress, Sealing, Store, now};
use crate::model::Workspace;

/// How often it looks for days that are due.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Seals days as they become older than the retention of their workspace, until nobody waits for it any more. What goes wrong is
/// logged, and tried again within the hour.
pub async fn seal_due_days(store: Arc<dyn Store>) {
    loop {
        let catalog = store.catalog();
        for entry in catalog.workspaces() {
            if entry.workspace.due_before(now()) > 0 {
                seal(store.as_ref(), &entry.workspace).await;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn seal(store: &dyn Store, workspace: &Workspace) {
    let nobody: Progress = Arc::new(|_| {});
    match Administration::seal(store, workspace.id, nobody).await {
        Ok(Sealing { days: 0, .. }) => {}
        Ok(Sealing { days, sessions }) => tracing::info!(
            workspace = %workspace.id, days, sessions, "sealed days that are older than the retention; their counts stay"
        ),
        Err(error) => tracing::warn!(
            %error, workspace = %workspace.id, "can't seal days that are older than the retention right now; trying again in an hour"
        ),
    }
}
