//! `GET /sessions/data_series`: sessions per day or hour.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use axum::{Extension, response::IntoResponse as _};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Refusals};
use super::error::{ApiError, ErrorBody, json_bytes};
use super::parameters;
use super::query::{Query, invalid};
use super::state::ApiState;
use crate::catalog::WorkspaceEntry;
use crate::model::Segment;
use crate::series::{Unit, Window};
use crate::store::{Scope, Whose, now};

/// The parameters, as OpenAPI describes them; [`parse`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct Parameters {
    /// How many units the series has: an integer from 1 to 100.
    #[param(minimum = 1, maximum = 100, example = 14)]
    length: u32,
    /// `day` or `hour`, of the workspace's time zone.
    #[param(required = false, inline, example = "day")]
    unit: UnitName,
    /// The series ends with the unit that contains this instant: ISO 8601 in its usual forms, or Unix seconds.
    /// Without an offset it is read in the workspace's time zone; a date alone is that day. Default: now.
    #[param(required = false, example = "2018-06-28T23:59:59-05:00")]
    ending_at: String,
    /// Count one app of the workspace; all apps where it is left out.
    #[param(required = false, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
    /// Count the sessions of one segment of the workspace that has analytics tracking on; everyone's where it is left
    /// out.
    #[param(required = false, example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    segment_id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(default = "day")]
#[expect(dead_code, reason = "only its description is used")]
enum UnitName {
    Day,
    Hour,
}

/// A series, oldest unit first.
#[derive(Serialize, ToSchema)]
pub(super) struct DataSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points.
    data: Vec<Point>,
}

/// One unit.
#[derive(Serialize, ToSchema)]
struct Point {
    /// `YYYY-MM-DD` for days; for hours RFC 3339 with the workspace's offset at that instant.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Sessions that started in it.
    #[schema(example = 1234)]
    sessions: u64,
}

/// Sessions per day or hour
///
/// Counts sessions by their start, in whole days or hours of the workspace's time zone. Units without a
/// session are 0, units in the future too. A session that was acknowledged before the request is counted.
#[utoipa::path(
    get,
    path = "/sessions/data_series",
    tag = "Export",
    params(Parameters),
    security(("api_key" = ["sessions.data_series"])),
    responses(
        (status = 200, description = "The series", body = DataSeries),
        (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
            example = json!({"message": "'length' must be an integer from 1 to 100, received '0'"})),
        Refusals,
        (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
    )
)]
pub(super) async fn data_series(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    match answer(&state, &workspace, query.as_deref()).await {
        Ok(body) => json_bytes(StatusCode::OK, body),
        Err(error) => error.into_response(),
    }
}

async fn answer(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let now = now();
    let asked = parse(workspace, &Query::new(query), now)?;
    let whose = match asked.segment {
        None => Whose::Everyone,
        Some(segment) => Whose::Segment(parameters::tracked(segment)?),
    };
    let counts = state.store().count(asked.scope, whose, asked.window.edges());
    let counts = counts.await.map_err(ApiError::of_request)?;
    Ok(body(&asked.window, &counts))
}

/// What a request asks for.
struct Asked<'a> {
    window: Window,
    scope: Scope,
    segment: Option<&'a Segment>,
}

fn parse<'a>(workspace: &'a WorkspaceEntry, query: &Query<'_>, now: i64) -> Result<Asked<'a>, ApiError> {
    let length = parameters::length(query)?;
    let unit = match query.get("unit")? {
        None => Unit::Day,
        Some(unit) => unit
            .parse()
            .map_err(|_| invalid("unit", &unit, "'day' or 'hour'"))?,
    };
    let ending_at = parameters::instant(query, "ending_at")?;
    let scope = match parameters::app(workspace, query)? {
        None => Scope::Workspace(workspace.workspace.id),
        Some(app) => Scope::App(app),
    };
    Ok(Asked {
        window: Window::new(&workspace.zone, unit, length, ending_at.as_ref(), now),
        scope,
        segment: parameters::segment(workspace, query)?,
    })
}

/// The endpoint's body for a window and its counts.
pub fn body(window: &Window, counts: &[u64]) -> Vec<u8> {
    let mut text = Vec::with_capacity(48 + counts.len() * 56);
    text.extend_from_slice(br#"{"message":"success","data":["#);
    for (index, (label, sessions)) in window.labels().zip(counts).enumerate() {
        // No label needs escaping.
        text.extend_from_slice(if index > 0 {
            br#",{"time":""#.as_slice()
        } else {
            br#"{"time":""#.as_slice()
        });
        label.append_to(&mut text);
        text.extend_from_slice(br#"","sessions":"#);
        text.extend_from_slice(itoa::Buffer::new().format(*sessions).as_bytes());
        text.push(b'}');
    }
    text.extend_from_slice(b"]}");
    text
}
