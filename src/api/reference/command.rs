//! The command that shows how an endpoint is called, made from its description.

use serde_json::Value;

use super::address::ADDRESS;
use super::example::written;

const JSON: &str = "application/json";

/// A command that can be pasted once the shell knows the key, and ids are filled in. [`ADDRESS`] stands in it.
pub(super) fn command(document: &Value, path: &str, operation: &Value) -> String {
    let mut command = format!("curl \"{ADDRESS}{}", filled(path, operation));
    let body = body(document, operation);
    if body.is_none() {
        command.push_str(&query(operation));
    }
    command.push('"');
    if operation.get("security").is_some() {
        command.push_str(" \\\n  -H \"Authorization: Bearer $KEY\"");
    }
    if let Some((media_type, body)) = body {
        command.push_str(&format!(
            " \\\n  -H 'Content-Type: {media_type}' \\\n  -d '{body}'"
        ));
    }
    command
}

/// The example of a body and what it is: JSON, or else the first that has one.
fn body<'o>(document: &Value, operation: &'o Value) -> Option<(&'o str, String)> {
    let contents = operation.pointer("/requestBody/content")?.as_object()?;
    let example = |content: &Value| match content.get("example")? {
        Value::String(text) => Some(text.clone()),
        other => {
            let schema = content.get("schema").unwrap_or(&Value::Null);
            Some(written(document, schema, other))
        }
    };
    let json = contents.get(JSON).and_then(example).map(|body| (JSON, body));
    json.or_else(|| {
        contents
            .iter()
            .find_map(|(media_type, content)| Some((media_type.as_str(), example(content)?)))
    })
}

/// Parameters that must be given and are in `place`, with their examples.
fn required<'o>(operation: &'o Value, place: &'static str) -> impl Iterator<Item = (&'o str, String)> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let required = parameters.into_iter().flatten().filter(move |parameter| {
        parameter.get("required") == Some(&Value::Bool(true)) && string(parameter, "in") == place
    });
    required.filter_map(|parameter| {
        let value = match parameter.get("example")? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((string(parameter, "name"), value))
    })
}

fn filled(path: &str, operation: &Value) -> String {
    required(operation, "path").fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), &value)
    })
}

fn query(operation: &Value) -> String {
    let pairs: Vec<String> = required(operation, "query")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if pairs.is_empty() {
        return String::new();
    }
    format!("?{}", pairs.join("&"))
}

/// A member that is a text, or nothing.
pub(super) fn string<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
