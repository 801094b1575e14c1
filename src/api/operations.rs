//! For whoever runs the server: is it alive, does the store answer, what does it do.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody, json};
use super::state::ApiState;

/// A state in one word.
#[derive(Serialize, ToSchema)]
struct Status {
    /// `ok` or `ready`
    #[schema(example = "ok")]
    message: &'static str,
}

/// Is the process alive?
#[utoipa::path(get, path = "/health", tag = "Operations", responses((status = 200, description = "It is", body = Status)))]
pub(super) async fn health() -> Response<Body> {
    json(StatusCode::OK, &Status { message: "ok" })
}

/// Does the store answer?
#[utoipa::path(get, path = "/ready", tag = "Operations", responses(
    (status = 200, description = "It does", body = Status),
    (status = 503, description = "It does not", body = ErrorBody),
))]
pub(super) async fn ready(State(state): State<ApiState>) -> Response<Body> {
    match state.store().ready().await {
        Ok(()) => json(StatusCode::OK, &Status { message: "ready" }),
        Err(error) => {
            tracing::warn!(%error, "the store does not answer");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            ApiError::retry(status, "the store does not answer", 1).into_response()
        }
    }
}

/// `GET /metrics` of the second listener, in the text format of Prometheus and OpenMetrics.
pub(super) async fn metrics(State(state): State<ApiState>) -> Response<Body> {
    if let Ok(usage) = state.store().usage().await {
        let bytes = i64::try_from(usage.bytes).unwrap_or(i64::MAX);
        state.metrics().store_bytes.set(bytes);
    }
    if let Ok(counting) = state.store().counting(None).await {
        state.metrics().counting(&counting);
    }
    match state.metrics().render() {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(format));
            response
        }
        Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response(),
    }
}
