//! The overview as HTML: its parts in the order in which they are read.

use maud::{Markup, html};

use super::asked::{Asked, Metric};
use super::charts;
use super::controls;
use super::figures;
use super::groups;
use super::numbers::Numbers;
use super::tables;
use crate::dashboard::dates;
use crate::dashboard::locale::Locale;
use crate::dashboard::start::PATH as START;
use crate::dashboard::texts::Texts;
use crate::series::Step;

/// What all parts of the page know.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) numbers: &'a Numbers,
    /// Whether its reader may make links of it.
    pub(crate) may_change: bool,
    pub(crate) texts: &'a Texts,
    pub(crate) locale: Locale,
    /// `https://sessions.example.com`, as a shell may take it.
    pub(crate) address: &'a str,
    /// Unix seconds.
    pub(crate) now: i64,
    /// Sessions of late, in words.
    pub(crate) live: &'a str,
}

/// Everything below the page's head.
pub(crate) fn page(view: View<'_>) -> Markup {
    let View { asked, numbers, .. } = view;
    html! {
        (heading(view))
        (controls::form(asked, view.texts))
        (controls::chips(asked, view.texts))
        @if numbers.figures.sessions == 0 { (nothing(view)) }
        (figures::tiles(view))
        (charts::card(view))
        .columns {
            (tables::heat(view))
            (groups::card(view))
        }
        (tables::units(view))
    }
}

/// From when to when, and in whose time zone.
pub(crate) fn period(view: View<'_>) -> String {
    let View {
        asked,
        numbers,
        texts,
        ..
    } = view;
    let zone = &asked.workspace.zone;
    // The last day is the one before the next unit begins.
    let last = numbers.window.edges().last().map(|end| zone.date_at(end - 1));
    let span = match (numbers.window.labels().next(), last) {
        (Some(first), Some(last)) => dates::span(first, last, texts),
        _ => String::new(),
    };
    let units = match asked.step {
        Step::Hour => (texts.hours_of)(zone.name()),
        _ => (texts.days_of)(zone.name()),
    };
    format!("{span} · {units}")
}

/// What is looked at, in a few words.
pub(crate) fn said(asked: &Asked, texts: &Texts) -> String {
    let app = asked.chosen_app().map(|app| app.name.to_string());
    let segment = asked.chosen_segment().map(|segment| segment.name.to_string());
    let units = format!("{} {}", asked.length.get(), texts.many(asked.step).to_lowercase());
    let whole = app.unwrap_or_else(|| texts.all_apps.to_owned());
    let filter = asked.filter.as_ref().map(ToString::to_string);
    let parts = [Some(whole), segment, filter, Some(units)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn heading(view: View<'_>) -> Markup {
    let View { asked, texts, .. } = view;
    let live = asked.link("/ui/live");
    html! {
        .heading {
            h1 { (metric_name(asked.metric, texts)) }
            p.range { (period(view)) }
            p.live data-live=(live) { span.pulse aria-hidden="true" {} span.now { (view.live) } }
        }
    }
}

/// Said where a period has no session, with a way to one that has.
fn nothing(view: View<'_>) -> Markup {
    let View {
        asked,
        numbers,
        texts,
        ..
    } = view;
    let first = numbers
        .first
        .and_then(|second| jiff::Timestamp::from_second(second).ok());
    let first = first.map(|instant| jiff::tz::TimeZone::UTC.to_datetime(instant).date());
    html! {
        .notice role="note" {
            @match first {
                Some(date) => p {
                    (texts.none_in_this_period) " "
                    a href=(asked.ending(Some(date.to_string())).link("/")) {
                        ((texts.first_session_on)(&dates::long_date(date, texts)))
                    }
                },
                None => {
                    p { (texts.no_session_yet) }
                    p { a href=(asked.link(START)) { (texts.how_to_record) } }
                }
            }
        }
    }
}

/// What the page is about.
pub(crate) fn metric_name(metric: Metric, texts: &Texts) -> &'static str {
    match metric {
        Metric::Sessions => texts.sessions,
        Metric::Users => texts.users,
        Metric::MonthlyUsers => texts.monthly_users,
        Metric::NewUsers => texts.new_users,
        Metric::PerUser => texts.per_user,
        Metric::Stickiness => texts.stickiness,
    }
}

/// A value of a metric as a reader sees it.
pub(crate) fn value(metric: Metric, value: f64, locale: Locale) -> String {
    match metric {
        Metric::PerUser => locale.decimals(value, 2),
        Metric::Stickiness => locale.percent(value),
        Metric::Sessions | Metric::Users | Metric::MonthlyUsers | Metric::NewUsers => {
            locale.decimals(value, 0)
        }
    }
}

/// A change, from one number to another: its direction as a sign and a class, and by how much.
pub(crate) fn change(before: f64, now: f64, view: View<'_>) -> Markup {
    let View { texts, locale, .. } = view;
    if before == 0.0 {
        let word = if now > 0.0 { texts.new } else { "–" };
        return html! { span.flat { (word) } };
    }
    let change = (now - before) / before;
    let shown = locale.percent(change.abs());
    if shown == locale.percent(0.0) {
        return html! { span.flat { "= " (shown) } };
    }
    if change > 0.0 {
        html! { span.up { "▲ " span.unseen { (texts.up) " " } (shown) } }
    } else {
        html! { span.down { "▼ " span.unseen { (texts.down) " " } (shown) } }
    }
}

impl View<'_> {
    /// What the workspace's clocks show at an instant (Unix seconds).
    pub(crate) fn clock(&self, second: i64) -> String {
        dates::clock(second, self.asked.workspace.zone.offset_at(second))
    }
}
