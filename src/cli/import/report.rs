//! What an import did: counts, and why lines were refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::cli::output::{print_json, print_line, quoted_list, thousands, visible_line};
use crate::model::{App, AppId};
use crate::record::Tally;

/// Refused lines that are shown with their places.
const SHOWN: usize = 10;
/// Kinds of reasons that are told apart, and those that are printed.
const MAX_KINDS: usize = 1_000;
const PRINTED_KINDS: usize = 10;

/// Where something stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// A line of a file, from 1.
    Line(&'a str, u64),
    /// A record of a file, from 1.
    Record(&'a str, u64),
    /// A row of a file, from 1.
    Row(&'a str, u64),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::Row(file, row) => write!(f, "{file}: row {row}"),
            Self::Record(file, record) => write!(f, "{file}: record {record}"),
        }
    }
}

/// What was not recorded.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) refusals: Refusals,
    ignored_columns: Vec<String>,
    passed_over: Vec<String>,
    unknown_apps: BTreeMap<String, u64>,
    not_made: Vec<String>,
}

impl Findings {
    /// Notes a refused line.
    pub(super) fn refused(&mut self, place: Place<'_>, reason: &str) {
        self.refusals.add(place, reason);
    }

    /// Notes columns that are no field, each once.
    pub(super) fn ignored(&mut self, columns: &[String]) {
        for column in columns {
            if self.ignored_columns.len() < MAX_KINDS && !self.ignored_columns.contains(column) {
                self.ignored_columns.push(column.clone());
            }
        }
    }

    /// Notes that a line names an app that is not there.
    pub(super) fn unknown_app(&mut self, app: &str) {
        if self.unknown_apps.len() < MAX_KINDS || self.unknown_apps.contains_key(app) {
            *self.unknown_apps.entry(app.to_owned()).or_insert(0) += 1;
        }
    }

    /// Notes why an app could not be made.
    pub(super) fn not_made(&mut self, why: &str) {
        self.not_made.push(why.to_owned());
    }

    /// The apps that most lines name first.
    fn unknown_apps(&self) -> Vec<(&str, u64)> {
        let mut apps: Vec<(&str, u64)> = self
            .unknown_apps
            .iter()
            .map(|(app, count)| (app.as_str(), *count))
            .collect();
        apps.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        apps
    }

    /// Notes a file that was not read.
    pub(super) fn passed_over(&mut self, file: &str, why: &str) {
        self.passed_over.push(format!("{file}: {why}"));
    }

    /// In words, a line each.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.ignored_columns.is_empty() {
            let names = self.ignored_columns.iter().map(String::as_str);
            notes.push(format!("ignored columns: {}", quoted_list(names)));
        }
        let unknown = self.unknown_apps();
        for (app, count) in unknown.iter().take(SHOWN) {
            let lines = match count {
                1 => "1 line".to_owned(),
                count => format!("{} lines", thousands(*count)),
            };
            notes.push(format!("unknown app '{app}' in {lines}"));
        }
        if let Some(more) = unknown.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            notes.push(format!("and {more} more unknown apps"));
        }
        if unknown.iter().any(|(app, _)| app.parse::<AppId>().is_ok()) && self.not_made.is_empty() {
            notes.push("--create-apps makes apps that are named by id".to_owned());
        }
        notes.extend(self.not_made.iter().take(SHOWN).cloned());
        let passed_over = self.passed_over.iter();
        notes.extend(passed_over.take(SHOWN).map(|file| format!("passed over {file}")));
        if let Some(more) = self.passed_over.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            notes.push(format!("and {more} more files were passed over"));
        }
        notes
    }
}

/// Refused lines.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: u64,
    first: Vec<String>,
    kinds: HashMap<String, u64>,
    other: u64,
}

impl Refusals {
    /// Notes one.
    fn add(&mut self, place: Place<'_>, reason: &str) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(format!("{place}: {reason}"));
        }
        let kind = kind(reason);
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else if self.kinds.len() < MAX_KINDS {
            self.kinds.insert(kind.to_owned(), 1);
        } else {
            self.other += 1;
        }
    }

    /// The most frequent kinds first.
    fn kinds(&self) -> Vec<(u64, &str)> {
        let mut kinds: Vec<(u64, &str)> = self
            .kinds
            .iter()
            .map(|(kind, count)| (*count, kind.as_str()))
            .collect();
        kinds.sort_unstable_by(|one, two| two.0.cmp(&one.0).then(one.1.cmp(two.1)));
        let rest: u64 = kinds.iter().skip(PRINTED_KINDS).map(|(count, _)| count).sum();
        kinds.truncate(PRINTED_KINDS);
        if rest + self.other > 0 {
            kinds.push((rest + self.other, "other reasons"));
        }
        kinds
    }
}

/// A reason without what differs from line to line.
fn kind(reason: &str) -> &str {
    let cut = [", received ", " at line "]
        .iter()
        .filter_map(|mark| reason.find(mark))
        .min()
        .unwrap_or(reason.len());
    reason.get(..cut).unwrap_or(reason)
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct ReportJson<'a> {
    recorded: u64,
    duplicates: u64,
    #[serde(skip_serializing_if = "is_zero")]
    ended: u64,
    refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created_apps: Vec<AppId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unknown_apps: &'a BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ignored_columns: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    passed_over: &'a [String],
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The outcome.
pub(super) struct Report {
    /// Of what was recorded.
    pub(super) tally: Tally,
    /// Sessions that an end extended.
    pub(super) ended: u64,
    /// What would have been recorded, if nothing was to be.
    pub(super) valid: Option<u64>,
    /// Apps that were made, or would have been.
    pub(super) made: Vec<App>,
    /// Of what was not.
    pub(super) findings: Findings,
    /// How long it took.
    pub(super) elapsed: Duration,
}

impl Report {
    /// Whether there were lines, and none was a session.
    pub(super) fn every_line_was_refused(&self) -> bool {
        let taken = self.tally.new + self.tally.duplicates + self.ended + self.valid.unwrap_or(0);
        self.refused() > 0 && taken == 0
    }

    /// How many lines were refused.
    pub(super) fn refused(&self) -> u64 {
        self.findings.refusals.count
    }

    /// The summary on standard output; the first refused lines on standard error.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        for line in &self.findings.refusals.first {
            complain(line);
        }
        let refusals = &self.findings.refusals;
        let hidden = refusals.count.saturating_sub(refusals.first.len() as u64);
        if hidden > 0 {
            complain(&format!("and {} more lines were refused", thousands(hidden)));
        }
        if json {
            print_json(&ReportJson {
                recorded: self.tally.new,
                duplicates: self.tally.duplicates,
                ended: self.ended,
                refused: refusals.count,
                valid: self.valid,
                created_apps: self.made.iter().map(|app| app.id).collect(),
                unknown_apps: &self.findings.unknown_apps,
                ignored_columns: &self.findings.ignored_columns,
                passed_over: &self.findings.passed_over,
            })
        } else {
            print_line(&self.summary())
        }
    }

    fn summary(&self) -> String {
        let refused = ("refused", self.refused());
        let counts = match self.valid {
            Some(valid) => vec![("valid", valid), refused],
            None => vec![
                ("recorded", self.tally.new),
                ("duplicates", self.tally.duplicates),
                ("ended", self.ended),
                refused,
            ],
        };
        let counts: Vec<_> = counts
            .into_iter()
            .filter(|(name, count)| *name != "ended" || *count > 0)
            .collect();
        let width = counts
            .iter()
            .map(|(_, count)| thousands(*count).len())
            .max()
            .unwrap_or(0);
        let mut lines: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{name:<10}  {:>width$}", thousands(*count)))
            .collect();
        for (count, kind) in self.findings.refusals.kinds() {
            lines.push(format!("{:10}  {:>width$}  {kind}", "", thousands(count)));
        }
        let (made, nothing) = match self.valid {
            Some(_) => ("would make", true),
            None => ("made", false),
        };
        let apps = self.made.iter().take(SHOWN);
        lines.extend(apps.map(|app| format!("{made} app '{}' ({})", app.name, app.id)));
        if let Some(more) = self.made.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines.push(format!("and {more} more apps"));
        }
        lines.extend(self.findings.notes());
        if nothing {
            lines.push("nothing was recorded: this was a dry run".to_owned());
        }
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        let seconds = self.elapsed.as_secs_f64();
        lines.push(if seconds >= 0.1 {
            format!(
                "in {seconds:.1} s, {} lines a second",
                thousands((all as f64 / seconds) as u64)
            )
        } else {
            "in less than 0.1 s".to_owned()
        });
        lines.join("\n")
    }
}

/// A line on standard error, where somebody still reads it.
pub(super) fn complain(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", visible_line(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_kind_the_most_frequent_first() {
        let mut refusals = Refusals::default();
        refusals.add(Place::Line("a", 1), "'app_id' is required");
        for line in 2..=13 {
            refusals.add(
                Place::Line("a", line),
                &format!("'session_id' must have 1 to 128 bytes, received {}", line + 200),
            );
        }
        refusals.add(
            Place::Line("a", 14),
            "not a session: expected value at line 1 column 1",
        );
        let report = Report {
            tally: Tally {
                new: 1_000,
                duplicates: 0,
            },
            ended: 0,
            valid: None,
            made: Vec::new(),
            findings: Findings {
                refusals,
                ..Findings::default()
            },
            elapsed: Duration::from_secs(1),
        };
        let summary = report.summary();
        let expected = [
            "recorded    1,000",
            "duplicates      0",
            "refused        14",
            "               12  'session_id' must have 1 to 128 bytes",
            "                1  'app_id' is required",
            "                1  not a session: expected value",
            "in 1.0 s, 1,014 lines a second",
        ];
        assert_eq!(summary.lines().collect::<Vec<_>>(), expected);
        assert_eq!(report.findings.refusals.first.len(), SHOWN);
        assert_eq!(report.findings.refusals.first[0], "a:1: 'app_id' is required");
        assert!(!report.every_line_was_refused());
    }

    #[test]
    fn what_is_too_various_is_counted_together() {
        let mut refusals = Refusals::default();
        for line in 0..2_000 {
            refusals.add(Place::Line("a", line), &format!("reason {line}"));
        }
        assert_eq!(refusals.kinds().last(), Some(&(1_990, "other reasons")));
    }
}
