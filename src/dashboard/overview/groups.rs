//! Sessions by app, platform, version, country and the like: how many, which share, how they changed. Each row is a link that
//! shows that group alone.

use maud::{Markup, html};

use super::asked::Asked;
use super::numbers::Group;
use super::page::{View, change};
use crate::count::{GroupKey, GroupValue};
use crate::dashboard::texts::Texts;
use crate::model::{Field, Filter};

/// What sessions can be grouped by, in the order of the tabs.
const TABS: [Field; 7] = [
    Field::AppId,
    Field::Platform,
    Field::AppVersion,
    Field::Country,
    Field::Language,
    Field::DeviceModel,
    Field::OsVersion,
];

/// The card.
pub(super) fn card(view: View<'_>) -> Markup {
    let View {
        numbers,
        texts,
        locale,
        asked,
        ..
    } = view;
    let field = asked.grouping();
    let all = numbers.figures.sessions;
    let most = numbers
        .groups
        .iter()
        .map(|group| group.total)
        .max()
        .unwrap_or(1)
        .max(1);
    let compares = numbers.before.is_some() && numbers.finished > 0;
    html! {
        section.card {
            .card-head.with-tabs {
                h2 { (texts.by) }
                nav.tabs aria-label=(texts.by) { (tabs(asked, &field, texts)) }
            }
            @if numbers.groups.is_empty() { p.muted { (texts.no_sessions) } }
            @else {
                table.shares {
                    thead { tr {
                        th scope="col" { (texts.field(&field)) }
                        th.number scope="col" { (texts.sessions) }
                        th.number scope="col" { (texts.share) }
                        @if compares { th.number scope="col" { (texts.change) } }
                    } }
                    tbody {
                        @for group in &numbers.groups {
                            tr {
                                th scope="row" {
                                    (named(view, &field, group))
                                    (bar(group.total as f64 / most as f64))
                                }
                                td.number { (locale.whole(group.total)) }
                                td.number { (locale.percent(group.total as f64 / all.max(1) as f64)) }
                                @if compares {
                                    td.number {
                                        @if let Some(fair) = group.fair { (change(fair.before as f64, fair.now as f64, view)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tabs(asked: &Asked, shown: &Field, texts: &Texts) -> Markup {
    let has_apps = asked.app.is_none() && asked.workspace.apps.len() > 1;
    let fields = TABS
        .iter()
        .filter(|field| has_apps || **field != Field::AppId || *field == shown);
    let other = (!TABS.contains(shown)).then_some(shown);
    html! {
        @for field in fields.chain(other) {
            @let link = asked.but(|asked| asked.group_by = Some(field.clone())).link("/");
            a href=(link) aria-current=[(field == shown).then_some("true")] { (texts.field(field)) }
        }
    }
}

/// The group's name, with a link to it alone where there can be one.
fn named(view: View<'_>, field: &Field, group: &Group) -> Markup {
    let name = name(view, &group.key);
    match alone(view.asked, field, &group.key) {
        Some(asked) => html! { a href=(asked.link("/")) { bdi { (name) } } },
        None => html! { bdi.muted { (name) } },
    }
}

/// What a group is called.
pub(super) fn name(view: View<'_>, key: &GroupKey) -> String {
    let View { asked, texts, .. } = view;
    match key {
        GroupKey::Everyone => texts.all_apps.to_owned(),
        GroupKey::Others => texts.others.to_owned(),
        GroupKey::App(app) => {
            let found = asked.workspace.app(*app);
            found.map_or_else(|| app.to_string(), |app| app.name.to_string())
        }
        GroupKey::Segment(segment) => {
            let found = asked.workspace.segment(*segment);
            found.map_or_else(|| segment.to_string(), |segment| segment.name.to_string())
        }
        GroupKey::Value(None) => texts.missing.to_owned(),
        GroupKey::Value(Some(value)) => written(value),
    }
}

/// A value as people read it, and as the API writes it.
pub(in crate::dashboard) fn written(value: &GroupValue) -> String {
    match value {
        GroupValue::Text(text) => text.to_string(),
        GroupValue::Bool(flag) => flag.to_string(),
        GroupValue::Integer(number) => number.to_string(),
        GroupValue::Fraction(number) => number.0.to_string(),
    }
}

/// The question about a group alone: what it is filtered by already, and this.
fn alone(asked: &Asked, field: &Field, key: &GroupKey) -> Option<Asked> {
    let condition = match key {
        GroupKey::App(app) => {
            return Some(asked.but(|asked| {
                asked.app = Some(*app);
                asked.group_by = None;
            }));
        }
        GroupKey::Value(None) => {
            serde_json::json!({"field": field.to_string(), "op": "exists", "value": false})
        }
        GroupKey::Value(Some(value)) => {
            let value = match value {
                GroupValue::Text(text) => serde_json::Value::from(text.as_ref()),
                GroupValue::Bool(flag) => (*flag).into(),
                GroupValue::Integer(number) => i64::try_from(*number).ok()?.into(),
                GroupValue::Fraction(number) => number.0.into(),
            };
            serde_json::json!({"field": field.to_string(), "op": "eq", "value": value})
        }
        GroupKey::Everyone | GroupKey::Others | GroupKey::Segment(_) => return None,
    };
    let filter = with(asked.filter.as_ref(), condition)?;
    Some(asked.but(|asked| {
        asked.filter = Some(filter);
        asked.group_by = None;
    }))
}

/// A filter that asks for one condition more; `None` where it would be too long.
fn with(filter: Option<&Filter>, condition: serde_json::Value) -> Option<Filter> {
    let conditions = match filter {
        None => return condition.to_string().parse().ok(),
        Some(filter) => match serde_json::from_str(&filter.to_json()).ok()? {
            serde_json::Value::Object(mut object) => match object.remove("all") {
                Some(serde_json::Value::Array(mut all)) => {
                    if !all.contains(&condition) {
                        all.push(condition);
                    }
                    all
                }
                Some(other) => vec![other, condition],
                None => vec![serde_json::Value::Object(object), condition],
            },
            other => vec![other, condition],
        },
    };
    serde_json::json!({ "all": conditions }).to_string().parse().ok()
}

/// A bar as long as a share of its room.
fn bar(share: f64) -> Markup {
    let width = format!("{:.1}", (share * 100.0).clamp(0.0, 100.0));
    html! {
        svg.bar viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(width) height="2" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_adds_a_condition_once() {
        let brazil = serde_json::json!({"field": "country", "op": "eq", "value": "BR"});
        let first = with(None, brazil.clone()).unwrap();
        assert_eq!(first.to_json(), brazil.to_string());
        let web = serde_json::json!({"field": "platform", "op": "eq", "value": "</script>"});
        let both = with(Some(&first), web.clone()).unwrap();
        assert_eq!(
            both.to_json(),
            serde_json::json!({"all": [brazil, web]}).to_string()
        );
        assert_eq!(with(Some(&both), web.clone()).unwrap(), both);
        let any: Filter = r#"{"any":[{"field":"country","op":"eq","value":"BR"}]}"#.parse().unwrap();
        assert!(
            with(Some(&any), web)
                .unwrap()
                .to_json()
                .starts_with(r#"{"all":[{"any":"#)
        );
    }
}
