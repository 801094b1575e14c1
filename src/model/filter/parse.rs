//! From JSON to a filter; what is wrong is said with its place: `all[2].op: unknown operator "like", one of …`.

use super::json::{Json, Quoted};
use super::version::Version;
use super::{ATTRIBUTES, Condition, Field, MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, Node, Operator, Value};
use crate::model::AppId;

/// Longest JSON text of a filter, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Longest text that is compared with: nothing longer is ever recorded.
const MAX_VALUE_BYTES: usize = 256;
const MAX_NAME_BYTES: usize = 64;

/// Why a JSON text is no filter: the place and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}")]
pub struct FilterError {
    /// A path such as `all[2].op: `, empty at the top.
    place: String,
    problem: String,
}

/// Where the reader is: the path from the top, and what is left of the limits.
struct Place<'a> {
    path: String,
    depth: usize,
    conditions: &'a mut usize,
}

impl Place<'_> {
    fn wrong<T>(&self, member: &str, problem: impl Into<String>) -> Result<T, FilterError> {
        let dot = if self.path.is_empty() || member.is_empty() {
            ""
        } else {
            "."
        };
        let place = format!("{}{dot}{member}", self.path);
        let place = if place.is_empty() {
            place
        } else {
            format!("{place}: ")
        };
        Err(FilterError {
            place,
            problem: problem.into(),
        })
    }
}

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    let top = |problem: String| FilterError {
        place: String::new(),
        problem,
    };
    if text.len() > MAX_TEXT {
        let length = text.len();
        return Err(top(format!(
            "a filter has at most {MAX_TEXT} bytes, this one has {length}"
        )));
    }
    let json: Json =
        serde_json::from_str(text).map_err(|error| top(format!("the filter is not valid JSON: {error}")))?;
    let mut conditions = 0;
    let place = Place {
        path: String::new(),
        depth: 0,
        conditions: &mut conditions,
    };
    node(json, place)
}

const SHAPE: &str =
    r#"{"all": […]}, {"any": […]}, {"not": …} or a condition {"field": …, "op": …, "value": …}"#;

fn node(json: Json, place: Place<'_>) -> Result<Node, FilterError> {
    let members = match json {
        Json::Object(members) => members,
        other => return place.wrong("", format!("must be {SHAPE}, received {other}")),
    };
    for (index, (name, _)) in members.iter().enumerate() {
        if members.iter().take(index).any(|(earlier, _)| earlier == name) {
            return place.wrong(name, "given twice; give it once");
        }
    }
    let group = members
        .iter()
        .position(|(name, _)| matches!(name.as_str(), "all" | "any" | "not"));
    let Some(group) = group else {
        return condition(members, place).map(Node::Condition);
    };
    if let Some((other, _)) = members
        .iter()
        .enumerate()
        .find(|(at, _)| *at != group)
        .map(|(_, m)| m)
    {
        let group = members.get(group).map_or("", |(name, _)| name);
        return place.wrong(
            other,
            format!(r#"nothing may stand beside "{group}"; put both into {{"all": […]}} or {{"any": […]}}"#),
        );
    }
    if place.depth == MAX_FILTER_DEPTH {
        return place.wrong("", format!("groups may be {MAX_FILTER_DEPTH} deep, not deeper"));
    }
    let Some((name, inner)) = members.into_iter().next() else {
        return place.wrong("", format!("must be {SHAPE}"));
    };
    match name.as_str() {
        "not" => {
            let inside = inside(&place.path, "not", place.depth, place.conditions);
            node(inner, inside).map(|inner| Node::Not(Box::new(inner)))
        }
        name => {
            let Json::List(items) = inner else {
                return place.wrong(name, format!("must be an array, received {inner}"));
            };
            let nodes = items.into_iter().enumerate().map(|(index, item)| {
                let member = format!("{name}[{index}]");
                node(
                    item,
                    inside(&place.path, &member, place.depth, &mut *place.conditions),
                )
            });
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            Ok(if name == "all" {
                Node::All(nodes)
            } else {
                Node::Any(nodes)
            })
        }
    }
}

fn inside<'a>(path: &str, member: &str, depth: usize, conditions: &'a mut usize) -> Place<'a> {
    let dot = if path.is_empty() { "" } else { "." };
    Place {
        path: format!("{path}{dot}{member}"),
        depth: depth + 1,
        conditions,
    }
}

fn condition(members: Vec<(String, Json)>, place: Place<'_>) -> Result<Condition, FilterError> {
    *place.conditions += 1;
    if *place.conditions > MAX_FILTER_CONDITIONS {
        return place.wrong(
            "",
            format!("a filter has at most {MAX_FILTER_CONDITIONS} conditions"),
        );
    }
    let (mut field, mut op, mut value) = (None, None, None);
    for (name, json) in members {
        match name.as_str() {
            "field" => field = Some(json),
            "op" => op = Some(json),
            "value" => value = Some(json),
            _ => {
                let problem = format!("unknown member {}; a filter is {SHAPE}", Quoted(&name));
                return place.wrong("", problem);
            }
        }
    }
    let field = match field {
        Some(Json::Text(name)) => read_field(&name, &place)?,
        Some(other) => return place.wrong("field", format!("must be a string, received {other}")),
        None => return place.wrong("field", format!("is required, {}", fields())),
    };
    let op = match op {
        Some(Json::Text(name)) => read_op(&name, &place)?,
        Some(other) => return place.wrong("op", format!("must be a string, received {other}")),
        None => return place.wrong("op", format!("is required, {}", operators(&Operator::ALL))),
    };
    if matches!(field, Field::AppId | Field::FirstSession) && !Operator::IDENTITY.contains(&op) {
        let allowed = operators(&Operator::IDENTITY);
        return place.wrong(
            "op",
            format!(r#"{field} can't be compared with "{}", {allowed}"#, op.name()),
        );
    }
    let values = read_values(&field, op, value, &place)?;
    Ok(Condition { field, op, values })
}

fn fields() -> String {
    let names: Vec<&str> = Field::OWN.iter().map(Field::prefix).collect();
    format!("one of {}, {ATTRIBUTES}NAME", names.join(", "))
}

fn operators(operators: &[Operator]) -> String {
    let names: Vec<&str> = operators.iter().map(|op| op.name()).collect();
    format!("one of {}", names.join(", "))
}

/// Why a text is the name of no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldError(String);

/// The field with this name.
pub(super) fn field(name: &str) -> Result<Field, FieldError> {
    if let Some(attribute) = name.strip_prefix(ATTRIBUTES) {
        return match attribute.len() {
            1..=MAX_NAME_BYTES => Ok(Field::Attribute(attribute.into())),
            length => Err(FieldError(format!(
                "an attribute's name has 1 to {MAX_NAME_BYTES} bytes, this one has {length}"
            ))),
        };
    }
    let own = Field::OWN.into_iter().find(|field| field.prefix() == name);
    own.ok_or_else(|| FieldError(format!("unknown field {}, {}", Quoted(name), fields())))
}

fn read_field(name: &str, place: &Place<'_>) -> Result<Field, FilterError> {
    match field(name) {
        Ok(field) => Ok(field),
        Err(FieldError(problem)) => place.wrong("field", problem),
    }
}

fn read_op(name: &str, place: &Place<'_>) -> Result<Operator, FilterError> {
    match Operator::named(name) {
        Some(op) => Ok(op),
        None => {
            let all = operators(&Operator::ALL);
            place.wrong("op", format!("unknown operator {}, {all}", Quoted(name)))
        }
    }
}

fn read_values(
    field: &Field,
    op: Operator,
    json: Option<Json>,
    place: &Place<'_>,
) -> Result<Vec<Value>, FilterError> {
    if op == Operator::Exists {
        return match json {
            None => Ok(vec![Value::Bool(true)]),
            Some(Json::Bool(flag)) => Ok(vec![Value::Bool(flag)]),
            Some(other) => place.wrong(
                "value",
                format!("must be true or false, or left out, received {other}"),
            ),
        };
    }
    let what = allowed(field, op);
    match json {
        None if op.takes_list() => place.wrong("value", format!("is required: an array, each {what}")),
        None => place.wrong("value", format!("is required: {what}")),
        Some(Json::List(items)) if op.takes_list() => {
            if items.is_empty() {
                return place.wrong("value", "must have at least one entry");
            }
            let values = items
                .into_iter()
                .enumerate()
                .map(|(index, item)| read_value(field, op, item, what, place, &format!("value[{index}]")));
            values.collect()
        }
        Some(other) if op.takes_list() => place.wrong(
            "value",
            format!("must be an array, each {what}, received {other}"),
        ),
        Some(one) => Ok(vec![read_value(field, op, one, what, place, "value")?]),
    }
}

/// In words, what a field may be compared with.
fn allowed(field: &Field, op: Operator) -> &'static str {
    match field {
        Field::AppId => "the id of an app",
        Field::FirstSession => "true or false",
        Field::Country if !matches!(op, Operator::Prefix | Operator::Contains) => {
            "an ISO 3166-1 alpha-2 code such as BR"
        }
        Field::OsVersion | Field::AppVersion if op.orders() => "a version such as 4.10",
        Field::Attribute(_) if op.orders() => "a number or a string",
        Field::Attribute(_) if matches!(op, Operator::Prefix | Operator::Contains) => "a string",
        Field::Attribute(_) => "a string, a number, true or false",
        _ => "a string",
    }
}

fn read_value(
    field: &Field,
    op: Operator,
    json: Json,
    what: &str,
    place: &Place<'_>,
    member: &str,
) -> Result<Value, FilterError> {
    let attribute = matches!(field, Field::Attribute(_));
    let searches = matches!(op, Operator::Prefix | Operator::Contains);
    let value = match (&json, field) {
        (Json::Text(text), _) if text.len() > MAX_VALUE_BYTES => {
            let length = text.len();
            return place.wrong(
                member,
                format!("must have at most {MAX_VALUE_BYTES} bytes, received {length}"),
            );
        }
        (Json::Text(text), Field::AppId) => match text.parse::<AppId>() {
            Ok(id) => Some(Value::Text(id.to_string().into())),
            Err(_) => None,
        },
        (Json::Text(text), Field::Country) => {
            let code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
            // As it is recorded.
            (searches || code).then(|| Value::Text(text.to_ascii_uppercase().into()))
        }
        (Json::Text(text), field) if field.is_version() && op.orders() => {
            let numeric = Version::read(text).is_numeric();
            numeric.then(|| Value::Text(text.as_str().into()))
        }
        (Json::Text(_), Field::FirstSession) => None,
        (Json::Text(text), _) => Some(Value::Text(text.as_str().into())),
        (Json::Number(number), _) if attribute && !searches => Some(Value::Number(number.clone())),
        (Json::Bool(flag), Field::FirstSession) => Some(Value::Bool(*flag)),
        (Json::Bool(flag), _) if attribute && !searches && !op.orders() => Some(Value::Bool(*flag)),
        _ => None,
    };
    match value {
        Some(value) => Ok(value),
        None => place.wrong(member, format!("must be {what}, received {json}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    fn refusal(text: &str) -> String {
        match text.parse::<Filter>() {
            Ok(filter) => panic!("{text} was read as {filter}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        const OPS: &str = "one of eq, ne, in, not_in, exists, lt, lte, gt, gte, prefix, contains";
        let fields = fields();
        for (text, message) in [
            (
                "",
                "the filter is not valid JSON: EOF while parsing a value at line 1 column 0".to_owned(),
            ),
            ("[]", format!("must be {SHAPE}, received an array")),
            ("{}", format!("field: is required, {fields}")),
            (
                r#"{"all":{}}"#,
                "all: must be an array, received an object".into(),
            ),
            (r#"{"all":[1]}"#, format!("all[0]: must be {SHAPE}, received 1")),
            (
                r#"{"not":[]}"#,
                format!("not: must be {SHAPE}, received an array"),
            ),
            (
                r#"{"all":[{"field":"country","op":"exists"},{"not":{"any":[{"field":"language","op":"like","value":"x"}]}}]}"#,
                format!(r#"all[1].not.any[0].op: unknown operator "like", {OPS}"#),
            ),
            (
                r#"{"field":"contry","op":"eq","value":"BR"}"#,
                format!(r#"field: unknown field "contry", {fields}"#),
            ),
            (
                r#"{"field":1,"op":"eq"}"#,
                "field: must be a string, received 1".into(),
            ),
            (r#"{"field":"country"}"#, format!("op: is required, {OPS}")),
            (
                r#"{"field":"country","op":null}"#,
                "op: must be a string, received null".into(),
            ),
            (
                r#"{"field":"platform","op":"eq"}"#,
                "value: is required: a string".into(),
            ),
            (
                r#"{"field":"platform","op":"eq","value":5}"#,
                "value: must be a string, received 5".into(),
            ),
            (
                r#"{"field":"platform","op":"in","value":"ios"}"#,
                r#"value: must be an array, each a string, received "ios""#.into(),
            ),
            (
                r#"{"field":"platform","op":"in","value":[]}"#,
                "value: must have at least one entry".into(),
            ),
            (
                r#"{"any":[{"field":"platform","op":"not_in","value":["a",true]}]}"#,
                "any[0].value[1]: must be a string, received true".into(),
            ),
            (
                r#"{"field":"platform","op":"eq","value":["ios"]}"#,
                "value: must be a string, received an array".into(),
            ),
            (
                r#"{"field":"country","op":"eq","value":"Brazil"}"#,
                r#"value: must be an ISO 3166-1 alpha-2 code such as BR, received "Brazil""#.into(),
            ),
            (
                r#"{"field":"app_id","op":"eq","value":"web"}"#,
                r#"value: must be the id of an app, received "web""#.into(),
            ),
            (
                r#"{"field":"app_id","op":"prefix","value":"0"}"#,
                r#"op: app_id can't be compared with "prefix", one of eq, ne, in, not_in, exists"#.into(),
            ),
            (
                r#"{"field":"first_session","op":"eq","value":"true"}"#,
                r#"value: must be true or false, received "true""#.into(),
            ),
            (
                r#"{"field":"app_version","op":"gt","value":"beta"}"#,
                r#"value: must be a version such as 4.10, received "beta""#.into(),
            ),
            (
                r#"{"field":"attributes.n","op":"lt","value":true}"#,
                "value: must be a number or a string, received true".into(),
            ),
            (
                r#"{"field":"attributes.n","op":"prefix","value":1}"#,
                "value: must be a string, received 1".into(),
            ),
            (
                r#"{"field":"attributes.n","op":"exists","value":1}"#,
                "value: must be true or false, or left out, received 1".into(),
            ),
            (
                r#"{"field":"attributes.","op":"exists"}"#,
                "field: an attribute's name has 1 to 64 bytes, this one has 0".into(),
            ),
            (
                r#"{"field":"platform","op":"eq","value":"a","values":["b"]}"#,
                format!(r#"unknown member "values"; a filter is {SHAPE}"#),
            ),
            (
                r#"{"all":[],"any":[]}"#,
                r#"any: nothing may stand beside "all"; put both into {"all": […]} or {"any": […]}"#.into(),
            ),
            (r#"{"all":[],"all":[]}"#, "all: given twice; give it once".into()),
            (
                r#"{"all":[{"field":"country","op":"eq","value":"BR","value":"MX"}]}"#,
                "all[0].value: given twice; give it once".into(),
            ),
        ] {
            assert_eq!(refusal(text), message, "{text}");
        }
    }

    #[test]
    fn depth_size_and_lengths_are_limited() {
        let condition = r#"{"field":"platform","op":"eq","value":"ios"}"#;
        let nested = |depth: usize| format!("{}{condition}{}", r#"{"not":"#.repeat(depth), "}".repeat(depth));
        assert!(nested(8).parse::<Filter>().is_ok());
        assert_eq!(
            refusal(&nested(9)),
            "not.not.not.not.not.not.not.not: groups may be 8 deep, not deeper"
        );
        assert!(refusal(&nested(5_000)).starts_with("the filter is not valid JSON: recursion limit"));
        let many = |count: usize| format!(r#"{{"any":[{}]}}"#, vec![condition; count].join(","));
        assert!(many(64).parse::<Filter>().is_ok());
        assert_eq!(refusal(&many(65)), "any[64]: a filter has at most 64 conditions");
        let long = |length: usize| {
            format!(
                r#"{{"field":"platform","op":"eq","value":"{}"}}"#,
                "x".repeat(length)
            )
        };
        assert!(long(256).parse::<Filter>().is_ok());
        assert_eq!(
            refusal(&long(257)),
            "value: must have at most 256 bytes, received 257"
        );
        assert!(refusal(&long(70_000)).starts_with("a filter has at most 65536 bytes"));
    }
}
