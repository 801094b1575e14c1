//! The API's description: `GET /openapi.json`, made from the handlers, and a page that shows it to people.

mod command;
mod page;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::json_bytes;

/// What the handlers don't say themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sessionmeter",
        description = "Counts app sessions and answers how many there were per day or hour.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "Export", description = "Read what was counted. Times are the workspace's own."),
        (name = "Segments", description = "Named filters over sessions. With analytics tracking on, a segment has a series of its own."),
        (name = "Record", description = "Deliver sessions. Delivering one again is free of harm."),
        (name = "Clients", description = "Where SDKs that exist already deliver sessions. No key is needed, only the public id of an app."),
        (name = "Operations", description = "For whoever runs the server. No key is needed."),
    ),
    modifiers(&Security),
)]
pub(super) struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An API key: `smk_` and 43 characters. Made with `sessionmeter key create`.",
            ))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// The document, the page, and the way to it from `/`.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(document: utoipa::openapi::OpenApi) -> Router<S> {
    let json = document.to_pretty_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document could not be written");
        "{}".into()
    });
    let page = page::render(&json);
    Router::new()
        .route("/", get(async || Redirect::temporary("/reference")))
        .route(
            "/openapi.json",
            get(async move || json_bytes(StatusCode::OK, json.into_bytes())),
        )
        .route("/reference", get(async move || html(page)))
}

fn html(page: String) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
