//! `workspace`: tenants, their time zones, their limits and how long they keep sessions.

mod retention;

use clap::Subcommand;
use serde::Serialize;

use self::retention::KeptFor;
use super::confirm::{confirm, counted, sessions_of};
use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line, thousands};
use super::table::table;
use super::{lookup, values};
use crate::catalog::{Change, WorkspaceChange};
use crate::model::{Name, NewWorkspace, Retention, Weekday, Workspace, WorkspaceId};
use crate::store::{Administration, Role, Scope, Store};

/// Create, list, change and delete workspaces
///
/// A workspace is a tenant: a time zone whose days and hours its series count, its apps and its API keys.
#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Create a workspace
    #[command(after_help = "Example:\n  sessionmeter workspace create acme --time-zone America/New_York")]
    Create {
        /// Name, unique on the server
        name: Name,
        /// IANA time zone whose days and hours its series count
        #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = values::time_zone)]
        time_zone: String,
        /// Id, to keep one from elsewhere [default: a new one]
        #[arg(long, value_name = "UUID")]
        id: Option<WorkspaceId>,
    },
    /// List all workspaces
    #[command(after_help = "Example:\n  sessionmeter workspace list --json")]
    List,
    /// Give a workspace another name
    #[command(after_help = "Example:\n  sessionmeter workspace rename default acme")]
    Rename {
        /// Name or id
        workspace: String,
        /// The new name, unique on the server
        name: Name,
    },
    /// Delete a workspace with all that is in it, for good: apps and their sessions, keys, segments, users
    #[command(after_help = "Example:\n  sessionmeter workspace delete acme --yes")]
    Delete {
        /// Name or id
        workspace: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Change whose days and hours a workspace's series count
    ///
    /// Nothing is recounted: series are whole hours and days of the zone that is set when they are asked for.
    #[command(after_help = "Example:\n  sessionmeter workspace set-time-zone acme Europe/Berlin")]
    SetTimeZone {
        /// Name or id
        workspace: String,
        /// IANA time zone
        #[arg(value_name = "ZONE", value_parser = values::time_zone)]
        time_zone: String,
    },
    /// Change how many requests an hour a workspace may make
    #[command(after_help = "\
Examples:
  sessionmeter workspace set-rate-limit acme 1000000
  sessionmeter workspace set-rate-limit acme 0 --recording 0")]
    SetRateLimit {
        /// Name or id
        workspace: String,
        /// Requests per clock hour for all export endpoints together; 0 = no limit
        #[arg(value_name = "N")]
        export: u64,
        /// The same for recording; left as it is where this is not given
        #[arg(long, value_name = "N")]
        recording: Option<u64>,
    },
    /// Change how many segments of a workspace may have analytics tracking on
    #[command(after_help = "Example:\n  sessionmeter workspace set-segment-limit acme 100")]
    SetSegmentLimit {
        /// Name or id
        workspace: String,
        /// Segments, 0 = no limit; those that are tracked stay so
        #[arg(value_name = "N")]
        limit: u32,
    },
    /// Change for how many days a workspace keeps its sessions one by one
    ///
    /// Sessions of days (UTC) that are older are removed for good, and refused when they are delivered. What was counted of them
    /// stays, and answers every question as before: series, segments, users over time. A longer retention brings nothing back.
    #[command(after_help = "\
Examples:
  sessionmeter workspace set-retention acme 395
  sessionmeter workspace set-retention acme none")]
    SetRetention {
        /// Name or id
        workspace: String,
        /// Days, 1 to 36500, besides the running one; 'none' or 0 = for ever
        #[arg(value_name = "DAYS")]
        days: KeptFor,
        /// Don't ask before sessions are removed
        #[arg(long, short)]
        yes: bool,
    },
    /// Change on which day a workspace's weeks begin
    ///
    /// Nothing is recounted: series by week begin on the day that is set when they are asked for.
    #[command(after_help = "Example:\n  sessionmeter workspace set-first-weekday acme sunday")]
    SetFirstWeekday {
        /// Name or id
        workspace: String,
        /// Day of the week, in English: monday to sunday
        #[arg(value_name = "DAY")]
        day: Weekday,
    },
}

/// What `create` and `set-time-zone` print with `--json`.
#[derive(Serialize)]
struct CreatedJson<'a> {
    id: WorkspaceId,
    name: &'a Name,
    time_zone: &'a str,
}

/// An entry of `list`, and what commands print that change a limit, the retention or the first weekday.
#[derive(Serialize)]
struct ListedJson<'a> {
    #[serde(flatten)]
    workspace: CreatedJson<'a>,
    rate_limit: u64,
    recording_rate_limit: u64,
    segment_limit: u32,
    /// `null`: sessions are kept for ever.
    retention_days: Option<u32>,
    first_weekday: &'static str,
}

impl<'a> From<&'a Workspace> for CreatedJson<'a> {
    fn from(workspace: &'a Workspace) -> Self {
        Self {
            id: workspace.id,
            name: &workspace.name,
            time_zone: &workspace.time_zone,
        }
    }
}

impl<'a> From<&'a Workspace> for ListedJson<'a> {
    fn from(workspace: &'a Workspace) -> Self {
        Self {
            workspace: workspace.into(),
            rate_limit: workspace.rate_limits.export,
            recording_rate_limit: workspace.rate_limits.recording,
            segment_limit: workspace.segment_limit,
            retention_days: workspace.retention.map(Retention::days),
            first_weekday: workspace.first_weekday.as_str(),
        }
    }
}

/// Runs the command.
pub(super) async fn run(command: WorkspaceCommand, globals: &Globals) -> anyhow::Result<()> {
    // Only `create` makes sense on a machine that has no store yet.
    let role = match command {
        WorkspaceCommand::Create { .. } => Role::Command,
        _ => Role::Existing,
    };
    let work = async |store: &dyn Store| run_on(store, command, globals).await;
    globals.with_store(role, work).await
}

async fn run_on(store: &dyn Store, command: WorkspaceCommand, globals: &Globals) -> anyhow::Result<()> {
    let json = globals.json;
    match command {
        WorkspaceCommand::Create { name, time_zone, id } => {
            values::warn_of_zone(&time_zone);
            let id = id.unwrap_or_else(WorkspaceId::random);
            let new = NewWorkspace { id, name, time_zone };
            store.change(Change::CreateWorkspace(new)).await?;
            let created = current(store, id)?;
            if json {
                print_json(&CreatedJson::from(&created))
            } else {
                print_line(&format!(
                    "{}\n  store      {}",
                    in_words(&created, "created"),
                    globals.whole_place()
                ))
            }
        }
        WorkspaceCommand::Rename { workspace, name } => {
            let change = WorkspaceChange {
                name: Some(name),
                ..WorkspaceChange::default()
            };
            print_workspace(&changed(store, &workspace, change).await?, "renamed", json)
        }
        WorkspaceCommand::Delete { workspace, yes } => delete(store, &workspace, yes, json).await,
        WorkspaceCommand::List => list(store, json),
        WorkspaceCommand::SetTimeZone { workspace, time_zone } => {
            values::warn_of_zone(&time_zone);
            let change = WorkspaceChange {
                time_zone: Some(time_zone),
                ..WorkspaceChange::default()
            };
            print_workspace(&changed(store, &workspace, change).await?, "changed", json)
        }
        WorkspaceCommand::SetRateLimit {
            workspace,
            export,
            recording,
        } => {
            let change = WorkspaceChange {
                export_limit: Some(export),
                recording_limit: recording,
                ..WorkspaceChange::default()
            };
            print_limits(&changed(store, &workspace, change).await?, json)
        }
        WorkspaceCommand::SetSegmentLimit { workspace, limit } => {
            let change = WorkspaceChange {
                segment_limit: Some(limit),
                ..WorkspaceChange::default()
            };
            print_limits(&changed(store, &workspace, change).await?, json)
        }
        WorkspaceCommand::SetRetention { workspace, days, yes } => {
            retention::set(store, &workspace, days, yes, json).await
        }
        WorkspaceCommand::SetFirstWeekday { workspace, day } => {
            let change = WorkspaceChange {
                first_weekday: Some(day),
                ..WorkspaceChange::default()
            };
            print_first_weekday(&changed(store, &workspace, change).await?, json)
        }
    }
}

async fn delete(store: &dyn Store, given: &str, yes: bool, json: bool) -> anyhow::Result<()> {
    let entry = lookup::workspace(&store.catalog(), Some(given))?;
    let keys = entry.keys.iter().filter(|key| !key.revoked).count();
    let sessions = sessions_of(store, Scope::Workspace(entry.workspace.id)).await?;
    let question = format!(
        "Delete workspace '{}' with its {sessions}, {}, {} and {} for good?",
        entry.workspace.name,
        counted(entry.apps.len() as u64, "app"),
        counted(keys as u64, "key"),
        counted(entry.segments.len() as u64, "segment")
    );
    confirm(&question, yes)?;
    store.change(Change::DeleteWorkspace(entry.workspace.id)).await?;
    print_workspace(&entry.workspace, "deleted", json)
}

/// Changes the workspace with this name or id; how it is then.
async fn changed(
    store: &dyn Administration,
    name_or_id: &str,
    change: WorkspaceChange,
) -> anyhow::Result<Workspace> {
    let id = lookup::workspace(&store.catalog(), Some(name_or_id))?
        .workspace
        .id;
    store.change(Change::ChangeWorkspace(id, change)).await?;
    current(store, id)
}

fn current(store: &dyn Administration, id: WorkspaceId) -> anyhow::Result<Workspace> {
    Ok(lookup::workspace(&store.catalog(), Some(&id.to_string()))?
        .workspace
        .clone())
}

fn print_workspace(workspace: &Workspace, what: &str, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(&CreatedJson::from(workspace))
    } else {
        print_line(&in_words(workspace, what))
    }
}

fn in_words(workspace: &Workspace, what: &str) -> String {
    let Workspace {
        id, name, time_zone, ..
    } = workspace;
    format!("{what} workspace '{name}'\n  id         {id}\n  time zone  {time_zone}")
}

fn print_limits(workspace: &Workspace, json: bool) -> anyhow::Result<()> {
    let Workspace {
        name,
        rate_limits,
        segment_limit,
        ..
    } = workspace;
    if json {
        print_json(&ListedJson::from(workspace))
    } else {
        print_line(&format!(
            "changed workspace '{name}'\n  export     {}\n  recording  {}\n  tracked    {}",
            requests(rate_limits.export),
            requests(rate_limits.recording),
            segments(*segment_limit)
        ))
    }
}

fn print_first_weekday(workspace: &Workspace, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(&ListedJson::from(workspace))
    } else {
        let (name, day) = (&workspace.name, workspace.first_weekday.as_str());
        print_line(&format!("changed workspace '{name}'\n  weeks begin on  {day}"))
    }
}

fn requests(limit: u64) -> String {
    match limit {
        0 => "no limit".to_owned(),
        limit => format!("{} requests per hour", thousands(limit)),
    }
}

fn segments(limit: u32) -> String {
    match limit {
        0 => "any number of segments".to_owned(),
        limit => format!("at most {limit} segments"),
    }
}

fn limit_cell(limit: u64) -> String {
    match limit {
        0 => "none".to_owned(),
        limit => thousands(limit),
    }
}

fn list(store: &dyn Administration, json: bool) -> anyhow::Result<()> {
    let catalog = store.catalog();
    let workspaces = catalog.workspaces().iter().map(|entry| &entry.workspace);
    if json {
        return print_json(&workspaces.map(ListedJson::from).collect::<Vec<_>>());
    }
    let rows: Vec<_> = workspaces
        .map(|workspace| {
            [
                workspace.id.to_string(),
                workspace.name.to_string(),
                workspace.time_zone.clone(),
                limit_cell(workspace.rate_limits.export),
                limit_cell(workspace.rate_limits.recording),
                limit_cell(workspace.segment_limit.into()),
                retention::in_words(workspace.retention),
                workspace.first_weekday.as_str().to_owned(),
            ]
        })
        .collect();
    let head = [
        "ID",
        "NAME",
        "TIME ZONE",
        "EXPORTS/HOUR",
        "RECORDINGS/HOUR",
        "SEGMENTS",
        "RETENTION",
        "WEEKS BEGIN",
    ];
    print_bytes(table(head, &rows).as_bytes())
}
