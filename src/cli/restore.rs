//! `restore`: a backup into a new store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::globals::{Globals, Place};
use super::output::{print_json, print_line};
use crate::store::Role;
use crate::store::copy::from_file;
use crate::store::sqlite;

/// Make a new store out of a backup
///
/// The file is checked first. The directory that --data names must be new or have no store in it, a store in ClickHouse
/// (--store) must be empty: nothing is ever replaced.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sessionmeter restore /backups/sessions-2018-06-28.sqlite --data ./restored"
)]
pub(super) struct RestoreArgs {
    /// A file that 'backup' wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: RestoreArgs, globals: &Globals) -> anyhow::Result<()> {
    match &globals.store {
        Place::Directory(directory) => {
            let (file, directory) = (args.file.clone(), directory.clone());
            tokio::task::spawn_blocking(move || sqlite::restore(&file, &directory)).await??;
        }
        place @ Place::ClickHouse(_) => {
            // Before tables are made.
            let file = args.file.clone();
            tokio::task::spawn_blocking(move || sqlite::check_backup(&file)).await??;
            let store = place.open(Role::Command).await?;
            let restored = from_file(&args.file, store.as_ref()).await;
            store.close().await;
            restored?;
        }
    }
    let place = globals.store.to_string();
    match globals.json {
        true => print_json(&json!({"file": args.file, "data": place})),
        false => print_line(&format!("restored {} into {place}", args.file.display())),
    }
}
