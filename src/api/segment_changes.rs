//! Creating, editing, tracking and deleting segments over HTTP: one permission, `segments.write`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::{BodyRefusals, document};
use super::error::{ApiError, ErrorBody, json};
use super::filter_schema::FilterSchema;
use super::segments::{A_SEGMENT, find};
use super::state::ApiState;
use crate::catalog::{Change, WorkspaceEntry};
use crate::model::{Filter, Name, NewSegment, Segment, SegmentChange, SegmentId, SegmentNotes};

/// What `filter` must be.
pub(super) const A_FILTER: &str =
    "an object such as {\"field\": \"country\", \"op\": \"eq\", \"value\": \"BR\"}";

/// A segment to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSegment {
    /// Unique in the workspace.
    #[schema(required = true, nullable = false, example = "Paying")]
    name: Option<String>,
    /// Which sessions belong to it: `{"all": […]}`, `{"any": […]}`, `{"not": …}` or a condition
    /// `{"field": …, "op": …, "value": …}`.
    #[schema(required = true, value_type = FilterSchema)]
    filter: Option<Box<RawValue>>,
    /// Chosen by the caller, to keep one from elsewhere.
    #[schema(
        required = false,
        nullable = false,
        example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"
    )]
    id: Option<String>,
    /// Free text, up to 1,000 bytes.
    #[schema(required = false, nullable = false, example = "For the monthly report")]
    description: Option<String>,
    /// Up to 20.
    #[schema(required = false, nullable = false, example = json!(["retention"]))]
    tags: Option<Vec<String>>,
    /// Whether `GET /sessions/data_series` can be asked for it. It can if this is left out.
    #[schema(required = false, nullable = false, example = true)]
    analytics_tracking_enabled: Option<bool>,
    /// The same, in fewer letters.
    #[schema(required = false, nullable = false, example = true)]
    track: Option<bool>,
}

/// Changes to a segment; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditSegment {
    /// A segment of the workspace.
    #[schema(
        required = true,
        nullable = false,
        example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"
    )]
    segment_id: Option<String>,
    /// Unique in the workspace.
    #[schema(required = false, nullable = false, example = "Paying")]
    name: Option<String>,
    /// All recorded sessions count by another filter at once.
    #[schema(required = false, value_type = FilterSchema)]
    filter: Option<Box<RawValue>>,
    /// Free text, up to 1,000 bytes.
    #[schema(required = false, nullable = false, example = "For the monthly report")]
    description: Option<String>,
    /// Up to 20; they replace those that were there.
    #[schema(required = false, nullable = false, example = json!(["retention"]))]
    tags: Option<Vec<String>>,
}

/// Names a segment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneSegment {
    /// A segment of the workspace.
    #[schema(
        required = true,
        nullable = false,
        example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"
    )]
    segment_id: Option<String>,
}

/// The segment that was changed.
#[derive(Serialize, ToSchema)]
struct SegmentChanged {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Its id.
    #[schema(value_type = String, example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    segment_id: SegmentId,
}

/// Create a segment
///
/// Its analytics tracking is on unless the body says otherwise, and its series can be asked for at once, for the past as
/// well.
#[utoipa::path(post, path = "/segments/create", tag = "Segments",
    request_body(content = CreateSegment, example = json!({
        "name": "Brazil", "filter": {"field": "country", "op": "eq", "value": "BR"}
    })),
    security(("api_key" = ["segments.write"])), responses(
    (status = 201, description = "It exists", body = SegmentChanged),
    (status = 400, description = "The body is wrong, the name or id is taken, or no more segments may be tracked", body = ErrorBody,
        example = json!({"message": "'name' is required: 1 to 100 characters"})),
    Refusals,
    BodyRefusals,
    (status = 503, description = "The store can't take the write now; nothing was changed", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    let created = async {
        let wanted: CreateSegment = document(state.memory(), request).await?;
        let new = new_segment(wanted)?;
        let id = new.id;
        let created = state
            .store()
            .change(Change::CreateSegment(workspace.workspace.id, new));
        created.await.map_err(ApiError::of_request)?;
        Ok(id)
    };
    answer(StatusCode::CREATED, created.await)
}

fn new_segment(wanted: CreateSegment) -> Result<NewSegment, ApiError> {
    let name = wanted
        .name
        .ok_or_else(|| required("name", "1 to 100 characters"))?;
    let filter = wanted.filter.ok_or_else(|| required("filter", A_FILTER))?;
    let id = match wanted.id {
        None => SegmentId::random(),
        Some(text) => text
            .parse()
            .map_err(|error| ApiError::bad_request(format!("'id' is not valid: {error}")))?,
    };
    let track = match (wanted.analytics_tracking_enabled, wanted.track) {
        (Some(one), Some(other)) if one != other => {
            return Err(ApiError::bad_request(
                "'analytics_tracking_enabled' and 'track' mean the same and say different things; give one of them",
            ));
        }
        (one, other) => one.or(other).unwrap_or(true),
    };
    Ok(NewSegment {
        id,
        name: read_name(name)?,
        notes: SegmentNotes::default()
            .with(wanted.description, wanted.tags)
            .map_err(|error| ApiError::bad_request(error.to_string()))?,
        filter: read_filter(&filter)?,
        track,
    })
}

/// Edit a segment
///
/// What its filter is, it is for all sessions, whenever they were recorded.
#[utoipa::path(post, path = "/segments/edit", tag = "Segments",
    request_body(content = EditSegment, example = json!({"segment_id": "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44", "name": "Brazil"})),
    security(("api_key" = ["segments.write"])), responses(
    (status = 200, description = "It is changed", body = SegmentChanged),
    (status = 400, description = "The body is wrong, or the name is taken", body = ErrorBody,
        example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
    Refusals,
    BodyRefusals,
    (status = 503, description = "The store can't take the write now; nothing was changed", body = ErrorBody),
))]
pub(super) async fn edit(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    let edited = async {
        let wanted: EditSegment = document(state.memory(), request).await?;
        let workspace = having(&state, workspace, wanted.segment_id.as_deref()).await?;
        let segment = segment(&workspace, wanted.segment_id.as_deref())?;
        let notes = segment.notes.changed(wanted.description, wanted.tags);
        let notes = notes.map_err(|error| ApiError::bad_request(error.to_string()))?;
        let change = SegmentChange {
            name: wanted.name.map(read_name).transpose()?,
            notes,
            filter: wanted.filter.as_deref().map(read_filter).transpose()?,
            track: None,
        };
        change_segment(&state, segment, change).await
    };
    answer(StatusCode::OK, edited.await)
}

/// Turn analytics tracking on
///
/// From now on `GET /sessions/data_series` can be asked for the segment, for the past as well. No error if it is on already.
#[utoipa::path(post, path = "/segments/track", tag = "Segments",
    request_body(content = OneSegment, example = json!({"segment_id": "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"})),
    security(("api_key" = ["segments.write"])), responses(
    (status = 200, description = "It is on", body = SegmentChanged),
    (status = 400, description = "The body is wrong, or no more segments may be tracked", body = ErrorBody,
        example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
    Refusals,
    BodyRefusals,
    (status = 503, description = "The store can't take the write now; nothing was changed", body = ErrorBody),
))]
pub(super) async fn track(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    answer(
        StatusCode::OK,
        set_tracking(&state, workspace, request, true).await,
    )
}

/// Turn analytics tracking off
///
/// `GET /sessions/data_series` can't be asked for the segment any more. No error if it is off already.
#[utoipa::path(post, path = "/segments/untrack", tag = "Segments",
    request_body(content = OneSegment, example = json!({"segment_id": "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"})),
    security(("api_key" = ["segments.write"])), responses(
    (status = 200, description = "It is off", body = SegmentChanged),
    (status = 400, description = "The body is wrong", body = ErrorBody,
        example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
    Refusals,
    BodyRefusals,
    (status = 503, description = "The store can't take the write now; nothing was changed", body = ErrorBody),
))]
pub(super) async fn untrack(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    answer(
        StatusCode::OK,
        set_tracking(&state, workspace, request, false).await,
    )
}

async fn set_tracking(
    state: &ApiState,
    workspace: Arc<WorkspaceEntry>,
    request: Request<Body>,
    on: bool,
) -> Result<SegmentId, ApiError> {
    let wanted: OneSegment = document(state.memory(), request).await?;
    let workspace = having(state, workspace, wanted.segment_id.as_deref()).await?;
    let change = SegmentChange {
        track: Some(on),
        ..SegmentChange::default()
    };
    let segment = segment(&workspace, wanted.segment_id.as_deref())?;
    change_segment(state, segment, change).await
}

/// Delete a segment
///
/// The segment is gone; no session is.
#[utoipa::path(post, path = "/segments/delete", tag = "Segments",
    request_body(content = OneSegment, example = json!({"segment_id": "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44"})),
    security(("api_key" = ["segments.write"])), responses(
    (status = 200, description = "It is gone", body = SegmentChanged),
    (status = 400, description = "The body is wrong", body = ErrorBody,
        example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
    Refusals,
    BodyRefusals,
    (status = 503, description = "The store can't take the write now; nothing was changed", body = ErrorBody),
))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    let deleted = async {
        let wanted: OneSegment = document(state.memory(), request).await?;
        let workspace = having(&state, workspace, wanted.segment_id.as_deref()).await?;
        let id = segment(&workspace, wanted.segment_id.as_deref())?.id;
        let deleted = state.store().change(Change::DeleteSegment(id));
        deleted.await.map_err(ApiError::of_request)?;
        Ok(id)
    };
    answer(StatusCode::OK, deleted.await)
}

async fn change_segment(
    state: &ApiState,
    segment: &Segment,
    change: SegmentChange,
) -> Result<SegmentId, ApiError> {
    let changed = state.store().change(Change::ChangeSegment(segment.id, change));
    changed.await.map_err(ApiError::of_request)?;
    Ok(segment.id)
}

fn answer(status: StatusCode, result: Result<SegmentId, ApiError>) -> Response<Body> {
    match result {
        Ok(segment_id) => json(
            status,
            &SegmentChanged {
                message: "success",
                segment_id,
            },
        ),
        Err(error) => error.into_response(),
    }
}

pub(super) fn required(name: &str, what: &str) -> ApiError {
    ApiError::bad_request(format!("'{name}' is required: {what}"))
}

/// The workspace, taken from the newest catalog where the segment that is named would be refused.
async fn having(
    state: &ApiState,
    workspace: Arc<WorkspaceEntry>,
    id: Option<&str>,
) -> Result<Arc<WorkspaceEntry>, ApiError> {
    let id = id.and_then(|id| id.parse().ok());
    if id.is_some_and(|id| workspace.segment(id).is_none()) {
        state.newest_of(&workspace).await
    } else {
        Ok(workspace)
    }
}

fn segment<'a>(workspace: &'a WorkspaceEntry, id: Option<&str>) -> Result<&'a Segment, ApiError> {
    let id = id.ok_or_else(|| required("segment_id", A_SEGMENT))?;
    find(workspace, id, A_SEGMENT)
}

fn read_name(text: String) -> Result<Name, ApiError> {
    Name::try_from(text).map_err(|error| ApiError::bad_request(format!("'name' is not valid: {error}")))
}

pub(super) fn read_filter(json: &RawValue) -> Result<Filter, ApiError> {
    let filter = json.get().parse();
    filter.map_err(|error| ApiError::bad_request(format!("'filter' is not valid: {error}")))
}
