//! `migrate`: everything into another store.

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::globals::Globals;
use super::output::{print_json, print_line, thousands, utc};
use super::progress::Spinner;
use super::usage_error;
use crate::store::copy::{Copied, Difference, Step, copy};
use crate::store::{Place, Role, Store};

/// Copy everything to another store, then compare every series of both
///
/// Workspaces, apps, keys, segments, users' attributes and sessions keep their ids and everything that was recorded; the
/// old store is not changed. May be run while the old store is served, and again: what was copied before stays, what came
/// since is added. Exits with 1 if a series differs, which it does while sessions are still being recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter migrate --from ./sessionmeter-data --to clickhouse://meter:PASSWORD@ch1:8123/sessions
  SESSIONMETER_STORE=clickhouse://meter:PASSWORD@ch1:8123/sessions sessionmeter migrate --from ./sessionmeter-data
  sessionmeter migrate --from clickhouse://meter:PASSWORD@ch1:8123/sessions --to ./sessionmeter-data")]
pub(super) struct MigrateArgs {
    /// The old store: a directory, or clickhouse://…; the one that all commands use, if only --to is given
    #[arg(long, value_name = "STORE", required_unless_present = "to")]
    from: Option<String>,
    /// The new one, which is made where there is none; the one that all commands use, if only --from is given
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: MigrateArgs, globals: &Globals) -> anyhow::Result<()> {
    // The environment and the configuration file show a password to nobody, flags do.
    let place = |given: &Option<String>| match given {
        Some(text) if text.is_empty() => Err(usage_error(
            "--from or --to is empty; name a directory or an address",
        )),
        Some(text) => Place::read(text).map_err(usage_error),
        None => Ok(globals.store.clone()),
    };
    let (from, to) = (place(&args.from)?, place(&args.to)?);
    if from == to {
        bail!("the old store and the new one are the same: {from}");
    }
    let old = from.open(Role::Existing).await?;
    let new = match to.open(Role::Command).await {
        Ok(new) => new,
        Err(error) => {
            old.close().await;
            return Err(error.into());
        }
    };
    let copied = with_progress(old.as_ref(), new.as_ref()).await;
    old.close().await;
    new.close().await;
    let copied = copied?;
    if globals.json {
        print_copied(&copied)?
    } else {
        print_line(&summary(&copied, &from, &to))?
    }
    if !copied.differences.is_empty() {
        bail!(
            "the two stores do not agree; run the same command again when nothing is recorded into the old one"
        );
    }
    Ok(())
}

async fn with_progress(from: &dyn Store, to: &dyn Store) -> anyhow::Result<Copied> {
    let progress = Spinner::start("copying");
    let copied = copy(from, to, &|step| progress.say(&in_words(step))).await;
    progress.finish();
    Ok(copied?)
}

fn in_words(step: Step) -> String {
    match step {
        Step::Users(users) => format!("copying users' attributes: {}", thousands(users)),
        Step::Sealed(days) => format!("copying sealed days: {}", thousands(days)),
        Step::Sessions(sessions) => format!("copying sessions: {}", thousands(sessions)),
        Step::Counting(percent) => format!("counting sessions: {percent} %"),
        Step::Series(series) => format!("comparing series: {}", thousands(series)),
    }
}

fn print_copied(copied: &Copied) -> anyhow::Result<()> {
    let differences = copied.differences.iter().map(|difference| {
        json!({
            "app_id": difference.app,
            "segment_id": difference.segment,
            "time": utc(difference.quarter * 1000),
            "from": difference.from,
            "to": difference.to,
        })
    });
    print_json(&json!({
        "users": copied.users,
        "sealed_days": copied.sealed_days,
        "sessions": copied.sessions,
        "series": copied.series,
        "differences": differences.collect::<Vec<_>>(),
    }))
}

fn summary(copied: &Copied, from: &Place, to: &Place) -> String {
    let mut text = format!(
        "copied {} sessions and the attributes of {} users from {from} to {to}; compared {} series",
        thousands(copied.sessions),
        thousands(copied.users),
        thousands(copied.series)
    );
    match copied.differences.as_slice() {
        [] => text.push_str(": all are equal"),
        differences => {
            text.push_str(&format!(": {} differ", differences.len()));
            differences
                .iter()
                .for_each(|difference| text.push_str(&line(difference)));
        }
    }
    text
}

fn line(difference: &Difference) -> String {
    let whose = difference
        .segment
        .map_or("everyone".into(), |segment| format!("segment {segment}"));
    format!(
        "\n  app {}, {whose}, from {} on: {} in the old store, {} in the new one",
        difference.app,
        utc(difference.quarter * 1000),
        difference.from,
        difference.to
    )
}
