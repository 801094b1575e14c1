//! `key`: API keys. A secret is shown once, when its key is created.

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde::Serialize;

use super::globals::Globals;
use super::output::{check_seen, print_bytes, print_json, print_line, utc};
use super::table::table;
use super::{lookup, values};
use crate::catalog::{Change, WorkspaceEntry};
use crate::model::{ApiKey, KeyId, KeySecret, Name, NewKey, Permissions};
use crate::store::{Administration, Role, Store};

/// Create, list and revoke API keys
///
/// Requests carry a key as 'Authorization: Bearer KEY'. Only a hash of it is stored.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    Create(CreateArgs),
    /// List keys, without their secrets
    #[command(after_help = "Example:\n  sessionmeter key list --workspace acme")]
    List {
        /// Only of this workspace, by name or id [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Revoke a key: a running server refuses it within one second
    #[command(after_help = "Example:\n  sessionmeter key revoke reporting")]
    Revoke {
        /// Name or id
        key: String,
        /// Name or id of its workspace; needed where several have a key of this name [env: SESSIONMETER_WORKSPACE]
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
  users.delete          POST /users/delete
  kpi.dau.data_series, kpi.mau.data_series, kpi.new_users.data_series, kpi.uninstalls.data_series,
  segments.data_series  GET /… with slashes for dots
  all                   these, and those that later versions add")]
pub(super) struct CreateArgs {
    /// Name, unique among the workspace's keys that are not revoked
    name: Name,
    /// Name or id of its workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
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
    if let KeyCommand::Create(_) = command {
        check_seen().context("no key is made, since it could not be shown")?;
    }
    let work = async |store: &dyn Store| match command {
        KeyCommand::Create(args) => create(store, args, globals).await,
        KeyCommand::List { workspace } => list(store, workspace.as_deref(), globals.json),
        KeyCommand::Revoke { key, workspace } => {
            revoke(store, &key, workspace.as_deref(), globals.json).await
        }
    };
    globals.with_store(Role::Existing, work).await
}

async fn create(store: &dyn Administration, args: CreateArgs, globals: &Globals) -> anyhow::Result<()> {
    let owner = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let secret = KeySecret::generate()?;
    let new = NewKey {
        id: args.id.unwrap_or_else(KeyId::random),
        name: args.name,
        hash: secret.hash(),
        permissions: Permissions::parse(args.permission.iter().map(String::as_str))?,
        allow: args.allow,
    };
    let change = Change::CreateKey(owner.workspace.id, new.clone());
    store.change(change).await?;
    match show(&new, &secret, &owner, globals) {
        Ok(()) => Ok(()),
        Err(error) => Err(withdraw(store, new.id, error).await),
    }
}

/// Shows a new key, this once.
fn show(new: &NewKey, secret: &KeySecret, owner: &WorkspaceEntry, globals: &Globals) -> anyhow::Result<()> {
    let NewKey {
        id,
        name,
        permissions,
        allow,
        ..
    } = new;
    if globals.json {
        return print_json(&CreatedJson {
            id: *id,
            name,
            key: secret.reveal(),
            permissions: permissions.names(),
        });
    }
    print_line(&format!(
        "created key '{name}' in workspace '{}'; it is shown this once, keep it safe\n  \
         key          {}\n  id           {id}\n  permissions  {}\n  allowed from {}\n  store        {}",
        owner.workspace.name,
        secret.reveal(),
        permissions.names().join(", "),
        networks(allow),
        globals.whole_place()
    ))
}

/// Revokes a key that nobody has seen: it would live on, and its name would be taken.
pub(super) async fn withdraw(store: &dyn Administration, id: KeyId, why: anyhow::Error) -> anyhow::Error {
    match store.change(Change::RevokeKey(id)).await {
        Ok(_) => why.context("the key could not be shown, and was revoked again"),
        Err(error) => why.context(format!(
            "the key could not be shown, and could not be revoked ({error}); do that with 'sessionmeter key revoke {id}'"
        )),
    }
}

async fn revoke(
    store: &dyn Administration,
    given: &str,
    workspace: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let ApiKey { id, name, .. } = lookup::key(&entries, given)?;
    store.change(Change::RevokeKey(*id)).await?;
    if json {
        print_json(&RevokedJson {
            id: *id,
            name,
            revoked: true,
        })
    } else {
        print_line(&format!("revoked key '{name}' ({id})"))
    }
}

fn list(store: &dyn Administration, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    if json {
        print_json(&each(&entries, |owner, key| ListedJson {
            id: key.id,
            name: key.name.clone(),
            workspace: owner.workspace.name.clone(),
            permissions: key.permissions.names(),
            allow: key.allow.clone(),
            last_used_at: key.last_used_at.map(utc),
            revoked: key.revoked,
        }))
    } else {
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
