//! What the protocols answer, for the description: their answers have forms of their own.

#![expect(dead_code, reason = "only their descriptions are used")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::{
    self, ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, ToSchema};

use crate::api::body::JSON;

/// OTLP's answer.
#[derive(ToSchema)]
pub(super) struct ExportLogsServiceResponse {
    /// What was refused; missing where nothing was.
    #[serde(rename = "partialSuccess")]
    #[schema(required = false)]
    partial_success: ExportLogsPartialSuccess,
}

/// Session events that were refused.
#[derive(ToSchema)]
struct ExportLogsPartialSuccess {
    /// How many, as a text of digits.
    #[serde(rename = "rejectedLogRecords")]
    #[schema(example = "1")]
    rejected_log_records: String,
    /// The first reasons.
    #[serde(rename = "errorMessage")]
    #[schema(example = "log record 0: 'session.id' is required: an attribute of 1 to 128 bytes")]
    error_message: String,
}

/// OTLP's errors: `google.rpc.Status`.
#[derive(ToSchema)]
#[schema(as = OtlpError)]
pub(super) struct RpcStatus {
    /// As gRPC numbers them.
    #[schema(example = 3)]
    code: i32,
    /// What is wrong, and what would be right.
    #[schema(example = "the body is not OTLP")]
    message: String,
}

/// Sentry's answer.
#[derive(ToSchema)]
#[schema(as = EnvelopeAccepted)]
pub(super) struct Accepted {
    /// The envelope's `event_id`, if it has one.
    #[schema(required = false, example = "9ec79c33ec9942ab8353589fcb2e04dc")]
    id: String,
}

/// Sentry's errors.
#[derive(ToSchema)]
#[schema(as = EnvelopeError)]
pub(super) struct Detail {
    /// What is wrong, and what would be right.
    #[schema(example = "event submission rejected: there is no app with this id on this server")]
    detail: String,
}

fn response(description: &str, schema: &str, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(Some(example))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
}

/// What every request over OTLP may be refused for.
pub(super) struct OtlpRefusals;

impl IntoResponses for OtlpRefusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let refusals = [
            (
                "400",
                "The body can't be read, or no app of this server is named; nothing was recorded",
                (
                    3,
                    "the header 'sessionmeter-app' must be the id of an app of this server, received 'web'",
                ),
            ),
            (
                "408",
                "The body did not arrive in time",
                (4, "the body stopped after 6 bytes for 20 seconds"),
            ),
            (
                "413",
                "The body is too large, or has too many session events",
                (
                    8,
                    "the body is larger than 32 MiB after decompression; send fewer sessions at once",
                ),
            ),
            (
                "415",
                "Content type or encoding is not understood",
                (
                    3,
                    "'Content-Encoding' must be gzip, zstd or absent, received 'br'",
                ),
            ),
            (
                "429",
                "Too many requests from this address",
                (
                    8,
                    "more than 600 requests in this minute from this address; try again in 37 seconds",
                ),
            ),
            (
                "503",
                "The store can't take the write now; try again",
                (
                    14,
                    "the store can't do this right now; nothing was recorded, try again",
                ),
            ),
        ];
        let described = refusals.map(|(status, description, (code, message))| {
            let example = json!({"code": code, "message": message});
            let response = response(description, "OtlpError", example).build();
            (status.to_owned(), RefOr::T(response))
        });
        described.into()
    }
}

/// What every envelope may be refused for.
pub(super) struct EnvelopeRefusals;

impl IntoResponses for EnvelopeRefusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let refusals = [
            (
                "400",
                "The envelope or its key can't be read, or every session was refused; nothing was recorded",
                "item 0: 'started' is required: a time",
            ),
            (
                "401",
                "There is no key",
                "missing authorization information: give the app's id without hyphens as the DSN's public key",
            ),
            (
                "403",
                "There is no such app",
                "event submission rejected: there is no app with this id on this server",
            ),
            (
                "408",
                "The body did not arrive in time",
                "the body stopped after 6 bytes for 20 seconds",
            ),
            (
                "413",
                "The body is too large, or has too many sessions",
                "the body is larger than 32 MiB after decompression; send fewer sessions at once",
            ),
            (
                "415",
                "The content encoding is not understood",
                "'Content-Encoding' must be gzip, deflate, zstd or absent, received 'br'",
            ),
            (
                "429",
                "Too many requests from this address",
                "more than 600 requests in this minute from this address; try again in 37 seconds",
            ),
            (
                "503",
                "The store can't take the write now; try again",
                "the store can't do this right now; nothing was recorded, try again",
            ),
        ];
        let text = |description: &str| {
            let schema = ObjectBuilder::new().schema_type(Type::String);
            HeaderBuilder::new()
                .schema(Some(schema))
                .description(Some(description))
                .build()
        };
        let described = refusals.map(|(status, description, detail)| {
            let mut response = response(description, "EnvelopeError", json!({"detail": detail}));
            response = response.header(
                "x-sentry-error",
                text("The same as `detail`, if a header can hold it"),
            );
            if status == "429" {
                let limits = text("Seconds to wait, for all categories: `37::key:rate_limited`");
                response = response.header("x-sentry-rate-limits", limits);
            }
            (status.to_owned(), RefOr::T(response.build()))
        });
        described.into()
    }
}
