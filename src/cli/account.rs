//! `account`: people who sign in to the dashboard with a name and a password.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line};
use super::table::table;
use super::{lookup, usage_error};
use crate::catalog::Catalog;
use crate::dashboard::{
    Account, Password, Rights, add_account, find_account, list_accounts, remove_account, set_password,
};
use crate::model::Name;
use crate::store::{Role, Store, now};

/// Bytes of a line that may be a password, with some to tell one that is too long.
const MAX_LINE: u64 = 1_024;

/// Make, list, change and remove accounts of the dashboard
///
/// Whoever has one signs in with its name and password. Without any, 'sessionmeter dashboard link' is the way in, and it
/// stays one.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    Add(AddArgs),
    /// List accounts
    #[command(after_help = "Example:\n  sessionmeter account list")]
    List,
    /// Remove an account, and end its sessions
    #[command(after_help = "Example:\n  sessionmeter account remove ana")]
    Remove {
        /// Its name, in any case
        name: String,
    },
    /// Give an account another password, and end its sessions
    ///
    /// The password is asked for, or read as one line from standard input where that is no terminal.
    #[command(after_help = "\
Examples:
  sessionmeter account set-password ana
  sessionmeter account set-password ana < password.txt")]
    SetPassword {
        /// Its name, in any case
        name: String,
    },
}

/// Make an account
///
/// Its password is asked for, or read as one line from standard input where that is no terminal. It has at least 8
/// characters and at most 256 bytes. To change the role of an account, remove it and make it anew.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter account add ana --role admin
  sessionmeter account add board --role reader --workspace acme < password.txt

Roles:
  admin   sees and changes everything
  reader  sees the given workspaces, and changes nothing")]
pub(super) struct AddArgs {
    /// Name, unique on the server in whatever case it is written
    name: Name,
    /// What it may do
    #[arg(long, value_name = "ROLE")]
    role: RoleName,
    /// Name or id of a workspace that a reader sees; repeat it or separate several with commas
    #[arg(
        long,
        short,
        value_name = "W",
        value_delimiter = ',',
        required_if_eq("role", "reader")
    )]
    workspace: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    Admin,
    Reader,
}

/// Runs the command.
pub(super) async fn run(command: AccountCommand, globals: &Globals) -> anyhow::Result<()> {
    if let AccountCommand::Add(args) = &command
        && args.role == RoleName::Admin
        && !args.workspace.is_empty()
    {
        return Err(usage_error(
            "an admin sees every workspace; leave out --workspace, or choose --role reader",
        ));
    }
    let work = async |store: &dyn Store| match command {
        AccountCommand::Add(args) => add(store, args, globals.json).await,
        AccountCommand::List => list(store, globals.json).await,
        AccountCommand::Remove { name } => remove(store, &name, globals.json).await,
        AccountCommand::SetPassword { name } => change_password(store, &name, globals.json).await,
    };
    globals.with_store(Role::Existing, work).await
}

async fn add(store: &dyn Store, args: AddArgs, json: bool) -> anyhow::Result<()> {
    let catalog = store.catalog();
    let rights = match args.role {
        RoleName::Admin => Rights::Admin,
        RoleName::Reader => {
            let ids = args.workspace.iter().map(|given| {
                let entry = lookup::workspace(&catalog, Some(given))?;
                Ok(entry.workspace.id)
            });
            Rights::Reader(ids.collect::<anyhow::Result<_>>()?)
        }
    };
    if let Some(taken) = find_account(store, args.name.as_str(), now()).await? {
        bail!("there is an account '{}' already", taken.name());
    }
    let password = read_password()?;
    let account = add_account(store, args.name, rights, &password, now()).await?;
    show(&account, "made", &catalog, json)
}

async fn change_password(store: &dyn Store, name: &str, json: bool) -> anyhow::Result<()> {
    if find_account(store, name, now()).await?.is_none() {
        return Err(no_account(name));
    }
    let password = read_password()?;
    let Some((account, ended)) = set_password(store, name, &password, now()).await? else {
        return Err(no_account(name));
    };
    if json {
        return print_json(&json!({ "name": account.name(), "sessions_ended": ended }));
    }
    let sessions = super::confirm::counted(ended as u64, "session");
    print_line(&format!(
        "changed the password of account '{}' and ended {sessions}",
        account.name()
    ))
}

async fn remove(store: &dyn Store, name: &str, json: bool) -> anyhow::Result<()> {
    if !remove_account(store, name, now()).await? {
        return Err(no_account(name));
    }
    if json {
        return print_json(&json!({ "name": name, "removed": true }));
    }
    print_line(&format!("removed account '{name}'"))
}

async fn list(store: &dyn Store, json: bool) -> anyhow::Result<()> {
    let accounts = list_accounts(store, now()).await?;
    let catalog = store.catalog();
    if json {
        let all: Vec<_> = accounts.iter().map(|one| as_json(one, &catalog)).collect();
        return print_json(&all);
    }
    let row = |account: &Account| {
        [
            account.name().to_string(),
            account.rights().role().to_owned(),
            workspaces(account, &catalog).map_or_else(|| "all".to_owned(), |names| names.join(",")),
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    print_bytes(table(["NAME", "ROLE", "WORKSPACES"], &rows).as_bytes())
}

fn show(account: &Account, what: &str, catalog: &Catalog, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(&as_json(account, catalog));
    }
    let sees = workspaces(account, catalog).map_or_else(|| "all".to_owned(), |names| names.join(", "));
    print_line(&format!(
        "{what} account '{}'\n  role        {}\n  workspaces  {sees}",
        account.name(),
        account.rights().role()
    ))
}

/// `workspaces` is null for an account that sees all.
fn as_json(account: &Account, catalog: &Catalog) -> serde_json::Value {
    json!({
        "name": account.name(),
        "role": account.rights().role(),
        "workspaces": workspaces(account, catalog),
    })
}

/// Names of the workspaces that a reader sees, as far as they are still there.
fn workspaces(account: &Account, catalog: &Catalog) -> Option<Vec<String>> {
    match account.rights() {
        Rights::Admin => None,
        Rights::Reader(ids) => {
            let there = ids.iter().filter_map(|id| catalog.workspace(*id));
            Some(there.map(|entry| entry.workspace.name.to_string()).collect())
        }
    }
}

/// Never an argument: those can be seen by others on the machine, and are kept by shells.
fn read_password() -> anyhow::Result<Password> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() {
        let text = rpassword::prompt_password("Password: ").context("can't ask for the password")?;
        let again = rpassword::prompt_password("Again: ").context("can't ask for the password")?;
        if again != text {
            bail!("the two passwords are not the same; nothing was changed");
        }
        text
    } else {
        let mut line = String::new();
        stdin
            .lock()
            .take(MAX_LINE)
            .read_line(&mut line)
            .context("can't read the password from standard input")?;
        if line.is_empty() {
            bail!("no password came on standard input; give it as one line");
        }
        let line = line.strip_suffix('\n').unwrap_or(&line);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    };
    Ok(Password::new(text)?)
}

fn no_account(name: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no account '{name}'; 'sessionmeter account list' shows those that there are")
}
