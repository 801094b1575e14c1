//! Segments as people and scripts read them.

use anyhow::Context as _;
use serde::Serialize;

use super::OneArgs;
use crate::cli::lookup;
use crate::cli::output::{print_bytes, print_json, print_line, utc, visible_line};
use crate::cli::table::table;
use crate::model::{Filter, Name, Segment, SegmentId};
use crate::store::Administration;

/// What every command that changes a segment prints with `--json`.
#[derive(Serialize)]
struct ChangedJson<'a> {
    id: SegmentId,
    name: &'a Name,
    analytics_tracking_enabled: bool,
}

/// An entry of `list`.
#[derive(Serialize)]
struct ListedJson<'a> {
    #[serde(flatten)]
    segment: ChangedJson<'a>,
    tags: &'a [String],
    workspace: &'a Name,
}

/// What `show` prints.
#[derive(Serialize)]
struct ShownJson<'a> {
    #[serde(flatten)]
    listed: ListedJson<'a>,
    filter: &'a Filter,
    /// The filter in words.
    description: String,
    text_description: &'a str,
    created_at: String,
    updated_at: String,
}

impl<'a> From<&'a Segment> for ChangedJson<'a> {
    fn from(segment: &'a Segment) -> Self {
        Self {
            id: segment.id,
            name: &segment.name,
            analytics_tracking_enabled: segment.tracked,
        }
    }
}

impl<'a> ListedJson<'a> {
    fn new(segment: &'a Segment, workspace: &'a Name) -> Self {
        Self {
            segment: segment.into(),
            tags: segment.notes.tags(),
            workspace,
        }
    }
}

fn tracking(segment: &Segment) -> &'static str {
    if segment.tracked { "on" } else { "off" }
}

/// What was done to a segment.
pub(super) enum Done {
    /// In this store.
    Created {
        place: String,
    },
    Changed,
    Deleted,
}

/// Says what was done.
pub(super) fn print_change(segment: &Segment, done: &Done, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(&ChangedJson::from(segment));
    }
    let what = match done {
        Done::Created { .. } => "created",
        Done::Changed => "changed",
        Done::Deleted => "deleted",
    };
    let mut text = format!(
        "{what} segment '{}'\n  id        {}\n  sessions  {}\n  tracking  {}",
        segment.name,
        segment.id,
        visible_line(&segment.filter.to_string()),
        tracking(segment)
    );
    if let Done::Created { place } = done {
        text.push_str(&format!("\n  store     {place}"));
    }
    print_line(&text)
}

/// All segments, or those of one workspace.
pub(super) fn list(store: &dyn Administration, workspace: Option<&str>, json: bool) -> anyhow::Result<()> {
    let entries = lookup::workspaces(&store.catalog(), workspace)?;
    let segments = || {
        entries.iter().flat_map(|entry| {
            entry
                .segments
                .iter()
                .map(|segment| (&entry.workspace.name, segment))
        })
    };
    if json {
        let items: Vec<_> = segments()
            .map(|(owner, segment)| ListedJson::new(segment, owner))
            .collect();
        return print_json(&items);
    }
    let rows: Vec<_> = segments()
        .map(|(owner, segment)| {
            [
                segment.id.to_string(),
                segment.name.to_string(),
                tracking(segment).to_owned(),
                segment.notes.tags().join(", "),
                owner.to_string(),
            ]
        })
        .collect();
    print_bytes(table(["ID", "NAME", "TRACKING", "TAGS", "WORKSPACE"], &rows).as_bytes())
}

/// Everything about one.
pub(super) fn show(store: &dyn Administration, one: &OneArgs, json: bool) -> anyhow::Result<()> {
    let workspaces = lookup::workspaces(&store.catalog(), one.workspace.as_deref())?;
    let segment = lookup::segment(&workspaces, &one.segment)?;
    let owner = workspaces
        .iter()
        .find(|entry| entry.segment(segment.id).is_some())
        .map(|entry| &entry.workspace.name)
        .context("its workspace")?;
    let notes = &segment.notes;
    if json {
        return print_json(&ShownJson {
            listed: ListedJson::new(segment, owner),
            filter: &segment.filter,
            description: segment.filter.to_string(),
            text_description: notes.description(),
            created_at: utc(segment.created_at),
            updated_at: utc(segment.updated_at),
        });
    }
    let mut lines = vec![
        format!("segment '{}' of workspace '{owner}'", segment.name),
        format!("  id        {}", segment.id),
        format!("  sessions  {}", visible_line(&segment.filter.to_string())),
        format!("  filter    {}", segment.filter.to_json()),
        format!("  tracking  {}", tracking(segment)),
        format!("  created   {}", utc(segment.created_at)),
        format!("  changed   {}", utc(segment.updated_at)),
    ];
    if !notes.tags().is_empty() {
        lines.push(format!("  tags      {}", notes.tags().join(", ")));
    }
    if !notes.description().is_empty() {
        lines.push(format!("  notes     {}", visible_line(notes.description())));
    }
    print_line(&lines.join("\n"))
}
