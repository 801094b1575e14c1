//! Values of conditions as people type them: texts as they are, several between commas, and in quotes what would be taken for
//! something else.

use serde_json::{Number, Value};

/// What was typed, as JSON. Numbers and `true` are themselves only where a field may have them: a version 4.10 is a text.
pub(super) fn read(field: &str, op: &str, text: &str) -> Value {
    if op == "exists" && text.trim().is_empty() {
        return Value::Bool(true);
    }
    let has_types = has_types(field) || op == "exists";
    match op {
        "in" | "not_in" => items(text).map(|item| one(item, has_types)).collect(),
        _ => one(text.trim(), has_types),
    }
}

/// How a value is typed.
pub(super) fn shown(field: &str, value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let items: Vec<String> = values.iter().map(|value| written(field, value, true)).collect();
            items.join(", ")
        }
        value => written(field, value, false),
    }
}

fn has_types(field: &str) -> bool {
    field.starts_with("attributes.") || field == "first_session"
}

fn one(text: &str, has_types: bool) -> Value {
    if let Some(quoted) = quoted(text) {
        return Value::String(quoted);
    }
    match number_or_flag(text) {
        Some(value) if has_types => value,
        _ => Value::String(text.to_owned()),
    }
}

fn quoted(text: &str) -> Option<String> {
    text.starts_with('"')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn number_or_flag(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        text => serde_json::from_str::<Number>(text).ok().map(Value::Number),
    }
}

/// What stands between commas that are in no quotes.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut in_quotes = false;
        let mut is_escaped = false;
        let ends = |character: char| {
            let is_plain = !is_escaped;
            is_escaped = is_plain && in_quotes && character == '\\';
            in_quotes ^= is_plain && character == '"';
            character == ',' && !in_quotes
        };
        if rest.is_empty() {
            return None;
        }
        let (item, after) = rest.split_once(ends).unwrap_or((rest, ""));
        rest = after;
        Some(item.trim())
    })
    .filter(|item| !item.is_empty())
}

fn written(field: &str, value: &Value, in_list: bool) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let is_ambiguous = text.trim() != text
        || text.is_empty()
        || text.starts_with('"')
        || (in_list && (text.contains(',') || text.contains('"')))
        || (has_types(field) && number_or_flag(text).is_some());
    if is_ambiguous {
        return value.to_string();
    }
    text.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_what_a_field_may_have() {
        for (field, op, text, value) in [
            ("country", "eq", " BR ", json!("BR")),
            ("country", "in", "BR, MX,,", json!(["BR", "MX"])),
            ("app_version", "gte", "4.10", json!("4.10")),
            ("attributes.n", "eq", "4.10", json!(4.1)),
            ("attributes.n", "eq", "\"4.10\"", json!("4.10")),
            (
                "attributes.n",
                "in",
                "1, \"a, b\", true, x",
                json!([1, "a, b", true, "x"]),
            ),
            ("attributes.n", "in", r#""a\", b", c"#, json!(["a\", b", "c"])),
            ("attributes.n", "eq", "\"open", json!("\"open")),
            ("first_session", "eq", "true", json!(true)),
            ("language", "exists", "", json!(true)),
            ("language", "exists", "false", json!(false)),
            ("language", "in", "", json!([])),
        ] {
            assert_eq!(read(field, op, text), value, "{field} {op} {text}");
        }
    }
}
