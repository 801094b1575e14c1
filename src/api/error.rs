//! Errors as clients see them: always JSON, always naming what was wrong and what would be right.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::body::JSON;
use super::refusal::Refused;
use crate::metrics::Reason;
use crate::model::AppId;
use crate::record::RecordError;
use crate::store::StoreError;

/// The media type of protocol buffers.
pub(super) const PROTOBUF: &str = "application/x-protobuf";

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What is wrong, and what would be right.
    #[schema(example = "'length' must be an integer from 1 to 100, received '0'")]
    pub message: String,
    /// Where single items of a batch failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<ItemFailure>,
}

/// An item of a batch that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ItemFailure {
    /// Why.
    #[serde(rename = "type")]
    #[schema(example = "'session_id' is required: a string of 1 to 128 bytes")]
    pub reason: String,
    /// The array it stood in.
    #[schema(example = "sessions")]
    pub input_array: &'static str,
    /// Its place in the array, from 0; for NDJSON the line, from 0.
    #[schema(example = 3)]
    pub index: usize,
}

/// Refusals in the description of an endpoint, by their status.
pub(super) type Described = BTreeMap<String, RefOr<openapi::Response>>;

/// Describes refusals that many endpoints share: their statuses, and when they happen.
pub(super) fn described<const N: usize>(refusals: [(&str, &str); N]) -> Described {
    let described = refusals.map(|(status, description)| {
        let body = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ErrorBody::name())))
            .build();
        let response = ResponseBuilder::new().description(description);
        let response = response.content(JSON, body).build();
        (status.to_owned(), RefOr::T(response))
    });
    described.into()
}

/// A refusal: status, message, and what the status asks for besides.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    errors: Vec<ItemFailure>,
    retry_after: Option<u64>,
    reason: Reason,
    unknown_app: Option<AppId>,
}

impl ApiError {
    /// A refusal with this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            retry_after: None,
            reason: Reason::of_status(status.as_u16()),
            unknown_app: None,
        }
    }

    /// The same, counted under a reason of its own.
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// The same, for this app, which its message does not name.
    pub(super) fn about_unknown(mut self, app: AppId) -> Self {
        self.unknown_app = Some(app);
        self
    }

    /// What kind of refusal this is.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, and what would be right.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// 400: a parameter or the body is missing or wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 where every item of a batch was refused; `noun` is what an item is.
    pub fn all_refused(noun: &str, errors: Vec<ItemFailure>) -> Self {
        let mut error = Self::bad_request(format!(
            "every {noun} was refused, nothing was recorded; 'errors' says why"
        ));
        error.errors = errors;
        error
    }

    /// 429 or 503: try again after this many seconds.
    pub fn retry(status: StatusCode, message: impl Into<String>, seconds: u64) -> Self {
        let mut error = Self::new(status, message);
        error.retry_after = Some(seconds);
        error
    }
}

impl ApiError {
    /// 503: the store can't do it now.
    pub(super) fn unavailable() -> Self {
        Self::retry(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store can't do this right now; nothing was recorded, try again",
            1,
        )
        .because(Reason::Store)
    }

    /// What the store says about what a request asks for: 400 where another request would help, else as any failure.
    pub fn of_request(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(message) | StoreError::NotFound(message) => Self::bad_request(message),
            other => Self::from(other),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        if let StoreError::Counting(_) = error {
            return Self::retry(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), 1);
        }
        // The cause goes to the log: it may name files of the server.
        tracing::error!(%error, "the store failed");
        if matches!(error, StoreError::Unusable(_)) {
            return Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the store is damaged or was replaced; nothing was recorded, and trying again does not help: whoever runs \
                 the server finds the reason in its log",
            )
            .because(Reason::StoreDamaged);
        }
        if matches!(error, StoreError::Partial(_)) {
            return Self::retry(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store can't do this right now, a part may be recorded; send the same again: nothing counts twice",
                1,
            );
        }
        Self::unavailable()
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store(error) => Self::from(error.as_ref()),
            RecordError::Full | RecordError::Closed => {
                let reason = match error {
                    RecordError::Full => Reason::QueueFull,
                    _ => Reason::Stopping,
                };
                Self::retry(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("{error}; nothing was recorded, try again"),
                    1,
                )
                .because(reason)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let body = ErrorBody {
            message: self.message,
            errors: self.errors,
        };
        let mut response = json(self.status, &body);
        let first_item = body.errors.into_iter().next().map(|first| first.reason.into());
        response.extensions_mut().insert(Refused {
            message: body.message.into(),
            first_item,
            unknown_app: self.unknown_app,
        });
        response.extensions_mut().insert(self.reason);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(bytes) => json_bytes(status, bytes),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            json_bytes(
                StatusCode::INTERNAL_SERVER_ERROR,
                br#"{"message":"internal error"}"#.to_vec(),
            )
        }
    }
}

/// An answer that is JSON already.
pub fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Marks an answer that is a page for people, whose errors are pages as well.
#[derive(Debug, Clone, Copy)]
pub struct IsPage;

/// Gives an error that a lower layer made (routing, hyper) a JSON body; keeps `Allow`, `Retry-After` and who may
/// read it. What speaks protocol buffers has said it already.
pub(super) fn ensure_json(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().starts_with(b"application/json") || value.as_bytes() == PROTOBUF.as_bytes()
    });
    let is_page = response.extensions().get::<IsPage>().is_some();
    if !failed || is_ours || is_page {
        return response;
    }
    let allowed = response
        .headers()
        .get(ALLOW)
        .and_then(|value| value.to_str().ok());
    let mut replaced = ApiError::new(status, standard_message(status, allowed)).into_response();
    for name in [
        ALLOW,
        RETRY_AFTER,
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        if let Some(value) = response.headers().get(&name) {
            replaced.headers_mut().insert(name, value.clone());
        }
    }
    // The route is in the log and in metrics, whatever the answer.
    if let Some(route) = response.extensions().get::<MatchedPath>() {
        replaced.extensions_mut().insert(route.clone());
    }
    replaced
}

/// What to say where only a status is known.
pub(super) fn standard_message(status: StatusCode, allowed: Option<&str>) -> String {
    match (status, allowed) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(allowed)) => {
            format!("this path does not take this method; it takes {allowed}")
        }
        (StatusCode::NOT_FOUND, _) => "there is nothing at this path; /reference lists the endpoints".into(),
        (StatusCode::BAD_REQUEST, _) => "this is not a valid HTTP request".into(),
        (StatusCode::URI_TOO_LONG, _) => "the URL is too long; at most 8 KiB are accepted".into(),
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, _) => {
            "the request's headers are too large; at most 32 KiB and 100 headers are accepted".into()
        }
        (StatusCode::REQUEST_TIMEOUT, _) => "the request did not arrive in time".into(),
        (StatusCode::INTERNAL_SERVER_ERROR, _) => {
            "internal error; the server's log has it under this x-request-id".into()
        }
        _ => status
            .canonical_reason()
            .unwrap_or("the request was refused")
            .to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_is_being_counted_is_told_when_to_come_back() {
        for error in [
            ApiError::of_request(StoreError::Counting(63)),
            StoreError::Counting(63).into(),
        ] {
            assert_eq!(error.message, "counting sessions (63 %)");
            let response = error.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "1");
        }
    }
}
