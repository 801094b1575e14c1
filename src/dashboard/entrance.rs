//! Getting in and out: the page that says how, the link that opens once, and the way out.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{SET_COOKIE, USER_AGENT, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use maud::{Markup, html};

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

/// `GET /ui/sign-in`
pub(super) async fn sign_in(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match dashboard.asking(&parts) {
        Ok(asking) => respond::html(StatusCode::OK, how_to_get_in(&asking, asking.texts.how_to_get_in)),
        Err(answer) => answer,
    }
}

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
    let page = how_to_get_in(asking, asking.texts.how_to_get_in);
    let response = respond::html(StatusCode::UNAUTHORIZED, page);
    respond::with(response, WWW_AUTHENTICATE, Some(HeaderValue::from_static("Link")))
}

fn how_to_get_in(asking: &Asking, why: &str) -> Markup {
    let texts = asking.texts;
    asking.outside(texts.sign_in).page(html! {
        .alone {
            h1 { "sessionmeter" }
            p { (why) }
            .command { pre tabindex="0" { code { (COMMAND) } } }
            p { a href="/reference" { (texts.reference) } }
        }
    })
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
        return Ok(respond::html(
            StatusCode::BAD_REQUEST,
            how_to_get_in(asking, texts.link_is_void),
        ));
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
    let before = cookies::token(&asking.headers, &asking.place, Purpose::Before);
    let is_genuine = before.is_some_and(|before| {
        forgery::is_genuine(&asking.headers, &before, field(forgery::FIELD).as_deref())
    });
    if !is_genuine {
        return asking.forged();
    }
    let agent = asking
        .headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let entered = match field("code").and_then(|code| Token::parse(&code)) {
        None => Ok(None),
        Some(code) => {
            let visitors = dashboard.visitors();
            visitors
                .enter(&code, agent.unwrap_or_default(), dashboard.now())
                .await
        }
    };
    match entered {
        Err(error) => asking.store_failed(&error),
        Ok(None) => {
            let page = how_to_get_in(&asking, asking.texts.link_is_void);
            respond::html(StatusCode::FORBIDDEN, page)
        }
        Ok(Some(token)) => {
            let response = respond::see("/");
            let signed_in = cookies::set(&asking.place, Purpose::SignedIn, &token);
            let response = respond::with(response, SET_COOKIE, signed_in);
            respond::with(
                response,
                SET_COOKIE,
                cookies::clear(&asking.place, Purpose::Before),
            )
        }
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
    let page = how_to_get_in(&asking, asking.texts.signed_out);
    let response = respond::html(StatusCode::OK, page);
    respond::with(
        response,
        SET_COOKIE,
        cookies::clear(&asking.place, Purpose::SignedIn),
    )
}
