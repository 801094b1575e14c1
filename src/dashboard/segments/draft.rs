//! A filter that is being put together: groups and conditions as a form has them, however incomplete; from a filter and to one.
//!
//! Every part has a path, which its fields are named after: `f` is the outermost group, `f.2` its third part.

use serde_json::{Value, json};

use super::values;
use crate::api::Query;
use crate::dashboard::visit::typed;
use crate::model::{Filter, MAX_FILTER_CONDITIONS};

/// The outermost group.
pub(super) const ROOT: &str = "f";
/// Parts that a form may have: more than a filter may.
const MAX_PARTS: usize = 2 * MAX_FILTER_CONDITIONS;

/// How the parts of a group belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::dashboard) enum Kind {
    #[default]
    All,
    Any,
    NotAll,
    NotAny,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::All, Self::Any, Self::NotAll, Self::NotAny];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::NotAll => "not_all",
            Self::NotAny => "not_any",
        }
    }

    fn read(text: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.unwrap_or_default()
    }
}

/// A condition as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) field: String,
    pub(super) op: String,
    pub(super) value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Condition(Condition),
    Group(Group),
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft(pub(super) Group);

/// What is wrong, and about which part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) message: String,
}

impl Default for Draft {
    /// One empty condition.
    fn default() -> Self {
        Self(Group {
            kind: Kind::All,
            parts: vec![Part::Condition(Condition::default())],
        })
    }
}

impl Draft {
    /// What was typed into the form.
    pub(super) fn of_form(form: &Query<'_>) -> Self {
        let mut left = MAX_PARTS;
        Self(group_of_form(form, ROOT, &mut left))
    }

    /// A filter to be changed.
    pub(super) fn of_filter(filter: &Filter) -> Self {
        let written = serde_json::from_str(&filter.to_json()).unwrap_or(Value::Null);
        match part_of(&written) {
            Part::Group(group) => Self(group),
            condition => Self(Group {
                kind: Kind::All,
                parts: vec![condition],
            }),
        }
    }

    /// Adds an empty condition to a group.
    pub(super) fn add_condition(&mut self, path: &str) {
        if let Some(group) = self.group(path) {
            group.parts.push(Part::Condition(Condition::default()));
        }
    }

    /// Adds a group with an empty condition to a group.
    pub(super) fn add_group(&mut self, path: &str) {
        if let Some(group) = self.group(path) {
            group.parts.push(Part::Group(Group {
                kind: Kind::Any,
                parts: vec![Part::Condition(Condition::default())],
            }));
        }
    }

    /// Removes a part with all that is in it.
    pub(super) fn remove(&mut self, path: &str) {
        let Some((parent, place)) = path.rsplit_once('.') else {
            return;
        };
        let Ok(place) = place.parse::<usize>() else { return };
        if let Some(group) = self.group(parent)
            && place < group.parts.len()
        {
            group.parts.remove(place);
        }
    }

    fn group(&mut self, path: &str) -> Option<&mut Group> {
        let mut places = path.split('.');
        if places.next() != Some(ROOT) {
            return None;
        }
        let mut group = &mut self.0;
        for place in places {
            group = match group.parts.get_mut(place.parse::<usize>().ok()?)? {
                Part::Group(inner) => inner,
                Part::Condition(_) => return None,
            };
        }
        Some(group)
    }

    /// The filter that it describes.
    ///
    /// # Errors
    /// What is wrong about each condition, in the API's words; where they are all right, what is wrong about the whole.
    pub(super) fn filter(&self) -> Result<Filter, Vec<Wrong>> {
        let mut wrong = Vec::new();
        check(&self.0, ROOT, &mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let whole = match self.0.parts.as_slice() {
            [only] if self.0.kind == Kind::All => json_of(only),
            _ => json_of_group(&self.0),
        };
        whole.to_string().parse().map_err(|error| {
            vec![Wrong {
                path: ROOT.to_owned(),
                message: format!("{error}"),
            }]
        })
    }

    /// Every condition.
    pub(super) fn conditions(&self) -> Vec<&Condition> {
        fn gather<'a>(group: &'a Group, into: &mut Vec<&'a Condition>) {
            for part in &group.parts {
                match part {
                    Part::Condition(condition) => into.push(condition),
                    Part::Group(inner) => gather(inner, into),
                }
            }
        }
        let mut all = Vec::new();
        gather(&self.0, &mut all);
        all
    }
}

fn group_of_form(form: &Query<'_>, path: &str, left: &mut usize) -> Group {
    let mut parts = Vec::new();
    for place in 0.. {
        let path = format!("{path}.{place}");
        let has = |name: &str| form.all(name).next().is_some();
        if *left == 0 {
            break;
        }
        *left -= 1;
        if has(&format!("{path}.field")) {
            parts.push(Part::Condition(Condition {
                field: typed(form, &format!("{path}.field")).trim().to_owned(),
                op: typed(form, &format!("{path}.op")),
                value: typed(form, &format!("{path}.value")),
            }));
        } else if has(&path) {
            parts.push(Part::Group(group_of_form(form, &path, left)));
        } else {
            break;
        }
    }
    Group {
        kind: Kind::read(&typed(form, path)),
        parts,
    }
}

/// Of a valid filter.
fn part_of(written: &Value) -> Part {
    let parts = |name: &str| {
        let parts = written.get(name)?.as_array()?;
        Some(parts.iter().map(part_of).collect())
    };
    let text = |name: &str| {
        let text = written.get(name).and_then(Value::as_str);
        text.map(str::to_owned).unwrap_or_default()
    };
    if let Some(parts) = parts("all") {
        return Part::Group(Group {
            kind: Kind::All,
            parts,
        });
    }
    if let Some(parts) = parts("any") {
        return Part::Group(Group {
            kind: Kind::Any,
            parts,
        });
    }
    if let Some(inner) = written.get("not") {
        let (kind, parts) = match part_of(inner) {
            Part::Group(Group {
                kind: Kind::All,
                parts,
            }) => (Kind::NotAll, parts),
            Part::Group(Group {
                kind: Kind::Any,
                parts,
            }) => (Kind::NotAny, parts),
            other => (Kind::NotAll, vec![other]),
        };
        return Part::Group(Group { kind, parts });
    }
    let field = text("field");
    let value = written.get("value").map(|value| values::shown(&field, value));
    Part::Condition(Condition {
        op: text("op"),
        value: value.unwrap_or_default(),
        field,
    })
}

fn json_of(part: &Part) -> Value {
    match part {
        Part::Condition(condition) => json_of_condition(condition),
        Part::Group(group) => json_of_group(group),
    }
}

fn json_of_group(group: &Group) -> Value {
    let parts: Vec<Value> = group.parts.iter().map(json_of).collect();
    match (group.kind, parts.as_slice()) {
        (Kind::All, _) => json!({ "all": parts }),
        (Kind::Any, _) => json!({ "any": parts }),
        (Kind::NotAll | Kind::NotAny, [only]) => json!({ "not": only }),
        (Kind::NotAll, _) => json!({ "not": { "all": parts } }),
        (Kind::NotAny, _) => json!({ "not": { "any": parts } }),
    }
}

fn json_of_condition(condition: &Condition) -> Value {
    let Condition { field, op, value } = condition;
    json!({ "field": field, "op": op, "value": values::read(field, op, value) })
}

/// A condition by itself is a filter, so what is wrong about it is known without the others.
fn check(group: &Group, path: &str, wrong: &mut Vec<Wrong>) {
    for (place, part) in group.parts.iter().enumerate() {
        let path = format!("{path}.{place}");
        match part {
            Part::Group(inner) => check(inner, &path, wrong),
            Part::Condition(condition) => {
                let read = json_of_condition(condition).to_string().parse::<Filter>();
                wrong.extend(read.err().map(|error| Wrong {
                    path,
                    message: error.to_string(),
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of the form that a page has for it.
    fn form_of(group: &Group, path: &str, into: &mut Vec<(String, String)>) {
        into.push((path.to_owned(), group.kind.as_str().to_owned()));
        for (place, part) in group.parts.iter().enumerate() {
            let path = format!("{path}.{place}");
            match part {
                Part::Group(inner) => form_of(inner, &path, into),
                Part::Condition(Condition { field, op, value }) => {
                    for (name, text) in [("field", field), ("op", op), ("value", value)] {
                        into.push((format!("{path}.{name}"), text.clone()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_filter_goes_through_a_form_and_is_the_same() {
        for written in [
            r#"{"field":"country","op":"in","value":["BR","MX"]}"#,
            r#"{"field":"device_model","op":"in","value":["a, b","\"c\"",""," d"]}"#,
            r#"{"field":"app_version","op":"gte","value":"4.10"}"#,
            r#"{"field":"attributes.n","op":"lt","value":5}"#,
            r#"{"field":"attributes.n","op":"in","value":["5",5,true,"true",1.5]}"#,
            r#"{"field":"attributes.a.b","op":"eq","value":"x"}"#,
            r#"{"field":"first_session","op":"eq","value":true}"#,
            r#"{"field":"language","op":"exists","value":false}"#,
            r#"{"not":{"field":"language","op":"exists","value":true}}"#,
            r#"{"not":{"not":{"field":"language","op":"eq","value":"pt"}}}"#,
            r#"{"all":[{"field":"platform","op":"eq","value":"ios"},{"any":[{"field":"country","op":"eq","value":"BR"},{"not":{"any":[{"field":"country","op":"eq","value":"MX"},{"field":"country","op":"eq","value":"AR"}]}}]}]}"#,
            r#"{"any":[]}"#,
            r#"{"not":{"all":[]}}"#,
        ] {
            let filter: Filter = written.parse().unwrap();
            let draft = Draft::of_filter(&filter);
            assert_eq!(draft.filter().as_ref(), Ok(&filter), "{written}");
            let mut pairs = Vec::new();
            form_of(&draft.0, ROOT, &mut pairs);
            let body = pairs.iter().map(|(name, text)| {
                let text = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
                format!("{name}={text}")
            });
            let body = body.collect::<Vec<_>>().join("&");
            let sent = Draft::of_form(&Query::new(Some(&body)));
            assert_eq!(sent, draft, "{written}");
        }
    }

    #[test]
    fn parts_are_added_and_removed_where_they_are_named() {
        let mut draft = Draft::default();
        draft.add_group(ROOT);
        draft.add_condition("f.1");
        draft.add_condition(ROOT);
        let shape = |draft: &Draft| {
            let mut pairs = Vec::new();
            form_of(&draft.0, ROOT, &mut pairs);
            let names = pairs.into_iter().map(|(name, _)| name);
            names
                .filter(|name| !name.ends_with("op") && !name.ends_with("value"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shape(&draft),
            ["f", "f.0.field", "f.1", "f.1.0.field", "f.1.1.field", "f.2.field"]
        );
        draft.remove("f.1.0");
        draft.remove("f.0");
        assert_eq!(shape(&draft), ["f", "f.0", "f.0.0.field", "f.1.field"]);
        for nowhere in ["", "f", "g.0", "f.9", "f.1.0", "f.x", "f.0.0.0"] {
            draft.remove(nowhere);
            draft.add_condition(&format!("{nowhere}.7"));
        }
        assert_eq!(shape(&draft), ["f", "f.0", "f.0.0.field", "f.1.field"]);
    }

    #[test]
    fn each_wrong_condition_is_named() {
        let mut draft = Draft::default();
        draft.add_group(ROOT);
        let wrong = draft.filter().unwrap_err();
        let paths: Vec<&str> = wrong.iter().map(|wrong| wrong.path.as_str()).collect();
        assert_eq!(paths, ["f.0", "f.1.0"]);
        // A form may be longer than any filter.
        for _ in 0..100 {
            draft.add_condition(ROOT);
        }
        let mut pairs = Vec::new();
        form_of(&draft.0, ROOT, &mut pairs);
        let body: Vec<String> = pairs.iter().map(|(name, _)| format!("{name}=x")).collect();
        let sent = Draft::of_form(&Query::new(Some(&body.join("&"))));
        assert!(sent.conditions().len() <= MAX_PARTS);
    }
}
