//! Parameters that several endpoints have, each read in one place.

use super::error::ApiError;
use super::query::{Query, invalid};
use super::segments::find;
use crate::count::QuestionError;
use crate::model::{AppId, Segment, SegmentId};
use crate::series::{EndingAt, Length, ending_at};
use crate::store::WorkspaceEntry;

/// What `segment_id` must be.
pub(super) const TRACKED: &str = "the id of a segment of this workspace that has analytics tracking on";
const AN_APP: &str = "the id of an app of this workspace";

/// `length`, which must be given.
pub(super) fn length(query: &Query<'_>) -> Result<Length, ApiError> {
    const LENGTH: &str = "an integer from 1 to 100";
    let length = query
        .get("length")?
        .ok_or_else(|| ApiError::bad_request(format!("'length' is required: {LENGTH}")))?;
    Length::parse(&length).ok_or_else(|| invalid("length", &length, LENGTH))
}

/// A parameter that is an instant or a date, in any form of `ending_at`.
pub(super) fn instant(query: &Query<'_>, name: &'static str) -> Result<Option<EndingAt>, ApiError> {
    query
        .get(name)?
        .map(|text| ending_at::parse_named(name, &text))
        .transpose()
        .map_err(|error| ApiError::bad_request(error.to_string()))
}

/// `app_id`.
pub(super) fn app(workspace: &WorkspaceEntry, query: &Query<'_>) -> Result<Option<AppId>, ApiError> {
    query
        .get("app_id")?
        .map(|text| app_of(workspace, &text))
        .transpose()
}

/// The app that a text names; one of another workspace is as good as none.
pub(super) fn app_of(workspace: &WorkspaceEntry, text: &str) -> Result<AppId, ApiError> {
    let id = text.parse::<AppId>().ok();
    let found = id.filter(|id| workspace.app(*id).is_some());
    found.ok_or_else(|| invalid("app_id", text, AN_APP))
}

/// `segment_id`.
pub(super) fn segment<'a>(
    workspace: &'a WorkspaceEntry,
    query: &Query<'_>,
) -> Result<Option<&'a Segment>, ApiError> {
    let text = query.get("segment_id")?;
    text.map(|text| find(workspace, &text, TRACKED)).transpose()
}

/// The segment's id, if it may be asked for.
pub(super) fn tracked(segment: &Segment) -> Result<SegmentId, ApiError> {
    if segment.tracked {
        Ok(segment.id)
    } else {
        Err(untracked(segment.name.as_str()))
    }
}

fn untracked(name: &str) -> ApiError {
    ApiError::bad_request(format!(
        "'segment_id' names the segment '{name}', which has no analytics tracking; turn it on with \
         'sessionmeter segment track' or POST /segments/track"
    ))
}

impl From<QuestionError> for ApiError {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::Store(error) => Self::of_request(error),
            QuestionError::Untracked(name) => untracked(&name),
            QuestionError::UnknownApp(id) => invalid("app_id", &id.to_string(), AN_APP),
            QuestionError::UnknownSegment(id) => invalid("segment_id", &id.to_string(), TRACKED),
            error => Self::bad_request(error.to_string()),
        }
    }
}
