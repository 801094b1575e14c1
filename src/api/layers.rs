//! What surrounds every route: request ids, size and time limits, JSON for every error, metrics and one log line.

use std::any::Any;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use tower_http::catch_panic::ResponseForPanic;

use super::auth::Caller;
use super::error::{ApiError, ensure_json, standard_message};
use super::state::ApiState;
use crate::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;
const MAX_URL: usize = 8 * 1024;
const MAX_HEADERS: usize = 32 * 1024;

/// Wraps every request of a listener, whatever becomes of it.
pub(super) async fn observe(
    State(state): State<ApiState>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = method_label(request.method());
    let response = match oversized(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let mut response = ensure_json(response);
    response.headers_mut().insert(REQUEST_ID, id.clone());
    let elapsed = started.elapsed();
    let extensions = response.extensions();
    let route = extensions
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let status = response.status().as_u16();
    // The pattern, not the path: nobody's ids or keys end up in a log.
    tracing::info!(
        target: "sessionmeter::request",
        method,
        route,
        status,
        micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        request_id = id.to_str().unwrap_or_default(),
        workspace = extensions.get::<Caller>().map(|Caller(entry)| tracing::field::display(entry.workspace.id)),
        "request"
    );
    let request = metrics::Request {
        route,
        method,
        status,
    };
    state.metrics().request(&request, elapsed.as_secs_f64());
    response
}

/// Wraps every request that has a route: ends it in time, and notes the route's pattern for [`observe`].
pub(super) async fn routed(
    State(state): State<ApiState>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let in_time = tokio::time::timeout(state.settings().request_timeout, next.run(request)).await;
    let mut response = in_time.unwrap_or_else(|_| {
        ApiError::retry(
            StatusCode::SERVICE_UNAVAILABLE,
            "the request took too long; what it may have recorded is not counted again when you repeat it",
            1,
        )
        .into_response()
    });
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// The caller's id where it is short and printable, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    headers
        .get(REQUEST_ID)
        .filter(|value| (1..=MAX_REQUEST_ID).contains(&value.len()) && value.to_str().is_ok())
        .cloned()
        .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok())
        .unwrap_or(HeaderValue::from_static("none"))
}

fn oversized(request: &Request<Body>) -> Option<ApiError> {
    let url = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let status = if url > MAX_URL {
        StatusCode::URI_TOO_LONG
    } else if headers > MAX_HEADERS {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else {
        return None;
    };
    Some(ApiError::new(status, standard_message(status, None)))
}

/// Methods come from outside and become labels: only those that HTTP defines are told apart.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Answers for a handler that panicked; the panic itself goes to the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct PanicAnswer;

impl ResponseForPanic for PanicAnswer {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send>) -> Response<Body> {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        tracing::error!(message, "a handler panicked");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, standard_message(status, None)).into_response()
    }
}
