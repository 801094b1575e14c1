//! Web pages: `GET /session.js`, and `POST /sessions/collect`, to which the script reports.

use std::borrow::Cow;
use std::sync::LazyLock;

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

use crate::api::body::{Accepted, BodyRefusals, JSON, parsed};
use crate::api::error::{ApiError, ErrorBody, json};
use crate::api::state::ApiState;
use crate::api::track::{SessionFields, TrackResponse, record_batch};
use crate::catalog::Catalog;
use crate::collect::json::{self as wire, BodyError};
use crate::collect::{Batch, Context};
use crate::model::AppId;
use crate::store::now;

/// The script as it is served: its comments and indentation are for those who read it here.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("session.js").lines().map(str::trim_start);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    code.fold(String::new(), |script, line| script + line + "\n")
});
/// What `sendBeacon` can send to another origin without asking first.
const TEXT: &str = "text/plain";
/// Seconds for which a browser does not ask for the script again.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The script for web pages. Any page may use it, whatever policies it has.
pub(super) async fn script(request: HeaderMap) -> Response<Body> {
    let tag = tag();
    let known = request.get(IF_NONE_MATCH).is_some_and(|known| *known == tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(SCRIPT.as_str()).into_response()
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
    sessions: Vec<CollectedSession>,
}

/// A session of the body's app.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct CollectedSession {
    /// The body's app, if it is named here as well.
    #[schema(required = false, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    app_id: String,
    #[serde(flatten)]
    fields: SessionFields,
}

/// Record sessions of a web page
///
/// What `session.js` reports to: no key, only the public id of an app. The body is JSON, also when it is called
/// `text/plain`, which browsers may send to another origin without asking first. An optional field that does not fit is
/// mended or left out; a session is refused only for its app, its id or its start.
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
        (status = 400, description = "The body can't be read, the app is unknown, or every session was refused", body = ErrorBody,
            example = json!({"message": "'app_id' must be the id of an app, received 'web'"})),
        BodyRefusals,
        (status = 429, description = "Too many requests from this address in this minute", body = ErrorBody,
            example = json!({"message": "more than 600 requests in this minute from this address; try again in 37 seconds"})),
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
    let parse = {
        let state = state.clone();
        move |bytes: &[u8], _: &str| {
            let app = app(bytes)?;
            let unknown = || {
                let shown: String = app.chars().take(100).collect();
                ApiError::bad_request(format!("'app_id' must be the id of an app, received '{shown}'"))
            };
            let id: AppId = app.parse().map_err(|_| unknown())?;
            let read = |catalog: &Catalog| {
                let (workspace, _) = catalog.app(id)?;
                let now = now();
                let context = Context {
                    workspace,
                    default_app: Some(id),
                    limits: workspace.workspace.start_limits(now),
                };
                Some(wire::read_mended_object(bytes, &context))
            };
            // A session may name an app of its own.
            let lacks_apps = |read: &Option<Result<Batch, BodyError>>| match read {
                Some(batch) => batch.as_ref().is_ok_and(Batch::lacks_apps),
                None => true,
            };
            let batch = state.read_over(&state.store().catalog(), read, lacks_apps)?;
            let batch = batch.ok_or_else(unknown)?;
            batch.map_err(|error| ApiError::bad_request(error.to_string()))
        }
    };
    let batch = parsed(state.memory(), request, Accepted::Types(&[TEXT, JSON]), parse).await?;
    record_batch(state, batch, (super::COLLECT, None)).await
}

fn app(body: &[u8]) -> Result<Cow<'_, str>, ApiError> {
    #[derive(Deserialize)]
    #[serde(expecting = "a JSON object")]
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
