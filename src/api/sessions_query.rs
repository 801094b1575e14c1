//! `GET /sessions/query`: sessions or users by any unit, by any field, for any filter.

pub mod csv;
pub mod rows;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Refusals};
use super::error::{ApiError, ErrorBody, json_bytes};
use super::parameters;
use super::query::{Query, invalid};
use super::state::ApiState;
use crate::count::{Apps, DEFAULT_LIMIT, DEFAULT_UNITS, GroupBy, MAX_LIMIT, Metric, Question};
use crate::model::Filter;
use crate::series::{Range, Step};
use crate::store::WorkspaceEntry;

/// The parameters, as OpenAPI describes them; [`question`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct QueryParameters {
    /// `sessions`, or `users`: distinct users of each unit. A user is a `user_id`, else a `device_id`.
    #[param(required = false, inline, example = "sessions")]
    metric: MetricName,
    /// The first unit is the one that contains this: ISO 8601 in its usual forms, or Unix seconds. Without an offset it is
    /// read in the workspace's time zone; a date alone is that day. Default: so that there are 28 units.
    #[param(required = false, example = "2026-11-01")]
    from: String,
    /// The last unit is the one that contains this, in any form of `from`. At most 10 years after it. Default: now.
    #[param(required = false, example = "2026-11-28")]
    to: String,
    /// What a unit is: an hour, a day, a week or a month of the workspace's time zone, or all of it together. Weeks and
    /// months are whole.
    #[param(required = false, inline, example = "day")]
    unit: StepName,
    /// A field of sessions as they were recorded (`app_id`, `platform`, `os_version`, `app_version`, `device_model`,
    /// `country`, `language`, `first_session`, `attributes.NAME`), or `segment_id` for every segment with analytics tracking.
    #[param(required = false, example = "country")]
    group_by: String,
    /// How many groups, the largest over the whole range. The others are one group more, but for users and segments, which
    /// can't be added up.
    #[param(required = false, minimum = 1, maximum = 1000, default = 10, example = 10)]
    limit: u32,
    /// Count only sessions for which this filter holds: JSON as segments have it. It is not saved.
    #[param(
        required = false,
        example = r#"{"field":"country","op":"in","value":["BR","MX"]}"#
    )]
    filter: String,
    /// Count one app of the workspace, or several where it is given several times; all apps where it is left out.
    #[param(required = false, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
    /// Count the sessions of one segment of the workspace that has analytics tracking on.
    #[param(required = false, example = "b1f8e6c4-0f1a-4c5e-9a53-7a1d8f0c2e44")]
    segment_id: String,
    /// `json` or `csv`; where it is left out, the header `Accept` decides.
    #[param(required = false, inline, example = "json")]
    format: FormatName,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(default = "sessions")]
#[expect(dead_code, reason = "only its description is used")]
enum MetricName {
    Sessions,
    Users,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(default = "day")]
#[expect(dead_code, reason = "only its description is used")]
enum StepName {
    Hour,
    Day,
    Week,
    Month,
    Total,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(default = "json")]
#[expect(dead_code, reason = "only its description is used")]
enum FormatName {
    Json,
    Csv,
}

/// Numbers by unit and group.
#[derive(Serialize, ToSchema)]
pub(super) struct QueryAnswer {
    /// `success`
    #[schema(example = "success")]
    message: String,
    /// The workspace's, in which units are counted.
    #[schema(example = "America/New_York")]
    time_zone: String,
    /// Of the whole range and all groups, also those that `limit` cuts off: sessions, or distinct users.
    #[schema(example = 4874)]
    total: u64,
    /// Oldest unit first; of a unit the largest group of the whole range first.
    data: Vec<QueryRow>,
}

/// A unit, of a group.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"time": "2026-11-01", "group": "BR", "sessions": 12}))]
struct QueryRow {
    /// `YYYY-MM-DD`, the first date of the unit; for hours RFC 3339 with the workspace's offset at that instant.
    #[schema(example = "2026-11-01")]
    time: String,
    /// The value that the sessions have in common, `null` where the field is missing. Only with `group_by`.
    #[schema(required = false)]
    group: GroupName,
    /// Whether this is all that is in no other group; then `group` is `null`.
    #[schema(required = false, example = true)]
    others: bool,
    /// Sessions that started in it, where they are the metric.
    #[schema(required = false, example = 12)]
    sessions: u64,
    /// Distinct users with a session in it, where they are the metric.
    #[schema(required = false, example = 7)]
    users: u64,
}

/// A value of a field.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum GroupName {
    /// A text, or the id of an app or a segment.
    Text(String),
    /// An attribute that is a number.
    Number(f64),
    /// `true` or `false`
    Boolean(bool),
    /// The field is missing.
    Missing,
}

/// Ask anything about sessions
///
/// Sessions or distinct users by hour, day, week, month or in all, of any range of up to 10 years, by any field, for any
/// filter. Units without a session are 0; a group without a session in the range is left out. At most 100,000 rows.
#[utoipa::path(
    get,
    path = "/sessions/query",
    tag = "Export",
    params(QueryParameters),
    security(("api_key" = ["sessions.data_series"])),
    responses(
        (status = 200, description = "The numbers", body = QueryAnswer,
            content(
                (QueryAnswer = "application/json", example = json!({"message": "success", "time_zone": "America/New_York", "total": 15,
                    "data": [{"time": "2026-11-01", "group": "BR", "sessions": 12}, {"time": "2026-11-01", "group": null, "sessions": 3}]})),
                (String = "text/csv", example = json!("time,group,sessions\n2026-11-01,BR,12\n2026-11-01,,3\n")),
            )),
        (status = 400, description = "A parameter is wrong, or there would be too many rows", body = ErrorBody,
            example = json!({"message": "'unit' must be 'hour', 'day', 'week', 'month' or 'total', received 'year'"})),
        Refusals,
        (status = 503, description = "The store can't answer right now, or more than a few seconds of counting are needed first: `Retry-After` says when to ask again", body = ErrorBody),
    )
)]
pub(super) async fn query(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    match answer(&state, &workspace, query.as_deref(), &headers).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(
    state: &ApiState,
    workspace: &WorkspaceEntry,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let query = Query::new(query);
    let is_csv = is_csv(&query, headers)?;
    let question = question(workspace, &query)?;
    let answer = state.count(workspace, &question).await?;
    let metric = question.metric.as_str();
    let mut response = if is_csv {
        let mut response = Response::new(Body::from(csv::body(&answer, metric)));
        let text = HeaderValue::from_static("text/csv; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    } else {
        json_bytes(
            StatusCode::OK,
            rows::body(&answer, &workspace.workspace.time_zone, metric),
        )
    };
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Whether the answer is to be CSV.
fn is_csv(query: &Query<'_>, headers: &HeaderMap) -> Result<bool, ApiError> {
    match query.get("format")?.as_deref() {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(other) => Err(invalid("format", other, "'json' or 'csv'")),
        None => Ok(prefers_csv(headers)),
    }
}

/// Whether `Accept` names CSV, and no JSON before it.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut types = values
        .flat_map(|value| value.split(','))
        .map(|item| item.split(';').next().unwrap_or_default().trim());
    types.find(|name| matches!(*name, "text/csv" | "application/json" | "*/*" | "application/*"))
        == Some("text/csv")
}

/// Reads a question out of a query string. All that it names is of this workspace.
///
/// # Errors
/// 400 for the first parameter that is wrong.
pub fn question(workspace: &WorkspaceEntry, query: &Query<'_>) -> Result<Question, ApiError> {
    let metric = match query.get("metric")?.as_deref() {
        None | Some("sessions") => Metric::Sessions,
        Some("users") => Metric::Users,
        Some(other) => return Err(invalid("metric", other, "'sessions' or 'users'")),
    };
    let step = match query.get("unit")? {
        None => Step::default(),
        Some(text) => text
            .parse()
            .map_err(|_| invalid("unit", &text, "'hour', 'day', 'week', 'month' or 'total'"))?,
    };
    let segment = parameters::segment(workspace, query)?;
    Ok(Question {
        metric,
        range: range(query)?,
        step,
        apps: apps(workspace, query)?,
        segment: segment.map(parameters::tracked).transpose()?,
        filter: filter(query)?,
        group_by: group_by(query)?,
        limit: limit(query)?,
    })
}

fn range(query: &Query<'_>) -> Result<Range, ApiError> {
    let (from, to) = (
        parameters::instant(query, "from")?,
        parameters::instant(query, "to")?,
    );
    Ok(match from {
        Some(from) => Range::Between { from, to },
        None => Range::Last {
            length: DEFAULT_UNITS,
            ending_at: to,
        },
    })
}

/// Every `app_id`; none is all of them.
fn apps(workspace: &WorkspaceEntry, query: &Query<'_>) -> Result<Apps, ApiError> {
    let named = query.each("app_id")?;
    if named.is_empty() {
        return Ok(Apps::All);
    }
    let apps = named.iter().map(|text| parameters::app_of(workspace, text));
    apps.collect::<Result<_, _>>().map(Apps::These)
}

fn filter(query: &Query<'_>) -> Result<Option<Filter>, ApiError> {
    let text = query.get("filter")?;
    let filter = text.map(|text| text.parse::<Filter>()).transpose();
    filter.map_err(|error| ApiError::bad_request(format!("'filter' is not valid: {error}")))
}

fn group_by(query: &Query<'_>) -> Result<Option<GroupBy>, ApiError> {
    match query.get("group_by")?.as_deref() {
        None => Ok(None),
        Some("segment_id") => Ok(Some(GroupBy::Segment)),
        Some(name) => match name.parse() {
            Ok(field) => Ok(Some(GroupBy::Field(field))),
            Err(_) => Err(invalid(
                "group_by",
                name,
                "app_id, segment_id, platform, os_version, app_version, device_model, country, language, first_session or \
                 attributes.NAME with a name of 1 to 64 bytes",
            )),
        },
    }
}

fn limit(query: &Query<'_>) -> Result<u32, ApiError> {
    let Some(text) = query.get("limit")? else {
        return Ok(DEFAULT_LIMIT);
    };
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let limit = text
        .parse()
        .ok()
        .filter(|limit| is_plain && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| invalid("limit", &text, "an integer from 1 to 1000"))
}
