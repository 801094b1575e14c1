//! `restore`: a backup into a new store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line};
use crate::store::sqlite::restore;

/// Make a new store out of a backup
///
/// The file is checked first. The directory that --data names must be new or have no store in it: nothing is
/// ever replaced.
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
    let (file, data) = (args.file.clone(), globals.data.clone());
    tokio::task::spawn_blocking(move || restore(&file, &data)).await??;
    match globals.json {
        true => print_json(&json!({"file": args.file, "data": globals.data})),
        false => print_line(&format!(
            "restored {} into {}",
            args.file.display(),
            globals.data.display()
        )),
    }
}
