//! Which log records are about sessions, however SDKs tell the name of an event.

/// As the semantic conventions name the events.
const START: &str = "session.start";
const END: &str = "session.end";
/// A longer text is no name.
const MAX_NAME_BYTES: usize = 64;
/// Names with more words say something else.
const MAX_WORDS: usize = 5;

/// What a name says about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// One begins.
    Start,
    /// One ends.
    End,
    /// Probably one of those, but nobody knows which, or whether it is told twice.
    Unclear,
    /// Nothing.
    Nothing,
}

/// Reads a name in any spelling: `session.start`, `session_start`, `SessionStarted`.
pub(super) fn told(name: &str) -> Told {
    if name == START {
        return Told::Start;
    }
    if name == END {
        return Told::End;
    }
    let mentions = |name: &str| {
        let mut rest = name.as_bytes().windows(7);
        rest.any(|word| word.eq_ignore_ascii_case(b"session"))
    };
    // Nearly all log records end here.
    if name.len() > MAX_NAME_BYTES || !mentions(name) {
        return Told::Nothing;
    }
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["session", "start" | "started"] => Told::Start,
        ["session", "end" | "ended"] => Told::End,
        few if few.len() <= MAX_WORDS && few.contains(&"session") && few.iter().any(is_edge) => Told::Unclear,
        _ => Told::Nothing,
    }
}

/// The same for a text that is a name only if it has no white space: the body of a log record is usually a sentence.
pub(super) fn told_by_body(text: &str) -> Told {
    if text.contains(char::is_whitespace) {
        return Told::Nothing;
    }
    told(text)
}

/// Whether a record that can't be read may be about a session.
pub(super) fn concerns_sessions(record: &str) -> bool {
    let is_between = |character: char| !(character.is_alphanumeric() || "._-".contains(character));
    record.split(is_between).any(|token| told(token) != Told::Nothing)
}

fn is_edge(word: &&str) -> bool {
    [
        "start",
        "started",
        "begin",
        "began",
        "begun",
        "open",
        "opened",
        "new",
        "create",
        "created",
        "end",
        "ended",
        "stop",
        "stopped",
        "finish",
        "finished",
        "close",
        "closed",
        "expire",
        "expired",
        "terminated",
    ]
    .contains(word)
}

/// In lower case, parted at everything that is no letter or digit, and before capitals.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && after_small) {
            words.push(String::new());
        }
        after_small = character.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_all_their_spellings() {
        for (name, expected) in [
            ("session.start", Told::Start),
            ("session_start", Told::Start),
            ("session-started", Told::Start),
            ("SessionStart", Told::Start),
            ("SESSION_START", Told::Start),
            ("sessionEnd", Told::End),
            ("session.ended", Told::End),
            ("session.begin", Told::Unclear),
            ("app.session.start", Told::Unclear),
            ("StartSession", Told::Unclear),
            ("session.expired", Told::Unclear),
            ("session.replay", Told::Nothing),
            ("session.endpoint", Told::Nothing),
            ("sessions", Told::Nothing),
            ("sessionmeter.start", Told::Nothing),
            ("click", Told::Nothing),
            ("", Told::Nothing),
        ] {
            assert_eq!(told(name), expected, "{name}");
        }
        assert_eq!(told("Session started"), Told::Start);
        assert_eq!(told_by_body("Session started"), Told::Nothing);
        assert_eq!(told(&format!("session.start{}", "!".repeat(64))), Told::Nothing);
    }
}
