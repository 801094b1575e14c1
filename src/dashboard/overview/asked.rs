//! What an address asks for. The names of its parameters are those of the API, so that a number on the page can be had by a
//! program with the same words.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::{ApiError, Query, invalid};
use crate::model::{App, AppId, Field, Filter, Segment, SegmentId};
use crate::series::{EndingAt, Length, Step, Units, ending_at};
use crate::store::{Catalog, WorkspaceEntry};

/// What stays as it is in a query string.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':');

/// Units that pages know, and how many of each they show where nothing else is said.
pub(crate) const UNITS: [(Step, u32); 4] = [
    (Step::Hour, 48),
    (Step::Day, 28),
    (Step::Week, 13),
    (Step::Month, 12),
];

/// What the shown period is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Compare {
    /// Whole weeks before, at least as many as the period is long: every weekday with the same weekday.
    #[default]
    Weeks,
    /// The period that ends where this one begins.
    Exact,
    /// 52 weeks before.
    Year,
    /// Nothing.
    None,
}

impl Compare {
    pub(crate) const ALL: [Self; 4] = [Self::Weeks, Self::Exact, Self::Year, Self::None];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Weeks => "weeks",
            Self::Exact => "exact",
            Self::Year => "year",
            Self::None => "none",
        }
    }
}

/// Which number the chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Metric {
    /// Sessions that began in each unit.
    #[default]
    Sessions,
    /// Distinct users of each unit.
    Users,
    /// Distinct users of the 30 days that end with each day.
    MonthlyUsers,
    /// Users whose first session is in the unit.
    NewUsers,
    /// Sessions for each user of a unit.
    PerUser,
    /// Which share of the users of 30 days comes on a day.
    Stickiness,
}

impl Metric {
    pub(crate) const ALL: [Self; 6] = [
        Self::Sessions,
        Self::Users,
        Self::MonthlyUsers,
        Self::NewUsers,
        Self::PerUser,
        Self::Stickiness,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Users => "dau",
            Self::MonthlyUsers => "mau",
            Self::NewUsers => "new_users",
            Self::PerUser => "sessions_per_dau",
            Self::Stickiness => "stickiness",
        }
    }

    /// Whether it can be asked of a question.
    pub(crate) fn fits(self, asked: &Asked) -> bool {
        match self {
            Self::Sessions | Self::Users | Self::PerUser => true,
            Self::MonthlyUsers | Self::Stickiness => asked.step == Step::Day,
            Self::NewUsers => asked.segment.is_none() && asked.filter.is_none(),
        }
    }
}

/// A question, and where it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) workspace: Arc<WorkspaceEntry>,
    /// Whether the address must name the workspace.
    names_workspace: bool,
    pub(crate) app: Option<AppId>,
    pub(crate) segment: Option<SegmentId>,
    pub(crate) filter: Option<Filter>,
    pub(crate) step: Step,
    pub(crate) length: Length,
    /// As it was written, and what it means.
    pub(crate) ending_at: Option<(String, EndingAt)>,
    pub(crate) compare: Compare,
    pub(crate) metric: Metric,
    /// What sessions are grouped by.
    pub(crate) group_by: Option<Field>,
    /// Whether the chart has a line for each group.
    pub(crate) split: bool,
}

impl Asked {
    /// The usual view of a workspace.
    pub(crate) fn usual(workspace: &Arc<WorkspaceEntry>, catalog: &Catalog) -> Result<Self, ApiError> {
        let first = catalog.workspaces().first().map(|first| first.workspace.id);
        Ok(Self {
            workspace: workspace.clone(),
            names_workspace: first != Some(workspace.workspace.id),
            app: None,
            segment: None,
            filter: None,
            step: Step::Day,
            length: usual_length(Step::Day)?,
            ending_at: None,
            compare: Compare::default(),
            metric: Metric::default(),
            group_by: None,
            split: false,
        })
    }

    /// Reads a query. A parameter that is empty is one that a form left alone.
    ///
    /// # Errors
    /// In the API's words.
    pub(crate) fn read(
        query: &Query<'_>,
        workspace: &Arc<WorkspaceEntry>,
        catalog: &Catalog,
    ) -> Result<Self, ApiError> {
        let text = |name: &str| Ok::<_, ApiError>(query.get(name)?.filter(|text| !text.is_empty()));
        let mut asked = Self::usual(workspace, catalog)?;
        if let Some(unit) = text("unit")? {
            let parsed = unit
                .parse()
                .ok()
                .filter(|step| UNITS.iter().any(|(known, _)| known == step));
            asked.step = parsed.ok_or_else(|| invalid("unit", &unit, "'hour', 'day', 'week' or 'month'"))?;
        }
        asked.length = match text("length")? {
            None => usual_length(asked.step)?,
            Some(length) => Length::parse(&length)
                .ok_or_else(|| invalid("length", &length, "an integer from 1 to 100"))?,
        };
        if let Some(end) = text("ending_at")? {
            let parsed = ending_at::parse(&end);
            let meant = parsed.map_err(|error| ApiError::bad_request(error.to_string()))?;
            asked.ending_at = Some((end.into_owned(), meant));
        }
        if let Some(app) = text("app_id")? {
            let found = app.parse().ok().filter(|id| workspace.app(*id).is_some());
            asked.app =
                Some(found.ok_or_else(|| invalid("app_id", &app, "the id of an app of this workspace"))?);
        }
        if let Some(segment) = text("segment_id")? {
            let found = segment.parse().ok().and_then(|id| workspace.segment(id));
            let found = found.filter(|segment| segment.tracked).map(|segment| segment.id);
            let allowed = "the id of a segment of this workspace that has analytics tracking on";
            asked.segment = Some(found.ok_or_else(|| invalid("segment_id", &segment, allowed))?);
        }
        if let Some(filter) = text("filter")? {
            let parsed = filter.parse::<Filter>();
            let parsed = parsed.map_err(|error| ApiError::bad_request(format!("'filter': {error}")))?;
            asked.filter = Some(parsed);
        }
        asked.compare = one_of(query, "compare", &Compare::ALL, Compare::as_str)?;
        asked.metric = one_of(query, "metric", &Metric::ALL, Metric::as_str)?;
        if !asked.metric.fits(&asked) {
            asked.metric = Metric::default();
        }
        if let Some(field) = text("group_by")? {
            let parsed = field.parse::<Field>();
            asked.group_by =
                Some(parsed.map_err(|error| ApiError::bad_request(format!("'group_by': {error}")))?);
        }
        asked.split = match text("split")?.as_deref() {
            None => false,
            Some("1") => true,
            Some(other) => return Err(invalid("split", other, "'1'")),
        };
        Ok(asked)
    }

    /// The address's query for this question, without what is so anyway.
    pub(crate) fn query(&self) -> String {
        let mut pairs = self.for_the_api();
        if self.names_workspace {
            pairs.insert(0, ("workspace", self.workspace.workspace.name.to_string()));
        }
        pairs.retain(|(name, value)| match *name {
            "unit" => value != Step::Day.as_str(),
            "length" => self.length.get() != usual(self.step) as usize,
            _ => true,
        });
        pairs.extend(self.group_by.iter().map(|field| ("group_by", field.to_string())));
        if self.compare != Compare::default() {
            pairs.push(("compare", self.compare.as_str().to_owned()));
        }
        if self.metric != Metric::default() {
            pairs.push(("metric", self.metric.as_str().to_owned()));
        }
        if self.split {
            pairs.push(("split", "1".to_owned()));
        }
        encode(&pairs)
    }

    /// The address of a page of this question.
    pub(crate) fn link(&self, path: &str) -> String {
        match self.query().as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The path and the query with which a program gets the same numbers; `ends` are the labels of the first and the last
    /// unit.
    pub(crate) fn for_a_program(&self, ends: &(String, String)) -> String {
        let series = matches!(self.step, Step::Hour | Step::Day) && self.filter.is_none();
        let mut pairs = self.for_the_api();
        if series {
            return format!("sessions/data_series?{}", encode(&pairs));
        }
        pairs.retain(|(name, _)| *name != "length" && *name != "ending_at");
        pairs.insert(0, ("to", ends.1.clone()));
        pairs.insert(0, ("from", ends.0.clone()));
        format!("sessions/query?{}", encode(&pairs))
    }

    fn for_the_api(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("length", self.length.get().to_string())];
        pairs.push(("unit", self.step.to_string()));
        pairs.extend(self.ending_at.iter().map(|(text, _)| ("ending_at", text.clone())));
        pairs.extend(self.app.map(|app| ("app_id", app.to_string())));
        pairs.extend(self.segment.map(|segment| ("segment_id", segment.to_string())));
        pairs.extend(self.filter.iter().map(|filter| ("filter", filter.to_json())));
        pairs
    }

    /// The same question with a change.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// With another unit, as long as is usual for it.
    pub(crate) fn in_unit(&self, step: Step) -> Self {
        self.but(|asked| {
            asked.step = step;
            if let Ok(length) = usual_length(step) {
                asked.length = length;
            }
            // An hour is no end for days: what is shown ends on its day.
            let of_an_hour = |(text, _): &(String, EndingAt)| text.contains('T');
            if step != Step::Hour && asked.ending_at.as_ref().is_some_and(of_an_hour) {
                asked.ending_at = None;
            }
            if !asked.metric.fits(asked) {
                asked.metric = Metric::default();
            }
        })
    }

    /// What its units are.
    pub(crate) fn units(&self) -> Units<'_> {
        Units {
            zone: &self.workspace.zone,
            step: self.step,
            weeks_begin: self.workspace.workspace.first_weekday.days_since_monday(),
        }
    }

    /// What sessions are grouped by, said or usual.
    pub(crate) fn grouping(&self) -> Field {
        let by_app = self.app.is_none() && self.workspace.apps.len() > 1;
        let usual = if by_app { Field::AppId } else { Field::Platform };
        self.group_by.clone().unwrap_or(usual)
    }

    /// Ending with another unit; `None` is the running one.
    pub(crate) fn ending(&self, text: Option<String>) -> Self {
        self.but(|asked| {
            asked.ending_at = text.and_then(|text| {
                let meant = ending_at::parse(&text).ok()?;
                Some((text, meant))
            });
        })
    }

    /// The app it is about.
    pub(crate) fn chosen_app(&self) -> Option<&App> {
        self.app.and_then(|id| self.workspace.app(id))
    }

    /// The segment it is about.
    pub(crate) fn chosen_segment(&self) -> Option<&Segment> {
        self.segment.and_then(|id| self.workspace.segment(id))
    }
}

fn usual(step: Step) -> u32 {
    let found = UNITS.iter().find(|(known, _)| *known == step);
    found.map_or(28, |(_, length)| *length)
}

fn usual_length(step: Step) -> Result<Length, ApiError> {
    Length::new(usual(step)).ok_or_else(|| ApiError::bad_request("no such length"))
}

fn one_of<T: Copy + Default>(
    query: &Query<'_>,
    name: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<T, ApiError> {
    let Some(text) = query.get(name)?.filter(|text| !text.is_empty()) else {
        return Ok(T::default());
    };
    let found = all.iter().copied().find(|value| as_str(*value) == text);
    found.ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|value| format!("'{}'", as_str(*value))).collect();
        invalid(name, &text, &format!("one of {}", names.join(", ")))
    })
}

pub(crate) fn encode(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, PLAIN)))
        .collect();
    pairs.join("&")
}
