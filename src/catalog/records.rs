//! The catalog as plain rows: what stores keep, and what one store takes over from another.
//!
//! A record is whatever some version wrote. Whether this version can read it shows when it becomes a noun of the model.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::{
    ApiKey, App, KeyHash, Millis, Name, PermissionError, Permissions, RateLimits, Retention, Segment,
    SegmentNotes, Weekday, Workspace,
};
use crate::series::Zone;

/// A workspace. Times are Unix milliseconds, here and below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    /// Requests per clock hour, export endpoints; 0: no limit.
    pub export_limit: u64,
    /// The same, recording endpoints.
    pub recording_limit: u64,
    /// Segments that may be tracked; 0: any number.
    pub segment_limit: u32,
    /// Days for which sessions are kept one by one; 0: for ever.
    #[serde(default)]
    pub retention_days: u32,
    /// The first day (days since 1970-01-01) that was not to be sealed when days were sealed last; 0: none ever was.
    #[serde(default)]
    pub sealed_before: i64,
    /// In English, lower case.
    #[serde(default = "first_weekday")]
    pub first_weekday: String,
    /// When it was created.
    pub created_at: Millis,
}

/// Of workspaces of earlier versions.
fn first_weekday() -> String {
    Weekday::default().as_str().to_owned()
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// What it runs on, possibly nothing.
    pub platform: String,
    /// When it was created.
    pub created_at: Millis,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
    /// Names, or `all`.
    pub permissions: Vec<String>,
    /// Networks it may be used from; empty: any.
    pub allow: Vec<IpNet>,
    /// When it was created.
    pub created_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its id.
    pub id: String,
    /// Id of its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// What its maker wrote.
    pub description: String,
    /// In their order.
    pub tags: Vec<String>,
    /// JSON.
    pub filter: String,
    /// Whether analytics tracking is on.
    pub tracked: bool,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Workspaces and what belongs to them, each kind in the order of creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// All of them.
    pub workspaces: Vec<WorkspaceRecord>,
    /// All of them.
    pub apps: Vec<AppRecord>,
    /// Revoked ones too.
    pub keys: Vec<KeyRecord>,
    /// All of them.
    pub segments: Vec<SegmentRecord>,
    /// Rows that are no records to this version. Their ids are taken; nothing else is known of them.
    pub unreadable: Vec<LeftOut>,
}

impl Records {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An entry of the catalog that this version can't read: a newer one wrote it, or it is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeftOut {
    /// What it is.
    pub noun: &'static str,
    /// Its id.
    pub id: String,
    /// What can't be read.
    pub why: String,
}

impl LeftOut {
    /// Whether sessions are left out with it.
    pub fn hides_sessions(&self) -> bool {
        self.noun == WorkspaceRecord::NOUN || self.noun == AppRecord::NOUN
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this version can't read {} {}: {}",
            self.noun, self.id, self.why
        )
    }
}

/// What the four kinds of records have in common.
pub trait Record: Clone + PartialEq {
    /// In messages.
    const NOUN: &'static str;

    /// Unique on the server.
    fn id(&self) -> &str;

    /// Unique among those that [`Record::shares_names_with`] says.
    fn name(&self) -> &str;

    /// The id of the workspace that it belongs to; a workspace belongs to none.
    fn owner(&self) -> Option<&str>;

    /// Whether the two must have different names.
    fn shares_names_with(&self, other: &Self) -> bool {
        self.owner() == other.owner() && self.id() != other.id()
    }

    /// All records of this kind.
    fn all(records: &Records) -> &Vec<Self>;

    /// The same, to be changed.
    fn all_mut(records: &mut Records) -> &mut Vec<Self>;
}

macro_rules! record {
    ($kind:ident, $noun:literal, $all:ident, $self:ident => $owner:expr $(, $names:item)?) => {
        impl Record for $kind {
            const NOUN: &'static str = $noun;

            fn id(&self) -> &str {
                &self.id
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn owner(&$self) -> Option<&str> {
                $owner
            }

            $($names)?

            fn all(records: &Records) -> &Vec<Self> {
                &records.$all
            }

            fn all_mut(records: &mut Records) -> &mut Vec<Self> {
                &mut records.$all
            }
        }
    };
}

record!(WorkspaceRecord, "workspace", workspaces, self => None);
record!(AppRecord, "app", apps, self => Some(&self.workspace));
record!(SegmentRecord, "segment", segments, self => Some(&self.workspace));
record!(KeyRecord, "key", keys, self => Some(&self.workspace),
    // The name of a key that is revoked is free again.
    fn shares_names_with(&self, other: &Self) -> bool {
        let live = self.revoked_at.is_none() && other.revoked_at.is_none();
        live && self.workspace == other.workspace && self.id != other.id
    }
);

fn read<T: FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no {what}"))
}

/// A name, which may be older than today's rules for names.
fn name(text: &str) -> Result<Name, String> {
    Name::stored(text.to_owned()).map_err(|error| error.to_string())
}

fn retention(days: u32) -> Result<Option<Retention>, String> {
    match days {
        0 => Ok(None),
        days => {
            let retention =
                Retention::new(days).ok_or_else(|| format!("it has a retention of {days} days"))?;
            Ok(Some(retention))
        }
    }
}

impl WorkspaceRecord {
    /// The workspace and its zone, or what can't be read.
    pub(super) fn read(&self) -> Result<(Workspace, Zone), String> {
        let zone = Zone::new(&self.time_zone);
        let zone = zone.ok_or_else(|| format!("it has the unknown time zone '{}'", self.time_zone))?;
        let workspace = Workspace {
            id: read("id", &self.id)?,
            name: name(&self.name)?,
            time_zone: self.time_zone.clone(),
            rate_limits: RateLimits {
                export: self.export_limit,
                recording: self.recording_limit,
            },
            segment_limit: self.segment_limit,
            retention: retention(self.retention_days)?,
            sealed_before: self.sealed_before,
            first_weekday: read::<Weekday>("day of the week", &self.first_weekday)?,
        };
        Ok((workspace, zone))
    }
}

impl AppRecord {
    /// The app, or what can't be read.
    pub(super) fn read(&self) -> Result<App, String> {
        Ok(App {
            id: read("id", &self.id)?,
            name: name(&self.name)?,
            platform: self.platform.clone(),
        })
    }
}

impl KeyRecord {
    /// The key and its hash, or what can't be read.
    pub(super) fn read(&self) -> Result<(ApiKey, KeyHash), String> {
        let hash = KeyHash::from_bytes(&self.hash).ok_or("its hash is not 32 bytes long")?;
        let permissions = Permissions::parse(self.permissions.iter().map(String::as_str));
        let key = ApiKey {
            id: read("id", &self.id)?,
            name: name(&self.name)?,
            permissions: permissions
                .map_err(|PermissionError(name)| format!("unknown permission '{name}'"))?,
            allow: self.allow.clone(),
            revoked: self.revoked_at.is_some(),
            last_used_at: self.last_used_at,
        };
        Ok((key, hash))
    }
}

impl SegmentRecord {
    /// The segment, or what can't be read.
    pub(super) fn read(&self) -> Result<Segment, String> {
        let notes = SegmentNotes::new(self.description.clone(), self.tags.clone());
        Ok(Segment {
            id: read("id", &self.id)?,
            name: name(&self.name)?,
            notes: notes.map_err(|error| error.to_string())?,
            filter: read("filter", &self.filter)?,
            tracked: self.tracked,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}
