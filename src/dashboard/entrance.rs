//! Getting in and out: the page that says how, the link that opens once, and the way out.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use maud::html;

use super::accounts::sign_in_form;
use super::cookies::{self, Purpose};
use super::guest::{Asking, read_form};
use super::token::Token;
use super::{Dashboard, forgery, respond};
use crate::api::Query;
use crate::store::StoreError;

/// What somebody runs to get a link.
const COMMAND: &str = "sessionmeter dashboard link";
/// What an address has that was asked for a second time, from a page of ours.
pub(super) const AGAIN: &str = "again";

/// For a page that only who is signed in may see. Who follows a link from another site brings no strict cookie; a page of
/// ours that leads to the same address brings it.
pub(super) fn refuse(asking: &Asking, method: &Method, path: &str, query: Option<&str>) -> Response<Body> {
    let raw = query.unwrap_or_default();
    let was_asked_again = Query::new(query).all(AGAIN).next().is_some();
    if forgery::came_from_another_site(method, &asking.headers) && !was_asked_again {
        let separator = if raw.is_empty() { "" } else { "&" };
        let mut shell = asking.outside(asking.texts.one_moment);
        shell.refresh = Some((0, format!("{path}?{raw}{separator}{AGAIN}=1")));
        return respond::html(
            StatusCode::OK,
            shell.page(html! { p { (asking.texts.one_moment) } }),
        );
    }
    let response = how_to_get_in(asking, StatusCode::UNAUTHORIZED, "");
    respond::with(response, WWW_AUTHENTICATE, Some(HeaderValue::from_static("Link")))
}

/// The page with the ways in, and with what is to be said first.
pub(super) fn how_to_get_in(asking: &Asking, status: StatusCode, why: &str) -> Response<Body> {
    let texts = asking.texts;
    let (form, before) = match sign_in_form(asking) {
        Ok(made) => made,
        Err(error) => return asking.store_failed(&error),
    };
    let page = asking.outside(texts.sign_in).page(html! {
        .alone {
            h1 { "sessionmeter" }
            @if !why.is_empty() { p role="status" { strong { (why) } } }
            (form)
            p { (texts.how_to_get_in) }
            .command { pre tabindex="0" { code { (COMMAND) } } }
            p { a href="/reference" { (texts.reference) } }
        }
    });
    let cookie = cookies::set(&asking.place, Purpose::Before, &before);
    respond::with(respond::html(status, page), SET_COOKIE, cookie)
}

/// Goes on to the dashboard, with the token of a browser that is in now.
pub(super) fn entered(asking: &Asking, token: &Token) -> Response<Body> {
    let signed_in = cookies::set(&asking.place, Purpose::SignedIn, token);
    let response = respond::with(respond::see("/"), SET_COOKIE, signed_in);
    respond::with(
        response,
        SET_COOKIE,
        cookies::clear(&asking.place, Purpose::Before),
    )
}

/// Says that a browser is out.
pub(super) fn left(asking: &Asking) -> Response<Body> {
    respond::with(
        how_to_get_in(asking, StatusCode::OK, asking.texts.signed_out),
        SET_COOKIE,
        cookies::clear(&asking.place, Purpose::SignedIn),
    )
}

/// `GET /ui/enter`: shows a button and changes nothing, since previews and scanners of links look at them as well.
pub(super) async fn show_link(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    match form_with_button(&asking, &Query::new(parts.uri.query())) {
        Ok(answer) => answer,
        Err(error) => asking.store_failed(&error),
    }
}

fn form_with_button(asking: &Asking, query: &Query<'_>) -> Result<Response<Body>, StoreError> {
    let texts = asking.texts;
    let code = query.all("code").next().and_then(|code| Token::parse(&code));
    let Some(code) = code else {
        return Ok(how_to_get_in(asking, StatusCode::BAD_REQUEST, texts.link_is_void));
    };
    let before = Token::generate()?;
    let form_token = before.form_token()?;
    let page = asking.outside(texts.sign_in).page(html! {
        .alone {
            h1 { ((texts.sign_in_here)(asking.place.host())) }
            p.muted { (texts.link_is_good_once) }
            form method="post" action="/ui/enter" {
                (forgery::field(&form_token))
                input type="hidden" name="code" value=(code.reveal());
                button.primary autofocus { (texts.sign_in) }
            }
        }
    });
    let cookie = cookies::set(&asking.place, Purpose::Before, &before);
    Ok(respond::with(
        respond::html(StatusCode::OK, page),
        SET_COOKIE,
        cookie,
    ))
}

/// `POST /ui/enter`: spends the link.
pub(super) async fn enter(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    let Some(form) = read_form(body).await else {
        return asking.forged();
    };
    let form = Query::new(Some(&form));
    let field = |name: &str| form.all(name).next();
    if !asking.is_of_our_form(&form) {
        return asking.forged();
    }
    let taken = match field("code").and_then(|code| Token::parse(&code)) {
        None => Ok(None),
        Some(code) => {
            let visitors = dashboard.visitors();
            visitors.enter(&code, asking.agent(), dashboard.now()).await
        }
    };
    match taken {
        Err(error) => asking.store_failed(&error),
        Ok(None) => how_to_get_in(&asking, StatusCode::FORBIDDEN, asking.texts.link_is_void),
        Ok(Some(token)) => entered(&asking, &token),
    }
}

/// `POST /ui/sign-out`
pub(super) async fn sign_out(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    let Some(token) = cookies::token(&asking.headers, &asking.place, Purpose::SignedIn) else {
        return respond::see("/ui/sign-in");
    };
    let form = read_form(body).await.unwrap_or_default();
    let form_token = Query::new(Some(&form)).all(forgery::FIELD).next();
    if !forgery::is_genuine(&asking.headers, &token, form_token.as_deref()) {
        return asking.forged();
    }
    if let Err(error) = dashboard.visitors().leave(&token, dashboard.now()).await {
        return asking.store_failed(&error);
    }
    left(&asking)
}
