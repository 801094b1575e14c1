//! Endpoints for clients that exist already and carry no secret, only the public id of an app: write-only, limited per
//! address, open to web pages of any origin, and answering in the words of their own protocols.
//!
//! [`opened`] is what they share; each protocol has a file of its own and may say in [`Speak`] what its errors look like.

mod browser;
mod descriptions;
mod otlp;
mod sentry;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Origin;
use super::client_address::Client;
use super::error::{ApiError, standard_message};
use super::rate_limit::Moment;
use super::refusal::Refused;
use super::state::ApiState;
use crate::metrics::Reason;

/// Where `session.js` reports to.
pub(super) const COLLECT: &str = "/sessions/collect";
/// Where OpenTelemetry's SDKs deliver logs.
pub(super) const LOGS: &str = "/v1/logs";
/// Where Sentry's SDKs deliver, without the slash at the address's end, which is gone when routes are matched.
pub(super) const ENVELOPE: &str = "/api/{project}/envelope";

/// Headers that clients of these protocols send.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, content-encoding, x-sentry-auth, sentry-trace, baggage, sessionmeter-app, traceparent, tracestate",
);
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("retry-after, x-request-id, x-sentry-error, x-sentry-rate-limits");
const ALLOWED_METHODS: &str = "POST";
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// An error, before it is said in a protocol's words.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    /// Seconds to wait before the next try.
    retry_after: Option<u64>,
}

/// Says an error in a protocol's words, given the headers of the request: body, content type, and whatever headers
/// the protocol has for errors. The rest is added by [`opened`].
pub(super) type Speak = fn(&HeaderMap, &Refusal) -> Response<Body>;

/// All routes of these endpoints, and their description.
pub(super) fn routes(state: &ApiState) -> (Router<ApiState>, OpenApi) {
    let (otlp, mut document) = OpenApiRouter::new().routes(routes!(otlp::logs)).split_for_parts();
    let (sentry, described) = OpenApiRouter::new()
        .routes(routes!(sentry::envelope))
        .split_for_parts();
    document.merge(described);
    let (browser, described) = OpenApiRouter::new()
        .routes(routes!(browser::collect))
        .split_for_parts();
    document.merge(described);
    let script = Router::new().route("/session.js", get(browser::script));
    let sentry = sentry.route(ENVELOPE, post(sentry::envelope));
    let router = opened(otlp, state, Some(otlp::speak))
        .merge(opened(sentry, state, Some(sentry::speak)))
        .merge(opened(browser, state, None))
        .merge(super::surrounded(script, state));
    (router, document)
}

/// Surrounds the routes of one protocol, all of them `POST`, with the limit per address and CORS, whatever becomes of
/// a request inside. Without `speak`, errors are said as everywhere else.
fn opened(router: Router<ApiState>, state: &ApiState, speak: Option<Speak>) -> Router<ApiState> {
    super::surrounded(router, state).layer(from_fn_with_state((state.clone(), speak), open))
}

async fn open(
    State((state, speak)): State<(ApiState, Option<Speak>)>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let headers = request.headers().clone();
    let mut response = if request.method() == Method::OPTIONS {
        preflight()
    } else {
        let client = state.client(&request);
        request.extensions_mut().insert(Origin::keyless(client));
        let answer = match over_the_limit(&state, client) {
            Some(refusal) => refusal.into_response(),
            None => next.run(request).await,
        };
        match speak {
            Some(speak) => spoken(answer, &headers, speak),
            None => answer,
        }
    };
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    response
}

fn preflight() -> Response<Body> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static(ALLOWED_METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

fn over_the_limit(state: &ApiState, client: Option<Client>) -> Option<ApiError> {
    let client = client?;
    let limit = state.settings().client_rate_limit;
    let seconds = state.limiter().client(client, limit, Moment::now())?;
    Some(
        ApiError::retry(
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "more than {limit} requests in this minute from this address; try again in {seconds} seconds"
            ),
            seconds,
        )
        .because(Reason::AddressLimit),
    )
}

/// An answer as it is, or an error in the protocol's words.
fn spoken(answer: Response<Body>, headers: &HeaderMap, speak: Speak) -> Response<Body> {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return answer;
    }
    let message = match answer.extensions().get::<Refused>() {
        Some(refused) => refused.message.as_ref().to_owned(),
        None => standard_message(status, Some(ALLOWED_METHODS)),
    };
    let retry_after = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let refusal = Refusal {
        status,
        message,
        retry_after,
    };
    let (said, body) = speak(headers, &refusal).into_parts();
    let (mut parts, _) = answer.into_parts();
    // They were about the other body, and about API keys.
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, WWW_AUTHENTICATE] {
        parts.headers.remove(name);
    }
    parts.headers.extend(said.headers);
    Response::from_parts(parts, body)
}
