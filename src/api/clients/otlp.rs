//! `POST /v1/logs`: OpenTelemetry's logs over HTTP (OTLP).

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::json;

use super::Refusal;
use super::descriptions::{ExportLogsServiceResponse, OtlpRefusals, RpcStatus};
use crate::api::body::{Accepted, JSON, parsed};
use crate::api::error::{ApiError, PROTOBUF, json_bytes};
use crate::api::state::ApiState;
use crate::catalog::Catalog;
use crate::collect::ItemError;
use crate::collect::otlp::{self, Context, Delivery, Encoding, OtlpError};
use crate::collect::protobuf::Writer;
use crate::model::AppId;
use crate::store::now;

const APP_HEADER: &str = "sessionmeter-app";
/// Reasons that an answer gives.
const REASONS: usize = 3;

/// Deliver OpenTelemetry logs
///
/// OTLP over HTTP. Log records named `session.start` and `session.end` become sessions, all others are accepted and
/// passed over. The app's id is in the header or in the resource attribute `sessionmeter.app.id`. Sessions that were
/// refused are counted in `partialSuccess`. Errors are a `google.rpc.Status` in the encoding of the request.
#[utoipa::path(
    post,
    path = "/v1/logs",
    tag = "Clients",
    params(("sessionmeter-app" = Option<String>, Header, nullable = false, example = "00dc3cf6-1763-5d5b-8264-db458aa346c3",
        description = "The id of an app; a resource's own attribute comes first")),
    request_body(
        content(
            (Object = "application/json", example = json!({"resourceLogs": [{
                "resource": {"attributes": [{"key": "sessionmeter.app.id", "value": {"stringValue": "00dc3cf6-1763-5d5b-8264-db458aa346c3"}}]},
                "scopeLogs": [{"logRecords": [{
                "timeUnixNano": "1530248399000000000", "eventName": "session.start",
                "attributes": [{"key": "session.id", "value": {"stringValue": "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f"}}]
            }]}]}]})),
            (String = "application/x-protobuf"),
        )
    ),
    responses(
        (status = 200, description = "Recorded, durably; in the encoding of the request", content(
            (ExportLogsServiceResponse = "application/json", example = json!({})),
            (String = "application/x-protobuf"),
        )),
        OtlpRefusals,
        (status = 500, description = "A defect of the server", body = RpcStatus,
            example = json!({"code": 13, "message": "internal error; the server's log has it under this x-request-id"})),
    )
)]
pub(super) async fn logs(State(state): State<ApiState>, request: Request<Body>) -> Response<Body> {
    let encoding = encoding(request.headers());
    match record(&state, request).await {
        Ok(refused) => success(encoding, &refused),
        Err(error) => error.into_response(),
    }
}

/// What was refused.
#[derive(Debug, Default)]
struct Rejected {
    records: usize,
    message: String,
}

async fn record(state: &ApiState, request: Request<Body>) -> Result<Rejected, ApiError> {
    let encoding = encoding(request.headers());
    let app = match request.headers().get(APP_HEADER) {
        Some(value) => Some(app_of_header(state, value).await?),
        None => None,
    };
    let parse = {
        let state = state.clone();
        move |bytes: &[u8], _: &str| {
            let read = |catalog: &Catalog| {
                let context = Context {
                    catalog,
                    app,
                    now: now(),
                };
                otlp::read(bytes, encoding, &context)
            };
            let lacks_apps = |delivery: &Result<Delivery, OtlpError>| {
                delivery.as_ref().is_ok_and(|delivery| delivery.without_app > 0)
            };
            let delivery = state.read_over(&state.store().catalog(), read, lacks_apps)?;
            delivery.map_err(|error| ApiError::new(status(&error), error.to_string()))
        }
    };
    let delivery = parsed(state.memory(), request, Accepted::Types(&[PROTOBUF, JSON]), parse).await?;
    deliver(state, delivery).await
}

fn status(error: &OtlpError) -> StatusCode {
    match error {
        OtlpError::Protobuf(_) | OtlpError::Json(_) => StatusCode::BAD_REQUEST,
        OtlpError::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

async fn app_of_header(state: &ApiState, value: &HeaderValue) -> Result<AppId, ApiError> {
    let id: Option<AppId> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    if let Some(id) = id
        && (state.store().catalog().app(id).is_some() || state.newest().await?.app(id).is_some())
    {
        return Ok(id);
    }
    let received: String = String::from_utf8_lossy(value.as_bytes())
        .chars()
        .take(100)
        .collect();
    Err(ApiError::bad_request(format!(
        "the header '{APP_HEADER}' must be the id of an app of this server, received '{received}'"
    )))
}

async fn deliver(state: &ApiState, delivery: Delivery) -> Result<Rejected, ApiError> {
    let Delivery {
        sessions,
        ends,
        mut refused,
        without_app,
    } = delivery;
    if without_app > 0 && sessions.is_empty() && ends.is_empty() {
        state.note_refused(&refused);
        let reason = refused.first().map(|(_, error)| error.to_string());
        return Err(ApiError::bad_request(reason.unwrap_or_default()));
    }
    if !sessions.is_empty() {
        state.recorder().record(sessions).await?;
    }
    if !ends.is_empty() {
        let (ends, records): (Vec<_>, Vec<_>) =
            ends.into_iter().map(|ending| (ending.end, ending.record)).unzip();
        let known = state.recorder().end(ends).await?;
        let unknown = records.into_iter().zip(known).filter_map(|(record, known)| {
            let reason = "no session with this session.id started in the seven days before";
            Some((record.filter(|_| !known)?, ItemError::new(reason)))
        });
        refused.extend(unknown);
    }
    state.note_refused(&refused);
    state.note_refused_items(super::LOGS, None, &refused);
    Ok(rejected(&refused))
}

fn rejected(refused: &[(usize, ItemError)]) -> Rejected {
    let reason = |(index, error): &(usize, ItemError)| format!("log record {index}: {error}");
    let mut reasons: Vec<String> = refused.iter().take(REASONS).map(reason).collect();
    if refused.len() > REASONS {
        reasons.push(format!("and {} more", refused.len() - REASONS));
    }
    Rejected {
        records: refused.len(),
        message: reasons.join("; "),
    }
}

fn encoding(headers: &HeaderMap) -> Encoding {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case(PROTOBUF) {
        Encoding::Protobuf
    } else {
        Encoding::Json
    }
}

fn success(encoding: Encoding, refused: &Rejected) -> Response<Body> {
    let Rejected { records, message } = refused;
    let records = *records as u64;
    match encoding {
        Encoding::Json => {
            let body = match records {
                0 => json!({}),
                _ => {
                    json!({"partialSuccess": {"rejectedLogRecords": records.to_string(), "errorMessage": message}})
                }
            };
            json_bytes(StatusCode::OK, body.to_string().into_bytes())
        }
        Encoding::Protobuf => {
            let partial = Writer::default()
                .number(1, records)
                .bytes(2, message.as_bytes())
                .finish();
            let body = match records {
                0 => Vec::new(),
                _ => Writer::default().bytes(1, &partial).finish(),
            };
            protobuf(StatusCode::OK, body)
        }
    }
}

fn protobuf(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = json_bytes(status, body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

/// A `google.rpc.Status` in the encoding of the request.
pub(super) fn speak(headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    let Refusal { status, message, .. } = refusal;
    let code = grpc_code(*status);
    match encoding(headers) {
        Encoding::Json => {
            let body = json!({"code": code, "message": message});
            json_bytes(*status, body.to_string().into_bytes())
        }
        Encoding::Protobuf => {
            let body = Writer::default()
                .number(1, code)
                .bytes(2, message.as_bytes())
                .finish();
            protobuf(*status, body)
        }
    }
}

/// The number in `google/rpc/code.proto` that is nearest to an HTTP status.
fn grpc_code(status: StatusCode) -> u64 {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        status if status.is_server_error() => 13,
        _ => 3,
    }
}
