//! `GET /workspace`: what a key belongs to.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::error::{ErrorBody, json};
use super::state::ApiState;
use crate::model::{AppId, WorkspaceId};

/// A workspace and its apps.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnWorkspace<'a> {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Unique on the server.
    #[schema(value_type = String, example = "ef1bd0cc-cd47-44e8-9ba6-cfbacb2c9ff5")]
    id: WorkspaceId,
    /// Unique on the server.
    #[schema(example = "default")]
    name: &'a str,
    /// IANA name of the zone whose days and hours are counted.
    #[schema(example = "America/New_York")]
    time_zone: &'a str,
    /// The day on which weeks begin: `monday` to `sunday`.
    #[schema(example = "monday")]
    first_weekday: &'static str,
    /// Oldest first.
    apps: Vec<OwnApp<'a>>,
}

/// An app.
#[derive(Serialize, ToSchema)]
struct OwnApp<'a> {
    /// As `app_id` takes it.
    #[schema(value_type = String, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3")]
    id: AppId,
    /// Unique in the workspace.
    #[schema(example = "Shop (iOS)")]
    name: &'a str,
    /// What it runs on; empty where nobody said.
    #[schema(example = "ios")]
    platform: &'a str,
}

/// Describe the workspace
///
/// The workspace that the key belongs to, and its apps. Any valid key may ask.
#[utoipa::path(get, path = "/workspace", tag = "Export", security(("api_key" = [])), responses(
    (status = 200, description = "The workspace", body = OwnWorkspace),
    Refusals,
    (status = 503, description = "The store can't answer right now", body = ErrorBody),
))]
pub(super) async fn workspace(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
) -> Response<Body> {
    // What was just made is missed in it otherwise.
    let entry = match state.newest_of(&workspace).await {
        Ok(newest) => newest,
        Err(error) => return error.into_response(),
    };
    let apps = entry.apps.iter().map(|app| OwnApp {
        id: app.id,
        name: app.name.as_str(),
        platform: &app.platform,
    });
    let described = OwnWorkspace {
        message: "success",
        id: entry.workspace.id,
        name: entry.workspace.name.as_str(),
        time_zone: &entry.workspace.time_zone,
        first_weekday: entry.workspace.first_weekday.as_str(),
        apps: apps.collect(),
    };
    json(StatusCode::OK, &described)
}
