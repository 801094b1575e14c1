//! `GET /segments/list` and `GET /segments/details`.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use axum::{Extension, response::IntoResponse as _};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Refusals};
use super::error::{ApiError, ErrorBody, json};
use super::query::{Query, invalid};
use super::state::ApiState;
use crate::catalog::WorkspaceEntry;
use crate::model::{Millis, Segment, SegmentId};

/// Segments on a page.
const PAGE: usize = 100;

/// The parameters, as OpenAPI describes them; [`list_of`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct ListParameters {
    /// Which page of 100 segments, from 0.
    #[param(required = false, default = 0, minimum = 0, example = 0)]
    page: u64,
    /// `asc` or `desc`, by creation.
    #[param(required = false, inline, example = "asc")]
    sort_direction: Direction,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(default = "asc")]
#[expect(dead_code, reason = "only its description is used")]
enum Direction {
    Asc,
    Desc,
}

/// A page of segments.
#[derive(Serialize, ToSchema)]
pub(super) struct SegmentList<'a> {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// At most 100.
    segments: Vec<ListedSegment<'a>>,
}

/// One segment.
#[derive(Serialize, ToSchema)]
struct ListedSegment<'a> {
    /// As `segment_id` takes it.
    #[schema(value_type = String, example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    id: SegmentId,
    /// Unique in the workspace.
    #[schema(example = "Paying")]
    name: &'a str,
    /// Whether `GET /sessions/data_series` can be asked for it.
    analytics_tracking_enabled: bool,
    /// As they were given.
    #[schema(example = json!(["retention"]))]
    tags: &'a [String],
}

/// List segments
#[utoipa::path(
    get,
    path = "/segments/list",
    tag = "Segments",
    params(ListParameters),
    security(("api_key" = ["segments.list"])),
    responses(
        (status = 200, description = "The page; empty behind the last one", body = SegmentList),
        (status = 400, description = "A parameter is wrong", body = ErrorBody,
            example = json!({"message": "'page' must be an integer from 0, received '-1'"})),
        Refusals,
    )
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    // A list refuses nothing as unknown, but what was just made is missed in it all the same.
    let workspace = match state.newest_of(&workspace).await {
        Ok(newest) => newest,
        Err(error) => return error.into_response(),
    };
    match list_of(&workspace, &Query::new(query.as_deref())) {
        Ok(list) => json(StatusCode::OK, &list),
        Err(error) => error.into_response(),
    }
}

fn list_of<'a>(workspace: &'a WorkspaceEntry, query: &Query<'_>) -> Result<SegmentList<'a>, ApiError> {
    let page = match query.get("page")? {
        None => 0,
        Some(text) => page(&text).ok_or_else(|| invalid("page", &text, "an integer from 0"))?,
    };
    let descending = match query.get("sort_direction")?.as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(invalid("sort_direction", other, "'asc' or 'desc'")),
    };
    let segments = workspace.segments.iter();
    let sorted: Box<dyn Iterator<Item = &Segment>> = if descending {
        Box::new(segments.rev())
    } else {
        Box::new(segments)
    };
    let listed = sorted
        .skip(page.saturating_mul(PAGE))
        .take(PAGE)
        .map(|segment| ListedSegment {
            id: segment.id,
            name: segment.name.as_str(),
            analytics_tracking_enabled: segment.tracked,
            tags: segment.notes.tags(),
        });
    Ok(SegmentList {
        message: "success",
        segments: listed.collect(),
    })
}

/// Digits alone, as `length` is read.
fn page(text: &str) -> Option<usize> {
    let canonical = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().unwrap_or(usize::MAX))
}

/// The parameter of `GET /segments/details`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct DetailsParameters {
    /// A segment of the workspace.
    #[param(example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    segment_id: String,
}

/// A segment.
#[derive(Serialize, ToSchema)]
pub(super) struct SegmentDetails<'a> {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// ISO 8601.
    #[schema(example = "2026-11-23T09:30:00Z")]
    created_at: String,
    /// ISO 8601.
    #[schema(example = "2026-11-23T09:30:00Z")]
    updated_at: String,
    /// Unique in the workspace.
    #[schema(example = "Paying")]
    name: &'a str,
    /// The filter in words.
    #[schema(example = "attributes.plan is one of \"pro\", \"team\"")]
    description: String,
    /// What its maker wrote.
    #[schema(example = "For the monthly report")]
    text_description: &'a str,
    /// As they were given.
    #[schema(example = json!(["retention"]))]
    tags: &'a [String],
    /// Always empty: there are no teams here.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    teams: [&'static str; 0],
}

/// Describe a segment
#[utoipa::path(
    get,
    path = "/segments/details",
    tag = "Segments",
    params(DetailsParameters),
    security(("api_key" = ["segments.details"])),
    responses(
        (status = 200, description = "The segment", body = SegmentDetails),
        (status = 400, description = "The parameter is missing or wrong", body = ErrorBody,
            example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
        Refusals,
    )
)]
pub(super) async fn details(
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    match details_of(&workspace, &Query::new(query.as_deref())) {
        Ok(details) => json(StatusCode::OK, &details),
        Err(error) => error.into_response(),
    }
}

fn details_of<'a>(workspace: &'a WorkspaceEntry, query: &Query<'_>) -> Result<SegmentDetails<'a>, ApiError> {
    let text = query
        .get("segment_id")?
        .ok_or_else(|| ApiError::bad_request(format!("'segment_id' is required: {A_SEGMENT}")))?;
    let segment = find(workspace, &text, A_SEGMENT)?;
    Ok(SegmentDetails {
        message: "success",
        created_at: iso8601(segment.created_at),
        updated_at: iso8601(segment.updated_at),
        name: segment.name.as_str(),
        description: segment.filter.to_string(),
        text_description: segment.notes.description(),
        tags: segment.notes.tags(),
        teams: [],
    })
}

/// What `segment_id` must be.
pub(super) const A_SEGMENT: &str = "the id of a segment of this workspace";

/// The segment that was named; one of another workspace is as good as none.
pub(super) fn find<'a>(
    workspace: &'a WorkspaceEntry,
    text: &str,
    allowed: &str,
) -> Result<&'a Segment, ApiError> {
    let id = text.parse::<SegmentId>().ok();
    id.and_then(|id| workspace.segment(id))
        .ok_or_else(|| invalid("segment_id", text, allowed))
}

fn iso8601(millis: Millis) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => time.to_string(),
        Err(_) => millis.to_string(),
    }
}
