//! What may be changed in the catalog, and what keeps a change from being made. The rules are those of the embedded
//! store.

use super::catalog::{Draft, TrackedSegment};
use crate::model::{
    App, DEFAULT_SEGMENT_LIMIT, Filter, Millis, NewKey, NewSegment, NewWorkspace, RateLimits, SegmentChange,
    Workspace, WorkspaceId,
};
use crate::store::records::{AppRecord, KeyRecord, Records, SegmentRecord, WorkspaceRecord};
use crate::store::{RateLimitChange, StoreError};

fn claim_name<'a>(
    mut taken: impl Iterator<Item = &'a String>,
    noun: &str,
    name: &str,
) -> Result<(), StoreError> {
    match taken.any(|taken| taken == name) {
        true => Err(StoreError::name_taken(noun, name)),
        false => Ok(()),
    }
}

pub(super) fn create_workspace(
    draft: &mut Draft,
    new: NewWorkspace,
    now: Millis,
) -> Result<Workspace, StoreError> {
    let id = new.id.to_string();
    draft.claim_id(&id)?;
    claim_name(
        draft.workspaces().map(|other| &other.name),
        "workspace",
        new.name.as_str(),
    )?;
    let limits = RateLimits::default();
    let record = WorkspaceRecord {
        id,
        name: new.name.to_string(),
        time_zone: new.time_zone,
        export_limit: limits.export,
        recording_limit: limits.recording,
        segment_limit: DEFAULT_SEGMENT_LIMIT,
        created_at: now,
    };
    let workspace = record.workspace()?;
    draft.put_workspace(record)?;
    Ok(workspace)
}

/// Changes one thing about a workspace.
fn change_workspace(
    draft: &mut Draft,
    workspace: WorkspaceId,
    change: impl FnOnce(&mut WorkspaceRecord),
) -> Result<(), StoreError> {
    let mut record = draft.workspace(&workspace.to_string())?;
    change(&mut record);
    draft.put_workspace(record)
}

pub(super) fn set_time_zone(
    draft: &mut Draft,
    workspace: WorkspaceId,
    time_zone: String,
) -> Result<(), StoreError> {
    change_workspace(draft, workspace, |record| record.time_zone = time_zone)
}

pub(super) fn set_rate_limits(
    draft: &mut Draft,
    workspace: WorkspaceId,
    change: RateLimitChange,
) -> Result<(), StoreError> {
    change_workspace(draft, workspace, |record| {
        record.export_limit = change.export.unwrap_or(record.export_limit);
        record.recording_limit = change.recording.unwrap_or(record.recording_limit);
    })
}

pub(super) fn set_segment_limit(
    draft: &mut Draft,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<(), StoreError> {
    change_workspace(draft, workspace, |record| record.segment_limit = limit)
}

pub(super) fn create_app(
    draft: &mut Draft,
    workspace: WorkspaceId,
    new: &App,
    now: Millis,
) -> Result<(), StoreError> {
    let owner = draft.workspace(&workspace.to_string())?.id;
    let id = new.id.to_string();
    draft.claim_id(&id)?;
    let others = draft.apps().filter(|other| other.workspace == owner);
    claim_name(others.map(|other| &other.name), "app", new.name.as_str())?;
    draft.put_app(AppRecord {
        id,
        workspace: owner,
        name: new.name.to_string(),
        platform: new.platform.clone(),
        created_at: now,
    })
}

pub(super) fn create_key(
    draft: &mut Draft,
    workspace: WorkspaceId,
    new: NewKey,
    now: Millis,
) -> Result<(), StoreError> {
    let owner = draft.workspace(&workspace.to_string())?.id;
    let id = new.id.to_string();
    draft.claim_id(&id)?;
    let others = draft
        .keys()
        .filter(|other| other.workspace == owner && other.revoked_at.is_none());
    claim_name(others.map(|other| &other.name), "key", new.name.as_str())?;
    draft.put_key(KeyRecord {
        id,
        workspace: owner,
        name: new.name.to_string(),
        hash: new.hash.as_bytes().to_vec(),
        permissions: new.permissions.names().into_iter().map(Into::into).collect(),
        allow: new.allow,
        created_at: now,
        revoked_at: None,
        last_used_at: None,
    })
}

pub(super) fn revoke_key(draft: &mut Draft, key: &str, now: Millis) -> Result<(), StoreError> {
    let mut record = draft.key(key)?;
    record.revoked_at = record.revoked_at.or(Some(now));
    draft.put_key(record)
}

pub(super) fn create_segment(
    draft: &mut Draft,
    workspace: WorkspaceId,
    new: NewSegment,
    now: Millis,
) -> Result<(), StoreError> {
    let owner = draft.workspace(&workspace.to_string())?.id;
    let id = new.id.to_string();
    draft.claim_id(&id)?;
    claim_segment_name(draft, &owner, new.name.as_str())?;
    let mut segment = TrackedSegment {
        record: SegmentRecord {
            id,
            workspace: owner,
            name: new.name.to_string(),
            description: new.notes.description().to_owned(),
            tags: new.notes.tags().to_vec(),
            filter: new.filter.to_json(),
            tracked: false,
            created_at: now,
            updated_at: now,
        },
        series: None,
        counted: false,
    };
    if new.track {
        track(draft, &mut segment)?;
    }
    draft.put_segment(segment)
}

pub(super) fn change_segment(
    draft: &mut Draft,
    id: &str,
    change: SegmentChange,
    now: Millis,
) -> Result<(), StoreError> {
    let mut segment = draft.segment(id)?;
    if let Some(name) = change.name.filter(|name| name.as_str() != segment.record.name) {
        claim_segment_name(draft, &segment.record.workspace, name.as_str())?;
        segment.record.name = name.to_string();
    }
    if let Some(notes) = change.notes {
        segment.record.description = notes.description().to_owned();
        segment.record.tags = notes.tags().to_vec();
    }
    let filter = change.filter.as_ref().map(Filter::to_json);
    let new_filter = filter.filter(|filter| *filter != segment.record.filter);
    let is_new = new_filter.is_some();
    if let Some(filter) = new_filter {
        segment.record.filter = filter;
    }
    match (change.track, segment.series.is_some()) {
        (Some(false), true) => segment.series = None,
        (Some(true), false) => track(draft, &mut segment)?,
        (None | Some(true), true) if is_new => wait(draft, &mut segment),
        _ => {}
    }
    segment.record.updated_at = now;
    draft.put_segment(segment)
}

/// The counts of these series are complete now, if nobody changed the segments meanwhile.
pub(super) fn finish_counting(draft: &mut Draft, counted: &[u64]) -> Result<(), StoreError> {
    let is_done = |segment: &&TrackedSegment| segment.series.is_some_and(|series| counted.contains(&series));
    let done: Vec<TrackedSegment> = draft.segments().filter(is_done).cloned().collect();
    for mut segment in done {
        segment.counted = true;
        draft.put_segment(segment)?;
    }
    Ok(())
}

/// Takes over what another store holds. What is there already becomes as it is there; segments that are tracked are
/// counted anew where they changed.
pub(super) fn adopt(draft: &mut Draft, records: Records) -> Result<(), StoreError> {
    for record in records.workspaces {
        if draft.workspace(&record.id).ok().as_ref() != Some(&record) {
            draft.put_workspace(record)?;
        }
    }
    for record in records.apps {
        if !draft.apps().any(|known| *known == record) {
            draft.put_app(record)?;
        }
    }
    for record in records.keys {
        if !draft.keys().any(|known| *known == record) {
            draft.put_key(record)?;
        }
    }
    for record in records.segments {
        let known = draft.segment(&record.id).ok();
        let same = known
            .filter(|known| known.record.filter == record.filter && known.series.is_some() == record.tracked);
        let tracked = record.tracked;
        let mut segment = TrackedSegment {
            record: SegmentRecord {
                tracked: false,
                ..record
            },
            series: same.as_ref().and_then(|known| known.series),
            counted: same.is_some_and(|known| known.counted),
        };
        if tracked && segment.series.is_none() {
            wait(draft, &mut segment);
        }
        draft.put_segment(segment)?;
    }
    Ok(())
}

fn claim_segment_name(draft: &Draft, workspace: &str, name: &str) -> Result<(), StoreError> {
    let others = draft
        .segments()
        .filter(|other| other.record.workspace == workspace);
    claim_name(others.map(|other| &other.record.name), "segment", name)
}

/// Turns tracking on, if the workspace may have one more.
fn track(draft: &Draft, segment: &mut TrackedSegment) -> Result<(), StoreError> {
    let limit = draft.workspace(&segment.record.workspace)?.segment_limit;
    let tracked = draft
        .segments()
        .filter(|other| other.record.workspace == segment.record.workspace && other.series.is_some());
    let tracked = u32::try_from(tracked.count()).unwrap_or(u32::MAX);
    if tracked >= limit {
        return Err(StoreError::too_many_tracked(tracked, limit));
    }
    wait(draft, segment);
    Ok(())
}

/// The segment gets counts that nobody had before, and waits for its past to be counted.
fn wait(draft: &Draft, segment: &mut TrackedSegment) {
    segment.series = Some(draft.next_series());
    segment.counted = false;
}
