//! `POST /sessions/track`: recording.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::{Accepted, JSON, parsed};
use super::error::{ApiError, ErrorBody, ItemFailure, json};
use super::state::ApiState;
use crate::collect::{Batch, Context, json as wire};
use crate::metrics::OutcomeKind;
use crate::store::WorkspaceEntry;

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
    /// 1 to 128 bytes, no control characters.
    #[schema(example = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f")]
    session_id: String,
    /// ISO 8601 with an offset or `Z`, or Unix seconds or milliseconds as a number. From 2000 on, at most 24 hours
    /// in the future.
    #[schema(example = "2018-06-28T23:59:59-05:00")]
    started_at: String,
    /// 1 to 256 bytes.
    #[schema(required = false)]
    user_id: String,
    /// 1 to 256 bytes.
    #[schema(required = false)]
    device_id: String,
    /// As `started_at`; not together with `duration`.
    #[schema(required = false)]
    ended_at: String,
    /// Seconds, 0 to 604,800.
    #[schema(required = false, minimum = 0, maximum = 604_800, example = 312.5)]
    duration: f64,
    /// Up to 64 bytes, as are the versions and the model; empty is as good as absent.
    #[schema(required = false, example = "ios")]
    platform: String,
    #[schema(required = false, example = "17.4.1")]
    os_version: String,
    #[schema(required = false, example = "4.10.0")]
    app_version: String,
    #[schema(required = false, example = "iPhone15,3")]
    device_model: String,
    /// ISO 3166-1 alpha-2.
    #[schema(required = false, example = "BR")]
    country: String,
    /// BCP 47.
    #[schema(required = false, example = "pt-BR")]
    language: String,
    /// Up to 32 entries; names up to 64 bytes; values strings of up to 256 bytes, numbers or booleans.
    #[schema(required = false, value_type = Object)]
    attributes: serde_json::Value,
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
        (status = 400, description = "The body can't be read, or every session was refused; nothing was recorded", body = ErrorBody),
        Refusals,
        (status = 408, description = "The body did not arrive in time", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "Content type or encoding is not understood", body = ErrorBody),
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
    let parse = move |bytes: &[u8], media_type: &str| {
        let context = Context {
            workspace: &workspace,
            default_app: None,
            now: jiff::Timestamp::now().as_millisecond(),
        };
        let batch = match media_type {
            NDJSON => wire::read_lines(bytes, &context),
            _ => wire::read_object(bytes, &context),
        };
        batch.map_err(|error| ApiError::bad_request(error.to_string()))
    };
    let batch = parsed(state.memory(), request, Accepted::Types(&[JSON, NDJSON]), parse).await?;
    record_batch(state, batch).await
}

/// Records what could be read, and says what could not.
pub(super) async fn record_batch(state: &ApiState, batch: Batch) -> Result<TrackResponse, ApiError> {
    let Batch { sessions, refused } = batch;
    state
        .metrics()
        .sessions(OutcomeKind::refused, refused.len() as u64);
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
