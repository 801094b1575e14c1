//! What pages say. A language is a constant: one that lacks a text does not compile.

mod accounts;
mod apps;
mod english;
mod segments;
mod spanish;
mod start;
mod store;

use jiff::civil::Weekday;

use super::locale::Language;
use crate::model::Field;
use crate::series::Step;

/// Every text of the pages.
#[derive(Debug)]
pub(super) struct Texts {
    // Calendars.
    /// From Monday on, short.
    pub(super) weekdays: [&'static str; 7],
    /// From Monday on, as in "on Mondays".
    pub(super) weekdays_whole: [&'static str; 7],
    pub(super) months: [&'static str; 12],
    pub(super) day: &'static str,
    pub(super) days: &'static str,
    pub(super) hour: &'static str,
    pub(super) hours: &'static str,
    pub(super) week: &'static str,
    pub(super) weeks: &'static str,
    pub(super) month: &'static str,
    pub(super) months_word: &'static str,
    pub(super) weekday_word: &'static str,

    // The frame of every page.
    pub(super) overview: &'static str,
    pub(super) skip: &'static str,
    pub(super) pages: &'static str,
    pub(super) workspace: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) reference: &'static str,

    // Numbers.
    pub(super) sessions: &'static str,
    pub(super) users: &'static str,
    pub(super) new_users: &'static str,
    pub(super) stickiness: &'static str,
    pub(super) per_user: &'static str,
    /// Of an hour, a day, a week, a month.
    pub(super) users_of: [&'static str; 4],
    pub(super) monthly_users: &'static str,
    pub(super) in_30_days: &'static str,
    pub(super) average: &'static str,
    pub(super) peak_hour: &'static str,
    pub(super) figures: &'static str,
    pub(super) new: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    /// A number of the period before.
    pub(super) against: fn(&str) -> String,
    /// A time of the day.
    pub(super) both_up_to: fn(&str) -> String,
    pub(super) up_to: fn(&str) -> String,
    /// How many, and since which time of the day.
    pub(super) live: fn(&str, &str) -> String,
    /// A time zone.
    pub(super) days_of: fn(&str) -> String,
    pub(super) hours_of: fn(&str) -> String,

    // The form.
    pub(super) app: &'static str,
    pub(super) all_apps: &'static str,
    pub(super) segment: &'static str,
    pub(super) everyone: &'static str,
    pub(super) ending: &'static str,
    pub(super) compare_with: &'static str,
    pub(super) show: &'static str,
    pub(super) unit: &'static str,
    pub(super) nothing: &'static str,
    pub(super) days_before_same_weekdays: fn(i64) -> String,
    /// How many units, and what they are.
    pub(super) just_before: fn(usize, Step) -> String,
    pub(super) a_year_before: &'static str,
    pub(super) only_sessions_with: &'static str,
    pub(super) remove_filter: &'static str,
    pub(super) other_periods: &'static str,
    /// How many units, and what they are.
    pub(super) earlier: fn(usize, Step) -> String,
    pub(super) later: fn(usize, Step) -> String,
    /// The hour, the day, the week, the month that is running.
    pub(super) without: [&'static str; 4],

    // The chart and the tables.
    /// Hour, day, week, month.
    pub(super) per: [&'static str; 4],
    pub(super) each: [&'static str; 4],
    pub(super) keys_read: &'static str,
    pub(super) one_line: &'static str,
    pub(super) a_line_a_group: &'static str,
    /// The greatest value, and of which unit it is.
    pub(super) most_were: fn(&str, &str) -> String,
    pub(super) table: &'static str,
    pub(super) copy: &'static str,
    pub(super) copied: &'static str,
    pub(super) where_a_key_comes_from: &'static str,
    pub(super) when_people_come: &'static str,
    pub(super) average_an_hour: &'static str,
    pub(super) average_an_hour_of_28_days: &'static str,
    pub(super) by: &'static str,
    pub(super) platform: &'static str,
    pub(super) app_version: &'static str,
    pub(super) os_version: &'static str,
    pub(super) device_model: &'static str,
    pub(super) country: &'static str,
    pub(super) language: &'static str,
    pub(super) first_session: &'static str,
    pub(super) others: &'static str,
    pub(super) missing: &'static str,
    pub(super) no_sessions: &'static str,
    pub(super) share: &'static str,
    pub(super) change: &'static str,
    pub(super) before: &'static str,
    pub(super) before_that_is: &'static str,
    pub(super) not_over: &'static str,
    pub(super) none_in_this_period: &'static str,
    pub(super) first_session_on: fn(&str) -> String,
    pub(super) no_session_yet: &'static str,
    pub(super) how_to_record: &'static str,

    // Share links.
    pub(super) share_links: &'static str,
    pub(super) share_word: &'static str,
    pub(super) who_has_it_sees_it: &'static str,
    pub(super) new_share: &'static str,
    pub(super) name: &'static str,
    pub(super) good_for_days: &'static str,
    pub(super) make_share: &'static str,
    pub(super) share_is_made: &'static str,
    pub(super) shown_once: &'static str,
    pub(super) shows: &'static str,
    pub(super) good_until: &'static str,
    pub(super) last_opened: &'static str,
    pub(super) never: &'static str,
    pub(super) revoke: &'static str,
    pub(super) share_is_void: &'static str,

    // Getting in.
    pub(super) sign_in: &'static str,
    pub(super) sign_in_here: fn(&str) -> String,
    pub(super) how_to_get_in: &'static str,
    pub(super) link_is_good_once: &'static str,
    pub(super) link_is_void: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) one_moment: &'static str,

    // Pages that have texts of their own.
    pub(super) accounts: accounts::Accounts,
    pub(super) segments: segments::Segments,
    pub(super) apps: apps::Apps,
    pub(super) start: start::Start,
    pub(super) store: store::Store,

    // What can go wrong.
    pub(super) not_understood: &'static str,
    pub(super) back_to_the_overview: &'static str,
    pub(super) nothing_here: &'static str,
    pub(super) store_fails: &'static str,
    pub(super) try_again: &'static str,
    pub(super) busy: &'static str,
    pub(super) being_counted: &'static str,
    pub(super) being_counted_percent: fn(u64) -> String,
    pub(super) forged: &'static str,
    pub(super) no_workspace: &'static str,
    pub(super) nothing_to_see: &'static str,
}

impl Texts {
    /// In this language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXTS,
            Language::Spanish => &spanish::TEXTS,
        }
    }

    /// Short: `Wed`.
    pub(super) fn weekday(&self, weekday: Weekday) -> &'static str {
        let place = usize::try_from(weekday.to_monday_zero_offset());
        self.weekday_short(place.unwrap_or_default())
    }

    /// The same by its number from Monday on.
    pub(super) fn weekday_short(&self, weekday: usize) -> &'static str {
        self.weekdays.get(weekday).copied().unwrap_or_default()
    }

    /// As in "on Wednesdays".
    pub(super) fn on_weekdays(&self, weekday: usize) -> &'static str {
        self.weekdays_whole.get(weekday).copied().unwrap_or_default()
    }

    /// Short: `Nov`; from 1.
    pub(super) fn month_short(&self, month: i8) -> &'static str {
        let place = usize::try_from(month).ok().and_then(|month| month.checked_sub(1));
        place
            .and_then(|place| self.months.get(place))
            .copied()
            .unwrap_or_default()
    }

    /// What a chart of this unit is called.
    pub(super) fn per_unit(&self, step: Step) -> &'static str {
        of(&self.per, step)
    }

    /// What a table of this unit is called.
    pub(super) fn unit_by_unit(&self, step: Step) -> &'static str {
        of(&self.each, step)
    }

    /// What users of one unit are called.
    pub(super) fn users_a_unit(&self, step: Step) -> &'static str {
        of(&self.users_of, step)
    }

    /// What leaves out the running unit.
    pub(super) fn without_running(&self, step: Step) -> &'static str {
        of(&self.without, step)
    }

    /// A unit's name.
    pub(super) fn one(&self, step: Step) -> &'static str {
        of(&[self.hour, self.day, self.week, self.month], step)
    }

    /// The name of several.
    pub(super) fn many(&self, step: Step) -> &'static str {
        of(&[self.hours, self.days, self.weeks, self.months_word], step)
    }

    /// A field's name.
    pub(super) fn field(&self, field: &Field) -> String {
        let name = match field {
            Field::AppId => self.app,
            Field::Platform => self.platform,
            Field::OsVersion => self.os_version,
            Field::AppVersion => self.app_version,
            Field::DeviceModel => self.device_model,
            Field::Country => self.country,
            Field::Language => self.language,
            Field::FirstSession => self.first_session,
            Field::Attribute(name) => name,
        };
        name.to_owned()
    }
}

/// What stands for a unit in a list of them.
fn of(all: &[&'static str; 4], step: Step) -> &'static str {
    let [hour, day, week, month] = *all;
    match step {
        Step::Hour => hour,
        Step::Day | Step::Total => day,
        Step::Week => week,
        Step::Month => month,
    }
}
