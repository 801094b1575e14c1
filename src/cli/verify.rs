//! `verify`: recounts everything from the recorded sessions and compares.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::globals::Globals;
use super::output::{print_json, print_line, thousands, utc};
use super::progress::Spinner;
use crate::catalog::Catalog;
use crate::model::{AppId, SegmentId};
use crate::store::{Mismatch, Role, Verification};

/// Mismatches that are listed for people; `--json` lists all that the store reports.
const LISTED: usize = 10;

/// Recount everything from the recorded sessions and compare
///
/// Everything is read and each day compared in one consistent state, while the server goes on, and nothing is changed. Exits
/// with 1 if anything disagrees or can't be read.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sessionmeter verify")]
pub(super) struct VerifyArgs {}

/// Runs the command.
pub(super) async fn run(VerifyArgs {}: VerifyArgs, globals: &Globals) -> anyhow::Result<()> {
    let store = globals.open(Role::Existing).await?;
    let progress = Spinner::start("verifying");
    let line = progress.clone();
    let say = move |percent| line.say(&format!("verifying  {percent} %"));
    let found = store.verify(Arc::new(say)).await;
    progress.finish();
    let catalog = store.catalog();
    store.close().await;
    let found = found?;
    if globals.json {
        print_found(&found)?
    } else {
        print_line(&summary(&found, &catalog))?
    }
    if !found.agrees() {
        bail!("the store does not agree with the sessions in it");
    }
    Ok(())
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct FoundJson<'a> {
    agrees: bool,
    sessions: u64,
    /// Of sealed days, which are there as counts alone.
    sealed_sessions: u64,
    counters: u64,
    mismatches: Vec<MismatchJson>,
    damages: &'a [String],
}

#[derive(Serialize)]
struct MismatchJson {
    app_id: AppId,
    /// `null`: everyone.
    segment_id: Option<SegmentId>,
    /// Where the quarter hour begins.
    time: String,
    counted: u64,
    recorded: u64,
}

fn print_found(found: &Verification) -> anyhow::Result<()> {
    let mismatches = found
        .mismatches
        .iter()
        .map(|mismatch| MismatchJson {
            app_id: mismatch.app,
            segment_id: mismatch.segment,
            time: utc(mismatch.quarter.saturating_mul(1000)),
            counted: mismatch.counted,
            recorded: mismatch.recorded,
        })
        .collect();
    print_json(&FoundJson {
        agrees: found.agrees(),
        sessions: found.sessions,
        sealed_sessions: found.sealed,
        counters: found.counters,
        mismatches,
        damages: &found.damages,
    })
}

fn summary(found: &Verification, catalog: &Catalog) -> String {
    let mut lines = vec![format!(
        "recounted {} sessions and compared {} quarter-hour counters{}",
        thousands(found.sessions),
        thousands(found.counters),
        if found.agrees() { ": everything agrees" } else { "" }
    )];
    if found.sealed > 0 {
        lines.push(format!(
            "  {} more sessions are older than the retention: only their counts are kept",
            thousands(found.sealed)
        ));
    }
    lines.extend(
        found
            .damages
            .iter()
            .take(LISTED)
            .map(|damage| format!("  damage: {damage}")),
    );
    lines.extend(
        found
            .mismatches
            .iter()
            .take(LISTED)
            .map(|mismatch| describe(mismatch, catalog)),
    );
    let listed = found.damages.len().min(LISTED) + found.mismatches.len().min(LISTED);
    let more = found.damages.len() + found.mismatches.len() - listed;
    if more > 0 {
        lines.push(format!("  and at least {more} more; --json lists them"));
    }
    lines.join("\n")
}

fn describe(mismatch: &Mismatch, catalog: &Catalog) -> String {
    let entries = catalog.workspaces();
    let app = entries.iter().find_map(|entry| entry.app(mismatch.app));
    let app = app.map_or_else(|| mismatch.app.to_string(), |app| format!("'{}'", app.name));
    let segment = mismatch.segment.map_or_else(String::new, |id| {
        let segment = entries.iter().find_map(|entry| entry.segment(id));
        let name = segment.map_or_else(|| id.to_string(), |segment| format!("'{}'", segment.name));
        format!(", segment {name}")
    });
    format!(
        "  app {app}{segment}, quarter hour {}: {} counted, {} recorded",
        utc(mismatch.quarter.saturating_mul(1000)),
        thousands(mismatch.counted),
        thousands(mismatch.recorded)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_disagreements_are_listed() {
        let mismatch = Mismatch {
            app: AppId::random(),
            segment: None,
            quarter: 1_530_247_500,
            counted: 1,
            recorded: 1_002,
        };
        let found = Verification {
            sessions: 1_002,
            sealed: 0,
            counters: 12,
            mismatches: vec![mismatch; 12],
            damages: vec!["torn page".to_owned()],
        };
        let text = summary(&found, &Catalog::default());
        assert!(
            text.contains("quarter hour 2018-06-29T04:45:00Z: 1 counted, 1,002 recorded"),
            "{text}"
        );
        assert!(
            text.contains("damage: torn page") && text.ends_with("at least 2 more; --json lists them"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 13);
    }
}
