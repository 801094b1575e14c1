//! What the terminal can show.

use std::io::IsTerminal as _;

/// Where standard output is no terminal and nobody says how wide it is.
const DEFAULT_WIDTH: usize = 80;

/// Columns of standard output: what `COLUMNS` says, or the terminal, or 80.
pub(super) fn width() -> usize {
    known_width().unwrap_or(DEFAULT_WIDTH)
}

/// The same where anybody says; what goes into a file or to another program may be as wide as it is.
pub(super) fn known_width() -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    asked.filter(|width| *width > 0).or_else(terminal_width)
}

fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    Some(terminal_size::terminal_size_of(stdout).map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0)))
}

/// Whether the locale's characters are UTF-8.
pub(super) fn shows_unicode() -> bool {
    is_utf8(|name| std::env::var(name).ok())
}

/// The first of the three variables that is set decides, as POSIX has it.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty());
    locale.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let locale = |all: &'static str, lang: &'static str| {
            is_utf8(move |name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(locale("", "de_DE.UTF-8"));
        assert!(locale("C.utf8", "C"));
        assert!(!locale("C", "de_DE.UTF-8"));
        assert!(!locale("", ""));
    }
}
