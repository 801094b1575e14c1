//! HTTP: one file per endpoint family; authentication, limits and errors around them.
//!
//! [`router`] is the public listener's, [`ops_router`] the second one's; [`serve`] runs both on sockets.

mod auth;
mod body;
mod client_address;
mod clients;
pub mod data_series;
mod drain;
mod error;
mod layers;
mod operations;
mod query;
mod rate_limit;
mod reference;
mod segment_changes;
mod segments;
mod server;
mod socket;
mod state;
mod track;
mod users;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::error::{ApiError, ErrorBody, ItemFailure};
pub use self::server::{Listeners, serve};
pub use self::state::{ApiState, Settings};

use self::auth::{Guard, authorize};
use self::error::standard_message;
use self::layers::{PanicAnswer, observe, routed};
use self::rate_limit::Budget;
use crate::model::Permission;

/// The public listener's routes.
pub fn router(state: ApiState) -> Router {
    let (router, mut document) = routes(&state).split_for_parts();
    let (clients, described) = clients::routes(&state);
    document.merge(described);
    let pages = reference::routes(document);
    let routes = surrounded(router.merge(pages).fallback(not_found), &state)
        .merge(clients)
        .with_state(state.clone());
    observed(routes, state)
}

/// What every route of the public listener has around it.
fn surrounded(router: Router<ApiState>, state: &ApiState) -> Router<ApiState> {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().gzip(true).zstd(true))
        .layer(CatchPanicLayer::custom(PanicAnswer))
        .layer(from_fn_with_state(state.clone(), routed))
}

/// Around a whole router, since only there an answer is complete: `Allow` is set after the layers of a route.
fn observed(routes: Router, state: ApiState) -> Router {
    Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(state, observe))
}

/// Each route with its guard; the OpenAPI document is made from the same list.
fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let guarded =
        |permission, budget| from_fn_with_state((state.clone(), Guard { permission, budget }), authorize);
    let export = OpenApiRouter::new()
        .routes(routes!(data_series::data_series))
        .route_layer(guarded(Permission::SessionsDataSeries, Budget::Export));
    let recording = OpenApiRouter::new()
        .routes(routes!(track::track))
        .route_layer(guarded(Permission::SessionsTrack, Budget::Recording));
    let users = OpenApiRouter::new()
        .routes(routes!(users::track))
        .route_layer(guarded(Permission::UsersTrack, Budget::Recording));
    let list = OpenApiRouter::new()
        .routes(routes!(segments::list))
        .route_layer(guarded(Permission::SegmentsList, Budget::Export));
    let details = OpenApiRouter::new()
        .routes(routes!(segments::details))
        .route_layer(guarded(Permission::SegmentsDetails, Budget::Export));
    let changes = OpenApiRouter::new()
        .routes(routes!(segment_changes::create))
        .routes(routes!(segment_changes::edit))
        .routes(routes!(segment_changes::track))
        .routes(routes!(segment_changes::untrack))
        .routes(routes!(segment_changes::delete))
        .route_layer(guarded(Permission::SegmentsWrite, Budget::Export));
    OpenApiRouter::with_openapi(reference::Document::openapi())
        .merge(export)
        .merge(list)
        .merge(details)
        .merge(changes)
        .merge(recording)
        .merge(users)
        .routes(routes!(operations::health))
        .routes(routes!(operations::ready))
}

/// The second listener's routes: never public by accident.
pub fn ops_router(state: ApiState) -> Router {
    let routes = Router::new()
        .route("/health", get(operations::health))
        .route("/ready", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(PanicAnswer))
        .layer(from_fn_with_state(state.clone(), routed))
        .with_state(state.clone());
    observed(routes, state)
}

async fn not_found() -> axum::response::Response {
    ApiError::new(
        StatusCode::NOT_FOUND,
        standard_message(StatusCode::NOT_FOUND, None),
    )
    .into_response()
}

/// Without a body, so that the outermost layer writes one that names the methods of `Allow`.
async fn method_not_allowed() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}
