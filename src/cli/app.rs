//! `app`: the apps whose sessions are counted.

use clap::Subcommand;
use serde::Serialize;

use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line, table};
use super::{lookup, values};
use crate::model::{App, AppId, Name};
use crate::store::{Role, Store};

/// Create and list apps
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
        /// Name or id of its workspace; may be left out where there is only one
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
        /// Only of this workspace, by name or id
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
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
    let store = globals.open(Role::Existing).await?;
    let result = match command {
        AppCommand::Create {
            name,
            workspace,
            platform,
            id,
        } => {
            let id = id.unwrap_or_else(AppId::random);
            create(
                store.as_ref(),
                workspace.as_deref(),
                App { id, name, platform },
                globals.json,
            )
            .await
        }
        AppCommand::List { workspace } => list(store.as_ref(), workspace.as_deref(), globals.json),
    };
    store.close().await;
    result
}

async fn create(store: &dyn Store, workspace: Option<&str>, new: App, json: bool) -> anyhow::Result<()> {
    let owner = lookup::workspace(&store.catalog(), workspace)?;
    let created = store.create_app(owner.workspace.id, new).await?;
    match json {
        true => print_json(&CreatedJson::from(&created)),
        false => print_line(&format!(
            "created app '{}' in workspace '{}'\n  id  {}",
            created.name, owner.workspace.name, created.id
        )),
    }
}

fn list(store: &dyn Store, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
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
