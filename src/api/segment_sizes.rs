//! `GET /segments/data_series`: how large a segment is, day by day.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Refusals};
use super::error::{ApiError, ErrorBody};
use super::kpi::{answered, body, day, last};
use super::parameters;
use super::query::Query;
use super::segments::{A_SEGMENT, find};
use super::state::ApiState;
use crate::count::{Metric, Question};
use crate::store::WorkspaceEntry;

/// The parameters, as OpenAPI describes them; [`sizes`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct SizeParameters {
    /// A segment of the workspace.
    #[param(example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    segment_id: String,
    /// How many days the series has: an integer from 1 to 100.
    #[param(minimum = 1, maximum = 100, example = 14)]
    length: u32,
    /// The series ends with the day that contains this instant: ISO 8601 in its usual forms, or Unix seconds.
    /// Without an offset it is read in the workspace's time zone; a date alone is that day. Default: now.
    #[param(required = false, example = "2018-06-28T23:59:59-05:00")]
    ending_at: String,
}

/// The size of a segment, oldest day first.
#[derive(Serialize, ToSchema)]
pub(super) struct SizeSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points; none for a segment without analytics tracking.
    data: Vec<SizePoint>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct SizePoint {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Users whose latest session up to the end of that day is in the segment.
    #[schema(example = 1313)]
    size: u64,
}

/// The size of a segment
///
/// Users whose latest session up to the end of each day belongs to the segment, as it was recorded. For a segment without
/// analytics tracking `data` is empty.
#[utoipa::path(get, path = "/segments/data_series", tag = "Segments", params(SizeParameters),
    security(("api_key" = ["segments.data_series"])), responses(
    (status = 200, description = "The series", body = SizeSeries),
    (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
        example = json!({"message": "'segment_id' is required: the id of a segment of this workspace"})),
    Refusals,
    (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
))]
pub(super) async fn sizes(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    answered(count(&state, &workspace, query.as_deref()).await)
}

async fn count(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let query = Query::new(query);
    let id = query
        .get("segment_id")?
        .ok_or_else(|| ApiError::bad_request(format!("'segment_id' is required: {A_SEGMENT}")))?;
    let segment = find(workspace, &id, A_SEGMENT)?;
    let length = parameters::length(&query)?;
    day(&query)?;
    let ending_at = parameters::instant(&query, "ending_at")?;
    if query.get("app_id")?.is_some() {
        return Err(ApiError::bad_request(
            "'app_id' is not taken here; GET /sessions/query?metric=users counts the users of an app",
        ));
    }
    if !segment.tracked {
        return Ok(br#"{"message":"success","data":[]}"#.to_vec());
    }
    let question = Question {
        metric: Metric::Size,
        range: last(length, ending_at),
        segment: Some(segment.id),
        ..Question::default()
    };
    let answer = state.count(workspace, &question).await?;
    Ok(body(&answer, "size"))
}
