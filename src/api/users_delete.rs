//! `POST /users/delete`: users and devices who are to be forgotten.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Caller, Refusals};
use super::body::{BodyRefusals, document};
use super::error::{ApiError, ErrorBody, json};
use super::state::ApiState;
use crate::model::{Identities, IdentityKind, MAX_IDENTITIES, WorkspaceId};
use crate::store::StoreError;

/// Who is to be forgotten: one of the two lists.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeleteUsers)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteUsers {
    /// The `user_id` of their sessions.
    #[schema(required = false, nullable = false, min_items = 1, max_items = 50, example = json!(["u1"]))]
    external_ids: Option<Vec<String>>,
    /// The `device_id` of their sessions.
    #[schema(required = false, nullable = false, min_items = 1, max_items = 50)]
    device_ids: Option<Vec<String>>,
}

impl DeleteUsers {
    fn identities(&self) -> Result<Identities, ApiError> {
        let (kind, name, ids) = match (&self.external_ids, &self.device_ids) {
            (Some(ids), None) => (IdentityKind::User, "external_ids", ids),
            (None, Some(ids)) => (IdentityKind::Device, "device_ids", ids),
            _ => {
                return Err(ApiError::bad_request(format!(
                    "give either 'external_ids' or 'device_ids': an array of 1 to {MAX_IDENTITIES} ids"
                )));
            }
        };
        Identities::new(kind, ids.iter().map(String::as_str))
            .map_err(|error| ApiError::bad_request(format!("'{name}': {error}")))
    }
}

/// How many were forgotten.
#[derive(Serialize, ToSchema)]
#[schema(as = UsersDeleted)]
struct Deleted {
    /// `success`
    #[schema(example = "success")]
    message: &'static str,
    /// How many of the ids were known.
    #[schema(example = 1)]
    deleted: u64,
}

/// Forget users or devices
///
/// Their ids and attributes are gone when the answer comes, from exports and later backups too. All counts stay, also of
/// distinct users in the past. The same id is a new user's from then on.
#[utoipa::path(
    post,
    path = "/users/delete",
    tag = "Record",
    request_body(content = DeleteUsers, example = json!({"external_ids": ["u1", "u2"]})),
    security(("api_key" = ["users.delete"])),
    responses(
        (status = 201, description = "Forgotten, durably", body = Deleted),
        (status = 400, description = "The body can't be read, or names none or too many", body = ErrorBody,
            example = json!({"message": "give either 'external_ids' or 'device_ids': an array of 1 to 50 ids"})),
        Refusals,
        BodyRefusals,
        (status = 503, description = "The store can't do that now, or not all of it: try again", body = ErrorBody),
    )
)]
pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(Caller(workspace)): Extension<Caller>,
    request: Request<Body>,
) -> Response<Body> {
    match forget(&state, workspace.workspace.id, request).await {
        Ok(deleted) => json(StatusCode::CREATED, &deleted),
        Err(error) => error.into_response(),
    }
}

async fn forget(
    state: &ApiState,
    workspace: WorkspaceId,
    request: Request<Body>,
) -> Result<Deleted, ApiError> {
    let asked: DeleteUsers = document(state.memory(), request).await?;
    let (state, people) = (state.clone(), asked.identities()?);
    // Of several steps none is left out because the client has gone.
    let forgetting = tokio::spawn(async move { state.store().forget(workspace, people).await });
    let deleted = forgetting
        .await
        .map_err(|error| StoreError::Partial(error.to_string()))??;
    Ok(Deleted {
        message: "success",
        deleted,
    })
}
