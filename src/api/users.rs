//! `POST /users/track`: attributes that users' later sessions carry.

use std::collections::HashMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::{Accepted, BodyRefusals, JSON, parsed};
use super::error::{ApiError, ErrorBody, ItemFailure, json};
use super::state::ApiState;
use super::track::AttributeValue;
use crate::collect::users::{self, ATTRIBUTES, Users};
use crate::model::{MAX_USER_ATTRIBUTES, WorkspaceId};
use crate::store::Updated;

/// What is known about users.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct UsersRequest {
    /// 1 to 10,000 items, applied in their order.
    #[schema(min_items = 1, max_items = 10_000)]
    attributes: Vec<UserItem>,
}

/// One user. Every member besides `external_id` is an attribute: a string of up to 256 bytes, a number or a boolean;
/// `null` removes it. A user has at most 32.
#[derive(ToSchema)]
#[schema(as = UserAttributes)]
#[expect(dead_code, reason = "only its description is used")]
struct UserItem {
    /// The `user_id` of their sessions.
    #[schema(example = "u1")]
    external_id: String,
    #[serde(flatten)]
    attributes: HashMap<String, ChangedAttribute>,
}

/// The new value of an attribute; `null` removes it.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum ChangedAttribute {
    /// It is this from now on.
    Value(AttributeValue),
    /// It is removed.
    Removed,
}

/// What was taken over.
#[derive(Serialize, ToSchema)]
#[schema(as = UsersTracked)]
struct UsersResponse {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// Items whose attributes later sessions carry.
    #[schema(example = 1)]
    attributes_processed: usize,
    /// What was not recorded: items that were refused, and all of `events` and `purchases`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ItemFailure>,
}

/// Set attributes of users
///
/// Sessions of a user that are recorded after the answer carry these attributes, besides their own, which win. Sessions
/// that were recorded before keep what they had.
#[utoipa::path(
    post,
    path = "/users/track",
    tag = "Record",
    request_body(content = UsersRequest, example = json!({"attributes": [{"external_id": "u1", "plan": "pro"}]})),
    security(("api_key" = ["users.track"])),
    responses(
        (status = 201, description = "Recorded, durably; `errors` lists what was not", body = UsersResponse),
        (status = 400, description = "The body can't be read, or nothing of it can be recorded", body = ErrorBody,
            example = json!({"message": "every item was refused, nothing was recorded; 'errors' says why", "errors": [
                {"type": "'external_id' is required: a string of 1 to 256 bytes", "input_array": "attributes", "index": 0}
            ]})),
        Refusals,
        BodyRefusals,
        (status = 503, description = "The store can't take the write now; nothing was recorded, try again", body = ErrorBody),
    )
)]
pub(super) async fn track(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    match update(&state, workspace.workspace.id, request).await {
        Ok(recorded) => json(StatusCode::CREATED, &recorded),
        Err(error) => error.into_response(),
    }
}

async fn update(
    state: &ApiState,
    workspace: WorkspaceId,
    request: Request<Body>,
) -> Result<UsersResponse, ApiError> {
    let parse =
        |bytes: &[u8], _: &str| users::read(bytes).map_err(|error| ApiError::bad_request(error.to_string()));
    let Users { updates, refused } = parsed(state.memory(), request, Accepted::Types(&[JSON]), parse).await?;
    let (indexes, updates): (Vec<usize>, Vec<_>) = updates.into_iter().unzip();
    let outcomes = if updates.is_empty() {
        Vec::new()
    } else {
        state.store().update_users(workspace, updates).await?
    };
    let attributes_processed = outcomes
        .iter()
        .filter(|outcome| **outcome == Updated::Done)
        .count();
    let too_many = indexes
        .into_iter()
        .zip(outcomes)
        .filter(|(_, outcome)| *outcome == Updated::TooMany)
        .map(|(index, _)| ItemFailure {
            reason: format!("a user has at most {MAX_USER_ATTRIBUTES} attributes; remove some with null"),
            input_array: ATTRIBUTES,
            index,
        });
    let refused = refused
        .into_iter()
        .map(|(input_array, index, error)| ItemFailure {
            reason: error.to_string(),
            input_array,
            index,
        });
    let errors: Vec<ItemFailure> = refused.chain(too_many).collect();
    if attributes_processed == 0 {
        return Err(ApiError::all_refused("item", errors));
    }
    Ok(UsersResponse {
        message: "success",
        attributes_processed,
        errors,
    })
}
