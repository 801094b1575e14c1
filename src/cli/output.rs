//! Standard output, and values as people read them.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::Millis;

/// Whoever reads our standard output has closed it, as `head` does. No failure, but a reason to stop.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct Closed;

/// Whether a command ended because nobody reads its output any more.
pub fn output_was_closed(error: &anyhow::Error) -> bool {
    error.is::<Closed>()
}

/// An error and its causes in one line, whatever they contain.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors repeat their cause's words.
        if !parts.iter().any(|part| part.ends_with(&cause)) {
            parts.push(cause);
        }
    }
    let joined = parts.join(": ");
    let lines = joined.split(char::is_control).map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Writes bytes to standard output, at once.
pub(super) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) => Err(writing_failed(error)),
    }
}

/// What it means that standard output can't be written.
pub(super) fn writing_failed(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => anyhow::Error::new(error).context("can't write to standard output"),
    }
}

/// Writes a text and a line end to standard output.
pub(super) fn print_line(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{text}\n").as_bytes())
}

/// Writes a value as one line of JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?)
}

/// Rows as aligned text: columns two spaces apart, no space at the ends of lines.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|name| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    std::iter::once(&head.map(str::to_owned))
        .chain(rows)
        .map(line)
        .collect()
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time as RFC 3339 in UTC, to the second.
pub(super) fn utc(millis: Millis) -> String {
    match jiff::Timestamp::from_second(millis.div_euclid(1000)) {
        Ok(time) => time.to_string(),
        Err(_) => millis.to_string(),
    }
}

/// `'a', 'b' and 3 more`: what exists, where something that doesn't was named.
pub(super) fn quoted_list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let rest = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("'{name}'")).collect();
    match rest {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn tables_align_by_characters_and_leave_no_trailing_space() {
        let rows = [
            ["é".to_owned(), "x".to_owned()],
            ["long".to_owned(), String::new()],
        ];
        assert_eq!(table(["A", "B"], &rows), "A     B\né     x\nlong\n");
    }

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = anyhow!("disk\n  full")
            .context("can't write")
            .context("import failed");
        assert_eq!(one_line(&error), "import failed: can't write: disk full");
    }

    #[test]
    fn a_closed_pipe_is_told_from_failures() {
        assert!(output_was_closed(&Closed.into()));
        assert!(!output_was_closed(&anyhow!("other")));
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(utc(1_530_248_399_999), "2018-06-29T04:59:59Z");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        let text = quoted_list(names.iter().map(String::as_str));
        assert!(
            text.starts_with("'0', '1', ") && text.ends_with("'19' and 3 more"),
            "{text}"
        );
    }
}
