//! Errors as clients see them: always JSON, always naming what was wrong and what would be right.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

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

/// A refusal: status, message, and what the status asks for besides.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    errors: Vec<ItemFailure>,
    retry_after: Option<u64>,
}

impl ApiError {
    /// A refusal with this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            retry_after: None,
        }
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
        // The cause goes to the log: it may name files of the server.
        tracing::error!(%error, "the store failed");
        Self::retry(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store can't do this right now; nothing was recorded, try again",
            1,
        )
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store(error) => Self::from(error.as_ref()),
            RecordError::Full | RecordError::Closed => Self::retry(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{error}; nothing was recorded, try again"),
                1,
            ),
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
        response.extensions_mut().insert(Refused(body.message.into()));
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

/// The message of a refusal, beside its JSON, for protocols that say it in another form.
#[derive(Debug, Clone)]
pub(super) struct Refused(pub Arc<str>);

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

/// Gives an error that a lower layer made (routing, hyper) a JSON body; keeps `Allow`, `Retry-After` and who may
/// read it. What speaks protocol buffers has said it already.
pub(super) fn ensure_json(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().starts_with(b"application/json") || value.as_bytes() == PROTOBUF.as_bytes()
    });
    if !failed || is_ours {
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
