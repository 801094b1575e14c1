//! Apps that lines name and nobody has made yet.

use std::sync::Arc;

use crate::catalog::{Change, WorkspaceEntry};
use crate::model::{App, AppId};
use crate::store::{Store, StoreError};

/// Makes them in the store, or only says how the workspace would look with them.
pub(super) struct NewApps {
    store: Arc<dyn Store>,
    workspace: Arc<WorkspaceEntry>,
    dry_run: bool,
}

impl NewApps {
    pub(super) fn new(store: Arc<dyn Store>, workspace: Arc<WorkspaceEntry>, dry_run: bool) -> Self {
        Self {
            store,
            workspace,
            dry_run,
        }
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The app, and the workspace that has it now; or why there is none.
    pub(super) async fn make(&mut self, id: AppId) -> Result<(App, Arc<WorkspaceEntry>), String> {
        // What it is called elsewhere is not in the files. A name that is a bare id is refused by the rules of names.
        let text = id.to_string();
        let short = text.split('-').next().unwrap_or(&text);
        let names = [format!("App {short}"), format!("App {text}")];
        let mut refused = "its id makes no name".to_owned();
        for name in names {
            let Ok(name) = name.parse() else { continue };
            let app = App {
                id,
                name,
                platform: String::new(),
            };
            match self.add(app.clone()).await {
                Ok(workspace) => {
                    self.workspace = workspace.clone();
                    return Ok((app, workspace));
                }
                Err(error) => refused = error.to_string(),
            }
        }
        Err(refused)
    }

    async fn add(&self, app: App) -> Result<Arc<WorkspaceEntry>, StoreError> {
        let workspace = self.workspace.workspace.id;
        if self.dry_run {
            let catalog = self.store.catalog();
            if catalog.app(app.id).is_some() {
                let taken = format!("the id {} is taken already", app.id);
                return Err(StoreError::Conflict(taken));
            }
            return Ok(Arc::new(with(&self.workspace, app)));
        }
        self.store.change(Change::CreateApp(workspace, app)).await?;
        let catalog = self.store.catalog();
        let entry = catalog.workspace(workspace).cloned();
        entry.ok_or_else(|| StoreError::NotFound("the workspace is gone".into()))
    }
}

/// A workspace as it would be with another app; readers of sessions look at its apps only.
fn with(entry: &WorkspaceEntry, app: App) -> WorkspaceEntry {
    let mut apps = entry.apps.clone();
    apps.push(app);
    WorkspaceEntry {
        workspace: entry.workspace.clone(),
        zone: entry.zone.clone(),
        apps,
        keys: Vec::new(),
        segments: Vec::new(),
    }
}
