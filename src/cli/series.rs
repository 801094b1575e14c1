//! `series`: the numbers of `GET /sessions/data_series`, for people.

mod chart;
mod terminal;

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use self::chart::{Chart, Row};
use super::globals::Globals;
use super::lookup;
use super::output::{print_bytes, print_line};
use crate::api::data_series;
use crate::model::{Segment, Tracking};
use crate::series::{EndingAt, Length, Unit, Window, ending_at};
use crate::store::{Role, Scope, Store, WorkspaceEntry};

/// Show sessions per day or hour as a table with bars
///
/// Units are whole days or hours of the workspace's time zone; the last one contains the instant that
/// --ending-at names. --json prints exactly what GET /sessions/data_series answers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter series
  sessionmeter series --workspace acme --app 'Shop (iOS)' --unit hour --length 24
  sessionmeter series --segment Paying
  sessionmeter series --length 100 --ending-at 2018-06-28 --csv > sessions.csv")]
pub(super) struct SeriesArgs {
    /// Name or id of the workspace; may be left out where there is only one
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// How many units, 1 to 100
    #[arg(long, short, value_name = "N", default_value = "14", value_parser = length)]
    length: Length,
    /// day or hour
    #[arg(long, short, value_name = "UNIT", default_value = "day")]
    unit: Unit,
    /// The series ends with the unit that contains this: ISO 8601, a date, or Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = ending_at::parse)]
    ending_at: Option<EndingAt>,
    /// Only this app, by name or id [default: all apps]
    #[arg(long, short, value_name = "A")]
    app: Option<String>,
    /// Only this segment, by name or id; it must have analytics tracking on [default: everyone]
    #[arg(long, short, value_name = "S")]
    segment: Option<String>,
    /// Print two columns: time,sessions
    #[arg(long)]
    pub(super) csv: bool,
}

fn length(text: &str) -> Result<Length, String> {
    Length::parse(text).ok_or_else(|| "give an integer from 1 to 100".to_owned())
}

/// Runs the command.
pub(super) async fn run(args: SeriesArgs, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = run_on(store.as_ref(), &args, globals.json).await;
    store.close().await;
    result
}

async fn run_on(store: &dyn Store, args: &SeriesArgs, json: bool) -> anyhow::Result<()> {
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let app = args
        .app
        .as_deref()
        .map(|name| lookup::app(&workspace, name))
        .transpose()?;
    let segment = match args.segment.as_deref() {
        None => None,
        Some(name) => Some(counted(store, &workspace, name).await?),
    };
    let scope = app.map_or(Scope::Workspace(workspace.workspace.id), |app| Scope::App(app.id));
    let now = jiff::Timestamp::now().as_millisecond();
    let window = Window::new(
        &workspace.zone,
        args.unit,
        args.length,
        args.ending_at.as_ref(),
        now,
    );
    let id = segment.map(|segment| segment.id);
    let counts = store.count(scope, id, window.edges()).await?;
    if json {
        let body = String::from_utf8(data_series::body(&window, &counts))?;
        return print_line(&body);
    }
    if args.csv {
        return print_bytes(csv(&window, &counts).as_bytes());
    }
    let title = title(
        &workspace,
        args.unit,
        app.map(|app| app.name.as_str()),
        segment.map(|segment| segment.name.as_str()),
    );
    let rows = window
        .labels()
        .zip(counts)
        .map(|(label, sessions)| Row {
            label: label.to_string(),
            sessions,
        })
        .collect();
    let chart = Chart {
        rows,
        width: terminal::width(),
        blocks: terminal::shows_unicode(),
    };
    print_bytes(format!("{title}\n\n{chart}").as_bytes())
}

/// The segment, if there is an answer for it.
async fn counted<'a>(
    store: &dyn Store,
    workspace: &'a Arc<WorkspaceEntry>,
    name: &str,
) -> anyhow::Result<&'a Segment> {
    let segment = lookup::segment(std::slice::from_ref(workspace), name)?;
    match segment.tracking {
        Tracking::On => Ok(segment),
        Tracking::Off => bail!(
            "segment '{0}' has no analytics tracking; turn it on with 'sessionmeter segment track {0}'",
            segment.name
        ),
        Tracking::Counting => {
            let percent = store.counting(Some(segment.id)).await?.percent().min(99);
            bail!(
                "segment is being counted ({percent} %); 'sessionmeter segment track {} --wait' waits for it",
                segment.name
            )
        }
    }
}

fn title(workspace: &WorkspaceEntry, unit: Unit, app: Option<&str>, segment: Option<&str>) -> String {
    let whose = app.map_or_else(|| "all apps".to_owned(), |name| format!("app {name}"));
    let segment = segment.map_or_else(String::new, |name| format!(", segment {name}"));
    let workspace = &workspace.workspace;
    format!(
        "Sessions per {unit}: workspace {}, {whose}{segment}, {}",
        workspace.name, workspace.time_zone
    )
}

fn csv(window: &Window, counts: &[u64]) -> String {
    let mut text = String::from("time,sessions\n");
    for (label, sessions) in window.labels().zip(counts) {
        // Writing to a String can't fail, and no label has a comma or a quote.
        let _ = writeln!(text, "{label},{sessions}");
    }
    text
}
