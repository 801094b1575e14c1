//! Lists that are always empty: sessionmeter has none of these things, but programs that read sessions ask for them first.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Refusals;
use super::error::json;

const SUCCESS: &str = "success";

/// No campaigns.
#[derive(Serialize, ToSchema)]
pub(super) struct Campaigns {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    campaigns: [&'static str; 0],
}

/// No canvases.
#[derive(Serialize, ToSchema)]
pub(super) struct Canvases {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    canvases: [&'static str; 0],
}

/// No cards.
#[derive(Serialize, ToSchema)]
pub(super) struct Cards {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    cards: [&'static str; 0],
}

/// No events.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    events: [&'static str; 0],
}

/// No products.
#[derive(Serialize, ToSchema)]
pub(super) struct Products {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Always empty.
    #[schema(value_type = Vec<String>, max_items = 0, example = json!([]))]
    products: [&'static str; 0],
}

/// Campaigns: always empty
///
/// sessionmeter has none of these. Any valid key may ask, and every query is ignored.
#[utoipa::path(get, path = "/campaigns/list", tag = "Always empty", security(("api_key" = [])), responses(
    (status = 200, description = "The empty list", body = Campaigns), Refusals))]
pub(super) async fn campaigns() -> Response<Body> {
    let campaigns = Campaigns {
        message: SUCCESS,
        campaigns: [],
    };
    json(StatusCode::OK, &campaigns)
}

/// Canvases: always empty
///
/// sessionmeter has none of these. Any valid key may ask, and every query is ignored.
#[utoipa::path(get, path = "/canvas/list", tag = "Always empty", security(("api_key" = [])), responses(
    (status = 200, description = "The empty list", body = Canvases), Refusals))]
pub(super) async fn canvases() -> Response<Body> {
    let canvases = Canvases {
        message: SUCCESS,
        canvases: [],
    };
    json(StatusCode::OK, &canvases)
}

/// News feed cards: always empty
///
/// sessionmeter has none of these. Any valid key may ask, and every query is ignored.
#[utoipa::path(get, path = "/feed/list", tag = "Always empty", security(("api_key" = [])), responses(
    (status = 200, description = "The empty list", body = Cards), Refusals))]
pub(super) async fn cards() -> Response<Body> {
    let cards = Cards {
        message: SUCCESS,
        cards: [],
    };
    json(StatusCode::OK, &cards)
}

/// Custom events: always empty
///
/// sessionmeter has none of these. Any valid key may ask, and every query is ignored.
#[utoipa::path(get, path = "/events/list", tag = "Always empty", security(("api_key" = [])), responses(
    (status = 200, description = "The empty list", body = Events), Refusals))]
pub(super) async fn events() -> Response<Body> {
    let events = Events {
        message: SUCCESS,
        events: [],
    };
    json(StatusCode::OK, &events)
}

/// Products: always empty
///
/// sessionmeter has none of these. Any valid key may ask, and every query is ignored.
#[utoipa::path(get, path = "/purchases/product_list", tag = "Always empty", security(("api_key" = [])), responses(
    (status = 200, description = "The empty list", body = Products), Refusals))]
pub(super) async fn products() -> Response<Body> {
    let products = Products {
        message: SUCCESS,
        products: [],
    };
    json(StatusCode::OK, &products)
}
