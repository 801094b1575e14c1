//! `share`: links that show a view of the dashboard to whoever has them.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::globals::Globals;
use super::lookup;
use super::output::{print_bytes, print_json, print_line, utc};
use super::table::table;
use crate::dashboard::{Share, list_shares, revoke_share};
use crate::store::{Role, Store, now};

/// List and revoke share links of the dashboard
///
/// They are made on the dashboard's page 'Share links'. Whoever has one sees what it shows, until it expires or is revoked.
#[derive(Debug, Subcommand)]
pub(super) enum ShareCommand {
    /// List share links that are good
    #[command(after_help = "Example:\n  sessionmeter share list --workspace acme")]
    List {
        /// Only of this workspace, by name or id [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    Revoke(RevokeArgs),
}

/// Revoke a share link: it shows nothing any more
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sessionmeter share revoke 5f0c1d2e3a4b")]
pub(super) struct RevokeArgs {
    /// Its id, as 'share list' shows it
    #[arg(value_name = "ID")]
    id: String,
}

/// Runs the command.
pub(super) async fn run(command: ShareCommand, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = match command {
        ShareCommand::List { workspace } => list(store.as_ref(), workspace.as_deref(), globals).await,
        ShareCommand::Revoke(args) => revoke(store.as_ref(), &args.id, globals).await,
    };
    store.close().await;
    result
}

async fn list(store: &dyn Store, workspace: Option<&str>, globals: &Globals) -> anyhow::Result<()> {
    let catalog = store.catalog();
    let only = workspace
        .map(|name| lookup::workspace(&catalog, Some(name)))
        .transpose()?;
    let mut shares = list_shares(store, now()).await?;
    if let Some(only) = &only {
        shares.retain(|share| share.workspace() == Some(only.workspace.id));
    }
    if globals.json {
        let all: Vec<_> = shares.iter().map(as_json).collect();
        return print_json(&all);
    }
    let rows = shares.iter().map(|share| {
        let workspace = share.workspace().and_then(|id| catalog.workspace(id));
        [
            share.id(),
            share.name().to_owned(),
            workspace.map_or_else(|| "-".to_owned(), |entry| entry.workspace.name.to_string()),
            utc(share.expires_at),
            share.opened().map_or_else(|| "never".to_owned(), utc),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let text = table(["ID", "NAME", "WORKSPACE", "UNTIL", "OPENED"], &rows);
    print_bytes(text.as_bytes())
}

fn as_json(share: &Share) -> serde_json::Value {
    json!({
        "id": share.id(),
        "name": share.name(),
        "workspace_id": share.workspace(),
        "expires_at": utc(share.expires_at),
        "last_opened_at": share.opened().map(utc),
    })
}

async fn revoke(store: &dyn Store, id: &str, globals: &Globals) -> anyhow::Result<()> {
    let Some(share) = revoke_share(store, id, now()).await? else {
        bail!(
            "there is no share link with the id '{id}'; 'sessionmeter share list' shows those that there are"
        )
    };
    if globals.json {
        return print_json(&as_json(&share));
    }
    print_line(&format!("revoked {} '{}'", share.id(), share.name()))
}
