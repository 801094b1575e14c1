//! `segment`: named filters over sessions, and whether their series may be asked for.

mod print;

use clap::{Args, Subcommand};

use self::print::{Done, list, print_change, show};
use super::globals::Globals;
use super::lookup;
use crate::catalog::Change;
use crate::model::{Filter, Name, NewSegment, Segment, SegmentChange, SegmentId, SegmentNotes};
use crate::store::{Administration, Role, Store};

/// Create, list, change, track and delete segments
///
/// A segment is a named filter over sessions. With analytics tracking on, which is the default, its series can be asked for,
/// the past included.
#[derive(Debug, Subcommand)]
pub(super) enum SegmentCommand {
    Create(CreateArgs),
    /// List segments
    #[command(after_help = "Example:\n  sessionmeter segment list --workspace acme")]
    List {
        /// Only of this workspace, by name or id [env: SESSIONMETER_WORKSPACE]
        #[arg(long, short, value_name = "W")]
        workspace: Option<String>,
    },
    /// Show a segment: its filter, in words as well
    #[command(after_help = "Example:\n  sessionmeter segment show Paying")]
    Show(OneArgs),
    Edit(EditArgs),
    /// Turn analytics tracking on, so that the segment's series can be asked for
    #[command(after_help = "Example:\n  sessionmeter segment track Paying")]
    Track {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Turn analytics tracking off, so that the segment's series can't be asked for
    #[command(after_help = "Example:\n  sessionmeter segment untrack Paying")]
    Untrack(OneArgs),
    /// Delete a segment, but no session
    #[command(after_help = "Example:\n  sessionmeter segment delete Paying")]
    Delete(OneArgs),
}

/// Create a segment
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  sessionmeter segment create Brazil --workspace acme --filter '{"field": "country", "op": "eq", "value": "BR"}'
  sessionmeter segment create Paying --filter '{"all": [{"field": "attributes.plan", "op": "in", "value": ["pro", "team"]},
    {"not": {"field": "app_version", "op": "lt", "value": "4.10"}}]}'

Fields: app_id, platform, os_version, app_version, device_model, country, language, first_session, attributes.NAME
Operators: eq, ne, in, not_in, exists, lt, lte, gt, gte, prefix, contains
Groups: {"all": […]}, {"any": […]}, {"not": …}"#)]
pub(super) struct CreateArgs {
    /// Name, unique in its workspace
    name: Name,
    /// Name or id of its workspace; may be left out where there is only one [env: SESSIONMETER_WORKSPACE]
    #[arg(long, short, value_name = "W")]
    workspace: Option<String>,
    /// Which sessions belong to it, as JSON
    #[arg(long, short, value_name = "JSON")]
    filter: Filter,
    #[command(flatten)]
    notes: NotesArgs,
    /// Turn analytics tracking on; it is on unless --no-track says otherwise
    #[arg(long)]
    track: bool,
    /// Leave analytics tracking off
    #[arg(long, conflicts_with = "track")]
    no_track: bool,
    #[command(flatten)]
    wait: WaitArgs,
    /// Id, to keep one from elsewhere [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<SegmentId>,
}

/// Change a segment
#[derive(Debug, Args)]
#[command(after_help = r#"Example:
  sessionmeter segment edit Brazil --filter '{"field": "country", "op": "in", "value": ["BR", "PT"]}'"#)]
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
    /// Name or id of its workspace; needed where several have a segment of this name [env: SESSIONMETER_WORKSPACE]
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
    /// Nothing has to be waited for any more; accepted for scripts that say it
    #[arg(long, hide = true)]
    wait: bool,
}

/// Runs the command.
pub(super) async fn run(command: SegmentCommand, globals: &Globals) -> anyhow::Result<()> {
    let work = async |store: &dyn Store| run_on(store, command, globals).await;
    globals.with_store(Role::Existing, work).await
}

async fn run_on(
    store: &dyn Administration,
    command: SegmentCommand,
    globals: &Globals,
) -> anyhow::Result<()> {
    let json = globals.json;
    match command {
        SegmentCommand::Create(args) => create(store, args, globals).await,
        SegmentCommand::List { workspace } => list(store, workspace.as_deref(), json),
        SegmentCommand::Show(one) => show(store, &one, json),
        SegmentCommand::Edit(args) => edit(store, args, json).await,
        SegmentCommand::Track { one, wait: _ } => set_tracking(store, &one, true, json).await,
        SegmentCommand::Untrack(one) => set_tracking(store, &one, false, json).await,
        SegmentCommand::Delete(one) => delete(store, &one, json).await,
    }
}

async fn create(store: &dyn Administration, args: CreateArgs, globals: &Globals) -> anyhow::Result<()> {
    let workspace = lookup::workspace(&store.catalog(), args.workspace.as_deref())?;
    let id = args.id.unwrap_or_else(SegmentId::random);
    let new = NewSegment {
        id,
        name: args.name,
        notes: SegmentNotes::default().with(args.notes.description, args.notes.tag)?,
        filter: args.filter,
        track: !args.no_track,
    };
    let change = Change::CreateSegment(workspace.workspace.id, new);
    store.change(change).await?;
    let done = Done::Created {
        place: globals.whole_place(),
    };
    finish(store, id, &done, globals.json)
}

async fn edit(store: &dyn Administration, args: EditArgs, json: bool) -> anyhow::Result<()> {
    let segment = find(store, &args.one)?;
    let notes = segment.notes.changed(args.notes.description, args.notes.tag)?;
    let change = SegmentChange {
        name: args.name,
        notes,
        filter: args.filter,
        track: None,
    };
    store.change(Change::ChangeSegment(segment.id, change)).await?;
    finish(store, segment.id, &Done::Changed, json)
}

async fn set_tracking(store: &dyn Administration, one: &OneArgs, on: bool, json: bool) -> anyhow::Result<()> {
    let id = find(store, one)?.id;
    let change = SegmentChange {
        track: Some(on),
        ..SegmentChange::default()
    };
    store.change(Change::ChangeSegment(id, change)).await?;
    finish(store, id, &Done::Changed, json)
}

async fn delete(store: &dyn Administration, one: &OneArgs, json: bool) -> anyhow::Result<()> {
    let segment = find(store, one)?;
    store.change(Change::DeleteSegment(segment.id)).await?;
    print_change(&segment, &Done::Deleted, json)
}

/// Says what was done.
fn finish(store: &dyn Administration, id: SegmentId, done: &Done, json: bool) -> anyhow::Result<()> {
    let changed = lookup::segment(store.catalog().workspaces(), &id.to_string())?.clone();
    print_change(&changed, done, json)
}

fn find(store: &dyn Administration, one: &OneArgs) -> anyhow::Result<Segment> {
    let workspaces = lookup::workspaces(&store.catalog(), one.workspace.as_deref())?;
    lookup::segment(&workspaces, &one.segment).cloned()
}
