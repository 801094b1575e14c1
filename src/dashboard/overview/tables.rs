//! What stands in tables: hours of the week, apps, and every unit.

use maud::{Markup, html};

use super::asked::Metric;
use super::groups;
use super::page::{View, change, metric_name, value};
use crate::dashboard::dates;
use crate::series::Step;

/// Steps of colour for hours of the week.
const STEPS: f64 = 5.0;

/// When people come: average sessions an hour, by day of the week and hour.
pub(super) fn heat(view: View<'_>) -> Markup {
    let View {
        numbers,
        texts,
        locale,
        asked,
        ..
    } = view;
    let most = numbers.heat.peak().map_or(1.0, |(.., most)| most);
    let step = |average: f64| (average / most * STEPS).ceil().clamp(0.0, STEPS) as u8;
    html! {
        section.card {
            .card-head {
                h2 { (texts.when_people_come) }
                p.muted { (match asked.step { Step::Hour => texts.average_an_hour_of_28_days, _ => texts.average_an_hour }) }
            }
            table.heat {
                thead { tr {
                    th { span.unseen { (texts.weekday_word) } }
                    @for hour in 0..24 { th scope="col" { span.unseen[hour % 3 != 0] { (hour) } } }
                } }
                tbody {
                    @for (day, hours) in numbers.heat.week_from(asked.workspace.workspace.first_weekday) {
                        tr {
                            th scope="row" { (texts.weekday_short(day)) }
                            @for (hour, average) in hours.iter().enumerate() {
                                @match average {
                                    None => td.none { span.unseen { "–" } },
                                    Some(average) => {
                                        @let shown = locale.decimals(*average, if *average < 10.0 { 1 } else { 0 });
                                        td class={"h" (step(*average))}
                                            title={(texts.weekday_short(day)) " " (format!("{hour:02}:00")) ": " (shown)} {
                                            span.unseen { (shown) }
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
}

/// Every unit, the newest first: the chart in words.
pub(crate) fn units(view: View<'_>) -> Markup {
    let View {
        numbers,
        texts,
        locale,
        asked,
        ..
    } = view;
    let labels: Vec<_> = numbers.window.labels().collect();
    let written = dates::written(&labels, texts);
    let metric = asked.metric;
    let now = &numbers.values;
    let before = numbers.before.as_ref().map(|(window, values)| {
        let labels: Vec<_> = window.labels().collect();
        (dates::written(&labels, texts), values)
    });
    let splits = asked.split && metric == Metric::Sessions;
    let groups = if splits { numbers.groups.as_slice() } else { &[] };
    let shown = |value: Option<&f64>| value.map(|value| self::value(metric, *value, locale));
    html! {
        section.card #table {
            .card-head { h2 { (texts.unit_by_unit(asked.step)) } }
            .scrolls tabindex="0" role="region" aria-label=(texts.unit_by_unit(asked.step)) {
                table.units-table {
                    thead { tr {
                        th scope="col" { (texts.one(asked.step)) }
                        th.number scope="col" { (metric_name(metric, texts)) }
                        @for group in groups { th.number scope="col" { bdi { (groups::name(view, &group.key)) } } }
                        @if before.is_some() {
                            th.number scope="col" { (texts.before) }
                            th.before-date scope="col" { (texts.before_that_is) }
                            th.number scope="col" { (texts.change) }
                        }
                    } }
                    tbody {
                        @for (unit, label) in written.iter().enumerate().rev() {
                            tr data-unit=(unit) {
                                th scope="row" {
                                    time datetime=(label.machine) { (label.long) }
                                    @if unit >= numbers.finished { " " span.muted { (texts.not_over) } }
                                }
                                td.number { (shown(now.get(unit)).unwrap_or_default()) }
                                @for group in groups {
                                    td.number { (group.counts.get(unit).map(|count| locale.whole(*count)).unwrap_or_default()) }
                                }
                                @if let Some((labels, values)) = &before {
                                    td.number { (shown(values.get(unit)).unwrap_or_default()) }
                                    td.before-date.muted { (labels.get(unit).map(|label| label.long.as_str()).unwrap_or_default()) }
                                    td.number {
                                        @if unit < numbers.finished && let (Some(now), Some(then)) = (now.get(unit), values.get(unit)) {
                                            (change(*then, *now, view))
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
}
