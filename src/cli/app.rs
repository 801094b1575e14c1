//! `app`: the apps whose sessions are counted.

use clap::Subcommand;
use serde::Serialize;

use super::confirm::{confirm, sessions_of};
use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line};
use super::table::table;
use super::{lookup, values};
use crate::catalog::Change;
use crate::model::{App, AppId, Name};
use crate::store::{Administration, Role, Scope, Store};

/// Create, list, rename and delete apps
///
/// An app is one installable product on one platform. Its id is public: clients carry it.
#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// Create an app
    #[command(after_help = "\
Examples:
  sessionmeter app create 'Shop (iOS)' --workspace acme --platform ios
  sessionmeter app create Web --id 00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    Create {
        /// Name, unique in its workspace
        name: Name,
        /// Name or id of its workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
        /// What it runs on, for example ios, android or web
        #[arg(long, value_name = "P", default_value = "", hide_default_value = true, value_parser = values::platform)]
        platform: String,
        /// Id, to keep one from elsewhere [default: a new one]
        #[arg(long, value_name = "UUID")]
        id: Option<AppId>,
    },
    /// List apps
    #[command(after_help = "Example:\n  sessionmeter app list --workspace acme")]
    List {
        /// Only of this workspace, by name or id [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Give an app another name
    #[command(after_help = "Example:\n  sessionmeter app rename default 'Shop (iOS)'")]
    Rename {
        /// Name or id
        app: String,
        /// The new name, unique in its workspace
        name: Name,
        /// Name or id of its workspace; needed where several have an app of this name [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Delete an app with its sessions, for good
    ///
    /// While sessions are being removed, its series show what is left of them.
    #[command(after_help = "Example:\n  sessionmeter app delete Web --yes")]
    Delete {
        /// Name or id
        app: String,
        /// Name or id of its workspace; needed where several have an app of this name [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What `create` prints with `--json`.
#[derive(Serialize)]
struct CreatedJson<'a> {
    id: AppId,
    name: &'a Name,
    platform: &'a str,
}

/// An entry of `list`.
#[derive(Serialize)]
struct ListedJson<'a> {
    #[serde(flatten)]
    app: CreatedJson<'a>,
    workspace: &'a Name,
}

impl<'a> From<&'a App> for CreatedJson<'a> {
    fn from(app: &'a App) -> Self {
        Self {
            id: app.id,
            name: &app.name,
            platform: &app.platform,
        }
    }
}

/// Runs the command.
pub(super) async fn run(command: AppCommand, globals: &Globals) -> anyhow::Result<()> {
    let work = async |store: &dyn Store| match command {
        AppCommand::Create {
            name,
            workspace,
            platform,
            id,
        } => {
            let id = id.unwrap_or_else(AppId::random);
            let new = App { id, name, platform };
            create(store, workspace.as_deref(), new, globals).await
        }
        AppCommand::Rename { app, name, workspace } => {
            rename(store, &app, name, workspace.as_deref(), globals.json).await
        }
        AppCommand::Delete { app, workspace, yes } => {
            delete(store, &app, workspace.as_deref(), yes, globals.json).await
        }
        AppCommand::List { workspace } => list(store, workspace.as_deref(), globals.json),
    };
    globals.with_store(Role::Existing, work).await
}

async fn create(
    store: &dyn Administration,
    workspace: Option<&str>,
    new: App,
    globals: &Globals,
) -> anyhow::Result<()> {
    let owner = lookup::workspace(&store.catalog(), workspace)?;
    let change = Change::CreateApp(owner.workspace.id, new.clone());
    store.change(change).await?;
    if globals.json {
        print_json(&CreatedJson::from(&new))
    } else {
        print_line(&format!(
            "created app '{}' in workspace '{}'\n  id     {}\n  store  {}",
            new.name,
            owner.workspace.name,
            new.id,
            globals.whole_place()
        ))
    }
}

async fn rename(
    store: &dyn Administration,
    given: &str,
    name: Name,
    workspace: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let app = lookup::app_in(&entries, given)?;
    store.change(Change::RenameApp(app.id, name.clone())).await?;
    let renamed = App { name, ..app.clone() };
    if json {
        print_json(&CreatedJson::from(&renamed))
    } else {
        print_line(&format!(
            "renamed app '{}' to '{}'\n  id  {}",
            app.name, renamed.name, app.id
        ))
    }
}

async fn delete(
    store: &dyn Store,
    given: &str,
    workspace: Option<&str>,
    yes: bool,
    json: bool,
) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let app = lookup::app_in(&entries, given)?;
    let sessions = sessions_of(store, Scope::App(app.id)).await?;
    let question = format!(
        "Delete app '{}' ({}) with its {sessions} for good?",
        app.name, app.id
    );
    confirm(&question, yes)?;
    store.change(Change::DeleteApp(app.id)).await?;
    if json {
        print_json(&CreatedJson::from(app))
    } else {
        print_line(&format!(
            "deleted app '{}' ({}) with its {sessions}",
            app.name, app.id
        ))
    }
}

fn list(store: &dyn Administration, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let apps = || {
        entries
            .iter()
            .flat_map(|entry| entry.apps.iter().map(|app| (&entry.workspace, app)))
    };
    if json {
        let items: Vec<_> = apps()
            .map(|(owner, app)| ListedJson {
                app: app.into(),
                workspace: &owner.name,
            })
            .collect();
        return print_json(&items);
    }
    let rows: Vec<_> = apps()
        .map(|(owner, app)| {
            [
                app.id.to_string(),
                app.name.to_string(),
                app.platform.clone(),
                owner.name.to_string(),
            ]
        })
        .collect();
    print_bytes(table(["ID", "NAME", "PLATFORM", "WORKSPACE"], &rows).as_bytes())
}
