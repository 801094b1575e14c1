//! `backup`: one consistent file, made while the server goes on.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line, thousands};
use crate::store::Role;

/// Write a consistent copy of the store into one file, while the server goes on
///
/// The file appears under its name only when it is complete and on disk; an existing file is never replaced.
/// It holds everything: workspaces, apps, keys (hashes only), limits and sessions. 'restore' reads it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sessionmeter backup /backups/sessions-$(date +%F).sqlite")]
pub(super) struct BackupArgs {
    /// A new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: BackupArgs, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = store.backup(&args.file).await;
    store.close().await;
    result?;
    let file = args.file.display();
    let bytes = std::fs::metadata(&args.file)
        .with_context(|| format!("can't read {file}"))?
        .len();
    match globals.json {
        true => print_json(&json!({"file": args.file, "bytes": bytes})),
        false => print_line(&format!("wrote {file}, {} bytes", thousands(bytes))),
    }
}
