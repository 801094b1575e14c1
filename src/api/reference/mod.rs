//! The API's description: `GET /openapi.json`, made from the handlers, and a page that shows it to people.
//!
//! [`document`] completes what the handlers say, [`page`] draws it, [`address`] knows under which name the server was asked.

mod address;
mod command;
mod document;
mod endpoint;
mod example;
mod html;
mod page;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

pub use self::address::for_people as address_of;
use self::address::{ADDRESS, for_people, for_programs};
use super::error::json_bytes;
use super::state::ApiState;

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
        (name = "Always empty", description = "Lists of what sessionmeter has none of, for programs that ask for them before or beside sessions."),
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

/// The way to the page from `/`, where nothing else is there.
pub(super) fn at_the_root() -> Router<ApiState> {
    // Relative, so that it works below any path that a proxy may have put before it.
    Router::new().route("/", get(async || Redirect::temporary("reference")))
}

/// What people and programs are shown, but for the address.
struct Written {
    page: String,
    json: String,
}

/// The document and the page, written when somebody first asks for one of them: a start need not wait for that.
pub(super) fn routes(document: utoipa::openapi::OpenApi) -> Router<ApiState> {
    let write = move || {
        let document = document::complete(&document);
        Written {
            page: page::render(&document),
            json: format!("{document:#}"),
        }
    };
    let written = Arc::new(LazyLock::new(write));
    let for_people_too = written.clone();
    Router::new()
        .route(
            "/openapi.json",
            get(async move |request: Request<Body>| {
                let address = for_programs(&request.into_parts().0);
                let json = written.json.replace(ADDRESS, &address);
                json_bytes(StatusCode::OK, json.into_bytes())
            }),
        )
        .route(
            "/reference",
            get(
                async move |State(state): State<ApiState>, request: Request<Body>| {
                    let trusted = &state.settings().trusted_proxies;
                    let address = for_people(&request.into_parts().0, trusted);
                    answer(for_people_too.page.replace(ADDRESS, &html::escape(&address)))
                },
            ),
        )
}

fn answer(page: String) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // Without a policy the page is not sent with a weaker one but with the strictest.
    let policy = HeaderValue::from_str(&page::policy());
    let strictest = HeaderValue::from_static("default-src 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(strictest));
    response
}
