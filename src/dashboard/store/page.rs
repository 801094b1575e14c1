//! The page as HTML.

use maud::{Markup, html};

use super::Whereabouts;
use super::facts::{Facts, Sessions};
use crate::dashboard::dates;
use crate::dashboard::forms::command;
use crate::dashboard::visit::Visit;
use crate::rollup::{DAY, QUARTER};
use crate::series::Zone;
use crate::store::imports::Import;
use crate::store::{Place, StoreError, shell_word};

/// What the page says below the frame.
pub(super) fn content(visit: &Visit<'_>, facts: &Facts, whereabouts: &Whereabouts) -> Markup {
    let texts = &visit.ready.asking.texts.store;
    html! {
        .heading { h1 { (texts.title) } p.range { (texts.about) } }
        (readiness(visit, facts))
        .pair {
            (what_is_there(visit, facts, whereabouts))
            (what_it_does(visit, facts, whereabouts))
        }
        (imports(visit, facts))
        .pair {
            (retention(visit, whereabouts))
            (calendar(visit, whereabouts))
        }
        (backup(visit, whereabouts))
    }
}

fn readiness(visit: &Visit<'_>, facts: &Facts) -> Markup {
    let texts = &visit.ready.asking.texts.store;
    let wrong = match &facts.readiness {
        Ok(()) => None,
        Err(StoreError::Unusable(_)) => Some(texts.is_damaged),
        Err(_) => Some(texts.is_not_ready),
    };
    html! {
        @match wrong {
            None => .notice.good { p { (texts.is_ready) } },
            Some(wrong) => .notice.bad role="alert" { p { strong { (wrong) } } p { (texts.look_into_the_log) } },
        }
    }
}

/// A line of a card: what it is, and how it is.
fn line(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A fact, or that it is not known.
fn known<T>(visit: &Visit<'_>, fact: &Result<T, StoreError>, written: impl FnOnce(&T) -> Markup) -> Markup {
    let texts = &visit.ready.asking.texts.store;
    match fact {
        Ok(fact) => written(fact),
        Err(StoreError::Counting(percent)) => html! { ((texts.counting)(*percent)) },
        Err(_) => html! { span.wrong { (texts.not_known) } },
    }
}

fn what_is_there(visit: &Visit<'_>, facts: &Facts, whereabouts: &Whereabouts) -> Markup {
    let asking = &visit.ready.asking;
    let (texts, locale) = (&asking.texts.store, asking.locale);
    let kind = match &whereabouts.store {
        Place::Directory(_) => texts.embedded,
        Place::ClickHouse(_) => "ClickHouse",
    };
    let quarter = |which: fn((i64, i64)) -> i64| {
        let zone = &visit.ready.workspace.zone;
        known(visit, &facts.sessions, |sessions: &Sessions| {
            match sessions.ends {
                Some(ends) => html! { (quarter_hour(visit, which(ends), zone)) },
                None => html! { (texts.none) },
            }
        })
    };
    html! {
        section.card {
            .card-head { h2 { (texts.what_is_there) } }
            dl.facts {
                (line(texts.kind, html! { (kind) }))
                (line(texts.place, html! { bdi { (whereabouts.store) } }))
                (line(texts.size, known(visit, &facts.usage, |usage| html! { (locale.whole(usage.bytes)) " " (texts.bytes) })))
                (line(texts.sessions_here, known(visit, &facts.sessions, |sessions| html! { (locale.whole(sessions.count)) })))
                (line(texts.oldest, quarter(|(oldest, _)| oldest)))
                (line(texts.newest, quarter(|(_, newest)| newest)))
            }
        }
    }
}

/// `Wed 25 Nov 2026, 14:15–14:30`
fn quarter_hour(visit: &Visit<'_>, second: i64, zone: &Zone) -> String {
    let end = second + QUARTER;
    let until = dates::clock(end, zone.offset_at(end));
    format!("{}–{until}", visit.moment(second.saturating_mul(1000)))
}

fn what_it_does(visit: &Visit<'_>, facts: &Facts, whereabouts: &Whereabouts) -> Markup {
    let asking = &visit.ready.asking;
    let (texts, locale) = (&asking.texts.store, asking.locale);
    let of_usage = |number: u64| html! { (locale.whole(number)) };
    let last_commit = facts
        .last_commit
        .map(|took| format!("{} ms", locale.decimals(took.as_secs_f64() * 1000.0, 1)));
    html! {
        section.card {
            .card-head { h2 { (texts.what_it_does) } }
            dl.facts {
                (line(texts.queue, of_usage(facts.queued)))
                (line(texts.last_commit, html! { (last_commit.as_deref().unwrap_or(texts.no_commit)) }))
                (line(texts.being_counted, known(visit, &facts.usage, |usage| of_usage(usage.being_counted))))
                (line(texts.commit_failures, of_usage(facts.commit_failures)))
                (line(texts.checkpoint_failures, known(visit, &facts.usage, |usage| of_usage(usage.checkpoint_failures))))
                (line(texts.findings, known(visit, &facts.usage, |usage| of_usage(usage.findings))))
                (line(texts.metrics, html! { (whereabouts.metrics.as_deref().unwrap_or(texts.no_metrics)) }))
            }
        }
    }
}

fn imports(visit: &Visit<'_>, facts: &Facts) -> Markup {
    let texts = &visit.ready.asking.texts.store;
    let table = |imports: &Vec<Import>| {
        html! {
            @if imports.is_empty() { p { (texts.no_import) } } @else { (imports_table(visit, imports)) }
        }
    };
    html! {
        section.card {
            .card-head { h2 { (texts.imports) } }
            (known(visit, &facts.imports, table))
            p.hint { (texts.import_hint) }
        }
    }
}

fn imports_table(visit: &Visit<'_>, imports: &[Import]) -> Markup {
    let asking = &visit.ready.asking;
    let (texts, locale) = (&asking.texts.store, asking.locale);
    let read = |percent: Option<u8>| {
        percent.map_or_else(
            || "–".to_owned(),
            |percent| locale.percent(f64::from(percent) / 100.0),
        )
    };
    html! {
        .scrolls tabindex="0" role="region" aria-label=(texts.imports) { table.units-table.listed {
            thead { tr {
                th scope="col" { (texts.files) }
                th.number scope="col" { (texts.recorded) }
                th.number scope="col" { (texts.duplicates) }
                th.number scope="col" { (texts.read) }
                th scope="col" { (texts.began) }
            } }
            tbody { @for import in imports { tr {
                th scope="row" { bdi { (import.files) } }
                td.number data-label=(texts.recorded) { (locale.whole(import.recorded)) }
                td.number data-label=(texts.duplicates) { (locale.whole(import.duplicates)) }
                td.number data-label=(texts.read) { (read(import.percent)) }
                td data-label=(texts.began) { (visit.moment(import.started_at)) }
            } } }
        } }
    }
}

fn retention(visit: &Visit<'_>, whereabouts: &Whereabouts) -> Markup {
    let asking = &visit.ready.asking;
    let texts = &asking.texts.store;
    let workspace = &visit.ready.workspace.workspace;
    let kept = match workspace.retention {
        None => texts.kept_for_ever.to_owned(),
        Some(retention) => {
            let days = retention.days();
            (texts.kept_for)(&asking.locale.whole(days.into()), days == 1)
        }
    };
    let sealed = (workspace.sealed_before > 0)
        .then(|| utc_date(visit, workspace.sealed_before))
        .map(|date| (texts.sealed_before)(&date));
    let change = format!("sessionmeter workspace set-retention {} 400", workspace.id);
    html! {
        section.card {
            .card-head { h2 { (texts.retention) } }
            p { (kept) }
            @if let Some(sealed) = sealed { p { (sealed) } }
            p.hint { (texts.change_retention) }
            (command(&over(&change, whereabouts), asking.texts))
        }
    }
}

/// The date of a UTC day (days since 1970-01-01).
fn utc_date(visit: &Visit<'_>, day: i64) -> String {
    let date = Zone::new("UTC").and_then(|utc| dates::date_of(utc.date_at(day.saturating_mul(DAY))));
    date.map_or_else(
        || day.to_string(),
        |date| dates::long_date(date, visit.ready.asking.texts),
    )
}

fn calendar(visit: &Visit<'_>, whereabouts: &Whereabouts) -> Markup {
    let texts = visit.ready.asking.texts;
    let workspace = &visit.ready.workspace.workspace;
    let weekday = usize::try_from(workspace.first_weekday.days_since_monday());
    let change = format!(
        "sessionmeter workspace set-time-zone {} Europe/Madrid",
        workspace.id
    );
    html! {
        section.card {
            .card-head { h2 { (texts.store.calendar) } }
            dl.facts {
                (line(texts.store.time_zone, html! { (workspace.time_zone) }))
                (line(texts.store.weeks_begin, html! { (weekday.map_or("–", |weekday| texts.on_weekdays(weekday))) }))
            }
            p.hint { (texts.store.change_zone) }
            (command(&over(&change, whereabouts), texts))
        }
    }
}

fn backup(visit: &Visit<'_>, whereabouts: &Whereabouts) -> Markup {
    let texts = visit.ready.asking.texts;
    let is_clickhouse = matches!(whereabouts.store, Place::ClickHouse(_));
    html! {
        section.card {
            .card-head { h2 { (texts.store.backup) } }
            p.hint { (texts.store.backup_hint) }
            (command(&over("sessionmeter backup sessions.sqlite", whereabouts), texts))
            @if is_clickhouse { p.hint { (texts.store.backup_user) } }
        }
    }
}

/// A command over the store that the page is about. Who may look at pages need not know the store's password.
fn over(command: &str, whereabouts: &Whereabouts) -> String {
    match &whereabouts.store {
        Place::Directory(directory) => {
            format!(
                "{command} --data {}",
                shell_word(&directory.display().to_string())
            )
        }
        Place::ClickHouse(address) => {
            format!("{command} --store {}", shell_word(&address.without_credentials()))
        }
    }
}
