//! `segment`: named filters over sessions, and whether their sessions are counted.

mod print;
mod waiting;

use clap::{Args, Subcommand};

use self::print::{list, print_change, show};
use super::globals::Globals;
use super::lookup;
use crate::model::{Filter, Name, NewSegment, Segment, SegmentChange, SegmentId, SegmentNotes};
use crate::store::{Role, Store};

/// Create, list, change, track and delete segments
///
/// A segment is a named filter over sessions. With analytics tracking on, its sessions are counted: new ones as they are
/// recorded, the past in the background.
#[derive(Debug, Subcommand)]
pub(super) enum SegmentCommand {
    Create(CreateArgs),
    /// List segments
    #[command(after_help = "Example:\n  sessionmeter segment list --workspace acme")]
    List {
        /// Only of this workspace, by name or id
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Show a segment: its filter, in words as well
    #[command(after_help = "Example:\n  sessionmeter segment show Paying")]
    Show(OneArgs),
    Edit(EditArgs),
    /// Turn analytics tracking on: count the segment's sessions, the past as well
    #[command(after_help = "Example:\n  sessionmeter segment track Paying --wait")]
    Track {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Turn analytics tracking off: forget the segment's counts, but no session
    #[command(after_help = "Example:\n  sessionmeter segment untrack Paying")]
    Untrack(OneArgs),
    /// Delete a segment and its counts, but no session
    #[command(after_help = "Example:\n  sessionmeter segment delete Paying")]
    Delete(OneArgs),
}

/// Create a segment
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  sessionmeter segment create Brazil --workspace acme --filter '{"field": "country", "op": "eq", "value": "BR"}' --track
  sessionmeter segment create Paying --filter '{"all": [{"field": "attributes.plan", "op": "in", "value": ["pro", "team"]},
    {"not": {"field": "app_version", "op": "lt", "value": "4.10"}}]}'

Fields: app_id, platform, os_version, app_version, device_model, country, language, first_session, attributes.NAME
Operators: eq, ne, in, not_in, exists, lt, lte, gt, gte, prefix, contains
Groups: {"all": […]}, {"any": […]}, {"not": …}"#)]
pub(super) struct CreateArgs {
    /// Name, unique in its workspace
    name: Name,
    /// Name or id of its workspace; may be left out where there is only one
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// Which sessions belong to it, as JSON
    #[arg(long, short, value_name = "JSON")]
    filter: Filter,
    #[command(flatten)]
    notes: NotesArgs,
    /// Turn analytics tracking on
    #[arg(long)]
    track: bool,
    #[command(flatten)]
    wait: WaitArgs,
    /// Id, to keep one from elsewhere [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<SegmentId>,
}

/// Change a segment; another filter is counted anew
#[derive(Debug, Args)]
#[command(after_help = r#"Example:
  sessionmeter segment edit Brazil --filter '{"field": "country", "op": "in", "value": ["BR", "PT"]}' --wait"#)]
pub(super) struct EditArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Another name
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Another filter, as JSON
    #[arg(long, short, value_name = "JSON")]
    filter: Option<Filter>,
    #[command(flatten)]
    notes: NotesArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Names a segment.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// Name or id
    segment: String,
    /// Name or id of its workspace; needed where several have a segment of this name
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct NotesArgs {
    /// What people should know about it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A tag; repeat it for several
    #[arg(long, value_name = "TAG")]
    tag: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub(super) struct WaitArgs {
    /// Count the past now and return when that is done, instead of leaving it to the server
    #[arg(long)]
    wait: bool,
}

/// Runs the command.
pub(super) async fn run(command: SegmentCommand, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let result = run_on(store.as_ref(), command, globals.json).await;
    store.close().await;
    result
}

async fn run_on(store: &dyn Store, command: SegmentCommand, json: bool) -> anyhow::Result<()> {
    match command {
        SegmentCommand::Create(args) => create(store, args, json).await,
        SegmentCommand::List { workspace } => list(store, workspace.as_deref(), json),
        SegmentCommand::Show(one) => show(store, &one, json),
        SegmentCommand::Edit(args) => edit(store, args, json).await,
        SegmentCommand::Track { one, wait } => set_tracking(store, &one, true, &wait, json).await,
        SegmentCommand::Untrack(one) => {
            set_tracking(store, &one, false, &WaitArgs { wait: false }, json).await
        }
        SegmentCommand::Delete(one) => delete(store, &one, json).await,
    }
}

async fn create(store: &dyn Store, args: CreateArgs, json: bool) -> anyhow::Result<()> {
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let id = args.id.unwrap_or_else(SegmentId::random);
    let new = NewSegment {
        id,
        name: args.name,
        notes: SegmentNotes::default().with(args.notes.description, args.notes.tag)?,
        filter: args.filter,
        track: args.track,
    };
    store.create_segment(workspace.workspace.id, new).await?;
    finish(store, id, "created", &args.wait, json).await
}

async fn edit(store: &dyn Store, args: EditArgs, json: bool) -> anyhow::Result<()> {
    let segment = find(store, &args.one)?;
    let notes = segment.notes.changed(args.notes.description, args.notes.tag)?;
    let change = SegmentChange {
        name: args.name,
        notes,
        filter: args.filter,
        track: None,
    };
    store.change_segment(segment.id, change).await?;
    finish(store, segment.id, "changed", &args.wait, json).await
}

async fn set_tracking(
    store: &dyn Store,
    one: &OneArgs,
    on: bool,
    wait: &WaitArgs,
    json: bool,
) -> anyhow::Result<()> {
    let id = find(store, one)?.id;
    let change = SegmentChange {
        track: Some(on),
        ..SegmentChange::default()
    };
    store.change_segment(id, change).await?;
    finish(store, id, "changed", wait, json).await
}

async fn delete(store: &dyn Store, one: &OneArgs, json: bool) -> anyhow::Result<()> {
    let segment = find(store, one)?;
    store.delete_segment(segment.id).await?;
    print_change(&segment, "deleted", json)
}

/// Waits if asked to, and says what was done.
async fn finish(
    store: &dyn Store,
    id: SegmentId,
    what: &str,
    wait: &WaitArgs,
    json: bool,
) -> anyhow::Result<()> {
    if wait.wait {
        waiting::until_counted(store, id).await?;
    }
    let changed = lookup::segment(store.catalog().workspaces(), &id.to_string())?.clone();
    print_change(&changed, what, json)
}

fn find(store: &dyn Store, one: &OneArgs) -> anyhow::Result<Segment> {
    let workspaces = lookup::workspaces(&store.catalog(), one.workspace.as_deref())?;
    lookup::segment(&workspaces, &one.segment).cloned()
}
