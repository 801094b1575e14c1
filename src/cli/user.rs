//! `user forget`: people who want to be forgotten.

use clap::{Args, Subcommand};
use serde_json::json;

use super::globals::Globals;
use super::lookup;
use super::output::{print_json, print_line};
use crate::model::{Identities, IdentityKind};
use crate::store::{Role, Store};

/// Forget users and devices
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    Forget(ForgetArgs),
}

/// Forget users: their ids and attributes are gone, all counts stay
///
/// Gone from exports and later backups too; earlier backups hold them still. The same id is a new user's from then on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter user forget u1 u2 --workspace acme
  sessionmeter user forget --device 4f1c2a9e")]
pub(super) struct ForgetArgs {
    /// Their ids, 1 to 50: the 'user_id' of their sessions
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// The ids are those of devices: the 'device_id' of sessions
    #[arg(long)]
    device: bool,
    /// Name or id of their workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
}

/// Runs the command.
pub(super) async fn run(command: UserCommand, globals: &Globals) -> anyhow::Result<()> {
    let UserCommand::Forget(args) = command;
    let work = async |store: &dyn Store| forget(store, &args, globals.json).await;
    globals.with_store(Role::Existing, work).await
}

async fn forget(store: &dyn Store, args: &ForgetArgs, json: bool) -> anyhow::Result<()> {
    let entry = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let kind = if args.device {
        IdentityKind::Device
    } else {
        IdentityKind::User
    };
    let people = Identities::new(kind, args.ids.iter().map(String::as_str))?;
    let number = people.ids().len();
    let deleted = store.forget(entry.workspace.id, people).await?;
    if json {
        return print_json(&json!({ "message": "success", "deleted": deleted }));
    }
    let others = if number as u64 == deleted {
        ""
    } else {
        "; the others are not known here"
    };
    print_line(&format!("forgot {deleted} of {number}{others}"))
}
