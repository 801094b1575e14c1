//! Examples: made of a schema's own, and written with members in the order in which the server has them.

use serde_json::{Map, Value, json};

/// Examples longer than this are written over several lines.
const LINE: usize = 100;
/// Schemas in each other that are followed.
const MAX_DEPTH: u8 = 8;

/// What a reference refers to.
pub(super) fn resolved<'v>(document: &'v Value, schema: &'v Value) -> &'v Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| document.pointer(reference.trim_start_matches('#')))
        .unwrap_or(schema)
}

/// A value that fits a schema: its example, or one made of the examples of what must be in it.
pub(super) fn synthesized(document: &Value, schema: &Value) -> Value {
    value(document, schema, MAX_DEPTH)
}

fn value(document: &Value, schema: &Value, depth: u8) -> Value {
    let schema = resolved(document, schema);
    let first = |name: &str| schema.get(name).and_then(|list| list.get(0));
    let given = schema.get("example").or_else(|| first("examples"));
    if let Some(given) = given.or_else(|| first("enum")).or_else(|| schema.get("default")) {
        return given.clone();
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(one) = first("oneOf").or_else(|| first("anyOf")) {
        return value(document, one, deeper);
    }
    match kind(schema) {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            let needed = members.filter(|(name, _)| is_required(schema, name));
            let made = needed.map(|(name, member)| (name.clone(), value(document, member, deeper)));
            Value::Object(made.collect())
        }
        "array" => match schema.get("items") {
            Some(items) => json!([value(document, items, deeper)]),
            None => json!([]),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        "boolean" => true.into(),
        "string" => "…".into(),
        _ => Value::Null,
    }
}

/// The first type of a schema, or nothing.
fn kind(schema: &Value) -> &str {
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        kind => kind,
    };
    kind.and_then(Value::as_str).unwrap_or_default()
}

/// Whether an object of this schema must have a member.
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    position(schema, name).is_some()
}

fn position(schema: &Value, name: &str) -> Option<usize> {
    let required = schema.get("required")?.as_array()?;
    required.iter().position(|member| member == name)
}

/// Members of a schema or a value: those that are required first, in the order in which the schema has them.
pub(super) fn in_order<'v>(schema: &Value, members: &'v Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| position(schema, name).unwrap_or(usize::MAX));
    sorted
}

/// JSON on one line if it is short, else with each member on a line of its own.
pub(super) fn written(document: &Value, schema: &Value, example: &Value) -> String {
    let mut line = String::new();
    write(&mut line, document, schema, example, None);
    if line.chars().count() > LINE {
        line.clear();
        write(&mut line, document, schema, example, Some(0));
    }
    line
}

/// `indent` is that of the line on which the value begins; without one there is only one line.
fn write(text: &mut String, document: &Value, schema: &Value, value: &Value, indent: Option<usize>) {
    let schema = resolved(document, schema);
    let (open, close) = match value {
        Value::Object(members) if !members.is_empty() => ('{', '}'),
        Value::Array(items) if !items.is_empty() => ('[', ']'),
        scalar => {
            text.push_str(&scalar.to_string());
            return;
        }
    };
    let deeper = indent.map(|indent| indent + 2);
    let begin_line = |text: &mut String, indent: Option<usize>| {
        if let Some(indent) = indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
        }
    };
    text.push(open);
    let none = Value::Null;
    let mut is_first = true;
    let mut entry = |text: &mut String, name: Option<&String>, schema: &Value, value: &Value| {
        if !std::mem::take(&mut is_first) {
            text.push(',');
        }
        begin_line(text, deeper);
        if let Some(name) = name {
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push_str(if deeper.is_some() { ": " } else { ":" });
        }
        write(text, document, schema, value, deeper);
    };
    match value {
        Value::Object(members) => {
            for (name, member) in in_order(schema, members) {
                let of_member = schema.get("properties").and_then(|all| all.get(name));
                entry(text, Some(name), of_member.unwrap_or(&none), member);
            }
        }
        Value::Array(items) => {
            for item in items {
                entry(text, None, schema.get("items").unwrap_or(&none), item);
            }
        }
        _ => {}
    }
    begin_line(text, indent);
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "Series": {"type": "object", "required": ["message", "data"], "properties": {
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Point"}},
                "message": {"type": "string", "example": "success"},
                "note": {"type": "string"}
            }},
            "Point": {"type": "object", "required": ["time", "count"], "properties": {
                "count": {"type": "integer", "minimum": 0}, "time": {"type": ["string", "null"]}
            }},
            "Endless": {"type": "array", "items": {"$ref": "#/components/schemas/Endless"}}
        }}})
    }

    #[test]
    fn an_example_is_made_of_what_must_be_there_in_the_schema_s_order() {
        let (document, schema) = (document(), json!({"$ref": "#/components/schemas/Series"}));
        let example = synthesized(&document, &schema);
        let text = written(&document, &schema, &example);
        assert_eq!(text, r#"{"message":"success","data":[{"time":"…","count":0}]}"#);
    }

    #[test]
    fn a_long_example_has_many_lines() {
        let example = json!({"message": "a".repeat(90), "data": [{"time": "b", "count": 1}, []]});
        let text = written(&document(), &json!({}), &example);
        let expected = format!(
            "{{\n  \"data\": [\n    {{\n      \"count\": 1,\n      \"time\": \"b\"\n    }},\n    []\n  ],\n  \"message\": \"{}\"\n}}",
            "a".repeat(90)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_schema_in_itself_ends() {
        synthesized(&document(), &json!({"$ref": "#/components/schemas/Endless"}));
    }
}
