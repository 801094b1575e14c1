//! The form of a segment as a page.

use std::time::Duration;

use maud::{Markup, html};

use super::builder::Typed;
use super::draft::{Condition, Group, Kind, Part, ROOT};
use super::preview::Said;
use super::{EDIT, NEW, PATH, PREVIEW, SEGMENT};
use crate::count::{Apps, GroupBy, GroupKey, Question};
use crate::dashboard::forms::{Field, Problem, status, summary};
use crate::dashboard::overview::written;
use crate::dashboard::texts::Texts;
use crate::dashboard::visit::{Answered, Visit};
use crate::model::{self, Filter, Segment};

/// Values that are suggested for a field: the most frequent of the last 28 days.
const SUGGESTED: u32 = 20;
/// Fields whose values are suggested.
const FIELDS: usize = 8;
/// How long the page waits for the values of a field.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the rows of a form share.
struct Rows<'a> {
    texts: &'a Texts,
    problems: &'a [Problem],
}

/// The form as it is, with what it holds for.
pub(super) async fn show(
    visit: &Visit<'_>,
    segment: Option<&Segment>,
    typed: &Typed,
    problems: &[Problem],
) -> Answered {
    let asking = &visit.ready.asking;
    let texts = asking.texts;
    let Some(_turn) = visit.dashboard.turn().await else {
        return Ok(asking.busy());
    };
    let said = Said::about(visit, &typed.draft).await?;
    let (title, address) = match segment {
        None => (texts.segments.new_segment, visit.link(NEW)),
        Some(segment) => (
            texts.segments.edit_segment,
            visit.link_about(EDIT, SEGMENT, segment.id),
        ),
    };
    let field = |name, label, hint| Field {
        name,
        label,
        hint,
        problems,
    };
    let rows = Rows { texts, problems };
    let form = visit.form(
        &address,
        html! {
            // The first button is the one that the Enter key presses.
            button.unseen name="do" value="count" tabindex="-1" { (texts.segments.count) }
            (field("name", texts.name, "").text(&typed.name, &[]))
            (rows.group(&typed.draft.0, ROOT))
            (suggestions(visit, typed).await)
            (field("description", texts.segments.description, texts.segments.description_hint).text(&typed.description, &[]))
            (tracking(typed, &field("track", "", ""), texts))
            .buttons {
                button.primary name="do" value="save" { (texts.segments.save) }
                button name="do" value="count" formaction={(address) "#preview"} { (texts.segments.count) }
                a href=(visit.link(PATH)) { (texts.apps.cancel) }
            }
            (as_json(typed, &field("json", texts.segments.as_json, texts.segments.json_hint), texts))
        },
    )?;
    let content = html! {
        .heading { h1 { (title) @if let Some(segment) = segment { ": " bdi { (segment.name) } } } }
        (summary(problems, texts))
        .builder data-preview=(visit.link(PREVIEW)) data-counting=(texts.segments.counting) {
            section.card { (form) }
            (said.card(visit))
        }
    };
    Ok(visit.page(status(problems), (title, &address), content))
}

impl Rows<'_> {
    fn group(&self, group: &Group, path: &str) -> Markup {
        let texts = &self.texts.segments;
        let problems = || self.problems.iter().filter(|problem| problem.field == path);
        html! {
            fieldset.group {
                legend {
                    label for=(path) { (texts.matches) } " "
                    select id=(path) name=(path) {
                        @for kind in Kind::ALL {
                            option value=(kind.as_str()) selected[kind == group.kind] { ((texts.kind)(kind)) }
                        }
                    }
                }
                @for problem in problems() { p.error { (problem.message()) } }
                @if path == ROOT { p.hint { (texts.values_hint) } }
                ol {
                    @for (place, part) in group.parts.iter().enumerate() {
                        @let path = format!("{path}.{place}");
                        li {
                            @match part {
                                Part::Condition(condition) => (self.condition(condition, &path, place + 1)),
                                Part::Group(inner) => (self.group(inner, &path)),
                            }
                        }
                    }
                }
                .buttons {
                    button name="do" value={"add:" (path)} { (texts.add_condition) }
                    button name="do" value={"group:" (path)} { (texts.add_group) }
                    @if path != ROOT { button.link name="do" value={"remove:" (path)} { (texts.remove_group) } }
                }
            }
        }
    }

    fn condition(&self, condition: &Condition, path: &str, number: usize) -> Markup {
        let texts = &self.texts.segments;
        let which = (texts.condition)(&number.to_string());
        let name = |field: &str| format!("{path}.{field}");
        let problem = self
            .problems
            .iter()
            .find(|problem| problem.field == name("field").as_str());
        let described = problem.map(|_| name("error"));
        let operators = Filter::operators().map(|operator| (operator, (texts.operator_name)(operator)));
        html! {
            .condition role="group" aria-label=(which) {
                input type="text" id=(name("field")) name=(name("field")) value=(condition.field) list="known-fields"
                    aria-label=(texts.field) placeholder=(texts.field) autocomplete="off" spellcheck="false"
                    aria-invalid=[problem.map(|_| "true")] aria-describedby=[described.as_deref()];
                select name=(name("op")) aria-label=(texts.operator) {
                    @for (operator, words) in operators {
                        option value=(operator) selected[operator == condition.op] { (words) }
                    }
                }
                input type="text" name=(name("value")) value=(condition.value) list={"values-of-" (condition.field)}
                    aria-label=(texts.value) placeholder=(texts.value) autocomplete="off" spellcheck="false";
                button.link name="do" value={"remove:" (path)} aria-label={(texts.remove) ": " (which)} { (texts.remove) }
            }
            @if let Some(problem) = problem { p.error id=(name("error")) { (problem.message()) } }
        }
    }
}

fn tracking(typed: &Typed, field: &Field<'_>, texts: &Texts) -> Markup {
    html! {
        .field {
            label.tick {
                input type="checkbox" id=(field.name) name=(field.name) value="1" checked[typed.is_tracked]
                    aria-describedby=[field.described_by()];
                span { (texts.segments.track_it) }
            }
            (field.errors())
        }
    }
}

/// The same filter as the API writes it.
fn as_json(typed: &Typed, field: &Field<'_>, texts: &Texts) -> Markup {
    let written = match &typed.json {
        Some(json) => json.clone(),
        None => typed
            .draft
            .filter()
            .map(|filter| filter.to_json())
            .unwrap_or_default(),
    };
    html! {
        details.more open[field.is_wrong()] {
            summary { (texts.segments.as_json) }
            (field.lines(&written))
            .buttons { button name="do" value="json" { (texts.segments.take_over) } }
        }
    }
}

/// Fields that there are, and values of those that the form names.
async fn suggestions(visit: &Visit<'_>, typed: &Typed) -> Markup {
    let mut known: Vec<model::Field> = model::Field::OWN.to_vec();
    for segment in &visit.ready.workspace.segments {
        known.extend(segment.filter.fields());
    }
    let mut named: Vec<model::Field> = Vec::new();
    for condition in typed.draft.conditions() {
        named.extend(condition.field.parse::<model::Field>());
    }
    known.extend(named.iter().cloned());
    let mut names: Vec<String> = known.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    named.sort_unstable_by_key(ToString::to_string);
    named.dedup();
    let mut lists = Vec::with_capacity(named.len());
    for field in named.into_iter().take(FIELDS) {
        lists.push((field.to_string(), values_of(visit, field).await));
    }
    html! {
        datalist id="known-fields" { @for name in names { option value=(name) {} } }
        @for (field, values) in lists {
            datalist id={"values-of-" (field)} {
                @for (value, label) in values { option value=(value) label=[label] {} }
            }
        }
    }
}

/// The most frequent values of a field, with what they are called; none where they can't be had at once.
async fn values_of(visit: &Visit<'_>, field: model::Field) -> Vec<(String, Option<String>)> {
    let workspace = &visit.ready.workspace;
    if field == model::Field::AppId {
        let named = |app: &model::App| (app.id.to_string(), Some(app.name.to_string()));
        return workspace.apps.iter().map(named).collect();
    }
    let question = Question {
        apps: Apps::All,
        group_by: Some(GroupBy::Field(field)),
        limit: SUGGESTED,
        ..Question::default()
    };
    let (store, now) = (visit.dashboard.shared_store(), visit.dashboard.now());
    let answer = visit.dashboard.counter().answer(store, workspace, &question, now);
    let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, answer).await else {
        return Vec::new();
    };
    let value = |group: &crate::count::Group| match &group.key {
        GroupKey::Value(Some(value)) => Some((written(value), None)),
        _ => None,
    };
    answer.groups.iter().filter_map(value).collect()
}
