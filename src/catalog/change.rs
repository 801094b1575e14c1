//! What may be changed in the catalog, and what keeps a change from being made: the rules, for every store.

use super::Catalog;
use super::records::{AppRecord, KeyRecord, Record, Records, SegmentRecord, WorkspaceRecord};
use super::refusal::Refusal;
use crate::model::{
    AppId, DEFAULT_SEGMENT_LIMIT, KeyId, Millis, Name, NewApp, NewKey, NewSegment, NewWorkspace, RateLimits,
    Retention, SegmentChange, SegmentId, Weekday, WorkspaceId,
};

/// A change of the catalog: all of it is made, or nothing.
#[derive(Debug, Clone)]
pub enum Change {
    /// Gives a store without workspaces its first one with an app and a key. Where there is a workspace, nothing changes.
    First(NewWorkspace, NewApp, NewKey),
    /// Adds a workspace.
    CreateWorkspace(NewWorkspace),
    /// Changes a workspace.
    ChangeWorkspace(WorkspaceId, WorkspaceChange),
    /// Sessions of days (since 1970-01-01) before this one are refused from now on, since these days are going to be sealed. An
    /// earlier day than the one that is known changes nothing.
    Seal(WorkspaceId, i64),
    /// The workspace is gone with all that is in it: apps with their sessions, keys, segments, what is known of its users.
    DeleteWorkspace(WorkspaceId),
    /// Adds an app.
    CreateApp(WorkspaceId, NewApp),
    /// Gives an app another name, which must not be taken in its workspace.
    RenameApp(AppId, Name),
    /// The app is gone with its sessions.
    DeleteApp(AppId),
    /// Adds a key.
    CreateKey(WorkspaceId, NewKey),
    /// The key never authenticates again. Revoking twice is no error.
    RevokeKey(KeyId),
    /// Adds a segment.
    CreateSegment(WorkspaceId, NewSegment),
    /// Changes a segment. Whatever its filter is, all recorded sessions count for it at once.
    ChangeSegment(SegmentId, SegmentChange),
    /// The segment is gone; no session is.
    DeleteSegment(SegmentId),
    /// Takes over what another store holds: what is there already becomes as it is there, nothing is removed.
    Adopt(Records),
}

/// What changes about a workspace; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceChange {
    /// Must not be taken.
    pub name: Option<Name>,
    /// IANA name of the zone whose days and hours its series count from now on.
    pub time_zone: Option<String>,
    /// Requests per clock hour, export endpoints; 0 lifts the limit.
    pub export_limit: Option<u64>,
    /// The same, recording endpoints.
    pub recording_limit: Option<u64>,
    /// How many segments may have analytics tracking on; those that have it keep it. 0 lifts the limit.
    pub segment_limit: Option<u32>,
    /// How long sessions are kept one by one; `Some(None)`: for ever.
    pub retention: Option<Option<Retention>>,
    /// The day on which its weeks begin.
    pub first_weekday: Option<Weekday>,
}

/// What a change does to the rows of a catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows that are new or different. Each refers only to what is there or stands among these.
    pub saved: Records,
    /// Rows that are gone.
    pub removed: Records,
}

impl Changed {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.saved.is_empty() && self.removed.is_empty()
    }
}

impl Change {
    /// The apps that it deletes with what is in them; `None` where it deletes no such thing.
    pub fn doomed(&self, catalog: &Catalog) -> Option<Vec<AppId>> {
        match self {
            Self::DeleteApp(app) => Some(vec![*app]),
            Self::DeleteWorkspace(workspace) => {
                let apps = catalog.workspace(*workspace).map(|entry| &entry.apps);
                Some(apps.into_iter().flatten().map(|app| app.id).collect())
            }
            _ => None,
        }
    }

    /// Makes the change at `now`: the rows after it, and what is different about them.
    ///
    /// # Errors
    /// Why the change must not be made.
    pub fn apply(self, records: Records, now: Millis) -> Result<(Records, Changed), Refusal> {
        let mut draft = Draft {
            records,
            changed: Changed::default(),
            now,
        };
        draft.make(self)?;
        Ok((draft.records, draft.changed))
    }
}

/// Rows that are being changed.
struct Draft {
    records: Records,
    changed: Changed,
    now: Millis,
}

impl Draft {
    fn make(&mut self, change: Change) -> Result<(), Refusal> {
        match change {
            Change::First(workspace, app, key) => self.first(workspace, app, key),
            Change::CreateWorkspace(new) => self.create_workspace(new),
            Change::ChangeWorkspace(id, change) => self.change_workspace(id, change),
            Change::Seal(id, day) => self.seal(id, day),
            Change::DeleteWorkspace(id) => self.delete_workspace(id),
            Change::CreateApp(owner, new) => self.create_app(owner, new),
            Change::RenameApp(id, name) => self.rename_app(id, &name),
            Change::DeleteApp(id) => self.remove::<AppRecord>(&id.to_string()),
            Change::CreateKey(owner, new) => self.create_key(owner, new),
            Change::RevokeKey(id) => self.revoke_key(id),
            Change::CreateSegment(owner, new) => self.create_segment(owner, new),
            Change::ChangeSegment(id, change) => self.change_segment(id, change),
            Change::DeleteSegment(id) => self.remove::<SegmentRecord>(&id.to_string()),
            Change::Adopt(records) => {
                self.adopt(records);
                Ok(())
            }
        }
    }

    fn find<R: Record>(&self, id: &str) -> Result<R, Refusal> {
        let found = R::all(&self.records).iter().find(|record| record.id() == id);
        found.cloned().ok_or_else(|| Refusal::Unknown {
            noun: R::NOUN,
            id: id.to_owned(),
        })
    }

    /// Saves a record where it is new or different.
    fn put<R: Record>(&mut self, record: R) {
        let all = R::all_mut(&mut self.records);
        match all.iter_mut().find(|known| known.id() == record.id()) {
            Some(known) if *known == record => return,
            Some(known) => *known = record.clone(),
            None => all.push(record.clone()),
        }
        R::all_mut(&mut self.changed.saved).push(record);
    }

    fn remove<R: Record>(&mut self, id: &str) -> Result<(), Refusal> {
        let gone = self.find::<R>(id)?;
        R::all_mut(&mut self.records).retain(|record| record.id() != id);
        R::all_mut(&mut self.changed.removed).push(gone);
        Ok(())
    }

    /// Adds a record, whose id and name must not be taken.
    fn create<R: Record>(&mut self, new: R) -> Result<(), Refusal> {
        if let Some(owner) = new.owner() {
            self.find::<WorkspaceRecord>(owner)?;
        }
        if self.has_id(new.id()) {
            return Err(Refusal::IdTaken(new.id().to_owned()));
        }
        self.check_name(&new)?;
        self.put(new);
        Ok(())
    }

    /// Saves a record that has another name, which must not be taken.
    fn rename<R: Record>(&mut self, renamed: R) -> Result<(), Refusal> {
        self.check_name(&renamed)?;
        self.put(renamed);
        Ok(())
    }

    /// Ids are unique on the whole server, whatever they name.
    fn has_id(&self, id: &str) -> bool {
        fn has<R: Record>(records: &Records, id: &str) -> bool {
            R::all(records).iter().any(|record| record.id() == id)
        }
        has::<WorkspaceRecord>(&self.records, id)
            || has::<AppRecord>(&self.records, id)
            || has::<KeyRecord>(&self.records, id)
            || has::<SegmentRecord>(&self.records, id)
            || self.records.unreadable.iter().any(|row| row.id == id)
    }

    fn check_name<R: Record>(&self, new: &R) -> Result<(), Refusal> {
        let mut others = R::all(&self.records).iter();
        if others.any(|other| new.shares_names_with(other) && new.name() == other.name()) {
            return Err(Refusal::NameTaken {
                noun: R::NOUN,
                name: new.name().to_owned(),
            });
        }
        Ok(())
    }

    fn first(&mut self, workspace: NewWorkspace, app: NewApp, key: NewKey) -> Result<(), Refusal> {
        if !self.records.workspaces.is_empty() || !self.records.unreadable.is_empty() {
            return Ok(());
        }
        let owner = workspace.id;
        self.create_workspace(workspace)?;
        self.create_app(owner, app)?;
        self.create_key(owner, key)
    }

    fn create_workspace(&mut self, new: NewWorkspace) -> Result<(), Refusal> {
        let limits = RateLimits::default();
        self.create(WorkspaceRecord {
            id: new.id.to_string(),
            name: new.name.to_string(),
            time_zone: new.time_zone,
            export_limit: limits.export,
            recording_limit: limits.recording,
            segment_limit: DEFAULT_SEGMENT_LIMIT,
            retention_days: 0,
            sealed_before: 0,
            first_weekday: Weekday::default().as_str().to_owned(),
            created_at: self.now,
        })
    }

    fn change_workspace(&mut self, id: WorkspaceId, change: WorkspaceChange) -> Result<(), Refusal> {
        let known: WorkspaceRecord = self.find(&id.to_string())?;
        self.rename(WorkspaceRecord {
            name: change.name.map_or(known.name, Into::into),
            time_zone: change.time_zone.unwrap_or(known.time_zone),
            export_limit: change.export_limit.unwrap_or(known.export_limit),
            recording_limit: change.recording_limit.unwrap_or(known.recording_limit),
            segment_limit: change.segment_limit.unwrap_or(known.segment_limit),
            retention_days: change.retention.map_or(known.retention_days, |retention| {
                retention.map_or(0, Retention::days)
            }),
            first_weekday: change
                .first_weekday
                .map_or(known.first_weekday, |day| day.as_str().to_owned()),
            ..known
        })
    }

    fn seal(&mut self, id: WorkspaceId, day: i64) -> Result<(), Refusal> {
        let mut workspace: WorkspaceRecord = self.find(&id.to_string())?;
        workspace.sealed_before = workspace.sealed_before.max(day);
        self.put(workspace);
        Ok(())
    }

    fn delete_workspace(&mut self, id: WorkspaceId) -> Result<(), Refusal> {
        let id = id.to_string();
        self.remove_all_of::<SegmentRecord>(&id)?;
        self.remove_all_of::<KeyRecord>(&id)?;
        self.remove_all_of::<AppRecord>(&id)?;
        self.remove::<WorkspaceRecord>(&id)
    }

    fn remove_all_of<R: Record>(&mut self, owner: &str) -> Result<(), Refusal> {
        let belongs = R::all(&self.records)
            .iter()
            .filter(|record| record.owner() == Some(owner));
        let ids: Vec<String> = belongs.map(|record| record.id().to_owned()).collect();
        ids.iter().try_for_each(|id| self.remove::<R>(id))
    }

    fn create_app(&mut self, owner: WorkspaceId, new: NewApp) -> Result<(), Refusal> {
        self.create(AppRecord {
            id: new.id.to_string(),
            workspace: owner.to_string(),
            name: new.name.to_string(),
            platform: new.platform,
            created_at: self.now,
        })
    }

    fn rename_app(&mut self, id: AppId, name: &Name) -> Result<(), Refusal> {
        let known: AppRecord = self.find(&id.to_string())?;
        self.rename(AppRecord {
            name: name.to_string(),
            ..known
        })
    }

    fn create_key(&mut self, owner: WorkspaceId, new: NewKey) -> Result<(), Refusal> {
        self.create(KeyRecord {
            id: new.id.to_string(),
            workspace: owner.to_string(),
            name: new.name.to_string(),
            hash: new.hash.as_bytes().to_vec(),
            permissions: new.permissions.names().into_iter().map(Into::into).collect(),
            allow: new.allow,
            created_at: self.now,
            revoked_at: None,
            last_used_at: None,
        })
    }

    fn revoke_key(&mut self, id: KeyId) -> Result<(), Refusal> {
        let mut key: KeyRecord = self.find(&id.to_string())?;
        key.revoked_at.get_or_insert(self.now);
        self.put(key);
        Ok(())
    }

    fn create_segment(&mut self, owner: WorkspaceId, new: NewSegment) -> Result<(), Refusal> {
        let segment = SegmentRecord {
            id: new.id.to_string(),
            workspace: owner.to_string(),
            name: new.name.to_string(),
            description: new.notes.description().to_owned(),
            tags: new.notes.tags().to_vec(),
            filter: new.filter.to_json(),
            tracked: new.track,
            created_at: self.now,
            updated_at: self.now,
        };
        self.create(segment.clone())?;
        self.check_tracked(&segment)
    }

    fn change_segment(&mut self, id: SegmentId, change: SegmentChange) -> Result<(), Refusal> {
        let known: SegmentRecord = self.find(&id.to_string())?;
        let was_tracked = known.tracked;
        let mut segment = SegmentRecord {
            name: change.name.map_or(known.name, Into::into),
            filter: change.filter.map_or(known.filter, |filter| filter.to_json()),
            tracked: change.track.unwrap_or(was_tracked),
            updated_at: self.now,
            ..known
        };
        if let Some(notes) = change.notes {
            segment.description = notes.description().to_owned();
            segment.tags = notes.tags().to_vec();
        }
        self.rename(segment.clone())?;
        if was_tracked {
            return Ok(());
        }
        self.check_tracked(&segment)
    }

    /// Whether the workspace may have this segment among those that are tracked.
    fn check_tracked(&self, segment: &SegmentRecord) -> Result<(), Refusal> {
        let limit = self.find::<WorkspaceRecord>(&segment.workspace)?.segment_limit;
        let others =
            self.records.segments.iter().filter(|other| {
                other.tracked && other.workspace == segment.workspace && other.id != segment.id
            });
        let tracked = others.count();
        if segment.tracked && limit > 0 && tracked >= limit as usize {
            return Err(Refusal::TooManyTracked { tracked, limit });
        }
        Ok(())
    }

    fn adopt(&mut self, records: Records) {
        records.workspaces.into_iter().for_each(|record| self.put(record));
        records.apps.into_iter().for_each(|record| self.put(record));
        records.keys.into_iter().for_each(|record| self.put(record));
        records.segments.into_iter().for_each(|record| self.put(record));
    }
}
