//! `demo`: the server over a throw-away store full of believable sessions.

mod announcement;
mod generator;
mod profile;
mod rng;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::announcement::Demo;
use self::generator::{DAYS, Generator};
use self::profile::PROFILES;
use super::globals::Globals;
use super::serve::{Listening, ServeArgs, serve_store};
use crate::catalog::Change;
use crate::metrics::Metrics;
use crate::model::{App, KeyId, KeySecret, Name, NewKey, NewWorkspace, Permissions, WorkspaceId};
use crate::record::Recorder;
use crate::series::Zone;
use crate::store::sqlite::SqliteStore;
use crate::store::{Administration, Place, Role, Store};

const SEED: u64 = 0x5E55_1011;
/// Days that are recorded in one go.
const DAYS_A_BATCH: usize = 10;

/// Run the server over a throw-away store with 100 days of sessions
///
/// Prints commands to paste. The sessions are made up, and the store is in a temporary directory: everything is gone
/// when the demo ends. --data is not touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter demo
  sessionmeter demo --listen 127.0.0.1:0")]
pub(super) struct DemoArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs the command.
pub(super) async fn run(args: DemoArgs, globals: &Globals) -> anyhow::Result<()> {
    let mut serve = args.serve.or_config(globals)?;
    serve.open_dashboard = true;
    let directory = tempfile::Builder::new()
        .prefix("sessionmeter-demo-")
        .tempdir()
        .context("can't create a temporary directory")?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path(), Role::Server)?);
    let result = fill_and_serve(store.clone(), directory.path(), serve, globals.json).await;
    store.close().await;
    drop(store);
    result.and(remove(directory))
}

fn remove(directory: tempfile::TempDir) -> anyhow::Result<()> {
    let path = directory.path().display().to_string();
    directory.close().with_context(|| format!("can't remove {path}"))
}

async fn fill_and_serve(
    store: Arc<dyn Store>,
    directory: &Path,
    serve: ServeArgs,
    json: bool,
) -> anyhow::Result<()> {
    // Until the server runs, and stops in its own way, Ctrl-C must still remove the directory.
    let demo = tokio::select! {
        demo = fill(&store) => demo?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    let place = Place::Directory(directory.to_owned());
    serve_store((store.clone(), place), serve, async |listening: &Listening| {
        announcement::print(&demo, directory, listening, json)
    })
    .await
}

async fn fill(store: &Arc<dyn Store>) -> anyhow::Result<Demo> {
    let (time_zone, zone) = local_zone();
    let workspace = WorkspaceId::random();
    let name: Name = "demo".parse()?;
    let new = NewWorkspace {
        id: workspace,
        name: name.clone(),
        time_zone: time_zone.clone(),
    };
    store.change(Change::CreateWorkspace(new)).await?;
    let mut apps = Vec::new();
    for profile in &PROFILES {
        let app = App {
            id: profile.id.parse()?,
            name: profile.name.parse()?,
            platform: profile.platform.to_owned(),
        };
        store.change(Change::CreateApp(workspace, app.clone())).await?;
        apps.push(app);
    }
    let secret = create_key(store.as_ref(), workspace, name).await?;
    let sessions = record(store, zone).await?;
    Ok(Demo {
        time_zone,
        apps,
        secret,
        sessions,
    })
}

async fn create_key(
    store: &dyn Administration,
    workspace: WorkspaceId,
    name: Name,
) -> anyhow::Result<KeySecret> {
    let secret = KeySecret::generate()?;
    let key = NewKey {
        id: KeyId::random(),
        name,
        hash: secret.hash(),
        permissions: Permissions::All,
        allow: Vec::new(),
    };
    store.change(Change::CreateKey(workspace, key)).await?;
    Ok(secret)
}

/// Records the sessions as any client's are, and says how many there are.
async fn record(store: &Arc<dyn Store>, zone: TimeZone) -> anyhow::Result<u64> {
    let generator = Arc::new(Generator::new(SEED, zone, Timestamp::now())?);
    let recorder = Recorder::start(store.clone(), Arc::new(Metrics::new()));
    let mut sessions = 0;
    for first in (0..DAYS).step_by(DAYS_A_BATCH) {
        let generator = generator.clone();
        let batch = tokio::task::spawn_blocking(move || {
            let days = (first..DAYS).take(DAYS_A_BATCH).map(|day| generator.day(day));
            days.collect::<anyhow::Result<Vec<_>>>()
        });
        sessions += recorder.record(batch.await??.concat()).await?.new;
    }
    recorder.close().await;
    Ok(sessions)
}

/// The machine's own time zone, if it has a name that we know; UTC otherwise.
fn local_zone() -> (String, TimeZone) {
    let system = TimeZone::try_system().ok();
    let name = system.as_ref().and_then(TimeZone::iana_name);
    let known = name.and_then(Zone::new).map(|zone| zone.name().to_owned());
    match known.and_then(|name| TimeZone::get(&name).ok().map(|zone| (name, zone))) {
        Some(found) => found,
        None => ("UTC".to_owned(), TimeZone::UTC),
    }
}
