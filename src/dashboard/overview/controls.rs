//! The form that asks, and the links that ask something near.

use maud::{Markup, html};

use super::asked::{Asked, Compare, UNITS};
use super::numbers;
use crate::dashboard::texts::Texts;
use crate::series::{EndingAt, Step};

/// Whole weeks, so that every weekday is in them as often as the others.
const DAYS: [usize; 5] = [7, 14, 28, 56, 91];
const HOURS: [usize; 4] = [24, 48, 72, 100];
const WEEKS: [usize; 4] = [8, 13, 26, 52];
const MONTHS: [usize; 4] = [6, 12, 24, 36];

/// One form that asks by its address; everything in it works without a script.
pub(super) fn form(asked: &Asked, texts: &Texts) -> Markup {
    let workspace = &asked.workspace;
    let segments: Vec<_> = workspace
        .segments
        .iter()
        .filter(|segment| segment.tracked)
        .collect();
    let by_date = asked
        .ending_at
        .as_ref()
        .is_none_or(|(_, end)| matches!(end, EndingAt::Date(_)));
    let ending = asked
        .ending_at
        .as_ref()
        .map(|(text, _)| text.as_str())
        .unwrap_or_default();
    html! {
        form.controls method="get" action="/" {
            (kept(asked))
            label { span { (texts.app) }
                select name="app_id" {
                    option value="" { (texts.all_apps) }
                    @for app in &workspace.apps {
                        option value=(app.id) selected[asked.app == Some(app.id)] { (app.name) }
                    }
                }
            }
            @if !segments.is_empty() {
                label { span { (texts.segment) }
                    select name="segment_id" {
                        option value="" { (texts.everyone) }
                        @for segment in segments {
                            option value=(segment.id) selected[asked.segment == Some(segment.id)] { (segment.name) }
                        }
                    }
                }
            }
            label { span { (texts.many(asked.step)) }
                (lengths(asked))
            }
            label { span { (texts.ending) }
                input type=(if by_date { "date" } else { "text" }) name="ending_at" value=(ending) size="25";
            }
            label { span { (texts.compare_with) }
                select name="compare" { (comparisons(asked, texts)) }
            }
            button.primary { (texts.show) }
        }
    }
}

/// What the units are.
pub(super) fn units(asked: &Asked, texts: &Texts) -> Markup {
    html! {
        .units role="group" aria-label=(texts.unit) {
                @for (step, _) in UNITS {
                a href=(asked.in_unit(step).link("/")) aria-current=[(step == asked.step).then_some("true")] { (texts.one(step)) }
                }
            }
    }
}

/// What the form does not show but must not lose.
fn kept(asked: &Asked) -> Markup {
    let all = asked.query();
    let pairs = all.split('&').filter_map(|pair| pair.split_once('='));
    let kept = pairs
        .filter(|(name, _)| ["workspace", "unit", "metric", "group_by", "split", "filter"].contains(name));
    html! {
        @for (name, value) in kept {
            @let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            input type="hidden" name=(name) value=(value);
        }
    }
}

fn lengths(asked: &Asked) -> Markup {
    let chosen = asked.length.get();
    let mut lengths = match asked.step {
        Step::Hour => HOURS.to_vec(),
        Step::Day | Step::Total => DAYS.to_vec(),
        Step::Week => WEEKS.to_vec(),
        Step::Month => MONTHS.to_vec(),
    };
    if !lengths.contains(&chosen) {
        lengths.push(chosen);
        lengths.sort_unstable();
    }
    html! {
        select name="length" {
            @for length in lengths {
                option value=(length) selected[length == chosen] { (length) }
            }
        }
    }
}

fn comparisons(asked: &Asked, texts: &Texts) -> Markup {
    let choices = Compare::ALL.into_iter().filter(|choice| {
        // Whole weeks end where this period begins anyway: one name for one thing.
        let is_twin = *choice == Compare::Exact && !differs(asked);
        !is_twin || asked.compare == *choice
    });
    html! {
        @for choice in choices {
            option value=(choice.as_str()) selected[choice == asked.compare] {
                (name_of(&asked.but(|asked| asked.compare = choice), texts))
            }
        }
    }
}

/// Whether the period just before is another one than whole weeks before.
fn differs(asked: &Asked) -> bool {
    let weeks = asked.but(|asked| asked.compare = Compare::Weeks);
    let length = i64::try_from(asked.length.get()).unwrap_or_default();
    match asked.step {
        Step::Hour => true,
        Step::Day | Step::Total => numbers::shift(&weeks) != length,
        Step::Week | Step::Month => false,
    }
}

/// What a question is compared with, in words.
pub(crate) fn name_of(asked: &Asked, texts: &Texts) -> String {
    let days = numbers::shift(asked);
    match (asked.compare, asked.step) {
        (Compare::None, _) => texts.nothing.to_owned(),
        (Compare::Year, Step::Month) => texts.a_year_before.to_owned(),
        (Compare::Exact, step) | (Compare::Weeks, step @ (Step::Week | Step::Month)) => {
            (texts.just_before)(asked.length.get(), step)
        }
        (Compare::Weeks | Compare::Year, _) => (texts.days_before_same_weekdays)(days),
    }
}

/// What is filtered, each with a way to be rid of it.
pub(super) fn chips(asked: &Asked, texts: &Texts) -> Markup {
    let Some(filter) = &asked.filter else {
        return html! {};
    };
    html! {
        p.chips {
            span { (texts.only_sessions_with) " " bdi { (filter) } }
            a href=(asked.but(|asked| asked.filter = None).link("/")) { (texts.remove_filter) }
        }
    }
}
