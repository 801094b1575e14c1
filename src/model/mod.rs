//! The nouns, valid by construction: a value of these types that exists may be stored.
//!
//! Nothing here does I/O or knows a store, a wire format or a calendar. Read [`Session`] first: it is
//! what every wire format ends in and what the recorder takes.

mod app;
mod field;
mod filter;
mod id;
mod identity;
mod key;
mod name;
mod named;
mod network;
mod properties;
mod retention;
mod segment;
mod session;
mod start_limits;
mod stored;
mod user_attributes;
mod workspace;

pub use app::{App, NewApp, platform};
pub use field::SessionField;
pub use filter::{
    Fact, Facts, Field, FieldError, Filter, FilterError, MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH,
};
pub use id::{AppId, IdError, KeyId, SegmentId, WorkspaceId};
pub use identity::{Identities, IdentitiesError, IdentityKind, MAX_IDENTITIES, MAX_IDENTITY_BYTES};
pub use key::{ApiKey, KeyHash, KeySecret, NewKey, Permission, PermissionError, Permissions};
pub use name::{Name, NameError, is_invisible};
pub use network::network;
pub use properties::{
    AttributeValue, MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_RECORDED_ATTRIBUTES, MAX_VALUE_BYTES, Properties,
    PropertyError, PropertyFields,
};
pub use retention::Retention;
pub use segment::{
    DEFAULT_SEGMENT_LIMIT, NewSegment, Segment, SegmentChange, SegmentNotes, SegmentNotesError,
};
pub use session::{
    End, MAX_DURATION_MILLIS, MAX_SESSION_ID_BYTES, Millis, NewSession, Session, SessionEnd, SessionError,
    StoredSession,
};
pub use start_limits::{FirstDay, StartLimits};
pub use stored::{StoredProperties, is_stored_attributes, is_stored_properties};
pub use user_attributes::{MAX_USER_ATTRIBUTES, UserAttributes, UserUpdate, UserUpdateError};
pub use workspace::{DEFAULT_RATE_LIMIT, NewWorkspace, RateLimits, Weekday, WeekdayError, Workspace};
