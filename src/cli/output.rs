//! Standard output, and values as people read them.
//!
//! Whatever is printed for people goes through [`visible`]: names, descriptions and lines of files come from others, and a
//! terminal obeys what they may hold.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use clap::error::ErrorKind;
use serde::Serialize;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::model::{Millis, is_invisible};
use crate::store::NOTICES;

/// Whoever reads our standard output has closed it, as `head` does. No failure, but a reason to stop.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct Closed;

/// Whether a command ended because nobody reads its output any more.
pub fn output_was_closed(error: &anyhow::Error) -> bool {
    // With a context there is more to say than that.
    error.is::<Closed>() && error.chain().len() == 1
}

/// Whether what is printed will be seen at all. Where standard output was closed at the start, there is /dev/null in its place.
///
/// # Errors
/// When it goes to /dev/null.
pub(super) fn check_seen() -> anyhow::Result<()> {
    // Where the system doesn't say, it is taken for seen.
    let nowhere = std::fs::read_link("/proc/self/fd/1").is_ok_and(|name| name == Path::new("/dev/null"));
    anyhow::ensure!(!nowhere, "standard output is closed or /dev/null");
    Ok(())
}

/// Says what was wrong with the command line, in one line, or what it asked to be told, and ends.
pub fn exit(usage: &clap::Error) -> ! {
    let is_help = !usage.use_stderr() || usage.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help {
        usage.exit();
    }
    let line = without_hints(&usage.render().to_string());
    // There is nobody left to tell if stderr is closed too.
    let _ = writeln!(io::stderr(), "sessionmeter: {line}");
    std::process::exit(usage.exit_code())
}

/// What is wrong with the command line, if that is what an error is about.
pub fn wrong_usage(error: &anyhow::Error) -> Option<&clap::Error> {
    error.downcast_ref()
}

/// Characters of a line about wrong usage: what was typed may be long.
const SHOWN: usize = 1_000;

/// What is wrong and what may be meant, without the paragraphs that only repeat how the command is used.
fn without_hints(rendered: &str) -> String {
    let paragraphs = rendered.split("\n\n").map(str::trim);
    let said = paragraphs.filter(|paragraph| {
        let repeats = paragraph.starts_with("Usage:") || paragraph.starts_with("For more information");
        !repeats && !paragraph.is_empty()
    });
    let said: Vec<String> = said.map(|paragraph| words(paragraph).join(" ")).collect();
    let line = said.join("; ");
    let line = visible_line(line.strip_prefix("error: ").unwrap_or(&line));
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    format!("{shown} (--help says more)")
}

fn words(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
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
    let lines = joined.split(['\n', '\r', '\t']).map(str::trim);
    let line = lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    visible_line(&line).into_owned()
}

/// A text as a terminal may show it: what would be obeyed instead, or could not be seen, is written as `\u{1b}`. Line
/// feeds stay, and what joins symbols to emoji.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_harmful(character))
}

/// The same of what is to stay one line.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if is_harmful(character) => shown.push_str("\\n"),
            _ if is_harmful(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

fn is_harmful(character: char) -> bool {
    is_invisible(character) && !matches!(character, '\u{200D}' | '\u{FE0F}')
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

/// Writes a text for people and a line end to standard output.
pub(super) fn print_line(text: &str) -> anyhow::Result<()> {
    print_bytes(format!("{}\n", visible(text)).as_bytes())
}

/// Writes a value as one line of JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_bytes(format!("{}\n", visible_json(&serde_json::to_string(value)?)).as_bytes())
}

/// JSON that means the same and shows everything: only strings can hold what is escaped.
pub(super) fn visible_json(json: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| character != '\n' && is_harmful(character);
    if !json.contains(is_harmful) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_harmful(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character)
        }
    }
    Cow::Owned(shown)
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

/// From now on, what the store says about itself is shown on standard error.
pub(super) fn show_notices() {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_filter(
            Targets::new()
                .with_target(NOTICES, LevelFilter::INFO)
                // That it does not answer, for example.
                .with_target("sessionmeter::store::clickhouse", LevelFilter::WARN),
        );
    // If there is a log already, it says it.
    let _ = tracing_subscriber::registry().with(lines).try_init();
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
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("Café ❤\u{FE0F}\nnext", "Café ❤\u{FE0F}\nnext"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\u{9b}2Jb\r", "a\\u{9b}2Jb\\u{d}"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_line("a\nb"), "a\\nb");
        let json = visible_json("{\"a\":\"\u{9b}\u{202e}\u{e0001}x\"}");
        assert_eq!(json, "{\"a\":\"\\u009b\\u202e\\udb40\\udc01x\"}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "\u{9b}\u{202e}\u{e0001}x");
        let error = one_line(&anyhow!("no file '\u{1b}[2J\u{202e}'"));
        assert_eq!(error, "no file '\\u{1b}[2J\\u{202e}'");
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
        assert!(!output_was_closed(
            &anyhow::Error::from(Closed).context("and therefore")
        ));
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
