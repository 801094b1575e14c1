//! Who may do what: everybody who is in may do everything, but for readers, who may do what is listed here. A route that is not
//! listed is none of theirs.

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{Method, Request, Response, StatusCode};
use axum::middleware::Next;

use super::accounts::{OWN, OWN_SESSIONS, SIGN_IN};
use super::cookies::{self, Purpose};
use super::guest::Asking;
use super::visitors::Visitor;
use super::{Dashboard, apps, segments, start};
use crate::store::StoreError;

/// What readers may look at.
const READ: [&str; 9] = [
    "/",
    "/ui/chart.svg",
    "/ui/series.csv",
    "/ui/live",
    "/ui/shares",
    apps::PATH,
    segments::PATH,
    start::PATH,
    start::LIVE,
];
/// What is the same for everybody, or is about whoever asks.
const OPEN: [&str; 9] = [
    "/share/{token}",
    "/ui/a/{hash}/{name}",
    "/ui/enter",
    "/ui",
    "/ui/{*path}",
    "/ui/sign-out",
    SIGN_IN,
    OWN,
    OWN_SESSIONS,
];

/// Refuses readers what is not theirs, whatever its handler would do.
pub(super) async fn guard(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    if is_for_readers(&request) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    match dashboard.visitor(&asking).await {
        Err(error) => asking.store_failed(&error),
        Ok(Some(visitor)) if !visitor.may_change() => {
            let texts = asking.texts;
            let on = ("/", texts.back_to_the_overview);
            asking.saying(StatusCode::FORBIDDEN, texts.accounts.only_admins, "", on)
        }
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
    }
}

fn is_for_readers(request: &Request<Body>) -> bool {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return false;
    };
    let path = path.as_str();
    let looks = *request.method() == Method::GET || *request.method() == Method::HEAD;
    OPEN.contains(&path) || (looks && READ.contains(&path))
}

impl Dashboard {
    /// Who asks, if they are in.
    pub(super) async fn visitor(&self, asking: &Asking) -> Result<Option<Visitor>, StoreError> {
        match cookies::token(&asking.headers, &asking.place, Purpose::SignedIn) {
            None => Ok(None),
            Some(token) => self.visitors().knows(&token, self.now()).await,
        }
    }
}
