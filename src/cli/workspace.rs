//! `workspace`: tenants, their time zones and their limits.

use clap::Subcommand;
use serde::Serialize;

use super::globals::Globals;
use super::output::{print_bytes, print_json, print_line, table, thousands};
use super::{lookup, values};
use crate::model::{Name, NewWorkspace, Workspace, WorkspaceId};
use crate::store::{RateLimitChange, Role, Store};

/// Create, list and change workspaces
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
        /// Segments; those that are tracked stay so
        #[arg(value_name = "N")]
        limit: u32,
    },
}

/// What `create` and `set-time-zone` print with `--json`.
#[derive(Serialize)]
struct CreatedJson<'a> {
    id: WorkspaceId,
    name: &'a Name,
    time_zone: &'a str,
}

/// An entry of `list`, and what `set-rate-limit` and `set-segment-limit` print.
#[derive(Serialize)]
struct ListedJson<'a> {
    #[serde(flatten)]
    workspace: CreatedJson<'a>,
    rate_limit: u64,
    recording_rate_limit: u64,
    segment_limit: u32,
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
    let store = globals.open(role).await?;
    let result = run_on(store.as_ref(), command, globals.json).await;
    store.close().await;
    result
}

async fn run_on(store: &dyn Store, command: WorkspaceCommand, json: bool) -> anyhow::Result<()> {
    match command {
        WorkspaceCommand::Create { name, time_zone, id } => {
            let id = id.unwrap_or_else(WorkspaceId::random);
            let created = store
                .create_workspace(NewWorkspace { id, name, time_zone })
                .await?;
            print_workspace(&created, "created", json)
        }
        WorkspaceCommand::List => list(store, json),
        WorkspaceCommand::SetTimeZone { workspace, time_zone } => {
            let id = find(store, &workspace)?;
            store.set_time_zone(id, time_zone).await?;
            print_workspace(&current(store, id)?, "changed", json)
        }
        WorkspaceCommand::SetRateLimit {
            workspace,
            export,
            recording,
        } => {
            let id = find(store, &workspace)?;
            let change = RateLimitChange {
                export: Some(export),
                recording,
            };
            store.set_rate_limits(id, change).await?;
            print_limits(&current(store, id)?, json)
        }
        WorkspaceCommand::SetSegmentLimit { workspace, limit } => {
            let id = find(store, &workspace)?;
            store.set_segment_limit(id, limit).await?;
            print_limits(&current(store, id)?, json)
        }
    }
}

fn find(store: &dyn Store, name_or_id: &str) -> anyhow::Result<WorkspaceId> {
    Ok(lookup::workspace(&store.catalog(), Some(name_or_id))?
        .workspace
        .id)
}

fn current(store: &dyn Store, id: WorkspaceId) -> anyhow::Result<Workspace> {
    Ok(lookup::workspace(&store.catalog(), Some(&id.to_string()))?
        .workspace
        .clone())
}

fn print_workspace(workspace: &Workspace, what: &str, json: bool) -> anyhow::Result<()> {
    let Workspace {
        id, name, time_zone, ..
    } = workspace;
    match json {
        true => print_json(&CreatedJson::from(workspace)),
        false => print_line(&format!(
            "{what} workspace '{name}'\n  id         {id}\n  time zone  {time_zone}"
        )),
    }
}

fn print_limits(workspace: &Workspace, json: bool) -> anyhow::Result<()> {
    let Workspace {
        name,
        rate_limits,
        segment_limit,
        ..
    } = workspace;
    match json {
        true => print_json(&ListedJson::from(workspace)),
        false => print_line(&format!(
            "changed workspace '{name}'\n  export     {}\n  recording  {}\n  tracked    at most {segment_limit} segments",
            requests(rate_limits.export),
            requests(rate_limits.recording)
        )),
    }
}

fn requests(limit: u64) -> String {
    match limit {
        0 => "no limit".to_owned(),
        limit => format!("{} requests per hour", thousands(limit)),
    }
}

fn limit_cell(limit: u64) -> String {
    match limit {
        0 => "none".to_owned(),
        limit => thousands(limit),
    }
}

fn list(store: &dyn Store, json: bool) -> anyhow::Result<()> {
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
                workspace.segment_limit.to_string(),
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
    ];
    print_bytes(table(head, &rows).as_bytes())
}
