//! Answers of the dashboard: HTML under a strict policy, files of its own, and what a page can be asked for besides.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION,
    REFERRER_POLICY,
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use maud::Markup;
use sha2::{Digest as _, Sha256};

use crate::api::IsPage;

/// A page loads what is its own, runs no text as a script, and stands in no other page's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// A picture that is opened by itself is a document, and does nothing.
const PICTURE: &str = "default-src 'none'; style-src 'none'; frame-ancestors 'none'; sandbox";

/// A page.
pub(super) fn html(status: StatusCode, page: Markup) -> Response<Body> {
    answer(status, "text/html; charset=utf-8", page.into_string())
}

/// Something of this type. It is never JSON of the API's, whatever its status.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With none at all, browsers would not say where forms come from.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response.extensions_mut().insert(IsPage);
    response
}

/// A number that pages ask for again and again; a short answer to whoever knows it (`If-None-Match`).
pub(super) fn unless_known(known: Option<&HeaderValue>, value: &serde_json::Value) -> Response<Body> {
    let text = value.to_string();
    let hash = Sha256::digest(text.as_bytes());
    let tag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = HeaderValue::from_str(&format!("\"{tag}\"")).ok();
    let response = if tag.is_some() && known == tag.as_ref() {
        answer(StatusCode::NOT_MODIFIED, "application/json", Body::empty())
    } else {
        answer(StatusCode::OK, "application/json", text)
    };
    with(response, ETAG, tag)
}

/// A picture, which may be opened by itself.
pub(super) fn picture(svg: String) -> Response<Body> {
    let mut response = answer(StatusCode::OK, "image/svg+xml", svg);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE));
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("inline; filename=\"sessions.svg\""),
    );
    response
}

/// A table for spreadsheets.
pub(super) fn csv(text: Vec<u8>) -> Response<Body> {
    let mut response = answer(StatusCode::OK, "text/csv; charset=utf-8", text);
    let name = HeaderValue::from_static("attachment; filename=\"sessions.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

/// Goes on to another page of the dashboard.
pub(super) fn see(path: &str) -> Response<Body> {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Body::empty());
    let there = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, there);
    response
}

/// With one more header, if there is one.
pub(super) fn with(
    mut response: Response<Body>,
    name: HeaderName,
    value: Option<HeaderValue>,
) -> Response<Body> {
    if let Some(value) = value {
        response.headers_mut().append(name, value);
    }
    response
}
