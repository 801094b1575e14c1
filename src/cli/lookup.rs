//! Names and ids into the nouns they mean; an unknown one is answered with what exists.

use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::output::quoted_list;
use crate::model::{ApiKey, App};
use crate::store::{Catalog, WorkspaceEntry};

/// The workspace that was named, or the only one there is.
pub(super) fn workspace(catalog: &Catalog, given: Option<&str>) -> anyhow::Result<Arc<WorkspaceEntry>> {
    let all = catalog.workspaces();
    match given {
        Some(name) => catalog
            .find_workspace(name)
            .cloned()
            .ok_or_else(|| unknown_workspace(catalog, name)),
        None => match all {
            [only] => Ok(only.clone()),
            [] => Err(no_workspace()),
            several => bail!(
                "there are {} workspaces; choose one with --workspace: {}",
                several.len(),
                names(catalog)
            ),
        },
    }
}

/// The workspace that was named, or all of them.
pub(super) fn workspaces(catalog: &Catalog, given: Option<&str>) -> anyhow::Result<Vec<Arc<WorkspaceEntry>>> {
    match given {
        Some(name) => Ok(vec![workspace(catalog, Some(name))?]),
        None => Ok(catalog.workspaces().to_vec()),
    }
}

/// The app that was named.
pub(super) fn app<'a>(workspace: &'a WorkspaceEntry, given: &str) -> anyhow::Result<&'a App> {
    workspace.find_app(given).ok_or_else(|| {
        let owner = &workspace.workspace.name;
        match workspace.apps.is_empty() {
            true => anyhow!(
                "there is no app '{given}': workspace '{owner}' has no apps yet; 'sessionmeter app create' makes one"
            ),
            false => anyhow!(
                "there is no app '{given}' in workspace '{owner}'; its apps are {}",
                quoted_list(workspace.apps.iter().map(|app| app.name.as_str()))
            ),
        }
    })
}

/// The key that was named, in one of these workspaces.
pub(super) fn key<'a>(workspaces: &'a [Arc<WorkspaceEntry>], given: &str) -> anyhow::Result<&'a ApiKey> {
    let found: Vec<&ApiKey> = workspaces
        .iter()
        .filter_map(|entry| entry.find_key(given))
        .collect();
    match found.as_slice() {
        [key] => Ok(key),
        [] => {
            let live: Vec<&str> = workspaces
                .iter()
                .flat_map(|entry| &entry.keys)
                .filter(|key| !key.revoked)
                .map(|key| key.name.as_str())
                .collect();
            match live.is_empty() {
                true => bail!("there is no key '{given}'; all keys are revoked, or there are none"),
                false => bail!(
                    "there is no key '{given}'; the keys are {}",
                    quoted_list(live.into_iter())
                ),
            }
        }
        several => bail!(
            "{} workspaces have a key named '{given}'; choose one with --workspace, or give the key's id",
            several.len()
        ),
    }
}

fn unknown_workspace(catalog: &Catalog, given: &str) -> anyhow::Error {
    match catalog.workspaces().is_empty() {
        true => no_workspace(),
        false => anyhow!(
            "there is no workspace '{given}'; the workspaces are {}",
            names(catalog)
        ),
    }
}

fn no_workspace() -> anyhow::Error {
    anyhow!("there is no workspace yet; 'sessionmeter workspace create NAME' makes one")
}

fn names(catalog: &Catalog) -> String {
    quoted_list(
        catalog
            .workspaces()
            .iter()
            .map(|entry| entry.workspace.name.as_str()),
    )
}
