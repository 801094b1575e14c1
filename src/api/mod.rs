//! HTTP: one file per endpoint family; authentication, limits and errors around them.
//!
//! [`router`] is the public listener's, [`ops_router`] the second one's; [`serve`] runs both on sockets.

mod activity;
mod always_empty;
mod auth;
mod body;
mod client_address;
mod clients;
mod connection;
pub mod data_series;
mod drain;
mod error;
mod filter_schema;
mod kpi;
mod layers;
mod operations;
mod parameters;
mod paths;
mod places;
mod preview;
mod query;
mod rate_limit;
mod reference;
mod refusal;
mod segment_changes;
mod segment_sizes;
mod segments;
mod server;
pub mod sessions_query;
mod single_flight;
mod socket;
mod state;
mod track;
mod users;
mod users_delete;
mod workspace;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::client_address::{Client, Peer, client as client_of};
pub use self::connection::Answers;
pub use self::error::{ApiError, ErrorBody, IsPage, ItemFailure};
pub use self::kpi::body as kpi_body;
pub use self::layers::{Observed, RequestId};
pub use self::query::{Query, invalid};
pub use self::rate_limit::{Moment, RateLimiter};
pub use self::reference::address_of;
pub use self::server::{Listeners, serve};
pub use self::state::{ApiState, Settings};

use self::auth::{Guard, authorize};
use self::error::standard_message;
use self::layers::{PanicAnswer, routed};
use self::rate_limit::Budget;
use crate::model::Permission;

/// The public listener's routes. `pages` are for people and begin at `/`; without them the reference is found there.
pub fn router(state: ApiState, pages: Option<Router>) -> Observed {
    let (router, mut document) = routes(&state).split_for_parts();
    let (clients, described) = clients::routes(&state);
    document.merge(described);
    let pages = pages.map_or_else(reference::at_the_root, |pages| pages.with_state(()));
    let routes = router.merge(reference::routes(document)).merge(pages);
    let routes = surrounded(routes.fallback(not_found), &state)
        .merge(clients)
        .with_state(state.clone());
    Observed { routes, state }
}

/// What every route of the public listener has around it.
fn surrounded(router: Router<ApiState>, state: &ApiState) -> Router<ApiState> {
    router.method_not_allowed_fallback(method_not_allowed).layer(
        // As one layer: each of its own boxes what is inside of it, and copies that for each request.
        ServiceBuilder::new()
            .layer(from_fn_with_state(state.clone(), routed))
            .layer(CatchPanicLayer::custom(PanicAnswer))
            .layer(CompressionLayer::new().gzip(true).zstd(true)),
    )
}

/// Each route with its guard; the OpenAPI document is made from the same list.
fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let guard =
        |permission, budget| from_fn_with_state((state.clone(), Guard { permission, budget }), authorize);
    let guarded = |permission, budget| guard(Some(permission), budget);
    let export = OpenApiRouter::new()
        .routes(routes!(data_series::data_series))
        .routes(routes!(sessions_query::query))
        .route_layer(guarded(Permission::SessionsDataSeries, Budget::Export));
    let dau = OpenApiRouter::new()
        .routes(routes!(kpi::dau))
        .route_layer(guarded(Permission::KpiDau, Budget::Export));
    let mau = OpenApiRouter::new()
        .routes(routes!(kpi::mau))
        .route_layer(guarded(Permission::KpiMau, Budget::Export));
    let new_users = OpenApiRouter::new()
        .routes(routes!(kpi::new_users))
        .route_layer(guarded(Permission::KpiNewUsers, Budget::Export));
    let uninstalls = OpenApiRouter::new()
        .routes(routes!(kpi::uninstalls))
        .route_layer(guarded(Permission::KpiUninstalls, Budget::Export));
    let sizes = OpenApiRouter::new()
        .routes(routes!(segment_sizes::sizes))
        .route_layer(guarded(Permission::SegmentsDataSeries, Budget::Export));
    let for_any_key = OpenApiRouter::new()
        .routes(routes!(workspace::workspace))
        .routes(routes!(always_empty::campaigns))
        .routes(routes!(always_empty::canvases))
        .routes(routes!(always_empty::cards))
        .routes(routes!(always_empty::events))
        .routes(routes!(always_empty::products))
        .route_layer(guard(None, Budget::Export));
    let recording = OpenApiRouter::new()
        .routes(routes!(track::track))
        .route_layer(guarded(Permission::SessionsTrack, Budget::Recording));
    let users = OpenApiRouter::new()
        .routes(routes!(users::track))
        .route_layer(guarded(Permission::UsersTrack, Budget::Recording));
    let forgetting = OpenApiRouter::new()
        .routes(routes!(users_delete::delete))
        .route_layer(guarded(Permission::UsersDelete, Budget::Recording));
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
        .routes(routes!(preview::preview))
        .route_layer(guarded(Permission::SegmentsWrite, Budget::Export));
    OpenApiRouter::with_openapi(reference::Document::openapi())
        .merge(export)
        .merge(dau)
        .merge(mau)
        .merge(new_users)
        .merge(uninstalls)
        .merge(sizes)
        .merge(for_any_key)
        .merge(list)
        .merge(details)
        .merge(changes)
        .merge(recording)
        .merge(users)
        .merge(forgetting)
        .routes(routes!(operations::health))
}

/// The second listener's routes: never public by accident.
pub fn ops_router(state: ApiState) -> Observed {
    let routes = Router::new()
        .route("/health", get(operations::health))
        .route("/ready", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(PanicAnswer))
        .layer(from_fn_with_state(state.clone(), routed))
        .with_state(state.clone());
    Observed { routes, state }
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
