//! For whoever runs the server: is it alive, does the store answer, what does it do.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, json};
use super::state::ApiState;
use crate::metrics::Form;
use crate::store::StoreError;

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

/// `GET /ready` of the second listener: does the store answer?
pub(super) async fn ready(State(state): State<ApiState>) -> Response<Body> {
    match state.ready().await {
        Ok(()) => json(StatusCode::OK, &Status { message: "ready" }),
        Err(error) if matches!(*error, StoreError::Unusable(_)) => {
            tracing::warn!(%error, "the store is not usable");
            let message = "the store is damaged or was replaced: the server's log says more";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "the store does not answer");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let message = "the store does not answer, or can't be written: the server's log says more";
            ApiError::retry(status, message, 1).into_response()
        }
    }
}

/// `GET /metrics` of the second listener, in the form that is asked for: OpenMetrics, or Prometheus' text.
pub(super) async fn metrics(State(state): State<ApiState>, headers: HeaderMap) -> Response<Body> {
    if let Ok(usage) = state.store().usage().await {
        state.metrics().usage(&usage);
    }
    let accept: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let form = Form::accepted(&accept.join(","));
    match state.metrics().render(form) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
            headers.insert(VARY, HeaderValue::from_static("accept"));
            response
        }
        Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response(),
    }
}
