//! `key`: API keys. A secret is shown once, when its key is created.

use std::sync::Arc;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde::Serialize;

use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line, table, utc};
use super::{lookup, values};
use crate::model::{ApiKey, KeyId, KeySecret, Name, NewKey, Permissions};
use crate::store::{Role, Store, WorkspaceEntry};

/// Create, list and revoke API keys
///
/// Requests carry a key as 'Authorization: Bearer KEY'. Only a hash of it is stored.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    Create(CreateArgs),
    /// List keys, without their secrets
    #[command(after_help = "Example:\n  sessionmeter key list --workspace acme")]
    List {
        /// Only of this workspace, by name or id
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Revoke a key: a running server refuses it within one second
    #[command(after_help = "Example:\n  sessionmeter key revoke reporting")]
    Revoke {
        /// Name or id
        key: String,
        /// Name or id of its workspace; needed where several have a key of this name
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
}

/// Create a key and show its secret, this once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter key create reporting --workspace acme --permission sessions.data_series
  sessionmeter key create collector --permission sessions.track --allow 10.0.0.0/8,203.0.113.7

Permissions:
  sessions.data_series  GET /sessions/data_series
  sessions.track        POST /sessions/track
  segments.list         GET /segments/list
  segments.details      GET /segments/details
  segments.write        POST /segments/create, edit, track, untrack, delete
  users.track           POST /users/track
  all                   these, and those that later versions add")]
pub(super) struct CreateArgs {
    /// Name, unique among the workspace's keys that are not revoked
    name: Name,
    /// Name or id of its workspace; may be left out where there is only one
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// What it may do; repeat it or separate several with commas
    #[arg(long, short, value_name = "P", required = true, value_delimiter = ',', value_parser = values::permission)]
    permission: Vec<String>,
    /// Networks or addresses it may be used from; repeat it or separate several with commas [default: any]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = values::network)]
    allow: Vec<IpNet>,
    /// Id of the key (not its secret) [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<KeyId>,
}

/// What `create` prints with `--json`.
#[derive(Serialize)]
struct CreatedJson<'a> {
    id: KeyId,
    name: &'a Name,
    key: &'a str,
    permissions: Vec<&'static str>,
}

/// An entry of `list`.
#[derive(Serialize)]
struct ListedJson {
    id: KeyId,
    name: Name,
    workspace: Name,
    permissions: Vec<&'static str>,
    allow: Vec<IpNet>,
    last_used_at: Option<String>,
    revoked: bool,
}

/// What `revoke` prints with `--json`.
#[derive(Serialize)]
struct RevokedJson<'a> {
    id: KeyId,
    name: &'a Name,
    revoked: bool,
}

/// Runs the command.
pub(super) async fn run(command: KeyCommand, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = match command {
        KeyCommand::Create(args) => create(store.as_ref(), args, globals.json).await,
        KeyCommand::List { workspace } => list(store.as_ref(), workspace.as_deref(), globals.json),
        KeyCommand::Revoke { key, workspace } => {
            revoke(store.as_ref(), &key, workspace.as_deref(), globals.json).await
        }
    };
    store.close().await;
    result
}

async fn create(store: &dyn Store, args: CreateArgs, json: bool) -> anyhow::Result<()> {
    let owner = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let secret = KeySecret::generate()?;
    let new = NewKey {
        id: args.id.unwrap_or_else(KeyId::random),
        name: args.name,
        hash: secret.hash(),
        permissions: Permissions::parse(args.permission.iter().map(String::as_str))?,
        allow: args.allow,
    };
    store.create_key(owner.workspace.id, new.clone()).await?;
    let NewKey {
        id,
        name,
        permissions,
        allow,
        ..
    } = new;
    if json {
        return print_json(&CreatedJson {
            id,
            name: &name,
            key: secret.reveal(),
            permissions: permissions.names(),
        });
    }
    print_line(&format!(
        "created key '{name}' in workspace '{}'; it is shown this once, keep it safe\n  \
         key          {}\n  id           {id}\n  permissions  {}\n  allowed from {}",
        owner.workspace.name,
        secret.reveal(),
        permissions.names().join(", "),
        networks(&allow),
    ))
}

async fn revoke(store: &dyn Store, given: &str, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let ApiKey { id, name, .. } = lookup::key(&entries, given)?;
    store.revoke_key(*id).await?;
    match json {
        true => print_json(&RevokedJson {
            id: *id,
            name,
            revoked: true,
        }),
        false => print_line(&format!("revoked key '{name}' ({id})")),
    }
}

fn list(store: &dyn Store, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    match json {
        true => print_json(&each(&entries, |owner, key| ListedJson {
            id: key.id,
            name: key.name.clone(),
            workspace: owner.workspace.name.clone(),
            permissions: key.permissions.names(),
            allow: key.allow.clone(),
            last_used_at: key.last_used_at.map(utc),
            revoked: key.revoked,
        })),
        false => {
            let rows = each(&entries, |owner, key| {
                [
                    key.id.to_string(),
                    key.name.to_string(),
                    owner.workspace.name.to_string(),
                    key.permissions.names().join(","),
                    networks(&key.allow),
                    key.last_used_at.map_or_else(|| "never".to_owned(), utc),
                    if key.revoked { "revoked" } else { "live" }.to_owned(),
                ]
            });
            let head = [
                "ID",
                "NAME",
                "WORKSPACE",
                "PERMISSIONS",
                "ALLOWED FROM",
                "LAST USED",
                "STATE",
            ];
            print_bytes(table(head, &rows).as_bytes())
        }
    }
}

fn each<T>(entries: &[Arc<WorkspaceEntry>], row: impl Fn(&WorkspaceEntry, &ApiKey) -> T) -> Vec<T> {
    entries
        .iter()
        .flat_map(|entry| entry.keys.iter().map(|key| row(entry, key)))
        .collect()
}

fn networks(allow: &[IpNet]) -> String {
    match allow {
        [] => "anywhere".to_owned(),
        allow => allow.iter().map(IpNet::to_string).collect::<Vec<_>>().join(","),
    }
}
