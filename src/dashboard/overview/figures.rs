//! The figures: totals and averages of the period, each compared fairly. What is not counted yet has no figure.

use maud::{Markup, html};

use super::asked::Metric;
use super::numbers::Compared;
use super::page::{View, change};

/// All tiles. Those that the chart can show are links.
pub(super) fn tiles(view: View<'_>) -> Markup {
    let View { numbers, texts, .. } = view;
    let figures = &numbers.figures;
    html! {
        section.tiles aria-label=(texts.figures) {
            (total(view))
            @if let Some(users) = figures.users { (daily(view, users)) }
            @if let Some(users) = figures.monthly_users { (monthly(view, users)) }
            @if let Some((all, fair)) = figures.new_users {
                @let detail = html! { @if let Some(fair) = fair { (change(fair.before as f64, fair.now as f64, view)) } };
                (tile(view, Some(Metric::NewUsers), texts.new_users, &view.locale.whole(all), detail))
            }
            @if let Some(per_user) = figures.per_user {
                @let detail = html! { @if let Some(before) = per_user.before { (change(before, per_user.now, view)) } };
                (tile(view, Some(Metric::PerUser), texts.per_user, &view.locale.decimals(per_user.now, 2), detail))
            }
            (peak(view))
        }
    }
}

fn total(view: View<'_>) -> Markup {
    let View {
        numbers,
        texts,
        locale,
        ..
    } = view;
    let figures = &numbers.figures;
    let detail = html! {
        @if let Some(fair) = figures.fair {
            (change(fair.before as f64, fair.now as f64, view)) " " ((texts.against)(&locale.whole(fair.before)))
            @if let Some(cut) = figures.cut {
                " " span title=((texts.both_up_to)(&view.clock(cut.at))) { ((texts.up_to)(&view.clock(cut.at))) }
            }
        }
    };
    tile(
        view,
        Some(Metric::Sessions),
        texts.sessions,
        &locale.whole(figures.sessions),
        detail,
    )
}

fn daily(view: View<'_>, users: Compared<f64>) -> Markup {
    let detail = html! {
        @if let Some(before) = users.before { (change(before, users.now, view)) " " }
        (view.texts.average)
    };
    let name = view.texts.users_a_unit(view.asked.step);
    tile(
        view,
        Some(Metric::Users),
        name,
        &view.locale.decimals(users.now, 0),
        detail,
    )
}

fn monthly(view: View<'_>, users: Compared<u64>) -> Markup {
    let detail = html! {
        @if let Some(before) = users.before { (change(before as f64, users.now as f64, view)) " " }
        (view.texts.in_30_days)
    };
    let metric = Some(Metric::MonthlyUsers).filter(|metric| metric.fits(view.asked));
    tile(
        view,
        metric,
        view.texts.monthly_users,
        &view.locale.whole(users.now),
        detail,
    )
}

fn peak(view: View<'_>) -> Markup {
    let View {
        numbers,
        texts,
        locale,
        ..
    } = view;
    match numbers.heat.peak() {
        None => tile(view, None, texts.peak_hour, "–", html! {}),
        Some((day, hour, average)) => tile(
            view,
            None,
            texts.peak_hour,
            &format!("{hour:02}:00"),
            html! {
                (texts.on_weekdays(day)) ", " (locale.decimals(average, 0))
            },
        ),
    }
}

fn tile(view: View<'_>, metric: Option<Metric>, name: &str, figure: &str, detail: Markup) -> Markup {
    let content = html! {
        span.name { (name) }
        span.figure { (figure) }
        span.detail { (detail) }
    };
    match metric {
        None => html! { div.tile { (content) } },
        Some(metric) => {
            let link = view.asked.but(|asked| asked.metric = metric).link("/");
            let current = (view.asked.metric == metric).then_some("true");
            html! { a.tile href=(link) aria-current=[current] { (content) } }
        }
    }
}
