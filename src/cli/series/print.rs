//! Answers as JSON, as CSV, and as a table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::chart::{Chart, Row};
use super::{Selected, SeriesArgs, Shown};
use crate::api::sessions_query::{csv, rows};
use crate::api::{data_series, kpi_body};
use crate::cli::output::{print_bytes, print_line, thousands, visible_line};
use crate::cli::terminal;
use crate::count::{Answer, GroupBy, GroupKey};
use crate::model::Millis;
use crate::series::Step;

/// What is printed.
pub(super) struct Printed<'a> {
    pub(super) args: &'a SeriesArgs,
    pub(super) selected: &'a Selected<'a>,
    pub(super) answer: &'a Answer,
    /// Of ratios, what the answer is divided by.
    pub(super) divided_by: Option<&'a Answer>,
    pub(super) now: Millis,
}

impl Printed<'_> {
    /// The body of the endpoint that has these numbers.
    pub(super) fn json(&self) -> anyhow::Result<()> {
        let Self { args, answer, .. } = self;
        let time_zone = &self.selected.workspace.workspace.time_zone;
        let is_plain = args.from.is_none() && args.by.is_none() && args.filter.is_none();
        let body = match (args.metric, args.unit) {
            (Shown::SessionsPerDau | Shown::Stickiness, _) => self.ratios_as_json(time_zone)?,
            (Shown::Sessions, Step::Day | Step::Hour) if is_plain => {
                data_series::body(&answer.window, self.counts())
            }
            (Shown::Dau | Shown::Mau | Shown::NewUsers, Step::Day) if is_plain => {
                kpi_body(answer, args.metric.name())
            }
            (metric, _) => rows::body(answer, time_zone, metric.name()),
        };
        print_line(&String::from_utf8(body)?)
    }

    fn ratios_as_json(&self, time_zone: &str) -> anyhow::Result<Vec<u8>> {
        let name = self.args.metric.name();
        let points = self
            .answer
            .window
            .labels()
            .zip(self.ratios())
            .map(|(label, ratio)| {
                // As it is shown elsewhere.
                let number = ratio.and_then(|ratio| self.rounded(ratio).parse::<f64>().ok());
                json!({ "time": label.to_string(), name: number })
            });
        let data: Vec<Value> = points.collect();
        Ok(serde_json::to_vec(
            &json!({ "message": "success", "time_zone": time_zone, "data": data }),
        )?)
    }

    /// The same as columns.
    pub(super) fn csv(&self) -> anyhow::Result<()> {
        let name = self.args.metric.name();
        if self.divided_by.is_none() {
            return print_bytes(&csv::body(self.answer, name));
        }
        let mut text = format!("time,{name}\n");
        for (label, ratio) in self.answer.window.labels().zip(self.ratios()) {
            let number = ratio.map_or_else(String::new, |ratio| self.rounded(ratio));
            // Writing to a String can't fail.
            let _ = writeln!(text, "{label},{number}");
        }
        print_bytes(text.as_bytes())
    }

    /// A table with bars: the units, or the groups.
    pub(super) fn table(&self) -> anyhow::Result<()> {
        let rows = match (&self.args.by, self.divided_by) {
            (Some(_), _) => self.groups(),
            (None, Some(_)) => self.units(self.ratios().map(|ratio| match ratio {
                // Bars compare what is shown.
                Some(ratio) => (self.rounded(ratio), (ratio * 1000.0).round() as u64),
                None => ("-".to_owned(), 0),
            })),
            (None, None) => self.units(self.counts().iter().map(|count| (thousands(*count), *count))),
        };
        let chart = Chart {
            rows,
            total: self
                .answer
                .total
                .filter(|_| self.divided_by.is_none())
                .map(thousands),
            width: terminal::width(),
            blocks: terminal::shows_unicode(),
        };
        print_bytes(format!("{}\n\n{chart}", visible_line(&self.title())).as_bytes())
    }

    fn counts(&self) -> &[u64] {
        let group = self.answer.groups.first();
        group.map(|group| group.counts.as_slice()).unwrap_or_default()
    }

    /// What the numbers divided by the others are; none where those are 0.
    fn ratios(&self) -> impl Iterator<Item = Option<f64>> {
        let others = self.divided_by.and_then(|answer| answer.groups.first());
        let others = others.map(|group| group.counts.as_slice()).unwrap_or_default();
        let pairs = self.counts().iter().zip(others);
        pairs.map(|(number, by)| (*by > 0).then(|| *number as f64 / *by as f64))
    }

    fn rounded(&self, ratio: f64) -> String {
        format!("{ratio:.*}", self.args.metric.digits())
    }

    fn units(&self, numbers: impl Iterator<Item = (String, u64)>) -> Vec<Row> {
        let window = &self.answer.window;
        let ends = window.edges().iter().skip(1);
        let units = window.labels().zip(ends).zip(numbers);
        let row = |((label, end), (shown, size)): ((crate::series::Label, &i64), (String, u64))| Row {
            label: label.to_string(),
            shown,
            size,
            unfinished: self.now < end.saturating_mul(1000),
        };
        units.map(row).collect()
    }

    fn groups(&self) -> Vec<Row> {
        let groups = self.answer.groups.iter().map(|group| {
            let total = group.total.unwrap_or_else(|| group.counts.iter().sum());
            Row {
                label: visible_line(&self.group_name(&group.key)).into_owned(),
                shown: thousands(total),
                size: total,
                unfinished: false,
            }
        });
        groups.collect()
    }

    fn group_name(&self, key: &GroupKey) -> String {
        let workspace = self.selected.workspace;
        match key {
            GroupKey::Value(None) => "(none)".to_owned(),
            GroupKey::App(id) => workspace
                .app(*id)
                .map_or_else(|| id.to_string(), |app| app.name.to_string()),
            GroupKey::Segment(id) => {
                let segment = workspace.segment(*id);
                segment.map_or_else(|| id.to_string(), |segment| segment.name.to_string())
            }
            key => csv::name(key).into_owned(),
        }
    }

    fn title(&self) -> String {
        let Self { args, selected, .. } = self;
        let by = match &args.by {
            Some(GroupBy::Field(field)) => format!(" by {field}"),
            Some(GroupBy::Segment) => " by segment".to_owned(),
            None if args.unit == Step::Total => " in total".to_owned(),
            None => format!(" per {}", args.unit),
        };
        let whose = match selected.apps.as_slice() {
            [] => "all apps".to_owned(),
            apps => {
                let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
                let noun = if names.len() > 1 { "apps" } else { "app" };
                format!("{noun} {}", names.join(", "))
            }
        };
        let segment = selected
            .segment
            .map_or_else(String::new, |segment| format!(", segment {}", segment.name));
        let filter = args
            .filter
            .as_ref()
            .map_or_else(String::new, |filter| format!(", {filter}"));
        let workspace = &selected.workspace.workspace;
        format!(
            "{}{by}: workspace {}, {whose}{segment}{filter}, {}",
            args.metric.title(),
            workspace.name,
            workspace.time_zone
        )
    }
}
