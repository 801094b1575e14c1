//! Users and sessions as one store hands them to another.

use crate::model::{Properties, Session, WorkspaceId};

/// A user's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Id of the workspace.
    pub workspace: WorkspaceId,
    /// The user.
    pub user_id: String,
    /// In canonical form, see [`UserAttributes`](crate::model::UserAttributes).
    pub attributes: String,
}

/// What stands for a person who was forgotten: their sessions go on to be one person's, whose ids nobody has any more.
pub type Forgotten = u64;

/// The properties of a session that are handed out: of whoever was forgotten, no attributes.
pub(super) fn handed_out(own: &Properties, forgotten: Option<Forgotten>) -> Properties {
    match forgotten {
        Some(_) => own.without_attributes(),
        None => own.clone(),
    }
}

/// A session as it was recorded.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// With its properties as [`Sessions::export`](super::Sessions::export) hands them out.
    pub session: Session,
    /// Its properties in canonical form, with the attributes that its user had and whether it was the first.
    pub recorded: String,
    /// Its person, where that one was forgotten.
    pub forgotten: Option<Forgotten>,
}
