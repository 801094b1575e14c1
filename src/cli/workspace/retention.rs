//! `workspace set-retention`: for how long sessions are kept one by one, and what is older than that.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::{ListedJson, current};
use crate::catalog::{Change, WorkspaceChange};
use crate::cli::confirm::{confirm, counted};
use crate::cli::lookup;
use crate::cli::output::{print_json, print_line, thousands};
use crate::cli::progress::Spinner;
use crate::model::{Millis, Retention, Workspace, WorkspaceId};
use crate::rollup::DAY;
use crate::store::{
    Administration, Scope, Sealing, Store, StoreError, Whose, all_time, count_patiently, now,
};

/// A retention as it is written on the command line: days, or `none` (or 0) for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct KeptFor(Option<Retention>);

impl FromStr for KeptFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "0" || text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        let retention = text.parse().ok().and_then(Retention::new);
        let wrong = || {
            let longest = thousands(Retention::MAX_DAYS.into());
            format!("give 1 to {longest} days, or 'none' to keep sessions for ever")
        };
        retention.map(|days| Self(Some(days))).ok_or_else(wrong)
    }
}

/// In words: `30 days`.
pub(super) fn in_words(retention: Option<Retention>) -> String {
    retention.map_or_else(|| "for ever".to_owned(), |retention| retention.to_string())
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct SetJson<'a> {
    #[serde(flatten)]
    workspace: ListedJson<'a>,
    /// Days of apps whose sessions were removed.
    sealed_days: u64,
    /// How many sessions that were.
    sealed_sessions: u64,
}

/// Sets the retention of the workspace with this name or id, and seals the days that are older. Asks first where sessions go.
pub(super) async fn set(
    store: &dyn Store,
    given: &str,
    KeptFor(retention): KeptFor,
    yes: bool,
    json: bool,
) -> anyhow::Result<()> {
    let entry = lookup::workspace(&store.catalog(), Some(given))?;
    let id = entry.workspace.id;
    let before = entry.workspace.retention;
    if let Some(retention) = retention {
        let now = now();
        let apps: Vec<_> = entry.apps.iter().map(|app| app.id).collect();
        let days = days_that_go(&entry.workspace, retention, now);
        let with_sessions = store.days(&apps, days.clone()).await?;
        if !with_sessions.is_empty() {
            let question = format!(
                "The retention of {retention} removes {} of {} of apps from workspace '{}' for good, and keeps their counts. Set it?",
                sessions_of(store, id, &days).await?,
                counted(with_sessions.len() as u64, "day"),
                entry.workspace.name,
            );
            confirm(&question, yes)?;
        }
    }
    let change = WorkspaceChange {
        retention: Some(retention),
        ..WorkspaceChange::default()
    };
    store.change(Change::ChangeWorkspace(id, change)).await?;
    let sealing = seal(store, id).await?;
    print(&current(store, id)?, before, sealing, json)
}

/// The days of a workspace that a retention would have sealed at `now`, but for those that were sealed before.
fn days_that_go(workspace: &Workspace, retention: Retention, now: Millis) -> RangeInclusive<i64> {
    let (first, _) = all_time();
    let first = first.div_euclid(DAY).max(workspace.sealed_before);
    first..=retention.first_unsealed_day(now) - 1
}

/// How many sessions a workspace has on these days, in words.
async fn sessions_of(
    store: &dyn Store,
    workspace: WorkspaceId,
    days: &RangeInclusive<i64>,
) -> Result<String, StoreError> {
    let edges = [days.start() * DAY, (days.end() + 1) * DAY];
    let asked = (Scope::Workspace(workspace), Whose::Everyone);
    let counts = count_patiently(store, asked, &edges, &|_| {}).await?;
    Ok(counted(counts.into_iter().sum(), "session"))
}

async fn seal(store: &dyn Administration, workspace: WorkspaceId) -> Result<Sealing, StoreError> {
    let progress = Spinner::start("sealing");
    let line = progress.clone();
    let say = move |percent| line.say(&format!("sealing  {percent} %"));
    let sealing = store.seal(workspace, Arc::new(say)).await;
    progress.finish();
    sealing
}

fn print(
    workspace: &Workspace,
    before: Option<Retention>,
    sealing: Sealing,
    json: bool,
) -> anyhow::Result<()> {
    let Sealing { days, sessions } = sealing;
    if json {
        return print_json(&SetJson {
            workspace: workspace.into(),
            sealed_days: days,
            sealed_sessions: sessions,
        });
    }
    let Workspace { name, retention, .. } = workspace;
    let mut text = format!(
        "changed workspace '{name}'\n  retention  {}",
        in_words(*retention)
    );
    if sealing != Sealing::default() {
        let verb = if sessions == 1 { "is" } else { "are" };
        text.push_str(&format!(
            "\nsealed {}: {} {verb} kept as counts",
            counted(days, "day"),
            counted(sessions, "session")
        ));
    }
    let is_longer = before.is_some_and(|before| retention.is_none_or(|after| after.days() > before.days()));
    if is_longer {
        text.push_str("\nsessions that were removed before stay removed, and their counts stay");
    }
    print_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_or_none() {
        let read = |text: &str| text.parse::<KeptFor>();
        assert_eq!(read("30"), Ok(KeptFor(Retention::new(30))));
        for text in ["0", "none", "None"] {
            assert_eq!(read(text), Ok(KeptFor(None)), "{text}");
        }
        for text in ["36501", "-1", "1.5", "30 days", "", "ever"] {
            let expected = "give 1 to 36,500 days, or 'none' to keep sessions for ever";
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
    }
}
