//! `restore`: a backup into a new store.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line};
use super::spool;
use crate::store::copy::from_file;
use crate::store::sqlite;
use crate::store::{Place, Role};

/// Make a new store out of a backup
///
/// The file is checked first. The directory that --data names must be new or have no store in it, a store in ClickHouse
/// (--store) must be empty: nothing is ever replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter restore /backups/sessions-2018-06-28.sqlite --data ./restored
  zstdcat sessions.sqlite.zst | sessionmeter restore - --data ./restored")]
pub(super) struct RestoreArgs {
    /// A file that 'backup' wrote; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: RestoreArgs, globals: &Globals) -> anyhow::Result<()> {
    if args.file == Path::new("-") {
        let room = spool::room(globals)?;
        let file = room.path().join("backup");
        read_stdin(file.clone()).await?;
        restore(&file, globals).await?;
    } else {
        restore(&args.file, globals).await?
    }
    let place = globals.store.to_string();
    if globals.json {
        print_json(&json!({"file": args.file, "data": place}))
    } else {
        let file = if args.file == Path::new("-") {
            "standard input".to_owned()
        } else {
            args.file.display().to_string()
        };
        print_line(&format!("restored {file} into {place}"))
    }
}

/// A backup is not read from its beginning to its end, so it is made a file first.
async fn read_stdin(file: PathBuf) -> anyhow::Result<()> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut copy = std::fs::File::create_new(file)?;
        std::io::copy(&mut std::io::stdin().lock(), &mut copy)
    });
    reading.await?.context("can't copy standard input to a file")?;
    Ok(())
}

async fn restore(file: &Path, globals: &Globals) -> anyhow::Result<()> {
    match &globals.store {
        Place::Directory(directory) => {
            let (file, directory) = (file.to_owned(), directory.clone());
            tokio::task::spawn_blocking(move || sqlite::restore(&file, &directory)).await??;
        }
        place @ Place::ClickHouse(_) => {
            // Before tables are made.
            let path = file.to_owned();
            tokio::task::spawn_blocking(move || sqlite::check_backup(&path)).await??;
            let store = place.open(Role::Command).await?;
            let restored = from_file(file, store.as_ref()).await;
            store.close().await;
            restored?;
        }
    }
    Ok(())
}
