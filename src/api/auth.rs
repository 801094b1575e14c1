//! Who asks, whether they may, and what is left of their budget.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use utoipa::IntoResponses;
use uuid::Uuid;

use super::body::Origin;
use super::client_address::Client;
use super::error::{ApiError, Described, described};
use super::query::Query;
use super::rate_limit::{Allowance, Budget, Moment};
use super::state::ApiState;
use crate::catalog::WorkspaceEntry;
use crate::metrics::Reason;
use crate::model::{ApiKey, AppId, KeyId, KeySecret, Permission, SegmentId};

const WHERE_A_KEY_BELONGS: &str = "send the API key in the header 'Authorization: Bearer smk_…'; \
     a key in the URL or the body is not accepted";

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Which permission; none where any key will do.
    pub permission: Option<Permission>,
    /// Which budget.
    pub budget: Budget,
}

/// The authenticated workspace of a request, for handlers.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<WorkspaceEntry>);

/// What is known once a request's key is, kept outside of the request: whatever answers it, be it a time limit or a panic,
/// the log line names the workspace, and the answer says what is left of the budget.
#[derive(Debug, Clone, Default)]
pub(super) struct Authenticated(Arc<OnceLock<(Arc<WorkspaceEntry>, Option<Allowance>)>>);

impl Authenticated {
    /// The workspace of the key.
    pub(super) fn workspace(&self) -> Option<&WorkspaceEntry> {
        self.0.get().map(|(workspace, _)| workspace.as_ref())
    }

    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some((_, Some(allowance))) = self.0.get() {
            allowance.write_headers(headers);
        }
    }
}

/// What [`authorize`] may answer in a handler's place, for the handlers' descriptions.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> Described {
        described([
            ("401", "The key is missing, malformed, unknown or revoked"),
            (
                "403",
                "The key lacks the permission, or the address is not allowed",
            ),
            ("429", "The hour's requests are used up"),
        ])
    }
}

/// Lets a request through to its handler with a [`Caller`], or refuses it.
pub(super) async fn authorize(
    State((state, guard)): State<(ApiState, Guard)>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let client = state.client(&request);
    let found = authenticate(&state, request.headers(), client, guard.permission).await;
    // Only now: the look for a new key may have taken a moment.
    let now = Moment::now();
    let Credentials {
        workspace,
        key,
        forbidden,
    } = match found {
        Ok(found) => found,
        Err(refusal) if refusal.status() == StatusCode::UNAUTHORIZED => {
            let wait = client.and_then(|client| state.limiter().failed_authentication(client, now));
            return wait.map_or(refusal, too_many_failures).into_response();
        }
        Err(failure) => return failure.into_response(),
    };
    let limits = workspace.workspace.rate_limits;
    let limit = match guard.budget {
        Budget::Export => limits.export,
        Budget::Recording => limits.recording,
    };
    let allowance = state
        .limiter()
        .draw(workspace.workspace.id, guard.budget, limit, now);
    if let Some(Authenticated(noted)) = request.extensions().get() {
        // A request passes here once.
        let _ = noted.set((workspace.clone(), allowance));
    }
    state.note_key_use(key, now.unix.saturating_mul(1000));
    let caller = match exhausted(allowance, now).or(forbidden) {
        Some(refusal) => Err(refusal),
        None => with_what_is_named(&state, workspace, request.uri().query()).await,
    };
    match caller {
        Ok(workspace) => {
            request.extensions_mut().insert(Caller(workspace));
            request.extensions_mut().insert(Origin::keyed(client));
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// What a request's key opens.
struct Credentials {
    workspace: Arc<WorkspaceEntry>,
    key: KeyId,
    /// Why this request may not use it.
    forbidden: Option<ApiError>,
}

/// Looks the key up, in the newest catalog before it is refused as unknown.
async fn authenticate(
    state: &ApiState,
    headers: &HeaderMap,
    client: Option<Client>,
    permission: Option<Permission>,
) -> Result<Credentials, ApiError> {
    let hash = secret(headers)?.hash();
    let mut catalog = state.store().catalog();
    if catalog.authenticate(&hash).is_none() {
        catalog = state.newest().await?;
    }
    let (workspace, key) = catalog.authenticate(&hash).ok_or_else(|| {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "this API key is unknown or was revoked; create one with 'sessionmeter key create'",
        )
        .because(Reason::KeyUnknown)
    })?;
    Ok(Credentials {
        workspace,
        key: key.id,
        forbidden: forbidden(key, client, permission),
    })
}

/// The workspace, taken from the newest catalog where the query names an app or a segment that would be refused. Here and
/// not in handlers, so that none of them can forget it.
async fn with_what_is_named(
    state: &ApiState,
    workspace: Arc<WorkspaceEntry>,
    query: Option<&str>,
) -> Result<Arc<WorkspaceEntry>, ApiError> {
    let query = Query::new(query);
    let lacks_app = |text: &str| {
        let id = text.parse::<AppId>();
        id.is_ok_and(|id| workspace.app(id).is_none())
    };
    let lacks_segment = |text: &str| {
        let id = text.parse::<SegmentId>();
        let of_use = |id| {
            let segment = workspace.segment(id);
            segment.is_some_and(|segment| segment.tracked)
        };
        id.is_ok_and(|id| !of_use(id))
    };
    let lacks_any = query.all("app_id").any(|app| lacks_app(&app))
        || query.all("segment_id").any(|segment| lacks_segment(&segment));
    if lacks_any {
        state.newest_of(&workspace).await
    } else {
        Ok(workspace)
    }
}

fn secret(headers: &HeaderMap) -> Result<KeySecret, ApiError> {
    let unauthorized =
        |message: String| ApiError::new(StatusCode::UNAUTHORIZED, message).because(Reason::KeyMalformed);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(
            unauthorized(format!("the API key is missing: {WHERE_A_KEY_BELONGS}"))
                .because(Reason::KeyMissing),
        );
    };
    if values.next().is_some() {
        return Err(unauthorized(
            "the header 'Authorization' is given twice; give it once".into(),
        ));
    }
    let value = value.to_str().unwrap_or_default().trim();
    let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
    let credentials = credentials.trim();
    if let Some(secret) = KeySecret::parse(credentials).filter(|_| scheme.eq_ignore_ascii_case("bearer")) {
        return Ok(secret);
    }
    if Uuid::try_parse(credentials).is_ok() {
        return Err(unauthorized(format!(
            "this looks like an API key of Braze (a UUID), which opens nothing here: create a key with 'sessionmeter key \
             create NAME --permission all', then {WHERE_A_KEY_BELONGS}"
        )));
    }
    Err(unauthorized(format!(
        "the API key is malformed: it is 'smk_' and 43 letters, digits, '-' or '_'; {WHERE_A_KEY_BELONGS}"
    )))
}

fn too_many_failures(seconds: u64) -> ApiError {
    ApiError::retry(
        StatusCode::TOO_MANY_REQUESTS,
        "too many failed authentications from this address; check the key and wait",
        seconds,
    )
    .because(Reason::FailuresLimit)
}

fn exhausted(allowance: Option<Allowance>, now: Moment) -> Option<ApiError> {
    let allowance = allowance.filter(|allowance| allowance.exceeded)?;
    Some(ApiError::retry(
        StatusCode::TOO_MANY_REQUESTS,
        format!(
            "the workspace's {} requests of this hour are used up; the next hour begins at the Unix second {}",
            allowance.limit, allowance.reset
        ),
        allowance.retry_after(now),
    )
    .because(Reason::HourLimit))
}

fn forbidden(key: &ApiKey, client: Option<Client>, permission: Option<Permission>) -> Option<ApiError> {
    let forbidden = |message: String, reason| {
        let refusal = ApiError::new(StatusCode::FORBIDDEN, message);
        Some(refusal.because(reason))
    };
    match client {
        _ if key.allow.is_empty() => {}
        Some(Client::Address(address)) if key.allows_address(address) => {}
        Some(Client::Unknown) => {
            return forbidden(
                "this API key may not be used by whom nobody knows: it has an allow-list, and what the proxy wrote into \
                 X-Forwarded-For is no address"
                    .into(),
                Reason::Address,
            );
        }
        _ => {
            return forbidden(
                "this API key may not be used from your address; its allow-list names other networks".into(),
                Reason::Address,
            );
        }
    }
    let permission = permission.filter(|permission| !key.permissions.allow(*permission))?;
    forbidden(
        format!("this API key lacks the permission '{}'", permission.as_str()),
        Reason::Permission,
    )
}
