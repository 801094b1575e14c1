//! Who asks, whether they may, and what is left of their budget.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema as _};

use super::body::JSON;
use super::client_address::{Peer, client_address};
use super::error::{ApiError, ErrorBody};
use super::rate_limit::{Allowance, Budget};
use super::state::ApiState;
use crate::model::{ApiKey, KeySecret, Permission};
use crate::store::WorkspaceEntry;

const WHERE_A_KEY_BELONGS: &str = "send the API key in the header 'Authorization: Bearer smk_…'; \
     a key in the URL or the body is not accepted";

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Which permission.
    pub permission: Permission,
    /// Which budget.
    pub budget: Budget,
}

/// The authenticated workspace of a request, for handlers.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<WorkspaceEntry>);

/// What [`authorize`] may answer in a handler's place, for the handlers' descriptions.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let refusals = [
            ("401", "The key is missing, malformed, unknown or revoked"),
            (
                "403",
                "The key lacks the permission, or the address is not allowed",
            ),
            ("429", "The hour's requests are used up"),
        ];
        let described = refusals.map(|(status, description)| {
            let body = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(ErrorBody::name())))
                .build();
            let response = ResponseBuilder::new().description(description);
            let response = response.content(JSON, body).build();
            (status.to_owned(), RefOr::T(response))
        });
        described.into()
    }
}

/// Lets a request through to its handler with a [`Caller`], or refuses it.
pub(super) async fn authorize(
    State((state, guard)): State<(ApiState, Guard)>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let catalog = state.store().catalog();
    let now = jiff::Timestamp::now();
    let peer = request.extensions().get::<Peer>().copied();
    let address = peer.map(|peer| client_address(peer, request.headers(), &state.settings().trusted_proxies));
    let authenticated = secret(request.headers()).and_then(|secret| {
        catalog.authenticate(&secret.hash()).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "this API key is unknown or was revoked; create one with 'sessionmeter key create'",
            )
        })
    });
    let (workspace, key) = match authenticated {
        Ok(found) => found,
        Err(refusal) => {
            let wait =
                address.and_then(|address| state.limiter().failed_authentication(address, now.as_second()));
            return wait.map_or(refusal, too_many_failures).into_response();
        }
    };
    let limits = workspace.workspace.rate_limits;
    let limit = match guard.budget {
        Budget::Export => limits.export,
        Budget::Recording => limits.recording,
    };
    let allowance = state
        .limiter()
        .draw(workspace.workspace.id, guard.budget, limit, now.as_second());
    state.note_key_use(key.id, now.as_millisecond());
    let refusal = exhausted(allowance, now.as_second()).or_else(|| forbidden(key, address, guard.permission));
    let caller = Caller(workspace.clone());
    let mut response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
    };
    // For the log line.
    response.extensions_mut().insert(caller);
    if let Some(allowance) = allowance {
        allowance.write_headers(response.headers_mut());
    }
    response
}

fn secret(headers: &HeaderMap) -> Result<KeySecret, ApiError> {
    let unauthorized = |message: String| ApiError::new(StatusCode::UNAUTHORIZED, message);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(unauthorized(format!(
            "the API key is missing: {WHERE_A_KEY_BELONGS}"
        )));
    };
    if values.next().is_some() {
        return Err(unauthorized(
            "the header 'Authorization' is given twice; give it once".into(),
        ));
    }
    let secret = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, secret)| {
            scheme
                .eq_ignore_ascii_case("bearer")
                .then(|| KeySecret::parse(secret.trim()))
                .flatten()
        });
    secret.ok_or_else(|| {
        unauthorized(format!(
            "the API key is malformed: it is 'smk_' and 43 letters, digits, '-' or '_'; {WHERE_A_KEY_BELONGS}"
        ))
    })
}

fn too_many_failures(seconds: u64) -> ApiError {
    ApiError::retry(
        StatusCode::TOO_MANY_REQUESTS,
        "too many failed authentications from this address; check the key and wait",
        seconds,
    )
}

fn exhausted(allowance: Option<Allowance>, now: i64) -> Option<ApiError> {
    let allowance = allowance.filter(|allowance| allowance.exceeded)?;
    Some(ApiError::retry(
        StatusCode::TOO_MANY_REQUESTS,
        format!(
            "the workspace's {} requests of this hour are used up; the next hour begins at the Unix second {}",
            allowance.limit, allowance.reset
        ),
        allowance.retry_after(now),
    ))
}

fn forbidden(key: &ApiKey, address: Option<std::net::IpAddr>, permission: Permission) -> Option<ApiError> {
    if !key.allow.is_empty() && !address.is_some_and(|address| key.allows_address(address)) {
        let message = "this API key may not be used from your address; its allow-list names other networks";
        return Some(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    (!key.permissions.allow(permission)).then(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            format!("this API key lacks the permission '{}'", permission.as_str()),
        )
    })
}
