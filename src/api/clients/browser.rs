//! Web pages: `GET /session.js`, and `POST /sessions/collect`, to which the script reports.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::api::body::{Accepted, JSON, parsed};
use crate::api::error::{ApiError, ErrorBody, json};
use crate::api::state::ApiState;
use crate::api::track::{TrackResponse, TrackedSession, record_batch};
use crate::collect::{Batch, Context, json as wire};
use crate::model::AppId;

const SCRIPT: &str = include_str!("session.js");
/// What `sendBeacon` can send to another origin without asking first.
const TEXT: &str = "text/plain";
/// Seconds for which a browser does not ask for the script again.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The script for web pages. Any page may use it, whatever policies it has.
pub(super) async fn script(request: HeaderMap) -> Response<Body> {
    let tag = tag();
    let known = request.get(IF_NONE_MATCH).is_some_and(|known| *known == tag);
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(SCRIPT).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/javascript; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, CACHED);
    headers.insert(ETAG, tag);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    response
}

/// Weak, since the body is sent compressed as well.
fn tag() -> HeaderValue {
    let digest = Sha256::digest(SCRIPT.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("W/\"{hex}\"")).unwrap_or_else(|_| HeaderValue::from_static("W/\"\""))
}

/// Sessions of one app, from a client that has no key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct CollectRequest {
    /// The app's public id.
    #[schema(example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
    /// As `POST /sessions/track` takes them; `app_id` may be left out.
    #[schema(min_items = 1, max_items = 10_000)]
    sessions: Vec<TrackedSession>,
}

/// Record sessions of a web page
///
/// What `session.js` reports to: no key, only the public id of an app. The body is JSON, also when it is called
/// `text/plain`, which browsers may send to another origin without asking first.
#[utoipa::path(
    post,
    path = "/sessions/collect",
    tag = "Clients",
    request_body(content = CollectRequest, example = json!({
        "app_id": "00dc3cf6-1763-5d5b-8264-db458aa346c3",
        "sessions": [{"session_id": "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f", "started_at": 1_530_248_399, "platform": "web"}]
    })),
    responses(
        (status = 201, description = "Recorded, durably; `errors` lists sessions that were refused", body = TrackResponse),
        (status = 400, description = "The body can't be read, the app is unknown, or every session was refused", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "Content type or encoding is not understood", body = ErrorBody),
        (status = 429, description = "Too many requests from this address in this minute", body = ErrorBody),
        (status = 503, description = "The store can't take the write now; nothing was recorded, try again", body = ErrorBody),
    )
)]
pub(super) async fn collect(State(state): State<ApiState>, request: Request<Body>) -> Response<Body> {
    match record(&state, request).await {
        Ok(recorded) => json(StatusCode::CREATED, &recorded),
        Err(error) => error.into_response(),
    }
}

async fn record(state: &ApiState, request: Request<Body>) -> Result<TrackResponse, ApiError> {
    let catalog = state.store().catalog();
    let parse = move |bytes: &[u8], _: &str| -> Result<Batch, ApiError> {
        let app = app(bytes)?;
        let found = app.parse::<AppId>().ok().and_then(|id| catalog.app(id));
        let (workspace, app) = found.ok_or_else(|| {
            let shown: String = app.chars().take(100).collect();
            ApiError::bad_request(format!("'app_id' must be the id of an app, received '{shown}'"))
        })?;
        let context = Context {
            workspace,
            default_app: Some(app.id),
            now: jiff::Timestamp::now().as_millisecond(),
        };
        let batch = wire::read_object(bytes, &context);
        batch.map_err(|error| ApiError::bad_request(error.to_string()))
    };
    let batch = parsed(state.memory(), request, Accepted::Types(&[TEXT, JSON]), parse).await?;
    record_batch(state, batch).await
}

fn app(body: &[u8]) -> Result<Cow<'_, str>, ApiError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        app_id: Option<Cow<'a, str>>,
    }
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| {
        let said: String = error.to_string().chars().take(160).collect();
        ApiError::bad_request(format!(
            "the body must be a JSON object with 'app_id' and 'sessions': {said}"
        ))
    })?;
    envelope
        .app_id
        .ok_or_else(|| ApiError::bad_request("'app_id' is required: the id of an app"))
}
