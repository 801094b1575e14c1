//! `backup`: one consistent file, made while the server goes on.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line, thousands, writing_failed};
use super::progress::Spinner;
use super::spool;
use crate::store::sqlite;
use crate::store::{Place, Role, Store};

/// Write a consistent copy of the store into one file, while the server goes on
///
/// The file appears under its name only when it is complete and on disk; an existing file is never replaced.
/// It holds everything: workspaces, apps, keys (hashes only), limits and sessions. 'restore' reads it. A store of an older
/// format is copied as it is, and a store that can only be read as well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter backup /backups/sessions-$(date +%F).sqlite
  sessionmeter backup - | zstd | ssh elsewhere 'cat > sessions.sqlite.zst'")]
pub(super) struct BackupArgs {
    /// A new file, or - for standard output, for which a copy is made beside the store first
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: BackupArgs, globals: &Globals) -> anyhow::Result<()> {
    if args.file == Path::new("-") {
        return to_stdout(globals).await;
    }
    write(globals, &args.file).await?;
    let file = args.file.display();
    let bytes = std::fs::metadata(&args.file)
        .with_context(|| format!("can't read {file}"))?
        .len();
    if globals.json {
        print_json(&json!({"file": args.file, "bytes": bytes}))
    } else {
        print_line(&format!("wrote {file}, {} bytes", thousands(bytes)))
    }
}

async fn write(globals: &Globals, file: &Path) -> anyhow::Result<()> {
    let progress = Spinner::start("backing up");
    let result = copy(globals, file, progress.clone()).await;
    progress.finish();
    result
}

/// An embedded store is copied as it is, without bringing one of an older format up to date first.
async fn copy(globals: &Globals, file: &Path, progress: Spinner) -> anyhow::Result<()> {
    match &globals.store {
        Place::Directory(directory) => {
            let (directory, file) = (directory.clone(), file.to_owned());
            let copy = move || {
                let say = |percent| progress.say(&format!("backing up  {percent} %"));
                sqlite::backup_directory(&directory, &file, &say)
            };
            tokio::task::spawn_blocking(copy).await??;
        }
        Place::ClickHouse(_) => {
            let work = async |store: &dyn Store| Ok(store.backup(file).await?);
            globals.with_store(Role::Existing, work).await?;
        }
    }
    Ok(())
}

/// A copy of one moment can't be written from its beginning to its end, so it is made as a file first.
async fn to_stdout(globals: &Globals) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        bail!("a backup is not for terminals; name a file, or pipe it into a program");
    }
    let room = spool::room(globals)?;
    let copy = room.path().join("backup");
    write(globals, &copy).await?;
    let copied = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&copy).context("can't read the copy")?;
        let mut stdout = std::io::stdout().lock();
        std::io::copy(&mut file, &mut stdout)
            .and_then(|_| stdout.flush())
            .map_err(writing_failed)
    });
    copied.await.context("copying crashed")?
}
