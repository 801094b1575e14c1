//! What surrounds every route: request ids, size and time limits, JSON for every error, metrics and one log line.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use tower::ServiceExt as _;
use tower_http::catch_panic::ResponseForPanic;

use super::auth::Authenticated;
use super::client_address::Peer;
use super::connection::Answers;
use super::error::{ApiError, ensure_json, standard_message};
use super::paths;
use super::refusal::Refused;
use super::state::ApiState;
use crate::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;
/// A request's id, for whoever answers it.
#[derive(Debug, Clone)]
pub struct RequestId(pub HeaderValue);

/// Routes that monitors ask all the time.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];
/// Routes whose refusals are remembered for whoever sets up a client.
const RECORDING: [&str; 4] = [
    super::track::PATH,
    super::clients::COLLECT,
    super::clients::LOGS,
    super::clients::ENVELOPE,
];
const MAX_URL: usize = 8 * 1024;
const MAX_HEADERS: usize = 32 * 1024;

/// Headers of every answer that does not say otherwise: answers are about one moment and one caller, are what their type
/// says, and are nothing to be shown inside of another page.
const DEFAULTS: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// A listener's routes with what surrounds them all: only here an answer is complete, since `Allow` is set after the layers of
/// a route.
#[derive(Clone)]
pub struct Observed {
    pub(super) routes: Router,
    pub(super) state: ApiState,
}

impl Answers for Observed {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        observe(&self.state, request, &self.routes).await
    }
}

/// Wraps every request of a listener, whatever becomes of it.
async fn observe(state: &ApiState, mut request: Request<Body>, routes: &Router) -> Response<Body> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = method_label(request.method());
    let refusal = oversized(&request).or_else(|| with_wrong_host(&request));
    if let Some(plain) = paths::plain(request.uri()) {
        *request.uri_mut() = plain;
    }
    allow_plain_answers(request.headers_mut());
    let authenticated = Authenticated::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(authenticated.clone());
    let response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => match routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    let mut response = ensure_json(response);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    authenticated.write_headers(headers);
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    let elapsed = started.elapsed();
    let extensions = response.extensions();
    let route = extensions
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let status = response.status().as_u16();
    if status >= 400 {
        let reason = extensions.get::<metrics::Reason>().copied();
        let reason = reason.unwrap_or_else(|| metrics::Reason::of_status(status));
        state.metrics().refused_request(reason);
        if let Some(refused) = extensions.get::<Refused>()
            && RECORDING.contains(&route.as_str())
        {
            let workspace = authenticated.workspace().map(|entry| entry.workspace.id);
            state.note_refused_request(&route, workspace, refused);
        }
    }
    macro_rules! line {
        ($level:ident) => {
            // The pattern, not the path: nobody's ids or keys end up in a log.
            tracing::$level!(
                target: "sessionmeter::request",
                method,
                route,
                status,
                micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
                request_id = id.to_str().unwrap_or_default(),
                workspace = authenticated.workspace().map(|entry| tracing::field::display(entry.workspace.id)),
                reason = extensions.get::<Refused>().map(Refused::reason),
                "request"
            )
        };
    }
    // Probes and scrapes come every few seconds, and say nothing unless they fail.
    if PROBES.contains(&route.as_str()) && status < 400 {
        line!(debug);
    } else {
        line!(info);
    }
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
        .because(metrics::Reason::RequestTimeout)
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

/// HTTP/1.1 asks for one `Host`, and for a refusal of what has none, two or one that is none: what stands in between may
/// have gone by another one. HTTP/2 says it in the address.
fn with_wrong_host(request: &Request<Body>) -> Option<ApiError> {
    // Requests that came over no connection are our own.
    request.extensions().get::<Peer>()?;
    let mut hosts = request.headers().get_all(HOST).iter();
    let may_be_absent = request.version() == Version::HTTP_10 || request.version() == Version::HTTP_2;
    let message = match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host) => return None,
        (Some(_), None) => "the header 'Host' is no host with or without a port, such as example.com:8080",
        (None, _) if may_be_absent => return None,
        (None, _) => "the header 'Host' is missing; HTTP/1.1 requires it",
        (Some(_), Some(_)) => "the header 'Host' is given more than once; give it once",
    };
    Some(ApiError::bad_request(message))
}

/// Whoever refuses answers that are not compressed gets them all the same, where there is no other form: a 406 would hide what
/// was recorded.
fn allow_plain_answers(headers: &mut HeaderMap) {
    let codings = || headers.get_all(ACCEPT_ENCODING).iter();
    // Nearly all clients give no weights, and refuse nothing.
    if !codings().any(|value| value.as_bytes().contains(&b';')) {
        return;
    }
    let codings: Vec<(String, bool)> = codings()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().trim_start_matches(['q', 'Q', '=', ' ']);
            let is_refused = weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0);
            (name.trim().to_ascii_lowercase(), is_refused)
        })
        .collect();
    let refuses_plain =
        |(name, is_refused): &(String, bool)| *is_refused && (name == "identity" || name == "*");
    if !codings.iter().any(refuses_plain) {
        return;
    }
    let accepted: Vec<&str> = codings
        .iter()
        .filter(|(name, is_refused)| !is_refused && (name == "gzip" || name == "zstd"))
        .map(|(name, _)| name.as_str())
        .collect();
    headers.remove(ACCEPT_ENCODING);
    if let Ok(accepted) = HeaderValue::from_str(&accepted.join(", "))
        && !accepted.is_empty()
    {
        headers.insert(ACCEPT_ENCODING, accepted);
    }
}

/// A URL without a host has an empty one.
fn is_host(value: &HeaderValue) -> bool {
    if is_plain_host(value.as_bytes()) {
        return true;
    }
    let authority = || Authority::try_from(value.as_bytes());
    value.is_empty() || authority().is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// Whether it is a name or an IPv4 address with or without a port, as nearly all are: these need not be copied to be checked.
fn is_plain_host(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b':');
    let (name, port, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let is_name = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte));
    let is_port =
        port.is_none_or(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit));
    !name.is_empty() && is_name && is_port && rest.is_none()
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
