//! `POST /api/{project}/envelope/`: what Sentry's SDKs send.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use percent_encoding::percent_decode_str;
use serde_json::json;
use uuid::Uuid;

use super::Refusal;
use super::descriptions::{self, Detail, EnvelopeRefusals};
use crate::api::body::{Accepted, parsed};
use crate::api::error::{ApiError, json as json_answer};
use crate::api::state::ApiState;
use crate::catalog::Catalog;
use crate::collect::sentry::{self, Context, Delivery, SentryError};
use crate::store::now;

const AUTH: &str = "x-sentry-auth";
const KEY: &str = "sentry_key";
const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
const ERROR: HeaderName = HeaderName::from_static("x-sentry-error");
/// Reasons that an answer gives.
const REASONS: usize = 3;

/// Deliver a Sentry envelope
///
/// For SDKs whose DSN names this host and, as its public key, the app's id without hyphens. Items `session` and
/// `sessions` are recorded, all others are accepted and passed over. `sessions` count at every delivery. The key is in `X-Sentry-Auth`, in the query
/// (`sentry_key`) or in the envelope's `dsn`. Errors are `{"detail": "…"}`.
#[utoipa::path(
    post,
    path = "/api/{project}/envelope/",
    tag = "Clients",
    params(
        ("project" = String, Path, description = "Anything", example = "1"),
        ("sentry_key" = Option<String>, Query, nullable = false, example = "00dc3cf617635d5b8264db458aa346c3",
            description = "The app's id without hyphens"),
        ("X-Sentry-Auth" = Option<String>, Header, nullable = false, example = "Sentry sentry_key=00dc3cf617635d5b8264db458aa346c3",
            description = "`Sentry sentry_key=KEY`"),
    ),
    request_body(content((String = "application/x-sentry-envelope", example = "{\"dsn\":\"https://00dc3cf617635d5b8264db458aa346c3@sessions.example.com/1\",\"sent_at\":\"2018-06-28T23:59:59Z\"}\n{\"type\":\"session\"}\n{\"sid\":\"6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f\",\"init\":true,\"started\":\"2018-06-28T23:59:59Z\",\"status\":\"ok\",\"attrs\":{\"release\":\"shop@1.2.3\"}}\n"))),
    responses(
        (status = 200, description = "Recorded, durably: `{\"id\": …}`, or `{}` where the envelope has no `event_id`",
            body = descriptions::Accepted, example = json!({})),
        EnvelopeRefusals,
        (status = 500, description = "A defect of the server", body = Detail,
            example = json!({"detail": "internal error; the server's log has it under this x-request-id"})),
    )
)]
pub(super) async fn envelope(State(state): State<ApiState>, request: Request<Body>) -> Response<Body> {
    match record(&state, request).await {
        Ok(Some(id)) => json_answer(StatusCode::OK, &json!({"id": id})),
        Ok(None) => json_answer(StatusCode::OK, &json!({})),
        Err(error) => error.into_response(),
    }
}

async fn record(state: &ApiState, request: Request<Body>) -> Result<Option<String>, ApiError> {
    let key = key(request.headers(), request.uri())?;
    let parse = {
        let state = state.clone();
        move |bytes: &[u8], _: &str| {
            let read = |catalog: &Catalog| {
                let context = Context {
                    catalog,
                    key: key.as_deref(),
                    request: Uuid::new_v4(),
                    now: now(),
                };
                sentry::read(bytes, &context)
            };
            let lacks_app = |delivery: &Result<Delivery, SentryError>| {
                matches!(delivery, Err(SentryError::UnknownApp(_)))
            };
            let delivery = state.read_over(&state.store().catalog(), read, lacks_app)?;
            delivery.map_err(|error| {
                let refusal = ApiError::new(status(&error), error.to_string());
                match error {
                    SentryError::UnknownApp(app) => refusal.about_unknown(app),
                    _ => refusal,
                }
            })
        }
    };
    let Delivery {
        id,
        sessions,
        refused,
    } = parsed(state.memory(), request, Accepted::Anything, parse).await?;
    state.note_refused(&refused);
    if !sessions.is_empty() {
        state.note_refused_items(super::ENVELOPE, None, &refused);
        state.recorder().record(sessions).await?;
    } else if !refused.is_empty() {
        let reason = |(index, error): &(usize, _)| format!("item {index}: {error}");
        let reasons: Vec<String> = refused.iter().take(REASONS).map(reason).collect();
        return Err(ApiError::bad_request(reasons.join("; ")));
    }
    Ok(id)
}

fn status(error: &SentryError) -> StatusCode {
    match error {
        SentryError::Envelope(_) | SentryError::BadKey(_) => StatusCode::BAD_REQUEST,
        SentryError::NoKey => StatusCode::UNAUTHORIZED,
        SentryError::UnknownApp(_) => StatusCode::FORBIDDEN,
        SentryError::TooMany | SentryError::TooManyItems => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

/// The key outside the body.
fn key(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, ApiError> {
    let unauthorized = |message: &str| ApiError::new(StatusCode::UNAUTHORIZED, message);
    let of_header =
        match headers.get(AUTH) {
            None => None,
            Some(value) => {
                Some(value.to_str().ok().and_then(key_of_header).ok_or_else(|| {
                    unauthorized("bad x-sentry-auth header: it is 'Sentry sentry_key=KEY, …'")
                })?)
            }
        };
    let of_query = uri.query().and_then(key_of_query);
    match (of_header, of_query) {
        (Some(one), Some(other)) if one != other => Err(unauthorized(
            "multiple authorization payloads detected: the header and the query name different keys",
        )),
        (one, other) => Ok(one.or(other)),
    }
}

/// `KEY` of `Sentry sentry_version=7, sentry_key=KEY`.
fn key_of_header(value: &str) -> Option<String> {
    let (scheme, pairs) = value.trim().split_once(' ')?;
    let mut pairs = pairs.split(',').filter_map(|pair| pair.split_once('='));
    let (_, key) = pairs.find(|(name, _)| name.trim() == KEY)?;
    scheme
        .eq_ignore_ascii_case("sentry")
        .then(|| key.trim().to_owned())
}

fn key_of_query(query: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, key) = pairs.find(|(name, _)| *name == KEY)?;
    Some(percent_decode_str(key).decode_utf8_lossy().into_owned())
}

/// `{"detail": …}`, and what SDKs that are sent too fast look for.
pub(super) fn speak(_: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    let Refusal {
        status,
        message,
        retry_after,
    } = refusal;
    let mut response = json_answer(*status, &json!({"detail": message}));
    let headers = response.headers_mut();
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(ERROR, message);
    }
    // Seconds, categories (all), scope, reason.
    if let Some(seconds) = retry_after.filter(|_| *status == StatusCode::TOO_MANY_REQUESTS)
        && let Ok(limits) = HeaderValue::from_str(&format!("{seconds}::key:rate_limited"))
    {
        headers.insert(RATE_LIMITS, limits);
    }
    response
}
