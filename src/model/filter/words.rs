//! A filter in words, for people who read `GET /segments/details` or `segment show`.

use std::fmt::{self, Write as _};

use super::json::Quoted;
use super::{Condition, Node, Operator, Value};

pub(super) fn write(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match node {
        Node::All(nodes) => group(nodes, " and ", "everyone", f),
        Node::Any(nodes) => group(nodes, " or ", "nobody", f),
        Node::Not(inner) => {
            f.write_str("not (")?;
            write(inner, f)?;
            f.write_char(')')
        }
        Node::Condition(condition) => self::condition(condition, f),
    }
}

fn group(nodes: &[Node], between: &str, empty: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if nodes.is_empty() {
        return f.write_str(empty);
    }
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        let groups = matches!(node, Node::All(inner) | Node::Any(inner) if inner.len() > 1);
        if groups && nodes.len() > 1 {
            f.write_char('(')?;
            write(node, f)?;
            f.write_char(')')?;
        } else {
            write(node, f)?;
        }
    }
    Ok(())
}

fn condition(condition: &Condition, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Condition { field, op, values } = condition;
    if *op == Operator::Exists {
        let present = values.first() != Some(&Value::Bool(false));
        return write!(f, "{field} is {}", if present { "present" } else { "missing" });
    }
    write!(f, "{field} {} ", verb(*op))?;
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        match value {
            Value::Text(text) => write!(f, "{}", Quoted(text))?,
            Value::Number(number) => write!(f, "{number}")?,
            Value::Bool(flag) => write!(f, "{flag}")?,
        }
    }
    Ok(())
}

fn verb(op: Operator) -> &'static str {
    match op {
        Operator::Eq => "is",
        Operator::Ne => "is not",
        Operator::In => "is one of",
        Operator::NotIn => "is none of",
        Operator::Exists => "is present",
        Operator::Lt => "is below",
        Operator::Lte => "is at most",
        Operator::Gt => "is above",
        Operator::Gte => "is at least",
        Operator::Prefix => "starts with",
        Operator::Contains => "contains",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;

    #[test]
    fn filters_read_like_sentences() {
        for (filter, words) in [
            (
                r#"{"field":"country","op":"in","value":["BR","MX"]}"#,
                r#"country is one of "BR", "MX""#,
            ),
            (
                r#"{"all":[{"field":"platform","op":"eq","value":"ios"},{"any":[{"field":"app_version","op":"gte","value":"4.10"},{"field":"attributes.plan","op":"ne","value":"free"}]},{"not":{"field":"first_session","op":"eq","value":true}}]}"#,
                r#"platform is "ios" and (app_version is at least "4.10" or attributes.plan is not "free") and not (first_session is true)"#,
            ),
            (
                r#"{"any":[{"all":[{"field":"language","op":"prefix","value":"pt"}]},{"field":"attributes.n","op":"lt","value":5}]}"#,
                r#"language starts with "pt" or attributes.n is below 5"#,
            ),
            (
                r#"{"field":"device_model","op":"exists"}"#,
                "device_model is present",
            ),
            (
                r#"{"field":"device_model","op":"exists","value":false}"#,
                "device_model is missing",
            ),
            (r#"{"all":[]}"#, "everyone"),
            (r#"{"not":{"any":[]}}"#, "not (nobody)"),
        ] {
            assert_eq!(filter.parse::<Filter>().unwrap().to_string(), words);
        }
    }
}
