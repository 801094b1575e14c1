//! `POST /sessions/track`: recording.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::{Accepted, BodyRefusals, JSON, parsed};
use super::error::{ApiError, ErrorBody, ItemFailure, json};
use super::state::ApiState;
use crate::catalog::{Catalog, WorkspaceEntry};
use crate::collect::json::{self as wire, BodyError};
use crate::collect::{Batch, Context};
use crate::model::WorkspaceId;
use crate::store::now;

/// Where sessions are recorded with a key.
pub(super) const PATH: &str = "/sessions/track";
const NDJSON: &str = "application/x-ndjson";

/// Sessions to record.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct TrackRequest {
    /// 1 to 10,000 sessions.
    #[schema(min_items = 1, max_items = 10_000)]
    sessions: Vec<TrackedSession>,
}

/// One period of use of an app. It is recorded once, however often it is delivered: what identifies it is
/// `app_id`, `session_id` and the UTC date of `started_at`. A later delivery can only add the end.
#[derive(ToSchema)]
#[schema(as = Session)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct TrackedSession {
    /// An app of the workspace.
    #[schema(example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
    #[serde(flatten)]
    fields: SessionFields,
}

/// Seconds or milliseconds since 1970, or a time in words.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Time)]
#[expect(dead_code, reason = "only its description is used")]
enum Time {
    /// ISO 8601, with an offset or `Z`.
    Text(String),
    /// Unix seconds or milliseconds.
    Number(f64),
}

/// The value of an attribute.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = AttributeValue)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum AttributeValue {
    /// Up to 256 bytes.
    Text(String),
    /// Any.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
}

/// What is said about a session besides its app.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct SessionFields {
    /// 1 to 128 bytes, no control characters.
    #[schema(example = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f")]
    session_id: String,
    /// ISO 8601 with an offset or `Z`, or Unix seconds or milliseconds as a number. From 2000 on, at most 24 hours
    /// in the future, and of no day (UTC) that is older than the workspace's retention.
    #[schema(example = "2018-06-28T23:59:59-05:00")]
    started_at: Time,
    /// 1 to 256 bytes.
    #[schema(required = false, example = "u1")]
    user_id: String,
    /// 1 to 256 bytes.
    #[schema(required = false, example = "d1")]
    device_id: String,
    /// As `started_at`; not together with `duration`.
    #[schema(required = false)]
    ended_at: Time,
    /// Seconds, 0 to 604,800.
    #[schema(required = false, minimum = 0, maximum = 604_800, example = 312.5)]
    duration: f64,
    /// Up to 64 bytes, as are the versions and the model; empty is as good as absent.
    #[schema(required = false, example = "ios")]
    platform: String,
    /// Up to 64 bytes.
    #[schema(required = false, example = "17.4.1")]
    os_version: String,
    /// Up to 64 bytes.
    #[schema(required = false, example = "4.10.0")]
    app_version: String,
    /// Up to 64 bytes.
    #[schema(required = false, example = "iPhone15,3")]
    device_model: String,
    /// ISO 3166-1 alpha-2.
    #[schema(required = false, example = "BR")]
    country: String,
    /// BCP 47.
    #[schema(required = false, example = "pt-BR")]
    language: String,
    /// Up to 32 entries; names up to 64 bytes; values strings of up to 256 bytes, numbers or booleans.
    #[schema(required = false, example = json!({"plan": "pro", "seats": 5}))]
    attributes: HashMap<String, AttributeValue>,
}

/// What was recorded.
#[derive(Serialize, ToSchema)]
#[schema(as = Tracked)]
pub(super) struct TrackResponse {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// New sessions.
    #[schema(example = 2)]
    sessions_processed: u64,
    /// Sessions that had been recorded before.
    #[schema(example = 1)]
    duplicates: u64,
    /// Sessions that were refused; the others are recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ItemFailure>,
}

/// Record sessions
///
/// Takes JSON or NDJSON (one session a line), at most 32 MiB after decompression (gzip and zstd). Answers when
/// the sessions are on disk. Safe to repeat: what was recorded is not counted again.
#[utoipa::path(
    post,
    path = "/sessions/track",
    tag = "Record",
    request_body(
        content(
            (TrackRequest = "application/json", example = json!({"sessions": [{"app_id": "00dc3cf6-1763-5d5b-8264-db458aa346c3", "session_id": "s1", "started_at": "2018-06-28T23:59:59-05:00"}]})),
            (String = "application/x-ndjson", example = "{\"app_id\":\"00dc3cf6-1763-5d5b-8264-db458aa346c3\",\"session_id\":\"s1\",\"started_at\":1530248399}\n"),
        )
    ),
    security(("api_key" = ["sessions.track"])),
    responses(
        (status = 201, description = "Recorded, durably; `errors` lists sessions that were refused", body = TrackResponse),
        (status = 400, description = "The body can't be read, or every session was refused; nothing was recorded", body = ErrorBody,
            example = json!({"message": "every session was refused, nothing was recorded; 'errors' says why", "errors": [
                {"type": "'session_id' is required: a string of 1 to 128 bytes", "input_array": "sessions", "index": 0}
            ]})),
        Refusals,
        BodyRefusals,
        (status = 503, description = "The store can't take the write now; nothing was recorded, try again", body = ErrorBody),
    )
)]
pub(super) async fn track(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    match record(&state, workspace, request).await {
        Ok(recorded) => json(StatusCode::CREATED, &recorded),
        Err(error) => error.into_response(),
    }
}

async fn record(
    state: &ApiState,
    workspace: Arc<WorkspaceEntry>,
    request: Request<Body>,
) -> Result<TrackResponse, ApiError> {
    let of = workspace.workspace.id;
    let parse = {
        let state = state.clone();
        move |bytes: &[u8], media_type: &str| {
            let read = |catalog: &Catalog| {
                let workspace = catalog.workspace(workspace.workspace.id).unwrap_or(&workspace);
                let now = now();
                let context = Context {
                    workspace,
                    default_app: None,
                    limits: workspace.workspace.start_limits(now),
                };
                match media_type {
                    NDJSON => wire::read_lines(bytes, &context),
                    _ => wire::read_object(bytes, &context),
                }
            };
            let lacks_apps = |batch: &Result<Batch, BodyError>| batch.as_ref().is_ok_and(Batch::lacks_apps);
            let batch = state.read_over(&state.store().catalog(), read, lacks_apps)?;
            batch.map_err(|error| ApiError::bad_request(error.to_string()))
        }
    };
    let batch = parsed(state.memory(), request, Accepted::Types(&[JSON, NDJSON]), parse).await?;
    record_batch(state, batch, (PATH, Some(of))).await
}

/// Records what could be read, and says what could not.
///
/// It says the endpoint, and the workspace of the caller's key.
pub(super) async fn record_batch(
    state: &ApiState,
    batch: Batch,
    (endpoint, workspace): (&str, Option<WorkspaceId>),
) -> Result<TrackResponse, ApiError> {
    let Batch { sessions, refused } = batch;
    state.note_refused(&refused);
    if !sessions.is_empty() {
        state.note_refused_items(endpoint, workspace, &refused);
    }
    let errors = refused.into_iter().map(|(index, error)| ItemFailure {
        reason: error.to_string(),
        input_array: "sessions",
        index,
    });
    let errors: Vec<ItemFailure> = errors.collect();
    if sessions.is_empty() {
        return Err(ApiError::all_refused("session", errors));
    }
    let tally = state.recorder().record(sessions).await?;
    Ok(TrackResponse {
        message: "success",
        sessions_processed: tally.new,
        duplicates: tally.duplicates,
        errors,
    })
}
