//! `dashboard link`: a way in.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line};
use crate::dashboard::{PublicUrl, make_link};
use crate::model::{KeyHash, Millis};
use crate::store::access::{AccessKind, AccessRow};
use crate::store::{Role, Store, StoreError, now};

/// Where a server is reached that nobody knows of.
const DEFAULT: &str = "http://127.0.0.1:8080";
/// Under which name it is kept where a server is reached.
const ADDRESS: &[u8] = b"dashboard";
/// Until another server says another one.
const FOREVER: Millis = i64::MAX;

/// Get into the dashboard
#[derive(Debug, Subcommand)]
pub(super) enum DashboardCommand {
    Link(LinkArgs),
}

/// Make a link into the dashboard that opens once, within ten minutes
///
/// Whoever opens it may see and change everything. Three links are open at most: another one closes the oldest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter dashboard link
  sessionmeter dashboard link --public-url https://sessions.example.com")]
pub(super) struct LinkArgs {
    /// Address under which people reach the dashboard [default: what the server says that runs or ran last]
    #[arg(long, env = "SESSIONMETER_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
}

/// Runs the command.
pub(super) async fn run(command: DashboardCommand, globals: &Globals) -> anyhow::Result<()> {
    let DashboardCommand::Link(args) = command;
    let store = globals.open(Role::Existing).await?;
    let result = link(store.as_ref(), args.public_url.as_ref(), globals).await;
    store.close().await;
    result
}

async fn link(store: &dyn Store, public: Option<&PublicUrl>, globals: &Globals) -> anyhow::Result<()> {
    let configured = globals.config.public_url.as_deref().map(str::parse::<PublicUrl>);
    let address = match (public, configured.transpose()?) {
        (Some(url), _) => url.to_string(),
        (None, Some(url)) => url.to_string(),
        (None, None) => known_address(store).await?,
    };
    let url = link_at(store, &address).await?;
    if globals.json {
        print_json(&json!({ "url": url }))
    } else {
        print_line(&format!("{url}\n\nThis opens once, within ten minutes."))
    }
}

/// A link under an address.
pub(super) async fn link_at(store: &dyn Store, address: &str) -> Result<String, StoreError> {
    let code = make_link(store, now()).await?;
    Ok(format!("{address}/ui/enter?code={}", code.reveal()))
}

#[derive(Serialize, Deserialize)]
struct Address {
    url: String,
}

/// Keeps where this server is reached, for commands that make links.
pub(super) async fn note_address(store: &dyn Store, url: &str) -> Result<(), StoreError> {
    let row = AccessRow {
        hash: KeyHash::of(ADDRESS),
        content: json!(Address { url: url.to_owned() }).to_string(),
        expires_at: FOREVER,
    };
    store.put_access(AccessKind::Address, row, now()).await
}

async fn known_address(store: &dyn Store) -> Result<String, StoreError> {
    let hash = KeyHash::of(ADDRESS);
    let row = store.find_access(AccessKind::Address, hash, now()).await?;
    let address = row.and_then(|row| serde_json::from_str::<Address>(&row.content).ok());
    Ok(address.map_or_else(|| DEFAULT.to_owned(), |address| address.url))
}
