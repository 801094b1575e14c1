//! `/ui/store`: whether the store can be used, what is in it, what is done to it right now, and what keeps it in order.
//!
//! `facts` asks the store, and `page` writes HTML. What can't be found out is said in its place; the rest is shown all the same.

mod facts;
mod page;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;

use self::facts::Facts;
use super::Dashboard;
use super::visit::shown;
use crate::store::Place;

/// This page.
pub(super) const PATH: &str = "/ui/store";

/// What a server knows of itself and tells on this page.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// Where its store is; a directory with its whole path.
    pub store: Place,
    /// The address of its metrics, such as `http://127.0.0.1:8081/metrics`.
    pub metrics: Option<String>,
}

pub(super) fn routes() -> Router<Dashboard> {
    Router::new().route(PATH, get(page_of))
}

/// `GET /ui/store`
async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, PATH, async |visit, _| {
        let asking = &visit.ready.asking;
        let Some(_turn) = visit.dashboard.turn().await else {
            return Ok(asking.busy());
        };
        let (store, metrics) = (visit.dashboard.store(), visit.dashboard.metrics());
        let facts = Facts::of(store, metrics, &visit.ready.workspace, visit.dashboard.now()).await;
        let content = page::content(visit, &facts, visit.dashboard.whereabouts());
        let title = asking.texts.store.title;
        Ok(visit.page(StatusCode::OK, (title, &visit.link(PATH)), content))
    })
    .await
}
