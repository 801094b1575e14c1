//! `import`: files of sessions, recorded through the recorder as requests are.
//!
//! A thread reads and parses ([`reader`]) while the store commits: batches meet in a short channel, and a few of them
//! are with the recorder at any time, so that neither side waits for the other.

mod lines;
mod reader;
mod rejects;
mod report;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::reader::Reader;
use self::rejects::Rejects;
use self::report::{Refusals, Report};
use self::source::Input;
use super::globals::Globals;
use super::lookup;
use super::output::thousands;
use crate::metrics::Metrics;
use crate::model::Session;
use crate::record::{RecordError, Recorder, Tally};
use crate::store::Store;
use crate::store::sqlite::Role;

/// Batches with the recorder at one time: one is committed while the others are the next commit.
const IN_FLIGHT: usize = 4;
/// Parsed batches that wait for the recorder.
const WAITING: usize = 2;

/// Record files of sessions
///
/// Each line is a session as POST /sessions/track takes it. Files may be compressed with gzip or zstd, which is
/// recognised by their content. Blank lines are passed over; a line over 1 MiB is refused. Sessions that were
/// recorded before are not counted again, so a file may be imported twice, or again after an interruption.
///
/// Refused lines are counted by reason, and the first ten are shown with their places. Exits with 0 if anything was
/// accepted or nothing was refused, with 1 if every line was refused, a file could not be read to its end, or the
/// import was interrupted; what had been recorded by then stays recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter import sessions.ndjson.gz --workspace acme --rejects refused.ndjson
  zcat 2018-*.gz | sessionmeter import - --app 'Shop (iOS)'")]
pub(super) struct ImportArgs {
    /// Files; - is standard input, which is read to its end
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name or id of the workspace; may be left out where there is only one
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// What the files are
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Name or id of the app of lines that name none
    #[arg(long, short, value_name = "A")]
    app: Option<String>,
    /// A new file for refused lines, unchanged, so that they can be mended and imported again
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// Formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A session a line, in JSON
    Ndjson,
}

/// Runs the command.
pub(super) async fn run(args: ImportArgs, globals: &Globals) -> anyhow::Result<()> {
    let inputs = source::inputs(&args.files)?;
    let rejects = Rejects::new(args.rejects.clone())?;
    let store: Arc<dyn Store> = Arc::new(globals.open(Role::Existing)?);
    let result = import(&store, &args, inputs, rejects, globals.json).await;
    store.close().await;
    result
}

async fn import(
    store: &Arc<dyn Store>,
    args: &ImportArgs,
    inputs: Vec<Input>,
    rejects: Rejects,
    json: bool,
) -> anyhow::Result<()> {
    let Format::Ndjson = args.format;
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let default_app = args
        .app
        .as_deref()
        .map(|name| lookup::app(&workspace, name))
        .transpose()?
        .map(|app| app.id);
    let refusals = Arc::new(Mutex::new(Refusals::default()));
    let progress = source::progress(&inputs);
    let reader = Reader::new(
        workspace,
        default_app,
        rejects,
        refusals.clone(),
        progress.clone(),
    );
    let started = Instant::now();
    let (tally, result) = read_and_record(store, reader, inputs, &progress).await;
    progress.finish_and_clear();
    let refusals = std::mem::take(&mut *refusals.lock());
    let report = Report {
        tally,
        refusals,
        elapsed: started.elapsed(),
    };
    report.print(json)?;
    result?;
    if report.every_line_was_refused() {
        bail!("every line was refused");
    }
    Ok(())
}

/// Runs both sides until the files end, something fails or the user interrupts. What the recorder has taken by then
/// is finished and counted.
async fn read_and_record(
    store: &Arc<dyn Store>,
    reader: Reader,
    inputs: Vec<Input>,
    progress: &ProgressBar,
) -> (Tally, anyhow::Result<()>) {
    let recorder = Recorder::start(store.clone(), Arc::new(Metrics::new()));
    let (sender, batches) = mpsc::channel(WAITING);
    let mut recording = Recording {
        recorder: recorder.clone(),
        running: JoinSet::new(),
        tally: Tally::default(),
        progress,
    };
    let result = match std::thread::Builder::new()
        .name("import-reader".into())
        .spawn(move || reader.read(&inputs, &sender))
    {
        Ok(thread) => match recording.take_all(batches).await {
            Ok(()) => thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("the reading thread crashed"))),
            // The thread may be waiting for standard input: it ends with the process.
            Err(error) => Err(error),
        },
        Err(error) => Err(error).context("can't start the reading thread"),
    };
    let finished = recording.finish().await;
    recorder.close().await;
    (recording.tally, result.and(finished))
}

/// The recording side.
struct Recording<'a> {
    recorder: Recorder,
    running: JoinSet<Result<Tally, RecordError>>,
    tally: Tally,
    progress: &'a ProgressBar,
}

impl Recording<'_> {
    /// Records batches until there are no more.
    async fn take_all(&mut self, mut batches: mpsc::Receiver<Vec<Session>>) -> anyhow::Result<()> {
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            tokio::select! {
                batch = batches.recv(), if self.running.len() < IN_FLIGHT => match batch {
                    Some(sessions) => {
                        let recorder = self.recorder.clone();
                        self.running.spawn(async move { recorder.record(sessions).await });
                    }
                    None => return Ok(()),
                },
                Some(done) = self.running.join_next() => self.count(done??),
                _ = &mut interrupt => bail!(
                    "interrupted; import the same files again to go on: nothing is counted twice"
                ),
            }
        }
    }

    /// Waits for what the recorder has taken.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(done) = self.running.join_next().await {
            match done.map_err(anyhow::Error::from).and_then(|done| Ok(done?)) {
                Ok(tally) => self.count(tally),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    fn count(&mut self, tally: Tally) {
        self.tally.new += tally.new;
        self.tally.duplicates += tally.duplicates;
        self.progress
            .set_message(format!("{} recorded", thousands(self.tally.new)));
    }
}
