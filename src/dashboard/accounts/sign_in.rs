//! `/ui/sign-in`: a name and a password. What is wrong about them is not said, nor whether there is such a name.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use maud::{Markup, html};

use super::hasher::Busy;
use super::kept::{self, Account};
use super::password::Password;
use crate::api::{Peer, Query, client_of};
use crate::dashboard::cookies::{self, Purpose};
use crate::dashboard::guest::{Asking, read_form};
use crate::dashboard::token::Token;
use crate::dashboard::{Dashboard, entrance, forgery};
use crate::store::StoreError;

/// This page.
pub(in crate::dashboard) const SIGN_IN: &str = "/ui/sign-in";

/// `GET /ui/sign-in`
pub(super) async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match dashboard.asking(&parts) {
        Ok(asking) => entrance::how_to_get_in(&asking, StatusCode::OK, ""),
        Err(answer) => answer,
    }
}

/// The form, and the token that it was made for. A browser that has one keeps it, so that forms in several tabs are good.
pub(in crate::dashboard) fn form(asking: &Asking) -> Result<(Markup, Token), StoreError> {
    let before = match cookies::token(&asking.headers, &asking.place, Purpose::Before) {
        Some(before) => before,
        None => Token::generate()?,
    };
    let form_token = before.form_token()?;
    let texts = &asking.texts.accounts;
    let form = html! {
        form.fields method="post" action=(SIGN_IN) {
            (forgery::field(&form_token))
            .field {
                label for="name" { (asking.texts.name) }
                input type="text" id="name" name="name" required autocomplete="username" autocapitalize="none" spellcheck="false";
            }
            .field {
                label for="password" { (texts.password) }
                input type="password" id="password" name="password" required autocomplete="current-password";
            }
            button.primary { (asking.texts.sign_in) }
        }
    };
    Ok((form, before))
}

/// `POST /ui/sign-in`
pub(super) async fn enter(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    let Some(form) = read_form(body).await else {
        let (text, on) = (
            asking.texts.apps.form_is_too_large,
            (SIGN_IN, asking.texts.try_again),
        );
        return asking.saying(StatusCode::PAYLOAD_TOO_LARGE, text, "", on);
    };
    let form = Query::new(Some(&form));
    let field = |name: &str| form.all(name).next();
    if !asking.is_of_our_form(&form) {
        return asking.forged();
    }
    let name = field("name").map(Cow::into_owned).unwrap_or_default();
    let name = name.trim();
    let password = Password::typed(field("password").map(Cow::into_owned).unwrap_or_default());
    let trusted = &dashboard.settings().trusted_proxies;
    let peer = parts.extensions.get::<Peer>();
    let client = peer.map(|peer| client_of(*peer, &parts.headers, trusted));
    let attempt = match dashboard.attempts().begin(client, kept::hash_of(name)) {
        Ok(attempt) => attempt,
        Err(seconds) => return wait(&asking, seconds),
    };
    let account = match kept::find(dashboard.store(), name, dashboard.now()).await {
        Ok(account) => account,
        Err(error) => return asking.store_failed(&error),
    };
    let hashed = account.as_ref().map(|account| account.password().clone());
    let compared = match password {
        Ok(password) => dashboard.hasher().compare(password, hashed).await,
        // No account has such a long one.
        Err(_) => Ok(false),
    };
    match (compared, account) {
        (Err(Busy), _) => asking.busy(),
        (Ok(true), Some(account)) => {
            attempt.succeeded();
            let_in(&dashboard, &asking, &account).await
        }
        (Ok(_), _) => {
            attempt.failed();
            let text = asking.texts.accounts.wrong;
            entrance::how_to_get_in(&asking, StatusCode::UNAUTHORIZED, text)
        }
    }
}

async fn let_in(dashboard: &Dashboard, asking: &Asking, account: &Account) -> Response<Body> {
    let opened = dashboard
        .visitors()
        .open(Some(account), asking.agent(), dashboard.now())
        .await;
    match opened {
        Ok(token) => entrance::entered(asking, &token),
        Err(error) => asking.store_failed(&error),
    }
}

/// Says that somebody has to wait before the next attempt.
fn wait(asking: &Asking, seconds: u64) -> Response<Body> {
    let texts = &asking.texts.accounts;
    let text = (texts.wait)(seconds);
    let mut response = entrance::how_to_get_in(asking, StatusCode::TOO_MANY_REQUESTS, &text);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
