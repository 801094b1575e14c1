//! What a command that takes long is doing, on standard error, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const STYLE: &str = "{msg}  {elapsed}";
const REDRAW: Duration = Duration::from_millis(100);

/// A line that shows that something goes on, and for how long. Clones are the same line.
#[derive(Debug, Clone)]
pub(super) struct Spinner(ProgressBar);

impl Spinner {
    pub(super) fn start(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// One that is never shown.
    pub(super) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Says how far it is.
    pub(super) fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
