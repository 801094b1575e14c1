//! `POST /segments/preview`: what a filter holds for, before anything is made of it.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::document;
use super::error::{ApiError, ErrorBody, json};
use super::filter_schema::FilterSchema;
use super::segment_changes::{A_FILTER, read_filter, required};
use super::state::ApiState;
use crate::catalog::WorkspaceEntry;
use crate::count;
use crate::store::now;

/// A filter to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TriedFilter {
    /// As a segment has it.
    #[schema(required = true, value_type = FilterSchema)]
    filter: Option<Box<RawValue>>,
}

/// What a filter holds for.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// The filter in words.
    #[schema(example = "country is \"BR\"")]
    description: String,
    /// Sessions of the last 28 days, the running one included.
    #[schema(example = 4874)]
    sessions: u64,
    /// Distinct users that had one.
    #[schema(example = 1313)]
    users: u64,
    /// Day by day, oldest first.
    data: Vec<PreviewDay>,
}

/// A day of a preview.
#[derive(Serialize, ToSchema)]
struct PreviewDay {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2026-11-23")]
    time: String,
    /// That began on this day.
    #[schema(example = 184)]
    sessions: u64,
    /// Distinct users with such a session on this day.
    #[schema(example = 97)]
    users: u64,
}

/// Try a filter
///
/// How many sessions and distinct users of the last 28 days a filter holds for, and the filter in words. Nothing is saved.
#[utoipa::path(post, path = "/segments/preview", tag = "Segments",
    request_body(content = TriedFilter, example = json!({"filter": {"field": "country", "op": "eq", "value": "BR"}})),
    security(("api_key" = ["segments.write"])), responses(
    (status = 200, description = "What it holds for", body = Preview),
    (status = 400, description = "The body is wrong", body = ErrorBody),
    Refusals,
    (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
))]
pub(super) async fn preview(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    match answer(&state, &workspace, request).await {
        Ok(preview) => json(StatusCode::OK, &preview),
        Err(error) => error.into_response(),
    }
}

async fn answer(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    request: Request<Body>,
) -> Result<Preview, ApiError> {
    let wanted: TriedFilter = document(state.memory(), request).await?;
    let filter = wanted.filter.ok_or_else(|| required("filter", A_FILTER))?;
    let filter = read_filter(&filter)?;
    let now = now();
    let counted = count::Preview::of(state.store(), workspace, &filter, now).await;
    let counted = counted.map_err(ApiError::of_request)?;
    let days = counted.sessions.iter().zip(&counted.users.by_gap);
    let days = counted.window.labels().zip(days);
    Ok(Preview {
        message: "success",
        description: filter.to_string(),
        sessions: counted.total(),
        users: counted.users.total,
        data: days
            .map(|(label, (sessions, users))| PreviewDay {
                time: label.to_string(),
                sessions: *sessions,
                users: *users,
            })
            .collect(),
    })
}
