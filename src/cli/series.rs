//! `series`: the numbers of the reading endpoints, for people.

mod chart;
mod print;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::globals::Globals;
use super::lookup;
use crate::catalog::WorkspaceEntry;
use crate::count::{Answer, Apps, Counter, GroupBy, MAX_LIMIT, Metric, Question};
use crate::model::{App, Filter, Segment};
use crate::series::{EndingAt, Length, Range, Step, ending_at};
use crate::store::{Role, Store, now};

const COUNTING: &str = "counting sessions  {bar:30}  {percent:>3} %";

/// Show sessions or users over time as a table with bars
///
/// Units are of the workspace's time zone; the last one contains the instant that --ending-at names. One that is not over
/// yet is marked with an asterisk. With --by, the table has the groups' numbers of the whole range; --csv and --json have
/// them by unit as well. --json prints exactly what the endpoint for the same numbers answers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter series
  sessionmeter series --workspace acme --app 'Shop (iOS)' --unit hour --length 24
  sessionmeter series --segment Paying --metric mau
  sessionmeter series --from 2026-01-01 --unit month --by country
  sessionmeter series --length 100 --ending-at 2018-06-28 --csv > sessions.csv")]
pub(super) struct SeriesArgs {
    /// Name or id of the workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// How many units, 1 to 100
    #[arg(long, short, value_name = "N", default_value = "14", value_parser = length)]
    length: Length,
    /// hour, day, week or month, or total for all of them as one
    #[arg(long, short, value_name = "UNIT", default_value = "day")]
    unit: Step,
    /// The series ends with the unit that contains this: ISO 8601, a date, or Unix seconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = ending_at::parse)]
    ending_at: Option<EndingAt>,
    /// The first unit contains this, in the place of --length
    #[arg(long, value_name = "TIME", value_parser = from, conflicts_with_all = ["length", "ending_at"])]
    from: Option<EndingAt>,
    /// The last unit contains this [default: now]
    #[arg(long, value_name = "TIME", value_parser = to, requires = "from")]
    to: Option<EndingAt>,
    /// Only this app, by name or id; may be given several times [default: all apps]
    #[arg(long, short, value_name = "A")]
    app: Vec<String>,
    /// Only this segment, by name or id; it must have analytics tracking on [default: everyone]
    #[arg(long, short, value_name = "S")]
    segment: Option<String>,
    /// Only sessions for which this filter holds, as segments have it
    #[arg(long, value_name = "JSON")]
    filter: Option<Filter>,
    /// Group by a field: app_id, segment_id, country, attributes.plan, …
    #[arg(long, value_name = "FIELD", value_parser = field)]
    by: Option<GroupBy>,
    /// How many groups, the largest, 1 to 1000
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    limit: u32,
    /// What is counted
    #[arg(long, short, value_name = "METRIC", default_value = "sessions")]
    metric: Shown,
    /// Print columns: time, group (with --by) and the number
    #[arg(long)]
    pub(super) csv: bool,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Shown {
    /// Sessions, by their start
    Sessions,
    /// Distinct users of each unit
    Users,
    /// Distinct users of each day
    Dau,
    /// Distinct users over the 30 days that end with each day
    Mau,
    /// Users whose first session is in the unit
    NewUsers,
    /// Sessions for each user of the day
    SessionsPerDau,
    /// Users of the day for each user of the 30 days that end with it
    Stickiness,
}

impl Shown {
    /// What is asked for: one number, or two of which the first is divided by the second.
    fn metrics(self) -> (Metric, Option<Metric>) {
        match self {
            Self::Sessions => (Metric::Sessions, None),
            Self::Users => (Metric::Users, None),
            Self::Dau => (Metric::Dau, None),
            Self::Mau => (Metric::Mau, None),
            Self::NewUsers => (Metric::NewUsers, None),
            Self::SessionsPerDau => (Metric::Sessions, Some(Metric::Dau)),
            Self::Stickiness => (Metric::Dau, Some(Metric::Mau)),
        }
    }

    /// In words.
    fn title(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions",
            Self::Users => "Users",
            Self::Dau => "Daily active users",
            Self::Mau => "Monthly active users",
            Self::NewUsers => "New users",
            Self::SessionsPerDau => "Sessions per daily active user",
            Self::Stickiness => "Daily by monthly active users",
        }
    }

    /// The name of the number.
    fn name(self) -> &'static str {
        match self {
            Self::SessionsPerDau => "sessions_per_dau",
            Self::Stickiness => "stickiness",
            other => other.metrics().0.as_str(),
        }
    }

    /// Of ratios, digits behind the point.
    fn digits(self) -> usize {
        match self {
            Self::Stickiness => 3,
            _ => 2,
        }
    }
}

fn length(text: &str) -> Result<Length, String> {
    Length::parse(text).ok_or_else(|| "give an integer from 1 to 100".to_owned())
}

fn from(text: &str) -> Result<EndingAt, String> {
    ending_at::parse_named("from", text).map_err(|error| error.to_string())
}

fn to(text: &str) -> Result<EndingAt, String> {
    ending_at::parse_named("to", text).map_err(|error| error.to_string())
}

fn field(text: &str) -> Result<GroupBy, String> {
    if text == "segment_id" {
        return Ok(GroupBy::Segment);
    }
    text.parse()
        .map(GroupBy::Field)
        .map_err(|error: crate::model::FieldError| error.to_string())
}

/// Runs the command.
pub(super) async fn run(args: SeriesArgs, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = run_on(&store, &args, globals.json).await;
    store.close().await;
    result
}

/// Whose sessions are shown.
struct Selected<'a> {
    workspace: &'a Arc<WorkspaceEntry>,
    apps: Vec<&'a App>,
    segment: Option<&'a Segment>,
}

async fn run_on(store: &Arc<dyn Store>, args: &SeriesArgs, json: bool) -> anyhow::Result<()> {
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let apps = args.app.iter().map(|name| lookup::app(&workspace, name));
    let selected = Selected {
        workspace: &workspace,
        apps: apps.collect::<Result<_, _>>()?,
        segment: args
            .segment
            .as_deref()
            .map(|name| tracked(&workspace, name))
            .transpose()?,
    };
    let now = now();
    let (counter, bar) = (Counter::default(), ProgressBar::new(100));
    bar.set_style(ProgressStyle::with_template(COUNTING)?);
    let ask = async |metric: Metric| -> anyhow::Result<Arc<Answer>> {
        let question = question(args, metric, &selected);
        let progress = |percent| bar.set_position(percent);
        Ok(counter
            .answer_patiently(store, &workspace, &question, now, &progress)
            .await?)
    };
    let (metric, by) = args.metric.metrics();
    let answer = ask(metric).await?;
    let divided_by = match by {
        None => None,
        Some(metric) => Some(ask(metric).await?),
    };
    bar.finish_and_clear();
    let printed = print::Printed {
        args,
        selected: &selected,
        answer: &answer,
        divided_by: divided_by.as_deref(),
        now,
    };
    if json {
        printed.json()
    } else if args.csv {
        printed.csv()
    } else {
        printed.table()
    }
}

fn question(args: &SeriesArgs, metric: Metric, selected: &Selected<'_>) -> Question {
    let range = match args.from {
        Some(from) => Range::Between { from, to: args.to },
        None => Range::Last {
            length: u32::try_from(args.length.get()).unwrap_or(u32::MAX),
            ending_at: args.ending_at,
        },
    };
    let apps = match selected.apps.as_slice() {
        [] => Apps::All,
        apps => Apps::These(apps.iter().map(|app| app.id).collect()),
    };
    Question {
        metric,
        range,
        step: args.unit,
        apps,
        segment: selected.segment.map(|segment| segment.id),
        filter: args.filter.clone(),
        group_by: args.by.clone(),
        limit: args.limit,
    }
}

/// The segment, if its series may be asked for.
fn tracked<'a>(workspace: &'a Arc<WorkspaceEntry>, name: &str) -> anyhow::Result<&'a Segment> {
    let segment = lookup::segment(std::slice::from_ref(workspace), name)?;
    if !segment.tracked {
        bail!(
            "segment '{0}' has no analytics tracking; turn it on with 'sessionmeter segment track {0}'",
            segment.name
        )
    }
    Ok(segment)
}
