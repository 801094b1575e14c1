//! `import`: files of sessions, recorded through the recorder as requests are.
//!
//! A thread reads and parses ([`reader`]) while the store commits: batches meet in a short channel, and a few of them
//! are with the recorder at any time, so that neither side waits for the other.

mod buffered;
mod csv;
mod currents;
mod heartbeat;
mod inputs;
mod lines;
mod ndjson;
mod new_apps;
mod parquet;
mod reader;
mod records;
mod rejects;
mod report;
mod row;
mod sink;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::heartbeat::Heartbeat;
use self::inputs::{Format, Inputs};
use self::new_apps::NewApps;
use self::reader::{Options, Reader};
use self::rejects::Rejects;
use self::report::{Findings, Report};
use self::sink::{Batch, Ended, NewApp, Sink};
use super::globals::Globals;
use super::output::thousands;
use super::{lookup, values};
use crate::collect::table::Rename;
use crate::metrics::Metrics;
use crate::model::App;
use crate::record::{RecordError, Recorder, Tally};
use crate::series::Zone;
use crate::store::{Role, Store};

/// Batches with the recorder at one time: some are committed while the others are the next commit. Large commits are
/// cheaper a session, above all over ClickHouse, where each one makes new files.
const IN_FLIGHT: usize = 16;

/// Record files of sessions
///
/// Each line, row or record is a session with the fields that POST /sessions/track takes. The format is told by the
/// files' names, else it is NDJSON. Files may be compressed with gzip or zstd, which is recognised by their content.
/// Of directories, all files in a known format are taken, by name. Sessions that were recorded before are not counted
/// again, so a file may be imported twice, or again after an interruption.
///
/// Refused lines are counted by reason, and the first ten are shown with their places. Exits with 1 if a line was refused
/// (unless --allow-rejects is given), a file could not be read to its end, or the import was interrupted; what had been
/// recorded by then stays recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter import sessions.ndjson.gz --workspace acme --rejects refused.ndjson
  sessionmeter import s3-copy/dataexport.prod-01.S3.integration.1234/ --format currents
  sessionmeter import exports/ 'more/2018-*.csv' --map started_at=ts --map attributes.plan=Plan
  sessionmeter import old.csv --time-zone Europe/Berlin --create-apps --dry-run
  zcat 2018-*.gz | sessionmeter import - --app 'Shop (iOS)'")]
pub(super) struct ImportArgs {
    /// Files, directories or patterns such as 'data/**/*.csv'; - is standard input, which is read to its end
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name or id of the workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// What all files are [default: by their names]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The column of a table that is a field, where it has another name; may be repeated. Upper and lower case are the same
    #[arg(long = "map", value_name = "FIELD=COLUMN")]
    renames: Vec<Rename>,
    /// Name or id of the app of lines that name none
    #[arg(long, short, value_name = "A")]
    app: Option<String>,
    /// Make the apps that lines name by ids which nothing has yet
    #[arg(long)]
    create_apps: bool,
    /// The time zone of times that are written without an offset
    #[arg(long, value_name = "ZONE", value_parser = values::time_zone)]
    time_zone: Option<String>,
    /// What separates the cells of CSV: one character, or 'tab' [default: a comma, a semicolon or a tab, as the header says]
    #[arg(long, value_name = "C", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Read and check everything, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// A new file for refused lines, unchanged, so that they can be mended and imported again
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Exit with 0 although lines were refused
    #[arg(long)]
    allow_rejects: bool,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [one] if *one == b'\t' || one.is_ascii_punctuation() && *one != b'"' => Ok(*one),
        _ => Err("give one character such as ';', or 'tab'".to_owned()),
    }
}

/// Runs the command.
pub(super) async fn run(args: ImportArgs, globals: &Globals) -> anyhow::Result<()> {
    let inputs = inputs::find(&args.files, args.format)?;
    if !args.renames.is_empty() && !inputs.files.iter().any(|input| input.format.is_a_table()) {
        bail!("--map is for files with columns, and there is none");
    }
    if args.delimiter.is_some() && !inputs.files.iter().any(|input| input.format == Format::Csv) {
        bail!("--delimiter is for CSV, and there is none");
    }
    let rejects = Rejects::new(args.rejects.clone())?;
    if let Some(zone) = &args.time_zone {
        values::warn_of_zone(zone);
    }
    let store = globals.open(Role::Existing).await?;
    let result = import(&store, &args, inputs, rejects, globals.json).await;
    store.close().await;
    result
}

async fn import(
    store: &Arc<dyn Store>,
    args: &ImportArgs,
    inputs: Inputs,
    rejects: Rejects,
    json: bool,
) -> anyhow::Result<()> {
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let default_app = args
        .app
        .as_deref()
        .map(|name| lookup::app(&workspace, name))
        .transpose()?
        .map(|app| app.id);
    let findings = Arc::new(Mutex::new(Findings::default()));
    for (path, why) in &inputs.passed_over {
        let name = path.display().to_string();
        findings.lock().passed_over(&name, why);
    }
    let progress = source::progress(&inputs.files);
    let (sink, batches) = Sink::new(
        store.clone(),
        workspace.clone(),
        default_app,
        args.create_apps,
        rejects,
        findings.clone(),
        progress.clone(),
    );
    let reader = Reader {
        sink,
        inputs: inputs.files,
        options: Options {
            renames: args.renames.clone(),
            delimiter: args.delimiter,
            zone: args.time_zone.as_deref().and_then(Zone::new),
        },
    };
    let started = Instant::now();
    let id = workspace.workspace.id;
    let recorded = Arc::new(Mutex::new(Tally::default()));
    let heartbeat = (!args.dry_run).then(|| {
        let about = (id, heartbeat::names(&args.files));
        Heartbeat::start(store.clone(), about, recorded.clone(), progress.clone())
    });
    let new_apps = NewApps::new(store.clone(), workspace, args.dry_run);
    let (done, result) = read_and_record(store, reader, batches, &progress, (new_apps, recorded)).await;
    if let Some(heartbeat) = heartbeat {
        heartbeat.stop().await;
    }
    progress.finish_and_clear();
    let report = Report {
        tally: done.tally,
        ended: done.ended,
        valid: args.dry_run.then_some(done.valid),
        made: done.made,
        findings: std::mem::take(&mut *findings.lock()),
        elapsed: started.elapsed(),
    };
    report.print(json)?;
    result?;
    match report.refused() {
        0 => Ok(()),
        _ if args.allow_rejects => Ok(()),
        _ if report.every_line_was_refused() => bail!("every line was refused"),
        1 => bail!("1 line was refused; with --allow-rejects that is no failure"),
        refused => bail!(
            "{} lines were refused; with --allow-rejects that is no failure",
            thousands(refused)
        ),
    }
}

/// Runs both sides until the files end, something fails or the user interrupts. What the recorder has taken by then
/// is finished and counted.
async fn read_and_record(
    store: &Arc<dyn Store>,
    reader: Reader,
    batches: mpsc::Receiver<Batch>,
    progress: &ProgressBar,
    (new_apps, recorded): (NewApps, Arc<Mutex<Tally>>),
) -> (Done, anyhow::Result<()>) {
    let recorder = Recorder::start(store.clone(), Arc::new(Metrics::new()));
    let mut recording = Recording {
        store: store.clone(),
        recorder: recorder.clone(),
        running: JoinSet::new(),
        done: Done::default(),
        progress,
        new_apps,
        recorded,
    };
    let result = match std::thread::Builder::new()
        .name("import-reader".into())
        .spawn(move || reader.read())
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
    let result = result.and(finished);
    if result.is_ok() && recording.done.tally.new > 0 {
        build(store.as_ref(), progress).await;
    }
    (recording.done, result)
}

/// Has the store do what the first questions about the new sessions would wait for. Whoever does not want to wait may interrupt
/// it: then the questions wait.
async fn build(store: &dyn Store, progress: &ProgressBar) {
    let say = |done: u64, total: u64| {
        let percent = done.saturating_mul(100) / total.max(1);
        progress.set_message(format!("recorded; building rollups of its days: {percent} %"));
    };
    tokio::select! {
        built = store.prepare_answers(&say) => if let Err(error) = built {
            tracing::warn!(%error, "rollups can't be built right now; they are built when somebody asks");
        },
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// What became of what was read.
#[derive(Default)]
struct Done {
    tally: Tally,
    ended: u64,
    /// What would have been recorded.
    valid: u64,
    /// Apps that were made.
    made: Vec<App>,
}

/// The recording side.
struct Recording<'a> {
    store: Arc<dyn Store>,
    recorder: Recorder,
    running: JoinSet<Result<Tally, RecordError>>,
    done: Done,
    progress: &'a ProgressBar,
    new_apps: NewApps,
    /// What has been counted so far, for who looks on.
    recorded: Arc<Mutex<Tally>>,
}

impl Recording<'_> {
    /// Records batches until there are no more.
    async fn take_all(&mut self, mut batches: mpsc::Receiver<Batch>) -> anyhow::Result<()> {
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            tokio::select! {
                batch = batches.recv(), if self.running.len() < IN_FLIGHT => match batch {
                    Some(Batch::App(app)) => self.make(app).await,
                    Some(Batch::Sessions(sessions)) if self.new_apps.is_dry_run() => {
                        self.done.valid += sessions.len() as u64;
                    }
                    Some(Batch::Ends(ends)) if self.new_apps.is_dry_run() => {
                        self.done.valid += ends.len() as u64;
                    }
                    Some(Batch::Sessions(sessions)) => {
                        let recorder = self.recorder.clone();
                        self.running.spawn(async move { recorder.record(sessions).await });
                    }
                    Some(Batch::Ends(ends)) => self.end(ends).await?,
                    None => return Ok(()),
                },
                Some(done) = self.running.join_next() => self.count(done??),
                _ = &mut interrupt => bail!(
                    "interrupted; import the same files again to go on: nothing is counted twice"
                ),
            }
        }
    }

    /// Makes an app for the reading side, which waits for it.
    async fn make(&mut self, app: NewApp) {
        let made = self.new_apps.make(app.id).await;
        if let Ok((new, _)) = &made {
            self.done.made.push(new.clone());
        }
        // Whoever asked may have ended meanwhile.
        let _ = app.made.send(made.map(|(_, workspace)| workspace));
    }

    /// Adds ends once every session that was read before is recorded.
    async fn end(&mut self, ends: Vec<Ended>) -> anyhow::Result<()> {
        self.finish().await?;
        let (ends, alone): (Vec<_>, Vec<_>) = ends.into_iter().map(|ended| (ended.end, ended.alone)).unzip();
        let found = self.store.end_sessions(ends).await?;
        self.done.ended += found.iter().filter(|found| **found).count() as u64;
        let unknown = alone.into_iter().zip(found).filter(|(_, found)| !found);
        let sessions: Vec<_> = unknown.map(|(session, _)| session).collect();
        if !sessions.is_empty() {
            let tally = self.recorder.record(sessions).await?;
            self.count(tally);
        }
        Ok(())
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
        self.done.tally.new += tally.new;
        self.done.tally.duplicates += tally.duplicates;
        *self.recorded.lock() = self.done.tally;
        self.progress
            .set_message(format!("{} recorded", thousands(self.done.tally.new)));
    }
}
