//! Users over time: `GET /kpi/…/data_series`.

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
use crate::count::{Answer, Apps, Metric, Question};
use crate::series::{Length, Range, Unit, Window};
use crate::store::{WorkspaceEntry, now};

/// The parameters, as OpenAPI describes them; [`parse`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct KpiParameters {
    /// How many days the series has: an integer from 1 to 100.
    #[param(minimum = 1, maximum = 100, example = 14)]
    length: u32,
    /// The series ends with the day that contains this instant: ISO 8601 in its usual forms, or Unix seconds.
    /// Without an offset it is read in the workspace's time zone; a date alone is that day. Default: now.
    #[param(required = false, example = "2018-06-28T23:59:59-05:00")]
    ending_at: String,
    /// Count users of one app of the workspace; of all apps where it is left out, where a user of several counts once.
    #[param(required = false, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
}

/// Users of each day, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct DauSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points.
    data: Vec<DauPoint>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct DauPoint {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Distinct users with a session that day.
    #[schema(example = 451)]
    dau: u64,
}

/// Users of the 30 days that end with each day, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct MauSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points.
    data: Vec<MauPoint>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct MauPoint {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Distinct users with a session in the 30 days that end with that day.
    #[schema(example = 3120)]
    mau: u64,
}

/// New users of each day, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct NewUsersSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points.
    data: Vec<NewUsersPoint>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct NewUsersPoint {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Users whose first session is that day.
    #[schema(example = 62)]
    new_users: u64,
}

/// A 0 for each day, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct UninstallsSeries {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// Exactly `length` points.
    data: Vec<UninstallsPoint>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct UninstallsPoint {
    /// `YYYY-MM-DD`, of the workspace's time zone.
    #[schema(example = "2018-06-28")]
    time: String,
    /// Always 0.
    #[schema(example = 0, maximum = 0)]
    uninstalls: u64,
}

/// Daily active users
///
/// Distinct users with a session on each day of the workspace's time zone. A user is a `user_id`, else a `device_id`; a
/// session with neither is nobody's. Sessions that are recorded late change the days in which they began.
#[utoipa::path(get, path = "/kpi/dau/data_series", tag = "Export", params(KpiParameters),
    security(("api_key" = ["kpi.dau.data_series"])), responses(
    (status = 200, description = "The series", body = DauSeries),
    (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
        example = json!({"message": "'length' must be an integer from 1 to 100, received '0'"})),
    Refusals,
    (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
))]
pub(super) async fn dau(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    series(&state, &workspace, query.as_deref(), Metric::Dau).await
}

/// Monthly active users
///
/// Distinct users over the 30 days that end with each day of the workspace's time zone.
#[utoipa::path(get, path = "/kpi/mau/data_series", tag = "Export", params(KpiParameters),
    security(("api_key" = ["kpi.mau.data_series"])), responses(
    (status = 200, description = "The series", body = MauSeries),
    (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
        example = json!({"message": "'length' must be an integer from 1 to 100, received '0'"})),
    Refusals,
    (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
))]
pub(super) async fn mau(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    series(&state, &workspace, query.as_deref(), Metric::Mau).await
}

/// New users
///
/// Users whose first session, of that app where one is named, is on each day of the workspace's time zone. An earlier
/// session that is recorded late moves its user to the day on which it began.
#[utoipa::path(get, path = "/kpi/new_users/data_series", tag = "Export", params(KpiParameters),
    security(("api_key" = ["kpi.new_users.data_series"])), responses(
    (status = 200, description = "The series", body = NewUsersSeries),
    (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
        example = json!({"message": "'length' must be an integer from 1 to 100, received '0'"})),
    Refusals,
    (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
))]
pub(super) async fn new_users(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    series(&state, &workspace, query.as_deref(), Metric::NewUsers).await
}

/// Uninstalls
///
/// Always 0: nothing reports uninstalled apps to sessionmeter. It is here for connectors that ask for it.
#[utoipa::path(get, path = "/kpi/uninstalls/data_series", tag = "Export", params(KpiParameters),
    security(("api_key" = ["kpi.uninstalls.data_series"])), responses(
    (status = 200, description = "The series", body = UninstallsSeries),
    (status = 400, description = "A parameter is missing or wrong", body = ErrorBody,
        example = json!({"message": "'length' must be an integer from 1 to 100, received '0'"})),
    Refusals,
))]
pub(super) async fn uninstalls(
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let now = now();
    let counted = parse(&workspace, &Query::new(query.as_deref())).map(|asked| {
        let ending_at = asked.ending_at.as_ref();
        let window = Window::new(&workspace.zone, Unit::Day, asked.length, ending_at, now);
        let none = vec![0; asked.length.get()];
        points(&window, &none, "uninstalls")
    });
    answered(counted)
}

/// What a request asks for.
struct Asked {
    length: Length,
    ending_at: Option<crate::series::EndingAt>,
    apps: Apps,
}

fn parse(workspace: &WorkspaceEntry, query: &Query<'_>) -> Result<Asked, ApiError> {
    let length = parameters::length(query)?;
    day(query)?;
    if query.get("segment_id")?.is_some() {
        return Err(ApiError::bad_request(
            "'segment_id' is not taken here; GET /sessions/query?metric=users counts the users of a segment",
        ));
    }
    let app = parameters::app(workspace, query)?;
    Ok(Asked {
        length,
        ending_at: parameters::instant(query, "ending_at")?,
        apps: app.map_or(Apps::All, |app| Apps::These(vec![app])),
    })
}

/// `unit` may be given, and then has to be `day`.
pub(super) fn day(query: &Query<'_>) -> Result<(), ApiError> {
    match query.get("unit")? {
        Some(unit) if unit != "day" => Err(invalid("unit", &unit, "'day', the only unit here")),
        _ => Ok(()),
    }
}

async fn series(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    query: Option<&str>,
    metric: Metric,
) -> Response<Body> {
    answered(count(state, workspace, query, metric).await)
}

async fn count(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    query: Option<&str>,
    metric: Metric,
) -> Result<Vec<u8>, ApiError> {
    let asked = parse(workspace, &Query::new(query))?;
    let question = Question {
        metric,
        range: last(asked.length, asked.ending_at),
        apps: asked.apps,
        ..Question::default()
    };
    let answer = state.count(workspace, &question).await?;
    Ok(body(&answer, metric.as_str()))
}

/// As many days, which end with the one that is named.
pub(super) fn last(length: Length, ending_at: Option<crate::series::EndingAt>) -> Range {
    Range::Last {
        length: u32::try_from(length.get()).unwrap_or(u32::MAX),
        ending_at,
    }
}

pub(super) fn answered(body: Result<Vec<u8>, ApiError>) -> Response<Body> {
    match body {
        Ok(body) => json_bytes(StatusCode::OK, body),
        Err(error) => error.into_response(),
    }
}

/// The body of an answer that is not grouped; `name` is what its numbers are called.
pub fn body(answer: &Answer, name: &str) -> Vec<u8> {
    let counts = answer.groups.first().map(|group| group.counts.as_slice());
    points(&answer.window, counts.unwrap_or_default(), name)
}

/// A series: units and their numbers.
pub(super) fn points(window: &Window, counts: &[u64], name: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(48 + counts.len() * (48 + name.len()));
    text.extend_from_slice(br#"{"message":"success","data":["#);
    for (index, (label, count)) in window.labels().zip(counts).enumerate() {
        if index > 0 {
            text.push(b',');
        }
        // Neither labels nor names need escaping.
        text.extend_from_slice(br#"{"time":""#);
        label.append_to(&mut text);
        text.extend_from_slice(br#"",""#);
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(br#"":"#);
        text.extend_from_slice(itoa::Buffer::new().format(*count).as_bytes());
        text.push(b'}');
    }
    text.extend_from_slice(b"]}");
    text
}
