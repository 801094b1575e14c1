//! Asks before something is gone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

use super::output::{thousands, visible_line};
use crate::store::{Rollups, Scope, StoreError, Whose, all_time, count_patiently};

/// Returns if whoever runs the command means it.
///
/// # Errors
/// When they don't, or nobody is there to be asked.
pub(super) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("{question} Nobody is there to be asked: say so with --yes");
    }
    let mut stderr = io::stderr();
    write!(stderr, "{} [y/N] ", visible_line(question))
        .and_then(|()| stderr.flush())
        .context("can't ask")?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .context("can't read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was deleted"),
    }
}

/// How many sessions there are, in words.
///
/// # Errors
/// What the store says.
pub(super) async fn sessions_of(store: &dyn Rollups, scope: Scope) -> Result<String, StoreError> {
    let (first, last) = all_time();
    let asked = (scope, Whose::Everyone);
    let counts = count_patiently(store, asked, &[first, last], &|_| {}).await?;
    Ok(counted(counts.into_iter().sum(), "session"))
}

/// `1 app`, `2 apps`, `1,234 apps`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{} {noun}s", thousands(number)),
    }
}
