//! Completes the description: what the handlers leave out because it is the same everywhere. Ids of operations, headers
//! of answers, examples, and the address.

use serde_json::{Map, Value, json};

use super::address::ADDRESS;
use super::example::{resolved, synthesized};

const JSON: &str = "application/json";
/// Where the description of every error of ours stands.
const ERROR: &str = "#/components/schemas/Error";

/// What stands for errors that handlers give no example for. The messages are true ones.
const ERRORS: [(&str, &str); 7] = [
    (
        "401",
        "the API key is missing: send the API key in the header 'Authorization: Bearer smk_…'; a key in the URL or the body is not accepted",
    ),
    ("403", "this API key lacks the permission 'sessions.track'"),
    ("408", "the body stopped after 6 bytes for 20 seconds"),
    (
        "413",
        "the body is larger than 32 MiB after decompression; send fewer sessions at once",
    ),
    (
        "415",
        "'Content-Encoding' must be gzip, zstd or absent, received 'br'",
    ),
    (
        "429",
        "the workspace's 250000 requests of this hour are used up; the next hour begins at the Unix second 1530252000",
    ),
    (
        "503",
        "the store can't do this right now; nothing was recorded, try again",
    ),
];

/// The whole document as JSON. In the place of the server's address stands [`ADDRESS`].
pub(super) fn complete(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document could not be written");
        json!({})
    });
    merge_schemas(&mut document);
    let described = document.clone();
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, methods) in paths {
            let Some(methods) = methods.as_object_mut() else {
                continue;
            };
            let is_only = methods.len() == 1;
            for (method, operation) in methods {
                let mut id = operation_id(path);
                if !is_only {
                    id.extend(["_", method]);
                }
                complete_operation(&described, operation, id);
            }
        }
    }
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("headers".into(), headers());
    }
    if let Some(document) = document.as_object_mut() {
        let server = json!({"url": ADDRESS, "description": "The server that gave this document"});
        document.insert("servers".into(), json!([server]));
    }
    document
}

/// Makes one object of each schema that is put together of several: a struct that stands in another one. Some generators
/// make two types of them. What nothing refers to any more goes.
fn merge_schemas(document: &mut Value) {
    const SCHEMAS: &str = "/components/schemas";
    let whole = document.clone();
    let Some(schemas) = document.pointer_mut(SCHEMAS).and_then(Value::as_object_mut) else {
        return;
    };
    let mut parts = Vec::new();
    for schema in schemas.values_mut().filter_map(Value::as_object_mut) {
        let Some(Value::Array(all)) = schema.remove("allOf") else {
            continue;
        };
        let (mut properties, mut required) = (Map::new(), Vec::new());
        // The struct's own members stand behind those of the structs in it.
        for part in all.iter().rev() {
            parts.extend(part.get("$ref").and_then(Value::as_str).map(str::to_owned));
            let part = resolved(&whole, part);
            let members = part.get("properties").and_then(Value::as_object);
            properties.extend(
                members
                    .into_iter()
                    .flatten()
                    .map(|(name, member)| (name.clone(), member.clone())),
            );
            required.extend(
                part.get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        schema.insert("required".into(), required.into());
    }
    for reference in parts {
        let is_used = document.to_string().contains(&format!("\"{reference}\""));
        let name = reference.rsplit('/').next().unwrap_or_default();
        if !is_used && let Some(schemas) = document.pointer_mut(SCHEMAS).and_then(Value::as_object_mut) {
            schemas.remove(name);
        }
    }
}

/// The path in words: what a generated client calls the operation. As unique as paths are.
fn operation_id(path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_")
}

fn complete_operation(document: &Value, operation: &mut Value, id: String) {
    let has_key = operation.get("security").is_some();
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    operation.insert("operationId".into(), id.into());
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        complete_headers(response, status, has_key);
        let content = response
            .get_mut("content")
            .and_then(|content| content.get_mut(JSON));
        if let Some(content) = content.and_then(Value::as_object_mut) {
            complete_example(document, content, status);
        }
    }
    let body = operation
        .get_mut("requestBody")
        .and_then(|body| body.get_mut("content"));
    if let Some(content) = body
        .and_then(|content| content.get_mut(JSON))
        .and_then(Value::as_object_mut)
    {
        complete_example(document, content, "");
    }
}

fn complete_headers(response: &mut Map<String, Value>, status: &str, has_key: bool) {
    let mut names = vec!["x-request-id"];
    if has_key {
        names.extend(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]);
    }
    if has_key && status == "401" {
        // Nobody's budget is known without a key.
        names.truncate(1);
        names.push("www-authenticate");
    }
    if matches!(status, "429" | "503") {
        names.push("retry-after");
    }
    let headers = response
        .entry("headers")
        .or_insert_with(|| json!({}))
        .as_object_mut();
    if let Some(headers) = headers {
        for name in names {
            let reference = json!({"$ref": format!("#/components/headers/{name}")});
            headers.entry(name).or_insert(reference);
        }
    }
}

fn complete_example(document: &Value, content: &mut Map<String, Value>, status: &str) {
    if content.contains_key("example") || content.contains_key("examples") {
        return;
    }
    let Some(schema) = content.get("schema") else {
        return;
    };
    let is_error = schema.get("$ref").and_then(Value::as_str) == Some(ERROR);
    let message = ERRORS.iter().find(|(of, _)| is_error && *of == status);
    let example = match message {
        Some((_, message)) => json!({"message": message}),
        None => synthesized(document, schema),
    };
    content.insert("example".into(), example);
}

/// Headers of answers.
fn headers() -> Value {
    let header = |kind: &str, description: &str, example: Value| json!({"description": description, "schema": {"type": kind}, "example": example});
    json!({
        "x-request-id": header(
            "string",
            "The request's id: the one that it was sent with, or a new one. The server's log has it as well.",
            "84047196-ea33-4259-9a22-f60b2a8e5789".into(),
        ),
        "x-ratelimit-limit": header(
            "integer",
            "Requests in a clock hour, for all endpoints of the same budget (reading, recording) together. \
             Missing where the workspace has no limit.",
            250_000.into(),
        ),
        "x-ratelimit-remaining": header(
            "integer",
            "Requests left in this hour. Missing where the workspace has no limit.",
            249_999.into(),
        ),
        "x-ratelimit-reset": header(
            "integer",
            "Unix seconds at which the hour ends. Missing where the workspace has no limit.",
            1_530_252_000.into(),
        ),
        "retry-after": header("integer", "Seconds to wait before the next try.", 37.into()),
        "www-authenticate": header("string", "How to authenticate: always `Bearer`.", "Bearer".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_called_by_its_path() {
        assert_eq!(operation_id("/sessions/data_series"), "sessions_data_series");
        assert_eq!(operation_id("/api/{project}/envelope/"), "api_project_envelope");
        assert_eq!(operation_id("/v1/logs"), "v1_logs");
    }
}
