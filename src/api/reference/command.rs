//! The command that shows how an endpoint is called, made from its description.

use serde_json::Value;

use super::page::string;

const JSON: &str = "application/json";

/// A command that can be pasted after the key and the ids are filled in.
pub(super) fn command(path: &str, operation: &Value) -> String {
    let key = match operation.get("security") {
        Some(_) => " -H \"Authorization: Bearer $KEY\"",
        None => "",
    };
    let path = filled(path, operation);
    match body(operation) {
        Some((media_type, body)) => {
            format!("curl \"$HOST{path}\"{key} \\\n  -H 'Content-Type: {media_type}' \\\n  -d '{body}'")
        }
        None => format!("curl \"$HOST{path}{}\"{key}", query(operation)),
    }
}

/// The example of a body and what it is: JSON, or else the first that has one.
fn body(operation: &Value) -> Option<(&str, String)> {
    let contents = operation.pointer("/requestBody/content")?.as_object()?;
    let example = |content: &Value| match content.get("example")? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
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
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}
