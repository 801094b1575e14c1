//! Asks before something is gone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

use super::output::visible_line;

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
