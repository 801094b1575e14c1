//! `export`: every session as text or as a table, importable again.
//!
//! The store hands out batches on one side; a thread writes them ([`encoder`], [`output`]) on the other.

mod csv;
mod encoder;
mod fields;
mod ndjson;
mod output;
mod parquet;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use self::encoder::{Encoder, Format};
use self::output::Output;
use super::confirm::counted;
use super::globals::Globals;
use super::lookup;
use super::output::{print_json, print_line, thousands};
use super::progress::Spinner;
use crate::catalog::Catalog;
use crate::model::{Millis, Session};
use crate::series::ending_at;
use crate::series::{EndingAt, Length, Unit, Window, Zone};
use crate::store::{Role, Rollups, Selection, Store, now};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// Batches that wait to be written.
const WAITING: usize = 4;

/// Write out every session, importable again
///
/// Sessions are written as they were recorded: 'import' into an empty store with the same apps gives the same counts.
/// Every session that is recorded when the export begins is written; of those that a server records meanwhile, some may be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter export --workspace acme --output sessions.ndjson.zst
  sessionmeter export --app 'Shop (iOS)' --from 2018-06-01 --to 2018-06-30 --format csv | head")]
pub(super) struct ExportArgs {
    /// Name or id of the workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// What is written [default: by the output's name, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// First day, YYYY-MM-DD, of the workspace's time zone
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<EndingAt>,
    /// Last day, included
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<EndingAt>,
    /// Only this app, by name or id [default: all apps]
    #[arg(long, short, value_name = "A")]
    app: Option<String>,
    /// A new file, compressed if its name ends in .gz or .zst; - is standard output [default: -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn date(text: &str) -> Result<EndingAt, String> {
    match ending_at::parse(text) {
        Ok(date @ EndingAt::Date(_)) => Ok(date),
        _ => Err("give a date such as 2018-06-28".to_owned()),
    }
}

/// The first instant of a day, and that of the next day.
fn day(zone: &Zone, date: &EndingAt) -> Option<(Millis, Millis)> {
    let window = Window::new(zone, Unit::Day, Length::parse("1")?, Some(date), 0);
    match window.edges() {
        [start, end] => Some((start * 1000, end * 1000)),
        _ => None,
    }
}

/// Runs the command.
pub(super) async fn run(args: ExportArgs, globals: &Globals) -> anyhow::Result<()> {
    let work = async |store: &dyn Store| export(store, &args, globals.json).await;
    globals.with_store(Role::Existing, work).await
}

async fn export(store: &dyn Store, args: &ExportArgs, json: bool) -> anyhow::Result<()> {
    let catalog = store.catalog();
    let selection = selection(&catalog, args)?;
    let file = args.output.as_deref().filter(|file| *file != Path::new("-"));
    let format = Format::chosen(args.format, file);
    let output = Output::new(file, format)?;
    say_what_is_older(store, &catalog, selection).await?;
    let encoder = format.encoder();
    let (sender, batches) = mpsc::channel(WAITING);
    let interrupted = Arc::new(AtomicBool::new(false));
    let stop = interrupted.clone();
    // A terminal that shows the sessions has no room for it.
    let progress = if file.is_none() && std::io::stdout().is_terminal() {
        Spinner::hidden()
    } else {
        Spinner::start("exporting")
    };
    let counted = progress.clone();
    let writing = tokio::task::spawn_blocking(move || write(encoder, output, batches, &stop, &counted));
    let exported = tokio::select! {
        exported = store.export(selection, sender) => exported,
        _ = tokio::signal::ctrl_c() => {
            interrupted.store(true, Ordering::Relaxed);
            Ok(())
        }
    };
    let written = writing.await.context("the writing thread crashed");
    progress.finish();
    let (mut encoder, mut output, sessions) = written??;
    exported?;
    encoder.finish(&mut output)?;
    let bytes = output.finish()?;
    match file {
        None => Ok(()),
        Some(file) if json => print_json(&json!({"file": file, "sessions": sessions, "bytes": bytes})),
        Some(file) => print_line(&format!(
            "wrote {}, {} sessions, {} bytes",
            file.display(),
            thousands(sessions),
            thousands(bytes)
        )),
    }
}

fn selection(catalog: &Catalog, args: &ExportArgs) -> anyhow::Result<Selection> {
    let workspace = lookup::workspace(catalog, args.workspace.as_deref())?;
    let app = args.app.as_deref().map(|name| lookup::app(&workspace, name));
    let from = args.from.as_ref().and_then(|date| day(&workspace.zone, date));
    let to = args.to.as_ref().and_then(|date| day(&workspace.zone, date));
    if let (Some((from, _)), Some((to, _))) = (from, to)
        && from > to
    {
        bail!("--from must not be after --to");
    }
    Ok(Selection {
        workspace: workspace.workspace.id,
        app: app.transpose()?.map(|app| app.id),
        from: from.map(|(start, _)| start),
        to: to.map(|(_, end)| end),
    })
}

/// Says which of the days that were asked for are older than the retention, if there are any: what is sealed has no sessions that
/// could be exported.
async fn say_what_is_older(
    store: &dyn Rollups,
    catalog: &Catalog,
    selection: Selection,
) -> anyhow::Result<()> {
    let Some(entry) = catalog.workspace(selection.workspace) else {
        return Ok(());
    };
    let (workspace, now) = (&entry.workspace, now());
    let due_before = workspace.due_before(now);
    if due_before == 0 {
        return Ok(());
    }
    let first = selection.from.unwrap_or(0).div_euclid(MILLIS_PER_DAY);
    let last = selection
        .to
        .unwrap_or(now)
        .saturating_sub(1)
        .div_euclid(MILLIS_PER_DAY);
    let last = last.min(due_before - 1);
    let apps = entry.apps.iter().map(|app| app.id);
    let apps: Vec<_> = apps
        .filter(|app| selection.app.is_none_or(|one| one == *app))
        .collect();
    let older = store.days(&apps, first..=last).await?.len() as u64;
    if older > 0 {
        let why = match workspace.retention {
            Some(retention) => {
                format!("the workspace keeps sessions for {retention}, and counts of older ones")
            }
            None => "sessions of old days were removed, and their counts kept".to_owned(),
        };
        // Nobody is left to be told if that fails.
        let _ = writeln!(
            std::io::stderr(),
            "sessionmeter: note: {} of apps can't be in the export, but for sessions that are not removed yet: {why}",
            counted(older, "day")
        );
    }
    Ok(())
}

/// What is written to, and how many sessions were. The end is left to the caller, who knows whether they are all.
type Written = (Box<dyn Encoder>, Output, u64);

fn write(
    mut encoder: Box<dyn Encoder>,
    mut output: Output,
    mut batches: mpsc::Receiver<Vec<Session>>,
    interrupted: &AtomicBool,
    progress: &Spinner,
) -> anyhow::Result<Written> {
    encoder.begin(&mut output)?;
    let mut sessions = 0;
    while let Some(batch) = batches.blocking_recv() {
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted; the export is not complete");
        }
        encoder.write(&batch, &mut output)?;
        sessions += batch.len() as u64;
        progress.say(&format!("exporting: {} sessions", thousands(sessions)));
    }
    Ok((encoder, output, sessions))
}
