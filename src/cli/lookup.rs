//! Names and ids into the nouns they mean; an unknown one is answered with what exists.

use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::output::quoted_list;
use crate::catalog::{Catalog, WorkspaceEntry};
use crate::model::{ApiKey, App, Segment};

/// Names the workspace where no flag does.
const WORKSPACE_VARIABLE: &str = "SESSIONMETER_WORKSPACE";

/// The workspace that the environment names.
fn in_environment() -> anyhow::Result<Option<String>> {
    match std::env::var_os(WORKSPACE_VARIABLE).map(|name| name.into_string()) {
        None => Ok(None),
        Some(Ok(name)) => Ok(Some(name).filter(|name| !name.is_empty())),
        Some(Err(_)) => bail!("{WORKSPACE_VARIABLE} is not UTF-8"),
    }
}

/// The workspace that was named, by a flag or in the environment, or the only one there is.
pub(super) fn workspace(catalog: &Catalog, given: Option<&str>) -> anyhow::Result<Arc<WorkspaceEntry>> {
    if let Some(name) = given {
        let found = catalog.find_workspace(name).cloned();
        return found.ok_or_else(|| unknown_workspace(catalog, &format!("'{name}'")));
    }
    let all = catalog.workspaces();
    match in_environment()? {
        Some(name) => {
            let found = catalog.find_workspace(&name).cloned();
            let named = format!("'{name}', which {WORKSPACE_VARIABLE} names");
            found.ok_or_else(|| unknown_workspace(catalog, &named))
        }
        None => match all {
            [only] => Ok(only.clone()),
            [] => Err(no_workspace()),
            several => bail!(
                "there are {} workspaces; choose one with --workspace or {WORKSPACE_VARIABLE}: {}",
                several.len(),
                names(catalog)
            ),
        },
    }
}

/// The workspace that was named, or all of them.
pub(super) fn workspaces(catalog: &Catalog, given: Option<&str>) -> anyhow::Result<Vec<Arc<WorkspaceEntry>>> {
    if given.is_some() || in_environment()?.is_some() {
        Ok(vec![workspace(catalog, given)?])
    } else {
        Ok(catalog.workspaces().to_vec())
    }
}

/// The app that was named.
pub(super) fn app<'a>(workspace: &'a WorkspaceEntry, given: &str) -> anyhow::Result<&'a App> {
    workspace.find_app(given).ok_or_else(|| {
        let owner = &workspace.workspace.name;
        if workspace.apps.is_empty() {
            return anyhow!(
                "there is no app '{given}': workspace '{owner}' has no apps yet; 'sessionmeter app create' makes one"
            );
        }
        anyhow!(
            "there is no app '{given}' in workspace '{owner}'; its apps are {}",
            quoted_list(workspace.apps.iter().map(|app| app.name.as_str()))
        )
    })
}

/// The app that was named, in one of these workspaces.
pub(super) fn app_in<'a>(workspaces: &'a [Arc<WorkspaceEntry>], given: &str) -> anyhow::Result<&'a App> {
    let found = workspaces.iter().filter_map(|entry| entry.find_app(given));
    only("app", given, found.collect(), || {
        let apps = workspaces.iter().flat_map(|entry| &entry.apps);
        let names: Vec<&str> = apps.map(|app| app.name.as_str()).collect();
        if names.is_empty() {
            "there are none yet; 'sessionmeter app create' makes one".to_owned()
        } else {
            format!("the apps are {}", quoted_list(names.into_iter()))
        }
    })
}

/// The key that was named, in one of these workspaces.
pub(super) fn key<'a>(workspaces: &'a [Arc<WorkspaceEntry>], given: &str) -> anyhow::Result<&'a ApiKey> {
    let found = workspaces.iter().filter_map(|entry| entry.find_key(given));
    only("key", given, found.collect(), || {
        let keys = workspaces.iter().flat_map(|entry| &entry.keys);
        let live: Vec<&str> = keys
            .filter(|key| !key.revoked)
            .map(|key| key.name.as_str())
            .collect();
        if live.is_empty() {
            "all keys are revoked, or there are none".to_owned()
        } else {
            format!("the keys are {}", quoted_list(live.into_iter()))
        }
    })
}

/// The segment that was named, in one of these workspaces.
pub(super) fn segment<'a>(workspaces: &'a [Arc<WorkspaceEntry>], given: &str) -> anyhow::Result<&'a Segment> {
    let found = workspaces.iter().filter_map(|entry| entry.find_segment(given));
    only("segment", given, found.collect(), || {
        let segments = workspaces.iter().flat_map(|entry| &entry.segments);
        let names: Vec<&str> = segments.map(|segment| segment.name.as_str()).collect();
        if names.is_empty() {
            "there are none yet; 'sessionmeter segment create' makes one".to_owned()
        } else {
            format!("the segments are {}", quoted_list(names.into_iter()))
        }
    })
}

/// The one thing that was found; `existing` says what there is where nothing was.
fn only<'a, T>(
    noun: &str,
    given: &str,
    found: Vec<&'a T>,
    existing: impl FnOnce() -> String,
) -> anyhow::Result<&'a T> {
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!("there is no {noun} '{given}'; {}", existing()),
        several => bail!(
            "{} workspaces have {} {noun} named '{given}'; choose one with --workspace, or give the {noun}'s id",
            several.len(),
            if noun == "app" { "an" } else { "a" }
        ),
    }
}

fn unknown_workspace(catalog: &Catalog, given: &str) -> anyhow::Error {
    if catalog.workspaces().is_empty() {
        no_workspace()
    } else {
        anyhow!(
            "there is no workspace {given}; the workspaces are {}",
            names(catalog)
        )
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
