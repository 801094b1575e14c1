//! The card with the chart, and the chart itself, which is a file as well.

use maud::{Markup, html};

use super::asked::Metric;
use super::controls::{self, name_of};
use super::groups;
use super::page::{View, metric_name, value};
use crate::dashboard::chart::{Chart, DASHES, Frame, Line, MAX_LINES, draw_in_page};
use crate::dashboard::{dates, forms};

/// The chart with everything that belongs to it.
pub(super) fn card(view: View<'_>) -> Markup {
    let View {
        asked, texts, locale, ..
    } = view;
    let chart = chart(view);
    let frame = Frame {
        chart: &chart,
        locale,
    };
    let can_split = asked.metric == Metric::Sessions && view.numbers.groups.len() > 1;
    html! {
        section.card.chart-card {
            .card-head {
                h2 { (texts.per_unit(asked.step)) }
                (controls::units(asked, texts))
                nav.steps aria-label=(texts.other_periods) { (steps(view)) }
            }
            .chart tabindex="0" role="group" aria-label={(chart.title) ". " (texts.keys_read)} {
                (draw_in_page(frame))
                p.tip hidden {}
            }
            p.unseen role="status" data-said {}
            .card-foot {
                (legend(&chart))
                @if can_split {
                    @let split = asked.but(|asked| asked.split = !asked.split);
                    a.quiet href=(split.link("/")) { (if asked.split { texts.one_line } else { texts.a_line_a_group }) }
                }
            }
            (exits(view))
        }
    }
}

/// What the chart shows.
pub(crate) fn chart(view: View<'_>) -> Chart {
    let View {
        asked,
        numbers,
        texts,
        locale,
        ..
    } = view;
    let labels: Vec<_> = numbers.window.labels().collect();
    let written = dates::written(&labels, texts);
    let values = numbers.values.clone();
    let whole = match asked.chosen_app() {
        Some(app) => app.name.to_string(),
        None => texts.all_apps.to_owned(),
    };
    let ghost = numbers.before.as_ref().map(|(_, values)| Line {
        name: format!("{whole}, {}", name_of(asked, texts)),
        values: values.clone(),
    });
    let mut lines = vec![Line {
        name: whole,
        values: values.clone(),
    }];
    if asked.split && asked.metric == Metric::Sessions {
        lines.extend(numbers.groups.iter().take(MAX_LINES - 1).map(|group| Line {
            name: groups::name(view, &group.key),
            values: group.counts.iter().map(|count| *count as f64).collect(),
        }));
    }
    let most =
        values
            .iter()
            .zip(&written)
            .fold(None, |most: Option<(f64, &str)>, (value, label)| match most {
                Some(most) if most.0 >= *value => Some(most),
                _ => Some((*value, &label.long)),
            });
    let title = format!(
        "{} · {}",
        metric_name(asked.metric, texts),
        asked.workspace.workspace.name
    );
    let description = most.map_or(String::new(), |(most, label)| {
        (texts.most_were)(&value(asked.metric, most, locale), label)
    });
    Chart {
        title,
        description,
        lines,
        ghost,
        labels: written.into_iter().map(|label| label.axis).collect(),
        finished: numbers.finished,
    }
}

/// Names beside lines as they are drawn.
pub(crate) fn legend(chart: &Chart) -> Markup {
    let sample = |class: String| {
        html! {
            svg.sample viewBox="0 0 26 8" aria-hidden="true" { path class=(class) d="M0 4h26" {} }
        }
    };
    html! {
        ul.legend {
            @for (nth, line) in chart.lines.iter().enumerate().take(DASHES.len()) {
                li { (sample(format!("line l{nth}"))) bdi { (line.name) } }
            }
            @if let Some(ghost) = &chart.ghost {
                li { (sample("line ghost".to_owned())) bdi { (ghost.name) } }
            }
        }
    }
}

/// Earlier, later, and without what is not over.
fn steps(view: View<'_>) -> Markup {
    let View {
        asked,
        numbers,
        texts,
        ..
    } = view;
    let labels: Vec<String> = numbers.window.labels().map(|label| label.to_string()).collect();
    let length = asked.length.get();
    let earlier = asked.units().just_before(&numbers.window);
    let earlier = earlier.and_then(|window| window.labels().last().map(|label| label.to_string()));
    let is_running = numbers.finished < labels.len();
    let last_over = numbers
        .finished
        .checked_sub(1)
        .and_then(|last| labels.get(last))
        .cloned();
    let later = later(view);
    html! {
        @if let Some(end) = earlier {
            a rel="prev" href=(asked.ending(Some(end)).link("/")) { "← " ((texts.earlier)(length, asked.step)) }
        }
        @match later {
            Some(end) => a rel="next" href=(asked.ending(end).link("/")) { ((texts.later)(length, asked.step)) " →" },
            None => span.disabled { ((texts.later)(length, asked.step)) " →" },
        }
        @if is_running && let Some(last) = last_over {
            a href=(asked.ending(Some(last)).link("/")) {
                (texts.without_running(asked.step))
            }
        }
    }
}

/// Where a later period ends: `Some(None)` is now. `None` where this one ends now.
fn later(view: View<'_>) -> Option<Option<String>> {
    let View { asked, numbers, .. } = view;
    if numbers.finished < numbers.values.len() {
        return None;
    }
    let after = asked.units().just_after(&numbers.window)?;
    match after.edges() {
        [.., last, end] if *last > view.now || *end > view.now => Some(None),
        _ => Some(after.labels().last().map(|label| label.to_string())),
    }
}

/// The ways in which the numbers leave the page.
fn exits(view: View<'_>) -> Markup {
    let View {
        asked,
        texts,
        address,
        ..
    } = view;
    let svg = asked.link("/ui/chart.svg");
    let labels = || view.numbers.window.labels().map(|label| label.to_string());
    let ends = labels().next().zip(labels().last()).unwrap_or_default();
    let command = format!(
        "curl -H \"Authorization: Bearer $KEY\" \\\n  '{address}/{}'",
        asked.for_a_program(&ends)
    );
    html! {
        .exits {
            a href="#table" { (texts.table) }
            a href=(asked.link("/ui/series.csv")) download { "CSV" }
            a href=(svg) download { "SVG" }
            button.link data-png=(svg) hidden { "PNG" }
            @if view.may_change { a href=(asked.link("/ui/shares")) { (texts.share_word) } }
            details {
                summary { "curl" }
                (forms::command(&command, texts))
                p { (texts.where_a_key_comes_from) }
            }
        }
    }
}
