//! Who asks for a page: where, in which language, and whether they are in.

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT_LANGUAGE, RETRY_AFTER, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use maud::{Markup, html};

use super::cookies::{self, Purpose};
use super::locale::{Language, Locale};
use super::place::Place;
use super::shell::{Shell, sign_out};
use super::texts::Texts;
use super::token::Token;
use super::{Dashboard, forgery, respond};
use crate::api::{Query, RequestId};
use crate::store::StoreError;

/// Bytes of a form.
const MAX_FORM: usize = 4 * 1024;
/// Bytes of a form with a text of many lines.
const MAX_LARGE_FORM: usize = 64 * 1024;

/// A request for a page, before it is known whether its sender is in.
pub(super) struct Asking {
    pub(super) place: Place,
    pub(super) headers: HeaderMap,
    pub(super) locale: Locale,
    pub(super) texts: &'static Texts,
    /// The language that the address asks for, to be remembered.
    pub(super) chosen: Option<Language>,
    request_id: String,
}

impl Dashboard {
    /// What is known of a request; an answer where it was sent to a name that is not ours.
    #[expect(
        clippy::result_large_err,
        reason = "both are answers, and one of them is sent at once"
    )]
    pub(super) fn asking(&self, parts: &Parts) -> Result<Asking, Response<Body>> {
        let settings = self.settings();
        let public = settings.public_url.as_ref();
        let Some(place) = Place::of(parts, &settings.trusted_proxies, public) else {
            let there = public.map(ToString::to_string).unwrap_or_default();
            let text = format!("this dashboard is at {there}\n");
            let kind = "text/plain; charset=utf-8";
            return Err(respond::answer(StatusCode::MISDIRECTED_REQUEST, kind, text));
        };
        let chosen = Query::new(parts.uri.query()).all("lang").next();
        let chosen = chosen.and_then(|language| Language::of_tag(&language));
        let accepted = parts
            .headers
            .get(ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        let language = chosen.or_else(|| cookies::language(&parts.headers));
        let locale = Locale::choose(language, accepted.unwrap_or_default());
        let request_id = parts.extensions.get::<RequestId>();
        let request_id = request_id.and_then(|id| id.0.to_str().ok());
        Ok(Asking {
            place,
            headers: parts.headers.clone(),
            locale,
            texts: Texts::of(locale.language),
            chosen,
            request_id: request_id.unwrap_or_default().to_owned(),
        })
    }
}

impl Asking {
    /// What the browser calls itself; empty where it does not say.
    pub(super) fn agent(&self) -> &str {
        let agent = self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        agent.unwrap_or_default()
    }

    /// Whether a form of somebody who is not in yet is one of ours, made for this browser.
    pub(super) fn is_of_our_form(&self, form: &Query) -> bool {
        let before = cookies::token(&self.headers, &self.place, Purpose::Before);
        let form_token = form.all(forgery::FIELD).next();
        before.is_some_and(|before| forgery::is_genuine(&self.headers, &before, form_token.as_deref()))
    }

    /// The frame of a page that anybody may see.
    pub(super) fn outside<'a>(&self, title: &'a str) -> Shell<'a> {
        Shell {
            locale: self.locale,
            title,
            inside: None,
            refresh: None,
        }
    }

    /// A page that says one thing.
    pub(super) fn alone(&self, status: StatusCode, text: &str, detail: &str) -> Response<Body> {
        self.with_way_on(status, text, detail, html! {})
    }

    /// The same, with a way on.
    pub(super) fn saying(
        &self,
        status: StatusCode,
        text: &str,
        detail: &str,
        on: (&str, &str),
    ) -> Response<Body> {
        self.with_way_on(status, text, detail, html! { p { a href=(on.0) { (on.1) } } })
    }

    /// For somebody who is in and may see no workspace, or none is left: there is no page to go on to, but a way out.
    pub(super) fn nothing_to_see(&self, token: &Token) -> Response<Body> {
        match token.form_token() {
            Ok(form_token) => {
                let out = sign_out(&form_token, self.texts);
                self.with_way_on(StatusCode::NOT_FOUND, self.texts.nothing_to_see, "", out)
            }
            Err(error) => self.store_failed(&error),
        }
    }

    fn with_way_on(&self, status: StatusCode, text: &str, detail: &str, on: Markup) -> Response<Body> {
        let page = self.outside(text).page(html! {
            .alone {
                h1 { (text) }
                @if !detail.is_empty() { p { (detail) } }
                (on)
            }
        });
        respond::html(status, page)
    }

    /// A form that was not made here, or that is too old.
    pub(super) fn forged(&self) -> Response<Body> {
        let on = ("/", self.texts.back_to_the_overview);
        self.saying(StatusCode::FORBIDDEN, self.texts.forged, "", on)
    }

    /// The store did not answer. What it said goes to the log: it may name files of the server.
    pub(super) fn store_failed(&self, error: &StoreError) -> Response<Body> {
        tracing::error!(%error, "the store failed");
        let status = match error {
            StoreError::Unusable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let detail = format!("x-request-id: {}", self.request_id);
        let mut response = self.saying(
            status,
            self.texts.store_fails,
            &detail,
            ("", self.texts.try_again),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// More pages are being made than may be.
    pub(super) fn busy(&self) -> Response<Body> {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut response = self.saying(status, self.texts.busy, "", ("", self.texts.try_again));
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}

/// A form's fields, as a query has them; `None` where it is too large or no text.
pub(super) async fn read_form(body: Body) -> Option<String> {
    read_form_of(body, MAX_FORM).await
}

/// The same of a form with a text of many lines.
pub(super) async fn read_large_form(body: Body) -> Option<String> {
    read_form_of(body, MAX_LARGE_FORM).await
}

async fn read_form_of(body: Body, most: usize) -> Option<String> {
    let bytes = to_bytes(body, most).await.ok()?;
    String::from_utf8(bytes.to_vec()).ok()
}
